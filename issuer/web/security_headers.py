"""The headers that protect a browser, on every response: pages, files, errors and faults alike.

They are set outside of everything else, so that nothing can be answered without them. A handler may set one of
them itself, where it knows better; what it leaves open is filled in here.
"""

from __future__ import annotations

from typing import Any, Final

from litestar.types import ASGIApp, Message, Receive, Send

_DIRECTIVES: Final[dict[str, str]] = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "manifest-src": "'self'",
    # A form may lead on to Google's page for saving a pass.
    "form-action": "'self' https://pay.google.com",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
# Paths whose pages need more: by prefix, the directives that differ.
RELAXED: Final[dict[str, dict[str, str]]] = {
    # The API's documentation is a script that sets styles on its own elements.
    "/api/docs": {
        "style-src": "'self' 'unsafe-inline'",
        "font-src": "'self' data:",
        "img-src": "'self' data: blob:",
        "worker-src": "'self' blob:",
    },
    # The verifier's app: camera pictures, a decoder in WebAssembly, workers; scripts only through its own policy of
    # Trusted Types. A worker goes by the headers of its own file, so they are the same on all.
    "/check": {
        "script-src": "'self' 'wasm-unsafe-eval'",
        "worker-src": "'self'",
        "img-src": "'self' blob: data:",
        "media-src": "'self' blob: mediastream:",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "stadtpass",
    },
}
# What other sites' pages may load: signed public lists, pictures of passes, and open data.
_SHARED: Final = (
    "/lists/",
    "/status/",
    "/static/types/",
    "/open-data/",
    "/eudi/status/",
    "/vct/",
    "/.well-known/o",
)
# What a page may ask the browser for; nothing, but for the verifier's app.
_FEATURES: Final = (
    b"accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(),"
    b" microphone=(), midi=(), payment=(), usb=(), browsing-topics=()"
)
_FEATURES_OF: Final[dict[str, bytes]] = {
    "/check": _FEATURES.replace(b"camera=()", b"camera=(self)")
    + b", screen-wake-lock=(self), publickey-credentials-get=(self), publickey-credentials-create=(self)",
}
_ALWAYS: Final[tuple[tuple[bytes, bytes], ...]] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"x-permitted-cross-domain-policies", b"none"),
)
POLICY: Final = b"content-security-policy"
_YEAR: Final = b"max-age=31536000"
_NOT_MODIFIED: Final = 304

Headers = list[tuple[bytes, bytes]]


def content_security_policy(path: str) -> str:
    """The policy for pages under ``path``."""
    chosen = dict(_DIRECTIVES)
    for prefix, other in RELAXED.items():
        if _under(path, prefix):
            chosen |= other
    return "; ".join(f"{name} {value}" for name, value in chosen.items())


def _under(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(prefix + "/")


_POLICIES: Final = {prefix: content_security_policy(prefix).encode() for prefix in RELAXED}
_POLICY: Final = content_security_policy("/").encode()


def completed(headers: Headers, status: int, path: str = "/", *, secure: bool = False) -> Headers:
    """``headers`` (lower-case names) of a response with ``status``, and what is missing of those that protect."""
    present = {name for name, _ in headers}
    policy = next((value for prefix, value in _POLICIES.items() if _under(path, prefix)), _POLICY)
    features = next((value for prefix, value in _FEATURES_OF.items() if _under(path, prefix)), _FEATURES)
    share = b"cross-origin" if path.startswith(_SHARED) else b"same-origin"
    wanted = [
        (POLICY, policy),
        (b"permissions-policy", features),
        *_ALWAYS,
        (b"cross-origin-resource-policy", share),
    ]
    if secure:
        wanted.append((b"strict-transport-security", _YEAR))
    if status != _NOT_MODIFIED:
        wanted.append((b"cache-control", b"no-store"))
    return headers + [(name, value) for name, value in wanted if name not in present]


class SecurityHeaders:
    """ASGI wrapper that sets the headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Routing may rewrite the scope; the headers go by what was asked for.
        path, secure = scope["path"], scope["scheme"] == "https"

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [(name.lower(), value) for name, value in message.get("headers", ())]
                headers = [(name, value) for name, value in headers if name != b"server"]
                message["headers"] = completed(headers, message["status"], path, secure=secure)
            await send(message)

        await self._app(scope, receive, send_with_headers)
