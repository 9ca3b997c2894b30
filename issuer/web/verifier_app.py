"""The verifier app under ``/check/``: files of the package ``verifier``, and what anybody may know of the city.

What can be served is read once, at the start; a request picks from that, so no path from outside ever reaches the
file system. Without the folder there is no app, and every path below ``/check/`` is 404.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Any, Final

import msgspec
from litestar import Request, Response, get
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from issuer import tariffs
from issuer.application import Application
from passes.periods import berlin_day

PATH: Final = "/check"
_INDEX: Final = "index.html"
_JSON: Final = "application/json"
# The kinds of files that ship, by ending; nothing else is served.
MEDIA_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        ".html": "text/html",
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".css": "text/css",
        ".json": _JSON,
        ".webmanifest": "application/manifest+json",
        ".wasm": "application/wasm",
        ".svg": "image/svg+xml",
        ".png": "image/png",
        ".ico": "image/x-icon",
        ".woff2": "font/woff2",
        ".txt": "text/plain",
    }
)
# What differs from one version to the next stands under the same name, so browsers ask each time.
_ASK_AGAIN: Final = "no-cache"
_LONGEST_HEADER: Final = 500


class AppFile(msgspec.Struct, frozen=True):
    """A file as it is sent; ``sha256`` is in hex."""

    data: bytes
    media_type: str
    sha256: str


class FileList(msgspec.Struct, frozen=True):
    """What ``files.json`` says: the SHA-256 of every file, and a version that follows from them all."""

    version: str
    files: dict[str, str]


class ZoneName(msgspec.Struct, frozen=True):
    """A zone as a warden chooses it."""

    code: str
    name: str


class CityZones(msgspec.Struct, frozen=True):
    """What ``zones.json`` says: the city, the zones that run today, and whether all of it is a demo."""

    city: str
    demo: bool
    zones: list[ZoneName]


def read_files(folder: Traversable) -> dict[str, AppFile]:
    """Every file of a known kind below ``folder``, by its path; none for a folder that is not there."""
    found = {}
    for name, file in sorted(_below(folder, "")):
        data = file.read_bytes()
        kind = MEDIA_TYPES[name[name.rfind(".") :]]
        found[name] = AppFile(data, kind, hashlib.sha256(data).hexdigest())
    return found


def file_list(known: Mapping[str, AppFile]) -> FileList:
    """The list of ``known`` files: its version is the program's with a digest of all names and contents."""
    listed = {name: known[name].sha256 for name in sorted(known)}
    digest = hashlib.sha256(msgspec.json.encode(listed, order="sorted")).hexdigest()[:12]
    return FileList(f"{importlib.metadata.version('stadtpass')}+{digest}", listed)


@lru_cache(maxsize=1)
def app_files() -> Mapping[str, AppFile]:
    """The files of the app that is installed, with ``files.json`` if there are any."""
    found = read_files(files("verifier").joinpath("web"))
    if found:
        data = msgspec.json.encode(file_list(found))
        found["files.json"] = AppFile(data, _JSON, hashlib.sha256(data).hexdigest())
    return found


def running_zones(application: Application) -> CityZones:
    """The city and its zones that run today, by code."""
    day = berlin_day(application.now())
    with application.reading() as session:
        settings = application.settings(session)
        known = tariffs.zones(session, application.tenant)
    zones = [ZoneName(code, known[code].zone.name) for code in sorted(known) if known[code].holds_on(day)]
    return CityZones(settings.city_name, settings.test, zones)


@get(PATH, sync_to_thread=False, include_in_schema=False)
def serve_index(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The app's page; without the slash at the end its relative addresses would lead elsewhere."""
    if not request.scope["raw_path"].endswith(b"/"):
        return Response(b"", status_code=308, headers={"Location": f"{PATH}/"}, media_type="text/plain")
    return _answer(request, app_files().get(_INDEX))


@get(PATH + "/{name:path}", sync_to_thread=False, include_in_schema=False)
def serve_file(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
    """A file of the app."""
    return _answer(request, app_files().get(name.removeprefix("/")))


@get(PATH + "/zones.json", sync_to_thread=True, include_in_schema=False)
def serve_zones(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The city's zones, for choosing one without being enrolled."""
    data = msgspec.json.encode(running_zones(request.app.state.application))
    return _answer(request, AppFile(data, _JSON, hashlib.sha256(data).hexdigest()))


HANDLERS: list[ControllerRouterHandler] = [serve_index, serve_file, serve_zones]


def _below(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    if not folder.is_dir():
        return
    for entry in folder.iterdir():
        if entry.name.startswith((".", "_")):
            continue
        if entry.is_dir():
            yield from _below(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(tuple(MEDIA_TYPES)):
            yield prefix + entry.name, entry


def _answer(request: Request[Any, Any, Any], file: AppFile | None) -> Response[bytes]:
    if file is None:
        return Response(b"Not found", status_code=404, media_type="text/plain")
    etag = f'"{file.sha256[:32]}"'
    headers = {"ETag": etag, "Cache-Control": _ASK_AGAIN}
    given = request.headers.get("if-none-match", "")[:_LONGEST_HEADER]
    tags = {one.strip().removeprefix("W/") for one in given.split(",")}
    if etag in tags or "*" in tags:
        return Response(b"", status_code=304, headers=headers, media_type=file.media_type)
    return Response(file.data, media_type=file.media_type, headers=headers)
