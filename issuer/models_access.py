"""Who may come in: API clients, holders with links and codes, verifier devices; and what they asked for.

Secrets are never stored, only their keyed hashes (`Application.hash_secret`): nobody can use what a copy of the
database shows.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import ForeignKeyConstraint, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from issuer.models import Base, of_tenant


class ApiClientRow(Base):
    """A system of the city that uses the API, by OAuth client credentials or by an API key.

    While a secret is being changed, the one before is accepted until ``previous_until``.
    """

    __tablename__ = "api_clients"
    __table_args__ = (of_tenant(),)

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(120))
    kind: Mapped[str] = mapped_column(String(10))
    secret_hash: Mapped[str] = mapped_column(String(64))
    previous_hash: Mapped[str | None] = mapped_column(String(64))
    previous_until: Mapped[datetime | None]
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_on: Mapped[date | None]


class AccessTokenRow(Base):
    """An OAuth access token."""

    __tablename__ = "access_tokens"
    __table_args__ = (of_tenant(), Index(None, "tenant", "expires_at"))

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    client_id: Mapped[str] = mapped_column(String(32))
    scopes: Mapped[list[str]]
    expires_at: Mapped[datetime]


class IdempotencyRow(Base):
    """A request that was answered, so that its repetition gets the same answer and changes nothing."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (of_tenant(), Index(None, "tenant", "created_at"))

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    client_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    key: Mapped[str] = mapped_column(String(80), primary_key=True)
    request_hash: Mapped[str] = mapped_column(String(64))
    status: Mapped[int]
    headers: Mapped[dict[str, Any]]
    body: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]


class JobRow(Base):
    """A bulk job: ``state`` is queued, running, done, failed or cancelled; ``report`` holds its counts."""

    __tablename__ = "jobs"
    __table_args__ = (of_tenant(), Index(None, "tenant", "created_at", "id"))

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    actor: Mapped[str] = mapped_column(String(120))
    state: Mapped[str] = mapped_column(String(10))
    total: Mapped[int] = mapped_column(default=0, server_default="0")
    done: Mapped[int] = mapped_column(default=0, server_default="0")
    refused: Mapped[int] = mapped_column(default=0, server_default="0")
    params: Mapped[dict[str, Any]]
    # Megabytes: read only by whoever asks for it.
    input: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    report: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class JobFindingRow(Base):
    """One fault or warning that a job has found, in the order of ``n``; filled into a sentence when it is read."""

    __tablename__ = "job_findings"
    __table_args__ = (
        ForeignKeyConstraint(["tenant", "job_id"], ["jobs.tenant", "jobs.id"], ondelete="CASCADE"),
    )

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    job_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    row: Mapped[int | None]
    line: Mapped[int | None]
    field: Mapped[str | None] = mapped_column(String(200))
    severity: Mapped[str] = mapped_column(String(5))
    code: Mapped[str] = mapped_column(String(40))
    text: Mapped[str] = mapped_column(String(40))
    package: Mapped[str] = mapped_column(String(12))
    params: Mapped[dict[str, Any]]


class PickupLinkRow(Base):
    """A one-time link to a pass; no GET uses it up, the POST that does sets ``used_at``.

    With ``family``, as for codes and visits, it also leads to the cards of the children whose guardian its holder is.
    """

    __tablename__ = "pickup_links"
    __table_args__ = (of_tenant(), Index(None, "tenant", "expires_at"))

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    type_id: Mapped[str] = mapped_column(String(40))
    number: Mapped[str] = mapped_column(String(40))
    channel: Mapped[str] = mapped_column(String(10))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    family: Mapped[bool] = mapped_column(default=False, server_default="0")


class LetterCodeRow(Base):
    """A code from a letter, asked together with the pass's last day."""

    __tablename__ = "letter_codes"
    __table_args__ = (of_tenant(), Index(None, "tenant", "expires_at"))

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    code_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    type_id: Mapped[str] = mapped_column(String(40))
    number: Mapped[str] = mapped_column(String(40))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    tries_left: Mapped[int]
    family: Mapped[bool] = mapped_column(default=False, server_default="0")


class VisitRow(Base):
    """Half an hour in which a browser may fetch every carrier of one pass."""

    __tablename__ = "visits"
    __table_args__ = (of_tenant(), Index(None, "tenant", "expires_at"))

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    visit_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    type_id: Mapped[str] = mapped_column(String(40))
    number: Mapped[str] = mapped_column(String(40))
    channel: Mapped[str] = mapped_column(String(10))
    started_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    family: Mapped[bool] = mapped_column(default=False, server_default="0")


class VerifierDeviceRow(Base):
    """A device of a warden or librarian: one that shows a token, or one of the verifier's app, which signs.

    A device of the app begins as an invitation: ``invitation_hash`` and ``expires_at`` are set. With its
    ``public_key`` (base64url of the point) it is pending, and confirmed once nothing of both is left. Its
    ``secret_hash`` is empty, which no hash equals.
    """

    __tablename__ = "verifier_devices"
    __table_args__ = (of_tenant(), Index(None, "tenant", "invitation_hash", unique=True))

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(120))
    role: Mapped[str] = mapped_column(String(20))
    zones: Mapped[list[str]]
    secret_hash: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(Text)
    last_sync_at: Mapped[datetime | None]
    locked_at: Mapped[datetime | None]
    public_key: Mapped[str | None] = mapped_column(String(87))
    invitation_hash: Mapped[str | None] = mapped_column(String(64))
    # Of the digits that it shows while it waits.
    check_hash: Mapped[str | None] = mapped_column(String(64))
    # The API client or the account of the office that may confirm it; none for the command line.
    invited_by: Mapped[str | None] = mapped_column(String(32))
    # Not confirmed until then, it is as if it had never been.
    expires_at: Mapped[datetime | None]
    tries_left: Mapped[int] = mapped_column(default=0, server_default="0")
    # Until when a plate list that it has fetched can be read on it.
    lease_until: Mapped[datetime | None]


class DeviceNonceRow(Base):
    """A nonce of a signed request that must not be taken twice."""

    __tablename__ = "device_nonces"
    __table_args__ = (of_tenant(), Index(None, "tenant", "expires_at"))

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    device_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    nonce: Mapped[str] = mapped_column(String(22), primary_key=True)
    expires_at: Mapped[datetime]
