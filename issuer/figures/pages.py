"""Open data for everybody: a page that explains it, files, and the catalogue entry; 404 where the city has it off.

No cookie is set or read here, and all may be cached: the same bytes for everybody, but for the page's language.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from litestar import HttpMethod, Response, Router, route
from litestar.types import ControllerRouterHandler

from issuer.application import Application
from issuer.figures import catalogue, open_data
from issuer.figures.open_data import Published
from issuer.pickup.routes import EXCEPTION_HANDLERS
from issuer.settings import Settings
from issuer.web.reader import AnyRequest, Reader, preferred_language
from keys.texts import LANGUAGES

_READS: Final = [HttpMethod.GET, HttpMethod.HEAD]
# Months change once a month; a file that was withdrawn must not stay in caches for long all the same.
_CACHE: Final = "public, max-age=3600"
_LONGEST_HEADER: Final = 2000
# What the page shows; the files have everything.
_SHOWN_MONTHS: Final = 12


@route("/open-data", http_method=_READS, sync_to_thread=True)
def show(request: AnyRequest) -> Response[Any]:
    """What the figures are, how to use them, the newest of them, and the files."""
    asked = request.query_params.get("lang")
    preferred = preferred_language(request.headers.get("accept-language", ""))
    application: Application = request.app.state.application
    settings, found = _published(application)
    reader = Reader(request, settings, application.tenant, asked if asked in LANGUAGES else preferred)
    if found is None:
        return _absent()
    months = found.months[-_SHOWN_MONTHS:]
    made = reader.shown(
        "figures/open_data.html",
        months=[one.month for one in months],
        zones=open_data.by_zone(Published(months, None)),
        names={zone.zone_code: zone.zone_name for month in months for zone in month.zones},
        totals=[one.valid_permits for one in months],
        threshold=settings.open_data_threshold,
        publisher=open_data.publisher_of(settings),
        license_uri=open_data.license_of(settings),
        license_name=settings.open_data_license,
        has_catalogue=catalogue.is_complete(settings),
        base=settings.base_url,
    )
    # The choice of a language is the address's here, not a cookie's.
    made.cookies.clear()
    answer = _answer(request, made.content.encode(), "text/html")
    answer.headers["Content-Language"] = reader.language
    answer.headers["Vary"] = "Accept-Language"
    return answer


@route("/open-data/permits.csv", http_method=_READS, sync_to_thread=True)
def serve_csv(request: AnyRequest) -> Response[Any]:
    """All months as CSV."""
    _, found = _published(request.app.state.application)
    if found is None:
        return _absent()
    return _answer(request, open_data.as_csv(found), "text/csv; header=present")


@route("/open-data/permits.json", http_method=_READS, sync_to_thread=True)
def serve_json(request: AnyRequest) -> Response[Any]:
    """All months as JSON."""
    settings, found = _published(request.app.state.application)
    if found is None:
        return _absent()
    return _answer(request, open_data.as_json(found, settings), "application/json")


@route("/open-data/catalogue.jsonld", http_method=_READS, sync_to_thread=True)
def serve_catalogue(request: AnyRequest) -> Response[Any]:
    """The entry for portals; 404 until the settings have what it needs."""
    settings, found = _published(request.app.state.application)
    if found is None or not catalogue.is_complete(settings):
        return _absent()
    return _answer(request, catalogue.as_json_ld(found, settings), catalogue.MEDIA_TYPE)


def _published(application: Application) -> tuple[Settings, Published | None]:
    with application.reading() as session:
        settings = application.settings(session)
        return settings, open_data.published(session, application) if settings.open_data else None


def _absent() -> Response[Any]:
    return Response(b"Not found", status_code=404, media_type="text/plain")


def _answer(request: AnyRequest, body: bytes, media_type: str) -> Response[Any]:
    """``body`` with its tag, or 304 for whoever has it (RFC 9110, 13.1.2)."""
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": _CACHE, "Access-Control-Allow-Origin": "*"}
    given = request.headers.get("if-none-match", "")[:_LONGEST_HEADER]
    tags = {one.strip().removeprefix("W/") for one in given.split(",")}
    if etag in tags or "*" in tags:
        return Response(b"", status_code=304, headers=headers, media_type=media_type)
    return Response(body, headers=headers, media_type=media_type)


HANDLERS: list[ControllerRouterHandler] = [
    Router(
        "/",
        route_handlers=[show, serve_csv, serve_json, serve_catalogue],
        exception_handlers=EXCEPTION_HANDLERS,
        include_in_schema=False,
    )
]
