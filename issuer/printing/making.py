"""Making the PDF of a print run in the background: in chunks, each committed with what it has printed.

A run that was killed goes on after its last chunk. Until it is done nobody can fetch anything; then the chunks become
one file, with the electronic seal where there are certificates in it: the seal of a sheet would not outlive that.
Pieces and file are encrypted under the service's secret, since they hold names, addresses and codes.
"""

from __future__ import annotations

import io
import logging
import secrets
import threading
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final

import pypdfium2
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Delete, delete, select
from sqlalchemy.orm import Session

from issuer import audit, letters
from issuer.application import Application
from issuer.audit import AuditEvent
from issuer.background.tasks import Json, Queue, RetryLater, Task
from issuer.database import let_others_write
from issuer.errors import IssuerRefusal
from issuer.models import HolderRow, PassRow
from issuer.models_delivery import LetterRow
from issuer.models_print import PrintFileRow, PrintItemRow, PrintRunRow
from issuer.pass_view import show
from issuer.pickup.codes import keep_code
from issuer.printing.selection import Kind
from issuer.prints import Sealing, sealing_now, set_print
from issuer.register import subject
from keys.errors import KeyRefusal, Refusal
from passes.model import PassStatus

TASK: Final = "print-run"
AT_ONCE: Final = 20
_PATIENCE: Final = timedelta(hours=6)
_NONCE: Final = 12
# Pdfium may not be used by two threads at the same time.
_joining: Final = threading.Lock()
_log = logging.getLogger("stadtpass.printing")


class _FaultyItemError(Exception):
    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def run_task(application: Application, payload: Json) -> None:
    """Make the run ``payload["id"]``, from wherever it stands. Raises RetryLater for what the operator must mend."""
    run_id = str(payload["id"])
    while True:
        with application.reading() as session:
            run = session.get(PrintRunRow, (application.tenant, run_id))
            if run is None or run.state not in ("queued", "running"):
                return
            items = _next_items(session, application, run_id)
        if not items:
            _finish(application, run_id)
            return
        _chunk(application, run, items)
        let_others_write()


def give_up(application: Application, payload: Json) -> None:
    """End a run that could not be made for hours; its passes are in no printed run, so the next one takes them."""
    from issuer.printing.runs import fail  # noqa: PLC0415 - it begins the runs that are made here

    run_id = str(payload["id"])
    with application.writing() as session:
        session.execute(_files_of(application, run_id))
        for one in session.scalars(
            select(PrintItemRow).where(
                PrintItemRow.tenant == application.tenant,
                PrintItemRow.run_id == run_id,
                PrintItemRow.state.in_(("waiting", "made")),
            )
        ):
            one.state, one.code = "faulty", "PRINT_GIVEN_UP"
        fail(session, application, run_id)


TASKS: tuple[Task, ...] = (Task(TASK, Queue.JOBS, run_task, _PATIENCE, give_up),)


def file_of(session: Session, application: Application, run_id: str) -> bytes:
    """The run's PDF. Raises IssuerRefusal PRINT_FILE_GONE once it was deleted, or cannot be opened any more."""
    row = session.get(PrintFileRow, (application.tenant, run_id, 0))
    try:
        if row is not None:
            return _opened(application, run_id, row.data)
    except InvalidTag:
        # Of another secret, as after a restore without it.
        _log.error("print file not readable")
    raise IssuerRefusal("PRINT_FILE_GONE")


def _next_items(session: Session, application: Application, run_id: str) -> list[PrintItemRow]:
    """The next items to make; those of one pass stay together, since its letters carry one code."""
    rows = session.scalars(
        select(PrintItemRow)
        .where(
            PrintItemRow.tenant == application.tenant,
            PrintItemRow.run_id == run_id,
            PrintItemRow.state == "waiting",
        )
        .order_by(PrintItemRow.position)
    ).all()
    items = list(rows[:AT_ONCE])
    for one in rows[AT_ONCE:]:
        if (one.type_id, one.number) != (items[-1].type_id, items[-1].number):
            break
        items.append(one)
    return items


def _chunk(application: Application, of_run: PrintRunRow, items: Sequence[PrintItemRow]) -> None:
    """Make some sheets, then note them with their piece of the file and the codes on them, all or nothing."""
    made: list[bytes] = []
    codes: dict[tuple[str, str, bool], str] = {}
    outcome: dict[int, tuple[str, int]] = {}
    for one in items:
        try:
            sheet, n = _sheet(application, of_run, one, codes)
            made.append(sheet)
            outcome[one.position] = ("", n)
        except _FaultyItemError as fault:
            outcome[one.position] = (fault.code, one.n)
    run_id, part = items[0].run_id, items[0].position
    sealed = _sealed(application, run_id, _joined(made)) if made else None
    with application.writing() as session:
        run = session.get(PrintRunRow, (application.tenant, run_id), with_for_update=True)
        if run is None or run.state not in ("queued", "running"):
            return
        events = []
        for one in items:
            row = session.get_one(PrintItemRow, (application.tenant, run_id, one.position))
            if row.state != "waiting":
                # Another worker was here: its sheets are in the file.
                return
            code, row.n = outcome[one.position]
            row.state, row.code = ("faulty", code) if code else ("made", "")
            if not code:
                events.append(AuditEvent("print", subject(one.type_id, one.number)))
        for (type_id, number, family), letter_code in codes.items():
            keep_code(session, application, type_id, number, letter_code, family=family)
        if sealed is not None:
            session.add(PrintFileRow(tenant=application.tenant, run_id=run_id, part=part, data=sealed))
        run.state, run.done = "running", run.done + len(items)
        if events:
            audit.append(session, application.tenant, events, application.now(), of_run.actor)


