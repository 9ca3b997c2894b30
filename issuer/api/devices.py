"""The devices of wardens and librarians: reading, renaming, locking and removing them.

How they come in is in `device_enrolling`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final

from litestar import Response, delete, get, patch, post
from litestar.params import Body, FromPath
from litestar.types import ControllerRouterHandler
from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer import verifier_devices
from issuer.api import device_enrolling
from issuer.api.auth import ApiRequest, application_of
from issuer.api.device_answers import (
    DEVICE,
    UNKNOWN,
    described,
    device_answer,
    faults_placed,
    shown,
    the_device,
)
from issuer.api.device_schemas import DeviceChange, DevicePage
from issuer.api.documentation import Success
from issuer.api.idempotency import Answer, answer_once
from issuer.api.paging import USUAL_PAGE, Cursor, Limit, page_of
from issuer.api.pass_answers import respond
from issuer.api.pass_examples import body_example
from issuer.models_access import VerifierDeviceRow
from issuer.verifier_devices import LONGEST_NAME
from issuer.web.problems import Fault, problem

_NAME_REFUSED: Final = problem(
    422, "REQUEST_INVALID", faults=[Fault("DEVICE_NAME", {"limit": LONGEST_NAME}, "#/name")]
)


@get(
    "/devices",
    **described(
        "listDevices",
        "List devices",
        Success(200, DevicePage, {"page": DevicePage([DEVICE], None)}, "The devices"),
        description="Locked ones too, oldest first.",
    ),
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
        return respond(DevicePage([shown(one) for one in page.items], page.next))


@get(
    "/devices/{device_id:str}",
    **described("getDevice", "Read a device", the_device("The device"), UNKNOWN),
)
def get_device(request: ApiRequest, device_id: FromPath[str]) -> Response[bytes]:
    """A device as it is now."""
    application = application_of(request)
    with application.reading() as session:
        return respond(device_answer(application, session, device_id))


@patch(
    "/devices/{device_id:str}",
    **described(
        "renameDevice", "Rename a device", the_device("The device as it is now"), UNKNOWN, _NAME_REFUSED
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
        with faults_placed():
            verifier_devices.rename_device(
                session, application, device_id, data.name, actor=request.user.actor
            )
        return respond(device_answer(application, session, device_id))


@delete(
    "/devices/{device_id:str}",
    **described(
        "deleteDevice",
        "Remove a device",
        Success(204, None, {}, "The device is gone"),
        UNKNOWN,
        description="Its token never holds again. A list that it has fetched counts on it until the list expires.",
    ),
)
def delete_device(request: ApiRequest, device_id: FromPath[str]) -> None:
    """Forget a device."""
    application = application_of(request)
    with application.writing() as session:
        verifier_devices.delete_device(session, application, device_id, actor=request.user.actor)


@post(
    "/devices/{device_id:str}/lock",
    **described(
        "lockDevice",
        "Lock a device",
        the_device("The locked device"),
        UNKNOWN,
        description=(
            "From its next request on it gets no plate list and no lease. What it has already fetched can be read on "
            "it until at most `lease_until`, or, with a token, until the list expires. Locking a locked device "
            "changes nothing."
        ),
    ),
)
def lock_device(request: ApiRequest, device_id: FromPath[str]) -> Response[bytes]:
    """Lock a device."""
    return _step(request, device_id, verifier_devices.lock_device)


@post(
    "/devices/{device_id:str}/unlock",
    **described(
        "unlockDevice",
        "Unlock a device",
        the_device("The unlocked device"),
        UNKNOWN,
        description="Its token holds again.",
    ),
)
def unlock_device(request: ApiRequest, device_id: FromPath[str]) -> Response[bytes]:
    """Unlock a device."""
    return _step(request, device_id, verifier_devices.unlock_device)


HANDLERS: list[ControllerRouterHandler] = [
    *device_enrolling.HANDLERS,
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
        return Answer(200, device_answer(application, session, device_id))

    return answer_once(request, None, effect)
