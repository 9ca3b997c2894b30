"""What the API says of devices and takes for them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

import msgspec

from issuer.verifier_devices import LONGEST_NAME, MOST_ZONES, DeviceState, Role

_LONGEST_ZONE: Final = 48
_Name = Annotated[
    str,
    msgspec.Meta(
        min_length=1, max_length=LONGEST_NAME, description="What the office calls it; no name of a person"
    ),
]
_Zone = Annotated[str, msgspec.Meta(min_length=1, max_length=_LONGEST_ZONE)]


class NewDevice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A device to enrol; without ``zones`` a warden's device is for all."""

    name: _Name
    role: Role
    zones: Annotated[list[_Zone], msgspec.Meta(max_length=MOST_ZONES)] = msgspec.field(default_factory=list)


class DeviceChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What of a device can be changed."""

    name: _Name


class Device(msgspec.Struct, frozen=True):
    """A device as the office sees it; ``last_sync_at`` is true to the minute.

    ``lease_until``: until when, at most, a list that it has fetched can be read on a device of the verifier's app.
    ``expires_at``: by when one that is invited or pending has to be confirmed.
    """

    id: str
    name: str
    role: Role
    state: DeviceState
    zones: list[str]
    created_at: datetime
    created_by: str
    last_sync_at: datetime | None
    locked_at: datetime | None
    lease_until: datetime | None
    expires_at: datetime | None


class Invitation(msgspec.Struct, frozen=True):
    """An invitation, shown this once; ``id`` is that of the device that follows it."""

    id: str
    url: str
    code: str
    expires_at: datetime


class Confirmation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The six digits that the device shows, with or without the space."""

    check_code: Annotated[str, msgspec.Meta(min_length=6, max_length=7, pattern=r"\A[0-9]{3} ?[0-9]{3}\Z")]


class EnrolledDevice(msgspec.Struct, frozen=True):
    """A new device with its ``token``, which is shown this once; the device sends it as bearer token."""

    device: Device
    token: str


class DevicePage(msgspec.Struct, frozen=True):
    """A page of devices, oldest first."""

    items: list[Device]
    next: str | None
