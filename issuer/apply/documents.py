"""Evidence: what is needed and why, uploading it, taking it away again. Only what a check asks for is asked for."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Final

from litestar import Response, get, post
from litestar.datastructures import UploadFile
from sqlalchemy.orm import Session

from issuer import audit
from issuer.apply.answers import Answers, line_of
from issuer.apply.asking import ask
from issuer.apply.evidence_needs import OPEN, Needed, evidence_guest, needed, wallet_lead
from issuer.apply.forms import LONGEST_UPLOAD, PageForm, UploadForm
from issuer.apply.guests import ACTOR, Guest, NoDraft, acting_guest_of, guest_of
from issuer.apply.journey import Page
from issuer.apply.problems import not_text
from issuer.audit import AuditEvent
from issuer.cases import evidence, proofs, steps
from issuer.cases.evidence import KeptDocument
from issuer.cases.evidence_process import LARGEST_FILE
from issuer.cases.states import CaseState
from issuer.cases.store import take
from issuer.errors import IssuerRefusal
from issuer.rules.city_rules import CityRules
from issuer.web import rates
from issuer.web.reader import AnyRequest

_FIELDS: Final = ("evidence_type", "document", "change")
# Each document is taken apart by a process that may use 2 GB.
_AT_ONCE: Final = threading.BoundedSemaphore(2)
_PATIENCE_SECONDS: Final = 20.0


@get("/apply/documents", sync_to_thread=True)
def documents(request: AnyRequest) -> Response[Any]:
    """What is needed and what is there; on to the summary where nothing is."""
    guest = evidence_guest(guest_of(request))
    found = needed(guest)
    is_empty = not found.needs and not _there(guest) and guest.case.facts.residence_proof is None
    if guest.case.state is CaseState.DRAFT and is_empty:
        return guest.reader.go(Page.SUMMARY.path)
    return _page(guest, Answers.of({}, guest.reader.say, *_FIELDS), found)


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
    guest = evidence_guest(acting_guest_of(request, data))
    answers = Answers.of(data, guest.reader.say, *_FIELDS)
    found = needed(guest)
    known = tuple(name for name, _ in _types(found, guest))
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
        return _page(guest, answers, found)
    return guest.reader.go(Page.DOCUMENTS.path, told="UPLOADED")


@post("/apply/documents/remove", status_code=303, sync_to_thread=True)
def remove(request: AnyRequest, data: PageForm) -> Response[Any]:
    """Take a document away that has not been handed in yet; one that is gone already is no fault."""
    guest = evidence_guest(acting_guest_of(request, data))
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
        if take(session, guest.tenant, guest.case.id, None).state not in OPEN:
            raise NoDraft
        now = guest.application.now()
        evidence.store(session, guest.application, guest.case.id, evidence_type, document, now)
        _note(session, guest, "case_evidence_add", evidence_type)


def _note(session: Session, guest: Guest, action: str, evidence_type: str) -> None:
    event = AuditEvent(action, guest.case.subject, after={"type": evidence_type})
    audit.append(session, guest.tenant, [event], guest.application.now(), ACTOR)


def _types(found: Needed, guest: Guest) -> list[tuple[str, str]]:
    """The types of evidence that would do, with their names; all that the city knows where no need names one."""
    named = dict.fromkeys(name for need in found.needs for name in need.types) or dict.fromkeys(
        found.rules.kinds.evidence
    )
    known = ((name, found.rules.evidence_type(name)) for name in named)
    language = guest.reader.language
    return [(name, one.label(language) if one is not None else name) for name, one in known]


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


def _page(guest: Guest, answers: Answers, found: Needed) -> Response[Any]:
    there = _there(guest)
    removable = {one.id for one in there if _is_removable(guest, one)}
    return ask(
        guest,
        Page.DOCUMENTS,
        answers,
        found.kind,
        needs=found.needs,
        wallet=wallet_lead(found.credentials, guest.reader.say),
        types=_types(found, guest),
        proof=proofs.proof_text(guest.case.facts.residence_proof, guest.reader.say),
        documents=labels_of(found.rules, there, guest.reader.language),
        removable=removable,
        is_full=len(there) >= evidence.MOST_DOCUMENTS,
        is_draft=guest.case.state is CaseState.DRAFT,
        megabytes=LARGEST_FILE >> 20,
        most=evidence.MOST_DOCUMENTS,
    )


HANDLERS: Final = [documents, upload, remove, done]
