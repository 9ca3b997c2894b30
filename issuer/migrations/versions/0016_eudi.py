"""Issuing into EUDI Wallets: offers, requests, tokens, credentials and their status lists."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "eudi_replays",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("used_hash", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_eudi_replays_tenants")),
        sa.PrimaryKeyConstraint("tenant", "used_hash", name=op.f("pk_eudi_replays")),
    )
    op.create_index(
        op.f("ix_eudi_replays_tenant_expires_at"), "eudi_replays", ["tenant", "expires_at"], unique=False
    )
    op.create_table(
        "eudi_requests",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("request_hash", sa.String(length=64), nullable=False),
        sa.Column("client_id", sa.String(length=300), nullable=False),
        sa.Column("wallet_name", sa.String(length=100), nullable=False),
        sa.Column("redirect_uri", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=True),
        sa.Column("configurations", sa.JSON(), nullable=False),
        sa.Column("by_identifier", sa.Boolean(), nullable=False),
        sa.Column("code_challenge", sa.String(length=43), nullable=False),
        sa.Column("dpop_jkt", sa.String(length=43), nullable=True),
        sa.Column("instance_jkt", sa.String(length=43), nullable=True),
        sa.Column("session_id", sa.String(length=32), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("code_hash", sa.String(length=64), nullable=True),
        sa.Column("code_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_eudi_requests_tenants")),
        sa.PrimaryKeyConstraint("tenant", "request_hash", name=op.f("pk_eudi_requests")),
        sa.UniqueConstraint("tenant", "code_hash", name=op.f("uq_eudi_requests_tenant_code_hash")),
    )
    op.create_index(
        op.f("ix_eudi_requests_tenant_expires_at"), "eudi_requests", ["tenant", "expires_at"], unique=False
    )
    op.create_table(
        "eudi_sessions",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("type_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.String(length=40), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("configurations", sa.JSON(), nullable=False),
        sa.Column("by_identifier", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("channel", sa.String(length=10), nullable=False),
        sa.Column("offer_hash", sa.String(length=64), nullable=True),
        sa.Column("code_hash", sa.String(length=64), nullable=True),
        sa.Column("code_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tx_hash", sa.String(length=64), nullable=True),
        sa.Column("tries_left", sa.Integer(), nullable=False),
        sa.Column("client_id", sa.String(length=300), nullable=True),
        sa.Column("dpop_jkt", sa.String(length=43), nullable=True),
        sa.Column("instance_jkt", sa.String(length=43), nullable=True),
        sa.Column("generation", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_eudi_sessions_tenants")),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_eudi_sessions")),
        sa.UniqueConstraint("tenant", "code_hash", name=op.f("uq_eudi_sessions_tenant_code_hash")),
        sa.UniqueConstraint("tenant", "offer_hash", name=op.f("uq_eudi_sessions_tenant_offer_hash")),
    )
    op.create_index(
        op.f("ix_eudi_sessions_tenant_expires_at"), "eudi_sessions", ["tenant", "expires_at"], unique=False
    )
    op.create_index(
        op.f("ix_eudi_sessions_tenant_type_id_number"),
        "eudi_sessions",
        ["tenant", "type_id", "number"],
        unique=False,
    )
    op.create_table(
        "eudi_status_lists",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("type_id", sa.String(length=40), nullable=False),
        sa.Column("half_year", sa.String(length=6), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="0", nullable=False),
        sa.Column("unknown_invalid", sa.Boolean(), server_default="0", nullable=False),
        sa.CheckConstraint("used <= capacity", name=op.f("ck_eudi_status_lists_used")),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_eudi_status_lists_tenants")),
        sa.PrimaryKeyConstraint("tenant", "number", name=op.f("pk_eudi_status_lists")),
    )
    op.create_index(
        op.f("ix_eudi_status_lists_tenant_type_id_half_year"),
        "eudi_status_lists",
        ["tenant", "type_id", "half_year"],
        unique=False,
    )
    op.create_table(
        "eudi_transaction_codes",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("type_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.String(length=40), nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("tries_left", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant"], ["tenants.tenant"], name=op.f("fk_eudi_transaction_codes_tenants")
        ),
        sa.PrimaryKeyConstraint("tenant", "type_id", "number", name=op.f("pk_eudi_transaction_codes")),
    )
    op.create_index(
        op.f("ix_eudi_transaction_codes_tenant_expires_at"),
        "eudi_transaction_codes",
        ["tenant", "expires_at"],
        unique=False,
    )
    op.create_table(
        "eudi_batches",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("session_id", sa.String(length=32), nullable=False),
        sa.Column("configuration", sa.String(length=80), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("keys", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("notification_hash", sa.String(length=64), nullable=True),
        sa.Column("transaction_hash", sa.String(length=64), nullable=True),
        sa.Column("event", sa.String(length=24), nullable=True),
        sa.Column("event_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant", "session_id"],
            ["eudi_sessions.tenant", "eudi_sessions.id"],
            name=op.f("fk_eudi_batches_eudi_sessions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_eudi_batches")),
        sa.UniqueConstraint(
            "tenant", "notification_hash", name=op.f("uq_eudi_batches_tenant_notification_hash")
        ),
        sa.UniqueConstraint(
            "tenant", "transaction_hash", name=op.f("uq_eudi_batches_tenant_transaction_hash")
        ),
    )
    op.create_index(
        op.f("ix_eudi_batches_tenant_session_id"), "eudi_batches", ["tenant", "session_id"], unique=False
    )
    op.create_table(
        "eudi_credentials",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("list_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("list_index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("status_value", sa.Integer(), nullable=False),
        sa.Column("type_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.String(length=40), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("session_id", sa.String(length=32), nullable=False),
        sa.Column("batch_id", sa.String(length=32), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("configuration", sa.String(length=80), nullable=False),
        sa.Column("format", sa.String(length=20), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("status_value BETWEEN 0 AND 2", name=op.f("ck_eudi_credentials_status_value")),
        sa.ForeignKeyConstraint(
            ["tenant", "list_number"],
            ["eudi_status_lists.tenant", "eudi_status_lists.number"],
            name=op.f("fk_eudi_credentials_eudi_status_lists"),
        ),
        sa.PrimaryKeyConstraint("tenant", "list_number", "list_index", name=op.f("pk_eudi_credentials")),
    )
    op.create_index(
        "ix_eudi_credentials_says_something",
        "eudi_credentials",
        ["tenant", "list_number", "list_index", "status_value"],
        unique=False,
        sqlite_where=sa.text("status_value <> 0"),
        postgresql_where=sa.text("status_value <> 0"),
    )
    op.create_index(
        op.f("ix_eudi_credentials_tenant_session_id"),
        "eudi_credentials",
        ["tenant", "session_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_eudi_credentials_tenant_type_id_number"),
        "eudi_credentials",
        ["tenant", "type_id", "number"],
        unique=False,
    )
    op.create_table(
        "eudi_tokens",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("session_id", sa.String(length=32), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('access', 'refresh')", name=op.f("ck_eudi_tokens_kind")),
        sa.ForeignKeyConstraint(
            ["tenant", "session_id"],
            ["eudi_sessions.tenant", "eudi_sessions.id"],
            name=op.f("fk_eudi_tokens_eudi_sessions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant", "token_hash", name=op.f("pk_eudi_tokens")),
    )
    op.create_index(
        op.f("ix_eudi_tokens_tenant_expires_at"), "eudi_tokens", ["tenant", "expires_at"], unique=False
    )
    op.create_index(
        op.f("ix_eudi_tokens_tenant_session_id"), "eudi_tokens", ["tenant", "session_id"], unique=False
    )


def downgrade() -> None:
    """Forget what was issued; what wallets hold stays there, without a status list."""
    op.drop_table("eudi_tokens")
    op.drop_table("eudi_credentials")
    op.drop_table("eudi_batches")
    op.drop_table("eudi_transaction_codes")
    op.drop_table("eudi_status_lists")
    op.drop_table("eudi_sessions")
    op.drop_table("eudi_requests")
    op.drop_table("eudi_replays")
