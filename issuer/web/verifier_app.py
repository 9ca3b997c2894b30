"""The verifier's web app under ``/check/``: files of the package `verifier`, their list, and the zones of today.

As with the pages' files, what can be served is known at the start. Everything is asked for anew (``no-cache``; 304
where nothing has changed): scripts of two versions beside each other would be an app that nobody has tested. The app
works without network from what its service worker has kept, so this costs nothing in the street.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final, Self

import msgspec
from litestar import Request, Response, get
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from issuer import tariffs
from issuer.application import Application
from issuer.rules.zones import area_of
from issuer.web.static_files import StaticFile, below, unchanged
from passes.periods import berlin_day

BASE: Final = "/check/"
FILE_LIST: Final = "files.json"
START: Final = "index.html"
_SERVED: Final = (
    ".html",
    ".css",
    ".js",
    ".mjs",
    ".wasm",
    ".json",
    ".webmanifest",
    ".png",
    ".svg",
    ".ico",
    ".woff2",
    ".txt",
)
_ALWAYS_ASKED_FOR: Final = "no-cache"


class FileList(msgspec.Struct, frozen=True):
    """Every file of the app with its SHA-256 in hex; ``version`` is another one as soon as any file is."""

    version: str
    files: dict[str, str]


class Zone(msgspec.Struct, frozen=True, omit_defaults=True):
    """A zone as devices show it; ``merged`` are the codes of zones merged into it, whose permits run on in it."""

    code: str
    name: str
    merged: tuple[str, ...] = ()

    @classmethod
    def on(cls, known: Mapping[str, tariffs.TariffZone], code: str, day: date) -> Self:
        """The zone that the area of ``code``, one of ``known``, belongs to on ``day``."""
        own, *merged = area_of(known, code, day)
        return cls(own, known[own].on(day).zone.name, tuple(merged))


class ZonesOfToday(msgspec.Struct, frozen=True):
    """What a device that nobody has enrolled may know of the city; ``demo`` for one whose passes are for tests."""

    city: str
    demo: bool
    zones: list[Zone]


def app_folder() -> Traversable:
    """Where the files of the app are."""
    return files("verifier").joinpath("web")


@lru_cache(maxsize=1)
def app_files() -> Mapping[str, StaticFile]:
    """Every file of the app by its path below ``/check/``, and their list; empty where no app is installed."""
    data = {name: file.read_bytes() for name, file in below(app_folder(), _SERVED)}
    if not data:
        return {}
    hashes = {name: hashlib.sha256(data[name]).hexdigest() for name in sorted(data)}
    build = hashlib.sha256(msgspec.json.encode(hashes)).hexdigest()[:12]
    data[FILE_LIST] = msgspec.json.encode(FileList(f"{version('stadtpass')}+{build}", hashes))
    return {name: StaticFile.of(name, content) for name, content in data.items()}


@get("/check", sync_to_thread=False, include_in_schema=False)
def serve_start(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The start page; its links are relative, so it is nowhere but under ``/check/``."""
    # Routing takes both for the same path.
    asked = request.scope["raw_path"].partition(b"?")[0]
    if asked.endswith(b"/") or START not in app_files():
        return _answer(request, START)
    return Response(b"", status_code=308, headers={"location": BASE}, media_type="text/plain")


@get("/check/{name:path}", sync_to_thread=False, include_in_schema=False)
def serve_file(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
    """A file of the app."""
    return _answer(request, name.removeprefix("/"))


@get("/check/zones.json", sync_to_thread=True, include_in_schema=False)
def serve_zones(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The city and its zones of today, for choosing one without being enrolled."""
    application: Application = request.app.state.application
    day = berlin_day(application.now())
    with application.reading() as session:
        settings = application.settings(session)
        known = tariffs.zones(session, application.tenant)
    running = [Zone.on(known, code, day) for code, one in sorted(known.items()) if one.holds_on(day)]
    body = msgspec.json.encode(ZonesOfToday(settings.city_name, settings.test, running))
    return _sent(request, StaticFile.of("zones.json", body))


def _answer(request: Request[Any, Any, Any], name: str) -> Response[bytes]:
    file = app_files().get(name)
    if file is None:
        return Response(b"Not found", status_code=404, media_type="text/plain")
    return _sent(request, file)


def _sent(request: Request[Any, Any, Any], file: StaticFile) -> Response[bytes]:
    headers = {"etag": f'"{file.digest}"', "cache-control": _ALWAYS_ASKED_FOR}
    if unchanged(request, file):
        return Response(b"", status_code=304, headers=headers, media_type=file.media_type)
    return Response(file.data, media_type=file.media_type, headers=headers)


HANDLERS: list[ControllerRouterHandler] = [serve_start, serve_file, serve_zones]
