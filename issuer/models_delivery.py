"""What leaves the house and where it stands: passes in wallets, phones, mails, webhooks, published lists.

Rows here say what ought to be out there and what is; the work that closes the gap is queued in the same
transaction as the change (`issuer.outgoing`), and a sweep finds whatever a queue could ever have lost.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKeyConstraint, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from issuer.models import Base, of_tenant


class WalletPassRow(Base):
    """A pass as wallets know it. ``update_tag`` grows with every change, over all passes of a tenant.

    ``modified_at`` has whole seconds and moves on with every change of the pass, whatever the clock says: it is
    the Last-Modified of the Apple pass. ``google_tag`` is the newest tag that Google has.
    """

    __tablename__ = "wallet_passes"
    __table_args__ = (
        of_tenant(),
        Index(None, "tenant", "type_id", "number"),
        Index(None, "tenant", "update_tag"),
    )

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    serial: Mapped[str] = mapped_column(String(32), primary_key=True)
    type_id: Mapped[str] = mapped_column(String(40))
    number: Mapped[str] = mapped_column(String(40))
    update_tag: Mapped[int] = mapped_column(BigInteger)
    modified_at: Mapped[datetime]
    # The holder wants no wallet any more: phones get a void pass, Google an emptied object.
    withdrawn_at: Mapped[datetime | None]
    # Google has an object only once somebody wanted it there; 0 before.
    google_tag: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    google_wanted: Mapped[bool] = mapped_column(default=False, server_default="0")
    # "", "saved" or "removed", as Google's callbacks tell.
    google_state: Mapped[str] = mapped_column(String(12), default="", server_default="")
    google_failure: Mapped[str | None] = mapped_column(String(80))


class AppleDeviceRow(Base):
    """A phone or watch that has registered; the push token is for all its passes."""

    __tablename__ = "apple_devices"
    __table_args__ = (of_tenant(),)

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    device_id: Mapped[str] = mapped_column(String(100), primary_key=True)
    push_token: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    failing_since: Mapped[datetime | None]


class AppleRegistrationRow(Base):
    """A pass on a device; ``pushed_tag`` is the newest update tag that Apple has taken a push for.

    ``registered_tag`` is of the same sequence as update tags: nobody knows which version of the pass the phone
    held when it registered, so the registration counts as a change for this phone.
    """

    __tablename__ = "apple_registrations"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant", "device_id"], ["apple_devices.tenant", "apple_devices.device_id"], ondelete="CASCADE"
        ),
        Index(None, "tenant", "serial"),
    )

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    device_id: Mapped[str] = mapped_column(String(100), primary_key=True)
    serial: Mapped[str] = mapped_column(String(32), primary_key=True)
    created_at: Mapped[datetime]
    registered_tag: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    pushed_tag: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")


class AppleLogRow(Base):
    """What a phone complained about; kept for days, capped in number and length."""

    __tablename__ = "apple_logs"
    __table_args__ = (of_tenant(), Index(None, "tenant", "at"))

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    at: Mapped[datetime]
    message: Mapped[str] = mapped_column(Text)


class GoogleNonceRow(Base):
    """A callback that was acted upon: Google may send it again."""

    __tablename__ = "google_nonces"
    __table_args__ = (of_tenant(), Index(None, "tenant", "expires_at"))

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    nonce_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    expires_at: Mapped[datetime]


class GoogleMessageRow(Base):
    """A message that made a phone ring; Google takes three per pass in 24 hours."""

    __tablename__ = "google_messages"
    __table_args__ = (of_tenant(),)

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    serial: Mapped[str] = mapped_column(String(32), primary_key=True)
    message_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    sent_at: Mapped[datetime]


class RateSlotRow(Base):
    """The next free moment of something that may happen only so often, in milliseconds since 1970."""

    __tablename__ = "rate_slots"
    __table_args__ = (of_tenant(),)

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    next_free_ms: Mapped[int] = mapped_column(BigInteger)


class WebhookEndpointRow(Base):
    """Where a specialist system wants to hear of changes; its secret follows from id and generation.

    For a while after ``rotated_at`` deliveries are signed with the secret before as well.
    """

    __tablename__ = "webhook_endpoints"
    __table_args__ = (of_tenant(),)

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    url: Mapped[str] = mapped_column(String(500))
    events: Mapped[list[str]]
    secret_generation: Mapped[int] = mapped_column(default=1, server_default="1")
    rotated_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]


class WebhookDeliveryRow(Base):
    """One event on its way to one endpoint."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (of_tenant(), Index(None, "tenant", "endpoint_id", "created_at"))

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    endpoint_id: Mapped[str] = mapped_column(String(32))
    event: Mapped[str] = mapped_column(String(40))
    payload: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    last_status: Mapped[str | None] = mapped_column(String(40))
    delivered_at: Mapped[datetime | None]
    failed_at: Mapped[datetime | None]


