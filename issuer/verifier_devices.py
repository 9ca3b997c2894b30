"""The devices of wardens and librarians: enrolling, locking and recognising them.

A device shows its secret as a bearer token, ``spd_<id>_<secret>``: it is looked up by its id, and the secret compared
in constant time as a keyed hash. An unknown id costs the same work as a wrong secret. Only wardens' devices get the
plate list. The audit trail names a device by its id; its name is for the office alone.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from issuer import audit
from issuer.application import Application
from issuer.audit import AuditEvent, Facts
from issuer.best_effort import note_if_possible
from issuer.errors import IssuerRefusal
from issuer.models_access import VerifierDeviceRow
from issuer.tariffs import find_zone
from passes.periods import berlin_day

LONGEST_NAME: Final = 100
MOST_ZONES: Final = 100
SECRET_PURPOSE: Final = "verifier-device"  # noqa: S105 - the name of a purpose
_SECRET_BYTES: Final = 32
_TOKEN_FORM = re.compile(r"spd_([0-9a-f]{32})_([A-Za-z0-9_-]{43})")
_LONGEST_HEADER: Final = 200
_NOTHING: Final = "0" * 64
_SYNC_NOTED_EVERY: Final = timedelta(minutes=1)


class Role(StrEnum):
    """Who carries a device."""

    WARDEN = "warden"
    LIBRARIAN = "librarian"


@dataclass(frozen=True, slots=True)
class EnrolledDevice:
    """What a new device gets, this once: ``token`` is what it shows as bearer token."""

    id: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class KnownDevice:
    """The device that a request comes from."""

    id: str
    role: Role
    zones: tuple[str, ...]
    last_sync_at: datetime | None


def add_device(
    session: Session, application: Application, name: str, role: Role, zones: Sequence[str], *, actor: str
) -> EnrolledDevice:
    """Enrol a device with a fresh secret; ``zones`` are codes, none for all.

    Raises IssuerRefusal DEVICE_NAME, DEVICE_ZONES for a librarian's device with zones, ZONE_UNKNOWN, ZONE_ENDED;
    PassRefusal ZONE_FORMAT.
    """
    at = application.now()
    found = checked_zones(session, application, role, zones)
    device_id, secret = secrets.token_hex(16), secrets.token_urlsafe(_SECRET_BYTES)
    row = VerifierDeviceRow(
        tenant=application.tenant,
        id=device_id,
        name=checked_name(name),
        role=role.value,
        zones=found,
        secret_hash=application.hash_secret(SECRET_PURPOSE, secret),
        created_at=at,
        created_by=actor,
    )
    session.add(row)
    session.flush()
    _note(session, application, "add-device", device_id, actor, {"role": row.role, "zones": row.zones})
    return EnrolledDevice(device_id, f"spd_{device_id}_{secret}")


def devices(session: Session, tenant: str) -> Sequence[VerifierDeviceRow]:
    """All devices of the tenant, oldest first; the locked ones too."""
    return session.scalars(
        select(VerifierDeviceRow)
        .where(VerifierDeviceRow.tenant == tenant)
        .order_by(VerifierDeviceRow.created_at, VerifierDeviceRow.id)
    ).all()


def find_device(session: Session, tenant: str, device_id: str) -> VerifierDeviceRow:
    """The device with this id. Raises IssuerRefusal DEVICE_UNKNOWN."""
    row = session.get(VerifierDeviceRow, (tenant, device_id[:32]))
    if row is None:
        raise IssuerRefusal("DEVICE_UNKNOWN", id=device_id[:40])
    return row


def lock_device(session: Session, application: Application, device_id: str, *, actor: str) -> None:
    """The device gets no plate list any more, from its next request on; a locked one stays as it is.

    Raises IssuerRefusal DEVICE_UNKNOWN.
    """
    row = find_device(session, application.tenant, device_id)
    if row.locked_at is None:
        row.locked_at = application.now()
        session.flush()
        _note(session, application, "lock-device", row.id, actor)


def unlock_device(session: Session, application: Application, device_id: str, *, actor: str) -> None:
    """The device's secret holds again. Raises IssuerRefusal DEVICE_UNKNOWN."""
    row = find_device(session, application.tenant, device_id)
    if row.locked_at is not None:
        row.locked_at = None
        session.flush()
        _note(session, application, "unlock-device", row.id, actor)


