"""What somebody has typed on a page, and what is wrong with it: as sentences, each at its field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from issuer.errors import IssuerRefusal
from keys.errors import Refusal
from keys.texts import Texts
from passes.names import FieldKind, normalise


def line_of(data: Mapping[str, Any], name: str) -> str:
    """The field ``name`` as it was typed, without blanks around it; empty if it is missing, repeated or a file.

    How long it may be is said by what reads it: the body has been bounded before.
    """
    value = data.get(name, "")
    return value.strip() if isinstance(value, str) else ""


@dataclass(slots=True)
class Answers:
    """The fields of a page by name, and the sentences for those that are not right."""

    values: dict[str, str]
    say: Texts
    errors: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, data: Mapping[str, Any], say: Texts, *names: str) -> Answers:
        """The fields ``names`` of ``data``."""
        return cls({name: line_of(data, name) for name in names}, say)

    def wrong(self, name: str, code: str, **params: object) -> None:
        """Note the sentence ``code`` at a field, unless one stands there."""
        self.errors.setdefault(name, self.say(code, **params))

    def refused(self, name: str, refusal: Refusal) -> None:
        """Note why what was typed is refused."""
        self.errors.setdefault(name, refusal.sentence(self.say.language))

    def tidy(self, name: str, kind: FieldKind = FieldKind.NAME) -> str:
        """The field as it is stored; what that cannot be is noted, and empty."""
        try:
            return normalise(self.values[name], kind)
        except Refusal as refusal:
            self.refused(name, refusal)
            return ""

    def choice(self, name: str, known: tuple[str, ...], code: str) -> str:
        """The field if it is one of ``known``; else empty, and noted as the sentence ``code``."""
        chosen = self.values[name]
        if chosen in known:
            return chosen
        self.wrong(name, code)
        return ""

    def day(self) -> date | None:
        """The day in the fields day, month, year; None, and noted at ``day``, for what is none."""
        parts = [self.values[name] for name in ("day", "month", "year")]
        if all(part.isascii() and part.isdigit() and len(part) <= 4 for part in parts):
            try:
                return date(int(parts[2]), int(parts[1]), int(parts[0]))
            except ValueError:
                pass
        self.wrong("day", "APPLY_DAY_WRONG")
        return None


def reason_sentence(refusal: Refusal, say: Texts) -> str:
    """A refusal of the rules in the words of a page: by the check's own sentence where there is one."""
    if isinstance(refusal, IssuerRefusal):
        own = f"ELIGIBILITY_{refusal.params.get('reason', '')}"
        if refusal.code == "CASE_REFUSED" and own in say:
            return say(own)
        # Numbers of permits that somebody else may hold are for nobody to read here.
        if f"APPLY_{refusal.code}" in say:
            return say(f"APPLY_{refusal.code}")
    return refusal.sentence(say.language)
