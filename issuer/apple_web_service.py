"""Apple's web service: the five endpoints by which phones register and fetch passes.

The protocol is Apple's ("Adding a Web Service to Update Passes"); iOS is the only client, and it shows nobody an
error text, so answers without content have an empty body. What an answer tells is kept small on purpose: a missing
header, a wrong token, an unknown serial and one of another city get the same 401 after the same work.

No update can be lost between a phone and here. Update tags are drawn inside the writing transaction that makes the
change, and there is one writing transaction at a time: tags become visible in the order of their numbers. So when
the list shows a phone the tag N as the newest, every change with a smaller tag is in that list or was in one
before, and a change that comes later has a greater tag and is in the next one. A registration draws a tag of its own,
since the pass that the phone holds may be older than the tag the phone asks with.
"""

from __future__ import annotations

import hmac
import re
import secrets
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any, Final

import msgspec
from litestar import Request, Response, Router, delete, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler
from sqlalchemy import delete as delete_from
from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from issuer import wallet_passes
from issuer.application import Application
from issuer.models_delivery import AppleDeviceRow, AppleLogRow, AppleRegistrationRow, WalletPassRow
from issuer.outgoing import PUSH_TASK, SEQUENCE, EventName, PassEvent, tell
from issuer.sequences import next_sequence
from issuer.wallet_passes import AppleAccess
from issuer.web.problems import problem
from issuer.web.rates import Rate, is_free, take

MEDIA_TYPE: Final = "application/vnd.apple.pkpass"
# Nobody has so many passes of one city on one phone.
REGISTRATIONS_PER_DEVICE: Final = 200

_SERIAL: Final = re.compile(r"[0-9a-f]{32}")
_DEVICE: Final = re.compile(r"[A-Za-z0-9._-]{1,100}")
_PUSH_TOKEN: Final = re.compile(r"(?:[0-9A-Fa-f]{2}){4,100}")
_TAG: Final = re.compile(r"[0-9]{1,18}")
_SCHEME: Final = "applepass "
_LONGEST_HEADER: Final = 200
# What an unknown serial is compared with; nothing is equal to it.
_NO_TOKEN: Final = secrets.token_hex(32)
_REGISTER_BYTES: Final = 4 * 1024
_LOG_BYTES: Final = 64 * 1024
_LOG_LINES: Final = 50
_LOG_LENGTH: Final = 500
_LOG_RATE: Final = Rate("apple-log", seconds=5, burst=100)
# Tokens, device ids and serials are hex, with or without hyphens.
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]-?){17,}")
_MAIL: Final = re.compile(r"[^\s@<>]{1,64}@[^\s@<>]{1,255}")

_NOT_STORED: Final = {"Cache-Control": "no-store"}

_Request = Request[Any, Any, Any]
_REGISTRATIONS: Final = "/devices/{device:str}/registrations/{kind:str}"


class _Registration(msgspec.Struct):
    push_token: str = msgspec.field(name="pushToken")


class _Logs(msgspec.Struct):
    logs: list[str]


@post(
    _REGISTRATIONS + "/{serial:str}",
    sync_to_thread=True,
    include_in_schema=False,
    request_max_body_size=_REGISTER_BYTES,
)
def register(
    request: _Request, device: FromPath[str], kind: FromPath[str], serial: FromPath[str], body: RawBody
) -> Response[bytes]:
    """Register a pass on a device: 201 if it is new there, 200 if it was known, 400, 401.

    More devices than the city allows for a pass get 401 as well: of all refusals that is the one after which a
    phone does not keep trying.
    """
    _check_names(device, serial)
    application = _application(request)
    if not _is_allowed(request, application, kind, serial):
        return _refused()
    push_token = _push_token(body)
    with application.writing() as session:
        created = _register(session, application, (device, push_token.lower(), serial))
    if created is None:
        return _refused()
    return _empty(201 if created else 200)


@get(_REGISTRATIONS, sync_to_thread=True, include_in_schema=False)
def changed(request: _Request, device: FromPath[str], kind: FromPath[str]) -> Response[bytes]:
    """The serials of a device's passes that changed since a tag: 200, or 204 if there is none.

    Apple sends no credentials here; the device id is what a phone has to know. A tag that is none of ours is
    treated as if there were none: the phone then fetches everything and knows a good one.
    """
    if _DEVICE.fullmatch(device) is None:
        raise NotFoundException
    application = _application(request)
    told = request.query_params.get("passesUpdatedSince", "")
    since = int(told) if _TAG.fullmatch(told) else -1
    with application.reading() as session:
        if kind != application.settings(session).apple_pass_type_identifier:
            return _empty(204)
        tenant = application.tenant
        rows = session.execute(
            select(WalletPassRow.serial, WalletPassRow.update_tag, AppleRegistrationRow.registered_tag)
            .join(
                AppleRegistrationRow,
                (AppleRegistrationRow.tenant == tenant)
                & (AppleRegistrationRow.serial == WalletPassRow.serial),
            )
            .where(
                WalletPassRow.tenant == tenant,
                AppleRegistrationRow.device_id == device,
                or_(WalletPassRow.update_tag > since, AppleRegistrationRow.registered_tag > since),
            )
            .order_by(WalletPassRow.serial)
        ).all()
    if not rows:
        return _empty(204)
    newest = max(max(update_tag, registered_tag) for _, update_tag, registered_tag in rows)
    # Phones keep the tag as they get it, and take nothing but a string.
    answer = {"serialNumbers": [serial for serial, _, _ in rows], "lastUpdated": str(newest)}
    return Response(msgspec.json.encode(answer), media_type="application/json", headers=_NOT_STORED)


