"""Reminders 30, 14 and 3 days before the last day: each once, and after nights that were missed only the newest.

They go by mail, or to the list of letters where there is no address. A phone with the pass tells of it as well: with
Google Wallet by a message; with Apple Wallet, which shows an alert only when a field of the pass changes, by a field
for this (`passes.apple_values`), whose value follows from what is recorded here.

A reminder must fall into the pass's period after its first day: nobody is reminded of a pass for a month on the day
it begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import ColumnElement, exists, select, tuple_
from sqlalchemy.orm import Session, aliased

from issuer import outgoing
from issuer.database import let_others_write
from issuer.delivery import mail
from issuer.models import HolderRow, PassRow, RevisionRow
from issuer.models_delivery import ReminderRow
from issuer.nightly.reports import Report
from issuer.residence.certificates import certificate_ids
from issuer.status_allocation import chunks
from passes.display import day_text
from passes.model import PassStatus
from passes.periods import berlin_day

if TYPE_CHECKING:
    from issuer.application import Application

NAME: Final = "reminders"
STEPS: Final = (30, 14, 3)
# Each takes a mail and a task or two; everybody else waits while a chunk is written.
CHUNK: Final = 20


@dataclass(frozen=True, slots=True)
class Due:
    """A reminder that is due: which pass, its last day, and the step that it stands for."""

    type_id: str
    number: str
    last: date
    step: int
    by_mail: bool


def step_of(first: date, last: date, today: date) -> int | None:
    """The reminder that is due on ``today`` for a pass from ``first`` to ``last``: 30, 14, 3 or None.

    The newest due counts, so whoever missed the day of one sends it later, and not together with the one before.
    """
    left = (last - today).days
    if left < 0:
        return None
    step = min((one for one in STEPS if left <= one), default=None)
    return step if step is not None and last - timedelta(days=step) > first else None


def due(
    session: Session, application: Application, keys: Sequence[tuple[str, str]] | None = None
) -> list[Due]:
    """Every reminder that is due now and has not gone out; of the passes ``keys`` (type, number) if given."""
    tenant, today = application.tenant, berlin_day(application.now())
    successor = aliased(PassRow)
    # A pass that another one replaces, as cities do that give a renewal a new number.
    renewed = exists().where(
        successor.tenant == PassRow.tenant,
        successor.type_id == PassRow.type_id,
        successor.replaces == PassRow.number,
        successor.status == PassStatus.ACTIVE.value,
    )
    wanted: list[ColumnElement[bool]] = [
        PassRow.tenant == tenant,
        PassRow.status == PassStatus.ACTIVE.value,
        # A certificate says what was so on a day: nobody renews it.
        PassRow.type_id.not_in(certificate_ids(application.pass_types)),
        PassRow.period_last >= today,
        PassRow.period_last <= today + timedelta(days=max(STEPS)),
        ~renewed,
    ]
    if keys is not None:
        wanted.append(tuple_(PassRow.type_id, PassRow.number).in_(keys))
    rows = session.execute(
        select(PassRow.type_id, PassRow.number, PassRow.period_first, PassRow.period_last, HolderRow.email)
        .outerjoin(HolderRow, (HolderRow.tenant == PassRow.tenant) & (HolderRow.ref == PassRow.holder_ref))
        .where(*wanted)
        .order_by(PassRow.period_last, PassRow.type_id, PassRow.number)
    ).all()
    sent = _sent(session, tenant, today, keys)
    found = []
    for type_id, number, first, last, email in rows:
        step = step_of(first, last, today)
        # Whoever has heard of a later step must not hear of an earlier one.
        if step is not None and sent.get((type_id, number, last), max(STEPS) + 1) > step:
            found.append(Due(type_id, number, last, step, bool(email)))
    return found


def preview(application: Application, session: Session) -> dict[str, int]:
    """How many reminders would go out now, by step and channel."""
    counts: dict[str, int] = {}
    for one in due(session, application):
        name = _name(one.step, "mail" if one.by_mail else "letter")
        counts[name] = counts.get(name, 0) + 1
    return counts


def run(application: Application, report: Report) -> None:
    """Send every reminder that is due, in short transactions."""
    with application.reading() as session:
        found = due(session, application)
    for number, chunk in enumerate(chunks(found, CHUNK)):
        if number:
            let_others_write()
        with application.writing() as session:
            # Looked at again: somebody may have renewed a pass, or another worker have sent it.
            still = due(session, application, [(one.type_id, one.number) for one in chunk])
            counts: dict[str, int] = {}
            shown: dict[str, tuple[str, str]] = {}
            for one in still:
                name = _name(one.step, _remind(session, application, one, shown))
                counts[name] = counts.get(name, 0) + 1
            if shown:
                outgoing.moved(session, application.tenant, shown, application.now())
            report.add(session, counts)


def _remind(session: Session, application: Application, one: Due, shown: dict[str, tuple[str, str]]) -> str:
    """Send one reminder and record it; says by which channel. ``shown`` gets the pass if it changes in wallets."""
    from issuer.delivery.google_messages import MessageKind, queue_message  # noqa: PLC0415 - loads httpx

    channel = mail.tell_holder(
        session, application, mail.REMINDER, one.type_id, one.number, {"last": one.last.isoformat()}
    )
    session.add(
        ReminderRow(
            tenant=application.tenant,
            type_id=one.type_id,
            number=one.number,
            period_last=one.last,
            days=one.step,
            channel=channel,
            created_at=application.now(),
        )
    )
    session.flush()
    serial = session.scalar(
        select(RevisionRow.serial).where(
            RevisionRow.tenant == application.tenant,
            RevisionRow.type_id == one.type_id,
            RevisionRow.number == one.number,
            RevisionRow.superseded_at.is_(None),
        )
    )
    if serial is not None:
        if application.pass_types[one.type_id].shows_reminder:
            shown[serial] = one.type_id, one.number
        message_id = f"reminder-{one.last:%Y%m%d}-{one.step}"
        # The message is in both languages, and a day in figures reads the same in both.
        queue_message(
            session, application, serial, MessageKind.REMINDER, message_id, last=day_text(one.last, "de")
        )
    return channel


def _sent(
    session: Session, tenant: str, today: date, keys: Sequence[tuple[str, str]] | None
) -> dict[tuple[str, str, date], int]:
    """The smallest number of days of the reminders that have gone out, by type, number and last day."""
    wanted = [ReminderRow.tenant == tenant, ReminderRow.period_last >= today]
    if keys is not None:
        wanted.append(tuple_(ReminderRow.type_id, ReminderRow.number).in_(keys))
    rows = session.execute(
        select(ReminderRow.type_id, ReminderRow.number, ReminderRow.period_last, ReminderRow.days).where(
            *wanted
        )
    )
    found: dict[tuple[str, str, date], int] = {}
    for type_id, number, last, days in rows:
        key = (type_id, number, last)
        found[key] = min(days, found.get(key, days))
    return found


def _name(step: int, channel: str) -> str:
    return f"{step}-days-{channel}"
