"""The people of the office: accounts, one-time links, sessions, and the log of who looked at what."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables; nobody has an account until ``stadtpass staff invite``."""
    op.create_table(
        "staff_accounts",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=22), nullable=False),
        sa.Column("login", sa.String(length=254), nullable=False),
        sa.Column("display_name", sa.String(length=120), nullable=False),
        sa.Column("roles", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("totp_secret", sa.String(length=200), nullable=True),
        sa.Column("totp_step", sa.BigInteger(), nullable=True),
        sa.Column("oidc_subject", sa.String(length=255), nullable=True),
        sa.Column("failed_attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_login_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_staff_accounts_tenants")),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_staff_accounts")),
    )
    op.create_index(
        op.f("ix_staff_accounts_tenant_login"), "staff_accounts", ["tenant", "login"], unique=True
    )
    op.create_index(
        op.f("ix_staff_accounts_tenant_oidc_subject"),
        "staff_accounts",
        ["tenant", "oidc_subject"],
        unique=True,
    )
    op.create_table(
        "staff_links",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=22), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_staff_links_tenants")),
        sa.ForeignKeyConstraint(
            ["tenant", "account_id"],
            ["staff_accounts.tenant", "staff_accounts.id"],
            name=op.f("fk_staff_links_staff_accounts"),
        ),
        sa.PrimaryKeyConstraint("tenant", "token_hash", name=op.f("pk_staff_links")),
    )
    op.create_index(
        op.f("ix_staff_links_tenant_expires_at"), "staff_links", ["tenant", "expires_at"], unique=False
    )
    op.create_table(
        "staff_sessions",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("session_hash", sa.String(length=64), nullable=False),
        sa.Column("handle", sa.String(length=22), nullable=False),
        sa.Column("account_id", sa.String(length=22), nullable=False),
        sa.Column("stage", sa.String(length=10), nullable=False),
        sa.Column("method", sa.String(length=10), nullable=False),
        sa.Column("agent", sa.String(length=60), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_staff_sessions_tenants")),
        sa.ForeignKeyConstraint(
            ["tenant", "account_id"],
            ["staff_accounts.tenant", "staff_accounts.id"],
            name=op.f("fk_staff_sessions_staff_accounts"),
        ),
        sa.PrimaryKeyConstraint("tenant", "session_hash", name=op.f("pk_staff_sessions")),
    )
    for columns in (["tenant", "account_id"], ["tenant", "expires_at"]):
        op.create_index(
            op.f(f"ix_staff_sessions_{'_'.join(columns)}"), "staff_sessions", columns, unique=False
        )
    op.create_table(
        "case_accesses",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=22), nullable=False),
        sa.Column("account_id", sa.String(length=22), nullable=False),
        sa.Column("subject", sa.String(length=120), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_case_accesses_tenants")),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_case_accesses")),
    )
    for columns in (["tenant", "at"], ["tenant", "subject", "at"], ["tenant", "account_id", "at"]):
        op.create_index(op.f(f"ix_case_accesses_{'_'.join(columns)}"), "case_accesses", columns, unique=False)


def downgrade() -> None:
    """Forget the office's accounts and its log of accesses."""
    for table in ("case_accesses", "staff_sessions", "staff_links", "staff_accounts"):
        op.drop_table(table)
