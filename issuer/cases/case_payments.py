"""Payments for cases: kind ``case``, ref the case's id. What the money brings about is committed with the payment."""

from __future__ import annotations

from typing import Final

from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.cases import issue
from issuer.cases.states import CaseState
from issuer.cases.store import Case, CaseActor, applicant, find
from issuer.errors import IssuerRefusal
from issuer.models_payments import PaymentRow
from issuer.payments.listeners import Listener, register
from issuer.payments.service import Purchase, begin
from keys.errors import KeyRefusal, Refusal
from keys.texts import LANGUAGES, texts

KIND: Final = "case"
CASE_PATH: Final = "/apply/case"
CHARGED_BACK: Final = "PAYMENT_CHARGED_BACK"
# Comes again when it has passed. Whatever else is refused stays refused: the money is here, and what it was for is
# not to be had, so somebody has to give it back.
_MAY_PASS: Final = frozenset({"NO_SIGNING_KEY", "REGISTER_BUSY", "REGISTER_GIVEN_UP", "REGISTER_CHANGED"})


def begin_for_case(session: Session, application: Application, case: Case, *, actor: str) -> PaymentRow:
    """Begin the payment of an approved case, or go on with the one that is open.

    Raises IssuerRefusal CASE_STEP for one that waits for no payment, and what `payments.service.begin` does.
    """
    if case.state is not CaseState.AWAITING_PAYMENT or not case.fee_cents:
        raise IssuerRefusal("CASE_STEP", step="pay", state=case.state.value)
    person = applicant(session, application.tenant, case.id)
    say = texts("issuer", person.language if person is not None else LANGUAGES[0])
    shown = say("PAYMENT_SHOWN_CASE", number=case.number)
    purchase = Purchase(KIND, case.id, case.fee_cents, case.number, shown)
    return begin(session, application, purchase, actor=actor)


def on_paid(session: Session, application: Application, ref: str, actor: str) -> str:
    """Issue what the case is about. Raises KeyRefusal, IssuerRefusal while the key to seal with is not at hand."""
    try:
        with session.begin_nested():
            issue.paid(session, application, ref, CaseActor(actor, application.now()))
    except KeyRefusal:
        raise
    except Refusal as refusal:
        if refusal.code in _MAY_PASS:
            raise
        return refusal.code
    return ""


def on_charged_back(session: Session, application: Application, ref: str, actor: str) -> str:
    """Suspend the pass. A clerk has to look at it in any case."""
    try:
        if find(session, application.tenant, ref).state is CaseState.ISSUED:
            issue.charged_back(session, application, ref, CaseActor(actor, application.now()))
    except IssuerRefusal as refusal:
        if refusal.code in _MAY_PASS:
            raise
    return CHARGED_BACK


def next_path(_ref: str) -> str:
    """Where people go on from the payment's page: to the case of their visit."""
    return CASE_PATH


register(KIND, Listener(on_paid, on_charged_back, next_path))
