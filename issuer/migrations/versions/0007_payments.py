"""Payments: one row a transaction, and what providers said of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_HOLDS_REFERENCE = sa.text("state IN ('created', 'pending', 'paid')")
_NEEDS_ATTENTION = sa.text("attention <> ''")


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "payments",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=22), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("ref", sa.String(length=120), nullable=False),
        sa.Column("amount_cents", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("provider", sa.String(length=20), nullable=False),
        sa.Column("provider_id", sa.String(length=80), nullable=True),
        sa.Column("redirect_url", sa.Text(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attention", sa.String(length=40), server_default="", nullable=False),
        sa.Column("received_cents", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_event", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("checks", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_check_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("amount_cents > 0", name=op.f("ck_payments_amount")),
        sa.CheckConstraint("received_cents >= 0", name=op.f("ck_payments_received")),
        sa.CheckConstraint("currency = 'EUR'", name=op.f("ck_payments_currency")),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_payments_tenants")),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_payments")),
        sa.UniqueConstraint(
            "tenant", "provider", "provider_id", name=op.f("uq_payments_tenant_provider_provider_id")
        ),
    )
    op.create_index(
        "uq_payments_reference",
        "payments",
        ["tenant", "kind", "ref"],
        unique=True,
        sqlite_where=_HOLDS_REFERENCE,
        postgresql_where=_HOLDS_REFERENCE,
    )
    op.create_index(
        "ix_payments_attention",
        "payments",
        ["tenant", "updated_at"],
        unique=False,
        sqlite_where=_NEEDS_ATTENTION,
        postgresql_where=_NEEDS_ATTENTION,
    )
    op.create_index(op.f("ix_payments_tenant_kind_ref"), "payments", ["tenant", "kind", "ref"], unique=False)
    op.create_index(
        op.f("ix_payments_tenant_state_next_check_at"),
        "payments",
        ["tenant", "state", "next_check_at"],
        unique=False,
    )
    op.create_table(
        "payment_events",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("provider", sa.String(length=20), nullable=False),
        sa.Column("event_id", sa.String(length=120), nullable=False),
        sa.Column("payment_id", sa.String(length=22), nullable=False),
        sa.Column("source", sa.String(length=12), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "payment_id"],
            ["payments.tenant", "payments.id"],
            name=op.f("fk_payment_events_payments"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant", "provider", "event_id", name=op.f("pk_payment_events")),
    )
    op.create_index(
        op.f("ix_payment_events_tenant_payment_id"), "payment_events", ["tenant", "payment_id"], unique=False
    )


def downgrade() -> None:
    """Forget all payments: the older version could not take what their providers say of them."""
    op.drop_table("payment_events")
    op.drop_table("payments")