def rename_device(
    session: Session, application: Application, device_id: str, name: str, *, actor: str
) -> None:
    """Call the device ``name``. Raises IssuerRefusal DEVICE_UNKNOWN, DEVICE_NAME."""
    row = find_device(session, application.tenant, device_id)
    if row.name != checked_name(name):
        row.name = name
        session.flush()
        _note(session, application, "rename-device", row.id, actor)


def delete_device(session: Session, application: Application, device_id: str, *, actor: str) -> None:
    """Forget the device; its secret never holds again. Raises IssuerRefusal DEVICE_UNKNOWN."""
    session.delete(find_device(session, application.tenant, device_id))
    session.flush()
    _note(session, application, "delete-device", device_id, actor)


def known_device(application: Application, authorization: str) -> KnownDevice | None:
    """The enrolled, unlocked device behind an Authorization header, or None."""
    scheme, _, token = authorization[:_LONGEST_HEADER].partition(" ")
    parts = _TOKEN_FORM.fullmatch(token.strip()) if scheme.lower() == "bearer" else None
    device_id, secret = (parts[1], parts[2]) if parts is not None else ("", "")
    with application.reading() as session:
        row = session.get(VerifierDeviceRow, (application.tenant, device_id))
    kept = row.secret_hash if row is not None else _NOTHING
    fits = hmac.compare_digest(application.hash_secret(SECRET_PURPOSE, secret), kept)
    if row is None or not fits or row.locked_at is not None:
        return None
    return KnownDevice(row.id, Role(row.role), tuple(row.zones), row.last_sync_at)


def note_sync(application: Application, device: KnownDevice) -> None:
    """Keep when the device last asked for its lists, once a minute at most, if that is possible now."""
    at = application.now()
    if (
        device.last_sync_at is not None
        and device.last_sync_at <= at < device.last_sync_at + _SYNC_NOTED_EVERY
    ):
        return
    noted = (
        update(VerifierDeviceRow)
        .where(
            VerifierDeviceRow.tenant == application.tenant,
            VerifierDeviceRow.id == device.id,
            # Of several requests at once, one writes.
            or_(
                VerifierDeviceRow.last_sync_at.is_(None),
                VerifierDeviceRow.last_sync_at == device.last_sync_at,
            ),
        )
        .values(last_sync_at=at)
    )
    note_if_possible(application, "device", lambda session: session.execute(noted))


def checked_zones(session: Session, application: Application, role: Role, zones: Sequence[str]) -> list[str]:
    """The codes of ``zones``, sorted. Raises IssuerRefusal DEVICE_ZONES, ZONE_UNKNOWN, ZONE_ENDED."""
    if zones and (role is not Role.WARDEN or len(zones) > MOST_ZONES):
        raise IssuerRefusal("DEVICE_ZONES", limit=MOST_ZONES)
    day = berlin_day(application.now())
    return sorted({find_zone(session, application.tenant, one, day).zone.code for one in zones})


def checked_name(name: str) -> str:
    """``name``, if a device can be called so. Raises IssuerRefusal DEVICE_NAME."""
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable() or name != name.strip():
        raise IssuerRefusal("DEVICE_NAME", limit=LONGEST_NAME)
    return name


def _note(
    session: Session,
    application: Application,
    action: str,
    device_id: str,
    actor: str,
    after: Facts | None = None,
) -> None:
    event = AuditEvent(action, f"device/{device_id}", after=after)
    audit.append(session, application.tenant, [event], application.now(), actor)