@get("/passes/{kind:str}/{serial:str}", sync_to_thread=True, include_in_schema=False)
def fetch(request: _Request, kind: FromPath[str], serial: FromPath[str]) -> Response[bytes]:
    """The newest version of a pass: 200, 304 if it is not newer than the phone's, 401."""
    _check_names("-", serial)
    application = _application(request)
    with application.reading() as session:
        # Before anything else, so that a date tells nobody whether a pass has changed.
        access = _allowed(request, application, session, kind, serial)
        if access is None:
            return _refused()
        headers = {
            "Last-Modified": format_datetime(access.modified_at, usegmt=True),
            "Cache-Control": "no-cache",
        }
        known = _http_date(request.headers.get("if-modified-since", ""))
        if known is not None and access.modified_at <= known:
            return Response(b"", status_code=304, headers=headers)
        # In the same transaction, so that date and pass are of one state.
        found = wallet_passes.find(application, session, serial)
        if found is None:
            return _refused()
        data = wallet_passes.apple_pass(application, session, found)
    return Response(data, media_type=MEDIA_TYPE, headers=headers)


@delete(_REGISTRATIONS + "/{serial:str}", status_code=200, sync_to_thread=True, include_in_schema=False)
def unregister(
    request: _Request, device: FromPath[str], kind: FromPath[str], serial: FromPath[str]
) -> Response[bytes]:
    """Take a pass off a device: 200, also if it was not there any more, 401."""
    _check_names(device, serial)
    application = _application(request)
    if not _is_allowed(request, application, kind, serial):
        return _refused()
    with application.writing() as session:
        _unregister(session, application, device, serial)
    return _empty(200)


@post(
    "/log",
    status_code=200,
    sync_to_thread=True,
    include_in_schema=False,
    request_max_body_size=_LOG_BYTES,
)
def log(request: _Request, body: RawBody) -> Response[bytes]:
    """Keep what phones complain about, for days and in small numbers: 200, 400.

    Anybody can call this, so there is a limit to how often something is written, and beyond it nothing is.
    """
    application = _application(request)
    try:
        lines = msgspec.json.decode(body, type=_Logs).logs
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise problem(400, "REQUEST_UNREADABLE") from None
    kept = application.config.apple.logs_kept
    wanted = [_harmless(line) for line in lines[:_LOG_LINES]][:kept]
    if not wanted:
        return _empty(200)
    with application.reading() as session:
        if not is_free(session, application, _LOG_RATE, ""):
            return _empty(200)
    with application.writing() as session:
        if take(session, application, _LOG_RATE, ""):
            _keep(session, application, wanted, kept)
    return _empty(200)


# In one router: the framework wraps handlers that share a path and come one by one twice, and they break.
HANDLERS: list[ControllerRouterHandler] = [
    Router(path="/apple/v1", route_handlers=[register, changed, fetch, unregister, log])
]


def _application(request: _Request) -> Application:
    application: Application = request.app.state.application
    return application


def _empty(status: int) -> Response[bytes]:
    return Response(b"", status_code=status, headers=_NOT_STORED)


def _refused() -> Response[bytes]:
    return Response(b"", status_code=401, headers={**_NOT_STORED, "WWW-Authenticate": "ApplePass"})


def _check_names(device: str, serial: str) -> None:
    """What cannot be a name of ours is nowhere, and never reaches the register."""
    if _DEVICE.fullmatch(device) is None or _SERIAL.fullmatch(serial) is None:
        raise NotFoundException


def _allowed(
    request: _Request, application: Application, session: Session, kind: str, serial: str
) -> AppleAccess | None:
    """The pass, if the request brings the token of exactly this pass of this city."""
    header = request.headers.get("authorization", "")[:_LONGEST_HEADER]
    brought = header[len(_SCHEME) :].strip() if header.lower().startswith(_SCHEME) else ""
    found = wallet_passes.apple_access(session, application.tenant, serial)
    ours = application.settings(session).apple_pass_type_identifier
    same_token = hmac.compare_digest(brought.encode(), (found.token if found else _NO_TOKEN).encode())
    same_kind = hmac.compare_digest(kind.encode(), ours.encode())
    if not same_token & same_kind or found is None:
        return None
    # A certificate of residence is never a pass, whatever asks for it.
    return found if "apple" in application.pass_types[found.type_id].carriers else None


