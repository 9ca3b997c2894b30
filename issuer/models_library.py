"""What the register knows of a library's members besides their cards, and which card numbers are spent."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from issuer.models import Base, of_tenant


class BlockReason(StrEnum):
    """Why a library holds a card back. It stands in the register alone, on no pass and in no seal."""

    LOST = "lost"
    FEES = "fees"
    RETURNED = "returned"
    OTHER = "other"


class MemberRow(Base):
    """A member of a library; the category is an attribute of the pass, the name that of its holder.

    ``birth_date`` is there only while it decides something (`issuer.library.membership.keeps_birth_date`).
    ``guardian_number`` is another member's pass number; it may be gone. ``consent_by`` is who noted the consent.
    ``checked_at`` is when the library's own system last answered.
    """

    __tablename__ = "library_members"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant", "type_id", "number"],
            ["passes.tenant", "passes.type_id", "passes.number"],
            ondelete="CASCADE",
        ),
        CheckConstraint("block_reason IN ('lost', 'fees', 'returned', 'other')", name="block_reason"),
        CheckConstraint("open_fees_cents >= 0", name="open_fees"),
        Index(None, "tenant", "type_id", "guardian_number"),
        Index(None, "tenant", "birth_date"),
    )

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    type_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    number: Mapped[str] = mapped_column(String(40), primary_key=True)
    birth_date: Mapped[date | None]
    guardian_number: Mapped[str | None] = mapped_column(String(40))
    consent_name: Mapped[str | None] = mapped_column(Text)
    consent_at: Mapped[datetime | None]
    consent_by: Mapped[str | None] = mapped_column(String(120))
    block_reason: Mapped[str | None] = mapped_column(String(10))
    blocked_at: Mapped[datetime | None]
    open_fees_cents: Mapped[int | None]
    checked_at: Mapped[datetime | None]


class ReplacedCardRow(Base):
    """A card number that was replaced: it is never given out again, and never answers valid.

    ``number`` is the pass that had it; once that is deleted, nobody's.
    """

    __tablename__ = "replaced_cards"
    __table_args__ = (of_tenant(), Index(None, "tenant", "type_id", "number"))

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    type_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    card_key: Mapped[str] = mapped_column(String(40), primary_key=True)
    number: Mapped[str | None] = mapped_column(String(40))
    replaced_at: Mapped[datetime]


class MembershipFeeRow(Base):
    """What a year's membership costs in a category from a day on, in cents."""

    __tablename__ = "membership_fees"
    __table_args__ = (of_tenant(), CheckConstraint("fee_cents >= 0", name="fee"))

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    type_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    category: Mapped[str] = mapped_column(String(40), primary_key=True)
    valid_from: Mapped[date] = mapped_column(primary_key=True)
    fee_cents: Mapped[int]
