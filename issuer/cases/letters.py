"""Letters about a case, as PDF: acknowledgement, documents asked for, refusal, and approval with its fee.

What a clerk may word is a text block for each reason, edited within bounds before the letter is made and kept with
the case; everything else is ours: the decision, the deadline, the fee, and how the decision is contested.
"""

from __future__ import annotations

import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.cases.states import RULES, CaseState
from issuer.cases.store import Case, CaseActor, applicant, find
from issuer.errors import IssuerRefusal
from issuer.holders import Holder
from issuer.letters import rendered
from issuer.models_desk import CaseLetterRow
from issuer.payments.pages import euros
from issuer.settings import LegalRemedy, Settings
from keys.texts import Texts, texts
from passes.display import day_text
from passes.periods import berlin_day

SHORTEST: Final = 20
LONGEST: Final = 2000
_ID_BYTES: Final = 16
# Where a text block leaves something to the clerk.
_TO_FILL_IN: Final = "…"


class LetterKind(StrEnum):
    """What a letter says."""

    ACKNOWLEDGEMENT = "acknowledgement"
    DOCUMENTS = "documents"
    REFUSAL = "refusal"
    APPROVAL = "approval"


# Those whose words a clerk chooses, and which are kept as they were sent.
WORDED: Final = (LetterKind.DOCUMENTS, LetterKind.REFUSAL)


@dataclass(frozen=True, slots=True)
class CaseLetter:
    """A letter that can be printed: ``id`` of its words, empty where it has none of a clerk's."""

    kind: LetterKind
    id: str = ""
    made_at: datetime | None = None


def text_block(kind: LetterKind, codes: Sequence[str], language: str) -> str:
    """The words that a clerk begins with: for each code (`steps.REQUESTS`, `steps.REFUSALS`) a paragraph."""
    say = texts("issuer", language)
    return "\n\n".join(say(f"CASE_LETTER_{kind.name}_{code.upper()}") for code in codes)


def checked_text(text: str) -> str:
    """A clerk's words as they are kept: NFC, one kind of line end.

    Raises IssuerRefusal LETTER_TEXT; LETTER_UNFINISHED for a block that was not completed.
    """
    plain = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")).strip()
    readable = all(line.isprintable() for line in plain.split("\n"))
    if not readable or not SHORTEST <= len(plain) <= LONGEST:
        raise IssuerRefusal("LETTER_TEXT", least=SHORTEST, most=LONGEST)
    if _TO_FILL_IN in plain:
        raise IssuerRefusal("LETTER_UNFINISHED")
    return plain


def write(
    session: Session,
    tenant: str,
    case_id: str,
    kind: LetterKind,
    codes: Sequence[str],
    text: str,
    actor: CaseActor,
) -> str:
    """Keep the words of a letter with the step that it tells of; returns its id. Raises as `checked_text`."""
    row = CaseLetterRow(
        tenant=tenant,
        id=secrets.token_urlsafe(_ID_BYTES),
        case_id=case_id,
        kind=kind.value,
        codes=list(codes),
        body=checked_text(text),
        made_by=actor.name,
        made_at=actor.at,
    )
    session.add(row)
    session.flush()
    return row.id


def letters_of(session: Session, tenant: str, case: Case) -> list[CaseLetter]:
    """The letters that can be printed about a case as it stands, in the order of their steps."""
    found: list[CaseLetter] = []
    if case.submitted_at is not None:
        found.append(CaseLetter(LetterKind.ACKNOWLEDGEMENT, made_at=case.submitted_at))
    rows = session.scalars(
        select(CaseLetterRow)
        .where(CaseLetterRow.tenant == tenant, CaseLetterRow.case_id == case.id)
        .order_by(CaseLetterRow.made_at, CaseLetterRow.id)
    )
    found += [CaseLetter(LetterKind(row.kind), row.id, row.made_at) for row in rows]
    if case.state in (CaseState.AWAITING_PAYMENT, CaseState.ISSUED, CaseState.CHARGED_BACK):
        found.append(CaseLetter(LetterKind.APPROVAL, made_at=case.decided_at))
    return found


def letter(session: Session, application: Application, case_id: str, wanted: str) -> bytes:
    """The letter ``wanted`` (a `LetterKind` without words of a clerk, or an id) as PDF, in the applicant's language.

    Raises IssuerRefusal CASE_UNKNOWN, LETTER_UNKNOWN; APPLICANT_GONE after the deletion; AUTHORITY_MISSING,
    COURT_MISSING where a decision could not say how it is contested; PassRefusal PDF_LETTERS.
    """
    case = find(session, application.tenant, case_id)
    there = [
        one for one in letters_of(session, application.tenant, case) if wanted in (one.id, one.kind.value)
    ]
    there = [one for one in there if one.id == wanted or one.kind not in WORDED]
    if not there:
        raise IssuerRefusal("LETTER_UNKNOWN")
    person = applicant(session, application.tenant, case_id)
    if person is None:
        raise IssuerRefusal("APPLICANT_GONE")
    chosen = there[0]
    row = session.get(CaseLetterRow, (application.tenant, chosen.id)) if chosen.id else None
    document = _Document(application, session, case, person, chosen, row)
    return rendered(document.data(), case.number, chosen.made_at or application.now())


