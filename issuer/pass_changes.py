"""What a change alters of a pass: plates with the kind that follows from them, zone, card number."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.orm import Session

from issuer.errors import RegisterRefusal
from issuer.importing.record import attribute_columns
from issuer.models import PassRow
from issuer.tariffs import find_zone
from passes.model import Attribute, RegisteredPlate
from passes.pass_types import PassType

if TYPE_CHECKING:
    from issuer.lifecycle import Changes

# The kinds that a change of plates moves between; how many each has is in the city's table of kinds.
_KIND_OF_PLATES: Final = {1: "standard", 2: "two_plates"}


def changed_attributes(
    session: Session,
    tenant: str,
    pass_type: PassType,
    before: dict[str, Attribute],
    changes: Changes,
    day: date,
) -> dict[str, Attribute]:
    """What a pass says once ``changes`` are made, in a zone that holds on ``day``.

    Raises RegisterRefusal ATTRIBUTE_NOT_OF_TYPE, PLATES_NOT_OF_KIND, PLATE_COUNT; IssuerRefusal ZONE_UNKNOWN,
    ZONE_ENDED.
    """
    after = dict(before)
    kinds = {spec.kind: spec.name for spec in pass_type.spec.attributes}
    wanted: dict[str, Any] = {
        "plates": changes.plates,
        "zone": changes.zone_code,
        "card_number": changes.card_number,
    }
    for kind, value in wanted.items():
        if value is not None and kind not in kinds:
            raise RegisterRefusal("ATTRIBUTE_NOT_OF_TYPE", attribute=kind, type=pass_type.id)
    if changes.plates is not None:
        _change_plates(after, changes.plates)
    if changes.zone_code is not None:
        after[kinds["zone"]] = find_zone(session, tenant, changes.zone_code, day).zone
    if changes.card_number is not None:
        after[kinds["card_number"]] = changes.card_number
    return after


def _change_plates(after: dict[str, Attribute], plates: tuple[RegisteredPlate, ...]) -> None:
    kind = after.get("permit_kind")
    if kind is not None and kind not in _KIND_OF_PLATES.values():
        raise RegisterRefusal("PLATES_NOT_OF_KIND", kind=kind)
    if len(plates) not in _KIND_OF_PLATES or len({one.plate for one in plates}) != len(plates):
        raise RegisterRefusal("PLATE_COUNT", limit=max(_KIND_OF_PLATES))
    after["plates"] = plates
    if kind is not None:
        after["permit_kind"] = _KIND_OF_PLATES[len(plates)]


def known_columns(row: PassRow, pass_type: PassType, attributes: dict[str, Attribute]) -> dict[str, Any]:
    """What an import compares with from now on; columns that the register never saw stay unknown."""
    columns = attribute_columns(pass_type.spec.register.columns, attributes)
    return {name: value for name, value in columns.items() if name in row.record}
