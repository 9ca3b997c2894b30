"""Issuing into EUDI Wallets: offers, requests, tokens, issued credentials and their places in status lists.

Codes, tokens, nonces and transaction codes stand here as keyed hashes only (`issuer.application.hash_secret`), no
claims and no keys of holders: what a credential says is read from the register when it is made.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from issuer.models import Base, of_tenant

# An entry of a status list that says something; see `issuer.models.NOT_VALID`.
SAYS_SOMETHING = "status_value <> 0"


class IssuanceSessionRow(Base):
    """The right of one wallet to credentials of one revision of a pass, from the offer to the last refresh.

    ``configurations`` are the credential configurations it is for. ``generation`` grows with every refresh: the
    credentials of a new one take the place of those before. Once ``ended_at`` is set nothing of it works any more.
    """

    __tablename__ = "eudi_sessions"
    __table_args__ = (
        of_tenant(),
        UniqueConstraint("tenant", "offer_hash"),
        UniqueConstraint("tenant", "code_hash"),
        Index(None, "tenant", "type_id", "number"),
        Index(None, "tenant", "expires_at"),
    )

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    type_id: Mapped[str] = mapped_column(String(40))
    number: Mapped[str] = mapped_column(String(40))
    n: Mapped[int]
    configurations: Mapped[list[str]]
    # With credential_identifiers the wallet has to ask by them (OpenID4VCI 1.0, 8.2).
    by_identifier: Mapped[bool] = mapped_column(default=False, server_default="0")
    channel: Mapped[str] = mapped_column(String(10))
    # Of the offer's address, and of its pre-authorized code; both none for what a wallet has begun itself.
    offer_hash: Mapped[str | None] = mapped_column(String(64))
    code_hash: Mapped[str | None] = mapped_column(String(64))
    code_used_at: Mapped[datetime | None]
    tx_hash: Mapped[str | None] = mapped_column(String(64))
    tries_left: Mapped[int]
    # The wallet: none while nobody has used the offer; empty for one that does not say who it is.
    client_id: Mapped[str | None] = mapped_column(String(300))
    # The newest generation whose tokens have been used: up to it the wallet has got our answers.
    generation_used: Mapped[int] = mapped_column(default=-1, server_default="-1")
    # RFC 7638 thumbprints of the DPoP key and of the key in the wallet attestation.
    dpop_jkt: Mapped[str | None] = mapped_column(String(43))
    instance_jkt: Mapped[str | None] = mapped_column(String(43))
    generation: Mapped[int] = mapped_column(default=0, server_default="0")
    created_at: Mapped[datetime]
    # Of the offer first, of the last token from then on.
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class AuthorizationRequestRow(Base):
    """A pushed authorization request (RFC 9126), and the authorization code that came of it.

    ``session_id`` names the offer it goes back to, and once a holder has agreed, the session that they gave.
    """

    __tablename__ = "eudi_requests"
    __table_args__ = (
        of_tenant(),
        UniqueConstraint("tenant", "code_hash"),
        Index(None, "tenant", "expires_at"),
    )

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    request_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    client_id: Mapped[str] = mapped_column(String(300))
    wallet_name: Mapped[str] = mapped_column(String(100))
    redirect_uri: Mapped[str] = mapped_column(Text)
    state: Mapped[str | None] = mapped_column(Text)
    configurations: Mapped[list[str]]
    by_identifier: Mapped[bool]
    code_challenge: Mapped[str] = mapped_column(String(43))
    dpop_jkt: Mapped[str | None] = mapped_column(String(43))
    instance_jkt: Mapped[str | None] = mapped_column(String(43))
    session_id: Mapped[str | None] = mapped_column(String(32))
    created_at: Mapped[datetime]
    # Of the request first, of the code from then on.
    expires_at: Mapped[datetime]
    # Answered by a holder; after that the request opens no page any more.
    answered_at: Mapped[datetime | None]
    code_hash: Mapped[str | None] = mapped_column(String(64))
    code_used_at: Mapped[datetime | None]


class EudiTokenRow(Base):
    """An access token (``kind`` access) or a refresh token (refresh), which is used once."""

    __tablename__ = "eudi_tokens"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant", "session_id"], ["eudi_sessions.tenant", "eudi_sessions.id"], ondelete="CASCADE"
        ),
        CheckConstraint("kind IN ('access', 'refresh')", name="kind"),
        Index(None, "tenant", "session_id"),
        Index(None, "tenant", "expires_at"),
    )

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(8))
    session_id: Mapped[str] = mapped_column(String(32))
    generation: Mapped[int]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class EudiBatchRow(Base):
    """One answer with credentials, or the promise of one: what a notification or a deferred request names.

    ``keys`` are the public keys (JSON) of a request that waits, and of no other.
    """

    __tablename__ = "eudi_batches"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant", "session_id"], ["eudi_sessions.tenant", "eudi_sessions.id"], ondelete="CASCADE"
        ),
        UniqueConstraint("tenant", "notification_hash"),
        UniqueConstraint("tenant", "transaction_hash"),
        Index(None, "tenant", "session_id"),
    )

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    session_id: Mapped[str] = mapped_column(String(32))
    configuration: Mapped[str] = mapped_column(String(80))
    generation: Mapped[int]
    keys: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    issued_at: Mapped[datetime | None]
    notification_hash: Mapped[str | None] = mapped_column(String(64))
    transaction_hash: Mapped[str | None] = mapped_column(String(64))
    # What the wallet has told of it last.
    event: Mapped[str | None] = mapped_column(String(24))
    event_at: Mapped[datetime | None]


class EudiStatusListRow(Base):
    """Credentials of one pass type and one document signer that end in one half-year.

    ``version`` grows with every entry that changes. ``kid`` names the key under the credentials, which signs the list
    too; it is empty where no key could sign when the list was begun.
    """

    __tablename__ = "eudi_status_lists"
    __table_args__ = (
        of_tenant(),
        CheckConstraint("used <= capacity", name="used"),
        Index(None, "tenant", "type_id", "half_year"),
    )

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    type_id: Mapped[str] = mapped_column(String(40))
    half_year: Mapped[str] = mapped_column(String(6))
    capacity: Mapped[int]
    used: Mapped[int]
    version: Mapped[int] = mapped_column(default=0, server_default="0")
    kid: Mapped[str | None] = mapped_column(String(16))
    # After a restore what was issued since the backup is unknown here, after a theft what a thief has signed: neither
    # must count for ever.
    unknown_invalid: Mapped[bool] = mapped_column(default=False, server_default="0")


class EudiCredentialRow(Base):
    """An issued credential at its place in a status list: 0 valid, 1 invalid for good, 2 suspended.

    The row stays until its list has ended, since a place is never given out again; when the pass is deleted,
    ``number`` becomes empty.
    """

    __tablename__ = "eudi_credentials"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant", "list_number"], ["eudi_status_lists.tenant", "eudi_status_lists.number"]
        ),
        CheckConstraint("status_value BETWEEN 0 AND 2", name="status_value"),
        Index(None, "tenant", "type_id", "number"),
        Index(None, "tenant", "session_id"),
        Index(
            "ix_eudi_credentials_says_something",
            "tenant",
            "list_number",
            "list_index",
            "status_value",
            sqlite_where=text(SAYS_SOMETHING),
            postgresql_where=text(SAYS_SOMETHING),
        ),
    )

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    list_number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    list_index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    status_value: Mapped[int]
    type_id: Mapped[str] = mapped_column(String(40))
    number: Mapped[str] = mapped_column(String(40))
    n: Mapped[int]
    session_id: Mapped[str] = mapped_column(String(32))
    batch_id: Mapped[str] = mapped_column(String(32))
    generation: Mapped[int]
    configuration: Mapped[str] = mapped_column(String(80))
    format: Mapped[str] = mapped_column(String(20))
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    # A newer credential has taken its place, or the pass is another one by now.
    superseded_at: Mapped[datetime | None]


class EudiReplayRow(Base):
    """Something that counts once and has counted: a nonce, the jti of a proof."""

    __tablename__ = "eudi_replays"
    __table_args__ = (of_tenant(), Index(None, "tenant", "expires_at"))

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    used_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    expires_at: Mapped[datetime]


class EudiTransactionCodeRow(Base):
    """A transaction code that went out by letter; the next offer to the holder of the pass asks for it.

    The row stays when the code is used or has run out, until the pass is deleted: from then on the holder's pages
    make no offer without another one.
    """

    __tablename__ = "eudi_transaction_codes"
    __table_args__ = (of_tenant(), Index(None, "tenant", "expires_at"))

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    type_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    number: Mapped[str] = mapped_column(String(40), primary_key=True)
    code_hash: Mapped[str] = mapped_column(String(64))
    tries_left: Mapped[int]
    expires_at: Mapped[datetime]
