"""The life of a signing key: pending -> active -> retired, and revoked from anywhere, for good.

A key is published in the trust bundle before it signs anything, so that a device without network meets no
seal it cannot check. A retired key still verifies what it signed; a revoked one verifies nothing. The
functions are pure: they take a record and a time and give the next record, or refuse.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from keys.errors import KeyRefusal
from keys.identity import KID_BYTES, PublicKey, kid_of_spki, public_key_from_spki
from keys.uri import KeyUri

_BERLIN = ZoneInfo("Europe/Berlin")


class Purpose(StrEnum):
    """What a key may be used for; a key has one purpose."""

    ROOT = "root"
    LIST = "list"
    SEAL = "seal"
    PLATE_LIST = "plate-list"
    STATEMENT = "statement"
    DATA_ENCRYPTION = "data-encryption"
    APPLE_PASS = "apple-pass"  # noqa: S105 - a purpose
    APNS = "apns"
    GOOGLE = "google"
    EUDI = "eudi"
    EUDI_ACCESS = "eudi-access"
    PDF_SEAL = "pdf-seal"


# These purposes also use symmetric keys, which have no public half.
_SYMMETRIC = frozenset({Purpose.DATA_ENCRYPTION, Purpose.GOOGLE})


class KeyState(StrEnum):
    """Where a key stands in its life."""

    PENDING = "pending"
    ACTIVE = "active"
    RETIRED = "retired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What the register knows of a key; the key itself lives at ``uri``.

    ``pass_types`` are the type ids whose seals the key may sign, empty for purposes that sign no passes.
    ``test`` marks keys whose passes must show TEST. The key signs in ``not_before <= t < not_after``. All
    times are aware. ``spki`` is the DER SubjectPublicKeyInfo that ``kid`` follows from; for a symmetric key
    it is empty and ``kid`` is random. ``provider_key_id`` is the name that Apple gave a key of its own making.
    Raises ValueError for a record that contradicts itself.
    """

    tenant: str
    kid: bytes
    purpose: Purpose
    uri: KeyUri
    state: KeyState
    pass_types: tuple[str, ...]
    test: bool
    not_before: datetime
    not_after: datetime
    published_at: datetime | None
    activated_at: datetime | None
    retired_at: datetime | None
    revoked_at: datetime | None
    spki: bytes
    certificate_pem: str | None = None
    provider_key_id: str = ""

    def __post_init__(self) -> None:
        if not self.spki and self.purpose not in _SYMMETRIC:
            raise ValueError(f"a {self.purpose} key needs its public half")
        if len(self.kid) != KID_BYTES or (self.spki and self.kid != kid_of_spki(self.spki)):
            raise ValueError("the kid does not belong to the key")
        steps = (self.published_at, self.activated_at, self.retired_at, self.revoked_at)
        times = (self.not_before, self.not_after, *steps)
        if any(time is not None and time.tzinfo is None for time in times):
            raise ValueError("a time has no zone")
        if self.not_before >= self.not_after:
            raise ValueError("the key's period is empty")
        reached = {
            KeyState.PENDING: not (self.activated_at or self.retired_at or self.revoked_at),
            KeyState.ACTIVE: bool(self.activated_at) and not (self.retired_at or self.revoked_at),
            KeyState.RETIRED: bool(self.retired_at) and not self.revoked_at,
            KeyState.REVOKED: bool(self.revoked_at),
        }
        if not reached[self.state]:
            raise ValueError(f"the times do not fit the state {self.state}")

    def public_key(self) -> PublicKey:
        """The public half. Raises KeyRefusal for a symmetric key, which has none."""
        return public_key_from_spki(self.spki)


def pending_key(
    *,
    tenant: str,
    purpose: Purpose,
    uri: KeyUri,
    kid: bytes,
    spki: bytes,
    not_before: datetime,
    not_after: datetime,
    pass_types: tuple[str, ...] = (),
    test: bool = False,
    certificate_pem: str | None = None,
) -> KeyRecord:
    """The record of a key at the start of its life: neither published nor used."""
    return KeyRecord(
        tenant=tenant,
        kid=kid,
        purpose=purpose,
        uri=uri,
        state=KeyState.PENDING,
        pass_types=pass_types,
        test=test,
        not_before=not_before,
        not_after=not_after,
        published_at=None,
        activated_at=None,
        retired_at=None,
        revoked_at=None,
        spki=spki,
        certificate_pem=certificate_pem,
    )


