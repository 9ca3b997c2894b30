"""An office with rules that tests set, and people who ask it for permits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from issuer.application import Application
from issuer.cases import access, issue, steps, store
from issuer.cases.facts import CaseFacts, CaseKind, Channel, PlateFact
from issuer.cases.rules import Check, CheckOutcome
from issuer.cases.states import CaseState
from issuer.cases.store import Case, CaseActor
from issuer.holders import Holder
from tests.service import PERMIT, SetClock

HOLDER, CLERK, OTHER_CLERK = "holder", "staff:1", "staff:2"
ERIKA = Holder(
    ref="", family_name="Mustermann", given_name="Erika", street="Pastorswiesenring", house_number="31",
    postal_code="40474", city="Düsseldorf", email="erika@example.org",
)  # fmt: skip
WANTED = CaseFacts(
    permit_kind="standard", zone="BÖ", plates=(PlateFact("D-XY 77"),), term_months=12, first_day=date(2026, 12, 1),
    keeper="holder", residence="main",
)  # fmt: skip
RESIDENCE = Check("resident", CheckOutcome.EVIDENCE, ("residence_certificate",))


@dataclass
class SetRules:
    """Rules as tests want them."""

    found: list[Check] = field(default_factory=list)
    cents: int = 2500
    exceptions: tuple[str, ...] = ("two_plates", "changing_vehicles", "carsharing")

    def checks(self, facts: CaseFacts, person: Holder, day: date) -> Sequence[Check]:
        return self.found

    def change_checks(
        self, type_id: str, number: str, facts: CaseFacts, person: Holder, day: date
    ) -> Sequence[Check]:
        return []

    def fee_cents(self, kind: CaseKind, facts: CaseFacts, channel: Channel, day: date) -> int:
        return 0 if kind is CaseKind.CHANGE else self.cents

    def is_exception(self, facts: CaseFacts, day: date) -> bool:
        return facts.permit_kind in self.exceptions

    def plate_changes_left(self, type_id: str, number: str, day: date) -> int:
        return 3


@dataclass
class Office:
    """One service and what is done there, each step in a transaction of its own."""

    application: Application
    rules: SetRules = field(default_factory=SetRules)

    @property
    def clock(self) -> SetClock:
        clock = self.application.now
        assert isinstance(clock, SetClock)
        return clock

    def by(self, name: str, version: int | None = None) -> CaseActor:
        return CaseActor(name, self.application.now(), version)

    def draft(
        self,
        facts: CaseFacts = WANTED,
        person: Holder = ERIKA,
        kind: CaseKind = CaseKind.NEW,
        about: str | None = None,
    ) -> Case:
        with self.application.writing() as session:
            tenant = self.application.tenant
            begun = store.begin(
                session, tenant, kind, PERMIT, Channel.ONLINE, self.by(HOLDER), pass_number=about
            )
            return steps.save_draft(session, tenant, begun.id, self.by(HOLDER), facts, person)

    def submitted(self, facts: CaseFacts = WANTED, person: Holder = ERIKA, **more: object) -> Case:
        drafted = self.draft(facts, person, **more)  # type: ignore[arg-type]
        with self.application.writing() as session:
            return steps.submit(session, self.application.tenant, drafted.id, self.by(HOLDER), self.rules)

    def approved(self, facts: CaseFacts = WANTED, person: Holder = ERIKA, **more: object) -> Case:
        case = self.submitted(facts, person, **more)
        with self.application.writing() as session:
            return issue.approve(session, self.application, case.id, self.by(CLERK), self.rules)

    def case(self, case_id: str) -> Case:
        with self.application.reading() as session:
            return store.find(session, self.application.tenant, case_id)

    def state(self, case_id: str) -> CaseState:
        return self.case(case_id).state

    def link(self, case_id: str) -> str:
        """The token of a new link to the case."""
        with self.application.writing() as session:
            return access.create_link(session, self.application, case_id).rpartition("/")[2]


def somebody_else() -> Holder:
    return replace(ERIKA, given_name="Max", email="")
