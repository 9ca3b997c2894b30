"""The ``[eudi]`` section of a pass type: what its credentials say, and what of it the holder may withhold.

Declared as data, read strictly by `passes.pass_types`. The elements every mdoc needs are those of ETSI TS 119 472-1
for attestations that are no driving licence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Final, Literal

import msgspec

from passes.sd_jwt import REGISTERED, RESERVED

CredentialFormat = Literal["dc+sd-jwt", "mso_mdoc"]
# What a claim can be filled from besides the attributes of the type.
BUILT_IN_SOURCES: Final = frozenset(
    {
        "number", "valid_from", "valid_until", "issue_date", "issuing_authority", "issuing_country", "pseudonym",
        "zone_name",
    }
)  # fmt: skip
ISO_NAMESPACE: Final = "org.iso.23220.1"
_NEEDED: Final = frozenset(
    {"document_number", "issuing_authority", "issuing_country", "issue_date", "expiry_date"}
)
_SUBJECT: Final = ({"given_name", "family_name"}, {"also_known_as"})

_Name = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_]{0,59}\Z")]
_Place = Annotated[int, msgspec.Meta(ge=0, le=19)]
_Namespace = Annotated[
    str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9-]*(\.[a-z0-9][a-z0-9-]*){2,9}\Z", max_length=120)
]
_Vct = Annotated[str, msgspec.Meta(pattern=r"\A(/[A-Za-z0-9._~-]+){2,6}\Z|\A(https://|urn:)[!-~]{1,190}\Z")]


class EudiClaim(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One claim of the SD-JWT VC (``path``), one element of the mdoc (``namespace``, ``element``), or both.

    A number in ``path`` is a place in an array. ``source`` names an attribute or one of `BUILT_IN_SOURCES`, ``value``
    is the same text for everybody; with neither, the claim is the object or array that claims below it fill.
    ``selective``: the holder may withhold it; ``each``: also every element of the array by itself. ``mandatory``: no
    credential is issued without it.
    """

    path: tuple[_Name | _Place, ...] = ()
    source: _Name | None = None
    value: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None = None
    selective: bool = True
    each: bool = False
    mandatory: bool = False
    namespace: _Namespace | None = None
    element: _Name | None = None

    @property
    def key(self) -> str:
        """What the claim's label stands under in the words: the names of its path, or the element."""
        names = [one for one in self.path if isinstance(one, str)]
        if self.path and isinstance(self.path[-1], int):
            names.append("item")
        return ".".join(names) or str(self.element)


class EudiSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How the type looks as EUDI credential. ``vct`` is a URN or URL, or a path below the city's public address.

    Whoever changes a claim or a word must change the last part of ``vct``: credentials hold the hash of the type
    metadata that was published when they were made. A credential lives ``lifetime_days`` at most and never longer
    than the right.
    """

    formats: tuple[CredentialFormat, ...]
    claims: tuple[EudiClaim, ...]
    vct: _Vct | None = None
    doctype: _Namespace | None = None
    lifetime_days: Annotated[int, msgspec.Meta(ge=1, le=3650)] = 365


def check(
    spec: EudiSpec,
    attributes: Iterable[str],
    labels: Mapping[str, Mapping[str, str]],
    refuse: Callable[[str], None],
) -> None:
    """Call ``refuse`` with the first thing in ``spec`` that contradicts itself, the type, or the standards."""
    if not spec.formats or len(set(spec.formats)) != len(spec.formats):
        refuse("[eudi] names no format, or one twice")
    if ("dc+sd-jwt" in spec.formats) != (spec.vct is not None):
        refuse("[eudi] vct belongs to the format dc+sd-jwt")
    if ("mso_mdoc" in spec.formats) != (spec.doctype is not None):
        refuse("[eudi] doctype belongs to the format mso_mdoc")
    known = BUILT_IN_SOURCES | set(attributes)
    for claim in spec.claims:
        _check_claim(claim, spec, known, refuse)
    _check_paths(spec, refuse)
    _check_elements(spec, refuse)
    for claim in spec.claims:
        for language, words in labels.items():
            if claim.key not in words:
                refuse(f"{language}.toml has no [eudi] label for {claim.key}")
    keys = {claim.key for claim in spec.claims}
    for language, words in labels.items():
        if foreign := sorted(set(words) - keys):
            refuse(f"{language}.toml has an [eudi] label for {foreign[0]}, which is no claim")


def _check_claim(
    claim: EudiClaim, spec: EudiSpec, known: frozenset[str], refuse: Callable[[str], None]
) -> None:
    if not claim.path and claim.element is None:
        refuse("[eudi] a claim has neither path nor element")
    if (claim.element is None) != (claim.namespace is None):
        refuse(f"[eudi] {claim.key} needs namespace and element, or neither")
    if claim.path and (spec.vct is None or not isinstance(claim.path[0], str)):
        refuse(f"[eudi] {claim.key} cannot have this path")
    if claim.path and claim.path[0] in REGISTERED | RESERVED:
        refuse(f"[eudi] {claim.key} is a name of the format itself")
    if claim.element is not None and spec.doctype is None:
        refuse(f"[eudi] {claim.key} is an mdoc element of a type that is no mdoc")
    if claim.source is not None and claim.value is not None:
        refuse(f"[eudi] {claim.key} has both source and value")
    if claim.source is not None and claim.source not in known:
        refuse(f"[eudi] {claim.key} is filled from {claim.source}, which does not exist")
    if claim.source is None and claim.value is None and claim.element is not None:
        refuse(f"[eudi] {claim.key} is filled from nothing")


def _check_paths(spec: EudiSpec, refuse: Callable[[str], None]) -> None:
    paths = [claim.path for claim in spec.claims if claim.path]
    if len(set(paths)) != len(paths):
        refuse("[eudi] a path is declared twice")
    containers = {one.path for one in spec.claims if one.path and one.source is None and one.value is None}
    children: dict[tuple[str | int, ...], list[str | int]] = {}
    for path in paths:
        children.setdefault(path[:-1], []).append(path[-1])
    for parent, names in children.items():
        if parent and parent not in containers:
            refuse(f"[eudi] {'.'.join(map(str, parent))} is not declared as an object or array")
        places = [one for one in names if isinstance(one, int)]
        if places and (len(places) != len(names) or sorted(places) != list(range(len(names)))):
            refuse(f"[eudi] the places of {'.'.join(map(str, parent))} are not 0, 1, 2, ...")
    if empty := containers - children.keys():
        refuse(
            f"[eudi] {'.'.join(map(str, sorted(empty, key=str)[0]))} has neither a source nor claims below it"
        )


def _check_elements(spec: EudiSpec, refuse: Callable[[str], None]) -> None:
    if spec.doctype is None:
        return
    places = [(one.namespace, one.element) for one in spec.claims if one.element is not None]
    if len(set(places)) != len(places):
        refuse("[eudi] an element is declared twice")
    iso = {element for namespace, element in places if namespace == ISO_NAMESPACE}
    if lacking := sorted(_NEEDED - iso):
        refuse(f"[eudi] {ISO_NAMESPACE} lacks {lacking[0]} (ETSI TS 119 472-1)")
    if not any(names <= iso for names in _SUBJECT):
        refuse(
            f"[eudi] {ISO_NAMESPACE} lacks given_name and family_name, or also_known_as (ETSI TS 119 472-1)"
        )
