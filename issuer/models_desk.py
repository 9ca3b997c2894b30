"""Letters of cases whose words a clerk has chosen: the text blocks as they were edited, kept with the case."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKeyConstraint, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from issuer.models import Base


class CaseLetterRow(Base):
    """What a letter about a case says: ``kind`` documents or refusal, ``codes`` what was asked for or the reason.

    ``body`` may name a person: it goes when the applicant's data go. ``made_by`` is the audit trail's actor.
    """

    __tablename__ = "case_letters"
    __table_args__ = (
        ForeignKeyConstraint(["tenant", "case_id"], ["cases.tenant", "cases.id"], ondelete="CASCADE"),
        Index(None, "tenant", "case_id", "made_at"),
    )

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    id: Mapped[str] = mapped_column(String(22), primary_key=True)
    case_id: Mapped[str] = mapped_column(String(22))
    kind: Mapped[str] = mapped_column(String(20))
    codes: Mapped[list[Any]] = mapped_column(JSON)
    body: Mapped[str] = mapped_column(Text)
    made_by: Mapped[str] = mapped_column(String(120))
    made_at: Mapped[datetime]
