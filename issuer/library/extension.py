"""A later last day for a member's card, as the library's own system has it: no term, no fee, no application.

The card keeps its number and its place in the wallet. As with a permit's renewal (`issuer.renewal`) what was shown
until now stays good until its own last day.
"""

from __future__ import annotations

from datetime import date

from sqlalchemy.orm import Session

from issuer import attributes as stored_attributes
from issuer.audit import AuditEvent
from issuer.errors import IssuerRefusal, RegisterRefusal
from issuer.importing.record import status_word
from issuer.library.membership import consent_missing
from issuer.lifecycle import Actor, NextRevision, current_revision, supersede, wrong_state
from issuer.models_library import MemberRow
from issuer.outgoing import EventName
from issuer.register import SealFor, WalletIdentity, subject
from passes.model import PassContent, PassStatus
from passes.pass_types import PassType
from passes.periods import Period, berlin_day


def extend(
    session: Session,
    tenant: str,
    pass_type: PassType,
    number: str,
    last: date,
    *,
    seal_for: SealFor,
    actor: Actor,
) -> PassContent:
    """Let the card hold until ``last`` (Europe/Berlin, inclusive); one that has only expired holds again.

    Raises RegisterRefusal NUMBER_UNKNOWN, the code of the state that forbids it (PASS_SUSPENDED, PASS_REVOKED ...),
    NOTHING_CHANGES for a day that is not later; IssuerRefusal CONSENT_MISSING for a child whose parent has not
    consented; PassRefusal DATE_YEAR.
    """
    row, current = current_revision(session, tenant, pass_type.id, number)
    if row.status not in (PassStatus.ACTIVE, PassStatus.EXPIRED):
        raise wrong_state(row)
    if last <= row.period_last:
        raise RegisterRefusal("NOTHING_CHANGES", number=number)
    attributes = stored_attributes.decode(pass_type, current.attributes)
    member = session.get(MemberRow, (tenant, pass_type.id, number))
    age = consent_missing(pass_type, str(attributes.get("category", "")), member, berlin_day(actor.at))
    if age:
        raise IssuerRefusal("CONSENT_MISSING", age=age)
    before = row.period_last
    row.period_last = Period(row.period_first, last).last
    row.status = PassStatus.ACTIVE.value
    known = {"valid_to": last.isoformat(), "status": status_word(PassStatus.ACTIVE)}
    row.record = row.record | {name: value for name, value in known.items() if name in row.record}
    event = AuditEvent(
        "renew",
        subject(pass_type.id, number),
        {"valid_to": before.isoformat()},
        {"valid_to": last.isoformat()},
        actor.reason,
    )
    following = NextRevision(
        attributes,
        event,
        WalletIdentity(current.serial, current.apple_token),
        EventName.RENEWED,
        older_stand=True,
    )
    return supersede(session, pass_type, row, current, following, seal_for=seal_for, actor=actor)
