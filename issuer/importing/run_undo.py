"""Undoing an import: what nobody has touched since is removed, the rest stays or is revoked.

A seal that was made may have left the house in a way that leaves no trace, so the place of every removed one says
`INVALID` in its status list for as long as that is published, and stands in the log of revocations. A number comes
free again only with a pass that nobody was given: the corrected row can be imported under it, with another seal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Select, String, delete, exists, func, insert, select, tuple_, union_all, update
from sqlalchemy import cast as sql_cast
from sqlalchemy.orm import Session

from issuer import audit, lifecycle, outgoing
from issuer.audit import AuditEvent
from issuer.errors import RegisterRefusal
from issuer.eudi import following
from issuer.holder_changes import HOLDER_CHANGED, put_holders
from issuer.holders import Holder
from issuer.library.members_gone import let_go
from issuer.lifecycle import Actor
from issuer.models import (
    AuditEntryRow,
    HolderRow,
    PassRow,
    PassTermRow,
    RevisionRow,
    StatusListRow,
    WithdrawnPlaceRow,
)
from issuer.models_access import LetterCodeRow, PickupLinkRow, VisitRow
from issuer.models_cases import CaseRow
from issuer.models_delivery import AppleRegistrationRow, LetterRow, MailRow, ReminderRow, WalletPassRow
from issuer.models_imports import ImportHolderRow, ImportPassRow, ImportRunRow
from issuer.models_library import MemberRow, ReplacedCardRow
from issuer.models_payments import PaymentRow
from issuer.outgoing import EventName, PassEvent
from issuer.register import subject
from issuer.revocation import revoked_places
from issuer.revocation_log import RevocationLog, RevokedPass
from keys.texts import texts
from passes.model import PassStatus
from passes.status_list import Status

if TYPE_CHECKING:
    from issuer.application import Application

AT_ONCE: Final = 100
REMOVED, REVOKED, KEPT = "removed", "revoked", "kept"
# What time does alone, and what earlier imports have left behind, is nobody's touch.
_NOT_TOUCHING: Final = ("import", "import-undone", "expire", "delete", HOLDER_CHANGED)
_OF_PASS: Final = (PickupLinkRow, LetterCodeRow, VisitRow, LetterRow, MailRow, ReminderRow)

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Preview:
    """What undoing would do now: of ``made`` passes ``touched`` would not be removed, ``first`` are some of those."""

    made: int
    touched: int
    first: tuple[Key, ...]


def preview(session: Session, row: ImportRunRow, most: int) -> Preview:
    """What undoing the import would do now, with up to ``most`` of the passes that somebody has touched."""
    of_run = (ImportPassRow.tenant == row.tenant, ImportPassRow.run_id == row.id)
    touched = _touched_rows(row).subquery()
    made = session.scalar(select(func.count()).select_from(ImportPassRow).where(*of_run)) or 0
    count = session.scalar(select(func.count(func.distinct(touched.c.row)))) or 0
    first = session.execute(
        select(ImportPassRow.type_id, ImportPassRow.number)
        .where(*of_run, ImportPassRow.row.in_(select(touched.c.row)))
        .order_by(ImportPassRow.row)
        .limit(most)
    )
    return Preview(made, count, tuple((type_id, number) for type_id, number in first))


def undo_some(session: Session, application: Application, row: ImportRunRow) -> int:
    """Undo up to `AT_ONCE` of the passes that the import has made; says how many, 0 when all are done.

    To be called last in the writing transaction. Raises OSError where the log of revocations cannot be written: then
    nothing must be committed.
    """
    tenant = application.tenant
    of_run = (ImportPassRow.tenant == tenant, ImportPassRow.run_id == row.id)
    some = session.execute(
        select(ImportPassRow.row, ImportPassRow.type_id, ImportPassRow.number)
        .where(*of_run, ImportPassRow.outcome == "")
        .order_by(ImportPassRow.row)
        .limit(AT_ONCE)
    ).all()
    if not some:
        return 0
    places = [one.row for one in some]
    touched = set(session.scalars(_touched_rows(row, places)))
    keys: dict[int, Key] = {one.row: (one.type_id, one.number) for one in some}
    log = RevocationLog(application.workspace.folder)
    to_remove = [key for place, key in keys.items() if place not in touched]
    freed = _freed(session, tenant, to_remove)
    seals, superseded = _remove(session, application, row, to_remove)
    revoked: list[RevokedPass] = []
    outcomes = dict.fromkeys(keys.keys() - touched, REMOVED) | dict.fromkeys(touched, KEPT)
    if row.undo_revokes:
        for place in sorted(touched):
            if _revoke(session, application, row, keys[place]):
                outcomes[place] = REVOKED
                revoked += revoked_places(session, tenant, *keys[place])
    for outcome in (REMOVED, REVOKED, KEPT):
        chosen = [place for place, found in outcomes.items() if found == outcome]
        if chosen:
            session.execute(
                update(ImportPassRow).where(*of_run, ImportPassRow.row.in_(chosen)).values(outcome=outcome)
            )
    counts = list(outcomes.values())
    row.removed += counts.count(REMOVED)
    row.revoked += counts.count(REVOKED)
    row.kept += counts.count(KEPT)
    session.flush()
    log.seals(tenant, seals, application.now())
    log.passes(tenant, revoked, application.now())
    log.superseded(tenant, superseded, application.now())
    log.freed(tenant, freed, application.now())
    return len(some)


def _touched_rows(row: ImportRunRow, only: Sequence[int] | None = None) -> Select[Any]:
    """The rows of the passes that something was done with since, or whose holders have heard of them."""
    mine = [ImportPassRow.tenant == row.tenant, ImportPassRow.run_id == row.id]
    if only is not None:
        mine.append(ImportPassRow.row.in_(only))
    name = ImportPassRow.type_id + "/" + ImportPassRow.number
    queries = [
        select(ImportPassRow.row).where(
            *mine,
            # A subquery, and a sum that no index fits: each pass is to be looked up by its name, not in all entries.
            exists().where(
                AuditEntryRow.tenant == ImportPassRow.tenant,
                AuditEntryRow.subject == name,
                AuditEntryRow.sequence + 0 > row.audit_from,
                AuditEntryRow.action.not_in(_NOT_TOUCHING),
            ),
        ),
        select(ImportPassRow.row).where(
            *mine,
            WalletPassRow.tenant == ImportPassRow.tenant,
            WalletPassRow.type_id == ImportPassRow.type_id,
            WalletPassRow.number == ImportPassRow.number,
            WalletPassRow.google_wanted.is_(True)
            | exists().where(
                AppleRegistrationRow.tenant == WalletPassRow.tenant,
                AppleRegistrationRow.serial == WalletPassRow.serial,
            ),
        ),
        select(ImportPassRow.row).where(
            *mine,
            CaseRow.tenant == ImportPassRow.tenant,
            CaseRow.type_id == ImportPassRow.type_id,
            CaseRow.pass_number == ImportPassRow.number,
        ),
        select(ImportPassRow.row).where(
            *mine,
            PaymentRow.tenant == ImportPassRow.tenant,
            PaymentRow.kind == "pass",
            PaymentRow.ref == sql_cast(name, String),
        ),
        *(
            select(ImportPassRow.row).where(
                *mine,
                table.tenant == ImportPassRow.tenant,
                table.type_id == ImportPassRow.type_id,
                table.number == ImportPassRow.number,
            )
            for table in _OF_PASS
        ),
    ]
    found = union_all(*queries).subquery()
    return select(found.c.row)


def _remove(
    session: Session, application: Application, row: ImportRunRow, keys: Sequence[Key]
) -> tuple[list[RevokedPass], list[RevokedPass]]:
    """Remove passes with all that hangs on them.

    Returns their seals, which are invalid from now on, and the certificates that this supersedes.
    """
    if not keys:
        return [], []
    tenant, now = application.tenant, application.now()

    def of(table: Any) -> Any:
        return (table.tenant == tenant) & tuple_(table.type_id, table.number).in_(keys)

    passes = session.execute(
        select(
            PassRow.type_id, PassRow.number, PassRow.status, PassRow.holder_ref, PassRow.period_last
        ).where(of(PassRow))
    ).all()
    revisions = session.execute(
        select(
            RevisionRow.type_id,
            RevisionRow.number,
            RevisionRow.serial,
            RevisionRow.list_number,
            RevisionRow.list_index,
        ).where(of(RevisionRow))
    ).all()
    seals = [
        RevokedPass(one.type_id, one.number, (one.list_number, one.list_index))
        for one in revisions
        if one.list_number is not None and one.list_index is not None
    ]
    _withdraw(session, application, seals)
    serials = {(one.type_id, one.number): one.serial for one in revisions}
    told = [
        PassEvent(EventName.REVOKED, one.type_id, one.number, serials[one.type_id, one.number])
        for one in passes
        if one.status == PassStatus.ACTIVE
    ]
    outgoing.tell(session, tenant, told, now)
    following.forget(session, tenant, keys, now)
    let_go(session, tenant, keys)
    for table in (PassTermRow, MemberRow, WalletPassRow, RevisionRow, PassRow):
        session.execute(delete(table).where(of(table)))
    superseded = _let_holders_go(session, row, sorted({one.holder_ref for one in passes}), application)
    # With the last day: of later days nothing is missing, which statements go by.
    events = [
        AuditEvent(
            "import-undone",
            subject(one.type_id, one.number),
            {"status": one.status, "valid_to": one.period_last.isoformat()},
        )
        for one in passes
    ]
    audit.append(session, tenant, events, now, row.undo_by or "")
    return seals, superseded


def _freed(session: Session, tenant: str, keys: Sequence[Key]) -> list[Key]:
    """Free the card numbers that the file called replaced, by mistake: nobody was given the cards. Says which."""
    if not keys:
        return []
    of_passes = tuple_(ReplacedCardRow.type_id, ReplacedCardRow.number).in_(keys)
    gone = session.execute(
        delete(ReplacedCardRow)
        .where(ReplacedCardRow.tenant == tenant, of_passes)
        .returning(ReplacedCardRow.type_id, ReplacedCardRow.card_key)
    )
    return [(type_id, card) for type_id, card in gone]


def _withdraw(session: Session, application: Application, seals: Sequence[RevokedPass]) -> None:
    """Have the places of removed seals say that they are invalid, and give none of their lists' places out again."""
    tenant = application.tenant
    places = [one.place for one in seals if one.place is not None]
    if not places:
        return
    session.execute(
        insert(WithdrawnPlaceRow),
        [
            {
                "tenant": tenant,
                "list_number": number,
                "list_index": index,
                "status_value": int(Status.INVALID),
                "at": application.now(),
            }
            for number, index in places
        ],
    )
    session.execute(
        update(StatusListRow)
        .where(StatusListRow.tenant == tenant, StatusListRow.number.in_({number for number, _ in places}))
        .values(used=StatusListRow.capacity)
    )