@dataclass(frozen=True, slots=True)
class _Document:
    application: Application
    session: Session
    case: Case
    person: Holder
    letter: CaseLetter
    row: CaseLetterRow | None

    @property
    def say(self) -> Texts:
        return texts("issuer", self.person.language)

    def data(self) -> dict[str, Any]:
        """What the template of all letters takes."""
        settings = self.application.settings(self.session)
        pass_type = self.application.pass_types[self.case.type_id]
        say, common = self.say, texts("passes", self.say.language)
        words = pass_type.words(say.language)
        name = self.letter.kind.name
        known = {"name": words.name, "number": self.case.number, "deadline": self._day(self.case.deadline)}
        made_on = berlin_day(self.letter.made_at or self.application.now())
        return {
            "language": say.language,
            "title": say(f"CASE_LETTER_{name}_SUBJECT", **known),
            "description": words.description,
            "city": settings.city_name,
            "test": settings.test,
            "documents": ["letter"],
            "colours": {
                "background": pass_type.spec.colours.background,
                "foreground": pass_type.spec.colours.foreground,
            },
            "letter": {
                "recipient": list(self.person.recipient().lines),
                "office": words.description,
                "test": common("TEST"),
                "info": [
                    {"label": say("CASE_LETTER_NUMBER"), "text": self.case.number},
                    {"label": common("PDF_DATE"), "text": self._day(made_on)},
                ],
                "subject": say(f"CASE_LETTER_{name}_SUBJECT", **known),
                "greeting": common("PDF_GREETING"),
                "opening": say(f"CASE_LETTER_{name}_TEXT", **known),
                "facts": self._facts(),
                "hint": "",
                "paragraphs": self._paragraphs(settings),
                "closing": common("PDF_CLOSING"),
                "machine": common("PDF_MACHINE"),
                "contact": settings.contact,
                "cut-out": "",
            },
        }

    def _facts(self) -> list[dict[str, Any]]:
        if self.letter.kind is LetterKind.REFUSAL:
            return []
        facts, say = self.case.facts, self.say
        labels = self.application.pass_types[self.case.type_id].words(say.language).labels
        rows: list[tuple[str, str, bool]] = []
        if facts.zone:
            rows.append((labels.get("zone", "zone"), facts.zone, False))
        if facts.plates:
            plates = ", ".join(f"{one.plate} {one.season or ''}".strip() for one in facts.plates)
            rows.append((say("CASE_LETTER_PLATES"), plates, False))
        if facts.term_months:
            rows.append((say("CASE_LETTER_TERM"), say("CASE_LETTER_MONTHS", months=facts.term_months), False))
        approved = self.letter.kind is LetterKind.APPROVAL
        if self.case.fee_cents and approved:
            rows.append((say("CASE_LETTER_FEE"), euros(self.case.fee_cents), True))
        if approved and self.case.pass_number:
            rows.append((say("CASE_LETTER_PASS"), self.case.pass_number, True))
        return [{"label": label, "text": text, "large": large} for label, text, large in rows]

    def _paragraphs(self, settings: Settings) -> list[dict[str, str]]:
        say, body = self.say, self.row.body if self.row is not None else ""
        match self.letter.kind:
            case LetterKind.ACKNOWLEDGEMENT:
                return [self._part("NEXT")]
            case LetterKind.DOCUMENTS:
                wanted = {"title": say("CASE_LETTER_WANTED_TITLE"), "text": body}
                return [wanted, self._part("UNTIL", deadline=self._day(self._until())), self._part("HOW")]
            case LetterKind.REFUSAL:
                return [{"title": say("CASE_LETTER_REASONS_TITLE"), "text": body}, self._remedy(settings)]
            case LetterKind.APPROVAL:
                return [self._fee_part(), self._remedy(settings)]

    def _fee_part(self) -> dict[str, str]:
        if not self.case.fee_cents:
            return self._part("FREE")
        if self.case.state is CaseState.AWAITING_PAYMENT:
            return self._part("DUE", deadline=self._day(self.case.deadline))
        return self._part("PAID" if self.case.state is CaseState.ISSUED else "OWED")

    def _remedy(self, settings: Settings) -> dict[str, str]:
        if not settings.authority:
            raise IssuerRefusal("AUTHORITY_MISSING")
        if settings.legal_remedy is LegalRemedy.ACTION and not settings.court:
            raise IssuerRefusal("COURT_MISSING")
        name = settings.legal_remedy.name
        text = self.say(f"CASE_LETTER_REMEDY_{name}", authority=settings.authority, court=settings.court)
        return {"title": self.say("CASE_LETTER_REMEDY_TITLE"), "text": text}

    def _until(self) -> date:
        """The last day of what was asked for then, also when it is printed again later."""
        asked = self.letter.made_at or self.application.now()
        return berlin_day(asked) + timedelta(days=RULES[CaseState.DOCUMENTS].days or 0)

    def _part(self, name: str, **values: str) -> dict[str, str]:
        return {
            "title": self.say(f"CASE_LETTER_{name}_TITLE"),
            "text": self.say(f"CASE_LETTER_{name}_PART", **values),
        }

    def _day(self, day: date | None) -> str:
        return day_text(day, self.say.language) if day is not None else "–"
