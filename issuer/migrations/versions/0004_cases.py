"""Cases of the permit office: what is asked for, by whom, with which evidence, and the links that lead back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_UNDER_WAY = sa.text("state IN ('submitted', 'documents', 'second_look', 'awaiting_payment')")
# Those that hang on a case before the cases.
_TABLES = ("case_visits", "case_links", "case_evidence", "case_applicants", "cases")


def upgrade() -> None:
    """Make the tables of cases."""
    op.create_table(
        "cases",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=22), nullable=False),
        sa.Column("number", sa.String(length=20), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("type_id", sa.String(length=40), nullable=False),
        sa.Column("channel", sa.String(length=10), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("checks", sa.JSON(), nullable=False),
        sa.Column("fee_cents", sa.Integer(), nullable=True),
        sa.Column("person", sa.String(length=64), nullable=True),
        sa.Column("pass_number", sa.String(length=40), nullable=True),
        sa.Column("exception", sa.String(length=40), nullable=True),
        sa.Column("proposed_by", sa.String(length=120), nullable=True),
        sa.Column("decided_by", sa.String(length=120), nullable=True),
        sa.Column("decision_reason", sa.String(length=40), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deadline", sa.Date(), nullable=True),
        sa.CheckConstraint("fee_cents IS NULL OR fee_cents >= 0", name=op.f("ck_cases_fee")),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_cases_tenants")),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_cases")),
        sa.UniqueConstraint("tenant", "number", name=op.f("uq_cases_tenant_number")),
    )
    op.create_index(
        op.f("ix_cases_tenant_state_deadline"), "cases", ["tenant", "state", "deadline"], unique=False
    )
    op.create_index(
        op.f("ix_cases_tenant_type_id_pass_number"),
        "cases",
        ["tenant", "type_id", "pass_number"],
        unique=False,
    )
    op.create_index(
        "uq_cases_under_way",
        "cases",
        ["tenant", "type_id", "kind", "person"],
        unique=True,
        sqlite_where=_UNDER_WAY,
        postgresql_where=_UNDER_WAY,
    )
    op.create_table(
        "case_applicants",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("case_id", sa.String(length=22), nullable=False),
        sa.Column("family_name", sa.Text(), nullable=False),
        sa.Column("given_name", sa.Text(), nullable=False),
        sa.Column("doctoral_degree", sa.Text(), nullable=False),
        sa.Column("street", sa.Text(), nullable=False),
        sa.Column("house_number", sa.Text(), nullable=False),
        sa.Column("postal_code", sa.Text(), nullable=False),
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("search_keys", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "case_id"],
            ["cases.tenant", "cases.id"],
            name=op.f("fk_case_applicants_cases"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant", "case_id", name=op.f("pk_case_applicants")),
    )
    op.create_table(
        "case_evidence",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=22), nullable=False),
        sa.Column("case_id", sa.String(length=22), nullable=False),
        sa.Column("evidence_type", sa.String(length=40), nullable=False),
        sa.Column("media_type", sa.String(length=40), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "case_id"],
            ["cases.tenant", "cases.id"],
            name=op.f("fk_case_evidence_cases"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_case_evidence")),
    )
    op.create_index(
        op.f("ix_case_evidence_tenant_case_id"), "case_evidence", ["tenant", "case_id"], unique=False
    )
    op.create_table(
        "case_links",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("case_id", sa.String(length=22), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant", "case_id"],
            ["cases.tenant", "cases.id"],
            name=op.f("fk_case_links_cases"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant", "token_hash", name=op.f("pk_case_links")),
    )
    op.create_index(
        op.f("ix_case_links_tenant_expires_at"), "case_links", ["tenant", "expires_at"], unique=False
    )
    op.create_table(
        "case_visits",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("visit_hash", sa.String(length=64), nullable=False),
        sa.Column("case_id", sa.String(length=22), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "case_id"],
            ["cases.tenant", "cases.id"],
            name=op.f("fk_case_visits_cases"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant", "visit_hash", name=op.f("pk_case_visits")),
    )
    op.create_index(
        op.f("ix_case_visits_tenant_expires_at"), "case_visits", ["tenant", "expires_at"], unique=False
    )


def downgrade() -> None:
    """Drop them with all cases."""
    for name in _TABLES:
        op.drop_table(name)
