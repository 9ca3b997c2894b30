"""A case whose fee is paid at the counter: money, pass and audit entries in one transaction."""

from __future__ import annotations

from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.cases import closing, issue
from issuer.cases.case_payments import KIND
from issuer.cases.states import CaseState
from issuer.cases.store import Case, CaseActor, case_of, take
from issuer.errors import IssuerRefusal
from issuer.payments import counter


def pay(session: Session, application: Application, case_id: str, actor: CaseActor, receipt: str) -> Case:
    """The fee was paid at the counter, with the cash register's ``receipt`` number: issue, in a writing transaction.

    A case whose money was taken back is settled by it, and its pass holds again. Raises IssuerRefusal as
    `store.take`, CASE_STEP for a case that waits for no money, CASE_PASS_OVER where its pass was revoked or has
    ended, what `payments.counter.book` and issuing raise.
    """
    row = take(session, application.tenant, case_id, actor.version)
    owed = row.state in (CaseState.AWAITING_PAYMENT, CaseState.CHARGED_BACK)
    if not owed or not row.fee_cents:
        raise IssuerRefusal("CASE_STEP", step="pay", state=row.state)
    back = row.state == CaseState.CHARGED_BACK
    if back and not closing.is_payable(session, case_of(row), application.tenant):
        raise IssuerRefusal("CASE_PASS_OVER", number=row.pass_number or "")
    counter.book(session, application, KIND, case_id, row.fee_cents, receipt, actor=actor.name)
    if back:
        return issue.repaid(session, application, case_id, actor)
    return issue.paid(session, application, case_id, actor)


def undo(session: Session, application: Application, case_id: str, actor: CaseActor) -> Case:
    """The booking was a mistake of this day: the pass is suspended until the money is there.

    Raises IssuerRefusal as `store.take`, and what `payments.counter.undo` raises.
    """
    row = take(session, application.tenant, case_id, actor.version)
    counter.undo(session, application, KIND, case_id, actor=actor.name)
    if row.state == CaseState.ISSUED:
        return issue.charged_back(session, application, case_id, actor)
    return case_of(row)
