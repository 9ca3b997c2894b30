"""Mails to holders, to who asks for something (`issuer.cases.mails`), and to the operator.

A mail is a row that says what about and which pass; whom it goes to, in which language and with which link is found
when it is sent. It is sent once as far as SMTP lets anybody know: whoever sends claims the row first, and notes the
result in the transaction right after the server's answer. Where no mail gets through, a letter is to be printed.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer import letters, waiting_letters
from issuer.background.tasks import Json, Queue, RetryLater, Task
from issuer.cases import mails as case_mails
from issuer.counters import MAILS
from issuer.delivery import mail_queue, mail_texts, smtp
from issuer.delivery.smtp import NotNowError, RefusedError
from issuer.models import HolderRow, PassRow
from issuer.models_delivery import MailRow
from issuer.pickup.links import Channel, create_link
from keys.texts import texts
from passes.display import day_text
from passes.model import PassStatus

if TYPE_CHECKING:
    from issuer.application import Application

TASK: Final = mail_queue.TASK
PICKUP, REMINDER, CHANGED, RESEALED, RENEWED = "pickup", "reminder", "changed", "resealed", "renewed"
FAMILY: Final = letters.FAMILY
KINDS: Final = (PICKUP, FAMILY, REMINDER, CHANGED, RESEALED, RENEWED)
OPERATOR: Final = "operator"
# Connection, greeting, encryption, login and mail: so many answers are waited for at most.
_ANSWERS: Final = 15
_log = logging.getLogger("stadtpass.mail")


def queue_mail(
    session: Session,
    application: Application,
    kind: str,
    type_id: str,
    number: str,
    params: Mapping[str, Any],
) -> bool:
    """Queue a mail to the holder of a pass in the caller's writing transaction; False if there is no address.

    ``kind`` is ``pickup`` (here is the link to the pass), ``family`` (to the cards of a family: as
    `issuer.pickup.family.queue_family_mail` queues it), ``reminder`` (``params``: ``last``, the last day in ISO
    form), ``changed`` or ``resealed`` (print it again), or ``renewed`` (print it before the old term ends).
    ``params`` are stored: nothing personal. Raises ValueError for another kind.
    """
    if kind not in KINDS:
        raise ValueError(f"no mail is of the kind {kind}")
    address = session.scalar(
        select(HolderRow.email)
        .join(PassRow, (PassRow.tenant == HolderRow.tenant) & (PassRow.holder_ref == HolderRow.ref))
        .where(PassRow.tenant == application.tenant, PassRow.type_id == type_id, PassRow.number == number)
    )
    if not address:
        return False
    _queue(session, application, kind, type_id, number, params)
    return True


def tell_holder(
    session: Session,
    application: Application,
    kind: str,
    type_id: str,
    number: str,
    params: Mapping[str, Any],
) -> str:
    """As `queue_mail`, and where there is no address a letter to be printed; says which: ``mail`` or ``letter``."""
    if queue_mail(session, application, kind, type_id, number, params):
        return "mail"
    waiting_letters.add(session, application, kind, type_id, number, params)
    return "letter"


def queue_operator_mail(session: Session, application: Application, params: Mapping[str, Any]) -> None:
    """Queue a mail to the operator; ``params["warnings"]`` as `issuer.nightly.certificates` makes them."""
    _queue(session, application, OPERATOR, "", "", params)


def outstanding(session: Session, tenant: str) -> Sequence[str]:
    """The ids of all mails that are still to be sent."""
    return session.scalars(
        select(MailRow.id).where(
            MailRow.tenant == tenant, MailRow.sent_at.is_(None), MailRow.failed_at.is_(None)
        )
    ).all()


def run(application: Application, payload: Json) -> None:
    """Send the mail ``payload["id"]``, unless that is done or somebody is at it. Raises RetryLater."""
    identity = payload["id"]
    with application.reading() as session:
        row = session.get(MailRow, (application.tenant, identity))
        if row is None or _is_done(row):
            return
    config, folder = application.config.mail, application.workspace.folder
    try:
        # Connected before the link is made: an outage must not fill the register with links.
        with smtp.opened(config, folder) as send:
            prepared = _claimed(application, identity)
            if prepared is None:
                return
            send(prepared.message, prepared.recipient, prepared.file_name)
            _note_sent(application, identity)
    except NotNowError as fault:
        _release(application, identity)
        MAILS.labels("postponed").inc()
        raise RetryLater(fault.reason) from None
    except RefusedError as fault:
        _fail(application, identity, fault.reason)


def give_up(application: Application, payload: Json) -> None:
    """After days of failing: a letter instead."""
    _fail(application, payload["id"], "given-up")


TASKS: tuple[Task, ...] = (Task(TASK, Queue.MAIL, run, give_up=give_up),)


@dataclass(frozen=True, slots=True)
class _Prepared:
    message: EmailMessage
    recipient: str
    file_name: str


def _queue(
    session: Session,
    application: Application,
    kind: str,
    type_id: str,
    number: str,
    params: Mapping[str, Any],
) -> None:
    mail_queue.add(session, application.tenant, kind, (type_id, number), params, application.now())


def _is_done(row: MailRow) -> bool:
    return row.sent_at is not None or row.failed_at is not None


def _claimed(application: Application, identity: str) -> _Prepared | None:
    """The mail, claimed for as long as sending it can take; None if there is nothing to send any more.

    Raises RetryLater while somebody else has it, RefusedError if there is no address.
    """
    now, config = application.now(), application.config.mail
    with application.writing() as session:
        row = session.get(MailRow, (application.tenant, identity))
        if row is None or _is_done(row):
            return None
        if row.sending_until is not None and row.sending_until > now:
            raise RetryLater("mail-claimed", (row.sending_until - now).total_seconds())
        frame = mail_texts.Frame(application.settings(session), config.sender, identity, now)
        if row.kind == OPERATOR:
            recipient = frame.settings.operator_mail
            message = mail_texts.operator_mail(frame, recipient, _warnings(row)) if recipient else None
        elif case_mails.is_case_mail(row.kind):
            recipient, message = case_mails.prepared(session, application, row, frame)
        else:
            recipient, message = _to_holder(session, application, row, frame)
        if message is None:
            session.delete(row)
            return None
        row.attempts += 1
        row.sending_until = now + timedelta(seconds=_ANSWERS * config.timeout_seconds)
        return _Prepared(message, recipient, f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{identity}")


def _to_holder(
    session: Session, application: Application, row: MailRow, frame: mail_texts.Frame
) -> tuple[str, EmailMessage | None]:
    there = session.get(PassRow, (row.tenant, row.type_id, row.number))
    if there is None or not is_due(row.kind, row.params, there):
        return "", None
    holder = session.get(HolderRow, (row.tenant, there.holder_ref))
    if holder is None or not holder.email:
        raise RefusedError("no-address")
    words = application.pass_types[row.type_id].words(holder.language)
    facts = {
        "name": words.name,
        "number": row.number,
        "last": day_text(there.period_last, texts("issuer", holder.language).language),
    }
    family = row.kind == FAMILY
    link = create_link(session, application, row.type_id, row.number, Channel.MAIL, family=family)
    return holder.email, mail_texts.holder_mail(frame, row.kind, holder.email, holder.language, link, facts)


def is_due(kind: str, params: Mapping[str, Any], there: PassRow) -> bool:
    """Whether what a mail or letter of ``kind`` says is still so: not of a right that has ended or was renewed."""
    if kind == PICKUP:
        return True
    if kind == FAMILY:
        # The children's cards hold also while the guardian's does not.
        return there.status not in (PassStatus.REVOKED, PassStatus.SUPERSEDED)
    if there.status != PassStatus.ACTIVE:
        return False
    last = params.get("last")
    return last is None or date.fromisoformat(last) == there.period_last


def _warnings(row: MailRow) -> list[str]:
    from issuer.nightly.certificates import sentence_of  # noqa: PLC0415 - it queues mails itself

    return [sentence_of(one) for one in row.params.get("warnings", ())]


def _note_sent(application: Application, identity: str) -> None:
    with application.writing() as session:
        row = session.get(MailRow, (application.tenant, identity))
        if row is not None:
            row.sent_at, row.sending_until = application.now(), None
    MAILS.labels("sent").inc()


def _release(application: Application, identity: str) -> None:
    with application.writing() as session:
        row = session.get(MailRow, (application.tenant, identity))
        if row is not None:
            row.sending_until = None


def _fail(application: Application, identity: str, reason: str) -> None:
    """Note that the mail will not be sent, and have a letter printed in its place."""
    with application.writing() as session:
        row = session.get(MailRow, (application.tenant, identity))
        if row is None or _is_done(row):
            return
        row.failed_at, row.failure, row.sending_until = application.now(), reason, None
        if row.kind != OPERATOR:
            there = session.get(PassRow, (row.tenant, row.type_id, row.number))
            if there is not None and is_due(row.kind, row.params, there):
                waiting_letters.add(session, application, row.kind, row.type_id, row.number, row.params)
    MAILS.labels("failed").inc()
    _log.warning("mail not delivered", extra={"id": identity, "reason": reason})
