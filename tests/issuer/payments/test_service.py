"""Beginning payments, and what providers' messages do to them and to what was paid for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import insert, inspect, select
from sqlalchemy.exc import IntegrityError

from issuer import audit, lifecycle
from issuer.application import Application
from issuer.errors import IssuerRefusal, RegisterRefusal
from issuer.lifecycle import Actor
from issuer.models_payments import PaymentEventRow, PaymentRow
from issuer.payments import pass_payments
from issuer.payments.listeners import Listener, listener_of, register
from issuer.payments.provider import PaymentInformation, PaymentItem, TransactionStatus
from issuer.payments.service import (
    Event,
    Outcome,
    Purchase,
    Source,
    begin,
    events_of,
    is_paid,
    payments_of,
    settle,
    take_event,
)
from issuer.payments.states import MOVES, State, after
from tests.issuer.payments.till import CENTS, approvals, begun, moves, payment, status_of, unpaid
from tests.issuer.payments.till import begin as begin_for
from tests.service import PERMIT, City

S = TransactionStatus
REF = pass_payments.reference(PERMIT, "A-1")


def purchase(**more: Any) -> Purchase:
    return Purchase(
        **{
            "kind": "pass",
            "ref": REF,
            "amount_cents": CENTS,
            "purpose": "A-1",
            "description": "Bewohnerparkausweis A-1",
            **more,
        }
    )


def take(
    application: Application, row: PaymentRow, status: TransactionStatus, event_id: str = "", **more: Any
) -> Outcome:
    told = PaymentInformation(status, more.pop("cents", CENTS), more.pop("currency", "EUR"))
    event = Event(
        more.pop("provider", "demo"),
        event_id or f"e-{status}",
        row.id,
        status,
        Source.NOTIFICATION,
        more.pop("information", told),
    )
    with application.writing() as session:
        return take_event(session, application, event)


@pytest.fixture
def row(application: Application) -> PaymentRow:
    unpaid(application, "A-1")
    return begun(application)


def test_money_issues_the_pass(application: Application, row: PaymentRow) -> None:
    assert status_of(application) == "pending_payment"
    assert take(application, row, S.PAYED) is Outcome.MOVED
    known = payment(application, row.id)
    assert (known.state, known.received_cents, known.paid_at) == ("paid", CENTS, application.now())
    assert (status_of(application), approvals(application)) == ("active", 1)
    assert moves(application, row.id) == ["created", "paid"]
    with application.reading() as session:
        assert is_paid(session, application.tenant, "pass", REF)
        trail = audit.history(session, application.tenant, REF)
        assert (trail[-1].action, trail[-1].actor) == ("approve", "payment:demo")
        assert audit.verify(session, application.tenant).fault is None


def test_nothing_personal_is_told_to_the_provider(application: Application, row: PaymentRow) -> None:
    told = str(row.request) + str(row.redirect_url)
    for word in ("Müller", "Jürgen", "Wehrhahn", "40211", "mueller", "D-AB", "ab 123", "H0999999"):
        assert word.lower() not in told.lower()


@pytest.mark.parametrize("status", [S.FAILED, S.CANCELED, S.EXPIRED])
def test_whoever_did_not_pay_gets_nothing_and_can_try_again(
    application: Application, row: PaymentRow, status: TransactionStatus
) -> None:
    assert take(application, row, status) is Outcome.MOVED
    assert (status_of(application), payment(application, row.id).received_cents) == ("pending_payment", 0)
    again = begun(application)
    assert again.id != row.id
    take(application, again, S.PAYED, "e-2")
    assert status_of(application) == "active"


@pytest.mark.parametrize("closed", [S.FAILED, S.CANCELED, S.EXPIRED])
def test_money_for_a_closed_payment_goes_to_a_clerk(
    application: Application, row: PaymentRow, closed: TransactionStatus
) -> None:
    take(application, row, closed)
    assert take(application, row, S.PAYED) is Outcome.MOVED
    known = payment(application, row.id)
    assert (known.state, known.attention, known.received_cents) == ("paid_late", "PAYMENT_LATE", CENTS)
    assert (status_of(application), approvals(application)) == ("pending_payment", 0)
    with application.writing() as session:
        settle(session, application, row.id, actor="cli:test", reason="Erstattet")
        with pytest.raises(IssuerRefusal, match="PAYMENT_SETTLED"):
            settle(session, application, row.id, actor="cli:test", reason="Erstattet")
    assert payment(application, row.id).attention == ""


@pytest.mark.parametrize("late", [S.INITIAL, S.FAILED, S.CANCELED, S.EXPIRED, S.PAYED])
def test_what_comes_after_the_money_changes_nothing(
    application: Application, row: PaymentRow, late: TransactionStatus
) -> None:
    take(application, row, S.PAYED)
    before = payment(application, row.id)
    assert take(application, row, late, "late") is Outcome.IGNORED
    known = payment(application, row.id)
    assert (known.state, known.received_cents, known.paid_at) == ("paid", CENTS, before.paid_at)
    assert (status_of(application), approvals(application)) == ("active", 1)


def test_a_message_that_comes_twice_counts_once(application: Application, row: PaymentRow) -> None:
    assert take(application, row, S.PAYED, "e-1") is Outcome.MOVED
    assert take(application, row, S.PAYED, "e-1") is Outcome.REPEATED
    # The same id with other words is the same event.
    assert take(application, row, S.CHARGED_BACK, "e-1") is Outcome.REPEATED
    with application.reading() as session:
        assert [one.outcome for one in events_of(session, application.tenant, row.id)] == ["moved"]


def test_a_chargeback_suspends_the_pass(application: Application, row: PaymentRow) -> None:
    take(application, row, S.PAYED)
    assert take(application, row, S.CHARGED_BACK) is Outcome.MOVED
    assert status_of(application) == "suspended"
    known = payment(application, row.id)
    assert (known.state, known.attention) == ("charged_back", "PAYMENT_CHARGED_BACK")
    with application.reading() as session:
        last = audit.history(session, application.tenant, REF)[-1]
    assert (last.action, last.reason, last.actor) == ("suspend", "PAYMENT_CHARGED_BACK", "payment:demo")


def test_a_chargeback_of_a_revoked_pass_is_left_to_a_clerk(application: Application, row: PaymentRow) -> None:
    take(application, row, S.PAYED)
    with application.writing() as session:
        by = Actor("test", application.now(), "moved away")
        lifecycle.revoke(session, application.tenant, PERMIT, "A-1", actor=by)
    take(application, row, S.CHARGED_BACK)
    assert status_of(application) == "revoked"
    assert payment(application, row.id).attention == "PAYMENT_CHARGED_BACK"


def test_a_chargeback_before_its_payment_keeps_the_pass_from_being_issued(
    application: Application, row: PaymentRow
) -> None:
    take(application, row, S.CHARGED_BACK)
    assert take(application, row, S.PAYED) is Outcome.IGNORED
    assert (status_of(application), approvals(application)) == ("pending_payment", 0)


def test_money_is_believed_only_if_the_provider_says_so_when_asked(
    application: Application, row: PaymentRow
) -> None:
    assert take(application, row, S.PAYED, "e-1", information=None) is Outcome.UNCONFIRMED
    asked = PaymentInformation(S.INITIAL, CENTS, "EUR")
    assert take(application, row, S.PAYED, "e-2", information=asked) is Outcome.UNCONFIRMED
    known = payment(application, row.id)
    assert (known.state, known.received_cents, status_of(application)) == ("pending", 0, "pending_payment")
    # It will be asked again soon.
    assert known.next_check_at > application.now()
    assert known.checks > row.checks


@pytest.mark.parametrize(("cents", "currency"), [(CENTS - 1, "EUR"), (CENTS + 1, "EUR"), (CENTS, "USD")])
def test_another_amount_issues_nothing(
    application: Application, row: PaymentRow, cents: int, currency: str
) -> None:
    assert take(application, row, S.PAYED, cents=cents, currency=currency) is Outcome.OTHER_AMOUNT
    known = payment(application, row.id)
    assert (known.state, known.attention, known.received_cents) == ("pending", "PAYMENT_AMOUNT", 0)
    assert status_of(application) == "pending_payment"


def test_money_for_what_cannot_be_had_any_more_goes_to_a_clerk(
    application: Application, row: PaymentRow
) -> None:
    with application.writing() as session:
        by = Actor("test", application.now(), "moved away")
        lifecycle.revoke(session, application.tenant, PERMIT, "A-1", actor=by)
    assert take(application, row, S.PAYED) is Outcome.MOVED
    known = payment(application, row.id)
    assert (known.state, known.attention, known.received_cents) == ("paid", "PASS_REVOKED", CENTS)


def test_a_pass_approved_by_hand_is_not_issued_again(application: Application, row: PaymentRow) -> None:
    from issuer.approval import approve

    pass_type = application.pass_types[PERMIT]
    with application.writing() as session:
        approve(
            session,
            application.tenant,
            pass_type,
            "A-1",
            seal_for=application.sealer(session, pass_type),
            actor=Actor("test", application.now()),
        )
    take(application, row, S.PAYED)
    known = payment(application, row.id)
    assert (known.state, known.attention, approvals(application)) == ("paid", "", 1)


def test_what_fails_while_issuing_takes_the_event_back(
    application: Application, row: PaymentRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> str:
        raise IssuerRefusal("PAYMENTS_OFF")

    hears = listener_of("pass")
    monkeypatch.setattr("issuer.payments.service.listener_of", lambda _: Listener(fails))
    with pytest.raises(IssuerRefusal, match="PAYMENTS_OFF"):
        take(application, row, S.PAYED)
    assert (payment(application, row.id).state, status_of(application)) == ("pending", "pending_payment")
    monkeypatch.setattr("issuer.payments.service.listener_of", lambda _: hears)
    assert take(application, row, S.PAYED) is Outcome.MOVED
    assert status_of(application) == "active"


def test_events_of_others_are_unknown(
    application: Application, neighbour: Application, row: PaymentRow
) -> None:
    assert take(application, row, S.PAYED, provider="xbezahldienste") is Outcome.UNKNOWN
    assert take(neighbour, row, S.PAYED) is Outcome.UNKNOWN
    assert payment(application, row.id).state == "pending"


def test_a_reference_has_one_payment_at_a_time(application: Application) -> None:
    unpaid(application, "A-1")
    row = begin_for(application)
    assert begin_for(application).id == row.id
    with pytest.raises(IssuerRefusal, match="PAYMENT_OPEN"):
        begin_for(application, cents=CENTS + 1)
    take(application, row, S.PAYED)
    with application.writing() as session, pytest.raises(IssuerRefusal, match="PAYMENT_DONE"):
        begin(session, application, purchase(), actor="holder")
    with pytest.raises(RegisterRefusal, match="PASS_APPROVED"):
        begin_for(application)


def test_the_database_itself_refuses_a_second_one(application: Application, row: PaymentRow) -> None:
    values = {one.key: getattr(row, one.key) for one in inspect(PaymentRow).columns}
    second = values | {"id": "x" * 22, "provider_id": None}
    with pytest.raises(IntegrityError), application.writing() as session:
        session.execute(insert(PaymentRow), [second])
    with application.writing() as session:
        session.execute(insert(PaymentRow), [second | {"state": "failed"}])
    with pytest.raises(IntegrityError), application.writing() as session:
        session.execute(insert(PaymentRow), [values | {"id": "y" * 22, "ref": "other"}])


def at_once(*work: Callable[[], object]) -> list[object]:
    """Do all at the same moment; what each gave or raised."""
    barrier = threading.Barrier(len(work))
    results: list[object] = [None] * len(work)

    def run(place: int, one: Callable[[], object]) -> None:
        barrier.wait()
        try:
            results[place] = one()
        except Exception as fault:
            results[place] = fault

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(work)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_two_begin_at_once(city: City) -> None:
    application, other = city.open(), city.open()
    unpaid(application, "A-1")
    found = at_once(*(lambda one=one: begin_for(one) for one in (application, other) * 3))
    assert len({one.id for one in found if isinstance(one, PaymentRow)}) == 1, found
    with application.reading() as session:
        assert len(payments_of(session, application.tenant, "pass", REF)) == 1


def test_the_same_event_twice_at_once(city: City) -> None:
    application, other = city.open(), city.open()
    unpaid(application, "A-1")
    row = begun(application)
    found = at_once(*(lambda one=one: take(one, row, S.PAYED, "e-1") for one in (application, other) * 3))
    assert sorted(map(str, found)) == ["moved"] + ["repeated"] * 5
    assert (approvals(application), payment(application, row.id).received_cents) == (1, CENTS)
    with application.reading() as session:
        assert len(session.scalars(select(PaymentEventRow)).all()) == 1


def test_paid_and_failed_at_once(city: City) -> None:
    """Whichever comes first, the money is noted once, and issued is what is paid in time."""
    application, other = city.open(), city.open()
    numbers = [f"A-{n}" for n in range(1, 5)]
    unpaid(application, *numbers)
    for number in numbers:
        row = begun(application, number)
        at_once(
            lambda row=row: take(application, row, S.PAYED, f"p-{row.id}"),
            lambda row=row: take(other, row, S.FAILED, f"f-{row.id}"),
        )
        known = payment(application, row.id)
        assert known.received_cents == CENTS
        expected = {"paid": "active", "paid_late": "pending_payment"}
        assert status_of(application, number) == expected[known.state]


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount_cents": 0},
        {"amount_cents": -1},
        {"amount_cents": 100_000_000},
        {"purpose": ""},
        {"purpose": "x" * 28},
        {"purpose": "für Sie"},
        {"description": "a<b"},
        {"ref": ""},
        {"ref": "a b"},
        {"kind": "Pass"},
        {"items": (PaymentItem("1", "Gebühr", CENTS - 1),)},
    ],
)
def test_what_no_provider_takes(application: Application, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError), application.writing() as session:
        begin(session, application, purchase(**wrong), actor="test")


def test_kinds_without_a_listener_and_kinds_with_two(application: Application) -> None:
    with pytest.raises(IssuerRefusal, match="PAYMENT_KIND"), application.writing() as session:
        begin(session, application, purchase(kind="nothing"), actor="test")
    with pytest.raises(ValueError):
        register("pass", Listener(lambda *_: ""))


def test_the_table_of_moves_has_no_way_back_to_issuing() -> None:
    assert MOVES.keys() == set(State)
    leads_to_paid = {state for state in State if after(state, S.PAYED) is State.PAID}
    assert leads_to_paid == {State.CREATED, State.PENDING}
    reached = {target for moves_of in MOVES.values() for target in moves_of.values()}
    # Nothing leads back to an open payment but its own opening, so that money cannot be counted twice.
    assert State.CREATED not in reached
    assert [state for state in State if State.PENDING in MOVES[state].values()] == [State.CREATED]
