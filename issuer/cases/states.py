"""The states of a case, which step leads from one to another, whose turn it is, and until when.

One table says it all: a step that stands nowhere in it is refused, whoever asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from issuer.errors import IssuerRefusal


class CaseState(StrEnum):
    """Where a case stands. The last six are ends."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    # The office has asked for evidence.
    DOCUMENTS = "documents"
    # One person has proposed to approve; another one decides.
    SECOND_LOOK = "second_look"
    AWAITING_PAYMENT = "awaiting_payment"
    ISSUED = "issued"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    ABANDONED = "abandoned"
    # Approved, but never paid, or charged back until the pass had ended.
    LAPSED = "lapsed"
    # Issued, and the money was called back: the pass is suspended.
    CHARGED_BACK = "charged_back"


class CaseStep(StrEnum):
    """What can be done with a case."""

    SUBMIT = "submit"
    ASK_DOCUMENTS = "ask_documents"
    ADD_DOCUMENTS = "add_documents"
    PROPOSE = "propose"
    SEND_BACK = "send_back"
    APPROVE = "approve"
    REFUSE = "refuse"
    WITHDRAW = "withdraw"
    ABANDON = "abandon"
    PAID = "paid"
    LAPSE = "lapse"
    CHARGE_BACK = "charge_back"
    SETTLE = "settle"
    # Charged back, and the pass has ended meanwhile (`issuer.cases.closing`).
    CLOSE = "close"


class Turn(StrEnum):
    """Who has to do something next."""

    HOLDER = "holder"
    OFFICE = "office"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class StateRule:
    """Whose turn it is, how many days they have, and where each step leads."""

    turn: Turn
    days: int | None
    steps: Mapping[CaseStep, CaseState]


_S, _T = CaseState, CaseStep
_OFFICE_STEPS: Final = {
    _T.ASK_DOCUMENTS: _S.DOCUMENTS,
    _T.PROPOSE: _S.SECOND_LOOK,
    # Where something has to be paid; without a fee the pass is issued at once (`next_state`).
    _T.APPROVE: _S.AWAITING_PAYMENT,
    _T.REFUSE: _S.REFUSED,
    _T.WITHDRAW: _S.WITHDRAWN,
}
RULES: Final[Mapping[CaseState, StateRule]] = {
    _S.DRAFT: StateRule(
        Turn.HOLDER, 30, {_T.SUBMIT: _S.SUBMITTED, _T.WITHDRAW: _S.WITHDRAWN, _T.ABANDON: _S.ABANDONED}
    ),
    _S.SUBMITTED: StateRule(Turn.OFFICE, 14, _OFFICE_STEPS),
    _S.DOCUMENTS: StateRule(
        Turn.HOLDER,
        28,
        {
            _T.ADD_DOCUMENTS: _S.SUBMITTED,
            _T.REFUSE: _S.REFUSED,
            _T.WITHDRAW: _S.WITHDRAWN,
            _T.ABANDON: _S.ABANDONED,
        },
    ),
    _S.SECOND_LOOK: StateRule(
        Turn.OFFICE,
        7,
        {
            _T.APPROVE: _S.AWAITING_PAYMENT,
            _T.SEND_BACK: _S.SUBMITTED,
            _T.REFUSE: _S.REFUSED,
            _T.WITHDRAW: _S.WITHDRAWN,
        },
    ),
    _S.AWAITING_PAYMENT: StateRule(
        Turn.HOLDER, 30, {_T.PAID: _S.ISSUED, _T.WITHDRAW: _S.WITHDRAWN, _T.LAPSE: _S.LAPSED}
    ),
    _S.ISSUED: StateRule(Turn.NOBODY, None, {_T.CHARGE_BACK: _S.CHARGED_BACK}),
    _S.CHARGED_BACK: StateRule(Turn.OFFICE, 14, {_T.SETTLE: _S.ISSUED, _T.CLOSE: _S.LAPSED}),
    _S.REFUSED: StateRule(Turn.NOBODY, None, {}),
    _S.WITHDRAWN: StateRule(Turn.NOBODY, None, {}),
    _S.ABANDONED: StateRule(Turn.NOBODY, None, {}),
    _S.LAPSED: StateRule(Turn.NOBODY, None, {}),
}
# Nothing follows any more, and the clock of the deletion runs.
ENDED: Final = frozenset({_S.ISSUED, _S.REFUSED, _S.WITHDRAWN, _S.ABANDONED, _S.LAPSED})


def next_state(state: CaseState, step: CaseStep, *, fee_cents: int | None = None) -> CaseState:
    """Where ``step`` leads from ``state``. An approval without anything to pay leads straight to the pass.

    Raises IssuerRefusal CASE_STEP for a step that the state does not allow.
    """
    found = RULES[state].steps.get(step)
    if found is None:
        raise IssuerRefusal("CASE_STEP", step=step.value, state=state.value)
    if step is CaseStep.APPROVE and fee_cents == 0:
        return CaseState.ISSUED
    return found
