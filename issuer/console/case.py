"""One case: what is asked for, by whom, checks, evidence, money, letters, history, and what can be done about it."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get
from litestar.params import FromPath
from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer import audit
from issuer.cases import closing, steps
from issuer.cases.case_payments import KIND
from issuer.cases.city import CityCaseRules
from issuer.cases.letters import letters_of
from issuer.cases.proofs import proof_text
from issuer.cases.states import ENDED, RULES, CaseState, CaseStep
from issuer.cases.store import Case, applicant, find
from issuer.console import case_words as words
from issuer.console.desk import Desk, desk_of
from issuer.console.fields import options
from issuer.console.moments import moment
from issuer.models_cases import CaseEvidenceRow
from issuer.models_payments import PaymentRow
from issuer.payments import counter
from issuer.payments.pages import euros
from issuer.payments.service import payments_of
from issuer.payments.states import State
from issuer.staff.permissions import Role
from issuer.web.reader import AnyRequest
from passes.periods import berlin_day

CRUMB: Final = ("OFFICE_MENU_CASES", "/office/cases")
_DONE: Final = (
    "accepted", "approved", "asked", "proposed", "returned", "refused", "withdrawn", "paid", "undone", "settled",
    "closed", "received",
)  # fmt: skip


@get("/office/cases/{case_id:str}", sync_to_thread=True)
def show_case(request: AnyRequest, case_id: FromPath[str]) -> Response[Any]:
    """The case."""
    return case_page(desk_of(request), case_id, done=request.query_params.get("done", ""))


def case_page(
    desk: Desk, case_id: str, *, done: str = "", refusal: str = "", status: int = 200
) -> Response[Any]:
    """The page of a case; ``refusal`` is the sentence that says why a step was not taken.

    Raises IssuerRefusal CASE_UNKNOWN.
    """
    application, say, language = desk.application, desk.reader.say, desk.reader.language
    with application.reading() as session:
        case = find(session, application.tenant, case_id)
    # Before anything is shown, and for whoever looks at it again as well.
    desk.note_access(case.subject)
    today = berlin_day(application.now())
    with application.reading() as session:
        case = find(session, application.tenant, case_id)
        rules = CityCaseRules.of(session, application, case.type_id)
        entries = audit.history(session, application.tenant, case.subject)
        names = words.staff_names(session, application)
        payments = payments_of(session, application.tenant, KIND, case.id)
        person = applicant(session, application.tenant, case_id)
        letters = letters_of(session, application.tenant, case) if person is not None else []
        proof = proof_text(case.facts.residence_proof, say)
        values: dict[str, Any] = {
            "proof": proof,
            "asks": words.person_lines(person, say),
            "checks": words.shown_checks(case.checks, say, rules.rules, proof),
            "documents": _documents(session, desk, case, rules),
            "payments": [_payment(desk, one) for one in payments],
            "letters": [
                {
                    "path": f"/office/cases/{case.id}/letters/{one.id or one.kind.value}",
                    "label": say(f"DESK_LETTER_{one.kind.name}"),
                    "at": moment(one.made_at, language) if one.made_at else "",
                }
                for one in letters
            ],
            "is_special": case.exception is not None or rules.is_exception(case.facts, today),
        }
        actions = _actions(session, desk, case, payments)
    kind = words.kind_label(application, case.type_id, case.facts.permit_kind, language)
    return desk.under(CRUMB).page(
        "case.html",
        status=status,
        case=case,
        path=f"/office/cases/{case.id}",
        seen=entries[-1].sequence if entries else 0,
        state=say(f"DESK_STATE_{case.state.name}"),
        state_kind=words.state_kind(case.state),
        next=words.next_step(case, say),
        deadline="" if case.state in ENDED else words.deadline_text(case.deadline, today, say),
        is_overdue=case.state not in ENDED and case.deadline is not None and case.deadline < today,
        facts=words.fact_lines(case, say, kind),
        history=words.history_lines(entries, say, names, rules.rules),
        steps={one.value for one in RULES[case.state].steps},
        actions=actions,
        exceptions=options({one: say(f"DESK_EXCEPTION_{one.upper()}") for one in steps.EXCEPTIONS}),
        fee=euros(case.fee_cents) if case.fee_cents else "",
        proposer=words.actor_label(case.proposed_by, say, names) if case.proposed_by else "",
        done=say(f"DESK_DONE_{done.upper()}") if done in _DONE else "",
        refusal=refusal,
        **values,
    )


def _actions(session: Session, desk: Desk, case: Case, payments: list[PaymentRow]) -> set[str]:
    """What this person can do now, beyond what the state alone says."""
    is_lead = Role.SUPERVISOR in desk.staff.roles
    found: set[str] = set()
    if case.state is CaseState.SECOND_LOOK:
        own = case.proposed_by == desk.staff.actor
        found.add("own_proposal" if own else "second" if is_lead else "wait_for_lead")
        if is_lead and not own and case.exception in steps.FREE_FOR:
            found.add("free")
    today = berlin_day(desk.application.now())
    booked = [
        one
        for one in payments
        if one.provider == counter.COUNTER
        and one.state == State.PAID
        and one.paid_at is not None
        and berlin_day(one.paid_at) == today
    ]
    if is_lead and CaseStep.SETTLE in RULES[case.state].steps:
        found.add("settle")
    if booked and is_lead:
        found.add("undo")
    is_back = case.state is CaseState.CHARGED_BACK
    if CaseStep.PAID in RULES[case.state].steps or (
        is_back and closing.is_payable(session, case, desk.application.tenant)
    ):
        found.add("pay")
    if closing.is_over(session, case, desk.application.tenant, today):
        found.add("close")
    return found


def _documents(session: Session, desk: Desk, case: Case, rules: CityCaseRules) -> list[dict[str, Any]]:
    rows = session.scalars(
        select(CaseEvidenceRow)
        .where(CaseEvidenceRow.tenant == desk.application.tenant, CaseEvidenceRow.case_id == case.id)
        .order_by(CaseEvidenceRow.added_at, CaseEvidenceRow.id)
    )
    language = desk.reader.language
    return [
        {
            "path": f"/office/cases/{case.id}/evidence/{row.id}",
            "label": words.evidence_label(rules.rules, row.evidence_type, language),
            "at": moment(row.added_at, language),
            "is_pdf": row.media_type == "application/pdf",
        }
        for row in rows
    ]


def _payment(desk: Desk, row: PaymentRow) -> dict[str, str]:
    say = desk.reader.say
    receipt = str(row.request.get("receipt", ""))
    return {
        "text": say(
            "DESK_PAYMENT",
            amount=euros(row.amount_cents),
            state=words.label(say, "DESK_PAYMENT_", row.state),
            way=say("DESK_PAYMENT_COUNTER" if row.provider == counter.COUNTER else "DESK_PAYMENT_ONLINE"),
        ),
        "at": moment(row.updated_at, desk.reader.language),
        "receipt": say("DESK_RECEIPT_NUMBER", number=receipt) if receipt else "",
        "attention": words.label(say, "DESK_ATTENTION_", row.attention) if row.attention else "",
    }


HANDLERS: Final = [show_case]
