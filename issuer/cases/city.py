"""The city's rules as the steps of a case ask for them: `issuer.rules`, with the registers that are connected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final

import msgspec
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.cases.facts import CaseFacts, CaseKind, Channel, ResidenceProof, plates_of
from issuer.cases.rules import Check, CheckOutcome
from issuer.cases.states import CaseState
from issuer.cases.store import permits_of_shown, person_key
from issuer.errors import IssuerRefusal
from issuer.holders import Holder
from issuer.models import PassRow, RevisionRow
from issuer.models_cases import CaseRow
from issuer.rules.addresses import Address, StreetUnknown
from issuer.rules.city_rules import CityRules, load_rules
from issuer.rules.directory import find_address
from issuer.rules.eligibility import (
    ApplicationFacts,
    CheckResult,
    Confirmed,
    Refused,
    Vehicle,
    eligibility,
)
from issuer.rules.kinds import Check as RuleCheck
from issuer.rules.kinds import KindRules
from issuer.rules.quotes import Quote
from issuer.rules.sources.protocols import Person
from passes.model import PassStatus
from passes.periods import BERLIN

_YEAR = timedelta(days=365)
_HOLDING = (PassStatus.ACTIVE.value, PassStatus.SUSPENDED.value)
# What a register, or a document, can say of a car.
_OF_VEHICLES: Final = (RuleCheck.KEEPER, RuleCheck.OTHER_KEEPER, RuleCheck.GERMAN_REGISTRATION)

_NOTHING_AGAINST: Final = ("VEHICLES_AWAY", "VEHICLE_UNKNOWN")


@dataclass(frozen=True, slots=True)
class _Held:
    """A pass as the rules of a change look at it: its kind, and the keys of its plates."""

    kind: str
    plates: frozenset[str]


@dataclass(frozen=True, slots=True)
class CityCaseRules:
    """`issuer.cases.rules.CaseRules` of one city within one transaction."""

    session: Session
    application: Application
    type_id: str
    rules: CityRules

    @classmethod
    def of(cls, session: Session, application: Application, type_id: str) -> CityCaseRules:
        """The rules for permits of ``type_id``."""
        return cls(session, application, type_id, load_rules(session, application.tenant, type_id))

    def checks(self, facts: CaseFacts, person: Holder, day: date) -> Sequence[Check]:
        """What registers and rules say. Raises IssuerRefusal KIND_UNKNOWN, PassRefusal for a plate that is none."""
        if not facts.permit_kind:
            return []
        begins = facts.first_day or day
        address = Address(person.street, person.house_number, person.postal_code)
        asked = ApplicationFacts(
            person=Person(person.family_name, person.given_name),
            address=find_address(self.session, self.application.tenant, address, begins, self.rules.zones),
            zone_code=facts.zone,
            vehicles=tuple(Vehicle(one.plate, facts.keeper == "holder") for one in plates_of(facts)),
            running_permits=tuple(self._permits(person, facts.residence_proof, begins)),
        )
        found = eligibility(asked, self._kind(facts, day), self.application.sources, day)
        return [_check(one) for one in found.results]

    def change_checks(
        self, type_id: str, number: str, facts: CaseFacts, person: Holder, day: date
    ) -> Sequence[Check]:
        """Whose cars the new plates are: where no register says otherwise, the holder's word is enough.

        A car that was registered this morning is in no register's copy of last night, and only so many changes can
        be made in a year.
        More plates than the pass has are another kind of permit, and refused. Raises PassRefusal for a plate that is
        none, IssuerRefusal KIND_RULES.
        """
        held = self._held(type_id, number)
        kind = self.rules.kinds.on(day).get(held.kind)
        plates = plates_of(facts)
        if kind is None:
            return []
        if len(plates) > len(held.plates):
            return [Check("plates", CheckOutcome.REFUSED, (), "MORE_PLATES")]
        asked = ApplicationFacts(
            person=Person(person.family_name, person.given_name),
            address=StreetUnknown(),
            zone_code="",
            vehicles=tuple(
                Vehicle(one.plate, facts.keeper != "other")
                for one in plates
                if one.plate.key not in held.plates
            ),
        )
        rules = msgspec.structs.replace(
            kind, checks={name: kind.checks[name] for name in _OF_VEHICLES if name in kind.checks}
        )
        found = eligibility(asked, rules, self.application.sources, day)
        return [
            Check(_name(one), CheckOutcome.CONFIRMED, (), "KEEPER_BY_WORD")
            if one.reason in _NOTHING_AGAINST
            else _check(one)
            for one in found.results
        ]

    def fee_cents(self, kind: CaseKind, facts: CaseFacts, channel: Channel, day: date) -> int:
        """What it costs by the table; a change of plates costs nothing. Raises IssuerRefusal CASE_FEE."""
        if kind is CaseKind.CHANGE:
            return 0
        # A term that begins after a merge lies in the successor.
        zone = self.rules.zone_on(facts.zone, facts.first_day or day)
        code = facts.zone if zone is None else zone.zone.code
        found = self.rules.quote(code, channel.value, facts.term_months, day)
        if isinstance(found, Quote):
            return found.cents
        raise IssuerRefusal("CASE_FEE", zone=facts.zone, months=facts.term_months, reason=found.reason.value)

    def is_exception(self, facts: CaseFacts, day: date) -> bool:
        """Whether two people have to decide. Raises IssuerRefusal KIND_UNKNOWN."""
        return bool(facts.permit_kind) and self._kind(facts, day).second_person

    def plate_changes_left(self, type_id: str, number: str, day: date) -> int:
        """How often the plate may still be changed within twelve months without a clerk."""
        changed = (
            self.session.scalar(
                select(func.count())
                .select_from(CaseRow)
                .where(
                    CaseRow.tenant == self.application.tenant,
                    CaseRow.type_id == type_id,
                    CaseRow.pass_number == number,
                    CaseRow.kind == CaseKind.CHANGE.value,
                    CaseRow.state == CaseState.ISSUED.value,
                    CaseRow.state_since >= datetime.combine(day - _YEAR, time(), BERLIN),
                )
            )
            or 0
        )
        kind = self.rules.kinds.on(day).get(self._held(type_id, number).kind)
        return max(0, (kind.plate_changes_per_year if kind is not None else 0) - changed)

    def _held(self, type_id: str, number: str) -> _Held:
        """What the pass says today. One that is not there has nothing."""
        stored = self.session.scalar(
            select(RevisionRow.attributes).where(
                RevisionRow.tenant == self.application.tenant,
                RevisionRow.type_id == type_id,
                RevisionRow.number == number,
                RevisionRow.superseded_at.is_(None),
            )
        )
        told = stored or {}
        return _Held(told.get("permit_kind") or "", frozenset(plate for plate, _ in told.get("plates") or ()))

    def _kind(self, facts: CaseFacts, day: date) -> KindRules:
        return self.rules.kind(facts.permit_kind, day)

    def _permits(self, person: Holder, proof: ResidenceProof | None, day: date) -> Sequence[str]:
        tenant = self.application.tenant
        by_name = select(PassRow.number).where(
            PassRow.tenant == tenant,
            PassRow.type_id == self.type_id,
            PassRow.holder_ref == person_key(self.session, tenant, person),
            PassRow.status.in_(_HOLDING),
            PassRow.period_last >= day,
        )
        found = set(self.session.scalars(by_name))
        if proof is not None and proof.person:
            # The same person, under another of their given names.
            shown = permits_of_shown(tenant, self.type_id, proof.person, _HOLDING)
            found |= set(self.session.scalars(shown.where(PassRow.period_last >= day)))
        return sorted(found)


def _check(result: CheckResult) -> Check:
    evidence = () if isinstance(result, Confirmed | Refused) else result.evidence
    return Check(_name(result), _outcome(result), evidence, result.reason)


def _name(result: CheckResult) -> str:
    name = result.check.value
    return name if result.vehicle is None else f"{name}_{result.vehicle + 1}"


def _outcome(result: object) -> CheckOutcome:
    if isinstance(result, Confirmed):
        return CheckOutcome.CONFIRMED
    return CheckOutcome.REFUSED if isinstance(result, Refused) else CheckOutcome.EVIDENCE
