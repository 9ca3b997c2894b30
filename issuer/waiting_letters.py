"""Letters that somebody has to print and post: for holders without a mail address, or whose mail came back."""

from __future__ import annotations

import logging
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from issuer.files import write_atomically
from issuer.letters import FAMILY, Due, FaultyLetterError, has_address, is_due, pass_letters
from issuer.models import HolderRow, PassRow
from issuer.models_delivery import LetterRow
from issuer.status_allocation import chunks
from keys.errors import Refusal

if TYPE_CHECKING:
    from issuer.application import Application
    from issuer.settings import Settings

_FILE: Final = re.compile(r"(?P<id>[0-9a-f]{32})\.pdf")
_log = logging.getLogger("stadtpass.letters")


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter on the list; ``can_be_posted`` is False where the register has no address."""

    id: str
    kind: str
    type_id: str
    number: str
    created_at: datetime
    can_be_posted: bool


@dataclass(frozen=True, slots=True)
class Faulty:
    """A letter that could not be made, and why: PDF_LETTERS for what the fonts cannot show, else LETTERS_FAULTY."""

    id: str
    type_id: str
    number: str
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class Printed:
    """What came of printing: files written, entries dropped since they are no longer so, entries without address.

    Those in ``faulty`` stay on the list; a code that was printed for them before still opens their passes.
    """

    files: int
    dropped: int
    without_address: int
    faulty: tuple[Faulty, ...] = ()


def add(
    session: Session,
    application: Application,
    kind: str,
    type_id: str,
    number: str,
    params: Mapping[str, Any],
) -> bool:
    """Put a letter on the list in the caller's transaction; False if one of that kind stands there already."""
    open_one = session.scalar(
        select(LetterRow.id).where(
            LetterRow.tenant == application.tenant,
            LetterRow.kind == kind,
            LetterRow.type_id == type_id,
            LetterRow.number == number,
            LetterRow.printed_at.is_(None),
        )
    )
    if open_one is not None:
        # What it says is filled in when it is printed, from the newest of them.
        session.execute(
            update(LetterRow)
            .where(LetterRow.tenant == application.tenant, LetterRow.id == open_one)
            .values(params=dict(params))
        )
        return False
    session.add(
        LetterRow(
            tenant=application.tenant,
            id=secrets.token_hex(16),
            kind=kind,
            type_id=type_id,
            number=number,
            params=dict(params),
            created_at=application.now(),
            printed_at=None,
        )
    )
    session.flush()
    return True


def waiting(session: Session, application: Application) -> list[Letter]:
    """The letters to be printed, oldest first; those that are no longer so are left out."""
    return [
        Letter(row.id, row.kind, row.type_id, row.number, row.created_at, has_address(holder))
        for row, there, holder in _open_rows(session, application.tenant)
        if is_due(row, there)
    ]


def print_letters(application: Application, out: Path) -> Printed:
    """Write a PDF for each waiting letter into ``out``, readable by its owner alone; the list stays as it is.

    Every file's name is its letter's id, by which `mark_posted` finds it. What is no longer so leaves the list.
    A letter that cannot be made stops no other. Raises OSError; what has been written until then is whole.
    """
    with application.reading() as session:
        rows = _open_rows(session, application.tenant)
        settings = application.settings(session)
    obsolete = [row.id for row, there, _ in rows if not is_due(row, there)]
    due = [(row, there, holder) for row, there, holder in rows if there is not None and is_due(row, there)]
    postable = [
        (row, there, holder) for row, there, holder in due if holder is not None and has_address(holder)
    ]
    if obsolete:
        with application.writing() as session:
            for chunk in chunks(obsolete, 500):
                session.execute(
                    delete(LetterRow).where(LetterRow.tenant == application.tenant, LetterRow.id.in_(chunk))
                )
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    # One code for each pass or family: a second letter to the same holder must not make the first worthless.
    passes: dict[tuple[str, str, bool], list[Due]] = {}
    for one in postable:
        passes.setdefault((one[0].type_id, one[0].number, one[0].kind == FAMILY), []).append(one)
    faulty: list[Faulty] = []
    for (type_id, number, _), of_pass in passes.items():
        try:
            _print_pass(application, settings, of_pass, out)
        except FaultyLetterError as fault:
            _log.error("letter not made", extra={"code": fault.refusal.code, "fault": fault.kind})
            faulty += [Faulty(row.id, type_id, number, fault.refusal) for row, _, _ in of_pass]
    return Printed(len(postable) - len(faulty), len(obsolete), len(due) - len(postable), tuple(faulty))


def mark_posted(application: Application, ids: Sequence[str]) -> int:
    """Take the letters with ``ids`` off the list; says how many stood there."""
    with application.writing() as session:
        return mark_posted_in(session, application, ids)


def mark_posted_in(session: Session, application: Application, ids: Sequence[str]) -> int:
    """As `mark_posted`, in the caller's writing transaction."""
    marked = 0
    for chunk in chunks(ids, 500):
        found = session.scalars(
            select(LetterRow).where(
                LetterRow.tenant == application.tenant,
                LetterRow.id.in_(chunk),
                LetterRow.printed_at.is_(None),
            )
        ).all()
        for row in found:
            row.printed_at = application.now()
        marked += len(found)
    return marked


def ids_in(folder: Path) -> list[str]:
    """The ids of the letters that `print_letters` has written into ``folder``. Raises OSError."""
    with os.scandir(folder) as entries:
        found = (_FILE.fullmatch(entry.name) for entry in entries)
        return sorted(one["id"] for one in found if one is not None)


def _open_rows(session: Session, tenant: str) -> list[tuple[LetterRow, PassRow | None, HolderRow | None]]:
    rows = session.execute(
        select(LetterRow, PassRow, HolderRow)
        .outerjoin(
            PassRow,
            (PassRow.tenant == LetterRow.tenant)
            & (PassRow.type_id == LetterRow.type_id)
            & (PassRow.number == LetterRow.number),
        )
        .outerjoin(HolderRow, (HolderRow.tenant == PassRow.tenant) & (HolderRow.ref == PassRow.holder_ref))
        .where(LetterRow.tenant == tenant, LetterRow.printed_at.is_(None))
        .order_by(LetterRow.created_at, LetterRow.id)
    )
    return [(row, there, holder) for row, there, holder in rows]


def _print_pass(application: Application, settings: Settings, of_pass: Sequence[Due], out: Path) -> None:
    """Write the letters of one pass, then let their code open it: until then the code of an earlier print does.

    Raises FaultyLetterError before anything is written, OSError.
    """
    from issuer.pickup.codes import keep_code  # noqa: PLC0415

    type_id, number = of_pass[0][0].type_id, of_pass[0][0].number
    letters = pass_letters(application, settings, of_pass)
    made = {out / f"{name}.pdf": pdf for name, pdf in letters.files.items()}
    try:
        for file, pdf in made.items():
            write_atomically(file, pdf, mode=0o600)
        with application.writing() as session:
            keep_code(
                session, application, type_id, number, letters.code, family=of_pass[0][0].kind == FAMILY
            )
    except BaseException:
        # A letter whose code opens nothing must not be posted.
        for file, pdf in made.items():
            if file.is_file() and file.read_bytes() == pdf:
                file.unlink()
        raise
