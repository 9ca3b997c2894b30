"""What people write about barriers in these pages."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from issuer.models import Base, of_tenant


class AccessibilityFeedbackRow(Base):
    """A message about a barrier; ``reply_to`` is what its writer left for an answer, if anything.

    ``done_at`` once somebody of the office has taken care of it.
    """

    __tablename__ = "accessibility_feedback"
    __table_args__ = (of_tenant(), Index(None, "tenant", "created_at"))

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    id: Mapped[str] = mapped_column(String(22), primary_key=True)
    message: Mapped[str] = mapped_column(Text)
    reply_to: Mapped[str] = mapped_column(String(254))
    created_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
