"""The type metadata of a pass type's SD-JWT VC: what the document at its ``vct`` says (SD-JWT VC, 6.2).

The bytes are the same on every machine, because each credential holds their hash in ``vct#integrity``: whoever
serves the document serves exactly these.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from dataclasses import dataclass
from typing import Any, Final

from keys.texts import LANGUAGES
from passes.errors import PassRefusal
from passes.eudi_spec import EudiClaim, EudiSpec
from passes.pass_types import PassType

_LOCALES: Final = {"de": "de-DE", "en": "en-GB"}


@dataclass(frozen=True, slots=True)
class TypeMetadata:
    """The document of one type in one city: its ``vct``, its bytes (JSON), and their hash as credentials hold it."""

    vct: str
    document: bytes
    integrity: str


def type_metadata(pass_type: PassType, base_url: str) -> TypeMetadata:
    """The metadata of ``pass_type`` in the city at ``base_url``.

    Raises PassRefusal TYPE_CARRIER for a type that is no EUDI credential, TYPE_FORMAT for one without SD-JWT VC.
    """
    spec = pass_type.eudi
    vct = vct_of(pass_type, base_url)
    document = {
        "vct": vct,
        "name": pass_type.words("en").name,
        "description": pass_type.words("en").description,
        "display": [_display(pass_type, language) for language in LANGUAGES],
        "claims": claims_of(pass_type, spec),
    }
    data = json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True).encode()
    return TypeMetadata(vct, data, integrity_of(data))


def vct_of(pass_type: PassType, base_url: str) -> str:
    """The ``vct`` of the type in the city at ``base_url``. Raises as `type_metadata`."""
    vct = pass_type.eudi.vct
    if vct is None:
        raise PassRefusal("TYPE_FORMAT", type=pass_type.id, format="dc+sd-jwt")
    return f"{base_url.rstrip('/')}{vct}" if vct.startswith("/") else vct


def integrity_of(document: bytes) -> str:
    """The hash of a document as W3C Subresource Integrity writes it: ``sha256-`` and base64."""
    return f"sha256-{b64encode(hashlib.sha256(document).digest()).decode('ascii')}"


def claims_of(pass_type: PassType, spec: EudiSpec) -> list[dict[str, Any]]:
    """What the SD-JWT VC can hold, with labels: paths, where null stands for every element of an array."""
    told: dict[tuple[str | None, ...], dict[str, Any]] = {}
    for claim in spec.claims:
        if not claim.path:
            continue
        path = tuple(one if isinstance(one, str) else None for one in claim.path)
        is_first = path not in told
        told[path] = {
            "path": list(path),
            "display": [
                {"locale": _LOCALES[language], "label": pass_type.words(language).eudi[claim.key]}
                for language in LANGUAGES
            ],
            "mandatory": claim.mandatory if is_first else claim.mandatory and told[path]["mandatory"],
            "sd": _sd(claim),
        }
        if claim.each:
            told[*path, None] = told[path] | {"path": [*path, None], "sd": "always"}
    return list(told.values())


def _sd(claim: EudiClaim) -> str:
    return "always" if claim.selective else "never"


def _display(pass_type: PassType, language: str) -> dict[str, Any]:
    words, colours = pass_type.words(language), pass_type.spec.colours
    return {
        "locale": _LOCALES[language],
        "name": words.name,
        "description": words.description,
        "rendering": {"simple": {"background_color": colours.background, "text_color": colours.foreground}},
    }