def _let_holders_go(
    session: Session, row: ImportRunRow, refs: Sequence[str], application: Application
) -> list[RevokedPass]:
    """Delete holders who have no pass any more; of others, bring back what the import has written over.

    Returns the certificates that this supersedes.
    """
    tenant = application.tenant
    session.execute(
        delete(HolderRow).where(
            HolderRow.tenant == tenant,
            HolderRow.ref.in_(refs),
            ~exists().where(PassRow.tenant == HolderRow.tenant, PassRow.holder_ref == HolderRow.ref),
        )
    )
    written_over = session.execute(
        select(ImportHolderRow, HolderRow)
        .join(
            HolderRow,
            (HolderRow.tenant == ImportHolderRow.tenant) & (HolderRow.ref == ImportHolderRow.ref),
        )
        .where(
            ImportHolderRow.tenant == tenant,
            ImportHolderRow.run_id == row.id,
            ImportHolderRow.ref.in_(refs),
        )
    ).all()
    back: dict[str, Holder] = {}
    for kept, holder in written_over:
        # Whoever has written something since knows better.
        if holder.updated_at == kept.at:
            back[kept.ref] = Holder(**kept.before)
        session.delete(kept)
    session.flush()
    return put_holders(session, tenant, back, application.now(), row.undo_by or "")


def _revoke(session: Session, application: Application, row: ImportRunRow, key: Key) -> bool:
    """Revoke a pass that somebody has touched; False where that is done or makes no sense any more."""
    reason = texts("issuer")("IMPORT_UNDO_REASON")
    actor = Actor(row.undo_by or "", application.now(), reason)
    try:
        with session.begin_nested():
            lifecycle.revoke(session, application.tenant, *key, actor=actor)
    except RegisterRefusal:
        return False
    return True
