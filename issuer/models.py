"""The register's tables. Every row belongs to a tenant, and every key starts with it.

Days are Europe/Berlin dates, times are stored in UTC, money in cents. No row is reused for something
else: revisions keep their place in the status list until the last seal that names it has expired.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Date,
    DateTime,
    Dialect,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

# A fee that always held starts here; a date that may be NULL could not be part of a key.
ALWAYS = date(1, 1, 1)
# An entry of a status list that says something; a database uses an index with this condition for a query with it.
NOT_VALID = "list_number IS NOT NULL AND status_value <> 0"


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime, stored in UTC. A naive one is a fault of ours: ValueError."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the database UTC; SQLite keeps no zone, so it gets none."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone must not enter the register")
        in_utc = value.astimezone(UTC)
        return in_utc.replace(tzinfo=None) if dialect.name == "sqlite" else in_utc

    def process_result_value(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002 - the base class wants it
    ) -> datetime | None:
        """Give the caller an aware datetime in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """All tables, with constraint names that are the same on every database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - read by SQLAlchemy
        datetime: UtcDateTime,
        date: Date,
        dict[str, Any]: JSON,
        list[str]: JSON,
    }


def of_tenant() -> ForeignKeyConstraint:
    """Every table hangs on its tenant."""
    return ForeignKeyConstraint(["tenant"], ["tenants.tenant"])


class TenantRow(Base):
    """A city or office with its own register, keys and settings."""

    __tablename__ = "tenants"

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    created_at: Mapped[datetime]


class SettingRow(Base):
    """One setting of a tenant, as JSON text."""

    __tablename__ = "settings"
    __table_args__ = (of_tenant(),)

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    key: Mapped[str] = mapped_column(String(60), primary_key=True)
    value: Mapped[str] = mapped_column(Text)


class ZoneRow(Base):
    """A parking zone; zones are merged and renamed, so each has days on which it holds.

    From the day after ``valid_until`` on, its area belongs to the zone ``merged_into``, if it names one.
    """

    __tablename__ = "zones"
    __table_args__ = (of_tenant(),)

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    code: Mapped[str] = mapped_column(String(12), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    tariff_class: Mapped[str] = mapped_column(String(20))
    valid_from: Mapped[date | None]
    valid_until: Mapped[date | None]
    merged_into: Mapped[str | None] = mapped_column(String(12))


class FeeRow(Base):
    """What a term costs from a day on; the tariff class is empty where the fee is the same in all."""

    __tablename__ = "fees"
    __table_args__ = (of_tenant(),)

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    tariff_class: Mapped[str] = mapped_column(String(20), primary_key=True)
    channel: Mapped[str] = mapped_column(String(20), primary_key=True)
    term_months: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    valid_from: Mapped[date] = mapped_column(primary_key=True)
    fee_cents: Mapped[int]


class HolderRow(Base):
    """The person or institution that passes are issued to: the only table with names and addresses."""

    __tablename__ = "holders"
    __table_args__ = (of_tenant(),)

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    ref: Mapped[str] = mapped_column(String(120), primary_key=True)
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
    updated_at: Mapped[datetime]


class PassRow(Base):
    """An issued right. ``record`` is what an import compares with: the register's columns, normalised."""

    __tablename__ = "passes"
    __table_args__ = (
        ForeignKeyConstraint(["tenant", "holder_ref"], ["holders.tenant", "holders.ref"]),
        UniqueConstraint("tenant", "type_id", "card_key"),
        CheckConstraint("period_first <= period_last", name="period"),
        Index(None, "tenant", "holder_ref"),
        Index(None, "tenant", "status", "period_last"),
    )

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    type_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    number: Mapped[str] = mapped_column(String(40), primary_key=True)
    holder_ref: Mapped[str] = mapped_column(String(120))
    period_first: Mapped[date]
    period_last: Mapped[date]
    status: Mapped[str] = mapped_column(String(20))
    record: Mapped[dict[str, Any]]
    # The card number, where the type has one: two cards never share it.
    card_key: Mapped[str | None] = mapped_column(String(40))
    replaces: Mapped[str | None] = mapped_column(String(40))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class RevisionRow(Base):
    """One version of what a pass says. ``status_value`` is its entry in the status list: 0 to 3."""

    __tablename__ = "revisions"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant", "type_id", "number"], ["passes.tenant", "passes.type_id", "passes.number"]
        ),
        ForeignKeyConstraint(["tenant", "list_number"], ["status_lists.tenant", "status_lists.number"]),
        UniqueConstraint("tenant", "list_number", "list_index"),
        CheckConstraint("status_value BETWEEN 0 AND 3", name="status_value"),
        CheckConstraint("(list_number IS NULL) = (list_index IS NULL)", name="list_entry"),
        # A pass has one current revision, whatever two processes do at the same time.
        Index(
            "uq_revisions_current",
            "tenant",
            "type_id",
            "number",
            unique=True,
            sqlite_where=text("superseded_at IS NULL"),
            postgresql_where=text("superseded_at IS NULL"),
        ),
        # What the status lists have to say: a few of all entries.
        Index(
            "ix_revisions_not_valid",
            "tenant",
            "list_number",
            "list_index",
            "status_value",
            sqlite_where=text(NOT_VALID),
            postgresql_where=text(NOT_VALID),
        ),
        # The wallets know a pass by its serial, which stays the same while the pass only changes.
        Index(None, "tenant", "serial"),
        # What a plate had been on is found by when it was taken off.
        Index(None, "tenant", "superseded_at"),
    )

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    type_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    number: Mapped[str] = mapped_column(String(40), primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    serial: Mapped[str] = mapped_column(String(32))
    attributes: Mapped[dict[str, Any]]
    list_number: Mapped[int | None]
    list_index: Mapped[int | None]
    status_value: Mapped[int]
    kid: Mapped[str | None] = mapped_column(String(16))
    seal: Mapped[str | None] = mapped_column(Text)
    apple_token: Mapped[str] = mapped_column(String(64))
    issued_at: Mapped[datetime]
    superseded_at: Mapped[datetime | None]


class PassTermRow(Base):
    """What a pass is found by besides its number: ``plate`` (its compare key) and ``zone`` (its code).

    They follow from the attributes of the current revision; `issuer.search_terms` keeps them so.
    """

    __tablename__ = "pass_terms"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant", "type_id", "number"],
            ["passes.tenant", "passes.type_id", "passes.number"],
            ondelete="CASCADE",
        ),
        Index(None, "tenant", "type_id", "number"),
    )

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    kind: Mapped[str] = mapped_column(String(8), primary_key=True)
    value: Mapped[str] = mapped_column(String(40), primary_key=True)
    type_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    number: Mapped[str] = mapped_column(String(40), primary_key=True)


