"""Cases: what people ask the permit office for, who they are, their evidence, and their links to come back.

Who asks stands in a table of its own, apart from what is asked for: names, addresses and evidence are deleted long
before the case is, and the audit trail never has them.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from issuer.models import Base, of_tenant

# While a case is under way nobody has a second one of its kind; drafts do not count, anybody may begin one.
UNDER_WAY = "state IN ('submitted', 'documents', 'second_look', 'awaiting_payment')"


def _of_case() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["tenant", "case_id"], ["cases.tenant", "cases.id"], ondelete="CASCADE")


class CaseRow(Base):
    """A case. ``version`` counts its steps: whoever decides says which version they have seen.

    ``facts`` is what is asked for (`issuer.cases.facts`), ``checks`` what the eligibility checks came to.
    ``pass_number`` is the pass that a change or renewal is about, and of a new permit the one that was issued.
    ``person`` is a keyed digest of who asks, by which two cases of one person are told to be so.
    """

    __tablename__ = "cases"
    __table_args__ = (
        of_tenant(),
        UniqueConstraint("tenant", "number"),
        CheckConstraint("fee_cents IS NULL OR fee_cents >= 0", name="fee"),
        Index(None, "tenant", "state", "deadline"),
        # The work list: the oldest of a state first.
        Index(None, "tenant", "state", "state_since", "id"),
        Index(None, "tenant", "type_id", "pass_number"),
        # Whatever two browsers do at the same time.
        Index(
            "uq_cases_under_way",
            "tenant",
            "type_id",
            "kind",
            "person",
            unique=True,
            sqlite_where=text(UNDER_WAY),
            postgresql_where=text(UNDER_WAY),
        ),
    )

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    id: Mapped[str] = mapped_column(String(22), primary_key=True)
    number: Mapped[str] = mapped_column(String(20))
    kind: Mapped[str] = mapped_column(String(12))
    type_id: Mapped[str] = mapped_column(String(40))
    channel: Mapped[str] = mapped_column(String(10))
    state: Mapped[str] = mapped_column(String(20))
    version: Mapped[int]
    facts: Mapped[dict[str, Any]]
    checks: Mapped[list[Any]] = mapped_column(JSON)
    fee_cents: Mapped[int | None]
    person: Mapped[str | None] = mapped_column(String(64))
    pass_number: Mapped[str | None] = mapped_column(String(40))
    exception: Mapped[str | None] = mapped_column(String(40))
    proposed_by: Mapped[str | None] = mapped_column(String(120))
    decided_by: Mapped[str | None] = mapped_column(String(120))
    decision_reason: Mapped[str | None] = mapped_column(String(40))
    created_at: Mapped[datetime]
    submitted_at: Mapped[datetime | None]
    decided_at: Mapped[datetime | None]
    state_since: Mapped[datetime]
    deadline: Mapped[date | None]


class CaseApplicantRow(Base):
    """Who asks: deleted with the period that the law of the case allows, long before the case."""

    __tablename__ = "case_applicants"
    __table_args__ = (_of_case(),)

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    case_id: Mapped[str] = mapped_column(String(22), primary_key=True)
    family_name: Mapped[str] = mapped_column(Text)
    given_name: Mapped[str] = mapped_column(Text)
    doctoral_degree: Mapped[str] = mapped_column(Text)
    street: Mapped[str] = mapped_column(Text)
    house_number: Mapped[str] = mapped_column(Text)
    postal_code: Mapped[str] = mapped_column(Text)
    city: Mapped[str] = mapped_column(Text)
    email: Mapped[str] = mapped_column(Text)
    language: Mapped[str] = mapped_column(String(8))
    search_keys: Mapped[str] = mapped_column(Text)


class CaseEvidenceRow(Base):
    """A document that proves something, encrypted; ``digest`` is that of what was stored, before encryption."""

    __tablename__ = "case_evidence"
    __table_args__ = (_of_case(), Index(None, "tenant", "case_id"))

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    id: Mapped[str] = mapped_column(String(22), primary_key=True)
    case_id: Mapped[str] = mapped_column(String(22))
    evidence_type: Mapped[str] = mapped_column(String(40))
    media_type: Mapped[str] = mapped_column(String(40))
    size: Mapped[int]
    digest: Mapped[str] = mapped_column(String(64))
    data: Mapped[bytes] = mapped_column(LargeBinary)
    added_at: Mapped[datetime]


class CaseLinkRow(Base):
    """A link that leads its holder back to a case: from a mail, or in the browser that began it."""

    __tablename__ = "case_links"
    __table_args__ = (_of_case(), Index(None, "tenant", "expires_at"))

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    case_id: Mapped[str] = mapped_column(String(22))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class CaseVisitRow(Base):
    """One browser's visit to one case."""

    __tablename__ = "case_visits"
    __table_args__ = (_of_case(), Index(None, "tenant", "expires_at"))

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    visit_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    case_id: Mapped[str] = mapped_column(String(22))
    started_at: Mapped[datetime]
    expires_at: Mapped[datetime]
