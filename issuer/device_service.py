"""What verifier devices with keys ask for under ``/check/``: enrolling, and how they stand."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, Final

import msgspec
from litestar import Request, Response, get, post
from litestar.params import RawBody
from litestar.types import ControllerRouterHandler

from issuer import device_enrolment
from issuer.application import Application
from issuer.device_signatures import signing_device
from issuer.errors import IssuerRefusal
from issuer.web.problems import problem, refused
from issuer.web.verifier_app import running_zones
from keys.errors import Refusal

_HEADERS: Final = {"Cache-Control": "private, no-store"}
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
    waiting = "pending" if row.pending_until is not None else "active"
    return _answer(
        {
            "state": "locked" if row.locked_at is not None else waiting,
            "name": row.name,
            "role": row.role,
            "zones": [one for one in city.zones if one.code in row.zones or not row.zones],
            "city": city.city,
            "time": int(application.now().timestamp()),
        }
    )


HANDLERS: list[ControllerRouterHandler] = [enrol_device, show_self]


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
