"""What wallets are told when something is refused: one JSON object with an error code of the specifications.

Descriptions are English and ASCII without quotes and backslashes (RFC 6749, 5.2), and never repeat what was sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from litestar import Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap

from issuer.web import problems
from issuer.web.reader import AnyRequest
from keys.errors import Refusal
from keys.texts import texts

NO_STORE: Final = {"Cache-Control": "no-store"}
# What everybody may read may be read by a page of anybody, too.
CORS: Final = {"Access-Control-Allow-Origin": "*"}
ALGORITHM: Final = "ES256"
_REALM: Final = "stadtpass"


class Refused(Exception):
    """``error`` is the code for the wallet, ``reason`` the sentence EUDI_<reason> of the catalogue behind it."""

    def __init__(
        self, error: str, reason: str, *, status: int = 400, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{error}: {reason}")
        self.error, self.reason, self.status = error, reason, status
        self.headers = dict(headers or {})


def unauthorized(error: str, reason: str, *, dpop: bool, headers: Mapping[str, str] | None = None) -> Refused:
    """A refusal of a protected resource: RFC 6750, 3, or RFC 9449, 7.1. Without ``error`` no token was shown."""
    scheme = "DPoP" if dpop else "Bearer"
    told = [f'realm="{_REALM}"']
    if error:
        told.append(f'error="{error}"')
    if dpop:
        told.append(f'algs="{ALGORITHM}"')
    challenge = {"WWW-Authenticate": f"{scheme} {', '.join(told)}"}
    return Refused(error or "invalid_token", reason, status=401, headers={**challenge, **(headers or {})})


def json_answer(
    content: Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response[bytes]:
    """``content`` as JSON that nothing keeps."""
    return Response(
        msgspec.json.encode(content),
        status_code=status,
        media_type="application/json",
        headers={**NO_STORE, **(headers or {})},
    )


def _refused(_: AnyRequest, refused: Refused) -> Response[bytes]:
    return _told(refused.error, refused.reason, refused.status, refused.headers)


def _unreadable(request: AnyRequest, fault: HTTPException) -> Response[bytes]:
    if fault.status_code >= 500:
        return _fault(request, fault)
    return _told("invalid_request", "UNREADABLE", fault.status_code, fault.headers or {})


def _unavailable(request: AnyRequest, refusal: Refusal) -> Response[bytes]:
    """A refusal that no endpoint expects is the operator's to solve: it is logged, and the wallet comes again."""
    problems.refused(request, refusal)
    retry = {"Retry-After": str(problems.RETRY_AFTER_SECONDS)}
    return _told("temporarily_unavailable", "UNAVAILABLE", 503, retry)


def _fault(request: AnyRequest, fault: Exception) -> Response[bytes]:
    problems.internal_fault(request, fault)
    return _told("server_error", "FAULT", 500, {})


def _told(error: str, reason: str, status: int, headers: Mapping[str, str]) -> Response[bytes]:
    description = texts("issuer", "en")(f"EUDI_{reason}")
    return json_answer({"error": error, "error_description": description}, status=status, headers=headers)


EXCEPTION_HANDLERS: Final[ExceptionHandlersMap] = {
    Refused: _refused,
    HTTPException: _unreadable,
    Refusal: _unavailable,
    Exception: _fault,
}
