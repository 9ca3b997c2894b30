"""Requests handed to the application as the web server would hand them over, and what no answer may be.

A client library refuses to send most of what is sent here.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from litestar import Litestar

from issuer.application import Application

PROTECTED = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "x-frame-options": "DENY",
    "x-permitted-cross-domain-policies": "none",
}
# What the operator must do, or a worker beside it: said with 503, and right so.
UNREADY = {"/ready"}
JSON = b"application/json"
Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Ask:
    """A request as the web server hands it over: ``path`` percent-encoded, ``body`` in the pieces it came in."""

    method: str
    path: str
    headers: Headers = field(default_factory=list)
    query: bytes = b""
    body: tuple[bytes, ...] = ()
    # The client goes away instead of sending the end.
    leaves: bool = False

    def __str__(self) -> str:
        sent = [(name, value[:40]) for name, value in self.headers]
        return f"{self.method} {self.path[:120]}?{self.query[:60]!r} {sent} {[one[:40] for one in self.body[:3]]}"


@dataclass(frozen=True)
class Told:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


@dataclass(frozen=True)
class Route:
    """A route of the table; ``path`` has values for its parameters that could be right."""

    template: str
    path: str
    methods: frozenset[str]


@dataclass
class Service:
    app: Litestar
    application: Application
    routes: list[Route]
    key: str
    cookie: bytes

    def credentials(self, route: Route) -> Headers:
        """What gets a request as far as it can get."""
        if route.template.startswith("/api/"):
            return [(b"authorization", f"Bearer {self.key}".encode())]
        if route.template.startswith(("/p/", "/apply", "/office")):
            return [(b"cookie", self.cookie), (b"host", b"stadtpass.example")]
        return []

    async def answer(self, ask: Ask) -> Told | None:
        """What is answered; None for a client that has left. A fault that escapes the application escapes here."""
        pieces = [*ask.body] or [b""]

        async def incoming() -> AsyncIterator[dict[str, Any]]:
            for n, piece in enumerate(pieces):
                more = ask.leaves or n + 1 < len(pieces)
                yield {"type": "http.request", "body": piece, "more_body": more}
            if not ask.leaves:
                await asyncio.sleep(3600)
            while True:
                yield {"type": "http.disconnect"}

        messages = incoming()
        sent: list[dict[str, Any]] = []

        async def receive() -> Any:
            return await anext(messages)

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": ask.method,
            "scheme": "http",
            "path": unquote(ask.path),
            "raw_path": ask.path.encode("ascii", "replace"),
            "root_path": "",
            "query_string": ask.query,
            "headers": [(b"host", b"stadtpass.example"), *ask.headers],
            "client": ("127.0.0.1", 40_000),
            "server": ("127.0.0.1", 8000),
            "state": {},
        }
        await self.app(scope, receive, send)  # type: ignore[arg-type]
        if not sent and ask.leaves:
            return None
        assert [one["type"] for one in sent[:1]] == ["http.response.start"], ask
        assert all(one["type"] == "http.response.body" for one in sent[1:])
        assert not sent[-1].get("more_body", False)
        headers: dict[str, str] = {}
        for name, value in sent[0]["headers"]:
            headers[name.decode("latin-1").lower()] = value.decode("latin-1")
        body = b"".join(one.get("body", b"") for one in sent[1:])
        return Told(sent[0]["status"], headers, body)

    def faults(
        self, asks: Iterator[Ask], wanted: Callable[[Ask, Told], str | None] | None = None
    ) -> list[str]:
        """What was wrong with the answers to ``asks``, in words; ``wanted`` may find more."""

        async def run() -> list[str]:
            found: list[str] = []
            for ask in asks:
                try:
                    told = await asyncio.wait_for(self.answer(ask), 20)
                except Exception as fault:
                    found.append(f"{ask}: {fault!r} escaped")
                    continue
                if told is not None:
                    wrong = [*general_faults(ask, told), wanted(ask, told) if wanted else None]
                    found += [f"{ask}: {told.status} {one}" for one in wrong if one]
            return found

        return asyncio.run(run())


def general_faults(ask: Ask, told: Told) -> Iterator[str]:
    """What no answer may be, whatever was asked."""
    path, headers = unquote(ask.path), told.headers
    if told.status >= 500 and not (told.status == 503 and path.rstrip("/") in UNREADY):
        yield "is a fault of ours"
    if missing := {name for name, value in PROTECTED.items() if headers.get(name) != value}:
        yield f"lacks {missing}"
    if "default-src 'none'" not in headers.get("content-security-policy", ""):
        yield "has no policy"
    if "cross-origin-resource-policy" not in headers or "x-request-id" not in headers:
        yield "lacks headers"
    if "cache-control" not in headers and told.status != 304:
        yield "may be kept by anybody"
    if "server" in headers or "x-powered-by" in headers:
        yield "names the software"
    if any("\n" in value or "\r" in value for value in headers.values()):
        yield "splits headers"
    if told.status >= 400 and re.search(
        r"Traceback|File \"|\.py\b|site-packages|sqlalchemy|sqlite|psycopg", told.text
    ):
        yield f"shows its inside: {told.text[:300]}"
    length = headers.get("content-length")
    if length is not None and ask.method != "HEAD" and told.status != 304 and int(length) != len(told.body):
        yield "has another length than it says"
    if told.status >= 400 and (path == "/api" or path.startswith("/api/")) and ask.method != "HEAD":
        kind = headers.get("content-type", "").partition(";")[0]
        # The token endpoint says what it refuses itself as RFC 6749 has it.
        if kind not in {"application/problem+json"} | (
            {"application/json"} if "/oauth/token" in path else set()
        ):
            yield f"is {kind}"
        elif {"type", "title", "status", "detail", "code"} - (said := json.loads(told.body)).keys():
            yield "lacks members"
        elif said["status"] != told.status:
            yield f"says {said['status']}"
    if told.status == 405 and not headers.get("allow"):
        yield "does not say what is allowed"


def example_requests(description: dict[str, Any]) -> dict[tuple[str, str], tuple[bytes, bytes]]:
    """The query and the JSON body with which each described operation gets past its checks, by method and path."""
    found = {}
    for path, item in description["paths"].items():
        for verb, operation in item.items():
            wanted = [
                one for one in operation.get("parameters", ()) if one["in"] == "query" and one["required"]
            ]
            query = "&".join(f"{one['name']}=x" for one in wanted).encode()
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            body = b"" if content is None else json.dumps(content["schema"]["examples"][0]).encode()
            found[verb.upper(), path] = (query, body)
    return found
