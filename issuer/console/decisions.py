"""What the office does with a case.

Every form says which version of the case it has shown: of two people who decide at the same time, the second sees
what the first has done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath
from sqlalchemy.orm import Session

from issuer import audit
from issuer.cases import closing, counter, issue, letters, steps
from issuer.cases.city import CityCaseRules
from issuer.cases.letters import LetterKind
from issuer.cases.states import CaseState, CaseStep
from issuer.cases.store import Case, CaseActor, applicant, find, take
from issuer.console import case_words as words
from issuer.console.case import CRUMB, case_page
from issuer.console.desk import Desk, acting_desk_of, choices_of, desk_of
from issuer.console.fields import long_text_of, options, version_of
from issuer.errors import IssuerRefusal
from issuer.web.forms import Form, FormData, text_of
from issuer.web.reader import AnyRequest
from keys.errors import Refusal

_WRONG: Final = 422
_CONFLICT: Final = 409
_CASE: Final = "/office/cases/{case_id:str}"
Step = Callable[[Session, CaseActor], Case]


@post(_CASE + "/accept", status_code=303, sync_to_thread=True)
def accept(request: AnyRequest, case_id: FromPath[str], data: FormData) -> Response[Any]:
    """Evidence of a type settles a check."""
    desk = acting_desk_of(request, data)
    check, kind = text_of(data, "check"), text_of(data, "evidence")
    return _taken(
        desk,
        case_id,
        data,
        "accepted",
        lambda session, by: steps.accept_evidence(session, desk.application.tenant, case_id, by, check, kind),
    )


@post(_CASE + "/approve", status_code=303, sync_to_thread=True)
def approve(request: AnyRequest, case_id: FromPath[str], data: FormData) -> Response[Any]:
    """Approve what needs no second person."""
    desk = acting_desk_of(request, data)

    def step(session: Session, by: CaseActor) -> Case:
        # A second look has a route of its own, and whoever may use that.
        _must_be(session, desk, case_id, by, CaseState.SUBMITTED)
        return issue.approve(session, desk.application, case_id, by, _rules(session, desk, case_id))

    return _taken(desk, case_id, data, "approved", step)


@post(_CASE + "/propose", status_code=303, sync_to_thread=True)
def propose(request: AnyRequest, case_id: FromPath[str], data: FormData) -> Response[Any]:
    """Propose an exception, or a permit for nothing, for somebody else to decide."""
    desk = acting_desk_of(request, data)
    exception = text_of(data, "exception")
    return _taken(
        desk,
        case_id,
        data,
        "proposed",
        lambda session, by: steps.propose(session, desk.application.tenant, case_id, by, exception),
    )


@post(_CASE + "/second/approve", status_code=303, sync_to_thread=True)
def approve_second(request: AnyRequest, case_id: FromPath[str], data: FormData) -> Response[Any]:
    """Approve what somebody else has proposed."""
    desk = acting_desk_of(request, data)
    free = "free" in choices_of(data, "free")

    def step(session: Session, by: CaseActor) -> Case:
        _must_be(session, desk, case_id, by, CaseState.SECOND_LOOK)
        rules = _rules(session, desk, case_id)
        return issue.approve(session, desk.application, case_id, by, rules, free=free)

    return _taken(desk, case_id, data, "approved", step)


@post(_CASE + "/second/return", status_code=303, sync_to_thread=True)
def send_back(request: AnyRequest, case_id: FromPath[str], data: FormData) -> Response[Any]:
    """Not approved by the second person: back to the work list."""
    desk = acting_desk_of(request, data)
    return _taken(
        desk,
        case_id,
        data,
        "returned",
        lambda session, by: steps.send_back(session, desk.application.tenant, case_id, by),
    )


@post(_CASE + "/received", status_code=303, sync_to_thread=True)
def received(request: AnyRequest, case_id: FromPath[str], data: FormData) -> Response[Any]:
    """The documents that were asked for have come by post or over the counter."""
    desk = acting_desk_of(request, data)
    return _taken(
        desk,
        case_id,
        data,
        "received",
        lambda session, by: steps.documents_added(session, desk.application.tenant, case_id, by),
    )


@post(_CASE + "/withdraw", status_code=303, sync_to_thread=True)
def withdraw(request: AnyRequest, case_id: FromPath[str], data: FormData) -> Response[Any]:
    """The holder has told the office that they do not want it any more."""
    desk = acting_desk_of(request, data)
    return _taken(
        desk,
        case_id,
        data,
        "withdrawn",
        lambda session, by: steps.end(session, desk.application.tenant, case_id, by, CaseStep.WITHDRAW),
    )


@post(_CASE + "/pay", status_code=303, sync_to_thread=True)
def pay(request: AnyRequest, case_id: FromPath[str], data: FormData) -> Response[Any]:
    """The fee was paid at the counter."""
    desk = acting_desk_of(request, data)
    receipt = text_of(data, "receipt")
    # From the guided flow people go on there.
    back = f"/office/counter/{case_id}/finish" if text_of(data, "back") == "counter" else ""
    return _taken(
        desk,
        case_id,
        data,
        "paid",
        lambda session, by: counter.pay(session, desk.application, case_id, by, receipt),
        back=back,
    )


@post(_CASE + "/pay/undo", status_code=303, sync_to_thread=True)
def undo_payment(request: AnyRequest, case_id: FromPath[str], data: FormData) -> Response[Any]:
    """What was booked at the counter today was booked by mistake."""
    desk = acting_desk_of(request, data)
    return _taken(
        desk,
        case_id,
        data,
        "undone",
        lambda session, by: counter.undo(session, desk.application, case_id, by),
    )


@post(_CASE + "/settle", status_code=303, sync_to_thread=True)
def settle(request: AnyRequest, case_id: FromPath[str], data: FormData) -> Response[Any]:
    """What was called back has come another way, as a lead notes: the pass holds again."""
    desk = acting_desk_of(request, data)
    said = text_of(data, "note")
    return _taken(
        desk,
        case_id,
        data,
        "settled",
        lambda session, by: issue.settle(session, desk.application, case_id, by, said),
    )


@post(_CASE + "/close", status_code=303, sync_to_thread=True)
def close(request: AnyRequest, case_id: FromPath[str], data: FormData) -> Response[Any]:
    """What was called back does not come any more, and the pass has ended."""
    desk = acting_desk_of(request, data)
    return _taken(
        desk,
        case_id,
        data,
        "closed",
        lambda session, by: closing.close(session, desk.application.tenant, case_id, by),
    )


@get(_CASE + "/documents", sync_to_thread=True)
def choose_documents(request: AnyRequest, case_id: FromPath[str]) -> Response[Any]:
    """Which documents to ask for; once they are chosen, the words of the letter."""
    desk = desk_of(request)
    return _wording_page(desk, case_id, LetterKind.DOCUMENTS, _asked(request, steps.REQUESTS))


@post(_CASE + "/documents", status_code=303, sync_to_thread=True)
def ask_documents(request: AnyRequest, case_id: FromPath[str], data: FormData) -> Response[Any]:
    """Ask for documents, in these words."""
    desk = acting_desk_of(request, data)
    wanted = [one for one in steps.REQUESTS if one in choices_of(data, "code")]
    return _worded(
        desk,
        case_id,
        data,
        LetterKind.DOCUMENTS,
        wanted,
        "asked",
        lambda session, by: steps.ask_documents(session, desk.application.tenant, case_id, by, wanted),
    )


@get(_CASE + "/refuse", sync_to_thread=True)
def choose_refusal(request: AnyRequest, case_id: FromPath[str]) -> Response[Any]:
    """For which reason; once it is chosen, the words of the letter."""
    desk = desk_of(request)
    return _wording_page(desk, case_id, LetterKind.REFUSAL, _asked(request, steps.REFUSALS)[:1])


@post(_CASE + "/refuse", status_code=303, sync_to_thread=True)
def refuse(request: AnyRequest, case_id: FromPath[str], data: FormData) -> Response[Any]:
    """Refuse, in these words."""
    desk = acting_desk_of(request, data)
    reason = text_of(data, "code")
    return _worded(
        desk,
        case_id,
        data,
        LetterKind.REFUSAL,
        [one for one in steps.REFUSALS if one == reason],
        "refused",
        lambda session, by: steps.refuse(session, desk.application.tenant, case_id, by, reason),
    )


def _taken(
    desk: Desk, case_id: str, data: Mapping[str, Any], done: str, step: Step, *, back: str = ""
) -> Response[Any]:
    """Take a step in one transaction; what stands against it is said on the case's page."""
    try:
        with desk.application.writing() as session:
            step(session, _actor(desk, data))
    except Refusal as refusal:
        return _stopped(desk, case_id, data, refusal)
    return desk.go(back or f"/office/cases/{case_id}", done=done)


