"""Leases: how long a warden's device can read the plate list that it keeps encrypted.

The device encrypts the list under the lease's key and forgets the key at its end. The service keeps no key, only the
end: so the office knows until when a lost device can be read at most.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from issuer import audit
from issuer.application import Application
from issuer.audit import AuditEvent
from issuer.device_state import REFUSED_STATES, DeviceState, state_of
from issuer.errors import IssuerRefusal
from issuer.models_access import VerifierDeviceRow
from issuer.verifier_devices import Role

KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease from ``issued_at`` until before ``not_after`` (aware, whole seconds); ``key`` is told this once."""

    id: str
    key: bytes = field(repr=False)
    issued_at: datetime
    not_after: datetime


def grant(session: Session, application: Application, device_id: str) -> Lease:
    """A new lease for an active warden's device; ``session`` is one that writes, so that no lock comes between.

    Raises IssuerRefusal DEVICE_UNKNOWN, DEVICE_LOCKED and DEVICE_PENDING for a device that became so since it was
    recognised, DEVICE_ROLE for one that is no warden's.
    """
    now = application.now().astimezone(UTC)
    row = session.get(VerifierDeviceRow, (application.tenant, device_id), populate_existing=True)
    state = DeviceState.EXPIRED if row is None else state_of(row, now)
    if row is None or state is not DeviceState.ACTIVE:
        raise IssuerRefusal(REFUSED_STATES[state])
    if row.role != Role.WARDEN.value:
        raise IssuerRefusal("DEVICE_ROLE")
    at = now.replace(microsecond=0)
    until = at + timedelta(hours=application.config.devices.lease_hours)
    lease = Lease(secrets.token_hex(16), secrets.token_bytes(KEY_BYTES), at, until)
    # An earlier lease still holds to its own end, even if leases have become shorter since.
    row.lease_until = until if row.lease_until is None else max(row.lease_until, until)
    session.flush()
    event = AuditEvent("lease-plates", f"device/{row.id}", after={"until": until.isoformat()})
    audit.append(session, application.tenant, [event], now, f"device:{row.id}")
    return lease
