"""Figures that are published: what was counted on the first of a month, as it was told and as it stays.

A count that is not told is not stored either: what nobody may compute, no copy of the database gives away.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from issuer.models import Base, of_tenant


class OpenDataMonthRow(Base):
    """A month that was counted on its first day. ``total`` is NULL where it would give a hidden count away.

    ``threshold`` is the least count that could be told when the month was stored.
    """

    __tablename__ = "open_data_months"
    __table_args__ = (
        of_tenant(),
        CheckConstraint("threshold >= 3", name="threshold"),
        CheckConstraint("total IS NULL OR total >= 0", name="total"),
    )

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    month: Mapped[date] = mapped_column(primary_key=True)
    threshold: Mapped[int]
    total: Mapped[int | None]
    stored_at: Mapped[datetime]


class OpenDataCountRow(Base):
    """The valid permits of a zone on the first of a month; NULL where the count is not told."""

    __tablename__ = "open_data_counts"
    __table_args__ = (
        ForeignKeyConstraint(["tenant", "month"], ["open_data_months.tenant", "open_data_months.month"]),
        CheckConstraint("permits IS NULL OR permits >= 0", name="permits"),
    )

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    month: Mapped[date] = mapped_column(primary_key=True)
    zone_code: Mapped[str] = mapped_column(String(12), primary_key=True)
    zone_name: Mapped[str] = mapped_column(String(200))
    permits: Mapped[int | None]
