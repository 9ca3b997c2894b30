"""Files that never change while the service runs: styles and scripts of the pages, pictures of the pass types.

What can be served is known at the start; a request picks from that list, so no path from outside ever reaches the
file system.
"""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final

from litestar import Request, Response, get
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from issuer.application import Application

FOLDER: Final = "static"
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_FOR_A_WHILE: Final = "public, max-age=3600"
_TYPES: Final = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".json": "application/json",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".css": "text/css",
    ".woff2": "font/woff2",
    ".svg": "image/svg+xml",
}
_SERVED: Final = (
    ".css",
    ".js",
    ".mjs",
    ".svg",
    ".png",
    ".ico",
    ".woff2",
    ".json",
    ".txt",
    ".webmanifest",
    ".map",
)
_SECURITY_DAYS: Final = 180


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file as it is sent."""

    data: bytes
    media_type: str
    digest: str

    @classmethod
    def of(cls, name: str, data: bytes) -> StaticFile:
        """The file ``name``."""
        ending = name[name.rfind(".") :]
        kind = _TYPES.get(ending) or mimetypes.guess_type(name)[0] or "application/octet-stream"
        return cls(data, kind, hashlib.sha256(data).hexdigest()[:16])


@lru_cache(maxsize=1)
def static_files() -> Mapping[str, StaticFile]:
    """Every file that ships for the pages, by its path below ``/static/``."""
    root = files("issuer.web").joinpath(FOLDER)
    return {name: StaticFile.of(name, file.read_bytes()) for name, file in below(root, _SERVED)}


def static_url(name: str) -> str:
    """The path of the page file ``name``, good for ever: it names the content. Raises KeyError."""
    return f"/static/{name}?v={static_files()[name].digest}"


def below(
    folder: Traversable, endings: tuple[str, ...], prefix: str = ""
) -> Iterator[tuple[str, Traversable]]:
    """The files under ``folder`` that end with one of ``endings``, by their path below it; none if it is absent."""
    if not folder.is_dir():
        return
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from below(entry, endings, f"{prefix}{entry.name}/")
        elif entry.name.endswith(endings) and not entry.name.startswith("."):
            yield prefix + entry.name, entry


@get("/static/{name:path}", sync_to_thread=False, include_in_schema=False, name="static")
def serve_static(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
    """A file of the pages."""
    return _answer(request, static_files().get(name.removeprefix("/")))


@get("/static/types/{type_id:str}/{name:str}", sync_to_thread=False, include_in_schema=False)
def serve_type_image(
    request: Request[Any, Any, Any], type_id: FromPath[str], name: FromPath[str]
) -> Response[bytes]:
    """A picture of a pass type, as Google's objects name it."""
    application: Application = request.app.state.application
    found = next((one for one in application.pass_types if one.id == type_id), None)
    data = found.images.get(name) if found is not None else None
    return _answer(request, StaticFile.of(name, data) if data is not None else None)


@get("/favicon.ico", sync_to_thread=False, include_in_schema=False)
def favicon(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The icon that browsers ask for unasked."""
    known = static_files()
    return _answer(request, known.get("favicon.ico") or known.get("favicon.png") or known.get("favicon.svg"))


@get("/robots.txt", sync_to_thread=False, include_in_schema=False)
def robots() -> Response[str]:
    """Nothing here belongs into a search engine but open data; Google's robot delivers Google Wallet's callbacks."""
    text = (
        "User-agent: Googlebot\nAllow: /google/callback\nAllow: /open-data\nDisallow: /\n\n"
        "User-agent: *\nAllow: /open-data\nDisallow: /\n"
    )
    return Response(text, media_type="text/plain", headers={"cache-control": _FOR_A_WHILE})


@get("/.well-known/security.txt", sync_to_thread=True, include_in_schema=False)
def security_txt(request: Request[Any, Any, Any]) -> Response[str]:
    """Where weaknesses are reported (RFC 9116), if the operator has said so."""
    application: Application = request.app.state.application
    contact = application.config.service.security_contact
    if not contact:
        return Response("Not found", status_code=404, media_type="text/plain")
    expires = (application.now() + timedelta(days=_SECURITY_DAYS)).strftime("%Y-%m-%dT00:00:00Z")
    text = f"Contact: {contact}\nExpires: {expires}\nPreferred-Languages: de, en\n"
    return Response(text, media_type="text/plain")


def _answer(request: Request[Any, Any, Any], file: StaticFile | None) -> Response[bytes]:
    if file is None:
        return Response(b"Not found", status_code=404, media_type="text/plain")
    etag = f'"{file.digest}"'
    by_content = request.query_params.get("v") == file.digest
    headers = {"etag": etag, "cache-control": _FOR_EVER if by_content else _FOR_A_WHILE}
    if unchanged(request, file):
        return Response(b"", status_code=304, headers=headers, media_type=file.media_type)
    return Response(file.data, media_type=file.media_type, headers=headers)


def unchanged(request: Request[Any, Any, Any], file: StaticFile) -> bool:
    """Whether the client has ``file`` already: RFC 9110, 13.1.2."""
    given = request.headers.get("if-none-match", "")[:500]
    tags = {one.strip().removeprefix("W/") for one in given.split(",")}
    return f'"{file.digest}"' in tags or "*" in tags


HANDLERS: list[ControllerRouterHandler] = [serve_static, serve_type_image, favicon, robots, security_txt]
