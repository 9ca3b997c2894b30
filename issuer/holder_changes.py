"""Storing what a holder is called, where they live and which language they read, and what follows from a change.

Every way by which that comes into the register leads through here: imports, the API, cases, the library's desk,
certificates of residence, and undoing an import. A change is a change of the holder's passes: wallets and specialist
systems hear of it, and credentials in EUDI Wallets become invalid in the same transaction (ARF 3.0, VCR_09). A
certificate of residence says who somebody is and where they live, on the day of its issue: it is not edited but
superseded. The mail address stands on nothing, so it changes nothing.

Superseded certificates are for the log outside the database (`issuer.revocation_log`): whoever ends the transaction
notes those that are returned here, so that no restored backup brings them back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Final

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from issuer import audit, outgoing
from issuer.audit import AuditEvent, pass_subject
from issuer.holders import Holder, holder_of
from issuer.importing.record import status_word
from issuer.models import HolderRow, PassRow, RevisionRow
from issuer.outgoing import EventName, PassEvent
from issuer.revocation_log import RevokedPass
from issuer.status_allocation import chunks
from passes.model import PassStatus
from passes.periods import berlin_day
from passes.status_list import Status

# The type of certificates of residence (§ 18 BMG).
RESIDENCE: Final = "residence-certificate"
# How the audit trail calls it. Nobody has touched the pass itself (`issuer.importing.run_undo`).
HOLDER_CHANGED: Final = "holder-changed"
SUPERSEDE: Final = "supersede"
_CHUNK: Final = 500
_RUNNING: Final = (PassStatus.ACTIVE.value, PassStatus.SUSPENDED.value)
_ON_NOTHING: Final = frozenset({"ref", "email"})
_NOT_CERTIFIED: Final = frozenset({"language"})


def put_holders(
    session: Session, tenant: str, holders: Mapping[str, Holder], at: datetime, actor: str
) -> list[RevokedPass]:
    """Store ``holders`` by their refs, in a writing transaction; of one that is there, the newest values count.

    Before the passes are stored that come with them: those that are there follow the change. Returns the certificates
    that were superseded.
    """
    there: dict[str, Holder] = {}
    for chunk in chunks(sorted(holders), _CHUNK):
        found = session.scalars(select(HolderRow).where(HolderRow.tenant == tenant, HolderRow.ref.in_(chunk)))
        there.update({row.ref: holder_of(row) for row in found})
    fresh = [holder.row(tenant, at) for ref, holder in holders.items() if ref not in there]
    if fresh:
        session.execute(insert(HolderRow), fresh)
    changed: dict[str, list[str]] = {}
    for ref, holder in holders.items():
        if ref not in there or there[ref] == holder:
            continue
        session.execute(
            update(HolderRow)
            .where(HolderRow.tenant == tenant, HolderRow.ref == ref)
            .values(**holder.row(tenant, at))
        )
        different = [
            one.name for one in fields(Holder) if getattr(holder, one.name) != getattr(there[ref], one.name)
        ]
        if not _ON_NOTHING.issuperset(different):
            changed[ref] = [name for name in different if name not in _ON_NOTHING]
    return _follow(session, tenant, changed, at, actor)


@dataclass(frozen=True, slots=True)
class Certified:
    """A certificate of residence that was issued just now: whose, from which day on, and what it says as stored."""

    number: str
    holder_ref: str
    first: date
    attributes: Mapping[str, object]


def supersede_older(
    session: Session, tenant: str, issued: Sequence[Certified], at: datetime, actor: str
) -> list[RevokedPass]:
    """Supersede certificates of residence of the same people that say otherwise, in a writing transaction.

    One that says the same stays as it is: the bank may have the first and the landlord the second. Returns those that
    were superseded.
    """
    mine = {one.number for one in issued}
    by_holder: dict[str, list[Certified]] = {}
    for one in issued:
        by_holder.setdefault(one.holder_ref, []).append(one)
    superseded: list[RevokedPass] = []
    for chunk in chunks(sorted(by_holder), _CHUNK):
        for row, revision in _running(session, tenant, chunk, at):
            newest = max(by_holder[row.holder_ref], key=lambda one: one.first)
            is_older = row.number not in mine and row.period_first <= newest.first
            if row.type_id == RESIDENCE and is_older and revision.attributes != newest.attributes:
                superseded.append(supersede_certificate(session, row, revision, at, actor))
    return superseded


def supersede_certificate(
    session: Session, row: PassRow, current: RevisionRow, at: datetime, actor: str
) -> RevokedPass:
    """End a certificate that says what is so no longer, in a writing transaction; ``current`` is its revision.

    Its seals answer as superseded, its credentials become invalid, and its offers, codes and tokens end. Returns it
    with the place of its seal.
    """
    before = row.status
    row.status, row.updated_at = PassStatus.SUPERSEDED.value, at
    if "status" in row.record:
        row.record = {**row.record, "status": status_word(PassStatus.SUPERSEDED)}
    session.execute(
        update(RevisionRow)
        .where(
            RevisionRow.tenant == row.tenant,
            RevisionRow.type_id == row.type_id,
            RevisionRow.number == row.number,
            RevisionRow.status_value != int(Status.INVALID),
        )
        .values(status_value=int(Status.SUPERSEDED))
    )
    session.flush()
    about = pass_subject(row.type_id, row.number)
    event = AuditEvent(SUPERSEDE, about, {"status": before}, {"status": row.status})
    audit.append(session, row.tenant, [event], at, actor)
    noted = PassEvent(EventName.SUPERSEDED, row.type_id, row.number, current.serial)
    outgoing.note(session, row.tenant, [noted], at)
    if current.list_number is None or current.list_index is None:
        return RevokedPass(row.type_id, row.number, None)
    return RevokedPass(row.type_id, row.number, (current.list_number, current.list_index))


def _follow(
    session: Session, tenant: str, changed: Mapping[str, Sequence[str]], at: datetime, actor: str
) -> list[RevokedPass]:
    """``changed`` are the names of the fields that are others now, by the holders' refs."""
    superseded: list[RevokedPass] = []
    for chunk in chunks(sorted(changed), _CHUNK):
        events: list[AuditEvent] = []
        notes: list[PassEvent] = []
        for row, revision in _running(session, tenant, chunk, at):
            names = changed[row.holder_ref]
            if row.type_id == RESIDENCE:
                # Of a language nothing in it or in its credentials changes.
                if not _NOT_CERTIFIED.issuperset(names):
                    superseded.append(supersede_certificate(session, row, revision, at, actor))
                continue
            # Which fields, and never what they say.
            about = pass_subject(row.type_id, row.number)
            events.append(AuditEvent(HOLDER_CHANGED, about, after={"fields": list(names)}))
            notes.append(PassEvent(EventName.CHANGED, row.type_id, row.number, revision.serial))
        if events:
            audit.append(session, tenant, events, at, actor)
            outgoing.note(session, tenant, notes, at)
    return superseded


def _running(
    session: Session, tenant: str, refs: Sequence[str], at: datetime
) -> Sequence[tuple[PassRow, RevisionRow]]:
    rows = session.execute(
        select(PassRow, RevisionRow)
        .join(
            RevisionRow,
            (RevisionRow.tenant == PassRow.tenant)
            & (RevisionRow.type_id == PassRow.type_id)
            & (RevisionRow.number == PassRow.number),
        )
        .where(
            PassRow.tenant == tenant,
            PassRow.holder_ref.in_(refs),
            PassRow.status.in_(_RUNNING),
            PassRow.period_last >= berlin_day(at),
            RevisionRow.superseded_at.is_(None),
        )
        .order_by(PassRow.type_id, PassRow.number)
    )
    return [(row, revision) for row, revision in rows]
