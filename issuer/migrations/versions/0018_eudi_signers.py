"""Status lists of EUDI credentials for each document signer, and which tokens of a session have been used."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

# The key that has signed the lists up to now, and will until its certificate ends.
_SIGNER = """
    UPDATE eudi_status_lists SET kid = (
        SELECT signing_keys.kid FROM signing_keys
        WHERE signing_keys.tenant = eudi_status_lists.tenant
        AND signing_keys.purpose = 'eudi' AND signing_keys.state = 'active'
        ORDER BY signing_keys.activated_at DESC, signing_keys.kid DESC LIMIT 1
    )
"""


def upgrade() -> None:
    """Add the columns; lists that there are belong to the key that signs them now, tokens count as used."""
    op.add_column("eudi_status_lists", sa.Column("kid", sa.String(length=16), nullable=True))
    op.execute(sa.text(_SIGNER))
    op.add_column(
        "eudi_sessions", sa.Column("generation_used", sa.Integer(), server_default="-1", nullable=False)
    )
    op.execute(sa.text("UPDATE eudi_sessions SET generation_used = generation"))


def downgrade() -> None:
    """Take them away."""
    op.drop_column("eudi_sessions", "generation_used")
    op.drop_column("eudi_status_lists", "kid")
