"""The statement as a PDF for the file: in words, with the signed statement attached (PDF/A-3a, PDF/UA-1).

What counts is what is attached; `stadtpass statement verify` reads it from the PDF.
"""

from __future__ import annotations

import hashlib
import json
import threading
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import typst

from issuer.errors import IssuerRefusal
from issuer.statements.document import Permit, Statement
from keys.texts import Texts, texts
from passes.display import day_text
from passes.periods import BERLIN

_STANDARDS: Final[list[typst.PDFStandard]] = ["a-3a", "ua-1"]
# The compiler is one for the process and no thread's own.
_setting: Final = threading.Lock()
# Actions that holders and clerks know under one name.
_SAME_AS: Final = {"create": "issue"}


def render(statement: Statement, jws: str, language: str) -> bytes:
    """The PDF of ``statement`` and its signed form; the same values give the same bytes.

    Raises IssuerRefusal STATEMENT_LETTERS for a character that the fonts lack.
    """
    data = json.dumps(_shown(statement, jws, language), ensure_ascii=False)
    try:
        with _setting:
            made = _compiler().compile(
                format="pdf",
                sys_inputs={"data": data},
                pdf_standards=_STANDARDS,
                timestamp=int(statement.made_at.timestamp()),
            )
    except typst.TypstError as fault:
        if "could not be displayed" in str(fault):
            raise IssuerRefusal("STATEMENT_LETTERS") from fault
        raise
    if not isinstance(made, bytes):
        raise TypeError("typst gave no single PDF")
    return made


def answer_text(statement: Statement, say: Texts) -> str:
    """The answer as a sentence."""
    plates = ", ".join(statement.other_plates)
    return say(f"STATEMENT_ANSWER_{statement.reason}", plates=plates)


def notes(statement: Statement, say: Texts) -> list[str]:
    """What a reader has to know beside the answer."""
    found = []
    if statement.question.at < statement.register_since:
        found.append(say("STATEMENT_NOTE_BEFORE", since=clock(statement.register_since, say.language)))
    if any(one.entered_at > statement.question.at for one in statement.permits):
        found.append(say("STATEMENT_NOTE_ENTERED_LATER"))
    if statement.answer != "permit":
        found.append(say("STATEMENT_NOTE_NO_PLATE"))
    return found


def question_facts(statement: Statement, say: Texts) -> list[tuple[str, str]]:
    """The question as labels and texts."""
    asked = statement.question
    return [
        (say("STATEMENT_PLATE_LABEL"), asked.plate),
        (say("STATEMENT_ZONE_LABEL"), asked.zone or say("STATEMENT_ANY_ZONE")),
        (say("STATEMENT_AT_LABEL"), clock(asked.at, say.language)),
    ]


def permit_facts(permit: Permit, say: Texts) -> list[tuple[str, str]]:
    """A permit as labels and texts."""
    language = say.language
    facts = [
        (say("STATEMENT_FINDING"), say(f"STATEMENT_FINDING_{permit.finding}")),
        (say("STATEMENT_STATUS"), say(f"STATEMENT_STATUS_{permit.status.upper()}")),
        (
            say("STATEMENT_PLATE_LABEL"),
            f"{permit.plate} ({permit.season})" if permit.season else permit.plate,
        ),
        (say("STATEMENT_ZONE_LABEL"), permit.zone or "–"),
        (say("STATEMENT_PERIOD"), f"{_day(permit.first_day, language)} – {_day(permit.last_day, language)}"),
        (say("STATEMENT_BINDING"), str(permit.binding)),
        (say("STATEMENT_BINDING_SINCE"), clock(permit.binding_since, language)),
    ]
    if permit.binding_until is not None:
        facts.append((say("STATEMENT_BINDING_UNTIL"), clock(permit.binding_until, language)))
    facts.append((say("STATEMENT_ENTERED"), clock(permit.entered_at, language)))
    if permit.status_list is not None:
        place = permit.status_list
        facts.append((say("STATEMENT_STATUS_LIST"), f"{place.list} / {place.index}"))
    return facts


def step_texts(permit: Permit, say: Texts) -> list[str]:
    """The steps of a permit, each as a line."""
    lines = []
    for one in permit.steps:
        action = _SAME_AS.get(one.action, one.action)
        code = f"PICKUP_ACTION_{action.upper().replace('-', '_')}"
        text = say(code if code in say else "PICKUP_ACTION_OTHER")
        status = say(f"STATEMENT_STATUS_{one.status.upper()}") if one.status is not None else ""
        lines.append(f"{clock(one.at, say.language)}: {text}" + (f" ({status})" if status else ""))
    return lines


def published_text(statement: Statement, say: Texts) -> str:
    """The lists of that time, or that the register no longer knows them."""
    if not statement.published:
        return say("STATEMENT_PUBLISHED_UNKNOWN")
    return "; ".join(
        say(
            "STATEMENT_PUBLISHED_ONE",
            name=one.name,
            sequence=one.sequence,
            at=clock(one.published_at, say.language),
        )
        for one in statement.published
    )


def clock(at: datetime, language: str) -> str:
    """A moment with seconds and its offset, so that the hour that autumn repeats is told apart."""
    wall = at.astimezone(BERLIN)
    return f"{day_text(wall.date(), language)}, {wall:%H:%M:%S} (UTC{wall:%z})"


def _day(day: date, language: str) -> str:
    return day_text(day, language)


def _shown(statement: Statement, jws: str, language: str) -> dict[str, Any]:
    say = texts("issuer", language)
    return {
        "language": say.language,
        "title": say("STATEMENT_TITLE"),
        "description": say("STATEMENT_ABOUT", plate=statement.question.plate),
        "city": statement.issuer,
        "test": "TEST" if statement.test else "",
        "id": say("STATEMENT_ID", id=statement.id),
        "question": question_facts(statement, say),
        "answer": answer_text(statement, say),
        "notes": notes(statement, say),
        "permits": [
            {
                "title": say("STATEMENT_PERMIT", number=one.number),
                "facts": permit_facts(one, say),
                "steps-title": say("STATEMENT_STEPS"),
                "steps": step_texts(one, say),
            }
            for one in statement.permits
        ],
        "proof-title": say("STATEMENT_PROOF"),
        "proof": [
            (say("STATEMENT_MADE"), clock(statement.made_at, say.language)),
            (say("STATEMENT_AUDIT"), f"{statement.audit_sequence}: {_split(statement.audit_hash)}"),
            (say("STATEMENT_PUBLISHED"), published_text(statement, say)),
            (say("STATEMENT_DIGEST"), _split(hashlib.sha256(jws.encode()).hexdigest())),
        ],
        "hints": [say("STATEMENT_HINT_ATTACHED"), say("STATEMENT_HINT_VERIFY")],
        "attached": say("STATEMENT_ATTACHED"),
        "jws": jws,
    }


def _split(digest: str) -> str:
    """64 hex digits in groups, which a line can be broken between."""
    return " ".join(digest[place : place + 8] for place in range(0, len(digest), 8))


@cache
def _compiler() -> typst.Compiler:
    templates = Path(str(files("issuer.statements").joinpath("templates")))
    fonts = typst.Fonts(
        include_system_fonts=False,
        include_embedded_fonts=False,
        font_paths=[str(files("passes").joinpath("fonts"))],
    )
    return typst.Compiler(
        str(templates / "statement.typ"), root=str(templates), font_paths=fonts, ignore_system_fonts=True
    )
