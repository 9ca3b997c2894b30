"""Letters that somebody has to print and post: for holders without a mail address, or whose mail came back.

A letter carries a code that opens the pass on the pick-up page together with its last day. The code is made when the
letter is printed and known to nobody but the paper; printing a letter again makes a new one, and the print before
opens nothing any more.
"""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typst
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from issuer import audit
from issuer.audit import AuditEvent
from issuer.errors import IssuerRefusal
from issuer.files import write_atomically
from issuer.holders import holder_of
from issuer.models import HolderRow, PassRow
from issuer.models_delivery import LetterRow
from issuer.register import subject
from issuer.status_allocation import chunks
from keys.errors import Refusal
from keys.texts import texts
from passes.display import day_text
from passes.errors import PassRefusal
from passes.pass_types import PassType
from passes.periods import berlin_day

if TYPE_CHECKING:
    from issuer.application import Application
    from issuer.settings import Settings

CODE_PATH: Final = "/p/code"
# A letter whose code opens the cards of a family; every other one's opens one pass.
FAMILY: Final = "family"
_FILE: Final = re.compile(r"(?P<id>[0-9a-f]{32})\.pdf")
_STANDARDS: Final[list[typst.PDFStandard]] = ["a-2a", "ua-1"]
# The compiler is one for the process and no thread's own.
_setting: Final = threading.Lock()
_log = logging.getLogger("stadtpass.letters")
_Due = tuple[LetterRow, PassRow, HolderRow]


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
        Letter(row.id, row.kind, row.type_id, row.number, row.created_at, _has_address(holder))
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
        (row, there, holder) for row, there, holder in due if holder is not None and _has_address(holder)
    ]
    if obsolete:
        with application.writing() as session:
            for chunk in chunks(obsolete, 500):
                session.execute(
                    delete(LetterRow).where(LetterRow.tenant == application.tenant, LetterRow.id.in_(chunk))
                )
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    # One code for each pass or family: a second letter to the same holder must not make the first worthless.
    passes: dict[tuple[str, str, bool], list[_Due]] = {}
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


def pickup_letter(
    application: Application, type_id: str, number: str, *, actor: str, family: bool = False
) -> bytes:
    """The letter with a new code for one pass, to be handed over at once; what its codes of before open ends here.

    With ``family`` the code opens the cards of the children whose guardian its holder is as well.
    Raises IssuerRefusal LETTER_NO_ADDRESS where the register has none, PassRefusal PDF_LETTERS, TYPE_UNKNOWN.
    """
    from issuer.pickup.codes import draw_code, grouped, keep_code  # noqa: PLC0415

    code, now = draw_code(), application.now()
    there, holder, settings = to_post(application, type_id, number)
    document = _document(
        application.pass_types[type_id],
        FAMILY if family else "pickup",
        there,
        holder,
        settings,
        grouped(code),
        now,
    )
    made = rendered(document, number, now)
    with application.writing() as session:
        keep_code(session, application, type_id, number, code, family=family)
        event = AuditEvent("letter-code", subject(type_id, number))
        audit.append(session, application.tenant, [event], now, actor)
    return made


def to_post(application: Application, type_id: str, number: str) -> tuple[PassRow, HolderRow, Settings]:
    """A pass, its holder who has an address, and the city. Raises IssuerRefusal LETTER_NO_ADDRESS."""
    with application.reading() as session:
        there = session.get(PassRow, (application.tenant, type_id, number))
        holder = session.get(HolderRow, (application.tenant, there.holder_ref)) if there is not None else None
        settings = application.settings(session)
    if there is None or holder is None or not _has_address(holder):
        raise IssuerRefusal("LETTER_NO_ADDRESS", number=number)
    return there, holder, settings


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


def is_due(row: LetterRow, there: PassRow | None) -> bool:
    """Whether what the letter says of its pass is still so."""
    from issuer.delivery import mail  # noqa: PLC0415 - it puts letters on the list itself

    return there is not None and mail.is_due(row.kind, row.params, there)


def _has_address(holder: HolderRow | None) -> bool:
    return holder is not None and bool(holder.street and (holder.postal_code or holder.city))


class FaultyLetterError(Exception):
    """A letter cannot be made; ``refusal`` says why, ``kind`` is the exception's name for the log."""

    def __init__(self, refusal: Refusal, kind: str) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal
        self.kind = kind


def _print_pass(application: Application, settings: Settings, of_pass: Sequence[_Due], out: Path) -> None:
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


@dataclass(frozen=True, slots=True)
class PassLetters:
    """Letters of one pass as PDF by their ids, and the code on them, which opens nothing before it is kept."""

    files: Mapping[str, bytes]
    code: str = field(repr=False)