def published(record: KeyRecord, at: datetime) -> KeyRecord:
    """Note that a signed trust bundle of time ``at`` names the key. Only the first time is kept."""
    _check_zone(at)
    return record if record.published_at is not None else replace(record, published_at=at)


def activate(
    record: KeyRecord, at: datetime, *, initial: bool = False, wait: timedelta = timedelta(0)
) -> KeyRecord:
    """Let a pending key sign from ``at`` on.

    It must have been published for at least ``wait``, so that devices had the time to fetch the bundle.
    ``initial`` lifts that for the first key of a tenant's purpose, before which no device trusts anything.
    Raises KeyRefusal: KEY_NOT_PUBLISHED, KEY_PUBLISHED_RECENTLY, KEY_NOT_YET_VALID, KEY_EXPIRED,
    KEY_ALREADY_ACTIVE, KEY_NEVER_AGAIN (retired) or KEY_REVOKED_FOR_GOOD.
    """
    _check_zone(at)
    _refuse_revoked(record)
    if record.state is KeyState.ACTIVE:
        raise KeyRefusal("KEY_ALREADY_ACTIVE", kid=record.kid.hex())
    if record.state is KeyState.RETIRED:
        raise KeyRefusal("KEY_NEVER_AGAIN", kid=record.kid.hex())
    _check_period(record, at)
    if not initial:
        if record.published_at is None or record.published_at > at:
            raise KeyRefusal("KEY_NOT_PUBLISHED", kid=record.kid.hex())
        if record.published_at + wait > at:
            ready = (record.published_at + wait).astimezone(_BERLIN)
            raise KeyRefusal("KEY_PUBLISHED_RECENTLY", kid=record.kid.hex(), ready=ready)
    return replace(record, state=KeyState.ACTIVE, activated_at=at)


def retire(record: KeyRecord, at: datetime) -> KeyRecord:
    """Stop signing; what the key has signed stays good. A pending key may be retired unused.

    Raises KeyRefusal for a key that is retired already or revoked.
    """
    _check_zone(at)
    _refuse_revoked(record)
    if record.state is KeyState.RETIRED:
        raise KeyRefusal("KEY_ALREADY_RETIRED", kid=record.kid.hex())
    return replace(record, state=KeyState.RETIRED, retired_at=at)


def revoke(record: KeyRecord, at: datetime) -> KeyRecord:
    """Withdraw trust in everything the key has signed. It cannot be undone.

    Raises KeyRefusal for a key that is revoked already.
    """
    _check_zone(at)
    _refuse_revoked(record)
    return replace(record, state=KeyState.REVOKED, revoked_at=at)


def require_signing(record: KeyRecord, at: datetime) -> None:
    """Return if the key may sign at ``at``; raise KeyRefusal otherwise."""
    _check_zone(at)
    _refuse_revoked(record)
    if record.state is KeyState.PENDING:
        raise KeyRefusal("KEY_PENDING", kid=record.kid.hex())
    if record.state is KeyState.RETIRED:
        raise KeyRefusal("KEY_NEVER_AGAIN", kid=record.kid.hex())
    _check_period(record, at)


def require_verifying(record: KeyRecord, signed_at: datetime) -> None:
    """Return if a signature of time ``signed_at`` by this key counts; raise KeyRefusal otherwise.

    A pending key counts too: a device may hold the bundle that announced the key and check a seal made
    after the key was activated.
    """
    _check_zone(signed_at)
    _refuse_revoked(record)
    _check_period(record, signed_at)


def _check_zone(at: datetime) -> None:
    if at.tzinfo is None:
        raise ValueError("a time has no zone")


def _refuse_revoked(record: KeyRecord) -> None:
    if record.revoked_at is not None:
        when = record.revoked_at.astimezone(_BERLIN)
        raise KeyRefusal("KEY_REVOKED_FOR_GOOD", kid=record.kid.hex(), when=when)


def _check_period(record: KeyRecord, at: datetime) -> None:
    if at < record.not_before:
        first = record.not_before.astimezone(_BERLIN)
        raise KeyRefusal("KEY_NOT_YET_VALID", kid=record.kid.hex(), first=first)
    if at >= record.not_after:
        raise KeyRefusal("KEY_EXPIRED", kid=record.kid.hex(), end=record.not_after.astimezone(_BERLIN))
