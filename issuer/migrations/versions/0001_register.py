"""The register as it begins: holders, passes and their revisions, status lists, keys, audit chain."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create all tables."""
    op.create_table(
        "tenants",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant", name="pk_tenants"),
    )
    op.create_table(
        "audit_entries",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("sequence", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=120), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=120), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("previous_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name="fk_audit_entries_tenants"),
        sa.PrimaryKeyConstraint("tenant", "sequence", name="pk_audit_entries"),
    )
    op.create_index("ix_audit_entries_tenant_subject", "audit_entries", ["tenant", "subject"], unique=False)
    op.create_table(
        "audit_heads",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name="fk_audit_heads_tenants"),
        sa.PrimaryKeyConstraint("tenant", name="pk_audit_heads"),
    )
    op.create_table(
        "fees",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("tariff_class", sa.String(length=20), nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("term_months", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("fee_cents", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name="fk_fees_tenants"),
        sa.PrimaryKeyConstraint(
            "tenant", "tariff_class", "channel", "term_months", "valid_from", name="pk_fees"
        ),
    )
    op.create_table(
        "holders",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("ref", sa.String(length=120), nullable=False),
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
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name="fk_holders_tenants"),
        sa.PrimaryKeyConstraint("tenant", "ref", name="pk_holders"),
    )
    op.create_table(
        "sequences",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("last_value", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name="fk_sequences_tenants"),
        sa.PrimaryKeyConstraint("tenant", "name", name="pk_sequences"),
    )
    op.create_table(
        "settings",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("key", sa.String(length=60), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name="fk_settings_tenants"),
        sa.PrimaryKeyConstraint("tenant", "key", name="pk_settings"),
    )
    op.create_table(
        "signing_keys",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("kid", sa.String(length=16), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("pass_types", sa.JSON(), nullable=False),
        sa.Column("test", sa.Boolean(), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("not_after", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("activated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("spki", sa.LargeBinary(), nullable=False),
        sa.Column("certificate_pem", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name="fk_signing_keys_tenants"),
        sa.PrimaryKeyConstraint("tenant", "kid", name="pk_signing_keys"),
    )
    op.create_table(
        "status_lists",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("type_id", sa.String(length=40), nullable=False),
        sa.Column("half_year", sa.String(length=6), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.CheckConstraint("used <= capacity", name="ck_status_lists_used"),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name="fk_status_lists_tenants"),
        sa.PrimaryKeyConstraint("tenant", "number", name="pk_status_lists"),
    )
    op.create_index(
        "ix_status_lists_tenant_type_id_half_year",
        "status_lists",
        ["tenant", "type_id", "half_year"],
        unique=False,
    )
    op.create_table(
        "zones",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("code", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("tariff_class", sa.String(length=20), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=True),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name="fk_zones_tenants"),
        sa.PrimaryKeyConstraint("tenant", "code", name="pk_zones"),
    )
    op.create_table(
        "passes",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("type_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.String(length=40), nullable=False),
        sa.Column("holder_ref", sa.String(length=120), nullable=False),
        sa.Column("period_first", sa.Date(), nullable=False),
        sa.Column("period_last", sa.Date(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.Column("card_key", sa.String(length=40), nullable=True),
        sa.Column("replaces", sa.String(length=40), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("period_first <= period_last", name="ck_passes_period"),
        sa.ForeignKeyConstraint(
            ["tenant", "holder_ref"], ["holders.tenant", "holders.ref"], name="fk_passes_holders"
        ),
        sa.PrimaryKeyConstraint("tenant", "type_id", "number", name="pk_passes"),
        sa.UniqueConstraint("tenant", "type_id", "card_key", name="uq_passes_tenant_type_id_card_key"),
    )
    op.create_index("ix_passes_tenant_holder_ref", "passes", ["tenant", "holder_ref"], unique=False)
    op.create_index(
        "ix_passes_tenant_status_period_last", "passes", ["tenant", "status", "period_last"], unique=False
    )
    op.create_table(
        "revisions",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("type_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.String(length=40), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("serial", sa.String(length=32), nullable=False),
        sa.Column("attributes", sa.JSON(), nullable=False),
        sa.Column("list_number", sa.Integer(), nullable=True),
        sa.Column("list_index", sa.Integer(), nullable=True),
        sa.Column("status_value", sa.Integer(), nullable=False),
        sa.Column("kid", sa.String(length=16), nullable=True),
        sa.Column("seal", sa.Text(), nullable=True),
        sa.Column("apple_token", sa.String(length=64), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(list_number IS NULL) = (list_index IS NULL)", name="ck_revisions_list_entry"),
        sa.CheckConstraint("status_value BETWEEN 0 AND 3", name="ck_revisions_status_value"),
        sa.ForeignKeyConstraint(
            ["tenant", "list_number"],
            ["status_lists.tenant", "status_lists.number"],
            name="fk_revisions_status_lists",
        ),
        sa.ForeignKeyConstraint(
            ["tenant", "type_id", "number"],
            ["passes.tenant", "passes.type_id", "passes.number"],
            name="fk_revisions_passes",
        ),
        sa.PrimaryKeyConstraint("tenant", "type_id", "number", "n", name="pk_revisions"),
        sa.UniqueConstraint(
            "tenant", "list_number", "list_index", name="uq_revisions_tenant_list_number_list_index"
        ),
    )
    op.create_index("ix_revisions_tenant_serial", "revisions", ["tenant", "serial"])
    op.create_index(
        "uq_revisions_current",
        "revisions",
        ["tenant", "type_id", "number"],
        unique=True,
        sqlite_where=sa.text("superseded_at IS NULL"),
        postgresql_where=sa.text("superseded_at IS NULL"),
    )


def downgrade() -> None:
    """Drop all tables."""
    op.drop_index(
        "uq_revisions_current",
        table_name="revisions",
        sqlite_where=sa.text("superseded_at IS NULL"),
        postgresql_where=sa.text("superseded_at IS NULL"),
    )
    op.drop_table("revisions")
    op.drop_index("ix_passes_tenant_status_period_last", table_name="passes")
    op.drop_index("ix_passes_tenant_holder_ref", table_name="passes")
    op.drop_table("passes")
    op.drop_table("zones")
    op.drop_index("ix_status_lists_tenant_type_id_half_year", table_name="status_lists")
    op.drop_table("status_lists")
    op.drop_table("signing_keys")
    op.drop_table("settings")
    op.drop_table("sequences")
    op.drop_table("holders")
    op.drop_table("fees")
    op.drop_table("audit_heads")
    op.drop_index("ix_audit_entries_tenant_subject", table_name="audit_entries")
    op.drop_table("audit_entries")
    op.drop_table("tenants")
