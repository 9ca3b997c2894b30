"""What stays of payments, and for how long."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import func, select, update

from issuer.application import Application
from issuer.models_payments import PaymentEventRow, PaymentRow
from issuer.nightly.run import run_night
from issuer.payments.provider import TransactionStatus
from tests.issuer.payments.till import DemoProvider, begun, unpaid

S = TransactionStatus


def left(application: Application) -> set[str]:
    with application.reading() as session:
        return set(session.scalars(select(PaymentRow.ref)).all())


def test_unpaid_ones_go_with_the_mails_and_paid_ones_after_years(application: Application) -> None:
    numbers = ("A-1", "A-2", "A-3", "A-4")
    unpaid(application, *numbers)
    demo = DemoProvider(application)
    paid, failed, late, fresh = (begun(application, number) for number in numbers)
    demo.tell(paid, S.PAYED)
    demo.tell(failed, S.FAILED)
    demo.tell(late, S.FAILED)
    demo.tell(late, S.PAYED)
    demo.tell(fresh, S.FAILED)
    now = application.now()

    def age(days: int, *ids: str) -> None:
        with application.writing() as session:
            session.execute(
                update(PaymentRow).where(PaymentRow.id.in_(ids)).values(updated_at=now - timedelta(days=days))
            )

    age(91, paid.id, failed.id, late.id)
    run_night(application)
    assert left(application) == {paid.ref, late.ref, fresh.ref}
    age(3651, paid.id)
    run_night(application)
    assert left(application) == {late.ref, fresh.ref}
    with application.reading() as session:
        told = session.scalars(select(PaymentEventRow.payment_id)).all()
        assert set(told) == {late.id, fresh.id}
        assert session.scalar(select(func.count()).select_from(PaymentEventRow)) == 3
