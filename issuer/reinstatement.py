"""Taking back a wrong revocation, within a bounded time: the same right with a new seal.

A revoked seal stays revoked for ever, in the status list and in the log outside the database: prints of before do not
hold again. The pass in a wallet keeps its serial and is brought up to date. After a restore of a backup that is older
than this step the pass is revoked again, and the step has to be taken again: a restore never gives validity.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from issuer import attributes as stored_attributes
from issuer import audit
from issuer.audit import AuditEntry, AuditEvent
from issuer.cases.facts import CaseKind
from issuer.cases.states import ENDED, CaseState
from issuer.cases.store import of_shown, permits_of_shown, shown_of_permit
from issuer.errors import RegisterRefusal
from issuer.importing.record import status_word
from issuer.lifecycle import Actor, NextRevision, current_revision, reason_of, supersede, suspend
from issuer.models import PassRow
from issuer.models_cases import CaseRow
from issuer.outgoing import EventName
from issuer.register import SealFor, WalletIdentity, subject
from passes.model import PassContent, PassStatus
from passes.pass_types import PassType
from passes.periods import berlin_day

# Somebody who was told that their permit has ended has bought another one after that, or has moved.
LONGEST: Final = timedelta(days=14)
_SUSPENDED: Final = "suspended before the revocation"
_RUNNING: Final = (PassStatus.ACTIVE.value, PassStatus.SUSPENDED.value, PassStatus.PENDING_PAYMENT.value)


def reinstate(
    session: Session, tenant: str, pass_type: PassType, number: str, *, seal_for: SealFor, actor: Actor
) -> PassContent:
    """Let a revoked pass hold again, in the caller's writing transaction.

    It is what it was before the revocation: one that was suspended is suspended again. Raises RegisterRefusal
    REASON_MISSING without a note; NUMBER_UNKNOWN; PASS_NOT_REVOKED; PASS_ENDED after its last day; REINSTATE_LATE
    when the revocation is older than `LONGEST` or nobody knows when it was; REINSTATE_UNPAID where the pass was
    waiting for its payment; PERMIT_TWICE where the holder has another running pass of the type by now,
    REINSTATE_CASE where they have applied for one.
    """
    note = reason_of(actor)
    row, current = current_revision(session, tenant, pass_type.id, number)
    if row.status != PassStatus.REVOKED:
        raise RegisterRefusal("PASS_NOT_REVOKED", number=number)
    if row.period_last < berlin_day(actor.at):
        raise RegisterRefusal("PASS_ENDED", number=number, last=row.period_last.isoformat())
    past = audit.of_this_life(audit.history(session, tenant, subject(pass_type.id, number)))
    revoked = [entry for entry in past if entry.action == "revoke"]
    # A pass that came in revoked by a file has no such entry: whoever keeps the file takes that back.
    if not revoked or actor.at - revoked[-1].at > LONGEST:
        raise RegisterRefusal("REINSTATE_LATE", number=number, days=LONGEST.days)
    before = PassStatus(str((revoked[-1].before or {}).get("status", PassStatus.ACTIVE.value)))
    if before is PassStatus.PENDING_PAYMENT:
        # It was never a right that holds: whoever pays gets a pass of their own.
        raise RegisterRefusal("REINSTATE_UNPAID", number=number)
    _no_other(session, row)
    row.status = PassStatus.ACTIVE.value
    row.record = _as_before(row)
    event = AuditEvent(
        "reinstate",
        subject(pass_type.id, number),
        {"status": PassStatus.REVOKED.value},
        {"status": row.status, "revision": current.n + 1},
        note,
    )
    following = NextRevision(
        stored_attributes.decode(pass_type, current.attributes),
        event,
        WalletIdentity(current.serial, current.apple_token),
        EventName.REISSUED,
        # Not superseded: revoked, for ever.
        older_stand=True,
    )
    content = supersede(session, pass_type, row, current, following, seal_for=seal_for, actor=actor)
    if before is PassStatus.SUSPENDED:
        suspend(
            session, tenant, pass_type.id, number, actor=Actor(actor.name, actor.at, _suspended_for(past))
        )
    return content


def _suspended_for(past: Sequence[AuditEntry]) -> str:
    """The reason for which the pass was suspended last, so that whoever settles that finds it again."""
    reasons = [entry.reason for entry in past if entry.action == "suspend" and entry.reason]
    return reasons[-1] if reasons else _SUSPENDED


def _no_other(session: Session, row: PassRow) -> None:
    shown = shown_of_permit(session, row.tenant, row.type_id, row.number)
    others = [
        select(PassRow.number).where(
            PassRow.tenant == row.tenant,
            PassRow.type_id == row.type_id,
            PassRow.holder_ref == row.holder_ref,
            PassRow.status.in_(_RUNNING),
        ),
        # The same person, by what a wallet has shown, under another of their given names.
        *(permits_of_shown(row.tenant, row.type_id, one, _RUNNING) for one in shown),
    ]
    for numbers in others:
        other = session.scalar(numbers.where(PassRow.number != row.number).limit(1))
        if other is not None:
            raise RegisterRefusal("PERMIT_TWICE", number=other)
    asked = session.scalar(
        select(CaseRow.number)
        .where(
            CaseRow.tenant == row.tenant,
            CaseRow.type_id == row.type_id,
            or_(
                CaseRow.person == row.holder_ref,
                *(of_shown(row.tenant, row.type_id, one) for one in shown),
            ),
            CaseRow.kind == CaseKind.NEW.value,
            CaseRow.state.not_in([one.value for one in (*ENDED, CaseState.DRAFT)]),
        )
        .limit(1)
    )
    if asked is not None:
        raise RegisterRefusal("REINSTATE_CASE", number=asked)


def _as_before(row: PassRow) -> dict[str, object]:
    """The record without the revocation: what a file is compared with from now on."""
    known: dict[str, object] = {
        "status": status_word(PassStatus.ACTIVE),
        "revoked_on": None,
        "revocation_reason": None,
    }
    return row.record | {name: value for name, value in known.items() if name in row.record}
