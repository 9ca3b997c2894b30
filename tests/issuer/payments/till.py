"""What tests of payments need: passes that wait for their money, payments for them, and messages of a provider."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from httpx import Response
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import func, select

from issuer import audit
from issuer.application import Application
from issuer.models import AuditEntryRow, PassRow
from issuer.models_payments import PaymentRow
from issuer.payments import signatures
from issuer.payments.opening import open_transaction
from issuer.payments.pass_payments import begin_for_pass
from issuer.payments.provider import TransactionStatus
from issuer.payments.service import find_payment, subject
from issuer.payments.simulated import Message, SimulatedProvider, new_event_id
from issuer.register import subject as pass_subject
from tests.issuer.api.conftest import bearer, new_client
from tests.issuer.api.office import PASSES, permit
from tests.service import PERMIT
from tests.web_app import create_app

CENTS = 2500
EVENTS = "/payments/demo/events"


def unpaid(application: Application, *numbers: str) -> None:
    """Enter permits that are issued when their money has come."""
    token = new_client(application, name=f"office {numbers[0]}").secret
    with TestClient(create_app(application)) as client:
        for number in numbers:
            body = permit(number=number, status="pending_payment")
            answer = client.post(PASSES, json=body, headers=bearer(token))
            assert answer.status_code == 201, answer.text


def begin(application: Application, number: str = "A-1", cents: int = CENTS) -> PaymentRow:
    with application.writing() as session:
        return begin_for_pass(
            session, application, application.pass_types[PERMIT], number, cents, actor="holder"
        )


def begun(application: Application, number: str = "A-1") -> PaymentRow:
    """A payment whose provider knows it."""
    row = begin(application, number)
    open_transaction(application, row.id)
    return payment(application, row.id)


def payment(application: Application, payment_id: str) -> PaymentRow:
    with application.reading() as session:
        row = find_payment(session, application.tenant, payment_id)
        assert row is not None
        return row


def status_of(application: Application, number: str = "A-1") -> str:
    with application.reading() as session:
        row = session.get(PassRow, (application.tenant, PERMIT, number))
        assert row is not None
        return row.status


def approvals(application: Application, number: str = "A-1") -> int:
    """How often the pass was issued."""
    with application.reading() as session:
        return (
            session.scalar(
                select(func.count())
                .select_from(AuditEntryRow)
                .where(
                    AuditEntryRow.tenant == application.tenant,
                    AuditEntryRow.subject == pass_subject(PERMIT, number),
                    AuditEntryRow.action == "approve",
                )
            )
            or 0
        )


def moves(application: Application, payment_id: str) -> list[str]:
    """The states that the audit trail has seen a payment in."""
    with application.reading() as session:
        entries = audit.history(session, application.tenant, subject(payment_id))
    return [str((one.after or {}).get("state")) for one in entries]


@dataclass
class DemoProvider:
    """The simulated provider's side, with every fault that its messages can have."""

    application: Application
    client: TestClient[Litestar] = field(init=False)

    def __post_init__(self) -> None:
        self.client = TestClient(create_app(self.application), raise_server_exceptions=False)
        self.provider = SimulatedProvider(self.application)

    def books(self, row: PaymentRow, status: TransactionStatus, **other: Any) -> None:
        """Write ``status`` on the provider's books, telling nobody."""
        assert row.provider_id is not None
        found = self.provider.find(row.provider_id)
        assert found is not None
        self.provider.store(row.provider_id, msgspec.structs.replace(found, status=status, **other))

    def signed(
        self, row: PaymentRow, status: TransactionStatus, event_id: str = "", at: datetime | None = None
    ) -> tuple[bytes, dict[str, str]]:
        """Body and headers of a message that says ``status``, whatever the books say."""
        body = msgspec.json.encode(Message(event_id or new_event_id(), row.id, status))
        secret = self.application.derived("demo-payment-webhook")
        header = signatures.signature(secret, body, at or self.application.now())
        return body, {signatures.HEADER: header}

    def tell(
        self, row: PaymentRow, status: TransactionStatus, event_id: str = "", *, books: bool = True
    ) -> Response:
        """Write ``status`` down and send it."""
        if books:
            self.books(row, status)
        body, headers = self.signed(row, status, event_id)
        return self.client.post(EVENTS, content=body, headers=headers)
