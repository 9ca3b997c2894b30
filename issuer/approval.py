"""Approving a pass that was entered before it was paid for: from then on it has a seal and holds."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from issuer import attributes as stored_attributes
from issuer import audit, outgoing
from issuer.audit import AuditEvent
from issuer.errors import RegisterRefusal
from issuer.importing.record import status_word
from issuer.lifecycle import Actor, current_revision, wrong_state
from issuer.models import HolderRow
from issuer.outgoing import EventName, PassEvent
from issuer.register import STATUS_VALUES, SealFor, content_of, subject
from issuer.status_allocation import allocate
from passes.model import PassContent, PassStatus
from passes.pass_types import PassType
from passes.periods import Period, berlin_day


def approve(
    session: Session, tenant: str, pass_type: PassType, number: str, *, seal_for: SealFor, actor: Actor
) -> PassContent:
    """Issue a pass that is waiting for its payment: place in a status list, seal, audit entry, outgoing work.

    Nothing of its revision was ever shown to anybody, so that the revision itself gets the seal instead of a
    successor. Raises RegisterRefusal NUMBER_UNKNOWN; PASS_APPROVED for one that is active already; PASS_ENDED for
    one whose last day has passed, or the code of another state that forbids it.
    """
    row, current = current_revision(session, tenant, pass_type.id, number)
    if row.status == PassStatus.ACTIVE:
        raise RegisterRefusal("PASS_APPROVED", number=number)
    if row.status != PassStatus.PENDING_PAYMENT:
        raise wrong_state(row)
    if row.period_last < berlin_day(actor.at):
        raise RegisterRefusal("PASS_ENDED", number=number, last=row.period_last.isoformat())
    place = allocate(session, tenant, pass_type.id, row.period_last, 1)[0]
    attributes = stored_attributes.decode(pass_type, current.attributes)
    current.kid, current.seal = seal_for(number, Period(row.period_first, row.period_last), attributes, place)
    current.list_number, current.list_index = place
    current.status_value = int(STATUS_VALUES[PassStatus.ACTIVE])
    current.issued_at = actor.at
    row.status = PassStatus.ACTIVE.value
    row.updated_at = actor.at
    known: dict[str, Any] = {"status": status_word(PassStatus.ACTIVE), "payment_status": "paid"}
    row.record = row.record | {name: value for name, value in known.items() if name in row.record}
    session.flush()
    event = AuditEvent(
        "approve",
        subject(pass_type.id, number),
        {"status": PassStatus.PENDING_PAYMENT.value},
        {"status": row.status, "status_list": list(place)},
        actor.reason,
    )
    audit.append(session, tenant, [event], actor.at, actor.name)
    noted = PassEvent(EventName.ISSUED, pass_type.id, number, current.serial)
    outgoing.note(session, tenant, [noted], actor.at)
    return content_of(pass_type, row, current, session.get(HolderRow, (tenant, row.holder_ref)))
