"""Devices with keys of their own: invitations, confirmation, leases, nonces of their requests."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, and what a device with a key has more than one with a token."""
    op.add_column("verifier_devices", sa.Column("public_key", sa.LargeBinary(), nullable=True))
    op.add_column("verifier_devices", sa.Column("check_hash", sa.String(length=64), nullable=True))
    op.add_column("verifier_devices", sa.Column("check_tries_left", sa.Integer(), nullable=True))
    op.add_column("verifier_devices", sa.Column("pending_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("verifier_devices", sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "device_invitations",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("zones", sa.JSON(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_device_invitations_tenants")),
        sa.PrimaryKeyConstraint("tenant", "code_hash", name=op.f("pk_device_invitations")),
    )
    op.create_table(
        "device_nonces",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("device_id", sa.String(length=32), nullable=False),
        sa.Column("nonce", sa.String(length=22), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_device_nonces_tenants")),
        sa.PrimaryKeyConstraint("tenant", "device_id", "nonce", name=op.f("pk_device_nonces")),
    )


def downgrade() -> None:
    """Drop them; devices with keys go, since nothing older can recognise them."""
    op.drop_table("device_nonces")
    op.drop_table("device_invitations")
    op.execute(sa.text("DELETE FROM verifier_devices WHERE public_key IS NOT NULL"))
    for name in ("lease_until", "pending_until", "check_tries_left", "check_hash", "public_key"):
        op.drop_column("verifier_devices", name)
