"""Whether an application fulfils the rules: what a source confirms, and what evidence is needed for the rest.

Pure: everything comes in, nothing is stored. A source that is away never refuses anybody and never blocks an
application; evidence takes its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

from issuer.rules.addresses import Address, AddressAnswer, NoZoneHere, ZoneFound
from issuer.rules.kinds import Check, KindRules
from issuer.rules.sources.protocols import (
    KeeperIs,
    KeeperIsOther,
    Person,
    Residence,
    ResidentUnclear,
    Resides,
    ResidesNot,
    SourceAway,
    Sources,
    VehicleUnknown,
)
from keys.texts import texts
from passes.plates import Plate

GERMANY = "D"


@dataclass(frozen=True, slots=True)
class Vehicle:
    """A vehicle as the applicant gives it. ``country`` is the distinguishing sign on the plate; a foreign vehicle has
    no ``plate`` here.
    """

    plate: Plate | None
    keeper_is_applicant: bool
    country: str = GERMANY


@dataclass(frozen=True, slots=True)
class ApplicationFacts:
    """What the checks need to know of an application.

    ``address`` is what `issuer.rules.directory.find_address` said on the permit's first day, ``zone_code`` the zone
    that is applied for, ``running_permits`` the applicant's other permits that hold on the permit's first day or
    later (not the one that is renewed), ``has_garage`` the applicant's own word.
    """

    person: Person
    address: AddressAnswer
    zone_code: str
    vehicles: tuple[Vehicle, ...] = ()
    running_permits: tuple[str, ...] = ()
    has_garage: bool = False


@dataclass(frozen=True, slots=True)
class _Result:
    """``vehicle`` counts the application's vehicles from 0; None for a check that is not about one."""

    check: Check
    reason: str
    vehicle: int | None = None

    def sentence(self, language: str = "de") -> str:
        """The result as a sentence for applicant and clerk."""
        return texts("issuer", language)(f"ELIGIBILITY_{self.reason}")


@dataclass(frozen=True, slots=True)
class Confirmed(_Result):
    """A source, or the application itself, answers the check; nothing needs to be handed in."""


@dataclass(frozen=True, slots=True)
class EvidenceNeeded(_Result):
    """Evidence of one of these types answers the check."""

    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused(_Result):
    """The rules forbid it, and no evidence would change that."""


@dataclass(frozen=True, slots=True)
class Unanswered(_Result):
    """The source is away (``source_reason`` says how): evidence of one of these types answers the check."""

    evidence: tuple[str, ...] = ()
    source_reason: str = ""


CheckResult = Confirmed | EvidenceNeeded | Refused | Unanswered


@dataclass(frozen=True, slots=True)
class Eligibility:
    """The results of all checks that the kind has, in a fixed order."""

    results: tuple[CheckResult, ...]

    @property
    def verdict(self) -> Literal["confirmed", "evidence", "refused"]:
        """Whether everything is confirmed, evidence is needed, or a rule forbids it."""
        if any(isinstance(one, Refused) for one in self.results):
            return "refused"
        return "evidence" if self.open else "confirmed"

    @property
    def open(self) -> tuple[EvidenceNeeded | Unanswered, ...]:
        """The results that need evidence, each answered by one of its types."""
        return tuple(one for one in self.results if isinstance(one, EvidenceNeeded | Unanswered))


def eligibility(facts: ApplicationFacts, rules: KindRules, sources: Sources, day: date) -> Eligibility:
    """Check ``facts`` by ``rules``, asking ``sources`` about ``day``. Raises nothing."""
    return Eligibility(tuple(_results(facts, rules, sources, day)))


