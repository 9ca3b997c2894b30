"""Imports of old registers in the console: runs, what was found, what was made, what was written over."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_AT_WORK = sa.text("state IN ('checking', 'importing', 'undoing')")


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "import_runs",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=22), nullable=False),
        sa.Column("type_id", sa.String(length=40), nullable=False),
        sa.Column("file_name", sa.String(length=120), nullable=False),
        sa.Column("encoding", sa.String(length=20), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("work", sa.String(length=16), server_default="", nullable=False),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("uploaded_by", sa.String(length=120), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("confirmed_by", sa.String(length=120), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("undo_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("undo_by", sa.String(length=120), nullable=True),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("undo_revokes", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("fees_checked", sa.Boolean(), server_default="1", nullable=False),
        sa.Column("read_bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("total", sa.Integer(), server_default="0", nullable=False),
        sa.Column("fresh", sa.Integer(), server_default="0", nullable=False),
        sa.Column("same", sa.Integer(), server_default="0", nullable=False),
        sa.Column("differing", sa.Integer(), server_default="0", nullable=False),
        sa.Column("refused", sa.Integer(), server_default="0", nullable=False),
        sa.Column("done", sa.Integer(), server_default="0", nullable=False),
        sa.Column("made", sa.Integer(), server_default="0", nullable=False),
        sa.Column("removed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("revoked", sa.Integer(), server_default="0", nullable=False),
        sa.Column("kept", sa.Integer(), server_default="0", nullable=False),
        sa.Column("audit_from", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_import_runs_tenants")),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_import_runs")),
    )
    op.create_index(
        op.f("ix_import_runs_tenant_uploaded_at"), "import_runs", ["tenant", "uploaded_at"], unique=False
    )
    op.create_index(
        "uq_import_runs_at_work",
        "import_runs",
        ["tenant"],
        unique=True,
        sqlite_where=_AT_WORK,
        postgresql_where=_AT_WORK,
    )
    op.create_table(
        "import_findings",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("run_id", sa.String(length=22), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=True),
        sa.Column("line", sa.Integer(), nullable=True),
        sa.Column("field", sa.String(length=200), nullable=True),
        sa.Column("severity", sa.String(length=5), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("text", sa.String(length=40), nullable=False),
        sa.Column("package", sa.String(length=12), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "run_id"],
            ["import_runs.tenant", "import_runs.id"],
            name=op.f("fk_import_findings_import_runs"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant", "run_id", "n", name=op.f("pk_import_findings")),
    )
    op.create_index(
        op.f("ix_import_findings_tenant_run_id_code_n"),
        "import_findings",
        ["tenant", "run_id", "code", "n"],
        unique=False,
    )
    op.create_table(
        "import_passes",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("run_id", sa.String(length=22), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("type_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.String(length=40), nullable=False),
        sa.Column("outcome", sa.String(length=8), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "run_id"],
            ["import_runs.tenant", "import_runs.id"],
            name=op.f("fk_import_passes_import_runs"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant", "run_id", "row", name=op.f("pk_import_passes")),
    )
    op.create_index(
        op.f("ix_import_passes_tenant_run_id_outcome_row"),
        "import_passes",
        ["tenant", "run_id", "outcome", "row"],
        unique=False,
    )
    op.create_index(
        op.f("ix_import_passes_tenant_type_id_number"),
        "import_passes",
        ["tenant", "type_id", "number"],
        unique=False,
    )
    op.create_table(
        "import_holders",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("run_id", sa.String(length=22), nullable=False),
        sa.Column("ref", sa.String(length=120), nullable=False),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "run_id"],
            ["import_runs.tenant", "import_runs.id"],
            name=op.f("fk_import_holders_import_runs"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant", "run_id", "ref", name=op.f("pk_import_holders")),
    )


def downgrade() -> None:
    """Forget the imports: the passes they have made stay."""
    op.drop_table("import_holders")
    op.drop_table("import_passes")
    op.drop_table("import_findings")
    op.drop_table("import_runs")
