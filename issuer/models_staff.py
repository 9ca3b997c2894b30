"""The people of the office: their accounts, sessions and one-time links, and who has looked at whose data."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKeyConstraint, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from issuer.models import Base, of_tenant


class StaffAccountRow(Base):
    """A person of the office. Accounts are locked, never deleted: the audit trail names them by ``id``.

    ``state`` is invited, active or locked. ``login`` is the normalised log-in name. ``totp_secret`` is encrypted;
    ``totp_step`` is the newest time step whose code was used. ``oidc_subject`` is the person's ``sub`` at the
    provider, where they log in there.
    """

    __tablename__ = "staff_accounts"
    __table_args__ = (
        of_tenant(),
        Index(None, "tenant", "login", unique=True),
        Index(None, "tenant", "oidc_subject", unique=True),
    )

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    id: Mapped[str] = mapped_column(String(22), primary_key=True)
    login: Mapped[str] = mapped_column(String(254))
    display_name: Mapped[str] = mapped_column(String(120))
    roles: Mapped[list[str]]
    state: Mapped[str] = mapped_column(String(10))
    password_hash: Mapped[str | None] = mapped_column(Text)
    totp_secret: Mapped[str | None] = mapped_column(String(200))
    totp_step: Mapped[int | None] = mapped_column(BigInteger)
    oidc_subject: Mapped[str | None] = mapped_column(String(255))
    # Wrong passwords and codes since the last log-in.
    failed_attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    created_at: Mapped[datetime]
    last_login_at: Mapped[datetime | None]


class StaffLinkRow(Base):
    """A one-time link with which a person sets password and second factor; ``used_at`` once they have."""

    __tablename__ = "staff_links"
    __table_args__ = (
        of_tenant(),
        ForeignKeyConstraint(["tenant", "account_id"], ["staff_accounts.tenant", "staff_accounts.id"]),
        Index(None, "tenant", "expires_at"),
    )

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    account_id: Mapped[str] = mapped_column(String(22))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class StaffSessionRow(Base):
    """A browser in which somebody is logged in, or on the way to it.

    ``stage`` is code (the password was right, the code is awaited), enrol (a second factor is being set up) or
    open. ``handle`` names the session in lists and forms; only the cookie, whose hash is the key, opens it.
    """

    __tablename__ = "staff_sessions"
    __table_args__ = (
        of_tenant(),
        ForeignKeyConstraint(["tenant", "account_id"], ["staff_accounts.tenant", "staff_accounts.id"]),
        Index(None, "tenant", "account_id"),
        Index(None, "tenant", "expires_at"),
    )

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    session_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    handle: Mapped[str] = mapped_column(String(22))
    account_id: Mapped[str] = mapped_column(String(22))
    stage: Mapped[str] = mapped_column(String(10))
    # How they came in: password or oidc.
    method: Mapped[str] = mapped_column(String(10))
    # Browser and system in two words, for the person's own list.
    agent: Mapped[str] = mapped_column(String(60))
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    # The end of the session however busy it is.
    expires_at: Mapped[datetime]


class CaseAccessRow(Base):
    """Somebody of the office has seen data about ``subject``, a pass or case: ``kind`` is opened or listed."""

    __tablename__ = "case_accesses"
    __table_args__ = (
        of_tenant(),
        Index(None, "tenant", "at"),
        Index(None, "tenant", "subject", "at"),
        Index(None, "tenant", "account_id", "at"),
    )

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    id: Mapped[str] = mapped_column(String(22), primary_key=True)
    account_id: Mapped[str] = mapped_column(String(22))
    subject: Mapped[str] = mapped_column(String(120))
    kind: Mapped[str] = mapped_column(String(10))
    at: Mapped[datetime]
