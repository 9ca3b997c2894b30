"""Imports of old registers: what state one is in, who may take it where, and where its file lies.

A file is uploaded and checked (`checking`), looked at by a person (`checked`), and taken in (`importing`); for a day
that can be undone (`undoing`). The work itself is done by the task in `issuer.importing.run_work`. Of a tenant's
imports one is at work at a time. The file lies in ``DATA/imports``, readable by the service alone, until the import
has ended, and a day at most if nobody confirms it; it is part of no backup, since the register keeps what is needed.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from issuer import audit
from issuer.audit import AuditEvent
from issuer.errors import IssuerRefusal
from issuer.models import AuditHeadRow
from issuer.models_imports import ImportRunRow

if TYPE_CHECKING:
    from issuer.application import Application

TASK: Final = "import-run"
EXPIRE_TASK: Final = "import-expire"
FOLDER: Final = "imports"
# How long a file waits for somebody to confirm it, and how long an import can be undone.
WAITS: Final = timedelta(hours=24)
UNDO: Final = timedelta(hours=24)
_ID_BYTES: Final = 16
_ORPHAN: Final = timedelta(hours=2)


class State(StrEnum):
    """Where an import stands."""

    CHECKING = "checking"
    CHECKED = "checked"
    IMPORTING = "importing"
    IMPORTED = "imported"
    UNDOING = "undoing"
    UNDONE = "undone"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    FAILED = "failed"
    EXPIRED = "expired"


AT_WORK: Final = (State.CHECKING, State.IMPORTING, State.UNDOING)
# What may be undone, if anything was made.
_UNDOABLE: Final = (State.IMPORTED, State.CANCELLED, State.FAILED)


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that lies in the folder as ``run_id``: what it is said to be."""

    run_id: str
    type_id: str
    file_name: str
    encoding: str
    size: int
    digest: str


def new_id() -> str:
    """The id of an import: 128 random bits."""
    return secrets.token_urlsafe(_ID_BYTES)


def folder_of(application: Application) -> Path:
    """The folder of the files, made if need be: nobody else looks into it."""
    folder = application.workspace.folder / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def file_of(application: Application, run_id: str) -> Path:
    """Where the file of an import lies while it has one."""
    return folder_of(application) / f"{run_id}.csv"


def remove_file(application: Application, run_id: str) -> None:
    """Delete the file of an import and what its check has noted of it."""
    for suffix in (".csv", ".rows"):
        with suppress(FileNotFoundError):
            (folder_of(application) / f"{run_id}{suffix}").unlink()


def begin(session: Session, application: Application, upload: Upload, *, actor: str) -> ImportRunRow:
    """Have an uploaded file checked. Raises IssuerRefusal IMPORT_AT_WORK while another import is at work."""
    _nobody_at_work(session, application)
    now = application.now()
    row = ImportRunRow(
        tenant=application.tenant,
        id=upload.run_id,
        type_id=upload.type_id,
        file_name=upload.file_name,
        encoding=upload.encoding,
        size=upload.size,
        digest=upload.digest,
        state=State.CHECKING.value,
        uploaded_at=now,
        uploaded_by=actor,
    )
    session.add(row)
    session.flush()
    facts: audit.Facts = {"type": upload.type_id, "bytes": upload.size, "sha256": upload.digest}
    note(session, application, row, "import-upload", actor, facts)
    application.enqueue(session, TASK, {"id": row.id})
    application.enqueue(session, EXPIRE_TASK, {"id": row.id}, delay_seconds=WAITS.total_seconds() + 60)
    return row


def confirm(session: Session, application: Application, run_id: str, *, actor: str) -> None:
    """Have what was checked taken in.

    Raises IssuerRefusal IMPORT_UNKNOWN, IMPORT_NOT_CHECKED in another state, IMPORT_NOTHING_NEW if the file has no
    row that is new, IMPORT_EXPIRED once its day is over, IMPORT_AT_WORK.
    """
    row = locked(session, application, run_id)
    if row.state != State.CHECKED:
        raise IssuerRefusal("IMPORT_NOT_CHECKED")
    if row.uploaded_at + WAITS <= application.now():
        raise IssuerRefusal("IMPORT_EXPIRED")
    if not row.fresh:
        raise IssuerRefusal("IMPORT_NOTHING_NEW")
    _nobody_at_work(session, application)
    row.state, row.confirmed_at, row.confirmed_by = State.IMPORTING.value, application.now(), actor
    facts = {"new": row.fresh, "same": row.same, "differing": row.differing, "refused": row.refused}
    note(session, application, row, "import-confirm", actor, facts)
    head = session.get(AuditHeadRow, application.tenant)
    row.audit_from = head.sequence if head is not None else 0
    application.enqueue(session, TASK, {"id": row.id})


def cancel(session: Session, application: Application, run_id: str, *, actor: str) -> None:
    """Stop an import before its next piece, or give one up that waits; what is entered stays.

    The caller removes the file afterwards. Raises IssuerRefusal IMPORT_UNKNOWN, IMPORT_ENDED.
    """
    row = locked(session, application, run_id)
    if row.state not in (State.CHECKING, State.CHECKED, State.IMPORTING):
        raise IssuerRefusal("IMPORT_ENDED")
    row.state, row.ended_at = State.CANCELLED.value, application.now()
    note(session, application, row, "import-cancel", actor, {"made": row.made})


