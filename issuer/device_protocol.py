"""What devices of the verifier's app ask: enrolling, their own state, leases.

Plates are with the other lists (`published_lists`), card numbers of a library in `device_cards`.
"""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, get, post
from litestar.params import RawBody
from litestar.types import ControllerRouterHandler

from issuer import device_cards, tariffs
from issuer.application import Application
from issuer.device_enrolment import enrol_device
from issuer.device_leases import grant_lease
from issuer.device_requests import signed_request
from issuer.verifier_devices import Role, state_of
from issuer.web.problems import problem
from issuer.web.verifier_app import Zone
from passes.periods import berlin_day

LARGEST: Final = 4096
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Enrolling(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new device's code, key and proof, as `enrol_device` takes them."""

    code: _Text
    public_key: _Text
    signature: _Text


class Waiting(msgspec.Struct, frozen=True):
    """An enrolled device that waits for its confirmation."""

    device: str
    check_code: str


class Self(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a device may know of itself; ``zones`` empty for all, ``card_schemes`` for librarians alone."""

    state: str
    name: str
    role: Role
    zones: list[Zone]
    city: str
    lease_hours: int
    time: datetime
    card_schemes: tuple[str, ...] = ()


class Leased(msgspec.Struct, frozen=True):
    """A lease; times in seconds since 1970."""

    lease: str
    key: str
    issued_at: int
    not_after: int


@post("/check/devices", sync_to_thread=True, request_max_body_size=LARGEST, include_in_schema=False)
def enrol(request: Request[Any, Any, Any], body: RawBody) -> Response[bytes]:
    """Enrol a device by its invitation."""
    try:
        given = msgspec.json.decode(body, type=Enrolling)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise problem(400, "REQUEST_UNREADABLE") from None
    made = enrol_device(_application(request), given.code, given.public_key, given.signature)
    return _answer(201, Waiting(made.id, made.check_code))


@get("/check/devices/self", sync_to_thread=True, include_in_schema=False)
def tell_self(request: Request[Any, Any, Any]) -> Response[bytes]:
    """What the device that asks is, also while it waits or is locked."""
    application = _application(request)
    row = signed_request(application, request).device
    with application.reading() as session:
        settings = application.settings(session)
        known = tariffs.zones(session, application.tenant)
    day = berlin_day(application.now())
    # A device that was enrolled for a zone which was merged works in the successor, also next to one of it.
    zones = {one.code: one for one in (Zone.on(known, code, day) for code in row.zones if code in known)}
    told = Self(
        state_of(row).value,
        row.name,
        Role(row.role),
        list(zones.values()),
        settings.city_name,
        application.config.devices.lease_hours,
        application.now(),
        settings.library_card_schemes if row.role == Role.LIBRARIAN.value else (),
    )
    return _answer(200, told)


@post("/check/leases", sync_to_thread=True, request_max_body_size=LARGEST, include_in_schema=False)
def lease(request: Request[Any, Any, Any], body: RawBody) -> Response[bytes]:
    """Give a warden's device a key for its shift."""
    application = _application(request)
    signed = signed_request(application, request, body)
    with application.writing() as session:
        made = grant_lease(session, application, signed)
    key = base64.urlsafe_b64encode(made.key).rstrip(b"=").decode()
    return _answer(
        201, Leased(made.id, key, int(made.issued_at.timestamp()), int(made.not_after.timestamp()))
    )


HANDLERS: list[ControllerRouterHandler] = [enrol, tell_self, lease, *device_cards.HANDLERS]


def _application(request: Request[Any, Any, Any]) -> Application:
    application: Application = request.app.state.application
    return application


def _answer(status: int, told: Enrolling | Waiting | Self | Leased) -> Response[bytes]:
    return Response(
        msgspec.json.encode(told),
        status_code=status,
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
