"""What the operations on devices have in common: their description, a fictional device, and what they answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from issuer.api.auth import require
from issuer.api.device_schemas import Device
from issuer.api.documentation import Success, documented
from issuer.api.scopes import Scope
from issuer.application import Application
from issuer.errors import IssuerRefusal
from issuer.models_access import VerifierDeviceRow
from issuer.verifier_devices import DeviceState, Role, find_device, state_of
from issuer.web.problems import misplaced
from keys.errors import Refusal

DEVICE_ID: Final = "5d41402abc4b2a76b9719d911017c592"
_AT: Final = datetime.fromisoformat("2026-11-20T11:00:00+00:00")
DEVICE: Final = Device(
    id=DEVICE_ID,
    name="Handheld 7",
    role=Role.WARDEN,
    state=DeviceState.ACTIVE,
    zones=["BÖ"],
    created_at=_AT,
    created_by="api:portal",
    last_sync_at=_AT,
    locked_at=None,
    lease_until=None,
    expires_at=None,
)
UNKNOWN: Final = IssuerRefusal("DEVICE_UNKNOWN", id=DEVICE_ID)
_PLACE_OF_CODE: Final = {
    "DEVICE_NAME": "#/name",
    "DEVICE_ZONES": "#/zones",
    "ZONE_UNKNOWN": "#/zones",
    "ZONE_ENDED": "#/zones",
    "ZONE_FORMAT": "#/zones",
    "CHECK_CODE_WRONG": "#/check_code",
}


def described(
    operation: str, summary: str, success: Success, *refusals: Refusal, description: str | None = None
) -> dict[str, Any]:
    """What the handlers of all operations on devices have in common, as arguments of their decorators."""
    return {
        "status_code": success.status,
        "sync_to_thread": True,
        "guards": [require(Scope.DEVICES_WRITE)],
        "operation_id": operation,
        "tags": ["Devices"],
        "summary": summary,
        "description": description,
        "responses": documented(success, *refusals),
    }


def the_device(description: str) -> Success:
    """The answer of an operation that shows the device as it is after it."""
    return Success(200, Device, {"device": DEVICE}, description)


def device_answer(application: Application, session: Session, device_id: str) -> Device:
    """The device with this id as it is now. Raises IssuerRefusal DEVICE_UNKNOWN."""
    return shown(find_device(session, application.tenant, device_id, application.now()))


def shown(row: VerifierDeviceRow) -> Device:
    """A device that is not over, as the API shows it."""
    return Device(
        id=row.id,
        name=row.name,
        role=Role(row.role),
        state=state_of(row),
        zones=row.zones,
        created_at=row.created_at,
        created_by=row.created_by,
        last_sync_at=row.last_sync_at,
        locked_at=row.locked_at,
        lease_until=row.lease_until,
        expires_at=row.expires_at,
    )


def location(device_id: str) -> dict[str, str]:
    """The header that says where a new device is."""
    return {"Location": f"/api/v1/devices/{device_id}"}


@contextmanager
def faults_placed() -> Iterator[None]:
    """A refusal of name, zones or check code inside becomes a problem that points at its place in the body.

    Raises ProblemRefusal REQUEST_INVALID for those, and every other refusal as it is.
    """
    try:
        yield
    except Refusal as refusal:
        place = _PLACE_OF_CODE.get(refusal.code)
        if place is None:
            raise
        raise misplaced(refusal, pointer=place) from None
