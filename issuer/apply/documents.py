"""Evidence: what is needed and why, uploading it, taking it away again. Only what a check asks for is asked for."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from litestar import Response, get, post
from litestar.datastructures import UploadFile
from sqlalchemy.orm import Session

from issuer import audit
from issuer.apply.answers import Answers, line_of
from issuer.apply.asking import ask, checks_of, kind_of, rules_of
from issuer.apply.forms import LONGEST_UPLOAD, PageForm, UploadForm
from issuer.apply.guests import ACTOR, Guest, NoDraft, acting_guest_of, guest_of
from issuer.apply.journey import Page
from issuer.apply.problems import not_text
from issuer.audit import AuditEvent
from issuer.cases import evidence, proofs, steps
from issuer.cases.evidence import KeptDocument
from issuer.cases.evidence_process import LARGEST_FILE
from issuer.cases.facts import CaseKind
from issuer.cases.rules import CheckOutcome
from issuer.cases.states import CaseState
from issuer.cases.store import take
from issuer.errors import IssuerRefusal
from issuer.rules.city_rules import CityRules
from issuer.rules.kinds import Check, KindRules
from issuer.web import rates
from issuer.web.reader import AnyRequest
from keys.texts import Texts

_FIELDS: Final = ("evidence_type", "document", "change")
_OPEN: Final = (CaseState.DRAFT, CaseState.DOCUMENTS)
# Each document is taken apart by a process that may use 2 GB.
_AT_ONCE: Final = threading.BoundedSemaphore(2)
_PATIENCE_SECONDS: Final = 20.0
# Which checks the evidence is for that the office asks for.
_CHECKS_OF: Final[Mapping[str, tuple[Check, ...]]] = {
    "residence": (Check.RESIDENCE,),
    "keeper": (Check.KEEPER, Check.OTHER_KEEPER),
    "registration": (Check.KEEPER, Check.GERMAN_REGISTRATION),
    "organisation": (Check.ORGANISATION,),
    "exception": (Check.JUSTIFICATION,),
}


@dataclass(frozen=True, slots=True)
class Need:
    """What evidence is needed for: as a sentence, with the types that would do."""

    sentence: str
    types: tuple[str, ...]


def needs_of_checks(checks: Sequence[Mapping[str, Any]], say: Texts) -> list[Need]:
    """What stored checks still need, each once."""
    found: dict[str, Need] = {}
    for one in checks:
        if one["outcome"] == CheckOutcome.EVIDENCE and not one.get("accepted"):
            code = f"ELIGIBILITY_{one['reason']}"
            sentence = say(code) if code in say else say("APPLY_NEED_OTHER")
            found.setdefault(sentence, Need(sentence, tuple(one["evidence"])))
    return list(found.values())


def wanted_by_office(session: Session, guest: Guest) -> list[str]:
    """The codes of `steps.REQUESTS` that the office has asked for last; empty where it has asked for nothing."""
    for entry in reversed(audit.history(session, guest.tenant, guest.case.subject)):
        wanted = (entry.after or {}).get("wanted")
        if entry.action == "case_ask_documents" and isinstance(wanted, list):
            return [str(one) for one in wanted]
    return []


@get("/apply/documents", sync_to_thread=True)
def documents(request: AnyRequest) -> Response[Any]:
    """What is needed and what is there; on to the summary where nothing is."""
    guest = _guest(guest_of(request))
    needs, rules, kind = _needs(guest)
    is_empty = not needs and not _there(guest) and guest.case.facts.residence_proof is None
    if guest.case.state is CaseState.DRAFT and is_empty:
        return guest.reader.go(Page.SUMMARY.path)
    return _page(guest, Answers.of({}, guest.reader.say, *_FIELDS), needs, rules, kind)


@post(
    "/apply/documents",
    status_code=303,
    request_max_body_size=LONGEST_UPLOAD,
    # The framework's parser expects neither.
    exception_handlers={UnicodeDecodeError: not_text, LookupError: not_text},
    sync_to_thread=True,
)
def upload(request: AnyRequest, data: UploadForm) -> Response[Any]:
    """Keep a document, drawn anew; what cannot be kept is said with what to do."""
    guest = _guest(acting_guest_of(request, data))
    answers = Answers.of(data, guest.reader.say, *_FIELDS)
    needs, rules, kind = _needs(guest)
    known = tuple(name for name, _ in _types(needs, rules, guest))
    chosen = answers.choice("evidence_type", known, "APPLY_EVIDENCE_CHOOSE")
    content = _content(data.get("document"))
    if not content:
        answers.wrong("document", "APPLY_DOCUMENT_MISSING")
    if not answers.errors:
        try:
            _keep(guest, chosen, content)
        except IssuerRefusal as refusal:
            answers.refused("document", refusal)
    if answers.errors:
        return _page(guest, answers, needs, rules, kind)
    return guest.reader.go(Page.DOCUMENTS.path, told="UPLOADED")


@post("/apply/documents/remove", status_code=303, sync_to_thread=True)
def remove(request: AnyRequest, data: PageForm) -> Response[Any]:
    """Take a document away that has not been handed in yet; one that is gone already is no fault."""
    guest = _guest(acting_guest_of(request, data))
    identity = line_of(data, "document")
    with guest.application.writing() as session:
        guest.check(session)
        there = evidence.kept_documents(session, guest.tenant, guest.case.id)
        found = next((one for one in there if one.id == identity), None)
        is_open = take(session, guest.tenant, guest.case.id, None).state == guest.case.state
        if found is not None and is_open and _is_removable(guest, found):
            evidence.remove(session, guest.tenant, guest.case.id, identity)
            _note(session, guest, "case_evidence_remove", found.evidence_type)
    return guest.reader.go(Page.DOCUMENTS.path, told="REMOVED")


@post("/apply/documents/done", status_code=303, sync_to_thread=True)
def done(request: AnyRequest, data: PageForm) -> Response[Any]:
    """Everything that was asked for is there: back to the office."""
    guest = acting_guest_of(request, data)
    if guest.case.state is not CaseState.DOCUMENTS:
        return guest.reader.go("/apply/case")
    with guest.application.writing() as session:
        guest.check(session)
        try:
            steps.documents_added(session, guest.tenant, guest.case.id, guest.actor())
        except IssuerRefusal as refusal:
            if refusal.code != "CASE_STEP":
                raise
            return guest.reader.go("/apply/case", told="MOVED")
    return guest.reader.go("/apply/case", told="HANDED_IN")


def _guest(guest: Guest) -> Guest:
    is_ours = guest.case.kind is CaseKind.NEW or guest.case.state is CaseState.DOCUMENTS
    if guest.case.state not in _OPEN or not is_ours:
        raise NoDraft
    return guest


def _content(file: object) -> bytes:
    if not isinstance(file, UploadFile):
        return b""
    # One byte more than may be: what is too large is refused as such.
    return file.file.read(LARGEST_FILE + 1)


def _keep(guest: Guest, evidence_type: str, content: bytes) -> None:
    """Raises IssuerRefusal for what cannot be kept, TooOften, NoDraft, NoCaseVisit."""
    with guest.application.writing() as session:
        guest.limit(session, rates.UPLOADS_OF_CASE)
    if not _AT_ONCE.acquire(timeout=_PATIENCE_SECONDS):
        raise IssuerRefusal("APPLY_UPLOAD_BUSY")
    try:
        document = evidence.examine(content)
    finally:
        _AT_ONCE.release()
    with guest.application.writing() as session:
        guest.check(session)
        if take(session, guest.tenant, guest.case.id, None).state not in _OPEN:
            raise NoDraft
        now = guest.application.now()
        evidence.store(session, guest.application, guest.case.id, evidence_type, document, now)
        _note(session, guest, "case_evidence_add", evidence_type)


def _note(session: Session, guest: Guest, action: str, evidence_type: str) -> None:
    event = AuditEvent(action, guest.case.subject, after={"type": evidence_type})
    audit.append(session, guest.tenant, [event], guest.application.now(), ACTOR)


def _needs(guest: Guest) -> tuple[list[Need], CityRules, KindRules | None]:
    with guest.application.reading() as session:
        rules = rules_of(session, guest)
        kind = kind_of(guest, rules)
        wanted = wanted_by_office(session, guest) if guest.case.state is CaseState.DOCUMENTS else []
    say = guest.reader.say
    if guest.case.state is CaseState.DOCUMENTS:
        of_kind = kind.checks if kind is not None else {}
        asked = [
            Need(
                say(f"APPLY_WANTED_{one.upper()}"),
                tuple(name for check in _CHECKS_OF.get(one, ()) for name in of_kind.get(check, ())),
            )
            for one in wanted
            if one in steps.REQUESTS and not (one == "residence" and _is_proven_now(guest))
        ]
        return [*asked, *needs_of_checks(guest.case.checks, say)], rules, kind
    if kind is None or guest.person is None or not guest.case.facts.residence:
        return [], rules, kind
    checks = proofs.settled([one.stored() for one in checks_of(guest)], guest.case.facts)
    return needs_of_checks(checks, say), rules, kind


def _is_proven_now(guest: Guest) -> bool:
    """Whether a wallet has proven the residence since the office has asked."""
    proof = guest.case.facts.residence_proof
    return proof is not None and proof.at >= guest.case.state_since


def _types(needs: Sequence[Need], rules: CityRules, guest: Guest) -> list[tuple[str, str]]:
    """The types of evidence that would do, with their names; all that the city knows where no need names one."""
    named = dict.fromkeys(name for need in needs for name in need.types) or dict.fromkeys(
        rules.kinds.evidence
    )
    found = ((name, rules.evidence_type(name)) for name in named)
    language = guest.reader.language
    return [(name, known.label(language) if known is not None else name) for name, known in found]


def _there(guest: Guest) -> list[KeptDocument]:
    with guest.application.reading() as session:
        return evidence.kept_documents(session, guest.tenant, guest.case.id)


def _is_removable(guest: Guest, one: KeptDocument) -> bool:
    """What was handed in before is the office's to look at."""
    return guest.case.state is CaseState.DRAFT or one.added_at >= guest.case.state_since


