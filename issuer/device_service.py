"""What verifier devices with keys ask for under ``/check/``: enrolling, how they stand, and leases."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, Final

import msgspec
from litestar import Request, Response, get, post
from litestar.params import RawBody
from litestar.types import ControllerRouterHandler

from issuer import device_enrolment, device_leases
from issuer.application import Application
from issuer.device_signatures import DeviceRefusal, active_device, signing_device
from issuer.device_state import REFUSED_STATES, state_of
from issuer.errors import IssuerRefusal
from issuer.web.problems import problem, refused
from issuer.web.verifier_app import running_zones
from keys.errors import Refusal

_HEADERS: Final = {"Cache-Control": "private, no-store"}
_LEASE_REFUSALS: Final = {"DEVICE_ROLE": 403, **dict.fromkeys(REFUSED_STATES.values(), 401)}
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")


class Enrolment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A device's own key, with the code of its invitation."""

    code: str
    public_key: str
    signature: str


@post("/check/devices", sync_to_thread=True, include_in_schema=False)
def enrol_device(request: Request[Any, Any, Any], body: RawBody) -> Response[bytes]:
    """Take up an invitation."""
    application: Application = request.app.state.application
    try:
        told = msgspec.json.decode(body, type=Enrolment)
        point, signature = _decoded(told.public_key), _decoded(told.signature)
        signed = f"stadtpass-enrol\n{told.code}\n{told.public_key}"
        with application.writing() as session:
            device_id, shown = device_enrolment.enrol(
                session, application, told.code, point, signed, signature
            )
    except (msgspec.DecodeError, UnicodeError):
        return refused(request, problem(400, "REQUEST_UNREADABLE"))
    except Refusal as refusal:
        return refused(request, refusal)
    return _answer({"device": device_id, "check_code": shown}, 201)


@get("/check/devices/self", sync_to_thread=True, include_in_schema=False)
def show_self(request: Request[Any, Any, Any]) -> Response[bytes]:
    """How the device stands that asks."""
    application: Application = request.app.state.application
    try:
        row = signing_device(request)
    except Refusal as refusal:
        return refused(request, refusal)
    city = running_zones(application)
    return _answer(
        {
            "state": state_of(row, application.now()),
            "name": row.name,
            "role": row.role,
            "zones": [one for one in city.zones if one.code in row.zones or not row.zones],
            "city": city.city,
            "lease_hours": application.config.devices.lease_hours,
            "time": int(application.now().timestamp()),
        }
    )


@post("/check/leases", sync_to_thread=True, include_in_schema=False)
def grant_lease(request: Request[Any, Any, Any], body: RawBody) -> Response[bytes]:
    """A key for the plate list of the active warden's device that asks; a body says nothing more."""
    application: Application = request.app.state.application
    try:
        device_id = active_device(request, body).id
        with application.writing() as session:
            lease = device_leases.grant(session, application, device_id)
    except Refusal as refusal:
        status = _LEASE_REFUSALS.get(refusal.code)
        if status is None or isinstance(refusal, DeviceRefusal):
            return refused(request, refusal)
        return refused(request, DeviceRefusal(status, refusal.code, headers=_HEADERS))
    return _answer(
        {
            "lease": lease.id,
            "key": base64.urlsafe_b64encode(lease.key).rstrip(b"=").decode(),
            "issued_at": int(lease.issued_at.timestamp()),
            "not_after": int(lease.not_after.timestamp()),
        },
        201,
    )


HANDLERS: list[ControllerRouterHandler] = [enrol_device, show_self, grant_lease]


def _decoded(text: str) -> bytes:
    if _BASE64URL.fullmatch(text) is None:
        raise IssuerRefusal("DEVICE_KEY")
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise IssuerRefusal("DEVICE_KEY") from None


def _answer(told: object, status: int = 200) -> Response[bytes]:
    return Response(
        msgspec.json.encode(told), status_code=status, headers=_HEADERS, media_type="application/json"
    )