def pass_letters(
    application: Application, settings: Settings, of_pass: Sequence[_Due], code: str | None = None
) -> PassLetters:
    """Set the letters of one pass with a fresh code, or with ``code``. Raises FaultyLetterError."""
    from issuer.pickup.codes import draw_code, grouped  # noqa: PLC0415

    code, now = code or draw_code(), application.now()
    type_id, number = of_pass[0][0].type_id, of_pass[0][0].number
    try:
        pass_type = application.pass_types[type_id]
        files = {
            row.id: rendered(
                _document(pass_type, row.kind, there, holder, settings, grouped(code), now), number, now
            )
            for row, there, holder in of_pass
        }
    except Refusal as fault:
        raise FaultyLetterError(fault, type(fault).__name__) from fault
    except Exception as fault:
        kind = type(fault).__name__
        raise FaultyLetterError(IssuerRefusal("LETTERS_FAULTY", number=number, fault=kind), kind) from fault
    return PassLetters(files, code)


@dataclass(frozen=True, slots=True)
class Wording:
    """What a letter says besides what all say: ``facts`` under codes of the catalogue, each large or not.

    A fact that is a day is written as the holder's language does. ``how`` names the paragraph that explains them
    (``how``_TITLE, ``how``_TEXT), and ``days`` is how long the code holds.
    """

    kind: str
    facts: Sequence[tuple[str, str | date, bool]] = field(repr=False)
    how: str
    days: int


def _document(
    pass_type: PassType,
    kind: str,
    there: PassRow,
    holder: HolderRow,
    settings: Settings,
    code: str,
    at: datetime,
) -> dict[str, Any]:
    from issuer.pickup.codes import LIFETIME  # noqa: PLC0415

    facts: list[tuple[str, str | date, bool]] = [
        ("LETTER_PAGE", settings.base_url + CODE_PATH, False),
        ("LETTER_CODE", code, True),
        ("LETTER_LAST", there.period_last, True),
    ]
    wording = Wording(kind.upper(), facts, "LETTER_HOW", LIFETIME.days)
    return letter_document(pass_type, wording, there, holder, settings, at)


def letter_document(
    pass_type: PassType,
    wording: Wording,
    there: PassRow,
    holder: HolderRow,
    settings: Settings,
    at: datetime,
) -> dict[str, Any]:
    """What `rendered` sets: a letter to ``holder`` about the pass ``there``, of the aware time ``at``."""
    person = holder_of(holder)
    language = texts("issuer", person.language).language
    say, words, common = texts("issuer", language), pass_type.words(language), texts("passes", language)
    last, today = day_text(there.period_last, language), day_text(berlin_day(at), language)
    known = {"name": words.name, "number": there.number, "last": last}
    subject = say(f"LETTER_{wording.kind}_SUBJECT", **known)
    return {
        "language": language,
        "title": subject,
        "description": words.description,
        "city": settings.city_name,
        "test": settings.test,
        "documents": ["letter"],
        "colours": {
            "background": pass_type.spec.colours.background,
            "foreground": pass_type.spec.colours.foreground,
        },
        "letter": {
            "recipient": list(person.recipient().lines),
            "office": words.description,
            "test": common("TEST"),
            "info": [
                {"label": words.labels.get("number", common("PDF_NUMBER")), "text": there.number},
                {"label": common("PDF_DATE"), "text": today},
            ],
            "subject": subject,
            "greeting": common("PDF_GREETING"),
            "opening": say(f"LETTER_{wording.kind}_TEXT", **known),
            "facts": [
                {
                    "label": say(name),
                    "text": day_text(fact, language) if isinstance(fact, date) else fact,
                    "large": large,
                }
                for name, fact, large in wording.facts
            ],
            "hint": "",
            "paragraphs": [
                {"title": say(f"{wording.how}_TITLE"), "text": say(f"{wording.how}_TEXT", days=wording.days)},
                {"title": say("LETTER_HELP_TITLE"), "text": say("LETTER_HELP_TEXT")},
            ],
            "closing": common("PDF_CLOSING"),
            "machine": common("PDF_MACHINE"),
            "contact": settings.contact,
            "cut-out": "",
        },
    }


@cache
def _compiler() -> typst.Compiler:
    """The letter is set as the one that goes with a pass, so that all of a city's letters look alike."""
    templates = Path(str(files("passes").joinpath("pdf_templates")))
    fonts = typst.Fonts(
        include_system_fonts=False,
        include_embedded_fonts=False,
        font_paths=[str(files("passes").joinpath("fonts"))],
    )
    return typst.Compiler(
        str(templates / "main.typ"), root=str(templates), font_paths=fonts, ignore_system_fonts=True
    )


def rendered(data: dict[str, Any], number: str, at: datetime) -> bytes:
    """A letter about ``number`` as PDF, made at the aware time ``at``. Raises PassRefusal PDF_LETTERS."""
    try:
        with _setting:
            made = _compiler().compile(
                format="pdf",
                sys_inputs={"data": json.dumps(data, ensure_ascii=False)},
                pdf_standards=_STANDARDS,
                timestamp=int(at.timestamp()),
            )
    except typst.TypstError as fault:
        if "could not be displayed" in str(fault):
            raise PassRefusal("PDF_LETTERS", number=number) from fault
        raise
    if not isinstance(made, bytes):
        raise TypeError("typst gave no single PDF")
    return made
