"""The answer to a question, read from one state of the register and signed.

No name and no address is in it, no reason that somebody typed, and of a permit's plates only the one that was asked
about. That a statement was made stands in the audit trail with the digest of its JWS, and without the plate.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer import audit, keyring
from issuer.application import Application
from issuer.audit import AuditEntry, AuditEvent
from issuer.models import AuditEntryRow, AuditHeadRow, TenantRow
from issuer.models_delivery import PublishedListRow
from issuer.plate_register import Finding, PermitAt, finding_of, permits_at
from issuer.publication import INDEX, PLATES, status_name
from issuer.register import subject
from issuer.statements.document import Permit, Place, Published, Question, Statement, Step, sign
from keys.lifecycle import Purpose
from passes.periods import berlin_day
from passes.plates import Plate

NOT_HELD: Final = "NOT_HELD"
ACTION: Final = "statement"
# What a step has to say to be a change of the right; pick-ups, prints and the like are left out.
_OF_THE_RIGHT: Final = frozenset({"status", "valid_from", "valid_to", "plates", "zone", "revision"})
# How audit entries that set a last day begin to tell it.
_LAST_DAY: Final = '"valid_to":"'


@dataclass(frozen=True, slots=True)
class Made:
    """A statement and its signed form; ``subjects`` are the passes that it tells of, for the log of accesses."""

    statement: Statement
    jws: str
    subjects: tuple[str, ...]


def state(application: Application, plate: Plate, question: Question, actor: str) -> Made:
    """Answer, sign, and note in the audit trail that ``actor`` was given the statement.

    Raises IssuerRefusal NO_SIGNING_KEY where the city has no key for statements, KeyRefusal where it may not sign.
    """
    with application.reading() as session:
        record = keyring.signing_record(session, application.tenant, Purpose.STATEMENT, application.now())
        statement = answer(session, application, plate, question)
    jws = sign(statement, application.keys.signer(record.uri), record.kid)
    noted = AuditEvent(
        ACTION,
        f"statement/{statement.id}",
        after={"digest": hashlib.sha256(jws.encode()).hexdigest(), "key": record.kid.hex()},
    )
    with application.writing() as session:
        audit.append(session, application.tenant, [noted], application.now(), actor)
    return Made(statement, jws, tuple(f"{one.type}/{one.number}" for one in statement.permits))


def answer(session: Session, application: Application, plate: Plate, question: Question) -> Statement:
    """What the register says, in ``session``'s one state of it."""
    tenant, at = application.tenant, question.at
    settings = application.settings(session)
    permits = permits_at(session, tenant, plate, question.zone, at)
    own = [one for one in permits if one.key == plate.key]
    found = finding_of(plate, permits)
    is_valid = found.finding is Finding.VALID
    gone = not is_valid and _is_incomplete(session, tenant, at)
    head = session.get(AuditHeadRow, tenant)
    shown = [_permit(session, tenant, one) for one in own]
    return Statement(
        version=1,
        id=secrets.token_urlsafe(16),
        issuer=settings.city_name,
        tenant=tenant,
        test=settings.test,
        made_at=application.now().astimezone(UTC),
        question=question,
        answer="permit" if is_valid else "not-held" if gone else "no-permit",
        reason=NOT_HELD if gone else found.finding.value,
        permits=shown,
        other_plates=[one.canonical for one in found.others],
        published=list(_published(session, tenant, shown, at)),
        register_since=session.get_one(TenantRow, tenant).created_at,
        audit_sequence=head.sequence if head is not None else 0,
        audit_hash=head.hash if head is not None else audit.FIRST_HASH,
    )


def _permit(session: Session, tenant: str, one: PermitAt) -> Permit:
    row, revision = one.row, one.revision
    zone: Any = revision.attributes.get("zone")
    place = None
    if revision.list_number is not None and revision.list_index is not None:
        place = Place(revision.list_number, revision.list_index)
    entries = audit.of_this_life(audit.history(session, tenant, subject(row.type_id, row.number)))
    return Permit(
        type=row.type_id,
        number=row.number,
        plate=Plate.from_key(one.key).canonical,
        finding=one.finding.value,
        status=one.status.value,
        first_day=one.first,
        last_day=one.last,
        zone=str(zone[0]) if zone else None,
        season=one.season.text if one.season is not None else None,
        binding=revision.n,
        binding_since=revision.issued_at,
        binding_until=revision.superseded_at,
        entered_at=row.created_at,
        status_list=place,
        steps=[step for entry in entries for step in _steps(entry)],
    )


def _steps(entry: AuditEntry) -> Iterator[Step]:
    told = {**(entry.before or {}), **(entry.after or {})}
    if not _OF_THE_RIGHT.isdisjoint(told):
        status = (entry.after or {}).get("status")
        yield Step(entry.at, entry.action, str(status) if status is not None else None)


def _published(session: Session, tenant: str, permits: list[Permit], at: datetime) -> Iterator[Published]:
    """The lists that are published now and were then. Which ones were replaced since is kept nowhere."""
    lists = {one.status_list.list for one in permits if one.status_list is not None}
    names = [PLATES, INDEX, *(status_name(number) for number in sorted(lists))]
    rows = session.scalars(
        select(PublishedListRow)
        .where(
            PublishedListRow.tenant == tenant,
            PublishedListRow.name.in_(names),
            PublishedListRow.published_at <= at,
        )
        .order_by(PublishedListRow.name)
    )
    for row in rows:
        yield Published(row.name, row.sequence, row.published_at)


def _is_incomplete(session: Session, tenant: str, at: datetime) -> bool:
    """Whether a pass has been deleted, or its import undone, whose days reached ``at``.

    The newest deletions are of the latest days, so that mostly the first entry answers; there may be 100,000.
    """
    day = berlin_day(at).isoformat()
    entries = session.execute(
        select(AuditEntryRow.sequence, AuditEntryRow.before, AuditEntryRow.subject)
        .where(
            AuditEntryRow.tenant == tenant,
            AuditEntryRow.action.in_(audit.ENDS_OF_LIFE),
            # An undone import has an entry of its own, which is of no pass.
            AuditEntryRow.before != "null",
            AuditEntryRow.at > at,
        )
        .order_by(AuditEntryRow.sequence.desc())
        .execution_options(yield_per=100)
    )
    # PostgreSQL's cursor must not stay open after an early answer.
    with closing(entries):
        return any(
            (_last_day(before) or _last_day_in(session, tenant, named, sequence) or day) >= day
            for sequence, before, named in entries
        )


def _last_day(facts: str) -> str:
    told = json.loads(facts) or {}
    return str(told.get("valid_to") or "")


def _last_day_in(session: Session, tenant: str, named: str, end: int) -> str:
    """For ends that were noted without the last day: the newest entry before number ``end`` that tells one."""
    newest = session.scalar(
        select(AuditEntryRow.after)
        .where(
            AuditEntryRow.tenant == tenant,
            AuditEntryRow.subject == named,
            AuditEntryRow.sequence < end,
            AuditEntryRow.after.contains(_LAST_DAY, autoescape=True),
        )
        .order_by(AuditEntryRow.sequence.desc())
        .limit(1)
    )
    return _last_day(newest) if newest is not None else ""
