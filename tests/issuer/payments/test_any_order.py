"""Whatever a provider says in whatever order: nothing is issued without money, and money counts once.

A machine of Hypothesis draws messages, true and false, new and repeated, and keeps its own simple books beside.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from issuer.application import Application
from issuer.payments.provider import PaymentInformation, TransactionStatus
from issuer.payments.service import Event, Outcome, Source, payments_of, take_event
from tests.issuer.payments.till import CENTS, approvals, begun, payment, status_of, unpaid
from tests.service import PERMIT, TENANT, SetClock

S = TransactionStatus
STATUSES = st.sampled_from(list(S))


class Messages(RuleBasedStateMachine):
    """One pass, its payments one after the other, and everything that may be said of them."""

    application: Application
    number: str
    made = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).made += 1
        self.number = f"A-{type(self).made}"
        unpaid(self.application, self.number)
        self.row = begun(self.application, self.number)
        self.first_ends: dict[str, str] = {}
        self.said: dict[str, Outcome] = {}
        self.n = 0

    def _take(self, event_id: str, status: S, told: PaymentInformation | None) -> Outcome:
        event = Event("demo", event_id, self.row.id, status, Source.NOTIFICATION, told)
        with self.application.writing() as session:
            return take_event(session, self.application, event)

    @rule(status=STATUSES)
    def new_message(self, status: S) -> None:
        self.n += 1
        event_id = f"{self.row.id}-{self.n}"
        self.said[event_id] = self._take(event_id, status, PaymentInformation(status, CENTS, "EUR"))
        if self.said[event_id] is Outcome.MOVED and status is not S.INITIAL:
            self.first_ends.setdefault(self.row.id, status)

    @rule(data=st.data(), status=STATUSES)
    @precondition(lambda self: self.said)
    def repeated_message(self, data: Any, status: S) -> None:
        before = payment(self.application, self.row.id)
        event_id = data.draw(st.sampled_from(sorted(self.said)))
        if event_id.startswith(self.row.id):
            told = PaymentInformation(status, CENTS, "EUR")
            assert self._take(event_id, status, told) is Outcome.REPEATED
            after = payment(self.application, self.row.id)
            assert (after.state, after.received_cents) == (before.state, before.received_cents)

    @rule(told=st.sampled_from([None, *S]), cents=st.sampled_from([CENTS, CENTS - 1]))
    def false_message_of_money(self, told: S | None, cents: int) -> None:
        if told is S.PAYED and cents == CENTS:
            return
        self.n += 1
        asked = None if told is None else PaymentInformation(told, cents, "EUR")
        outcome = self._take(f"{self.row.id}-{self.n}", S.PAYED, asked)
        assert outcome in (Outcome.UNCONFIRMED, Outcome.OTHER_AMOUNT, Outcome.IGNORED)

    @rule()
    @precondition(lambda self: status_of(self.application, self.number) == "pending_payment")
    def begin_again(self) -> None:
        held = payment(self.application, self.row.id).state in ("created", "pending", "paid")
        again = begun(self.application, self.number)
        assert (again.id == self.row.id) is held
        self.row = again

    @invariant()
    def nothing_is_issued_without_money(self) -> None:
        with self.application.reading() as session:
            rows = payments_of(session, self.application.tenant, "pass", f"{PERMIT}/{self.number}")
        # A payment is made in time if money was the first thing that ended it, by the simple books.
        in_time = sum(1 for one in rows if self.first_ends.get(one.id) == S.PAYED)
        assert approvals(self.application, self.number) == in_time
        assert in_time <= 1
        status = status_of(self.application, self.number)
        assert (status == "pending_payment") is (in_time == 0)
        assert sum(one.state in ("created", "pending", "paid") for one in rows) <= 1

    @invariant()
    def money_counts_once(self) -> None:
        known = payment(self.application, self.row.id)
        assert known.received_cents in (0, CENTS)
        if known.state in ("paid", "paid_late"):
            assert known.received_cents == CENTS
        if known.state in ("created", "pending", "failed", "cancelled", "expired"):
            assert known.received_cents == 0
        if known.state == "paid":
            assert status_of(self.application, self.number) == "active"
        if known.state == "paid_late":
            assert known.attention == "PAYMENT_LATE"


@pytest.mark.slow
def test_any_order(sqlite_cities: Path, tmp_path: Path) -> None:
    """On one database: what is drawn is the order, and the races are in the other tests."""
    import re

    from hypothesis.stateful import run_state_machine_as_test

    from issuer.workspace import CONFIG

    shutil.copy(sqlite_cities / "shared.db", tmp_path / "shared.db")
    folder = tmp_path / TENANT
    shutil.copytree(sqlite_cities / TENANT, folder)
    config = folder / CONFIG
    url = f'database_url = "sqlite+pysqlite:///{tmp_path / "shared.db"}"'
    config.write_text(re.sub(r"database_url = .*", url, config.read_text()))
    with Application.open(folder, SetClock()) as application:
        Messages.application, Messages.made = application, 0
        run_state_machine_as_test(
            Messages,
            settings=settings(
                max_examples=40,
                stateful_step_count=20,
                deadline=None,
                # Each example enters a pass of its own: making a failing one shorter takes minutes.
                phases=(Phase.generate,),
                suppress_health_check=list(HealthCheck),
            ),
        )
