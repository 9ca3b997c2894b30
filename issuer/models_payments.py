"""Payments and what their providers said of them. Money is integer cents; nothing here names a person or a card."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from issuer.models import Base, of_tenant

# For one reference there is at most one payment that can still be made or that was made.
HOLDS_REFERENCE: Final = "state IN ('created', 'pending', 'paid')"
# What somebody of the office has to look at.
NEEDS_ATTENTION: Final = "attention <> ''"


class PaymentRow(Base):
    """One transaction at a provider; its ``id`` is ours, random, and the key by which a provider knows a repetition.

    ``kind`` and ``ref`` say what it is for. ``request`` is what the provider is told: purpose, description, items.
    ``received_cents`` is what came in, counted once. ``attention`` is the code of what a clerk has to look at.
    """

    __tablename__ = "payments"
    __table_args__ = (
        of_tenant(),
        UniqueConstraint("tenant", "provider", "provider_id"),
        CheckConstraint("amount_cents > 0", name="amount"),
        CheckConstraint("received_cents >= 0", name="received"),
        CheckConstraint("currency = 'EUR'", name="currency"),
        Index(
            "uq_payments_reference",
            "tenant",
            "kind",
            "ref",
            unique=True,
            sqlite_where=text(HOLDS_REFERENCE),
            postgresql_where=text(HOLDS_REFERENCE),
        ),
        Index(
            "ix_payments_attention",
            "tenant",
            "updated_at",
            sqlite_where=text(NEEDS_ATTENTION),
            postgresql_where=text(NEEDS_ATTENTION),
        ),
        Index(None, "tenant", "kind", "ref"),
        Index(None, "tenant", "state", "next_check_at"),
    )

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    id: Mapped[str] = mapped_column(String(22), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    ref: Mapped[str] = mapped_column(String(120))
    amount_cents: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3))
    request: Mapped[dict[str, Any]]
    provider: Mapped[str] = mapped_column(String(20))
    provider_id: Mapped[str | None] = mapped_column(String(80))
    redirect_url: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))
    attention: Mapped[str] = mapped_column(String(40), default="", server_default="")
    received_cents: Mapped[int] = mapped_column(default=0, server_default="0")
    last_event: Mapped[str] = mapped_column(String(40))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    # After this the nightly run closes what was not paid.
    expires_at: Mapped[datetime]
    paid_at: Mapped[datetime | None]
    # How often the provider was asked without being called, and when next.
    checks: Mapped[int] = mapped_column(default=0, server_default="0")
    next_check_at: Mapped[datetime]
    checked_at: Mapped[datetime | None]


class PaymentEventRow(Base):
    """What a provider said of a payment, once for each of its event ids.

    ``source`` is how it came: notification, query, or clock. ``outcome`` is what came of it.
    """

    __tablename__ = "payment_events"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant", "payment_id"], ["payments.tenant", "payments.id"], ondelete="CASCADE"
        ),
        Index(None, "tenant", "payment_id"),
    )

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    provider: Mapped[str] = mapped_column(String(20), primary_key=True)
    event_id: Mapped[str] = mapped_column(String(120), primary_key=True)
    payment_id: Mapped[str] = mapped_column(String(22))
    source: Mapped[str] = mapped_column(String(12))
    status: Mapped[str] = mapped_column(String(16))
    outcome: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16))
    at: Mapped[datetime]
