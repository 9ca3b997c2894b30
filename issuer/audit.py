"""The audit trail: a chain of hashes over who did what to which pass, and why.

Each entry's hash is SHA-256 over the canonical JSON of all its fields and the hash before it, so a changed,
inserted or removed entry breaks the chain. The last hash is also kept apart: entries cut off at the end show
too. Someone who may write to the whole database can compute a new chain throughout; that shows only against a
hash noted elsewhere, which is why `verify` reports the newest one and takes an older one to look for.

Entries hold pass numbers, plates, zones and periods, but no name, address, e-mail or birth date: of a type that says
who somebody is, such as a certificate of residence, nothing that it says.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Row, insert, select
from sqlalchemy.orm import Session

from issuer.models import AuditEntryRow, AuditHeadRow

FIRST_HASH = "0" * 64
# What is noted last of a pass. Its number may come free with that, and entries that follow tell of another pass.
ENDS_OF_LIFE: Final = frozenset({"delete", "import-undone"})

Fact = str | int | bool | None | list[str] | list[int]
Facts = Mapping[str, Fact]


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """Something that was done; ``before`` and ``after`` are the values it changed, or None."""

    action: str
    subject: str
    before: Facts | None = None
    after: Facts | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry as it stands in the chain; ``at`` is in UTC."""

    sequence: int
    at: datetime
    actor: str
    action: str
    subject: str
    before: Facts | None
    after: Facts | None
    reason: str | None
    hash: str


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What `verify` found: ``fault`` is None for a whole chain, else AUDIT_CHANGED, AUDIT_MISSING,
    AUDIT_CUT or AUDIT_OTHER_CHAIN at the entry ``broken_at``.
    """

    entries: int
    head: str
    fault: str | None = None
    broken_at: int | None = None


def pass_subject(type_id: str, number: str) -> str:
    """How the audit trail names a pass."""
    return f"{type_id}/{number}"


def append(session: Session, tenant: str, events: Iterable[AuditEvent], at: datetime, actor: str) -> str:
    """Add ``events`` to the chain of ``tenant``, in order; they become part of the caller's transaction.

    Returns the hash of the newest entry. The session must be one of `issuer.database.writing`, so that no
    other process adds entries at the same time.
    """
    head = session.get(AuditHeadRow, tenant, with_for_update=True, populate_existing=True)
    sequence, previous = (0, FIRST_HASH) if head is None else (head.sequence, head.hash)
    in_utc = at.astimezone(UTC)
    rows: list[dict[str, object]] = []
    for event in events:
        sequence += 1
        before, after = _canonical(event.before), _canonical(event.after)
        facts = (actor, event.action, event.subject, before, after, event.reason)
        digest = _hash(tenant, sequence, in_utc, facts, previous)
        rows.append(
            {
                "tenant": tenant,
                "sequence": sequence,
                "at": in_utc,
                "actor": actor,
                "action": event.action,
                "subject": event.subject,
                "before": before,
                "after": after,
                "reason": event.reason,
                "previous_hash": previous,
                "hash": digest,
            }
        )
        previous = digest
    if rows:
        session.execute(insert(AuditEntryRow), rows)
        if head is None:
            session.add(AuditHeadRow(tenant=tenant, sequence=sequence, hash=previous))
        else:
            head.sequence, head.hash = sequence, previous
        session.flush()
    return previous


def history(session: Session, tenant: str, subject: str) -> Sequence[AuditEntry]:
    """All entries about ``subject``, oldest first."""
    rows = session.scalars(
        select(AuditEntryRow)
        .where(AuditEntryRow.tenant == tenant, AuditEntryRow.subject == subject)
        .order_by(AuditEntryRow.sequence)
    )
    return [
        AuditEntry(
            row.sequence, row.at, row.actor, row.action, row.subject,
            json.loads(row.before), json.loads(row.after), row.reason, row.hash,
        )
        for row in rows
    ]  # fmt: skip


def of_this_life(entries: Sequence[AuditEntry]) -> Sequence[AuditEntry]:
    """Those of a pass's ``entries``, oldest first, that are not of an earlier pass with the same number."""
    ends = [place for place, entry in enumerate(entries) if entry.action in ENDS_OF_LIFE]
    return entries[ends[-1] + 1 :] if ends else entries


def verify(session: Session, tenant: str, noted: tuple[int, str] | None = None) -> AuditReport:
    """Check the chain of ``tenant`` from its first entry to its head.

    ``noted`` is a sequence number and hash written down earlier, outside the database; a chain that was
    computed anew does not contain it. The report names the first broken entry.
    """
    rows = session.execute(
        select(*AuditEntryRow.__table__.columns)
        .where(AuditEntryRow.tenant == tenant)
        .order_by(AuditEntryRow.sequence)
        .execution_options(yield_per=1000)
    )
    # A broken chain ends the walk early; PostgreSQL's cursor must not stay open then.
    with closing(rows):
        return _verified(session, tenant, rows, noted)


def _verified(
    session: Session, tenant: str, rows: Iterable[Row[Any]], noted: tuple[int, str] | None
) -> AuditReport:
    expected, previous = 0, FIRST_HASH
    for row in rows:
        expected += 1
        if row.sequence != expected or row.previous_hash != previous:
            fault = "AUDIT_MISSING" if row.sequence != expected else "AUDIT_CHANGED"
            return AuditReport(expected - 1, previous, fault, expected)
        facts = (row.actor, row.action, row.subject, row.before, row.after, row.reason)
        digest = _hash(tenant, row.sequence, row.at, facts, previous)
        if not hmac.compare_digest(digest, row.hash):
            return AuditReport(expected - 1, previous, "AUDIT_CHANGED", expected)
        if noted is not None and noted[0] == expected and not hmac.compare_digest(noted[1], digest):
            return AuditReport(expected - 1, previous, "AUDIT_OTHER_CHAIN", expected)
        previous = digest
    head = session.get(AuditHeadRow, tenant, populate_existing=True)
    kept = (0, FIRST_HASH) if head is None else (head.sequence, head.hash)
    if kept != (expected, previous):
        return AuditReport(expected, previous, "AUDIT_CUT", expected + 1)
    if noted is not None and noted[0] > expected:
        return AuditReport(expected, previous, "AUDIT_OTHER_CHAIN", noted[0])
    return AuditReport(expected, previous)


def _canonical(facts: Facts | None) -> str:
    """JSON with sorted keys and no spaces, UTF-8: the same text for the same facts, always."""
    return json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _hash(tenant: str, sequence: int, at: datetime, facts: tuple[str | None, ...], previous: str) -> str:
    time = at.astimezone(UTC).isoformat(timespec="microseconds")
    fields = [tenant, sequence, time, *facts, previous]
    text = json.dumps(fields, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
