"""Leases: the key under which a warden's device keeps the plate list, for a shift.

The key is made here, given out once and kept nowhere but on the device, which deletes it when the lease ends. We note
only until when the newest holds. Leases are no part of the audit trail: they would tell when each shift began.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.device_requests import DeviceRefused, SignedRequest, use_nonce
from issuer.models_access import VerifierDeviceRow
from issuer.verifier_devices import Role
from issuer.web.problems import problem

KEY_BYTES: Final = 32
LONGEST: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Lease:
    """A key of 256 bits with the time in which it may be used."""

    id: str
    key: bytes = field(repr=False)
    issued_at: datetime
    not_after: datetime


def grant_lease(session: Session, application: Application, signed: SignedRequest) -> Lease:
    """A fresh lease for the device that has signed, in a writing transaction.

    Raises DeviceRefused DEVICE_PENDING, DEVICE_LOCKED, DEVICE_UNKNOWN for one that has gone meanwhile, and
    DEVICE_SIGNATURE for a request that was there before; the problem 403 DEVICE_ROLE for a librarian's.
    """
    row = session.get(VerifierDeviceRow, (application.tenant, signed.device.id), populate_existing=True)
    if row is None:
        raise DeviceRefused("DEVICE_UNKNOWN")
    current = SignedRequest(row, signed.nonce)
    current.active()
    if row.role != Role.WARDEN.value:
        raise problem(403, "DEVICE_ROLE")
    use_nonce(session, application, current)
    at = application.now().replace(microsecond=0)
    until = at + min(timedelta(hours=application.config.devices.lease_hours), LONGEST)
    # An earlier lease may hold for longer, where the setting has changed.
    row.lease_until = until if row.lease_until is None else max(until, row.lease_until)
    session.flush()
    return Lease(secrets.token_hex(16), secrets.token_bytes(KEY_BYTES), at, until)


def check_lease(device: VerifierDeviceRow, at: datetime) -> None:
    """Raises DeviceRefused DEVICE_LEASE unless a lease of ``device`` runs at ``at``: it may have no plates then."""
    if device.lease_until is None or device.lease_until <= at:
        raise DeviceRefused("DEVICE_LEASE")
