"""The permit office's rules: the street directory, changes of rules with their days, merged zones."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add both tables, and the zone that a zone was merged into."""
    op.add_column("zones", sa.Column("merged_into", sa.String(length=12), nullable=True))
    op.create_table(
        "street_entries",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("street", sa.String(length=100), nullable=False),
        sa.Column("street_key", sa.String(length=200), nullable=False),
        sa.Column("plain_key", sa.String(length=200), nullable=False),
        sa.Column("postal_code", sa.String(length=5), nullable=False),
        sa.Column("first_number", sa.Integer(), nullable=False),
        sa.Column("first_suffix", sa.String(length=4), nullable=False),
        sa.Column("last_number", sa.Integer(), nullable=False),
        sa.Column("last_suffix", sa.String(length=4), nullable=False),
        sa.Column("side", sa.String(length=4), nullable=False),
        sa.Column("zone_code", sa.String(length=12), nullable=False),
        sa.Column("note", sa.String(length=200), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=True),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.CheckConstraint("side IN ('all', 'odd', 'even')", name=op.f("ck_street_entries_side")),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_street_entries_tenants")),
        sa.PrimaryKeyConstraint("tenant", "position", name=op.f("pk_street_entries")),
    )
    for name in ("street_key", "plain_key"):
        op.create_index(
            op.f(f"ix_street_entries_tenant_{name}"), "street_entries", ["tenant", name], unique=False
        )
    op.create_table(
        "rule_changes",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=10), nullable=False),
        sa.Column("target", sa.String(length=100), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_rule_changes_tenants")),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_rule_changes")),
    )
    op.create_index(
        op.f("ix_rule_changes_tenant_subject_target"),
        "rule_changes",
        ["tenant", "subject", "target"],
        unique=False,
    )


def downgrade() -> None:
    """Forget directory, changes and merges; zones and fees are again as they were loaded."""
    op.drop_index(op.f("ix_rule_changes_tenant_subject_target"), table_name="rule_changes")
    op.drop_table("rule_changes")
    for name in ("plain_key", "street_key"):
        op.drop_index(op.f(f"ix_street_entries_tenant_{name}"), table_name="street_entries")
    op.drop_table("street_entries")
    op.drop_column("zones", "merged_into")
