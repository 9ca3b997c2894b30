"""The verifier's app: devices that sign with a key of their own, invitations, leases of the plate list."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_DEVICES = "verifier_devices"
_COLUMNS = (
    "lease_until",
    "tries_left",
    "expires_at",
    "invited_by",
    "check_hash",
    "invitation_hash",
    "public_key",
)
_INVITATION = "ix_verifier_devices_tenant_invitation_hash"


def upgrade() -> None:
    """Add what a device of the app has beside one with a token; devices with a token stay as they are."""
    for column in (
        sa.Column("public_key", sa.String(length=87), nullable=True),
        sa.Column("invitation_hash", sa.String(length=64), nullable=True),
        sa.Column("check_hash", sa.String(length=64), nullable=True),
        sa.Column("invited_by", sa.String(length=32), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tries_left", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
    ):
        op.add_column(_DEVICES, column)
    op.create_index(_INVITATION, _DEVICES, ["tenant", "invitation_hash"], unique=True)
    op.create_table(
        "device_nonces",
        sa.Column("tenant", sa.String(length=40), nullable=False),
        sa.Column("device_id", sa.String(length=32), nullable=False),
        sa.Column("nonce", sa.String(length=22), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.tenant"], name=op.f("fk_device_nonces_tenants")),
        sa.PrimaryKeyConstraint("tenant", "device_id", "nonce", name=op.f("pk_device_nonces")),
    )
    op.create_index(
        op.f("ix_device_nonces_tenant_expires_at"), "device_nonces", ["tenant", "expires_at"], unique=False
    )


def downgrade() -> None:
    """Forget the app's devices, which have no token that the older version could know them by."""
    op.drop_index(op.f("ix_device_nonces_tenant_expires_at"), table_name="device_nonces")
    op.drop_table("device_nonces")
    op.execute(sa.text("DELETE FROM verifier_devices WHERE secret_hash = ''"))
    op.drop_index(_INVITATION, table_name=_DEVICES)
    for name in _COLUMNS:
        op.drop_column(_DEVICES, name)
