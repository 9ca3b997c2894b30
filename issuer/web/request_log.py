"""One line in the log for each request, and the numbers for monitoring.

The line says which route was meant (its template, never the address itself: tokens, serials and plates stand
there), the method, the status, how long it took, and an id that is also in ``X-Request-Id``. It does not say who
asked: an address of the internet is personal data, and nothing here needs it.
"""

from __future__ import annotations

import logging
import secrets
import time
from typing import Any, Final

import structlog
from litestar.types import ASGIApp, Message, Receive, Send

from issuer import counters
from issuer.web.answers import answer

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_QUIET: Final = frozenset({"/health", "/ready", "/metrics"})
_log = logging.getLogger("stadtpass.request")


class RequestLog:
    """ASGI wrapper that logs, counts, and answers 500 where nothing inside has answered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id, began, status = secrets.token_hex(8), time.perf_counter(), 0
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            await send(message)

        with structlog.contextvars.bound_contextvars(request=request_id):
            try:
                await self._app(scope, receive, noted)
            except Exception as fault:
                if status:
                    raise
                # The fault's text may hold what was asked for; its kind and place must do.
                _log.error("fault outside of handlers", exc_info=fault)
                await answer(scope, noted, 500)
            finally:
                seconds = time.perf_counter() - began
                route = route_of(scope)
                counters.REQUESTS.labels(method, route, str(status)).inc()
                counters.DURATIONS.labels(method, route).observe(seconds)
                level = logging.DEBUG if route in _QUIET and status < 400 else logging.INFO
                _log.log(
                    level,
                    "request",
                    extra={
                        "method": method,
                        "route": route,
                        "status": status,
                        "ms": round(seconds * 1000, 1),
                    },
                )


def route_of(scope: Any) -> str:
    """The template of the route that took the request; ``-`` where none did."""
    template: str = scope.get("path_template") or "-"
    return template
