"""The page of a case: how it stands, and what its holder can do now: pay, withdraw, fetch the pass."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get, post

from issuer.apply import journey
from issuer.apply.asking import kind_of, rules_of
from issuer.apply.evidence_needs import needed
from issuer.apply.forms import PageForm
from issuer.apply.guests import Guest, acting_guest_of, guest_of, with_visit
from issuer.apply.standing import standing_of
from issuer.cases import access, steps
from issuer.cases.case_payments import begin_for_case
from issuer.cases.facts import CaseKind
from issuer.cases.states import RULES, CaseState, CaseStep
from issuer.cases.store import find
from issuer.errors import IssuerRefusal
from issuer.payments.service import start_path
from issuer.pickup.links import PATH, Channel, create_link
from issuer.pickup.standing import held_pass
from issuer.web import rates
from issuer.web.reader import AnyRequest

_PATH: Final = "/apply/case"
# Refusals of a payment for which the page has a sentence.
_PAYMENTS: Final = {
    "PAYMENTS_OFF": "PAYMENTS_OFF", "PAYMENTS_DEMO_ONLY": "PAYMENTS_OFF", "PAYMENT_DONE": "PAYMENT_DONE",
    "PAYMENT_OPEN": "PAYMENT_OPEN", "CASE_STEP": "MOVED",
}  # fmt: skip


@get("/apply/case", sync_to_thread=True)
def case(request: AnyRequest) -> Response[Any]:
    """How the case stands; a draft that somebody fills in goes on where it was left."""
    guest = guest_of(request)
    if guest.case.state is CaseState.DRAFT and guest.case.kind is CaseKind.NEW:
        return guest.reader.go(_next_path(guest))
    with guest.application.reading() as session:
        shown = standing_of(session, guest)
    wallet = guest.case.state is CaseState.DOCUMENTS and bool(needed(guest).credentials)
    return guest.page("case.html", shown=shown, state=guest.case.state.value, wallet=wallet)


@post("/apply/case/pay", status_code=303, sync_to_thread=True)
def pay(request: AnyRequest, data: PageForm) -> Response[Any]:
    """On to the payment: a new one, or the one that is open."""
    guest = acting_guest_of(request, data)
    try:
        with guest.application.writing() as session:
            guest.check(session)
            now = find(session, guest.tenant, guest.case.id)
            row = begin_for_case(session, guest.application, now, actor="holder")
            path = start_path(row.id)
    except IssuerRefusal as refusal:
        if refusal.code not in _PAYMENTS:
            raise
        return guest.reader.go(_PATH, told=_PAYMENTS[refusal.code])
    return guest.reader.go(path)


@get("/apply/case/withdraw", sync_to_thread=True)
def ask_withdraw(request: AnyRequest) -> Response[Any]:
    """What withdrawing means, with the button that does it."""
    guest = guest_of(request)
    if CaseStep.WITHDRAW not in RULES[guest.case.state].steps:
        return guest.reader.go(_PATH)
    return guest.page("withdraw.html", is_draft=guest.case.state is CaseState.DRAFT)


@post("/apply/case/withdraw", status_code=303, sync_to_thread=True)
def withdraw(request: AnyRequest, data: PageForm) -> Response[Any]:
    """Withdraw. Whoever was quicker, an office that decides or a second click, is shown."""
    guest = acting_guest_of(request, data)
    try:
        with guest.application.writing() as session:
            guest.check(session)
            steps.end(session, guest.tenant, guest.case.id, guest.actor(), CaseStep.WITHDRAW)
    except IssuerRefusal as refusal:
        if refusal.code != "CASE_STEP":
            raise
        return guest.reader.go(_PATH, told="MOVED")
    return guest.reader.go(_PATH, told="WITHDRAWN")


@post("/apply/case/pass", status_code=303, sync_to_thread=True)
def fetch_pass(request: AnyRequest, data: PageForm) -> Response[Any]:
    """On to the pick-up pages, by a link of ten minutes."""
    guest = acting_guest_of(request, data)
    number = guest.case.pass_number
    if guest.case.state is not CaseState.ISSUED or number is None:
        return guest.reader.go(_PATH, told="MOVED")
    with guest.application.writing() as session:
        guest.check(session)
        if held_pass(session, guest.application, guest.case.type_id, number) is None:
            return guest.reader.go(_PATH, told="NOT_NOW")
        guest.limit(session, rates.LINKS_OF_VISIT, guest.visit.token)
        link = create_link(session, guest.application, guest.case.type_id, number, Channel.SCREEN)
    return guest.reader.go(PATH + link.rpartition("/")[2])


@post("/apply/end", status_code=303, sync_to_thread=True)
def end(request: AnyRequest, data: PageForm) -> Response[Any]:
    """End the visit of this browser; the case stays."""
    guest = acting_guest_of(request, data)
    with guest.application.writing() as session:
        access.end_visit(session, guest.application, guest.visit)
    return with_visit(guest.reader, guest.reader.go("/apply"), None)


def _next_path(guest: Guest) -> str:
    with guest.application.reading() as session:
        kind = kind_of(guest, rules_of(session, guest))
    return journey.first_open(guest.case.facts, guest.person, kind).path


HANDLERS: Final = [case, pay, ask_withdraw, withdraw, fetch_pass, end]
