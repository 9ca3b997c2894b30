"""The devices of wardens and librarians: inviting, letting in, naming, locking.

A page shows the day of a device's last sync and no more: when somebody's shift began is nobody's business here, and
what a device has checked never leaves it.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath

from issuer import verifier_devices
from issuer.console.desk import Desk, acting_desk_of, choices_of, desk_of
from issuer.console.moments import moment
from issuer.console.rule_pages import CONFLICT, WRONG, Faults
from issuer.device_enrolment import confirm_device, invite_device
from issuer.errors import IssuerRefusal
from issuer.models_access import VerifierDeviceRow
from issuer.tariffs import zones
from issuer.verifier_devices import DeviceState, Role, find_device, state_of
from issuer.web.forms import FormData, text_of
from issuer.web.reader import AnyRequest
from keys.errors import Refusal
from passes.display import day_text
from passes.periods import BERLIN, berlin_day
from passes.qr import link_png

_LIST: Final = ("OFFICE_MENU_DEVICES", "/office/devices")
_DONE: Final = ("named", "locked", "unlocked", "confirmed")
_ID: Final = re.compile(r"[0-9a-f]{32}")
_FIELD_OF: Final = {
    "DEVICE_NAME": "name",
    "DEVICE_ZONES": "zones",
    "ZONE_UNKNOWN": "zones",
    "ZONE_ENDED": "zones",
}
_BADGES: Final = {
    DeviceState.ACTIVE: "success",
    DeviceState.INVITED: "info",
    DeviceState.PENDING: "warning",
    DeviceState.LOCKED: "danger",
}


@get("/office/devices", sync_to_thread=True)
def show_devices(request: AnyRequest) -> Response[Any]:
    """All devices, those that wait and the locked ones too."""
    desk = desk_of(request)
    application = desk.application
    with application.reading() as session:
        rows = verifier_devices.devices(session, application.tenant, application.now())
    return desk.page("devices.html", rows=[_described(desk, one) for one in rows])


@get("/office/devices/new", sync_to_thread=True)
def ask_new(request: AnyRequest) -> Response[Any]:
    """The form for an invitation."""
    return _new_page(desk_of(request), {"name": "", "role": Role.WARDEN.value}, set(), Faults())


@post("/office/devices/new", status_code=303, sync_to_thread=True)
def invite(request: AnyRequest, data: FormData) -> Response[Any]:
    """Make an invitation and show its code, this once."""
    desk = acting_desk_of(request, data)
    application, language = desk.application, desk.reader.language
    values = {"name": text_of(data, "name"), "role": text_of(data, "role")}
    chosen, faults = choices_of(data, "zones"), Faults()
    try:
        with application.writing() as session:
            made = invite_device(
                session,
                application,
                values["name"],
                Role(values["role"]) if values["role"] in set(Role) else Role.WARDEN,
                sorted(chosen),
                actor=desk.staff.actor,
                client_id=desk.staff.account_id,
            )
    except Refusal as refusal:
        if refusal.code not in _FIELD_OF:
            raise
        faults.take(refusal, _FIELD_OF[refusal.code], language)
        return _new_page(desk, values, chosen, faults)
    picture = base64.b64encode(link_png(made.url)).decode()
    return _waiting_page(desk, made.id, values["name"], picture=picture, link=made.url, until=made.expires_at)


@get("/office/devices/{device_id:str}", sync_to_thread=True)
def show_device(request: AnyRequest, device_id: FromPath[str]) -> Response[Any]:
    """One device with what can be done to it."""
    return _device_page(desk_of(request), device_id, done=request.query_params.get("done", ""))


@post("/office/devices/{device_id:str}/confirm", status_code=303, sync_to_thread=True)
def confirm(request: AnyRequest, device_id: FromPath[str], data: FormData) -> Response[Any]:
    """Let in a device that shows the six digits; only who has invited it may."""
    desk = acting_desk_of(request, data)
    try:
        confirm_device(
            desk.application,
            _checked(device_id),
            text_of(data, "digits"),
            actor=desk.staff.actor,
            client_id=desk.staff.account_id,
        )
    except IssuerRefusal as refusal:
        if refusal.code == "DEVICE_UNKNOWN" or not refusal.params.get("left", 1):
            # Its time is over, or the third try was wrong as well: there is no such device any more.
            return desk.under(_LIST).page(
                "rule_refused.html",
                status=CONFLICT,
                text=desk.reader.say("OFFICE_DEVICE_GONE"),
                back="/office/devices/new",
            )
        return _device_page(desk, device_id, faults=_said(desk, refusal, "digits"))
    return desk.go(f"/office/devices/{device_id}", done="confirmed")


@post("/office/devices/{device_id:str}/name", status_code=303, sync_to_thread=True)
def rename(request: AnyRequest, device_id: FromPath[str], data: FormData) -> Response[Any]:
    """Call the device something else."""
    desk = acting_desk_of(request, data)
    name = text_of(data, "name")
    try:
        with desk.application.writing() as session:
            verifier_devices.rename_device(
                session, desk.application, _checked(device_id), name, actor=desk.staff.actor
            )
    except IssuerRefusal as refusal:
        if refusal.code != "DEVICE_NAME":
            raise
        return _device_page(desk, device_id, name=name, faults=_said(desk, refusal, "name"))
    return desk.go(f"/office/devices/{device_id}", done="named")


@post("/office/devices/{device_id:str}/lock", status_code=303, sync_to_thread=True)
def lock(request: AnyRequest, device_id: FromPath[str], data: FormData) -> Response[Any]:
    """From its next request on the device gets nothing."""
    desk = acting_desk_of(request, data)
    with desk.application.writing() as session:
        verifier_devices.lock_device(session, desk.application, _checked(device_id), actor=desk.staff.actor)
    return desk.go(f"/office/devices/{device_id}", done="locked")


@post("/office/devices/{device_id:str}/unlock", status_code=303, sync_to_thread=True)
def unlock(request: AnyRequest, device_id: FromPath[str], data: FormData) -> Response[Any]:
    """Let a locked device fetch again."""
    desk = acting_desk_of(request, data)
    with desk.application.writing() as session:
        verifier_devices.unlock_device(session, desk.application, _checked(device_id), actor=desk.staff.actor)
    return desk.go(f"/office/devices/{device_id}", done="unlocked")


def _checked(device_id: str) -> str:
    if _ID.fullmatch(device_id) is None:
        raise IssuerRefusal("DEVICE_UNKNOWN", id=device_id[:40])
    return device_id


def _said(desk: Desk, refusal: Refusal, field: str) -> Faults:
    faults = Faults()
    faults.take(refusal, field, desk.reader.language)
    return faults


def _new_page(desk: Desk, values: Mapping[str, str], chosen: set[str], faults: Faults) -> Response[Any]:
    day = berlin_day(desk.application.now())
    with desk.application.reading() as session:
        known = zones(session, desk.application.tenant)
    return desk.under(_LIST).page(
        "device_new.html",
        status=WRONG if faults else 200,
        values=values,
        faults=faults,
        roles=[(role.value, desk.reader.say(f"OFFICE_DEVICE_{role.name}")) for role in Role],
        zones=[
            (code, one.on(day).zone.name, code in chosen)
            for code, one in sorted(known.items())
            if one.holds_on(day)
        ],
    )


def _waiting_page(
    desk: Desk, device_id: str, name: str, *, picture: str, link: str, until: datetime
) -> Response[Any]:
    return desk.under(_LIST).page(
        "device_invited.html",
        device_id=device_id,
        name=name,
        picture=picture,
        link=link,
        until=until.astimezone(BERLIN).strftime("%H:%M"),
        faults=Faults(),
    )


def _device_page(
    desk: Desk,
    device_id: str,
    *,
    done: str = "",
    name: str | None = None,
    faults: Faults | None = None,
) -> Response[Any]:
    application = desk.application
    with application.reading() as session:
        row = find_device(session, application.tenant, _checked(device_id), application.now())
    wrong = faults or Faults()
    return desk.under(_LIST).page(
        "device_one.html",
        status=WRONG if wrong else 200,
        device=_described(desk, row),
        values={"name": row.name if name is None else name, "digits": ""},
        faults=wrong,
        is_own=row.invited_by == desk.staff.account_id,
        done=done if done in _DONE else "",
    )


def _described(desk: Desk, row: VerifierDeviceRow) -> dict[str, Any]:
    say, language, now = desk.reader.say, desk.reader.language, desk.application.now()
    state = state_of(row)
    readable = row.lease_until is not None and row.lease_until > now
    return {
        "id": row.id,
        "name": row.name,
        "role": say(f"OFFICE_DEVICE_{row.role.upper()}"),
        "zones": ", ".join(row.zones) or say("OFFICE_DEVICE_ALL_ZONES"),
        "is_warden": row.role == Role.WARDEN.value,
        "state": state.value,
        "state_text": say(f"OFFICE_DEVICE_STATE_{state.name}"),
        "badge": _BADGES[state],
        "created": day_text(berlin_day(row.created_at), language),
        "last_sync": day_text(berlin_day(row.last_sync_at), language) if row.last_sync_at else "",
        "locked": moment(row.locked_at, language) if row.locked_at else "",
        "readable": moment(row.lease_until, language) if row.lease_until and readable else "",
        "until": moment(row.expires_at, language) if row.expires_at else "",
    }


HANDLERS: Final = [show_devices, ask_new, invite, show_device, confirm, rename, lock, unlock]
