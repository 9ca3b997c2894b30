"""The attributes of a revision as the database keeps them: JSON, read back as the type declares them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from issuer.audit import Fact
from passes.card_numbers import CardNumber, Symbology
from passes.model import Attribute, RegisteredPlate
from passes.pass_types import PassType
from passes.plates import Plate
from passes.seasons import Season
from passes.zones import Zone


def encode(attributes: Mapping[str, Attribute]) -> dict[str, Any]:
    """``attributes`` as JSON values."""
    return {name: _encoded(value) for name, value in attributes.items()}


def decode(pass_type: PassType, stored: Mapping[str, Any]) -> dict[str, Attribute]:
    """The typed attributes behind what `encode` gave; those ``pass_type`` no longer has are left out."""
    return {
        name: _decoded(spec.kind, stored[name])
        for name, spec in pass_type.attributes.items()
        if stored.get(name) is not None
    }


def facts(attributes: Mapping[str, Attribute]) -> dict[str, Fact]:
    """The attributes as the audit trail names them: readable, and nothing about the person."""
    return {name: _fact(value) for name, value in attributes.items()}


def _encoded(value: Attribute) -> Any:
    match value:
        case Zone():
            return [value.code, value.name]
        case CardNumber():
            return [value.text, value.scheme, value.symbology and str(value.symbology)]
        case tuple():
            return [[one.plate.key, one.season and one.season.text] for one in value]
        case date():
            return value.isoformat()
        case _:
            return value


def _decoded(kind: str, value: Any) -> Attribute:
    match kind:
        case "zone":
            return Zone(*value)
        case "card_number":
            text, scheme, symbology = value
            return CardNumber(text, scheme, Symbology(symbology) if symbology else None)
        case "plates":
            return tuple(
                RegisteredPlate(Plate.from_key(key), Season.parse(season) if season else None)
                for key, season in value
            )
        case "date":
            return date.fromisoformat(value)
        case _:
            found: str | int | bool = value
            return found


def _fact(value: Attribute) -> str | int | bool | list[str]:
    match value:
        case Zone():
            return value.code
        case CardNumber():
            return value.text
        case tuple():
            return [one.plate.canonical + (f" ({one.season.text})" if one.season else "") for one in value]
        case date():
            return value.isoformat()
        case _:
            return value
