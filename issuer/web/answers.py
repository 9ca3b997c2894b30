"""Short answers of the outer layers, which stand before any handler.

Problem details for the API, errors in the form of OAuth 2.0 (RFC 6749, 5.2) for wallets, plain text else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from litestar.types import Send

from issuer.eudi import addresses
from issuer.web import problems

_TEXTS: Final = {
    400: "Bad request",
    404: "Not found",
    405: "Method not allowed",
    408: "Request timeout",
    413: "Too large",
    414: "Address too long",
    429: "Too many requests",
    500: "Internal error",
    503: "Service unavailable",
}
_PROGRAMS: Final = ("/api", "/check/devices", "/check/leases", "/check/cards")
_WALLETS: Final = (
    addresses.TOKEN,
    addresses.PUSHED,
    addresses.NONCE,
    addresses.CREDENTIAL,
    addresses.DEFERRED,
    addresses.NOTIFICATION,
    addresses.OFFERS.rstrip("/"),
    addresses.STATUS.rstrip("/"),
    addresses.PRESENTATIONS.rstrip("/"),
    addresses.ISSUER_METADATA,
    addresses.SERVER_METADATA,
    "/vct",
)
_WALLET_ERRORS: Final = {
    404: "not_found",
    408: "temporarily_unavailable",
    429: "temporarily_unavailable",
    500: "server_error",
    503: "temporarily_unavailable",
}


def is_api(path: str) -> bool:
    """Whether ``path`` is asked by programs, whose errors are problem details: the API, and what devices ask."""
    return any(path == one or path.startswith(one + "/") for one in _PROGRAMS)


def short(path: str, status: int) -> tuple[bytes, str]:
    """What is said of ``status`` at ``path`` where nobody else says anything, and its media type."""
    text = _TEXTS.get(status, "Error")
    if any(path == one or path.startswith(one + "/") for one in _WALLETS):
        told = {"error": _WALLET_ERRORS.get(status, "invalid_request"), "error_description": text}
        return msgspec.json.encode(told), "application/json"
    return text.encode(), "text/plain; charset=utf-8"


async def answer(scope: Any, send: Send, status: int, headers: Mapping[str, str] | None = None) -> None:
    """Send the whole answer for an error ``status`` to the request of ``scope``."""
    if is_api(scope["path"]):
        language = "en" if _header(scope, b"accept-language").startswith(b"en") else "de"
        body = msgspec.json.encode(problems.http_problem(status, language))
        kind = problems.MEDIA_TYPE
    else:
        body, kind = short(scope["path"], status)
    given = {"content-type": kind, "content-length": str(len(body)), **(headers or {})}
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
        }
    )
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _header(scope: Any, wanted: bytes) -> bytes:
    for name, value in scope["headers"]:
        if name == wanted:
            found: bytes = value
            return found
    return b""
