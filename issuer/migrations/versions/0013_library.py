"""Libraries: members, replaced card numbers and the fees of a membership."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "library_members",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("type_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.String(length=40), nullable=False),
        sa.Column("birth_date", sa.Date(), nullable=True),
        sa.Column("guardian_number", sa.String(length=40), nullable=True),
        sa.Column("consent_name", sa.Text(), nullable=True),
        sa.Column("consent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("consent_by", sa.String(length=120), nullable=True),
        sa.Column("block_reason", sa.String(length=10), nullable=True),
        sa.Column("blocked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("open_fees_cents", sa.Integer(), nullable=True),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "block_reason IN ('lost', 'fees', 'returned', 'other')",
            name=op.f("ck_library_members_block_reason"),
        ),
        sa.CheckConstraint("open_fees_cents >= 0", name=op.f("ck_library_members_open_fees")),
        sa.ForeignKeyConstraint(
            ["tenant", "type_id", "number"],
            ["passes.tenant", "passes.type_id", "passes.number"],
            name=op.f("fk_library_members_passes"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant", "type_id", "number", name=op.f("pk_library_members")),
    )
    op.create_index(
        op.f("ix_library_members_tenant_type_id_guardian_number"),
        "library_members",
        ["tenant", "type_id", "guardian_number"],
    )
    op.create_index(op.f("ix_library_members_tenant_birth_date"), "library_members", ["tenant", "birth_date"])
    op.create_table(
        "replaced_cards",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("type_id", sa.String(length=40), nullable=False),
        sa.Column("card_key", sa.String(length=40), nullable=False),
        sa.Column("number", sa.String(length=40), nullable=True),
        sa.Column("replaced_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_replaced_cards_tenants")),
        sa.PrimaryKeyConstraint("tenant", "type_id", "card_key", name=op.f("pk_replaced_cards")),
    )
    op.create_index(
        op.f("ix_replaced_cards_tenant_type_id_number"), "replaced_cards", ["tenant", "type_id", "number"]
    )
    op.create_table(
        "membership_fees",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("type_id", sa.String(length=40), nullable=False),
        sa.Column("category", sa.String(length=40), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("fee_cents", sa.Integer(), nullable=False),
        sa.CheckConstraint("fee_cents >= 0", name=op.f("ck_membership_fees_fee")),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_membership_fees_tenants")),
        sa.PrimaryKeyConstraint(
            "tenant", "type_id", "category", "valid_from", name=op.f("pk_membership_fees")
        ),
    )


def downgrade() -> None:
    """Forget members, and which card numbers are spent."""
    op.drop_table("membership_fees")
    op.drop_table("replaced_cards")
    op.drop_table("library_members")
