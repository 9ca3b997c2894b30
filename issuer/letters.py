"""Letters to holders, set as PDF: what they say, and the code on them (those that wait: `issuer.waiting_letters`).

A letter carries a code that opens the pass on the pick-up page together with its last day. The code is made when the
letter is printed and known to nobody but the paper; printing a letter again makes a new one, and the print before
opens nothing any more.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typst

from issuer import audit
from issuer.audit import AuditEvent
from issuer.errors import IssuerRefusal
from issuer.holders import holder_of
from issuer.models import HolderRow, PassRow
from issuer.models_delivery import LetterRow
from issuer.register import subject
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
_STANDARDS: Final[list[typst.PDFStandard]] = ["a-2a", "ua-1"]
# The compiler is one for the process and no thread's own.
_setting: Final = threading.Lock()
Due = tuple[LetterRow, PassRow, HolderRow]


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
    if there is None or holder is None or not has_address(holder):
        raise IssuerRefusal("LETTER_NO_ADDRESS", number=number)
    return there, holder, settings


def is_due(row: LetterRow, there: PassRow | None) -> bool:
    """Whether what the letter says of its pass is still so."""
    from issuer.delivery import mail  # noqa: PLC0415 - it puts letters on the list itself

    return there is not None and mail.is_due(row.kind, row.params, there)


def has_address(holder: HolderRow | None) -> bool:
    """Whether a letter can be posted to the holder."""
    return holder is not None and bool(holder.street and (holder.postal_code or holder.city))


class FaultyLetterError(Exception):
    """A letter cannot be made; ``refusal`` says why, ``kind`` is the exception's name for the log."""

    def __init__(self, refusal: Refusal, kind: str) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal
        self.kind = kind


@dataclass(frozen=True, slots=True)
class PassLetters:
    """Letters of one pass as PDF by their ids, and the code on them, which opens nothing before it is kept."""

    files: Mapping[str, bytes]
    code: str = field(repr=False)


def pass_letters(
    application: Application, settings: Settings, of_pass: Sequence[Due], code: str | None = None
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