def _stopped(desk: Desk, case_id: str, data: Mapping[str, Any], refusal: Refusal) -> Response[Any]:
    if refusal.code == "CASE_UNKNOWN":
        raise refusal
    if refusal.code == "CASE_MOVED":
        return _moved_page(desk, case_id, data)
    sentence = words.refusal_sentence(desk.reader.say, refusal)
    return case_page(desk, case_id, refusal=sentence, status=_CONFLICT)


def _moved_page(desk: Desk, case_id: str, data: Mapping[str, Any]) -> Response[Any]:
    """What somebody else has done since the page was made, and where the case stands now."""
    application, say = desk.application, desk.reader.say
    told = text_of(data, "seen")
    seen = int(told) if told.isascii() and told.isdecimal() and len(told) < 12 else 0
    with application.reading() as session:
        case = find(session, application.tenant, case_id)
        entries = audit.history(session, application.tenant, case.subject)
        names = words.staff_names(session, application)
    newer = [one for one in entries if one.sequence > seen]
    return desk.under(CRUMB).page(
        "case_moved.html",
        status=_CONFLICT,
        case=case,
        state=say(f"DESK_STATE_{case.state.name}"),
        state_kind=words.state_kind(case.state),
        history=words.history_lines(newer or entries[-1:], say, names),
    )