def undo(
    session: Session, application: Application, run_id: str, *, revoke_touched: bool, actor: str
) -> None:
    """Have everything undone that the import has made; passes that were touched since stay or are revoked.

    Raises IssuerRefusal IMPORT_UNKNOWN, IMPORT_NOT_UNDOABLE, IMPORT_AT_WORK.
    """
    row = locked(session, application, run_id)
    if not can_be_undone(application, row):
        raise IssuerRefusal("IMPORT_NOT_UNDOABLE")
    _nobody_at_work(session, application)
    row.state, row.undo_at, row.undo_by = State.UNDOING.value, application.now(), actor
    row.undo_revokes = revoke_touched
    note(session, application, row, "import-undo", actor, {"made": row.made, "revoke": revoke_touched})
    application.enqueue(session, TASK, {"id": row.id})


def can_be_undone(application: Application, row: ImportRunRow) -> bool:
    """Whether the import has made something and its day is not over."""
    until = undo_until(row)
    return row.state in _UNDOABLE and row.made > 0 and until is not None and application.now() < until


def undo_until(row: ImportRunRow) -> datetime | None:
    """Until when the import can be undone; None before it has ended."""
    return row.ended_at + UNDO if row.ended_at is not None else None


def note(
    session: Session,
    application: Application,
    row: ImportRunRow,
    action: str,
    actor: str,
    facts: audit.Facts,
) -> None:
    """Note in the audit trail what was done with an import; the name of its file may be a person's."""
    event = AuditEvent(action, f"import/{row.id}", after=facts)
    audit.append(session, application.tenant, [event], application.now(), actor)


def find(session: Session, application: Application, run_id: str) -> ImportRunRow:
    """An import. Raises IssuerRefusal IMPORT_UNKNOWN."""
    row = session.get(ImportRunRow, (application.tenant, run_id[:40]))
    if row is None:
        raise IssuerRefusal("IMPORT_UNKNOWN")
    return row


def locked(session: Session, application: Application, run_id: str) -> ImportRunRow:
    """An import as it is now, to be changed. Raises IssuerRefusal IMPORT_UNKNOWN."""
    key = (application.tenant, run_id[:40])
    row = session.get(ImportRunRow, key, with_for_update=True, populate_existing=True)
    if row is None:
        raise IssuerRefusal("IMPORT_UNKNOWN")
    return row


def newest(session: Session, application: Application, most: int) -> Sequence[ImportRunRow]:
    """The imports of the tenant, newest first."""
    return session.scalars(
        select(ImportRunRow)
        .where(ImportRunRow.tenant == application.tenant)
        .order_by(ImportRunRow.uploaded_at.desc(), ImportRunRow.id)
        .limit(most)
    ).all()


def with_same_file(session: Session, application: Application, row: ImportRunRow) -> ImportRunRow | None:
    """The newest earlier import of the very same file that made something."""
    return session.scalars(
        select(ImportRunRow)
        .where(
            ImportRunRow.tenant == application.tenant,
            ImportRunRow.digest == row.digest,
            ImportRunRow.id != row.id,
            ImportRunRow.made > 0,
            ImportRunRow.uploaded_at <= row.uploaded_at,
        )
        .order_by(ImportRunRow.uploaded_at.desc())
        .limit(1)
    ).first()


def at_work(session: Session, application: Application) -> ImportRunRow | None:
    """The one import of the tenant that is at work."""
    return session.scalars(
        select(ImportRunRow).where(ImportRunRow.tenant == application.tenant, ImportRunRow.state.in_(AT_WORK))
    ).first()


def waiting(session: Session, application: Application) -> int:
    """How many imports wait for somebody to confirm them."""
    return (
        session.scalar(
            select(func.count())
            .select_from(ImportRunRow)
            .where(
                ImportRunRow.tenant == application.tenant,
                ImportRunRow.state == State.CHECKED.value,
                ImportRunRow.uploaded_at > application.now() - WAITS,
            )
        )
        or 0
    )


def outstanding(session: Session, tenant: str) -> list[str]:
    """The ids of the imports that are at work."""
    return list(
        session.scalars(
            select(ImportRunRow.id).where(ImportRunRow.tenant == tenant, ImportRunRow.state.in_(AT_WORK))
        )
    )


def expire(application: Application) -> int:
    """Give up what nobody has confirmed in its day, and delete files that no import needs; says how many."""
    now = application.now()
    with application.writing() as session:
        for row in session.scalars(
            select(ImportRunRow).where(
                ImportRunRow.tenant == application.tenant,
                ImportRunRow.state == State.CHECKED.value,
                ImportRunRow.uploaded_at <= now - WAITS,
            )
        ):
            row.state, row.ended_at = State.EXPIRED.value, now
            note(session, application, row, "import-expire", "nightly", {"made": 0})
    stale = stale_files(application)
    for file in stale:
        file.unlink(missing_ok=True)
    return len(stale)


def stale_files(application: Application) -> list[Path]:
    """Files that no import needs any more, or that were never wholly uploaded."""
    folder = application.workspace.folder / FOLDER
    if not folder.is_dir():
        return []
    limit = application.now() - WAITS
    with application.reading() as session:
        rows = session.execute(
            select(ImportRunRow.id, ImportRunRow.state, ImportRunRow.uploaded_at).where(
                ImportRunRow.tenant == application.tenant,
                ImportRunRow.state.in_((*AT_WORK, State.CHECKED)),
            )
        ).all()
    needed = {one for one, state, uploaded in rows if state != State.CHECKED or uploaded > limit}
    return sorted(file for file in folder.iterdir() if file.stem not in needed and _is_old(file))


def _is_old(file: Path) -> bool:
    """Whether nobody can be writing the file any more; by the machine's clock, as its files are."""
    with suppress(FileNotFoundError):
        age = datetime.now().timestamp() - file.stat().st_mtime  # noqa: DTZ005 - only a difference
        return age > _ORPHAN.total_seconds()
    return False


def _nobody_at_work(session: Session, application: Application) -> None:
    if at_work(session, application) is not None:
        raise IssuerRefusal("IMPORT_AT_WORK")
