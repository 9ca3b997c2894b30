"""Print runs: the runs, the passes in them, and the files for the printer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "print_runs",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("selection", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("posted_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'done', 'failed')", name=op.f("ck_print_runs_state")
        ),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_print_runs_tenants")),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_print_runs")),
    )
    op.create_index(op.f("ix_print_runs_tenant_created_at"), "print_runs", ["tenant", "created_at"])
    op.create_table(
        "print_items",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("type_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.String(length=40), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("letter_id", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.CheckConstraint(
            "state IN ('waiting', 'made', 'faulty', 'spoiled')", name=op.f("ck_print_items_state")
        ),
        sa.ForeignKeyConstraint(
            ["tenant", "run_id"],
            ["print_runs.tenant", "print_runs.id"],
            name=op.f("fk_print_items_print_runs"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant", "run_id", "position", name=op.f("pk_print_items")),
    )
    op.create_index(
        op.f("ix_print_items_tenant_type_id_number"), "print_items", ["tenant", "type_id", "number"]
    )
    op.create_table(
        "print_files",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("part", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "run_id"],
            ["print_runs.tenant", "print_runs.id"],
            name=op.f("fk_print_files_print_runs"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant", "run_id", "part", name=op.f("pk_print_files")),
    )


def downgrade() -> None:
    """Forget all print runs; what was printed stays printed."""
    op.drop_table("print_files")
    op.drop_table("print_items")
    op.drop_table("print_runs")
