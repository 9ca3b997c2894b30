"""The table of states: what is allowed is in it, and nothing else happens."""

from __future__ import annotations

import itertools

import pytest

from issuer.cases.states import ENDED, RULES, CaseState, CaseStep, Turn, next_state
from issuer.errors import IssuerRefusal

ALLOWED = {(state, step) for state, rule in RULES.items() for step in rule.steps}


def test_every_state_has_its_rule() -> None:
    assert set(RULES) == set(CaseState)


@pytest.mark.parametrize(("state", "step"), sorted(itertools.product(CaseState, CaseStep)))
def test_a_step_that_is_not_in_the_table_is_refused(state: CaseState, step: CaseStep) -> None:
    if (state, step) in ALLOWED:
        assert next_state(state, step) in CaseState
        return
    with pytest.raises(IssuerRefusal) as refused:
        next_state(state, step)
    assert refused.value.code == "CASE_STEP"


def test_nothing_is_issued_but_after_a_payment_or_an_approval_that_costs_nothing() -> None:
    leads = {
        (state, step)
        for state, step in ALLOWED
        if next_state(state, step, fee_cents=2500) is CaseState.ISSUED and state is not CaseState.CHARGED_BACK
    }
    assert leads == {(CaseState.AWAITING_PAYMENT, CaseStep.PAID)}
    assert next_state(CaseState.SUBMITTED, CaseStep.APPROVE, fee_cents=0) is CaseState.ISSUED
    assert next_state(CaseState.SUBMITTED, CaseStep.APPROVE, fee_cents=None) is CaseState.AWAITING_PAYMENT


def test_whoever_has_a_turn_has_a_deadline_and_a_way_on() -> None:
    for state, rule in RULES.items():
        waits = rule.turn is not Turn.NOBODY
        assert (rule.days is not None) == waits, state
        assert bool(rule.steps) or not waits, state
        assert (state in ENDED) == (not waits), state
