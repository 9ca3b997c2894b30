"""The work of an import, as a background task: check the file, enter its rows, or undo what was entered.

Each works in pieces of one short transaction, which also holds how far it has come. A check that was killed begins
anew. An entry that was killed goes through the file again, enters nothing behind what is committed, and goes on from
there: what the register says in the end is what it would have said without the interruption. Where two workers have
the same import, as after a pause that looked like a death, the one that came later goes on and the other one stops
at its next piece; `ImportRunRow.work` says which one that is.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, BinaryIO, Final

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from issuer.background.tasks import Json, Queue, RetryLater, Task
from issuer.database import let_others_write
from issuer.errors import IssuerRefusal, RegisterRefusal
from issuer.holders import holder_of
from issuer.importing import run_findings
from issuer.importing.check_file import AcceptedRow, CheckedFile
from issuer.importing.file_check import FileCheck, RowIndex
from issuer.importing.findings import FileRefused, Finding, Severity
from issuer.importing.run_guardians import leave_out
from issuer.importing.run_undo import undo_some
from issuer.importing.runs import (
    AT_WORK,
    EXPIRE_TASK,
    TASK,
    WAITS,
    State,
    expire,
    file_of,
    folder_of,
    locked,
    note,
    remove_file,
)
from issuer.models import HolderRow, RevisionRow
from issuer.models_imports import ImportHolderRow, ImportPassRow, ImportRunRow
from issuer.register import insert_passes
from issuer.revocation_log import RevocationLog
from issuer.sealing import RegisterSealer
from issuer.status_allocation import chunks
from keys.errors import KeyRefusal, Refusal
from passes.pass_types import PassType

if TYPE_CHECKING:
    from issuer.application import Application

# A seal takes a fifth of a millisecond and a row somewhat more: nobody waits long for the one writer.
ENTERED_AT_ONCE: Final = 250
_PATIENCE: Final = timedelta(days=1)
# So often is a piece checked again at once because somebody else has changed the register in between.
_CHANGES: Final = 5
_WAITS_FOR_OPERATOR: Final = frozenset({"NO_SIGNING_KEY", "REGISTER_BUSY", "REGISTER_GIVEN_UP"})


@dataclass(frozen=True, slots=True)
class Work:
    """One run of the task; ``token`` stands in the import for as long as this run is the one that goes on."""

    application: Application
    run_id: str
    state: State
    token: str

    def row(self, session: Session) -> ImportRunRow | None:
        """The import, to be changed; None if it was cancelled, or another run goes on with it."""
        row = locked(session, self.application, self.run_id)
        return row if row.state == self.state and row.work == self.token else None


def run_task(application: Application, payload: Json) -> None:
    """Go on with the import ``payload["id"]`` from wherever it stands.

    Raises RetryLater where the operator has to act first, or where the register will not stand still.
    """
    work = _begun(application, str(payload["id"]))
    if work is None:
        return
    try:
        if work.state is State.UNDOING:
            _undo(work)
        else:
            _with_file(work)
    except FileRefused as refused:
        _refuse(work, refused.finding())
    except Refusal as refusal:
        if isinstance(refusal, KeyRefusal) or refusal.code in _WAITS_FOR_OPERATOR:
            raise RetryLater(refusal.code) from refusal
        if refusal.code == "REGISTER_CHANGED":
            raise RetryLater(refusal.code, 1) from refusal
        _refuse(work, _of_run(refusal), State.FAILED)


def give_up(application: Application, payload: Json) -> None:
    """End an import that could not go on for a day; what it has entered stays and can be undone."""
    with application.writing() as session:
        row = session.get(ImportRunRow, (application.tenant, str(payload["id"])), with_for_update=True)
        if row is None or row.state not in AT_WORK:
            return
        row.state, row.ended_at = State.FAILED.value, application.now()
        run_findings.add(session, application.tenant, row.id, [_of_run(IssuerRefusal("IMPORT_GIVEN_UP"))])
    remove_file(application, str(payload["id"]))


def run_expiry(application: Application, payload: Json) -> None:
    """Give the import ``payload["id"]`` up if nobody has confirmed it in its day."""
    with application.reading() as session:
        row = session.get(ImportRunRow, (application.tenant, str(payload["id"])))
    if row is None or row.state in AT_WORK:
        return
    if row.state != State.CHECKED:
        # A worker may have died between the end of an import and the removal of its file.
        remove_file(application, row.id)
        return
    left = (row.uploaded_at + WAITS - application.now()).total_seconds()
    if left > 0:
        raise RetryLater("import-waits", left + 1)
    expire(application)
    remove_file(application, row.id)


TASKS: tuple[Task, ...] = (
    Task(TASK, Queue.IMPORTS, run_task, _PATIENCE, give_up),
    Task(EXPIRE_TASK, Queue.MAIL, run_expiry),
)


def _begun(application: Application, run_id: str) -> Work | None:
    token = secrets.token_hex(8)
    with application.writing() as session:
        row = session.get(
            ImportRunRow, (application.tenant, run_id), with_for_update=True, populate_existing=True
        )
        if row is None or row.state not in AT_WORK:
            return None
        row.work = token
        return Work(application, run_id, State(row.state), token)


def _with_file(work: Work) -> None:
    application = work.application
    with application.reading() as session:
        row = session.get_one(ImportRunRow, (application.tenant, work.run_id))
    pass_type = application.pass_types[row.type_id]
    try:
        file = file_of(application, work.run_id).open("rb")
    except FileNotFoundError:
        # After a restore, or where somebody has emptied the folder.
        raise FileRefused("IMPORT_FILE_GONE") from None
    with file, closing(RowIndex(folder_of(application) / f"{work.run_id}.rows")) as index:
        check = FileCheck(
            application.reading,
            application.tenant,
            pass_type,
            file,
            row.encoding,
            application.now(),
            index,
            application.sources.residents,
        )
        if work.state is State.CHECKING:
            _check(work, check, file)
        else:
            _enter(work, check, pass_type, row.done)
    with application.reading() as session:
        ended = session.get_one(ImportRunRow, (application.tenant, work.run_id)).state
    if ended in (State.IMPORTED, State.CANCELLED):
        remove_file(application, work.run_id)


def _check(work: Work, check: FileCheck, file: BinaryIO) -> None:
    application = work.application
    if not _forget_findings(work):
        return
    for rows in check.chunks():
        checked = check.check(rows)
        with application.writing() as session:
            row = work.row(session)
            if row is None:
                return
            _count(row, checked, len(rows))
            row.read_bytes = file.tell()
            run_findings.add(session, application.tenant, work.run_id, checked.findings)
        let_others_write()
    with application.writing() as session:
        row = work.row(session)
        if row is not None:
            row.state, row.checked_at = State.CHECKED.value, application.now()


def _forget_findings(work: Work) -> bool:
    """Begin the check anew; False if this run is to stop."""
    application = work.application
    while True:
        with application.writing() as session:
            row = work.row(session)
            if row is None:
                return False
            row.total = row.fresh = row.same = row.differing = row.refused = row.read_bytes = 0
            if not run_findings.remove_some(session, application.tenant, work.run_id):
                return True
        let_others_write()


def _count(row: ImportRunRow, checked: CheckedFile, rows: int) -> None:
    differing = sum(one.code == "DUPLICATE_ID" and one.text is None for one in checked.findings)
    row.total += rows
    row.fresh += len(checked.accepted)
    row.same += len(checked.unchanged)
    row.differing += differing
    row.refused += checked.refused - differing
    row.fees_checked = checked.fees_checked


def _enter(work: Work, check: FileCheck, pass_type: PassType, done: int) -> None:
    application = work.application
    with application.reading() as session:
        sealer = application.sealer(session, pass_type)
    for rows in check.chunks():
        checked = check.check(rows)
        if rows and rows[-1].row > done:
            for change in range(_CHANGES + 1):
                try:
                    if not _enter_piece(work, checked, sealer, rows[-1].row):
                        return
                    break
                except RegisterRefusal as refusal:
                    if refusal.code != "REGISTER_CHANGED" or change == _CHANGES:
                        raise
                    checked = check.check(rows)
    with application.writing() as session:
        row = work.row(session)
        if row is None:
            return
        run_findings.add(session, application.tenant, row.id, leave_out(session, row))
        row.state, row.ended_at = State.IMPORTED.value, application.now()
        note(
            session,
            application,
            row,
            "import-end",
            row.confirmed_by or "",
            {"made": row.made, "rows": row.total},
        )


def _enter_piece(work: Work, checked: CheckedFile, sealer: RegisterSealer, last_row: int) -> bool:
    """Enter what is new of a piece, behind the rows that are done; False if this run is to stop."""
    application = work.application
    with application.reading() as session:
        done = session.get_one(ImportRunRow, (application.tenant, work.run_id)).done
    left = [one for one in checked.accepted if one.row > done]
    for accepted in chunks(left, ENTERED_AT_ONCE):
        with application.writing() as session:
            row = work.row(session)
            if row is None:
                return False
            row.made += len(_entered(session, application, row, accepted, sealer))
            row.done = accepted[-1].row
        let_others_write()
    with application.writing() as session:
        row = work.row(session)
        if row is None:
            return False
        run_findings.add_new_errors(session, row, checked.findings, done, last_row)
        row.done = last_row
    return True


def _entered(
    session: Session,
    application: Application,
    row: ImportRunRow,
    accepted: Sequence[AcceptedRow],
    sealer: RegisterSealer,
) -> list[str]:
    """Enter rows and remember what that made and what it wrote over; the numbers of the new passes."""
    tenant, at = application.tenant, application.now()
    _keep_holders(session, row, accepted, at)
    serials = insert_passes(
        session,
        tenant,
        accepted,
        sealer,
        at=at,
        actor=row.confirmed_by or "",
        log=RevocationLog(application.workspace.folder),
    )
    numbers = {one.number for one in accepted}
    if len(serials) < len(accepted):
        # Somebody else has entered some of them alike in between.
        numbers = set(
            session.scalars(
                select(RevisionRow.number).where(
                    RevisionRow.tenant == tenant, RevisionRow.serial.in_(serials)
                )
            )
        )
    made = [one for one in accepted if one.number in numbers]
    if made:
        session.execute(
            insert(ImportPassRow),
            [
                {
                    "tenant": tenant,
                    "run_id": row.id,
                    "row": one.row,
                    "type_id": one.type_id,
                    "number": one.number,
                }
                for one in made
            ],
        )
    return [one.number for one in made]


def _keep_holders(session: Session, row: ImportRunRow, accepted: Sequence[AcceptedRow], at: datetime) -> None:
    """Keep what the register says of holders of whom these rows say something else, while it may come back."""
    incoming = {one.holder.ref: one.holder for one in accepted}
    refs = sorted(incoming)
    kept = {
        one.ref: one
        for one in session.scalars(
            select(ImportHolderRow).where(
                ImportHolderRow.tenant == row.tenant,
                ImportHolderRow.run_id == row.id,
                ImportHolderRow.ref.in_(refs),
            )
        )
    }
    for one in session.scalars(
        select(HolderRow).where(HolderRow.tenant == row.tenant, HolderRow.ref.in_(refs))
    ):
        holder = holder_of(one)
        if holder == incoming[one.ref]:
            continue
        if one.ref in kept:
            kept[one.ref].at = at
        else:
            session.add(
                ImportHolderRow(tenant=row.tenant, run_id=row.id, ref=one.ref, before=asdict(holder), at=at)
            )
    session.flush()


def _undo(work: Work) -> None:
    application = work.application
    while True:
        with application.writing() as session:
            row = work.row(session)
            if row is None:
                return
            if not undo_some(session, application, row):
                row.state, row.undone_at = State.UNDONE.value, application.now()
                facts = {"removed": row.removed, "revoked": row.revoked, "kept": row.kept}
                note(session, application, row, "import-undone", row.undo_by or "", facts)
                return
        let_others_write()


def _refuse(work: Work, finding: Finding, state: State = State.REFUSED) -> None:
    """End an import whose file cannot be used; of a file that was checked, this is all that there is to say."""
    application = work.application
    if work.state is State.CHECKING and not _forget_findings(work):
        return
    with application.writing() as session:
        row = work.row(session)
        if row is None:
            return
        row.state, row.ended_at = state.value, application.now()
        if work.state is not State.CHECKING:
            row.state = State.FAILED.value
        run_findings.add(session, application.tenant, row.id, [finding])
    remove_file(application, work.run_id)


def _of_run(refusal: Refusal) -> Finding:
    return Finding(None, None, None, Severity.ERROR, refusal.code, refusal.params, refusal.package)
