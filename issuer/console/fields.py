"""Fields of the office's longer forms. What is wrong with one is a sentence here, not a code: many name values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from issuer.console.desk import Desk
from issuer.web.forms import Form, text_of
from keys.errors import Refusal

LONGEST_TEXT: Final = 4000


def long_text_of(data: Mapping[str, Any], name: str) -> str:
    """A text of several lines; empty if it is missing, repeated, or longer than any of ours."""
    value = data.get(name, "")
    return value.strip() if isinstance(value, str) and len(value) <= LONGEST_TEXT else ""


def version_of(data: Mapping[str, Any]) -> int:
    """The version of the case that the page showed; -1, which no case has, for anything that is none."""
    text = text_of(data, "version")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else -1


def require(desk: Desk, form: Form, *names: str) -> None:
    """Note each of ``names`` that is empty."""
    for name in names:
        if not form.values[name]:
            form.errors[name] = desk.reader.say("DESK_FIELD_MISSING")


def note_refusal(desk: Desk, form: Form, field: str, refusal: Refusal) -> None:
    """Note why ``field`` cannot be as it is."""
    form.errors[field] = refusal.sentence(desk.reader.language)


def day_of(desk: Desk, form: Form, prefix: str) -> date | None:
    """The day in the fields ``<prefix>_day``, ``_month``, ``_year``; None notes an error at the first of them."""
    parts = [form.values[f"{prefix}_{name}"] for name in ("day", "month", "year")]
    try:
        if all(part.isascii() and part.isdecimal() and len(part) <= 4 for part in parts):
            return date(int(parts[2]), int(parts[1]), int(parts[0]))
    except ValueError:
        pass
    form.errors[f"{prefix}_day"] = desk.reader.say("DESK_DAY_WRONG")
    return None


def options(pairs: Mapping[str, str], chosen: str = "") -> list[dict[str, Any]]:
    """Choices for a select or radio buttons: ``pairs`` of value and label."""
    return [{"value": value, "label": label, "chosen": value == chosen} for value, label in pairs.items()]
