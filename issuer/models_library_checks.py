"""What the comparison with the library's own system wants to hold back, and what it holds back."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import ForeignKeyConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from issuer.models import Base


class LibraryHoldRow(Base):
    """A card that the library's system does not let hold (`issuer.library.refresh`).

    ``standing`` is what it said, or ``unknown``; ``found_on`` the day of the run (Europe/Berlin). ``held_at`` is None
    until the run has come to its end and blocks; from then on the moment of the block, by which it is known as ours.
    """

    __tablename__ = "library_holds"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant", "type_id", "number"],
            ["passes.tenant", "passes.type_id", "passes.number"],
            ondelete="CASCADE",
        ),
    )

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    type_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    number: Mapped[str] = mapped_column(String(40), primary_key=True)
    standing: Mapped[str] = mapped_column(String(20))
    found_on: Mapped[date]
    held_at: Mapped[datetime | None]
