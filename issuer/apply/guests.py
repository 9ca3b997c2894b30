"""Handlers of a visit to a case: a valid cookie, a form of this visit where something changes, the case as it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from litestar import Response
from litestar.exceptions import HTTPException
from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.apply.answers import line_of
from issuer.cases import access, steps, store
from issuer.cases.access import VISIT_LIFETIME, CaseVisit, find_visit
from issuer.cases.facts import CaseFacts, CaseKind
from issuer.cases.states import CaseState
from issuer.cases.store import Case, CaseActor
from issuer.errors import IssuerRefusal
from issuer.holders import Holder
from issuer.web import rates
from issuer.web.reader import AnyRequest, Reader, reader_of
from passes.periods import berlin_day

ACTOR: Final = "holder"
# What a redirect may have the next page say.
_TOLD: Final = frozenset(
    {
        "MAILED", "UPLOADED", "REMOVED", "WITHDRAWN", "SENT", "HANDED_IN", "MOVED", "PAYMENTS_OFF",
        "PAYMENT_DONE", "PAYMENT_OPEN", "NOT_NOW", "PROVEN", "PROOF_NAME", "PROOF_ADDRESS", "PROOF_BOTH",
        "PROOF_OTHER", "PROOF_GONE", "PROOF_TWICE",
    }
)  # fmt: skip
_JUST_SENT: Final = (CaseState.SUBMITTED, CaseState.SECOND_LOOK)
# Those that say that something did not work.
_SAD: Final = frozenset(
    {
        "MOVED", "PAYMENTS_OFF", "PAYMENT_OPEN", "NOT_NOW", "PROOF_NAME", "PROOF_ADDRESS", "PROOF_BOTH",
        "PROOF_OTHER", "PROOF_GONE", "PROOF_TWICE",
    }
)  # fmt: skip


class NoCaseVisit(HTTPException):
    """The cookie stands for no visit, or for one that is over, or its case has been deleted."""

    status_code = 403


class ForeignCaseForm(HTTPException):
    """A form that did not come from a page of this visit."""

    status_code = 403


class NoDraft(HTTPException):
    """The case is no draft of a new permit (any more): its own page says how it stands."""

    status_code = 409


class TooOften(HTTPException):
    """More tries than `issuer.web.rates` allows."""

    status_code = 429

    def __init__(self, rate: rates.Rate) -> None:
        super().__init__()
        self.rate = rate


# What a page changes of a draft: facts and person before, facts and person after.
Change = Callable[[CaseFacts, Holder | None], tuple[CaseFacts, Holder | None]]


@dataclass(frozen=True, slots=True)
class Guest:
    """Somebody with a visit to ``case``; ``person`` is who asks, as far as they have said so."""

    application: Application
    reader: Reader
    visit: CaseVisit
    case: Case
    person: Holder | None

    @property
    def today(self) -> date:
        """The day in Europe/Berlin."""
        return berlin_day(self.application.now())

    @property
    def tenant(self) -> str:
        """The city's tenant."""
        return self.application.tenant

    def actor(self, version: int | None = None) -> CaseActor:
        """The holder as the audit trail names them; never who they are."""
        return CaseActor(ACTOR, self.application.now(), version)

    def check(self, session: Session) -> None:
        """In a writing transaction: see that the visit has not been ended meanwhile. Raises NoCaseVisit."""
        if find_visit(session, self.application, self.visit.token) is None:
            raise NoCaseVisit

    def limit(self, session: Session, rate: rates.Rate, who: str = "") -> None:
        """Count a try in a writing transaction, by default of this case. Raises TooOften."""
        if not rates.take(session, self.application, rate, who or self.case.id):
            raise TooOften(rate)

    def save(self, change: Change) -> Case:
        """Store what ``change`` makes of the draft as it is now. Raises NoCaseVisit, NoDraft."""
        with self.application.writing() as session:
            self.check(session)
            return self.save_in(session, change)

    def save_in(self, session: Session, change: Change) -> Case:
        """As `save`, in the caller's writing transaction."""
        now = store.find(session, self.tenant, self.case.id)
        facts, person = change(now.facts, store.applicant(session, self.tenant, self.case.id))
        try:
            return steps.save_draft(session, self.tenant, self.case.id, self.actor(), facts, person)
        except IssuerRefusal as refusal:
            if refusal.code == "CASE_STEP":
                raise NoDraft from None
            raise

    def page(self, template: str, *, status: int = 200, **values: object) -> Response[Any]:
        """A page of the visit: as `Reader.shown`, with what all of them need."""
        told = self.reader.request.query_params.get("told", "")
        if told == "SENT" and self.case.state not in _JUST_SENT:
            # The page may be looked at again much later.
            told = ""
        return self.reader.shown(
            f"apply/{template}",
            status=status,
            form_token=self.visit.form_token,
            case=self.case,
            told=told if told in _TOLD else "",
            told_kind="warning" if told in _SAD else "success",
            **values,
        )


def guest_of(request: AnyRequest) -> Guest:
    """Who is on a visit. Raises NoCaseVisit."""
    application, reader = reader_of(request)
    with application.reading() as session:
        visit = find_visit(session, application, reader.cookie(access.COOKIE))
        if visit is None:
            raise NoCaseVisit
        try:
            case = store.find(session, application.tenant, visit.case_id)
        except IssuerRefusal:
            raise NoCaseVisit from None
        person = store.applicant(session, application.tenant, visit.case_id)
    return Guest(application, reader, visit, case, person)


def acting_guest_of(request: AnyRequest, data: Mapping[str, Any]) -> Guest:
    """Who is on a visit and has sent the form ``data`` from one of its pages. Raises NoCaseVisit, ForeignCaseForm."""
    guest = guest_of(request)
    if not guest.reader.is_from_here() or not guest.visit.accepts(line_of(data, "form_token")):
        raise ForeignCaseForm
    return guest


def drafting_guest_of(request: AnyRequest, data: Mapping[str, Any] | None = None) -> Guest:
    """As `guest_of`, or with ``data`` as `acting_guest_of`, of a draft of a new permit. Raises NoDraft besides."""
    guest = guest_of(request) if data is None else acting_guest_of(request, data)
    if guest.case.state is not CaseState.DRAFT or guest.case.kind is not CaseKind.NEW:
        raise NoDraft
    return guest


def with_visit(reader: Reader, response: Response[Any], visit: CaseVisit | None) -> Response[Any]:
    """``response`` with the cookie of ``visit``, or with none any more."""
    token = visit.token if visit is not None else None
    return reader.with_cookie(response, access.COOKIE, token, max_age=int(VISIT_LIFETIME.total_seconds()))