def _results(facts: ApplicationFacts, rules: KindRules, sources: Sources, day: date) -> Iterator[CheckResult]:
    if Check.RESIDENCE in rules.checks:
        yield _residence(facts, rules, sources, day)
    for place, vehicle in enumerate(facts.vehicles):
        if Check.GERMAN_REGISTRATION in rules.checks:
            if vehicle.country == GERMANY:
                yield Confirmed(Check.GERMAN_REGISTRATION, "GERMAN_PLATE", place)
            else:
                yield _against(rules, Check.GERMAN_REGISTRATION, "FOREIGN_PLATE", place)
        if Check.KEEPER in rules.checks:
            yield _keeper(facts.person, vehicle, place, rules, sources, day)
    if Check.ONE_PERMIT in rules.checks:
        if facts.running_permits:
            yield _against(rules, Check.ONE_PERMIT, "OTHER_PERMIT")
        else:
            yield Confirmed(Check.ONE_PERMIT, "NO_OTHER_PERMIT")
    if Check.NO_GARAGE in rules.checks:
        if facts.has_garage:
            yield _against(rules, Check.NO_GARAGE, "GARAGE")
        else:
            yield Confirmed(Check.NO_GARAGE, "NO_GARAGE")
    for check, reason in ((Check.JUSTIFICATION, "JUSTIFICATION"), (Check.ORGANISATION, "ORGANISATION")):
        if check in rules.checks:
            yield _against(rules, check, reason)


def _residence(facts: ApplicationFacts, rules: KindRules, sources: Sources, day: date) -> CheckResult:
    check, where = Check.RESIDENCE, facts.address
    if isinstance(where, NoZoneHere):
        return Refused(check, "NO_ZONE")
    if not isinstance(where, ZoneFound):
        # What the directory does not know, a person must look at: an address must never be a dead end.
        return _against(rules, check, "ADDRESS_UNCLEAR")
    if where.zone.zone.code != facts.zone_code:
        return Refused(check, "OTHER_ZONE")
    address = Address(where.street, where.house_number, where.postal_code)
    match sources.residents.residence(facts.person, address, day):
        case Resides(Residence.SECONDARY) if rules.residence == "main":
            return Refused(check, "SECONDARY_RESIDENCE")
        case Resides():
            return Confirmed(check, "RESIDENT")
        case ResidesNot():
            return _against(rules, check, "NOT_RESIDENT")
        case ResidentUnclear():
            return _against(rules, check, "RESIDENT_UNCLEAR")
        case SourceAway(reason):
            return Unanswered(check, "RESIDENTS_AWAY", None, rules.checks[check], reason)


def _keeper(
    person: Person, vehicle: Vehicle, place: int, rules: KindRules, sources: Sources, day: date
) -> CheckResult:
    if vehicle.plate is None:
        reason = "FOREIGN_KEEPER" if vehicle.keeper_is_applicant else "OTHER_KEEPER"
        check = Check.KEEPER if vehicle.keeper_is_applicant else Check.OTHER_KEEPER
        return _against(rules, check, reason, place)
    answer = sources.vehicles.keeper(vehicle.plate, person, day)
    if isinstance(answer, KeeperIs):
        return Confirmed(Check.KEEPER, "KEEPER", place)
    if not vehicle.keeper_is_applicant:
        return _against(rules, Check.OTHER_KEEPER, "OTHER_KEEPER", place)
    match answer:
        case KeeperIsOther():
            return _against(rules, Check.OTHER_KEEPER, "KEEPER_DIFFERS", place)
        case VehicleUnknown():
            return _against(rules, Check.KEEPER, "VEHICLE_UNKNOWN", place)
        case SourceAway(reason):
            return Unanswered(Check.KEEPER, "VEHICLES_AWAY", place, rules.checks[Check.KEEPER], reason)


def _against(rules: KindRules, check: Check, reason: str, vehicle: int | None = None) -> CheckResult:
    """What is not confirmed needs evidence; where the rules accept none, it is refused."""
    evidence = rules.checks.get(check, ())
    return EvidenceNeeded(check, reason, vehicle, evidence) if evidence else Refused(check, reason, vehicle)
