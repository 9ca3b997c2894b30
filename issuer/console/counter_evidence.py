"""The last steps at the counter, whatever was asked for: the evidence that is seen, the fee, and what is taken along.

Evidence is seen, not kept: a clerk ticks its type. What one person may approve is approved at once.
"""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath

from issuer.cases import issue, steps
from issuer.cases.city import CityCaseRules
from issuer.cases.facts import CaseKind, Channel, missing
from issuer.cases.rules import CheckOutcome
from issuer.cases.states import CaseState
from issuer.cases.store import Case, CaseActor, applicant, case_of, find, take
from issuer.console import case_words as words
from issuer.console.desk import Desk, acting_desk_of, choices_of, desk_of
from issuer.console.fields import options, version_of
from issuer.errors import IssuerRefusal
from issuer.payments.pages import euros
from issuer.web.forms import FormData
from issuer.web.reader import AnyRequest
from keys.errors import Refusal
from passes.periods import berlin_day

PATH: Final = "/office/counter"
_CRUMB: Final = ("OFFICE_MENU_COUNTER", PATH)
_CONFLICT: Final = 409
# Where what a case asks for can be altered before it is handed in.
_FORM_OF: Final = {CaseKind.CHANGE: "plate", CaseKind.RENEWAL: "renew"}


@get(PATH + "/{case_id:str}/evidence", sync_to_thread=True)
def ask_evidence(request: AnyRequest, case_id: FromPath[str]) -> Response[Any]:
    """What the registers say, which evidence is to be seen, and what it costs."""
    desk = desk_of(request)
    case = counter_draft(desk, case_id)
    return desk.go(f"/office/cases/{case_id}") if case is None else _evidence_page(desk, case)


@post(PATH + "/{case_id:str}/evidence", status_code=303, sync_to_thread=True)
def hand_in(request: AnyRequest, case_id: FromPath[str], data: FormData) -> Response[Any]:
    """Hand in, with the evidence that was seen; approve at once what one person may approve."""
    desk = acting_desk_of(request, data)
    application = desk.application
    exception = next(iter(choices_of(data, "exception")), "")
    try:
        with application.writing() as session:
            row = take(session, application.tenant, case_id, version_of(data))
            must_be_ours(case_of(row))
            by = CaseActor(desk.staff.actor, application.now())
            rules = CityCaseRules.of(session, application, row.type_id)
            case = steps.submit(session, application.tenant, case_id, by, rules)
            for one in case.checks:
                seen = next(iter(choices_of(data, f"seen_{one['name']}")), "")
                if one["outcome"] == CheckOutcome.EVIDENCE and seen:
                    case = steps.accept_evidence(session, application.tenant, case_id, by, one["name"], seen)
            if rules.is_exception(case.facts, berlin_day(by.at)):
                if exception:
                    case = steps.propose(session, application.tenant, case_id, by, exception)
            elif all(one["outcome"] != CheckOutcome.EVIDENCE or one.get("accepted") for one in case.checks):
                case = issue.approve(session, application, case_id, by, rules)
    except Refusal as refusal:
        draft = None if refusal.code == "CASE_UNKNOWN" else counter_draft(desk, case_id)
        if draft is None:
            return desk.go(f"/office/cases/{case_id}")
        return _evidence_page(desk, draft, fault=words.refusal_sentence(desk.reader.say, refusal))
    if case.state in (CaseState.AWAITING_PAYMENT, CaseState.ISSUED):
        return desk.go(f"{PATH}/{case_id}/finish")
    return desk.go(f"/office/cases/{case_id}")


@get(PATH + "/{case_id:str}/finish", sync_to_thread=True)
def finish(request: AnyRequest, case_id: FromPath[str]) -> Response[Any]:
    """The fee, and then what the person takes along: print and letter."""
    desk = desk_of(request)
    with desk.application.reading() as session:
        case = find(session, desk.application.tenant, case_id)
    if case.state not in (CaseState.AWAITING_PAYMENT, CaseState.ISSUED):
        return desk.go(f"/office/cases/{case_id}")
    desk.note_access(case.subject)
    return desk.under(_CRUMB).page(
        "counter_finish.html",
        case=case,
        seen=0,
        kind=case.kind.name,
        fee=euros(case.fee_cents) if case.fee_cents else "",
        is_issued=case.state is CaseState.ISSUED,
        pass_path=f"/office/passes/{case.type_id}/{case.pass_number}",
    )


def counter_draft(desk: Desk, case_id: str) -> Case | None:
    """The draft ``case_id``, begun at the counter; None where the case is none any more.

    Raises IssuerRefusal CASE_UNKNOWN.
    """
    with desk.application.reading() as session:
        case = find(session, desk.application.tenant, case_id)
    if not _is_ours(case):
        return None
    desk.note_access(case.subject)
    return case


def must_be_ours(case: Case) -> None:
    """See that a form of the counter is still about a draft of it. Raises IssuerRefusal CASE_STEP."""
    if not _is_ours(case):
        raise IssuerRefusal("CASE_STEP", step="submit", state=case.state.value)


def _is_ours(case: Case) -> bool:
    """Whether the flow is about the case: what a holder has begun online, only the holder hands in."""
    return case.state is CaseState.DRAFT and case.channel is Channel.COUNTER


def _form_path(case: Case) -> str:
    if case.kind is CaseKind.NEW:
        return f"{PATH}/{case.id}/permit"
    return f"/office/passes/{case.type_id}/{case.pass_number}/{_FORM_OF[case.kind]}"


def _evidence_page(desk: Desk, case: Case, *, fault: str = "") -> Response[Any]:
    application, say, language = desk.application, desk.reader.say, desk.reader.language
    today = berlin_day(application.now())
    with application.reading() as session:
        rules = CityCaseRules.of(session, application, case.type_id)
        person = applicant(session, application.tenant, case.id)
        if person is None or missing(case.kind, case.facts):
            return desk.go(_form_path(case))
        found = steps.checks_of(case, person, today, rules)
        fee = rules.fee_cents(case.kind, case.facts, case.channel, today)
        special = rules.is_exception(case.facts, today)
        checks = words.shown_checks([one.stored() for one in found], say, rules.rules)
    kind = words.kind_label(application, case.type_id, case.facts.permit_kind, language)
    return desk.under(_CRUMB).page(
        "counter_evidence.html",
        status=_CONFLICT if fault else 200,
        case=case,
        seen=0,
        kind=case.kind.name,
        form_path=_form_path(case),
        fault=fault,
        facts=[*words.person_lines(person, say), *words.fact_lines(case, say, kind)],
        checks=checks,
        is_refused=any(one.outcome is CheckOutcome.REFUSED for one in found),
        is_special=special,
        exceptions=options({one: say(f"DESK_EXCEPTION_{one.upper()}") for one in steps.EXCEPTIONS}),
        fee=euros(fee),
    )


HANDLERS: Final = [ask_evidence, hand_in, finish]
