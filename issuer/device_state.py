"""How a verifier device stands: waiting for its confirmation, in use, locked, or not confirmed in time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from issuer.models_access import VerifierDeviceRow


class DeviceState(StrEnum):
    """The states; a device that is ``expired`` is as good as gone, and goes in the night."""

    PENDING = "pending"
    ACTIVE = "active"
    LOCKED = "locked"
    EXPIRED = "expired"


# What a device is told that asks for something in a state other than active.
REFUSED_STATES: Final[Mapping[DeviceState, str]] = MappingProxyType(
    {
        DeviceState.PENDING: "DEVICE_PENDING",
        DeviceState.LOCKED: "DEVICE_LOCKED",
        DeviceState.EXPIRED: "DEVICE_UNKNOWN",
    }
)


def state_of(row: VerifierDeviceRow, now: datetime) -> DeviceState:
    """The state of the device at the aware time ``now``."""
    if row.pending_until is not None and row.pending_until <= now:
        return DeviceState.EXPIRED
    if row.locked_at is not None:
        return DeviceState.LOCKED
    return DeviceState.ACTIVE if row.pending_until is None else DeviceState.PENDING