class MailRow(Base):
    """A mail to a holder; neither address nor link stand here: both are filled in when it is sent."""

    __tablename__ = "mails"
    __table_args__ = (of_tenant(), Index(None, "tenant", "type_id", "number"))

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    type_id: Mapped[str] = mapped_column(String(40))
    number: Mapped[str] = mapped_column(String(40))
    params: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    failure: Mapped[str | None] = mapped_column(String(200))
    # Somebody is at it until then: two workers must not send the same mail.
    sending_until: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    failed_at: Mapped[datetime | None]


class LetterRow(Base):
    """A letter that somebody has to print: for holders without a mail address."""

    __tablename__ = "letters"
    __table_args__ = (of_tenant(), Index(None, "tenant", "printed_at"))

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    type_id: Mapped[str] = mapped_column(String(40))
    number: Mapped[str] = mapped_column(String(40))
    params: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    printed_at: Mapped[datetime | None]


class ReminderRow(Base):
    """A reminder that has gone out: once per pass, end of period and number of days before it.

    Those to the operator stand here too: the type is ``#`` and what ends, the number its name.
    """

    __tablename__ = "reminders"
    __table_args__ = (of_tenant(),)

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    type_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    number: Mapped[str] = mapped_column(String(40), primary_key=True)
    period_last: Mapped[date] = mapped_column(primary_key=True)
    days: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    channel: Mapped[str] = mapped_column(String(10))
    created_at: Mapped[datetime]


class PublishedListRow(Base):
    """A signed list as verifiers fetch it: ``bundle.cwt``, ``index.cwt``, ``status/1`` ..., ``plates.cwt``."""

    __tablename__ = "published_lists"
    __table_args__ = (of_tenant(),)

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    data: Mapped[bytes] = mapped_column(LargeBinary)
    etag: Mapped[str] = mapped_column(String(64))
    sequence: Mapped[int] = mapped_column(BigInteger)
    published_at: Mapped[datetime]


class PublicationRow(Base):
    """How far publishing has come: every change up to ``audit_sequence`` stands in the lists."""

    __tablename__ = "publications"
    __table_args__ = (of_tenant(),)

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    audit_sequence: Mapped[int]
    published_at: Mapped[datetime]
    # Which worker publishes now, and until when nobody else does.
    holder: Mapped[str] = mapped_column(String(80), default="", server_default="")
    held_until: Mapped[datetime | None]


class WorkerRow(Base):
    """A worker and when it last showed a sign of life."""

    __tablename__ = "workers"
    __table_args__ = (of_tenant(),)

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    executor_id: Mapped[str] = mapped_column(String(80), primary_key=True)
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    stopped_at: Mapped[datetime | None]


class NightlyRunRow(Base):
    """One part of a night's work and what came of it: counts only, the proof of deletion runs."""

    __tablename__ = "nightly_runs"
    __table_args__ = (of_tenant(),)

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    report: Mapped[dict[str, Any]]
