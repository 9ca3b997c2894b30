"""How devices come in: with a token at once, or by an invitation that is confirmed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

from litestar import Response, post
from litestar.params import Body, FromPath
from litestar.types import ControllerRouterHandler
from sqlalchemy.orm import Session

from issuer import device_enrolment, verifier_devices
from issuer.api.auth import ApiRequest, application_of
from issuer.api.device_answers import (
    DEVICE,
    DEVICE_ID,
    UNKNOWN,
    described,
    device_answer,
    faults_placed,
    location,
    the_device,
)
from issuer.api.device_schemas import Confirmation, EnrolledDevice, Invitation, NewDevice
from issuer.api.documentation import Success
from issuer.api.idempotency import Answer, answer_once
from issuer.api.pass_answers import respond
from issuer.api.pass_examples import body_example
from issuer.errors import IssuerRefusal
from issuer.verifier_devices import Role
from issuer.web.problems import Fault, problem

_NEW: Final = body_example("warden", NewDevice("Handheld 7", Role.WARDEN, ["BÖ"]))
_ENROLLED: Final = EnrolledDevice(DEVICE, f"spd_{DEVICE_ID}_kV3…")
_INVITATION: Final = Invitation(
    DEVICE_ID,
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


@post(
    "/devices",
    **described(
        "createDevice",
        "Enrol a device",
        Success(201, EnrolledDevice, {"device": _ENROLLED}, "The device"),
        _ZONE_REFUSED,
        description=(
            "The answer holds the token that the device fetches the plate list with (`/lists/plates.cwt`). It is not "
            "kept: a repetition of the request with the same `Idempotency-Key` does not get it again."
        ),
    ),
)
def create_device(request: ApiRequest, data: Annotated[NewDevice, Body(examples=_NEW)]) -> Response[bytes]:
    """Enrol a device and show its token."""
    application = application_of(request)

    def effect(session: Session) -> Answer:
        with faults_placed():
            made = verifier_devices.add_device(
                session, application, data.name, data.role, data.zones, actor=request.user.actor
            )
        body = EnrolledDevice(device_answer(application, session, made.id), made.token)
        return Answer(201, body, location(made.id), secret=True)

    return answer_once(request, data, effect)


@post(
    "/devices/invitations",
    **described(
        "inviteDevice",
        "Invite a device of the verifier's app",
        Success(201, Invitation, {"invitation": _INVITATION}, "The invitation"),
        _ZONE_REFUSED,
        description=(
            "The answer holds an address for the device to open, usually drawn as a QR code. It holds for ten "
            "minutes and for one device, and is not kept: a repetition of the request with the same "
            "`Idempotency-Key` does not get it again. The device then waits, as `pending`, for `confirmDevice`."
        ),
    ),
)
def invite_device(request: ApiRequest, data: Annotated[NewDevice, Body(examples=_NEW)]) -> Response[bytes]:
    """Invite a device and show its code."""
    application = application_of(request)

    def effect(session: Session) -> Answer:
        with faults_placed():
            made = device_enrolment.invite_device(
                session,
                application,
                data.name,
                data.role,
                data.zones,
                actor=request.user.actor,
                client_id=request.user.id,
            )
        body = Invitation(made.id, made.url, made.code, made.expires_at)
        return Answer(201, body, location(made.id), secret=True)

    return answer_once(request, data, effect)


@post(
    "/devices/{device_id:str}/confirmation",
    # A wrong try counts although it is refused, so a repetition is a try of its own.
    opt={"idempotent": False},
    **described(
        "confirmDevice",
        "Let in a device that waits",
        the_device("The device, active"),
        IssuerRefusal("DEVICE_INVITED_BY_OTHER"),
        UNKNOWN,
        IssuerRefusal("DEVICE_NOT_PENDING", id=DEVICE_ID),
        _WRONG_DIGITS,
        description=(
            "With the six digits that the device shows, by the client that invited it. After three wrong tries the "
            "device is gone, and after ten minutes as well."
        ),
    ),
)
def confirm_device(
    request: ApiRequest,
    device_id: FromPath[str],
    data: Annotated[Confirmation, Body(examples=body_example("digits", Confirmation("123 456")))],
) -> Response[bytes]:
    """Let in a device whose digits are right."""
    application = application_of(request)
    with faults_placed():
        device_enrolment.confirm_device(
            application, device_id, data.check_code, actor=request.user.actor, client_id=request.user.id
        )
    with application.reading() as session:
        return respond(device_answer(application, session, device_id))


HANDLERS: list[ControllerRouterHandler] = [create_device, invite_device, confirm_device]
