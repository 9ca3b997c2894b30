"""Libraries: what the comparison with the library's own system holds back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "library_holds",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("type_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.String(length=40), nullable=False),
        sa.Column("standing", sa.String(length=20), nullable=False),
        sa.Column("found_on", sa.Date(), nullable=False),
        sa.Column("held_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant", "type_id", "number"],
            ["passes.tenant", "passes.type_id", "passes.number"],
            name=op.f("fk_library_holds_passes"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant", "type_id", "number", name=op.f("pk_library_holds")),
    )


def downgrade() -> None:
    """Remove it."""
    op.drop_table("library_holds")
