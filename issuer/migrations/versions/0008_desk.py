"""The office's work: letters with a clerk's words, and the work list by age."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table and the index."""
    op.create_table(
        "case_letters",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=22), nullable=False),
        sa.Column("case_id", sa.String(length=22), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("codes", sa.JSON(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("made_by", sa.String(length=120), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "case_id"],
            ["cases.tenant", "cases.id"],
            name=op.f("fk_case_letters_cases"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_case_letters")),
    )
    op.create_index(
        op.f("ix_case_letters_tenant_case_id_made_at"),
        "case_letters",
        ["tenant", "case_id", "made_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_cases_tenant_state_state_since_id"),
        "cases",
        ["tenant", "state", "state_since", "id"],
        unique=False,
    )


def downgrade() -> None:
    """Forget the letters' words; the letters themselves are with their readers."""
    op.drop_index(op.f("ix_cases_tenant_state_state_since_id"), table_name="cases")
    op.drop_index(op.f("ix_case_letters_tenant_case_id_made_at"), table_name="case_letters")
    op.drop_table("case_letters")
