"""The devices of wardens and librarians: enrolling, locking and removing them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.params import Body, FromPath
from litestar.types import ControllerRouterHandler
from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer import device_enrolment, verifier_devices
from issuer.api.auth import ApiRequest, application_of, require
from issuer.api.documentation import Success, documented
from issuer.api.idempotency import Answer, answer_once
from issuer.api.paging import USUAL_PAGE, Cursor, Limit, page_of
from issuer.api.pass_answers import respond
from issuer.api.pass_examples import body_example
from issuer.api.scopes import Scope
from issuer.errors import IssuerRefusal
from issuer.models_access import VerifierDeviceRow
from issuer.verifier_devices import LONGEST_NAME, MOST_ZONES, DeviceState, Role
from issuer.web.problems import Fault, misplaced, problem
from keys.errors import Refusal

_LONGEST_ZONE: Final = 48
_DEVICE_ID: Final = "5d41402abc4b2a76b9719d911017c592"
_PLACE_OF_CODE: Final = {
    "DEVICE_NAME": "#/name",
    "DEVICE_ZONES": "#/zones",
    "ZONE_UNKNOWN": "#/zones",
    "ZONE_ENDED": "#/zones",
    "ZONE_FORMAT": "#/zones",
    "CHECK_CODE_WRONG": "#/check_code",
}

NameText = Annotated[
    str,
    msgspec.Meta(
        min_length=1, max_length=LONGEST_NAME, description="What the office calls it; no name of a person"
    ),
]
ZoneText = Annotated[str, msgspec.Meta(min_length=1, max_length=_LONGEST_ZONE)]


class NewDevice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A device to enrol; without ``zones`` a warden's device is for all."""

    name: NameText
    role: Role
    zones: Annotated[list[ZoneText], msgspec.Meta(max_length=MOST_ZONES)] = msgspec.field(
        default_factory=list
    )


class DeviceChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What of a device can be changed."""

    name: NameText


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


_AT: Final = datetime.fromisoformat("2026-11-20T11:00:00+00:00")
_DEVICE: Final = Device(
    _DEVICE_ID,
    "Handheld 7",
    Role.WARDEN,
    DeviceState.ACTIVE,
    ["BÖ"],
    _AT,
    "api:portal",
    _AT,
    None,
    None,
    None,
)
_INVITATION: Final = Invitation(
    _DEVICE_ID,
    "https://stadtpass.example/check/#enrol=kV3yq0…D2w.5d41402abc4b2a76",
    "kV3yq0…D2w",
    datetime.fromisoformat("2026-11-20T11:10:00+00:00"),
)
_ZONE_REFUSED: Final = problem(
    422,
    "REQUEST_INVALID",
    faults=[Fault("ZONE_UNKNOWN", {"zone": "XX", "known": "BÖ, HO"}, "#/zones")],
)
_WRONG_DIGITS: Final = problem(
    422, "REQUEST_INVALID", faults=[Fault("CHECK_CODE_WRONG", {"left": 2}, "#/check_code")]
)
_UNKNOWN: Final = IssuerRefusal("DEVICE_UNKNOWN", id=_DEVICE_ID)
_NAME_REFUSED: Final = problem(
    422, "REQUEST_INVALID", faults=[Fault("DEVICE_NAME", {"limit": LONGEST_NAME}, "#/name")]
)


@post(
    "/devices",
    sync_to_thread=True,
    guards=[require(Scope.DEVICES_WRITE)],
    operation_id="createDevice",
    tags=["Devices"],
    summary="Enrol a device",
    description=(
        "The answer holds the token that the device fetches the plate list with (`/lists/plates.cwt`). It is not "
        "kept: a repetition of the request with the same `Idempotency-Key` does not get it again."
    ),
    responses=documented(
        Success(
            201, EnrolledDevice, {"device": EnrolledDevice(_DEVICE, f"spd_{_DEVICE_ID}_kV3…")}, "The device"
        ),
        _ZONE_REFUSED,
    ),
)
def create_device(
    request: ApiRequest,
    data: Annotated[
        NewDevice, Body(examples=body_example("warden", NewDevice("Handheld 7", Role.WARDEN, ["BÖ"])))
    ],
) -> Response[bytes]:
    """Enrol a device and show its token."""
    application = application_of(request)

    def effect(session: Session) -> Answer:
        try:
            made = verifier_devices.add_device(
                session, application, data.name, data.role, data.zones, actor=request.user.actor
            )
        except Refusal as refusal:
            raise _placed(refusal) from None
        row = verifier_devices.find_device(session, application.tenant, made.id, application.now())
        headers = {"Location": f"/api/v1/devices/{made.id}"}
        return Answer(201, EnrolledDevice(_shown(row), made.token), headers, secret=True)

    return answer_once(request, data, effect)


@get(
    "/devices",
    sync_to_thread=True,
    guards=[require(Scope.DEVICES_WRITE)],
    operation_id="listDevices",
    tags=["Devices"],
    summary="List devices",
    description="Locked ones too, oldest first.",
    responses=documented(Success(200, DevicePage, {"page": DevicePage([_DEVICE], None)}, "The devices")),
)
def list_devices(request: ApiRequest, cursor: Cursor = None, limit: Limit = USUAL_PAGE) -> Response[bytes]:
    """All devices of the city, in pages."""
    application = application_of(request)
    query = select(VerifierDeviceRow).where(
        VerifierDeviceRow.tenant == application.tenant, verifier_devices.not_over(application.now())
    )
    key = [VerifierDeviceRow.created_at, VerifierDeviceRow.id]
    with application.reading() as session:
        page = page_of(application, session, query, key, name="devices", limit=limit, cursor=cursor)
        return respond(DevicePage([_shown(one) for one in page.items], page.next))


@get(
    "/devices/{device_id:str}",
    sync_to_thread=True,
    guards=[require(Scope.DEVICES_WRITE)],
    operation_id="getDevice",
    tags=["Devices"],
    summary="Read a device",
    responses=documented(Success(200, Device, {"device": _DEVICE}, "The device"), _UNKNOWN),
)
def get_device(request: ApiRequest, device_id: FromPath[str]) -> Response[bytes]:
    """A device as it is now."""
    application = application_of(request)
    with application.reading() as session:
        return respond(
            _shown(verifier_devices.find_device(session, application.tenant, device_id, application.now()))
        )


@patch(
    "/devices/{device_id:str}",
    sync_to_thread=True,
    guards=[require(Scope.DEVICES_WRITE)],
    operation_id="renameDevice",
    tags=["Devices"],
    summary="Rename a device",
    responses=documented(
        Success(200, Device, {"device": _DEVICE}, "The device as it is now"), _UNKNOWN, _NAME_REFUSED
    ),
)
def rename_device(
    request: ApiRequest,
    device_id: FromPath[str],
    data: Annotated[DeviceChange, Body(examples=body_example("name", DeviceChange("Handheld 8")))],
) -> Response[bytes]:
    """Give a device another name."""
    application = application_of(request)
    with application.writing() as session:
        try:
            verifier_devices.rename_device(
                session, application, device_id, data.name, actor=request.user.actor
            )
        except Refusal as refusal:
            raise _placed(refusal) from None
        return respond(
            _shown(verifier_devices.find_device(session, application.tenant, device_id, application.now()))
        )


@delete(
    "/devices/{device_id:str}",
    status_code=204,
    sync_to_thread=True,
    guards=[require(Scope.DEVICES_WRITE)],
    operation_id="deleteDevice",
    tags=["Devices"],
    summary="Remove a device",
    description="Its token never holds again. A list that it has fetched counts on it until the list expires.",
    responses=documented(Success(204, None, {}, "The device is gone"), _UNKNOWN),
)
def delete_device(request: ApiRequest, device_id: FromPath[str]) -> None:
    """Forget a device."""
    application = application_of(request)
    with application.writing() as session:
        verifier_devices.delete_device(session, application, device_id, actor=request.user.actor)


@post(
    "/devices/{device_id:str}/lock",
    status_code=200,
    sync_to_thread=True,
    guards=[require(Scope.DEVICES_WRITE)],
    operation_id="lockDevice",
    tags=["Devices"],
    summary="Lock a device",
    description=(
        "From its next request on it gets no plate list and no lease. What it has already fetched can be read on it "
        "until at most `lease_until`, or, with a token, until the list expires. Locking a locked device changes "
        "nothing."
    ),
    responses=documented(Success(200, Device, {"device": _DEVICE}, "The locked device"), _UNKNOWN),
)
def lock_device(request: ApiRequest, device_id: FromPath[str]) -> Response[bytes]:
    """Lock a device."""
    return _step(request, device_id, verifier_devices.lock_device)


@post(
    "/devices/{device_id:str}/unlock",
    status_code=200,
    sync_to_thread=True,
    guards=[require(Scope.DEVICES_WRITE)],
    operation_id="unlockDevice",
    tags=["Devices"],
    summary="Unlock a device",
    description="Its token holds again.",
    responses=documented(Success(200, Device, {"device": _DEVICE}, "The unlocked device"), _UNKNOWN),
)
def unlock_device(request: ApiRequest, device_id: FromPath[str]) -> Response[bytes]:
    """Unlock a device."""
    return _step(request, device_id, verifier_devices.unlock_device)


@post(
    "/devices/invitations",
    sync_to_thread=True,
    guards=[require(Scope.DEVICES_WRITE)],
    operation_id="inviteDevice",
    tags=["Devices"],
    summary="Invite a device of the verifier's app",
    description=(
        "The answer holds an address for the device to open, usually drawn as a QR code. It holds for ten minutes "
        "and for one device, and is not kept: a repetition of the request with the same `Idempotency-Key` does not "
        "get it again. The device then waits, as `pending`, for `confirmDevice`."
    ),
    responses=documented(
        Success(201, Invitation, {"invitation": _INVITATION}, "The invitation"), _ZONE_REFUSED
    ),
)
def invite_device(
    request: ApiRequest,
    data: Annotated[
        NewDevice, Body(examples=body_example("warden", NewDevice("Handheld 7", Role.WARDEN, ["BÖ"])))
    ],
) -> Response[bytes]:
    """Invite a device and show its code."""
    application = application_of(request)

    def effect(session: Session) -> Answer:
        try:
            made = device_enrolment.invite_device(
                session,
                application,
                data.name,
                data.role,
                data.zones,
                actor=request.user.actor,
                client_id=request.user.id,
            )
        except Refusal as refusal:
            raise _placed(refusal) from None
        headers = {"Location": f"/api/v1/devices/{made.id}"}
        return Answer(201, Invitation(made.id, made.url, made.code, made.expires_at), headers, secret=True)

    return answer_once(request, data, effect)


@post(
    "/devices/{device_id:str}/confirmation",
    status_code=200,
    # A wrong try counts although it is refused, so a repetition is a try of its own.
    opt={"idempotent": False},
    sync_to_thread=True,
    guards=[require(Scope.DEVICES_WRITE)],
    operation_id="confirmDevice",
    tags=["Devices"],
    summary="Let in a device that waits",
    description=(
        "With the six digits that the device shows, by the client that invited it. After three wrong tries the "
        "device is gone, and after ten minutes as well."
    ),
    responses=documented(
        Success(200, Device, {"device": _DEVICE}, "The device, active"),
        IssuerRefusal("DEVICE_INVITED_BY_OTHER"),
        _UNKNOWN,
        IssuerRefusal("DEVICE_NOT_PENDING", id=_DEVICE_ID),
        _WRONG_DIGITS,
    ),
)
def confirm_device(
    request: ApiRequest,
    device_id: FromPath[str],
    data: Annotated[Confirmation, Body(examples=body_example("digits", Confirmation("123 456")))],
) -> Response[bytes]:
    """Let in a device whose digits are right."""
    application = application_of(request)

    try:
        device_enrolment.confirm_device(
            application, device_id, data.check_code, actor=request.user.actor, client_id=request.user.id
        )
    except Refusal as refusal:
        raise _placed(refusal) from None
    with application.reading() as session:
        row = verifier_devices.find_device(session, application.tenant, device_id, application.now())
        return respond(_shown(row))


HANDLERS: list[ControllerRouterHandler] = [
    create_device,
    invite_device,
    confirm_device,
    list_devices,
    get_device,
    rename_device,
    delete_device,
    lock_device,
    unlock_device,
]


def _step(request: ApiRequest, device_id: str, step: Callable[..., None]) -> Response[bytes]:
    application = application_of(request)

    def effect(session: Session) -> Answer:
        step(session, application, device_id, actor=request.user.actor)
        return Answer(
            200,
            _shown(verifier_devices.find_device(session, application.tenant, device_id, application.now())),
        )

    return answer_once(request, None, effect)


def _placed(refusal: Refusal) -> Refusal:
    place = _PLACE_OF_CODE.get(refusal.code)
    return refusal if place is None else misplaced(refusal, pointer=place)


def _shown(row: VerifierDeviceRow) -> Any:
    return Device(
        row.id,
        row.name,
        Role(row.role),
        verifier_devices.state_of(row),
        row.zones,
        row.created_at,
        row.created_by,
        row.last_sync_at,
        row.locked_at,
        row.lease_until,
        row.expires_at,
    )