def _is_allowed(request: _Request, application: Application, kind: str, serial: str) -> bool:
    with application.reading() as session:
        return _allowed(request, application, session, kind, serial) is not None


def _push_token(body: bytes) -> str:
    try:
        token = msgspec.json.decode(body, type=_Registration).push_token
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise problem(400, "REQUEST_UNREADABLE") from None
    if _PUSH_TOKEN.fullmatch(token) is None:
        raise problem(400, "REQUEST_UNREADABLE")
    return token


def _register(session: Session, application: Application, asked: tuple[str, str, str]) -> bool | None:
    """Enter (device id, push token, serial): True if new, False if known, None if there is no room for it."""
    device_id, push_token, serial = asked
    tenant, now = application.tenant, application.now()
    wallet = session.get(WalletPassRow, (tenant, serial))
    if wallet is None:
        return None
    registration = session.get(AppleRegistrationRow, (tenant, device_id, serial))
    if registration is None and not _has_room(session, application, device_id, serial):
        return None
    device = session.get(AppleDeviceRow, (tenant, device_id))
    if device is None:
        device = AppleDeviceRow(
            tenant=tenant,
            device_id=device_id,
            push_token=push_token,
            created_at=now,
            updated_at=now,
            failing_since=None,
        )
        session.add(device)
        session.flush()
    elif device.push_token != push_token:
        device.push_token = push_token
        # Pushes to the old token may have gone nowhere, although Apple took them.
        session.execute(
            update(AppleRegistrationRow)
            .where(AppleRegistrationRow.tenant == tenant, AppleRegistrationRow.device_id == device_id)
            .values(pushed_tag=0)
        )
    device.updated_at, device.failing_since = now, None
    created = registration is None
    if registration is None:
        registration = AppleRegistrationRow(
            tenant=tenant, device_id=device_id, serial=serial, created_at=now, pushed_tag=0
        )
        session.add(registration)
        event = PassEvent(EventName.CARRIER_ADDED, wallet.type_id, wallet.number, serial)
        tell(session, tenant, [event], now)
    registration.registered_tag = next_sequence(session, tenant, SEQUENCE, now)
    session.flush()
    application.enqueue(session, PUSH_TASK, {"serials": [serial]})
    return created


def _has_room(session: Session, application: Application, device_id: str, serial: str) -> bool:
    def count(*what: Any) -> int:
        found = select(func.count()).where(AppleRegistrationRow.tenant == application.tenant, *what)
        return session.scalar(found) or 0

    return (
        count(AppleRegistrationRow.serial == serial) < application.config.apple.devices_per_pass
        and count(AppleRegistrationRow.device_id == device_id) < REGISTRATIONS_PER_DEVICE
    )


def _unregister(session: Session, application: Application, device_id: str, serial: str) -> None:
    tenant = application.tenant
    registration = session.get(AppleRegistrationRow, (tenant, device_id, serial))
    if registration is None:
        return
    session.delete(registration)
    session.flush()
    left = select(AppleRegistrationRow.serial).where(
        AppleRegistrationRow.tenant == tenant, AppleRegistrationRow.device_id == device_id
    )
    if session.scalar(left.limit(1)) is None:
        session.execute(
            delete_from(AppleDeviceRow).where(
                AppleDeviceRow.tenant == tenant, AppleDeviceRow.device_id == device_id
            )
        )
    wallet = session.get(WalletPassRow, (tenant, serial))
    if wallet is not None:
        event = PassEvent(EventName.CARRIER_REMOVED, wallet.type_id, wallet.number, serial)
        tell(session, tenant, [event], application.now())


def _keep(session: Session, application: Application, lines: list[str], kept: int) -> None:
    tenant, now = application.tenant, application.now()
    session.add_all(
        AppleLogRow(tenant=tenant, id=secrets.token_hex(16), at=now, message=line) for line in lines
    )
    session.flush()
    surplus = (
        select(AppleLogRow.id)
        .where(AppleLogRow.tenant == tenant)
        .order_by(AppleLogRow.at.desc(), AppleLogRow.id)
        .offset(kept)
    )
    found = session.scalars(surplus).all()
    if found:
        session.execute(
            delete_from(AppleLogRow).where(AppleLogRow.tenant == tenant, AppleLogRow.id.in_(found))
        )


def _harmless(line: str) -> str:
    """``line`` in one line of limited length, without tokens, ids and mail addresses."""
    shown = "".join(sign if sign.isprintable() else " " for sign in line[: 4 * _LOG_LENGTH])
    return _MAIL.sub("[mail]", _HEX.sub("[hex]", shown))[:_LOG_LENGTH]


def _http_date(text: str) -> datetime | None:
    """An HTTP date in any of its three forms (RFC 9110, 5.6.7); None for anything else."""
    try:
        found = parsedate_to_datetime(text[:_LONGEST_HEADER])
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found
