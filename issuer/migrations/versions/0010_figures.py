"""Open data: what was counted on the first of each month, as it was told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "open_data_months",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("threshold", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=True),
        sa.Column("stored_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("threshold >= 3", name=op.f("ck_open_data_months_threshold")),
        sa.CheckConstraint("total IS NULL OR total >= 0", name=op.f("ck_open_data_months_total")),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_open_data_months_tenants")),
        sa.PrimaryKeyConstraint("tenant", "month", name=op.f("pk_open_data_months")),
    )
    op.create_table(
        "open_data_counts",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("zone_code", sa.String(length=12), nullable=False),
        sa.Column("zone_name", sa.String(length=200), nullable=False),
        sa.Column("permits", sa.Integer(), nullable=True),
        sa.CheckConstraint("permits IS NULL OR permits >= 0", name=op.f("ck_open_data_counts_permits")),
        sa.ForeignKeyConstraint(
            ["tenant", "month"],
            ["open_data_months.tenant", "open_data_months.month"],
            name=op.f("fk_open_data_counts_open_data_months"),
        ),
        sa.PrimaryKeyConstraint("tenant", "month", "zone_code", name=op.f("pk_open_data_counts")),
    )


def downgrade() -> None:
    """Forget what was published; the older version publishes nothing."""
    op.drop_table("open_data_counts")
    op.drop_table("open_data_months")
