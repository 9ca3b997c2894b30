"""Trust bundle, index, status lists and plate list under stable addresses.

The addresses: ``/lists/root.pub`` (for comparing; a device gets its root another way), ``/lists/bundle.cwt``,
``/lists/index.cwt``, ``/status/N`` as the index names it, and ``/lists/plates.cwt`` for enrolled devices of wardens.

Every answer must be asked for anew (``no-cache``): an index fresh from here beside a status list that some cache has
kept would look like a roll-back. That costs little: a list that has not changed is one small query and no body. Lists
are compressed already, or do not shrink enough to pay for it on every request; they are sent as they are.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Annotated, Any, Final
from weakref import WeakKeyDictionary

from litestar import HttpMethod, Request, Response, route
from litestar.params import PathParameter
from litestar.types import ControllerRouterHandler
from sqlalchemy import Engine, select

from issuer.application import Application
from issuer.device_leases import check_lease
from issuer.device_requests import DeviceRefused, is_signed, signed_request
from issuer.models_delivery import PublishedListRow
from issuer.publication import BUNDLE, INDEX, PLATES, ROOT, status_name
from issuer.verifier_devices import KnownDevice, Role, known_device, note_sync
from issuer.web.problems import problem, refused
from passes.status_list import TYP as STATUS_LIST_TYPE

LIST_TYPE: Final = "application/cwt"
ROOT_TYPE: Final = "application/x-pem-file"
_FOR_ALL: Final = "public, no-cache"
_FOR_ONE: Final = "private, no-store"
_HIGHEST: Final = 1_000_000_000
_LONGEST_HEADER: Final = 2000
_METHODS: Final = [HttpMethod.GET, HttpMethod.HEAD]


@dataclass(slots=True)
class _Kept:
    """The lists as they were sent last, by name: (etag, data)."""

    lists: dict[str, tuple[str, bytes]] = field(default_factory=dict)


_kept: WeakKeyDictionary[Engine, _Kept] = WeakKeyDictionary()
_lock = threading.Lock()


@route("/lists/root.pub", http_method=_METHODS, sync_to_thread=True, include_in_schema=False)
def serve_root(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The public key of the root, PEM."""
    return _answer(request, ROOT, ROOT_TYPE)


@route("/lists/bundle.cwt", http_method=_METHODS, sync_to_thread=True, include_in_schema=False)
def serve_bundle(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The trust bundle."""
    return _answer(request, BUNDLE, LIST_TYPE)


@route("/lists/index.cwt", http_method=_METHODS, sync_to_thread=True, include_in_schema=False)
def serve_index(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The index of status lists."""
    return _answer(request, INDEX, LIST_TYPE)


@route("/status/{number:int}", http_method=_METHODS, sync_to_thread=True, include_in_schema=False)
def serve_status_list(
    request: Request[Any, Any, Any], number: Annotated[int, PathParameter(ge=0, le=_HIGHEST)]
) -> Response[bytes]:
    """A status list."""
    return _answer(request, status_name(number), STATUS_LIST_TYPE)


@route("/lists/plates.cwt", http_method=_METHODS, sync_to_thread=True, include_in_schema=False)
def serve_plates(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The plate list, for a warden's device that shows its secret, or that signs while its lease runs."""
    application: Application = request.app.state.application
    try:
        device = _asking(application, request)
    except DeviceRefused as refusal:
        return refused(request, refusal)
    if device is None or device.role is not Role.WARDEN:
        headers = {"WWW-Authenticate": 'Bearer realm="stadtpass"', "Cache-Control": _FOR_ONE}
        return refused(request, problem(401, "DEVICE_NOT_ENROLLED", headers=headers))
    note_sync(application, device)
    return _answer(request, PLATES, LIST_TYPE, _FOR_ONE)


HANDLERS: list[ControllerRouterHandler] = [
    serve_root,
    serve_bundle,
    serve_index,
    serve_status_list,
    serve_plates,
]


def _asking(application: Application, request: Request[Any, Any, Any]) -> KnownDevice | None:
    if not is_signed(request):
        return known_device(application, request.headers.get("authorization", ""))
    row = signed_request(application, request).active()
    if row.role == Role.WARDEN.value:
        check_lease(row, application.now())
    return KnownDevice(row.id, Role(row.role), tuple(row.zones), row.last_sync_at)


def _answer(
    request: Request[Any, Any, Any], name: str, media_type: str, cache_control: str = _FOR_ALL
) -> Response[bytes]:
    application: Application = request.app.state.application
    with application.reading() as session:
        etag = session.scalar(
            select(PublishedListRow.etag).where(
                PublishedListRow.tenant == application.tenant, PublishedListRow.name == name
            )
        )
    if etag is None:
        return _absent()
    headers = {"ETag": f'"{etag}"', "Cache-Control": cache_control}
    if _has(request, f'"{etag}"'):
        return Response(b"", status_code=304, headers=headers, media_type=media_type)
    found = _list(application, name, etag)
    if found is None:
        return _absent()
    return Response(found[1], headers=headers | {"ETag": f'"{found[0]}"'}, media_type=media_type)


def _absent() -> Response[bytes]:
    return Response(b"Not found", status_code=404, media_type="text/plain")


def _has(request: Request[Any, Any, Any], etag: str) -> bool:
    """Whether the client has the list already: RFC 9110, 13.1.2, where a weak tag counts as the strong one."""
    given = request.headers.get("if-none-match", "")[:_LONGEST_HEADER]
    tags = {one.strip().removeprefix("W/") for one in given.split(",")}
    return etag in tags or "*" in tags


def _list(application: Application, name: str, etag: str) -> tuple[str, bytes] | None:
    """The list ``name``, with its etag: it may have changed or gone since that was looked up."""
    with _lock:
        kept = _kept.setdefault(application.engine, _Kept()).lists
    found = kept.get(name)
    if found is None or found[0] != etag:
        with application.reading() as session:
            row = session.execute(
                select(PublishedListRow.etag, PublishedListRow.data).where(
                    PublishedListRow.tenant == application.tenant, PublishedListRow.name == name
                )
            ).one_or_none()
        if row is None:
            return None
        # One for each name, so no more than there are lists.
        found = kept[name] = (row.etag, row.data)
    return found
