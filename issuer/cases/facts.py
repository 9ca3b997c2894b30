"""What a case asks for: typed, bounded, and saved bit by bit while somebody still fills it in."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any

import msgspec

from issuer.errors import IssuerRefusal
from passes.model import RegisteredPlate
from passes.plates import Plate, check_season_length
from passes.seasons import Season

MOST_PLATES = 2
_Short = Annotated[str, msgspec.Meta(max_length=40)]
_Line = Annotated[str, msgspec.Meta(max_length=200)]


class CaseKind(StrEnum):
    """What is asked for."""

    NEW = "new"
    CHANGE = "change"
    RENEWAL = "renewal"


class Channel(StrEnum):
    """How a case came in: by the holder's own browser, or at the counter."""

    ONLINE = "online"
    COUNTER = "counter"


class PlateFact(msgspec.Struct, frozen=True):
    """A plate as it was typed and accepted, with its season where it has one."""

    plate: _Short
    season: _Short | None = None


class ProofCredential(StrEnum):
    """By which credential of a wallet somebody has proven where they live."""

    PID = "pid"
    RESIDENCE_CERTIFICATE = "residence_certificate"


class ResidenceProof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """That a wallet has shown the name and main residence of who asks: by which credential, whose, when (aware).

    What it said is not kept. ``issuer`` is the organisation in the issuer's certificate; ``person`` a keyed digest of
    who was shown (`issuer.cases.proofs.shown_key`), empty where it was proven before there were any.
    """

    credential: ProofCredential
    issuer: _Line
    at: datetime
    person: _Line = ""


class CaseFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the holder has said so far; whatever is still missing has its default.

    ``zone`` follows from the address, it is never chosen. ``keeper`` is ``holder``, or ``other`` for a car that
    somebody else keeps; ``residence`` is ``main`` or ``secondary``. ``residence_proof`` holds for the name and
    address as they are: another one ends it.
    """

    permit_kind: _Short = ""
    zone: _Short = ""
    plates: Annotated[tuple[PlateFact, ...], msgspec.Meta(max_length=MOST_PLATES)] = ()
    organisation: _Line = ""
    term_months: Annotated[int, msgspec.Meta(ge=0, le=120)] = 0
    first_day: date | None = None
    keeper: _Short = ""
    residence: _Short = ""
    residence_proof: ResidenceProof | None = None


def facts_of(stored: dict[str, Any]) -> CaseFacts:
    """The facts of a stored case. A fault of ours if they are none: msgspec.ValidationError."""
    return msgspec.convert(stored, CaseFacts)


def stored_facts(facts: CaseFacts) -> dict[str, Any]:
    """``facts`` as they are stored."""
    stored: dict[str, Any] = msgspec.to_builtins(facts)
    return stored


def with_plates(facts: CaseFacts, plates: tuple[RegisteredPlate, ...]) -> CaseFacts:
    """``facts`` with other plates."""
    given = tuple(PlateFact(one.plate.canonical, one.season.text if one.season else None) for one in plates)
    return msgspec.structs.replace(facts, plates=given)


def plates_of(facts: CaseFacts) -> tuple[RegisteredPlate, ...]:
    """The plates that ``facts`` name.

    Raises PassRefusal for what is none, IssuerRefusal PLATES_SAME for two alike.
    """
    plates: list[RegisteredPlate] = []
    for one in facts.plates:
        plate = Plate.parse(one.plate)
        season = Season.parse(one.season) if one.season else None
        if season is not None:
            check_season_length(plate)
        plates.append(RegisteredPlate(plate, season))
    if len({one.plate.key for one in plates}) != len(plates):
        raise IssuerRefusal("PLATES_SAME", plate=plates[0].plate.canonical)
    return tuple(plates)


def missing(kind: CaseKind, facts: CaseFacts) -> list[str]:
    """The fields that must be filled in before a case of ``kind`` can be submitted, in the order of the pages."""
    needed: list[str] = []
    if kind is CaseKind.NEW:
        needed += [
            name for name in ("zone", "permit_kind", "keeper", "residence") if not getattr(facts, name)
        ]
        if facts.first_day is None:
            needed.append("first_day")
        if facts.permit_kind == "carsharing" and not facts.organisation:
            needed.append("organisation")
    plated = kind is CaseKind.CHANGE or facts.permit_kind in ("standard", "two_plates")
    if plated and not facts.plates:
        needed.append("plates")
    if kind is not CaseKind.CHANGE and not facts.term_months:
        needed.append("term_months")
    return needed
