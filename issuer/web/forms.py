"""Reading the pages' forms: short texts, whatever a sender puts into them, and days in three fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Any, Final

from litestar.enums import RequestEncodingType
from litestar.params import Body

LONGEST_BODY: Final = 4096
FormData = Annotated[dict[str, Any], Body(media_type=RequestEncodingType.URL_ENCODED)]

_LONGEST_FIELD: Final = 100


def text_of(data: Mapping[str, Any], name: str) -> str:
    """The field ``name`` without blanks around it; empty if it is missing, repeated, or longer than any of ours."""
    value = data.get(name, "")
    return value.strip() if isinstance(value, str) and len(value) <= _LONGEST_FIELD else ""


@dataclass(slots=True)
class Form:
    """What somebody has typed, and by field the code of the sentence that says what is wrong with it."""

    values: dict[str, str]
    errors: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, data: Mapping[str, Any], *names: str) -> Form:
        """The fields ``names`` of ``data``."""
        return cls({name: text_of(data, name) for name in names})

    def last_day(self) -> date | None:
        """The day in the fields day, month, year; None notes an error for them."""
        parts = [self.values[name] for name in ("day", "month", "year")]
        try:
            if all(part.isascii() and part.isdigit() and len(part) <= 4 for part in parts):
                return date(int(parts[2]), int(parts[1]), int(parts[0]))
        except ValueError:
            pass
        self.errors["day"] = "PICKUP_DAY_MISSING" if not any(parts) else "PICKUP_DAY_WRONG"
        return None
