"""The service: passes in wallets, phones, mails, webhooks, published lists; API clients, links, devices."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables of the service, and note every pass of the register as known to wallets."""
    op.create_table(
        "access_tokens",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("client_id", sa.String(length=32), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_access_tokens_tenants")),
        sa.PrimaryKeyConstraint("tenant", "token_hash", name=op.f("pk_access_tokens")),
    )
    op.create_index(
        op.f("ix_access_tokens_tenant_expires_at"), "access_tokens", ["tenant", "expires_at"], unique=False
    )
    op.create_table(
        "api_clients",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("previous_hash", sa.String(length=64), nullable=True),
        sa.Column("previous_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_on", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_api_clients_tenants")),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_api_clients")),
    )
    op.create_table(
        "apple_devices",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("device_id", sa.String(length=100), nullable=False),
        sa.Column("push_token", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_apple_devices_tenants")),
        sa.PrimaryKeyConstraint("tenant", "device_id", name=op.f("pk_apple_devices")),
    )
    op.create_table(
        "apple_logs",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_apple_logs_tenants")),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_apple_logs")),
    )
    op.create_index(op.f("ix_apple_logs_tenant_at"), "apple_logs", ["tenant", "at"], unique=False)
    op.create_table(
        "google_messages",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("serial", sa.String(length=32), nullable=False),
        sa.Column("message_id", sa.String(length=64), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_google_messages_tenants")),
        sa.PrimaryKeyConstraint("tenant", "serial", "message_id", name=op.f("pk_google_messages")),
    )
    op.create_table(
        "google_nonces",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("nonce_hash", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_google_nonces_tenants")),
        sa.PrimaryKeyConstraint("tenant", "nonce_hash", name=op.f("pk_google_nonces")),
    )
    op.create_index(
        op.f("ix_google_nonces_tenant_expires_at"), "google_nonces", ["tenant", "expires_at"], unique=False
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("client_id", sa.String(length=32), nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("request_hash", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("headers", sa.JSON(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_idempotency_keys_tenants")),
        sa.PrimaryKeyConstraint("tenant", "client_id", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(
        op.f("ix_idempotency_keys_tenant_created_at"),
        "idempotency_keys",
        ["tenant", "created_at"],
        unique=False,
    )
    op.create_table(
        "jobs",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("actor", sa.String(length=120), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("total", sa.Integer(), server_default="0", nullable=False),
        sa.Column("done", sa.Integer(), server_default="0", nullable=False),
        sa.Column("refused", sa.Integer(), server_default="0", nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("input", sa.LargeBinary(), nullable=True),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_jobs_tenants")),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_jobs")),
    )
    op.create_index(
        op.f("ix_jobs_tenant_created_at_id"), "jobs", ["tenant", "created_at", "id"], unique=False
    )
    op.create_table(
        "job_findings",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("row", sa.Integer(), nullable=True),
        sa.Column("line", sa.Integer(), nullable=True),
        sa.Column("field", sa.String(length=200), nullable=True),
        sa.Column("severity", sa.String(length=5), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("text", sa.String(length=40), nullable=False),
        sa.Column("package", sa.String(length=12), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "job_id"],
            ["jobs.tenant", "jobs.id"],
            name=op.f("fk_job_findings_jobs"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant", "job_id", "n", name=op.f("pk_job_findings")),
    )
    op.create_table(
        "letter_codes",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("type_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries_left", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_letter_codes_tenants")),
        sa.PrimaryKeyConstraint("tenant", "code_hash", name=op.f("pk_letter_codes")),
    )
    op.create_index(
        op.f("ix_letter_codes_tenant_expires_at"), "letter_codes", ["tenant", "expires_at"], unique=False
    )
    op.create_table(
        "letters",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("type_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.String(length=40), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("printed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_letters_tenants")),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_letters")),
    )
    op.create_index(op.f("ix_letters_tenant_printed_at"), "letters", ["tenant", "printed_at"], unique=False)
    op.create_table(
        "mails",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("type_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.String(length=40), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failure", sa.String(length=200), nullable=True),
        sa.Column("sending_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_mails_tenants")),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_mails")),
    )
    op.create_index(
        op.f("ix_mails_tenant_type_id_number"), "mails", ["tenant", "type_id", "number"], unique=False
    )
    op.create_table(
        "nightly_runs",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_nightly_runs_tenants")),
        sa.PrimaryKeyConstraint("tenant", "day", "name", name=op.f("pk_nightly_runs")),
    )
    op.create_table(
        "pickup_links",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("type_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.String(length=40), nullable=False),
        sa.Column("channel", sa.String(length=10), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_pickup_links_tenants")),
        sa.PrimaryKeyConstraint("tenant", "token_hash", name=op.f("pk_pickup_links")),
    )
    op.create_index(
        op.f("ix_pickup_links_tenant_expires_at"), "pickup_links", ["tenant", "expires_at"], unique=False
    )
    op.create_table(
        "publications",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("audit_sequence", sa.Integer(), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("holder", sa.String(length=80), server_default="", nullable=False),
        sa.Column("held_until", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_publications_tenants")),
        sa.PrimaryKeyConstraint("tenant", name=op.f("pk_publications")),
    )
    op.create_table(
        "published_lists",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("etag", sa.String(length=64), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_published_lists_tenants")),
        sa.PrimaryKeyConstraint("tenant", "name", name=op.f("pk_published_lists")),
    )
    op.create_table(
        "rate_slots",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("next_free_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_rate_slots_tenants")),
        sa.PrimaryKeyConstraint("tenant", "name", name=op.f("pk_rate_slots")),
    )
    op.create_table(
        "reminders",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("type_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.String(length=40), nullable=False),
        sa.Column("period_last", sa.Date(), nullable=False),
        sa.Column("days", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("channel", sa.String(length=10), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_reminders_tenants")),
        sa.PrimaryKeyConstraint(
            "tenant", "type_id", "number", "period_last", "days", name=op.f("pk_reminders")
        ),
    )
    op.create_table(
        "verifier_devices",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("zones", sa.JSON(), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("last_sync_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("locked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_verifier_devices_tenants")),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_verifier_devices")),
    )
    op.create_table(
        "visits",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("visit_hash", sa.String(length=64), nullable=False),
        sa.Column("type_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.String(length=40), nullable=False),
        sa.Column("channel", sa.String(length=10), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_visits_tenants")),
        sa.PrimaryKeyConstraint("tenant", "visit_hash", name=op.f("pk_visits")),
    )
    op.create_index(op.f("ix_visits_tenant_expires_at"), "visits", ["tenant", "expires_at"], unique=False)
    op.create_table(
        "wallet_passes",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("serial", sa.String(length=32), nullable=False),
        sa.Column("type_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.String(length=40), nullable=False),
        sa.Column("update_tag", sa.BigInteger(), nullable=False),
        sa.Column("modified_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("google_tag", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("google_wanted", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("google_state", sa.String(length=12), server_default="", nullable=False),
        sa.Column("google_failure", sa.String(length=80), nullable=True),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_wallet_passes_tenants")),
        sa.PrimaryKeyConstraint("tenant", "serial", name=op.f("pk_wallet_passes")),
    )
    op.create_index(
        op.f("ix_wallet_passes_tenant_type_id_number"),
        "wallet_passes",
        ["tenant", "type_id", "number"],
        unique=False,
    )
    op.create_index(
        op.f("ix_wallet_passes_tenant_update_tag"), "wallet_passes", ["tenant", "update_tag"], unique=False
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("endpoint_id", sa.String(length=32), nullable=False),
        sa.Column("event", sa.String(length=40), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_status", sa.String(length=40), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_webhook_deliveries_tenants")),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_webhook_deliveries")),
    )
    op.create_index(
        op.f("ix_webhook_deliveries_tenant_endpoint_id_created_at"),
        "webhook_deliveries",
        ["tenant", "endpoint_id", "created_at"],
        unique=False,
    )
    op.create_table(
        "webhook_endpoints",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("url", sa.String(length=500), nullable=False),
        sa.Column("events", sa.JSON(), nullable=False),
        sa.Column("secret_generation", sa.Integer(), server_default="1", nullable=False),
        sa.Column("rotated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_webhook_endpoints_tenants")),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_webhook_endpoints")),
    )
    op.create_table(
        "withdrawn_places",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("list_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("list_index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("status_value", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("status_value BETWEEN 1 AND 3", name=op.f("ck_withdrawn_places_status_value")),
        sa.ForeignKeyConstraint(
            ["tenant", "list_number"],
            ["status_lists.tenant", "status_lists.number"],
            name=op.f("fk_withdrawn_places_status_lists"),
        ),
        sa.PrimaryKeyConstraint("tenant", "list_number", "list_index", name=op.f("pk_withdrawn_places")),
    )
    op.create_table(
        "workers",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("executor_id", sa.String(length=80), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_workers_tenants")),
        sa.PrimaryKeyConstraint("tenant", "executor_id", name=op.f("pk_workers")),
    )
    op.create_table(
        "apple_registrations",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("device_id", sa.String(length=100), nullable=False),
        sa.Column("serial", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("registered_tag", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("pushed_tag", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "device_id"],
            ["apple_devices.tenant", "apple_devices.device_id"],
            name=op.f("fk_apple_registrations_apple_devices"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant", "device_id", "serial", name=op.f("pk_apple_registrations")),
    )
    op.create_index(
        op.f("ix_apple_registrations_tenant_serial"),
        "apple_registrations",
        ["tenant", "serial"],
        unique=False,
    )

    op.create_table(
        "pass_terms",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("value", sa.String(length=40), nullable=False),
        sa.Column("type_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "type_id", "number"],
            ["passes.tenant", "passes.type_id", "passes.number"],
            name=op.f("fk_pass_terms_passes"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant", "kind", "value", "type_id", "number", name=op.f("pk_pass_terms")),
    )
    op.create_index(
        op.f("ix_pass_terms_tenant_type_id_number"),
        "pass_terms",
        ["tenant", "type_id", "number"],
        unique=False,
    )
    op.create_index(
        op.f("ix_revisions_tenant_superseded_at"), "revisions", ["tenant", "superseded_at"], unique=False
    )
    op.create_index(
        "ix_revisions_not_valid",
        "revisions",
        ["tenant", "list_number", "list_index", "status_value"],
        unique=False,
        sqlite_where=sa.text("list_number IS NOT NULL AND status_value <> 0"),
        postgresql_where=sa.text("list_number IS NOT NULL AND status_value <> 0"),
    )

    op.add_column(
        "signing_keys",
        sa.Column("provider_key_id", sa.String(length=20), server_default="", nullable=False),
    )

    _note_passes()
    _note_terms()


def downgrade() -> None:
    """Drop what the service knows: phones have to register again."""
    op.drop_column("signing_keys", "provider_key_id")
    op.drop_index(op.f("ix_revisions_tenant_superseded_at"), table_name="revisions")
    op.drop_index("ix_revisions_not_valid", table_name="revisions")
    op.drop_index(op.f("ix_pass_terms_tenant_type_id_number"), table_name="pass_terms")
    op.drop_table("pass_terms")
    op.drop_index(op.f("ix_apple_registrations_tenant_serial"), table_name="apple_registrations")
    op.drop_table("apple_registrations")
    op.drop_table("workers")
    op.drop_table("withdrawn_places")
    op.drop_table("webhook_endpoints")
    op.drop_index(
        op.f("ix_webhook_deliveries_tenant_endpoint_id_created_at"), table_name="webhook_deliveries"
    )
    op.drop_table("webhook_deliveries")
    op.drop_index(op.f("ix_wallet_passes_tenant_update_tag"), table_name="wallet_passes")
    op.drop_index(op.f("ix_wallet_passes_tenant_type_id_number"), table_name="wallet_passes")
    op.drop_table("wallet_passes")
    op.drop_index(op.f("ix_visits_tenant_expires_at"), table_name="visits")
    op.drop_table("visits")
    op.drop_table("verifier_devices")
    op.drop_table("reminders")
    op.drop_table("rate_slots")
    op.drop_table("published_lists")
    op.drop_table("publications")
    op.drop_index(op.f("ix_pickup_links_tenant_expires_at"), table_name="pickup_links")
    op.drop_table("pickup_links")
    op.drop_table("nightly_runs")
    op.drop_index(op.f("ix_mails_tenant_type_id_number"), table_name="mails")
    op.drop_table("mails")
    op.drop_index(op.f("ix_letters_tenant_printed_at"), table_name="letters")
    op.drop_table("letters")
    op.drop_index(op.f("ix_letter_codes_tenant_expires_at"), table_name="letter_codes")
    op.drop_table("letter_codes")
    op.drop_table("job_findings")
    op.drop_index(op.f("ix_jobs_tenant_created_at_id"), table_name="jobs")
    op.drop_table("jobs")
    op.drop_index(op.f("ix_idempotency_keys_tenant_created_at"), table_name="idempotency_keys")
    op.drop_table("idempotency_keys")
    op.drop_index(op.f("ix_google_nonces_tenant_expires_at"), table_name="google_nonces")
    op.drop_table("google_nonces")
    op.drop_table("google_messages")
    op.drop_index(op.f("ix_apple_logs_tenant_at"), table_name="apple_logs")
    op.drop_table("apple_logs")
    op.drop_table("apple_devices")
    op.drop_table("api_clients")
    op.drop_index(op.f("ix_access_tokens_tenant_expires_at"), table_name="access_tokens")
    op.drop_table("access_tokens")


def _note_passes() -> None:
    # Tag 1 is older than every tag that is given out later, so that no phone misses a change.
    op.execute(
        sa.text(
            "INSERT INTO wallet_passes (tenant, serial, type_id, number, update_tag, modified_at)"
            " SELECT tenant, serial, type_id, number, 1, MAX(issued_at)"
            " FROM revisions GROUP BY tenant, serial, type_id, number"
        )
    )


def _note_terms() -> None:
    """Plates and zones of the current revisions; written out here, because the code of a later day may differ."""
    if context.is_offline_mode():
        op.execute("-- here the program fills pass_terms from the revisions: no SQL can say that")
        return
    connection = op.get_bind()
    revisions = sa.table(
        "revisions",
        *(sa.column(name) for name in ("tenant", "type_id", "number", "superseded_at")),
        sa.column("attributes", sa.JSON()),
    )
    columns = ("tenant", "kind", "value", "type_id", "number")
    terms = sa.table("pass_terms", *(sa.column(name) for name in columns))
    found = connection.execute(
        sa.select(revisions.c.tenant, revisions.c.type_id, revisions.c.number, revisions.c.attributes).where(
            revisions.c.superseded_at.is_(None)
        )
    )
    while rows := found.fetchmany(1000):
        known: set[tuple[str, ...]] = set()
        for tenant, type_id, number, attributes in rows:
            known.update((tenant, "plate", key, type_id, number) for key, _ in attributes.get("plates") or ())
            if zone := attributes.get("zone"):
                known.add((tenant, "zone", zone[0], type_id, number))
        if known:
            connection.execute(
                sa.insert(terms), [dict(zip(columns, one, strict=True)) for one in sorted(known)]
            )
