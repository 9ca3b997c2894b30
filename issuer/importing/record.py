"""What a pass's record keeps of a row: enough to say later whether a row is the same, and no more.

Columns that feed the pass itself, its period and choices stand there as they are. What tells of a person,
such as names, address and date of birth, stands there as a keyed digest: two rows can be compared, but the
record gives nothing away without the tenant's key. Someone who has the whole database has that key too.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Final

from issuer.importing.columns import Value
from passes.card_numbers import CardNumber
from passes.model import Attribute, PassStatus, RegisteredPlate
from passes.plates import Plate
from passes.seasons import Season
from passes.type_file import ColumnSpec
from passes.zones import Zone

RecordValue = str | int | bool | None
Record = dict[str, RecordValue]

# The states that only time tells apart: a row is not changed because a day has passed.
IN_ORDER: Final = "in_order"
_IN_ORDER_WORDS: Final = frozenset({"active", "not_yet_valid", "expired"})
# Words of libraries and offices for the same thing.
_SAME_STATUS: Final = {"blocked": PassStatus.SUSPENDED.value, "unpaid": PassStatus.PENDING_PAYMENT.value}
_DIGESTED: Final = frozenset({"name", "organisation", "address", "email", "text", "reference", "date"})
_PLAIN_COLUMNS: Final = frozenset({"valid_from", "valid_to"})
_DIGEST_BYTES: Final = 12


def record_of(
    specs: Iterable[ColumnSpec], values: Mapping[str, Value], key: bytes, attributes: Mapping[str, Attribute]
) -> Record:
    """The record of a row: ``values`` by column as normalised, ``attributes`` as put together from them."""
    record: Record = {}
    for spec in specs:
        if spec.name in values:
            record[spec.name] = _recorded(spec, values[spec.name], key)
    typed = attribute_columns(specs, attributes)
    return {name: typed.get(name, value) for name, value in record.items()}


def attribute_columns(specs: Iterable[ColumnSpec], attributes: Mapping[str, Attribute]) -> Record:
    """The record's values for all columns that feed ``attributes``, as a revision has them."""
    record: Record = {}
    place = {"plate": 0, "season": 0}
    for spec in specs:
        value = attributes.get(spec.attribute) if spec.attribute is not None else None
        if spec.attribute is None or (value is None and spec.attribute not in attributes):
            continue
        match value:
            case tuple():
                record[spec.name] = _of_plates(spec, value, place)
            case CardNumber():
                record[spec.name] = _of_card(spec, value)
            case Zone():
                record[spec.name] = value.code
            case date():
                record[spec.name] = value.isoformat()
            case _:
                record[spec.name] = value
    return record


def differing(stored: Mapping[str, RecordValue], record: Mapping[str, RecordValue]) -> list[str]:
    """The columns of ``record`` in which the register has something else; a missing one counts as empty."""
    return [name for name, value in record.items() if stored.get(name) != value]


def status_word(status: PassStatus | str) -> str:
    """A status as records have it: one word for those that only time tells apart."""
    if status in _IN_ORDER_WORDS:
        return IN_ORDER
    return _SAME_STATUS.get(status, str(status))


def digest(key: bytes, column: str, text: str) -> str:
    """The keyed digest (HMAC-SHA-256, 96 bits) of a value in a column."""
    mac = hmac.digest(key, f"{column}\x1f{text}".encode(), "sha256")
    return base64.b64encode(mac[:_DIGEST_BYTES]).decode()


def _recorded(spec: ColumnSpec, value: Value, key: bytes) -> RecordValue:
    if value is None:
        return None
    if spec.name == "status":
        return status_word(str(value))
    match value:
        case (Plate() as plate, _):
            return plate.canonical
        case Season():
            return value.text
        case date():
            text = value.isoformat()
            return text if spec.name in _PLAIN_COLUMNS else digest(key, spec.name, text)
        case str():
            personal = spec.kind in _DIGESTED and spec.attribute is None
            return digest(key, spec.name, value) if personal else value
        case int():
            return value
    raise TypeError(f"column {spec.name} has a value of no known kind")


def _of_plates(spec: ColumnSpec, plates: tuple[RegisteredPlate, ...], place: dict[str, int]) -> RecordValue:
    index = place[spec.kind]
    place[spec.kind] += 1
    if index >= len(plates):
        return None
    one = plates[index]
    if spec.kind == "plate":
        return one.plate.canonical
    return one.season.text if one.season else None


def _of_card(spec: ColumnSpec, card: CardNumber) -> RecordValue:
    match spec.kind:
        case "card_scheme":
            return card.scheme
        case "symbology":
            return str(card.symbology) if card.symbology else None
        case _:
            return card.text
