"""The rules of the permit office as rows: the street directory, and changes of rules with the day they begin.

Zones and fees as they were loaded stand in `issuer.models`; what the office changes later is a row here, so that the
state before stays readable and a change can be undone.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from issuer.models import Base, of_tenant


class StreetEntryRow(Base):
    """House numbers of a street in one postal code, and the zone they lie in.

    ``zone_code`` is empty where no resident zone is. Numbers run from ``first_number`` with ``first_suffix`` to the
    last ones; 0 to 9999 without suffixes is the whole street. The keys are the spellings that a street is found by
    (`issuer.rules.street_names`).
    """

    __tablename__ = "street_entries"
    __table_args__ = (
        of_tenant(),
        CheckConstraint("side IN ('all', 'odd', 'even')", name="side"),
        Index(None, "tenant", "street_key"),
        Index(None, "tenant", "plain_key"),
    )

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    street: Mapped[str] = mapped_column(String(100))
    street_key: Mapped[str] = mapped_column(String(200))
    plain_key: Mapped[str] = mapped_column(String(200))
    postal_code: Mapped[str] = mapped_column(String(5))
    first_number: Mapped[int]
    first_suffix: Mapped[str] = mapped_column(String(4))
    last_number: Mapped[int]
    last_suffix: Mapped[str] = mapped_column(String(4))
    side: Mapped[str] = mapped_column(String(4))
    zone_code: Mapped[str] = mapped_column(String(12))
    note: Mapped[str] = mapped_column(String(200))
    valid_from: Mapped[date | None]
    valid_until: Mapped[date | None]


class RuleChangeRow(Base):
    """A change of a zone, a fee, a permit kind or an evidence type that holds from ``valid_from`` on.

    ``subject`` is zone, fee, kind or evidence; ``target`` says which one. A change that was undone stays as a trace
    and has no effect.
    """

    __tablename__ = "rule_changes"
    __table_args__ = (of_tenant(), Index(None, "tenant", "subject", "target"))

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    subject: Mapped[str] = mapped_column(String(10))
    target: Mapped[str] = mapped_column(String(100))
    valid_from: Mapped[date]
    content: Mapped[dict[str, Any]]
    made_at: Mapped[datetime]
    undone_at: Mapped[datetime | None]