def _sheet(
    application: Application,
    of_run: PrintRunRow,
    item: PrintItemRow,
    codes: dict[tuple[str, str, bool], str],
) -> tuple[bytes, int]:
    """The PDF of one item, and which revision it shows; a letter's code goes into ``codes``.

    Raises _FaultyItemError.
    """
    tenant = application.tenant
    with application.reading() as session:
        there = session.get(PassRow, (tenant, item.type_id, item.number))
        holder = session.get(HolderRow, (tenant, there.holder_ref)) if there is not None else None
        if there is None or holder is None or there.status != PassStatus.ACTIVE.value:
            raise _FaultyItemError("PRINT_NOT_RUNNING")
        settings = application.settings(session)
        row = _letter(session, application, of_run, item, there)
        try:
            if row is None:
                pass_type = application.pass_types[item.type_id]
                view = show(session, tenant, pass_type, item.number)
                # It may have changed since the run was begun.
                city, language = settings.city(tenant), view.content.language
                sealing = _sealing(application) if pass_type.pdf.is_sealed else None
                return set_print(pass_type, [view.content], city, language, sealing), view.revisions[-1].n
            # Two letters to one holder carry one code: the second must not make the first worthless.
            key = (item.type_id, item.number, row.kind == letters.FAMILY)
            made = letters.pass_letters(application, settings, [(row, there, holder)], codes.get(key))
        except letters.FaultyLetterError as fault:
            raise _FaultyItemError(fault.refusal.code) from fault
        except Refusal as refusal:
            raise _FaultyItemError(refusal.code) from refusal
    codes[key] = made.code
    return made.files[row.id], item.n


def _letter(
    session: Session, application: Application, of_run: PrintRunRow, item: PrintItemRow, there: PassRow
) -> LetterRow | None:
    """The letter that the item is, or None for a printed pass. Raises _FaultyItemError where it is no longer so."""
    kind = Kind(of_run.kind)
    if kind is Kind.PERMITS:
        return None
    if kind is Kind.ENDING:
        return LetterRow(
            tenant=application.tenant,
            id=secrets.token_hex(16),
            kind="reminder",
            type_id=item.type_id,
            number=item.number,
            params={},
            created_at=application.now(),
            printed_at=None,
        )
    row = session.get(LetterRow, (application.tenant, item.letter_id))
    # Posted meanwhile it is not printed twice, unless somebody wants just that.
    is_out = row is not None and row.printed_at is not None and not of_run.selection.get("again")
    if row is None or is_out or not letters.is_due(row, there):
        raise _FaultyItemError("PRINT_LETTER_GONE")
    return row


def _finish(application: Application, run_id: str) -> None:
    """Join the pieces in their order; a run in which everything was faulty has no file."""
    with application.reading() as session:
        rows = session.execute(
            select(PrintFileRow.part, PrintFileRow.data)
            .where(
                PrintFileRow.tenant == application.tenant,
                PrintFileRow.run_id == run_id,
                PrintFileRow.part > 0,
            )
            .order_by(PrintFileRow.part)
        ).all()
    try:
        pieces = [_opened(application, run_id, data) for _, data in rows]
    except InvalidTag:
        raise RetryLater("print-secret") from None
    whole = _with_seal(application, run_id, _joined(pieces)) if pieces else b""
    sealed = _sealed(application, run_id, whole) if pieces else None
    with application.writing() as session:
        run = session.get(PrintRunRow, (application.tenant, run_id), with_for_update=True)
        if run is None or run.state not in ("queued", "running"):
            return
        session.execute(_files_of(application, run_id))
        if sealed is not None:
            session.add(PrintFileRow(tenant=application.tenant, run_id=run_id, part=0, data=sealed))
        run.state, run.finished_at = "done", application.now()


def _with_seal(application: Application, run_id: str, whole: bytes) -> bytes:
    """The file of a run with the electronic seal if there are certificates in it."""
    with application.reading() as session:
        run = session.get_one(PrintRunRow, (application.tenant, run_id))
        if Kind(run.kind) is not Kind.PERMITS:
            return whole
        made = select(PrintItemRow.type_id).where(
            PrintItemRow.tenant == application.tenant,
            PrintItemRow.run_id == run_id,
            PrintItemRow.state == "made",
        )
        types = [application.pass_types[one] for one in sorted(set(session.scalars(made)))]
        city = application.settings(session).city_name
    certificates = [one for one in types if one.pdf.is_sealed]
    if not certificates:
        return whole
    try:
        return _sealing(application).sealed(whole, certificates[0].words("de").name, city)
    except KeyRefusal:
        raise RetryLater("pdf-seal") from None


def _sealing(application: Application) -> Sealing:
    """How certificates leave now. Raises RetryLater where they cannot, until the operator has put that right."""
    try:
        return sealing_now(application)
    except KeyRefusal:
        raise RetryLater("pdf-seal") from None


def _files_of(application: Application, run_id: str) -> Delete:
    return delete(PrintFileRow).where(
        PrintFileRow.tenant == application.tenant, PrintFileRow.run_id == run_id
    )


def _joined(pieces: Iterable[bytes]) -> bytes:
    """One PDF of several, in their order."""
    with _joining:
        whole = pypdfium2.PdfDocument.new()
        for piece in pieces:
            with pypdfium2.PdfDocument(piece) as source:
                whole.import_pages(source)
        data = io.BytesIO()
        whole.save(data)
        whole.close()
    return data.getvalue()


def _sealed(application: Application, run_id: str, data: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE)
    return nonce + AESGCM(application.derived("print-file", run_id)).encrypt(nonce, data, run_id.encode())


def _opened(application: Application, run_id: str, data: bytes) -> bytes:
    cipher = AESGCM(application.derived("print-file", run_id))
    return cipher.decrypt(data[:_NONCE], data[_NONCE:], run_id.encode())
