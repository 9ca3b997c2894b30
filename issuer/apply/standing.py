"""How a case stands, in the words of its status page: state, whose turn it is, until when, and what has happened."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from sqlalchemy.orm import Session

from issuer import audit
from issuer.apply.asking import amount, rules_of
from issuer.apply.evidence_needs import needs_of_checks, wanted_by_office
from issuer.apply.guests import ACTOR, Guest
from issuer.apply.summary import Group, groups_of, kind_label
from issuer.cases.case_payments import KIND
from issuer.cases.facts import CaseKind
from issuer.cases.states import RULES, CaseState, CaseStep
from issuer.payments.service import payments_of
from issuer.payments.states import OPEN, State
from issuer.pickup.standing import Standing, held_pass
from keys.texts import Texts
from passes.display import day_text
from passes.periods import BERLIN

# How each state looks: only one of them is a success, so that "received" never looks like "valid".
_LOOKS: Final = {
    CaseState.ISSUED: "success",
    CaseState.AWAITING_PAYMENT: "warning",
    CaseState.DOCUMENTS: "warning",
    CaseState.REFUSED: "danger",
    CaseState.CHARGED_BACK: "danger",
}
_FAILED: Final = (State.FAILED, State.CANCELLED, State.EXPIRED)


@dataclass(frozen=True, slots=True)
class Money:
    """What is to be paid and how the newest payment stands; ``state`` is empty where none was begun."""

    amount: str
    state: str = ""

    @property
    def has_failed(self) -> bool:
        """Whether the newest payment has come to nothing."""
        return self.state in _FAILED

    @property
    def is_open(self) -> bool:
        """Whether a payment was begun and not ended."""
        return self.state in OPEN

    @property
    def is_here(self) -> bool:
        """Whether the money is here, though nothing was issued for it: somebody looks at it."""
        return self.state in (State.PAID, State.PAID_LATE)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that has happened: when, what, and by whom."""

    at: str
    text: str
    by_holder: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """Everything that the status page says of a case."""

    title: str
    text: str
    look: str
    badge: str
    turn: str
    deadline: str
    kind: str
    groups: list[Group]
    history: list[Event]
    needs: list[str] = field(default_factory=list)
    money: Money | None = None
    reason: str = ""
    pass_number: str = ""
    pass_is_offered: bool = False
    may_withdraw: bool = False


def standing_of(session: Session, guest: Guest) -> Shown:
    """How the case stands now, in the reader's language."""
    case, say = guest.case, guest.reader.say
    name = case.state.value.upper()
    title, text = say(f"APPLY_STATE_{name}"), say(f"APPLY_STATE_{name}_TEXT")
    look, badge = _LOOKS.get(case.state, "info"), say(f"APPLY_BADGE_{name}")
    number, offered = "", False
    if case.state in (CaseState.ISSUED, CaseState.CHARGED_BACK) and case.pass_number is not None:
        number = case.pass_number
        held = held_pass(session, guest.application, case.type_id, number)
        if held is not None and case.state is CaseState.ISSUED:
            # What the pass is by now counts, not what the case once came to.
            standing = held.standing
            offered = held.is_offered
            days = {"number": number, "first": day_text(held.content.period.first, say.language)}
            days["last"] = day_text(held.content.period.last, say.language)
            if standing in (Standing.VALID, Standing.NOT_YET):
                text = say(f"APPLY_PASS_{standing.value.upper()}", **days)
            else:
                code = f"PICKUP_STANDING_{standing.value.upper()}"
                title, text = say("APPLY_PASS_NOT_VALID", standing=say(code)), say(f"{code}_TEXT")
                look, badge = "danger", say(code)
    if case.state is CaseState.LAPSED and _was_closed(session, guest):
        title, text = say("APPLY_CLOSED"), say("APPLY_CLOSED_TEXT")
    rules = RULES[case.state]
    is_back = case.state is CaseState.CHARGED_BACK
    turn = case.state.value if is_back else rules.turn.value
    return Shown(
        title=title,
        text=text,
        look=look,
        badge=badge,
        turn=say(f"APPLY_TURN_{turn.upper()}"),
        # How soon the office means to settle a chargeback tells the holder nothing.
        deadline=day_text(case.deadline, say.language) if case.deadline is not None and not is_back else "",
        kind=say(f"APPLY_CASE_{case.kind.value.upper()}"),
        groups=_groups(session, guest, say),
        history=_history(session, guest, say),
        needs=_needs(session, guest, say),
        money=_money(session, guest, say),
        reason=_reason(case.decision_reason, say) if case.state is CaseState.REFUSED else "",
        pass_number=number,
        pass_is_offered=offered,
        may_withdraw=CaseStep.WITHDRAW in rules.steps,
    )


def _was_closed(session: Session, guest: Guest) -> bool:
    """Whether there was a pass, and money that was called back until it had ended."""
    closed = f"case_{CaseStep.CLOSE.value}"
    return any(one.action == closed for one in audit.history(session, guest.tenant, guest.case.subject))


def _groups(session: Session, guest: Guest, say: Texts) -> list[Group]:
    facts = guest.case.facts
    groups = groups_of(facts, guest.person, rules_of(session, guest), kind_label(facts.permit_kind, say), say)
    if guest.case.kind is CaseKind.NEW:
        return groups
    # A change or a further term asks for nothing but plates or months.
    return [one for one in groups if one.path in ("/apply/plates", "/apply/term")]


def _needs(session: Session, guest: Guest, say: Texts) -> list[str]:
    if guest.case.state is not CaseState.DOCUMENTS:
        return []
    asked = [say(f"APPLY_WANTED_{one.upper()}") for one in wanted_by_office(session, guest)]
    return [*asked, *(one.sentence for one in needs_of_checks(guest.case.checks, say))]


def _money(session: Session, guest: Guest, say: Texts) -> Money | None:
    case = guest.case
    if case.state is not CaseState.AWAITING_PAYMENT or not case.fee_cents:
        return None
    found = payments_of(session, guest.tenant, KIND, case.id)
    return Money(amount(case.fee_cents, say.language), found[0].state if found else "")


def _reason(code: str | None, say: Texts) -> str:
    known = f"APPLY_REFUSED_{(code or 'other').upper()}"
    return say(known if known in say else "APPLY_REFUSED_OTHER")


def _history(session: Session, guest: Guest, say: Texts) -> list[Event]:
    """What has happened, newest first; who of the office did it is not told."""
    events: list[Event] = []
    for entry in audit.history(session, guest.tenant, guest.case.subject):
        code = f"APPLY_DID_{entry.action.upper()}"
        at = entry.at.astimezone(BERLIN)
        when = say("APPLY_AT", day=day_text(at.date(), say.language), time=at.strftime("%H:%M"))
        text = say(code) if code in say else say("APPLY_DID_OTHER")
        events.append(Event(when, text, entry.actor == ACTOR))
    return events[::-1]