class StatusListRow(Base):
    """A status list: one pass type, one half-year of expiry. ``used`` counts the entries given out."""

    __tablename__ = "status_lists"
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


class WithdrawnPlaceRow(Base):
    """A place in a status list that is not valid although no revision here has it.

    After the restore of a backup: the pass was issued after the backup and its right had ended before the restore.
    And after the deletion of a pass, as long as its list is published (`issuer.nightly.removals`).
    """

    __tablename__ = "withdrawn_places"
    __table_args__ = (
        ForeignKeyConstraint(["tenant", "list_number"], ["status_lists.tenant", "status_lists.number"]),
        CheckConstraint("status_value BETWEEN 1 AND 3", name="status_value"),
    )

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    list_number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    list_index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    status_value: Mapped[int]
    at: Mapped[datetime]


class SigningKeyRow(Base):
    """What the register knows of a key; the key itself lives at ``uri``."""

    __tablename__ = "signing_keys"
    __table_args__ = (of_tenant(),)

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    kid: Mapped[str] = mapped_column(String(16), primary_key=True)
    purpose: Mapped[str] = mapped_column(String(20))
    uri: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(10))
    pass_types: Mapped[list[str]]
    test: Mapped[bool]
    not_before: Mapped[datetime]
    not_after: Mapped[datetime]
    published_at: Mapped[datetime | None]
    activated_at: Mapped[datetime | None]
    retired_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    spki: Mapped[bytes] = mapped_column(LargeBinary)
    certificate_pem: Mapped[str | None] = mapped_column(Text)
    provider_key_id: Mapped[str] = mapped_column(String(20), default="", server_default="")


class SequenceRow(Base):
    """The last sequence number given to a signed list."""

    __tablename__ = "sequences"
    __table_args__ = (of_tenant(),)

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    last_value: Mapped[int] = mapped_column(BigInteger)


class AuditEntryRow(Base):
    """One entry of the audit chain. ``before`` and ``after`` are the canonical JSON that was hashed."""

    __tablename__ = "audit_entries"
    __table_args__ = (of_tenant(), Index(None, "tenant", "subject"))

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(120))
    action: Mapped[str] = mapped_column(String(40))
    subject: Mapped[str] = mapped_column(String(120))
    before: Mapped[str] = mapped_column(Text)
    after: Mapped[str] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    previous_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))


class AuditHeadRow(Base):
    """The last entry of a tenant's chain, so that cutting the chain short shows."""

    __tablename__ = "audit_heads"
    __table_args__ = (of_tenant(),)

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    sequence: Mapped[int]
    hash: Mapped[str] = mapped_column(String(64))