def _worded(
    desk: Desk,
    case_id: str,
    data: Mapping[str, Any],
    kind: LetterKind,
    codes: Sequence[str],
    done: str,
    step: Step,
) -> Response[Any]:
    text = long_text_of(data, "text")
    try:
        letters.checked_text(text)
    except IssuerRefusal as refusal:
        sentence = refusal.sentence(desk.reader.language)
        return _wording_page(desk, case_id, kind, codes, text=text, fault=sentence)

    def both(session: Session, by: CaseActor) -> Case:
        case = step(session, by)
        letters.write(session, desk.application.tenant, case_id, kind, codes, text, by)
        return case

    return _taken(desk, case_id, data, done, both)


def _wording_page(
    desk: Desk,
    case_id: str,
    kind: LetterKind,
    codes: Sequence[str],
    *,
    text: str | None = None,
    fault: str = "",
) -> Response[Any]:
    application, say = desk.application, desk.reader.say
    with application.reading() as session:
        case = find(session, application.tenant, case_id)
        person = applicant(session, application.tenant, case_id)
        entries = audit.history(session, application.tenant, case.subject)
    prefix = "DESK_WANTED_" if kind is LetterKind.DOCUMENTS else "DESK_REFUSE_"
    known = steps.REQUESTS if kind is LetterKind.DOCUMENTS else steps.REFUSALS
    language = person.language if person is not None else "de"
    if text is None:
        text = letters.text_block(kind, codes, language) if codes else ""
    form = Form({"text": text}, {"text": fault} if fault else {})
    return desk.under(CRUMB, (case.number, f"/office/cases/{case_id}")).page(
        "case_wording.html",
        status=_WRONG if fault else 200,
        case=case,
        seen=entries[-1].sequence if entries else 0,
        kind=kind.value,
        codes=codes,
        chosen=[say(f"{prefix}{one.upper()}") for one in codes],
        choices=options({one: say(f"{prefix}{one.upper()}") for one in known}),
        form=form,
        asked=bool(desk.reader.request.query_params.get("chosen")),
        least=letters.SHORTEST,
        longest=letters.LONGEST,
        letter_language=say(f"DESK_LANGUAGE_{'EN' if language == 'en' else 'DE'}"),
    )


def _asked(request: AnyRequest, known: tuple[str, ...]) -> list[str]:
    given = set(request.query_params.getall("code", []))
    return [one for one in known if one in given]


def _actor(desk: Desk, data: Mapping[str, Any]) -> CaseActor:
    return CaseActor(desk.staff.actor, desk.application.now(), version_of(data))


def _must_be(session: Session, desk: Desk, case_id: str, by: CaseActor, state: CaseState) -> None:
    row = take(session, desk.application.tenant, case_id, by.version)
    if row.state != state:
        raise IssuerRefusal("CASE_STEP", step=CaseStep.APPROVE.value, state=row.state)


def _rules(session: Session, desk: Desk, case_id: str) -> CityCaseRules:
    type_id = find(session, desk.application.tenant, case_id).type_id
    return CityCaseRules.of(session, desk.application, type_id)


HANDLERS: Final = [
    accept, approve, propose, approve_second, send_back, received, withdraw, pay, undo_payment, settle, close,
    choose_documents, ask_documents, choose_refusal, refuse,
]  # fmt: skip
