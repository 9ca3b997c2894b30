"""The values of an Apple pass that differ from pass to pass: German, in NFC, as JSON strings in UTF-8."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from keys.texts import texts
from passes import display
from passes.apple_models import time_text
from passes.card_numbers import CardNumber, Symbology
from passes.errors import PassRefusal
from passes.model import City, DisplayMode, PassContent, PassStatus
from passes.pass_types import FieldSpec, PassType
from passes.periods import BERLIN
from passes.zones import Zone

#: What Apple calls the symbologies of card numbers. The order is the one in which a pass has those that show its
#: number: first the four that phones draw from iOS 27 on (a card has one of them at most), then what stands in.
SYMBOLOGIES: Final = {
    "Codabar": Symbology.CODABAR, "Code39": Symbology.CODE_39, "EAN13": Symbology.EAN_13, "I2of5": Symbology.ITF,
    "Code128": Symbology.CODE_128, "QR": Symbology.QR,
}  # fmt: skip
_NOON = time(12)

# None or empty: the pass does not have the value.
Value = Callable[[PassContent], bytes | None]
#: A value as JSON bytes.
JSON = msgspec.json.Encoder().encode


class Days(NamedTuple):
    """A day in Europe/Berlin as Apple writes times, in JSON: its noon, its start and the start of the next."""

    noon: bytes
    start: bytes
    end: bytes


@lru_cache(maxsize=4096)
def days(day: date) -> Days:
    """The times of ``day``, a day in Europe/Berlin."""
    start = datetime.combine(day, time.min, BERLIN)
    end = datetime.combine(day + timedelta(days=1), time.min, BERLIN)
    noon = datetime.combine(day, _NOON, BERLIN)
    return Days(*[JSON(time_text(moment)) for moment in (noon, start, end)])


def json_text(text: str | None) -> bytes | None:
    """``text`` in NFC as JSON; None for nothing. Raises UnicodeEncodeError for half a character."""
    if not text:
        return None
    return JSON(text if text.isascii() else unicodedata.normalize("NFC", text))


# A city has some dozens of zones.
@lru_cache(maxsize=1024)
def _zone_text(zone: Zone) -> bytes | None:
    return json_text(f"{zone.code} {zone.name}")


def field_value(spec: FieldSpec, pass_type: PassType, city: City) -> tuple[Value, bool] | None:
    """How a field gets its German text from a pass, and whether it is a day; None for a static one."""
    match spec.key:
        case "number":
            return lambda content: json_text(content.number), False
        case "valid_from":
            return lambda content: days(content.period.first).noon, True
        case "valid_until":
            return lambda content: days(content.period.last).noon, True
        case "vehicle":
            return lambda content: json_text(display.vehicle_text(content, pass_type, "de")), False
        case "zone_code":
            return _zone_code, False
        case "display_hint":
            return _display_hint(pass_type, city), False
        case "contact":
            return None
        case "reminder":
            return _reminder, False
        case "standing":
            return _standing(pass_type), False
    if spec.key in pass_type.words("de").texts:
        return None
    return _attribute(spec.key, pass_type)


def _display_hint(pass_type: PassType, city: City) -> Value:
    """As `display.display_hint`, with both sentences made once: there is one for every pass."""
    if not pass_type.spec.stands_in_car:
        return lambda _: json_text("")
    paper, by_city = (
        json_text(display.display_sentence(mode, "de"))
        for mode in (DisplayMode.PAPER_REQUIRED, city.display_mode)
    )
    return lambda content: by_city if content.attributes.get("plates") else paper


def _standing(pass_type: PassType) -> Value:
    """As `display.standing_sentence`; a pass that is in order has no such field."""
    told = {one: display.standing_sentence(one, pass_type, "de") for one in PassStatus}
    made = {one: json_text(text) for one, text in told.items() if text}
    return lambda content: None if content.status is PassStatus.ACTIVE else made.get(content.status)


def _reminder(content: PassContent) -> bytes | None:
    """What the holder was reminded of, as long as it is so: a pass that holds no more has nothing to renew."""
    if content.reminded_days is None or content.status is not PassStatus.ACTIVE:
        return None
    return _reminder_text(content.reminded_days, content.period.last)


# Some days times the reminders of each.
@lru_cache(maxsize=128)
def _reminder_text(days_left: int, last: date) -> bytes | None:
    return json_text(display.reminder_sentence(days_left, last, "de"))


def _attribute(name: str, pass_type: PassType) -> tuple[Value, bool]:
    choices = pass_type.words("de").choices.get(name, {})
    say = texts("passes", "de")

    def text(content: PassContent) -> bytes | None:
        match content.attributes.get(name):
            case Zone() as zone:
                return _zone_text(zone)
            case None:
                return None
            case bool() as answer:
                return json_text(say("YES" if answer else "NO"))
            case tuple() as plates:
                return json_text(", ".join([one.plate.canonical for one in plates]))
            case str() as value:
                return json_text(choices.get(value, value))
            case other:
                return json_text(str(other))

    def day(content: PassContent) -> bytes | None:
        value = content.attributes.get(name)
        return days(value).noon if isinstance(value, date) else None

    declared = pass_type.attributes.get(name)
    is_day = declared is not None and declared.kind == "date"
    return (day if is_day else text), is_day


def _zone_code(content: PassContent) -> bytes | None:
    zone = content.attributes.get("zone")
    return json_text(zone.code) if isinstance(zone, Zone) else None


def shown_number(pass_type: PassType) -> Value:
    """What stands under the code, for staff to type in if it cannot be read: the card's number or the pass's."""
    number = _number(pass_type)
    return lambda content: json_text(number(content))


def number_code(form: str, pass_type: PassType) -> Value:
    """The card's number, or the pass's, if the symbology can encode it; else nothing: no such code."""
    # A QR code holds whatever stands there.
    symbology = SYMBOLOGIES.get(form) if form != "QR" else None
    number = _number(pass_type)

    def message(content: PassContent) -> bytes | None:
        text = number(content)
        if symbology is not None:
            try:
                CardNumber(text, None, symbology)
            except PassRefusal:
                return None
        return json_text(text)

    return message


def card_code(symbology: Symbology, pass_type: PassType) -> Value:
    """The card's number where ``symbology`` is one in which this card shows it (`CardNumber.symbologies`)."""

    def message(content: PassContent) -> bytes | None:
        card = pass_type.card_of(content)
        return JSON(card.text) if card is not None and symbology in card.symbologies else None

    return message


def _number(pass_type: PassType) -> Callable[[PassContent], str]:
    if pass_type.card_attribute is None:
        return lambda content: content.number

    def card_number(content: PassContent) -> str:
        card = pass_type.card_of(content)
        return content.number if card is None else card.text

    return card_number
