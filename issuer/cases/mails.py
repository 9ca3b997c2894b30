"""Mails about cases: queued in the transaction of the step they tell of, whoever takes it.

A mail names its case by the number; whom it goes to, and the link in it, is found when it is sent. What is no longer
so by then is not sent: nobody is asked for money that has come meanwhile. Who has no mail address gets none; the
status page says the same. That a permit was issued is told by the mail with its pick-up link
(`issuer.delivery.mail`).
"""

from __future__ import annotations

from email.message import EmailMessage
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer.cases import access
from issuer.cases.states import CaseState
from issuer.delivery import mail_queue, mail_texts
from issuer.models_cases import CaseApplicantRow, CaseRow
from issuer.models_delivery import MailRow
from keys.texts import texts
from passes.display import day_text

if TYPE_CHECKING:
    from datetime import datetime

    from issuer.application import Application


class CaseMail(StrEnum):
    """What a mail tells."""

    # The way back to the case, as somebody has asked for it.
    LINK = "case_link"
    RECEIVED = "case_received"
    DOCUMENTS = "case_documents"
    PAYMENT = "case_payment"
    REFUSED = "case_refused"
    ABANDONED = "case_abandoned"
    LAPSED = "case_lapsed"
    CHARGED_BACK = "case_charged_back"


_S = CaseState
# The states in which a mail is still true; those that are missing always are.
_DUE: Final = {
    CaseMail.RECEIVED: frozenset({_S.SUBMITTED, _S.SECOND_LOOK}),
    CaseMail.DOCUMENTS: frozenset({_S.DOCUMENTS}),
    CaseMail.PAYMENT: frozenset({_S.AWAITING_PAYMENT}),
    CaseMail.REFUSED: frozenset({_S.REFUSED}),
    CaseMail.ABANDONED: frozenset({_S.ABANDONED}),
    CaseMail.LAPSED: frozenset({_S.LAPSED}),
    CaseMail.CHARGED_BACK: frozenset({_S.CHARGED_BACK}),
}
# Nothing is left to look at: the way on is another application.
_WITHOUT_LINK: Final = frozenset({CaseMail.ABANDONED, CaseMail.LAPSED})
_KINDS: Final = frozenset(one.value for one in CaseMail)


def is_case_mail(kind: str) -> bool:
    """Whether a mail of ``kind`` is about a case."""
    return kind in _KINDS


def tell(session: Session, row: CaseRow, kind: CaseMail, at: datetime) -> bool:
    """Queue a mail to who asks, in the caller's writing transaction; False if there is no address."""
    asks = session.get(CaseApplicantRow, (row.tenant, row.id))
    if asks is None or not asks.email:
        return False
    mail_queue.add(session, row.tenant, kind.value, (row.type_id, row.number), {}, at)
    return True


def prepared(
    session: Session, application: Application, row: MailRow, frame: mail_texts.Frame
) -> tuple[str, EmailMessage | None]:
    """Recipient and text of a queued mail, with a fresh link; no text for what is no longer so.

    Raises RefusedError for an address that is none.
    """
    found = session.execute(
        select(CaseRow, CaseApplicantRow)
        .join(
            CaseApplicantRow,
            (CaseApplicantRow.tenant == CaseRow.tenant) & (CaseApplicantRow.case_id == CaseRow.id),
        )
        .where(CaseRow.tenant == application.tenant, CaseRow.number == row.number)
    ).one_or_none()
    kind = CaseMail(row.kind)
    if found is None:
        return "", None
    case, asks = found
    if not asks.email or case.state not in _DUE.get(kind, {case.state}):
        return "", None
    link = "" if kind in _WITHOUT_LINK else access.create_link(session, application, case.id)
    facts = _facts(case, texts("issuer", asks.language).language)
    way = mail_texts.WayBack(link, access.lifetime_of(case.state))
    message = mail_texts.case_mail(frame, kind.value, asks.email, asks.language, way, facts)
    return asks.email, message


def _facts(case: CaseRow, language: str) -> dict[str, Any]:
    cents = case.fee_cents or 0
    return {
        "number": case.number,
        "amount": f"{cents // 100},{cents % 100:02d} €" if language == "de" else f"€{cents / 100:.2f}",
        "deadline": day_text(case.deadline, language) if case.deadline is not None else "–",
    }
