"""What a pass says, in words: one set of values for Apple, Google and print, so that all say the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from keys.texts import texts
from passes.card_numbers import CardNumber
from passes.model import Attribute, City, DisplayMode, PassContent, PassStatus
from passes.pass_types import PassType
from passes.type_file import ComposedSpec
from passes.zones import Zone


@dataclass(frozen=True, slots=True)
class Shown:
    """A value with its label as people read it; ``day`` is set where the value is a date (Europe/Berlin)."""

    key: str
    label: str
    text: str
    day: date | None = None


def shown_fields(pass_type: PassType, content: PassContent, city: City, language: str) -> dict[str, Shown]:
    """The fields of ``content`` in the type's order; a field with nothing to say is left out.

    ``language`` is ``de`` or ``en``; others read German. Raises KeyError where the type's words lack a
    key, which loading the type has ruled out.
    """
    words = pass_type.words(language)
    shown: dict[str, Shown] = {}
    for spec in pass_type.spec.fields:
        text, day = _value(spec.key, pass_type, content, city, language)
        if text:
            shown[spec.key] = Shown(spec.key, words.labels[spec.key], text, day)
    return shown


def day_text(day: date, language: str) -> str:
    """A day as people write it: ``30.09.2027`` in German, ``30 September 2027`` in English."""
    return texts("keys", language)("DAY", day=day)


def display_hint(pass_type: PassType, content: PassContent, city: City, language: str) -> str:
    """Where the print has to be: empty for cards that do not stand in a car.

    A pass without a plate is in no plate list, so its print has to lie in the car whatever the city allows.
    """
    if not pass_type.spec.stands_in_car:
        return ""
    has_plate = bool(content.attributes.get("plates"))
    return display_sentence(city.display_mode if has_plate else DisplayMode.PAPER_REQUIRED, language)


def display_sentence(mode: DisplayMode, language: str) -> str:
    """What a display mode asks of the holder."""
    return texts("passes", language)(f"DISPLAY_{mode.name}")


def reminder_sentence(days: int, last: date, language: str) -> str:
    """What an Apple pass says once its holder has been reminded, ``days`` before the day ``last`` at most."""
    return texts("passes", language)("REMINDER", days=days, last=day_text(last, language))


def standing_sentence(status: PassStatus, pass_type: PassType, language: str) -> str:
    """What a pass says on its face while it does not hold; empty for one that is in order. It names no reason."""
    return pass_type.words(language).texts.get(f"standing_{status.value}", "")


def composed_lines(spec: ComposedSpec, attributes: Mapping[str, Attribute]) -> tuple[str, ...]:
    """The lines of a value that is made of several attributes; lines with nothing in them are left out."""
    lines = (" ".join(str(attributes[name]) for name in line if attributes.get(name)) for line in spec.lines)
    return tuple(line for line in lines if line)


def vehicle_text(content: PassContent, pass_type: PassType, language: str) -> str:
    """The plates, or the organisation whose cars are meant, or the words for changing vehicles."""
    plates = content.attributes.get("plates")
    if isinstance(plates, tuple) and plates:
        return ", ".join(
            one.plate.canonical if one.season is None else f"{one.plate.canonical} ({one.season.text})"
            for one in plates
        )
    organisation = content.attributes.get("organisation")
    if isinstance(organisation, str) and organisation:
        return organisation
    kind = content.attributes.get("permit_kind")
    return pass_type.words(language).choices.get("permit_kind", {}).get(str(kind), "")


def _value(
    key: str, pass_type: PassType, content: PassContent, city: City, language: str
) -> tuple[str, date | None]:
    match key:
        case "number":
            return content.number, None
        case "valid_from":
            return day_text(content.period.first, language), content.period.first
        case "valid_until":
            return day_text(content.period.last, language), content.period.last
        case "vehicle":
            return vehicle_text(content, pass_type, language), None
        case "zone_code":
            zone = content.attributes.get("zone")
            return (zone.code if isinstance(zone, Zone) else ""), None
        case "display_hint":
            return display_hint(pass_type, content, city, language), None
        case "contact":
            return city.contact, None
        case "standing":
            return standing_sentence(content.status, pass_type, language), None
        case "reminder":
            # Apple only: the others remind by a message (`passes.apple_values`).
            return "", None
    if key in pass_type.composed:
        return ", ".join(composed_lines(pass_type.composed[key], content.attributes)), None
    words = pass_type.words(language)
    if key in words.texts:
        return words.texts[key], None
    return _attribute_text(content.attributes.get(key), words.choices.get(key, {}), language)


def _attribute_text(
    value: Attribute | None, choices: dict[str, str], language: str
) -> tuple[str, date | None]:
    match value:
        case None:
            return "", None
        case bool():
            return texts("passes", language)("YES" if value else "NO"), None
        case Zone():
            return f"{value.code} {value.name}".strip(), None
        case CardNumber():
            return value.text, None
        case date():
            return day_text(value, language), value
        case tuple():
            return ", ".join(one.plate.canonical for one in value), None
        case str():
            return choices.get(value, value), None
        case int():
            return str(value), None
