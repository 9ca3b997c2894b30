"""Whoever reads the pages: their language, their device, and the answers they get.

One `Reader` is made for each request. It fixes what every page has: sentences, headers, links under the city's
base URL, and whether a form comes from one of our own pages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self
from urllib.parse import urlencode, urlsplit

from litestar import MediaType, Request, Response
from litestar.datastructures import Cookie
from litestar.response import Redirect

from issuer.application import Application
from issuer.settings import Settings
from issuer.web.client_address import limit_key
from issuer.web.static_files import static_url
from issuer.web.templates import render
from keys.texts import LANGUAGES, Texts, texts

AnyRequest = Request[Any, Any, Any]

VISIT_COOKIE: Final = "stadtpass-visit"
LANGUAGE_COOKIE: Final = "stadtpass-language"
_LANGUAGE_SECONDS: Final = 365 * 24 * 3600
_LONGEST_HEADER: Final = 500
# What Safari on an iPhone calls itself; every other browser there adds a name (CriOS, FxiOS, EdgiOS, GSA).
_OF_SAFARI: Final = frozenset({"Mozilla", "AppleWebKit", "Version", "Mobile", "Safari"})
# Problems after which there is no way back to the pass.
_WITHOUT_VISIT: Final = ("NO_VISIT", "ENDED")


class Device(StrEnum):
    """What the browser says it runs on: decides the order of the offers, and nothing else."""

    IPHONE = "iphone"
    ANDROID = "android"
    OTHER = "other"


def device_of(headers: Mapping[str, str]) -> Device:
    """The device from client hints, or from User-Agent where a browser sends none."""
    told = headers.get("sec-ch-ua-platform", "")[:_LONGEST_HEADER].strip().strip('"').lower()
    agent = headers.get("user-agent", "")[:_LONGEST_HEADER]
    if told == "android" or (not told and "Android" in agent):
        return Device.ANDROID
    if told == "ios" or re.search(r"\b(iPhone|iPad|iPod)\b", agent):
        return Device.IPHONE
    return Device.OTHER


def language_of(request: AnyRequest) -> str:
    """``de`` or ``en``: by ``?lang=``, then by the cookie of an earlier choice, then as the browser prefers."""
    for told in (request.query_params.get("lang"), request.cookies.get(LANGUAGE_COOKIE)):
        if told in LANGUAGES:
            return str(told)
    return preferred_language(request.headers.get("accept-language", ""))


def preferred_language(accepted: str) -> str:
    """``de`` or ``en``: what the header Accept-Language prefers; ``de`` if it names neither."""
    preferred: list[tuple[float, int, str]] = []
    for place, part in enumerate(accepted[:_LONGEST_HEADER].split(",")):
        tag, _, parameter = part.strip().partition(";")
        weight = re.fullmatch(r"\s*q=([01](?:\.[0-9]{0,3})?)\s*", parameter) if parameter else None
        quality = float(weight.group(1)) if weight else 1.0
        if quality > 0 and tag[:2].lower() in LANGUAGES:
            preferred.append((-quality, place, tag[:2].lower()))
    return min(preferred)[2] if preferred else LANGUAGES[0]


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads, and in which city."""

    request: AnyRequest
    settings: Settings
    tenant: str
    language: str

    @classmethod
    def of(cls, request: AnyRequest, settings: Settings, tenant: str) -> Self:
        """The reader behind ``request``."""
        return cls(request, settings, tenant, language_of(request))

    @property
    def say(self) -> Texts:
        """The sentences in the reader's language."""
        return texts("issuer", self.language)

    @property
    def device(self) -> Device:
        """What they read on."""
        return device_of(self.request.headers)

    @property
    def is_safari(self) -> bool:
        """Whether it is Safari on an iPhone, as far as the browser says: others there name themselves as well."""
        agent = self.request.headers.get("user-agent", "")[:_LONGEST_HEADER]
        names = set(re.findall(r"([A-Za-z]+)/", re.sub(r"\([^)]*\)", "", agent)))
        return self.device is Device.IPHONE and "Safari" in names and names <= _OF_SAFARI

    @property
    def network(self) -> str:
        """What counts as one client when tries are limited."""
        return limit_key(self.request.scope)

    @property
    def is_partial(self) -> bool:
        """Whether a script of our own page asks for a part of it."""
        return self.request.headers.get("hx-request") == "true"

    def cookie(self, name: str) -> str | None:
        """What the browser keeps under ``name`` (as given to `with_cookie`)."""
        return self.request.cookies.get(self._cookie_name(name))

    def is_from_here(self) -> bool:
        """Whether a form was sent by one of our own pages, as far as the browser says.

        Under ``Referrer-Policy: no-referrer`` browsers send ``Origin: null`` with forms (Fetch standard, 3.2.3),
        so Sec-Fetch-Site decides where it is sent, and an Origin that names a host must name ours.
        """
        site = self.request.headers.get("sec-fetch-site")
        if site is not None and site not in ("same-origin", "none"):
            return False
        origin = self.request.headers.get("origin", "null")
        if origin == "null":
            return True
        told = urlsplit(origin[:_LONGEST_HEADER])
        return told.netloc in (urlsplit(self.settings.base_url).netloc, self.request.headers.get("host"))

    def url(self, path: str, **query: str) -> str:
        """The address of one of our pages, under the path that the city's base URL has."""
        prefix = urlsplit(self.settings.base_url).path.rstrip("/")
        return f"{prefix}{path}" + (f"?{urlencode(query)}" if query else "")

    def page(self, template: str, *, status: int = 200, **values: object) -> Response[Any]:
        """The page ``template`` (ours, or ``owner/name.html``) with ``values``, and what every page needs besides."""
        name = template if "/" in template else f"pickup/{template}"
        return self.shown(name, status=status, device=self.device.value, **values)

    def shown(self, template: str, *, status: int = 200, **values: object) -> Response[Any]:
        """The template ``owner/name.html`` with ``values`` as a page in the reader's language."""
        text = render(
            template,
            say=self.say,
            language=self.language,
            url=self.url,
            asset=lambda name: self.url(static_url(name)),
            city=self.settings,
            **values,
        )
        return Response(
            text,
            status_code=status,
            media_type=MediaType.HTML,
            headers={**self._headers(), "Content-Language": self.language},
            cookies=self._language_cookie(),
        )

    def problem(
        self, status: int, code: str, *, retry_after: int = 0, back: str = "/p/pass", **values: object
    ) -> Response[Any]:
        """A page that says why something did not work; ``code`` names its title and, with ``_TEXT``, its text.

        ``back`` is where a visit goes on.
        """
        made = self.page(
            "problem.html",
            status=status,
            title=self.say(f"PICKUP_{code}"),
            text=self.say(f"PICKUP_{code}_TEXT", **values),
            has_visit=self.cookie(VISIT_COOKIE) is not None and code not in _WITHOUT_VISIT,
            back=back,
        )
        if retry_after:
            made.headers["Retry-After"] = str(retry_after)
        return made

    def go(self, path: str, **query: str) -> Redirect:
        """On to another of our pages, by GET."""
        return self.leave(self.url(path, **query))

    def leave(self, address: str) -> Redirect:
        """On to ``address``, by GET."""
        return Redirect(address, status_code=303, headers=self._headers(), cookies=self._language_cookie())

    def file(self, data: bytes, media_type: str, name: str) -> Response[bytes]:
        """A file to keep under ``name``."""
        safe = re.sub(r"[^A-Za-z0-9._-]", "_", name)
        headers = {**self._headers(), "Content-Disposition": f'attachment; filename="{safe}"'}
        return Response(data, status_code=200, media_type=media_type, headers=headers)

    def with_cookie(
        self,
        response: Response[Any],
        name: str,
        value: str | None,
        *,
        max_age: int | None,
        strict: bool = False,
    ) -> Response[Any]:
        """``response`` with a cookie that no script sees.

        Without a ``value`` it is taken away; without an age (seconds) it ends with the browser. One that is not
        ``strict`` also comes along when a link of another site leads here.
        """
        response.set_cookie(
            Cookie(
                key=self._cookie_name(name),
                value=value or "",
                max_age=0 if value is None else max_age,
                path="/",
                secure=self.is_secure,
                httponly=True,
                samesite="strict" if strict else "lax",
            )
        )
        return response

    @property
    def is_secure(self) -> bool:
        """Whether the city's pages are read over https; only test cities on this machine may do without."""
        return self.settings.base_url.startswith("https:")

    def _cookie_name(self, name: str) -> str:
        # __Host- (RFC 6265bis 4.1.3.2): no other host of the domain can have set it.
        return f"__Host-{name}" if self.is_secure else name

    def _language_cookie(self) -> list[Cookie]:
        if self.request.query_params.get("lang") not in LANGUAGES:
            return []
        return [
            Cookie(
                key=LANGUAGE_COOKIE,
                value=self.language,
                max_age=_LANGUAGE_SECONDS,
                path="/",
                secure=self.is_secure,
                httponly=True,
                samesite="lax",
            )
        ]

    @staticmethod
    def _headers() -> dict[str, str]:
        return {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


def reader_of(request: AnyRequest) -> tuple[Application, Reader]:
    """The application and the reader of ``request``."""
    application: Application = request.app.state.application
    with application.reading() as session:
        return application, Reader.of(request, application.settings(session), application.tenant)