def labels_of(rules: CityRules, documents: Sequence[KeptDocument], language: str) -> list[tuple[str, str]]:
    """The documents by id with what they prove and how large they are kept."""
    shown: list[tuple[str, str]] = []
    for one in documents:
        known = rules.evidence_type(one.evidence_type)
        name = known.label(language) if known is not None else one.evidence_type
        shown.append((one.id, f"{name} ({max(1, one.size // 1024)} KB)"))
    return shown


def _page(
    guest: Guest, answers: Answers, needs: Sequence[Need], rules: CityRules, kind: KindRules | None
) -> Response[Any]:
    there = _there(guest)
    removable = {one.id for one in there if _is_removable(guest, one)}
    return ask(
        guest,
        Page.DOCUMENTS,
        answers,
        kind,
        needs=needs,
        types=_types(needs, rules, guest),
        proof=proofs.proof_text(guest.case.facts.residence_proof, guest.reader.say),
        documents=labels_of(rules, there, guest.reader.language),
        removable=removable,
        is_full=len(there) >= evidence.MOST_DOCUMENTS,
        is_draft=guest.case.state is CaseState.DRAFT,
        megabytes=LARGEST_FILE >> 20,
        most=evidence.MOST_DOCUMENTS,
    )


HANDLERS: Final = [documents, upload, remove, done]
