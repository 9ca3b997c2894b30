"""What is stored of a member beside the pass: found or begun, compared with files, noted in the trail."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.orm import Session

from issuer import audit
from issuer.audit import AuditEvent, Facts
from issuer.errors import RegisterRefusal
from issuer.importing.record import RecordValue
from issuer.lifecycle import Actor
from issuer.models import PassRow
from issuer.models_library import MemberRow
from issuer.register import subject


def member_of(session: Session, tenant: str, type_id: str, number: str) -> MemberRow:
    """What is known of a member, made empty where there is nothing yet. Raises RegisterRefusal NUMBER_UNKNOWN."""
    member = session.get(MemberRow, (tenant, type_id, number), with_for_update=True, populate_existing=True)
    if member is None:
        if session.get(PassRow, (tenant, type_id, number)) is None:
            raise RegisterRefusal("NUMBER_UNKNOWN", number=number)
        member = MemberRow(tenant=tenant, type_id=type_id, number=number)
        session.add(member)
        session.flush()
    return member


def was_cleared(row: PassRow, member: MemberRow | None) -> bool:
    """Whether a birth date was given that is stored no more: the member is old enough for everything."""
    return member is not None and member.birth_date is None and bool(row.record.get("birth_date"))


def note_record(session: Session, member: MemberRow, known: Mapping[str, RecordValue]) -> None:
    """Have later files be compared with ``known``, as far as the register ever saw those columns."""
    row = session.get_one(PassRow, (member.tenant, member.type_id, member.number))
    row.record = row.record | {name: value for name, value in known.items() if name in row.record}
    session.flush()


def note_step(session: Session, member: MemberRow, action: str, after: Facts, actor: Actor) -> None:
    """Note a step with the member in the audit trail."""
    session.flush()
    event = AuditEvent(action, subject(member.type_id, member.number), after=after, reason=actor.reason)
    audit.append(session, member.tenant, [event], actor.at, actor.name)
