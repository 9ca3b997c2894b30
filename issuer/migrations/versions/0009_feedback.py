"""Feedback about barriers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "accessibility_feedback",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=22), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("reply_to", sa.String(length=254), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant"], ["tenants.tenant"], name=op.f("fk_accessibility_feedback_tenants")
        ),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_accessibility_feedback")),
    )
    op.create_index(
        op.f("ix_accessibility_feedback_tenant_created_at"),
        "accessibility_feedback",
        ["tenant", "created_at"],
        unique=False,
    )


def downgrade() -> None:
    """Forget what people wrote: the older version would never delete it."""
    op.drop_table("accessibility_feedback")
