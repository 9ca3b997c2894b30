"""What a presentation of an SD-JWT discloses, put back where it belongs (RFC 9901, 7.1).

Strict where the standard says reject: a disclosure that nothing points to, or that is pointed to twice, one that
names what the format names itself or what is there already, and one for a claim that may not be withheld.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from passes.sd_jwt import REGISTERED, RESERVED, decoded, digest
from verifier.credentials.jose import read_json
from verifier.credentials.outcome import PresentationRefused, malformed

MAX_DISCLOSURES = 200
# Names, and places in arrays.
ClaimPath = tuple[str | int, ...]


def disclosed_claims(payload: Mapping[str, Any], disclosures: Sequence[str]) -> dict[str, Any]:
    """The payload with the disclosed claims in it and nothing of the mechanism left; ``payload`` is verified.

    Raises as `disclosed`.
    """
    return disclosed(payload, disclosures)[0]


def disclosed(
    payload: Mapping[str, Any], disclosures: Sequence[str]
) -> tuple[dict[str, Any], frozenset[ClaimPath]]:
    """As `disclosed_claims`, and where each disclosure stood: what the holder could have kept and has shown.

    Raises PresentationRefused PRESENTATION_DISCLOSURE with the fault, PRESENTATION_MALFORMED.
    """
    if payload.get("_sd_alg", "sha-256") != "sha-256":
        raise PresentationRefused("PRESENTATION_ALGORITHM")
    if len(disclosures) > MAX_DISCLOSURES:
        raise malformed("too many disclosures")
    found = {digest(one): _content(one) for one in disclosures}
    if len(found) != len(disclosures):
        raise _fault("disclosed twice")
    reading = _Reading(found)
    made: dict[str, Any] = reading.filled(payload, ())
    if reading.unused:
        raise _fault("nothing points to it")
    return made, frozenset(reading.paths)


class _Reading:
    def __init__(self, found: dict[str, list[Any]]) -> None:
        self.unused = set(found)
        self.paths: set[ClaimPath] = set()
        self._found = found
        self._seen: set[str] = set()

    def value(self, value: Any, path: ClaimPath) -> Any:
        if isinstance(value, dict):
            return self.filled(value, path)
        if not isinstance(value, list):
            return value
        made = []
        for place, one in enumerate(value):
            if not isinstance(one, dict) or "..." not in one:
                made.append(self.value(one, (*path, place)))
                continue
            if len(one) != 1:
                raise _fault("more beside an element's digest")
            content = self._take(one["..."], elements=2)
            if content is not None:
                self.paths.add((*path, place))
                made.append(self.value(content[1], (*path, place)))
        return made

    def filled(self, value: Mapping[str, Any], path: ClaimPath) -> dict[str, Any]:
        is_top = not path
        if "..." in value or ("_sd_alg" in value and not is_top):
            raise _fault("a name of the format")
        made = {name: self.value(one, (*path, name)) for name, one in value.items() if name not in RESERVED}
        digests = value.get("_sd", [])
        if not isinstance(digests, list):
            raise _fault("_sd is no array")
        for one in digests:
            content = self._take(one, elements=3)
            if content is None:
                continue
            name = content[1]
            if not isinstance(name, str) or name in RESERVED or (is_top and name in REGISTERED):
                raise _fault("a name of the format")
            if name in made or name in value:
                raise _fault("a claim twice")
            self.paths.add((*path, name))
            made[name] = self.value(content[2], (*path, name))
        return made

    def _take(self, pointed: object, *, elements: int) -> list[Any] | None:
        """The disclosure behind a digest, None if it is withheld or a decoy."""
        if not isinstance(pointed, str):
            raise _fault("a digest is no text")
        if pointed in self._seen:
            raise _fault("a digest twice")
        self._seen.add(pointed)
        content = self._found.get(pointed)
        if content is None:
            return None
        if len(content) != elements:
            raise _fault("of the other kind")
        self.unused.discard(pointed)
        return content


def _content(disclosure: str) -> list[Any]:
    try:
        content = read_json(decoded(disclosure))
    except ValueError:
        raise _fault("no base64url") from None
    if not isinstance(content, list) or len(content) not in (2, 3) or not isinstance(content[0], str):
        raise _fault("no disclosure")
    return content


def _fault(fault: str) -> PresentationRefused:
    return PresentationRefused("PRESENTATION_DISCLOSURE", fault=fault)
