"""Links, letter codes and visits that also lead to the cards of a holder's children."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_TABLES = ("pickup_links", "letter_codes", "visits")


def upgrade() -> None:
    """Add the columns; what there is leads to one pass each."""
    for table in _TABLES:
        op.add_column(table, sa.Column("family", sa.Boolean(), server_default="0", nullable=False))


def downgrade() -> None:
    """Take them away; what led to a family must not lead to a single pass unasked, so it is forgotten."""
    for table in _TABLES:
        op.execute(sa.text(f"DELETE FROM {table} WHERE family"))  # noqa: S608 - the names stand above
        op.drop_column(table, "family")
