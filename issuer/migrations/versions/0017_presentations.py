"""What the city has asked EUDI Wallets for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "eudi_presentations",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("wish", sa.String(length=24), nullable=False),
        sa.Column("asker_kind", sa.String(length=8), nullable=False),
        sa.Column("asker_hash", sa.String(length=64), nullable=False),
        sa.Column("back", sa.Text(), nullable=False),
        sa.Column("client_id", sa.String(length=60), nullable=False),
        sa.Column("seed", sa.String(length=43), nullable=True),
        sa.Column("other_hash", sa.String(length=64), nullable=False),
        sa.Column("same_hash", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("code", sa.String(length=60), nullable=True),
        sa.Column("fault", sa.String(length=100), nullable=True),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        sa.Column("response_hash", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'opened', 'holds', 'refused', 'taken')",
            name=op.f("ck_eudi_presentations_state"),
        ),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_eudi_presentations_tenants")),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_eudi_presentations")),
        sa.UniqueConstraint("tenant", "other_hash", name=op.f("uq_eudi_presentations_tenant_other_hash")),
        sa.UniqueConstraint("tenant", "same_hash", name=op.f("uq_eudi_presentations_tenant_same_hash")),
    )
    op.create_index(
        op.f("ix_eudi_presentations_tenant_ends_at"),
        "eudi_presentations",
        ["tenant", "ends_at"],
        unique=False,
    )


def downgrade() -> None:
    """Remove it."""
    op.drop_index(op.f("ix_eudi_presentations_tenant_ends_at"), table_name="eudi_presentations")
    op.drop_table("eudi_presentations")
