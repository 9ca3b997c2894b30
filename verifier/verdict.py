"""Verdicts: a colour, the reason for it, and the sentence that a warden or librarian reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum, IntEnum, StrEnum

from keys.texts import texts
from passes.periods import BERLIN
from passes.seal import SealedPerson


class Colour(StrEnum):
    """What the person checking sees first."""

    GREEN = "GREEN"
    AMBER = "AMBER"
    RED = "RED"
    GREY = "GREY"


class ExitCode(IntEnum):
    """What a program that runs the command line sees; 64 and 70 are of sysexits.h."""

    GREEN = 0
    RED = 1
    AMBER = 2
    GREY = 3
    USAGE = 64
    INTERNAL = 70


class Reason(Enum):
    """Every reason with its usual colour, in the order in which they win."""

    NOT_A_SEAL = Colour.GREY, 1
    MALFORMED = Colour.RED, 2
    NO_TRUST = Colour.GREY, 3
    UNKNOWN_KEY = Colour.RED, 4
    KEY_REVOKED = Colour.RED, 5
    TEST_KEY = Colour.RED, 6
    FORGED = Colour.RED, 7
    WRONG_TYPE = Colour.RED, 8
    CLOCK_WRONG = Colour.GREY, 9
    PLATE_INVALID = Colour.GREY, 10
    PLATE_AMBIGUOUS = Colour.AMBER, 11
    NOT_LISTED = Colour.RED, 12
    REVOKED = Colour.RED, 13
    SUPERSEDED = Colour.RED, 14
    SUSPENDED = Colour.RED, 15
    EXPIRED = Colour.RED, 16
    NOT_YET_VALID = Colour.RED, 17
    NO_LIST = Colour.GREY, 18
    STALE_LIST = Colour.AMBER, 19
    SUFFIX_DIFFERS = Colour.AMBER, 20
    OTHER_ZONE = Colour.AMBER, 21
    OUT_OF_SEASON = Colour.AMBER, 22
    NOT_FRESH = Colour.AMBER, 23
    VALID = Colour.GREEN, 24

    @property
    def colour(self) -> Colour:
        """The colour this reason usually has; stale lists can soften UNKNOWN_KEY and NOT_LISTED."""
        return self.value[0]


class Freshness(StrEnum):
    """What is known of a rotating code's time; ``none`` for a static seal."""

    FRESH = "fresh"
    STALE = "stale"
    NOT_CHECKED = "not_checked"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one check. Content fields are None unless the signature held.

    ``list_issued_at`` is the signed time of the list that decided, ``at`` the time of the check (both
    aware). ``note`` is the code of a sentence that says more than the reason's own; ``params`` fill it.
    """

    reason: Reason
    at: datetime
    colour: Colour | None = None
    test: bool = False
    type_id: str | None = None
    number: str | None = None
    plates: tuple[str, ...] | None = None
    zone: str | None = None
    card_number: str | None = None
    organisation: str | None = None
    person: SealedPerson | None = None
    valid_from: date | None = None
    valid_until: date | None = None
    list_issued_at: datetime | None = None
    freshness: Freshness = Freshness.NONE
    suggestions: tuple[str, ...] = ()
    paper_required: bool = False
    corrected: str | None = None
    note: str | None = None
    params: dict[str, object] = field(default_factory=dict)

    @property
    def verdict(self) -> Colour:
        """The colour."""
        return self.colour or self.reason.colour

    @property
    def list_age_seconds(self) -> int | None:
        """Seconds between the list's signed time and the check; never below zero."""
        if self.list_issued_at is None:
            return None
        return max(0, int((self.at - self.list_issued_at).total_seconds()))

    def message(self, language: str = "de") -> str:
        """The reason as one or two sentences in ``de`` or ``en``."""
        say = texts("verifier", language)
        code = self.reason.name
        if self.verdict is not self.reason.colour:
            code = f"{code}_{self.verdict.name}"
        known: dict[str, object] = {
            "number": self.number or "",
            "zone": self.zone or "",
            "first": day_text(self.valid_from),
            "last": day_text(self.valid_until),
            "list_time": "" if self.list_issued_at is None else clock_text(self.list_issued_at),
            "age": _age(self.list_age_seconds, language),
            "suggestions": ", ".join(self.suggestions),
            **self.params,
        }
        sentences = [say("TEST")] if self.test else []
        sentences.append(say(self.note or code, **known))
        if self.corrected:
            sentences.append(say("CORRECTED", plate=self.corrected))
        if self.paper_required and self.verdict in (Colour.GREEN, Colour.AMBER):
            sentences.append(say("PAPER_REQUIRED"))
        return " ".join(sentences)

    def as_json(self, language: str = "de") -> dict[str, object]:
        """The verdict as a program reads it: the fields of the contract, days as ``YYYY-MM-DD``."""
        made: dict[str, object] = {
            "verdict": self.verdict.value,
            "reason": self.reason.name,
            "message": self.message(language),
            "type": self.type_id,
            "number": self.number,
            "plates": None if self.plates is None else list(self.plates),
            "zone": self.zone,
            "card_number": self.card_number,
            "organisation": self.organisation,
            "valid_from": None if self.valid_from is None else self.valid_from.isoformat(),
            "valid_until": None if self.valid_until is None else self.valid_until.isoformat(),
            "list_age_seconds": self.list_age_seconds,
            "list_time": (
                None if self.list_issued_at is None else self.list_issued_at.astimezone(BERLIN).isoformat()
            ),
            "freshness": self.freshness.value,
            "test": self.test,
            "suggestions": list(self.suggestions),
        }
        if self.person is not None:
            # Only proofs of a person have one; every other verdict has the fields of the contract and no more.
            made["person"] = {
                "full_name": self.person.full_name,
                "birth_date": self.person.birth_date.isoformat(),
                "address": list(self.person.address),
            }
        return made


# Several verdicts at once count as the worst of them.
_SEVERITY = {Colour.GREEN: 0, Colour.AMBER: 1, Colour.GREY: 2, Colour.RED: 3}


def severity(verdict: Verdict) -> int:
    """How bad a verdict is: GREEN 0, AMBER 1, GREY 2, RED 3."""
    return _SEVERITY[verdict.verdict]


def exit_code(worst: Verdict) -> ExitCode:
    """The exit code for the worst verdict of a run."""
    return ExitCode[worst.verdict.name]


def day_text(day: date | None) -> str:
    """A day as people read it; empty for none."""
    return "" if day is None else day.strftime("%d.%m.%Y")


def clock_text(at: datetime) -> str:
    """An aware time as people read it, Europe/Berlin."""
    return at.astimezone(BERLIN).strftime("%d.%m.%Y %H:%M")


def _age(seconds: int | None, language: str) -> str:
    say = texts("verifier", language)
    if seconds is None:
        return ""
    if seconds < 7200:
        return say("AGE_MINUTES", count=seconds // 60)
    if seconds < 172800:
        return say("AGE_HOURS", count=seconds // 3600)
    return say("AGE_DAYS", count=seconds // 86400)
