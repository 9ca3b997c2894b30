"""How much a request may bring: the address in known characters, the body in bytes and in time.

Bodies are counted as they arrive, whatever their Content-Length says, and before anything parses them.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from litestar.exceptions import HTTPException
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.types import ASGIApp, Receive, Send
from litestar.types.asgi_types import HTTPReceiveMessage

from issuer.web.answers import answer

KIB: Final = 1024
MIB: Final = 1024 * KIB
# The largest body by what a path starts with; the first that fits.
BODY_LIMITS: Final[tuple[tuple[str, int], ...]] = (
    ("/apple/v1/log", 64 * KIB),
    ("/apple/", 8 * KIB),
    ("/google/", 64 * KIB),
    ("/check", 4 * KIB),
    ("/payments/", 64 * KIB),
    ("/p", 16 * KIB),
    # A batch of key proofs with their attestations.
    ("/eudi/credential", 256 * KIB),
    ("/eudi/deferred", 256 * KIB),
    # What a wallet shows, encrypted.
    ("/eudi/presentations/", 128 * KIB),
    # One file of evidence, with what its form has around it.
    ("/apply/documents", 10 * MIB + 64 * KIB),
    ("/office/imports/upload", 64 * MIB),
    ("/api/v1/jobs/imports", 64 * MIB),
    ("/api/", 1 * MIB),
)
LARGEST_BODY: Final = 64 * MIB
_OTHER_LIMIT: Final = 16 * KIB
_LONGEST_PATH: Final = 1024
_LONGEST_QUERY: Final = 8 * KIB
# A body that comes slower than this comes from a line too slow for anything, or from an attack.
_BODY_SECONDS: Final = 30.0
_BYTES_PER_SECOND: Final = 100_000
_REPLACED: Final = "\N{REPLACEMENT CHARACTER}"


def body_limit(path: str) -> int:
    """The most bytes that a body for ``path`` may have."""
    return next((limit for prefix, limit in BODY_LIMITS if path.startswith(prefix)), _OTHER_LIMIT)


class RequestLimits:
    """ASGI wrapper: 404 for paths of no route, 414 for long queries, 413 for bodies too large, 408 for slow ones."""

    def __init__(self, app: ASGIApp, body_seconds: float = _BODY_SECONDS) -> None:
        self._app = app
        self._seconds = body_seconds

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if len(path) > _LONGEST_PATH or not is_sane(path):
            await answer(scope, send, 404)
        elif len(scope["query_string"]) > _LONGEST_QUERY:
            await answer(scope, send, 414)
        elif not scope["query_string"].isascii() or (length := _content_length(scope)) is None:
            await answer(scope, send, 400)
        elif length > body_limit(path):
            await answer(scope, send, 413, {"connection": "close"})
        else:
            await self._app(scope, self._counted(receive, body_limit(path)), send)

    def _counted(self, receive: Receive, limit: int) -> Receive:
        received = 0
        complete = False
        until = time.monotonic() + self._seconds + limit / _BYTES_PER_SECOND

        async def counted() -> HTTPReceiveMessage:
            nonlocal received, complete
            if complete:
                return await receive()  # type: ignore[return-value]
            try:
                message: Any = await asyncio.wait_for(receive(), max(0.001, until - time.monotonic()))
            except TimeoutError:
                raise HTTPException(status_code=408, detail="") from None
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                complete = not message.get("more_body", False)
                if received > limit:
                    complete = True
                    raise RequestEntityTooLarge
            else:
                # Gone before the end: nobody reads the answer, but it is no fault of ours either.
                complete = True
                raise HTTPException(status_code=400, detail="")
            return message  # type: ignore[no-any-return]

        return counted


def is_sane(path: str) -> bool:
    """Whether ``path`` has only characters and steps that an address of ours can have."""
    if not path.isprintable() or _REPLACED in path or "\\" in path:
        return False
    # Routing would take "//p" and "p" for "/p", but what depends on the beginning of a path would not.
    if not path.startswith("/") or "//" in path:
        return False
    return not any(step in (".", "..") for step in path.split("/"))


def _content_length(scope: Any) -> int | None:
    """The length that the request names, 0 without one; None for a value that is no length."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            text: bytes = value
            return int(text) if text.isdigit() and len(text) < 16 else None
    return 0
