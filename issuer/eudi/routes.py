"""All routes for EUDI Wallets: those that programs ask answer in JSON, those that people see with pages."""

from __future__ import annotations

from typing import Any

from litestar import Response, Router
from litestar.types import ControllerRouterHandler

from issuer.eudi import (
    authorization,
    credential_endpoint,
    metadata,
    pushed_requests,
    small_endpoints,
    status_pages,
    token_endpoint,
)
from issuer.eudi.encryption import LONGEST
from issuer.eudi.errors import EXCEPTION_HANDLERS, Refused
from issuer.pickup import routes as pickup
from issuer.web.forms import LONGEST_BODY
from issuer.web.reader import AnyRequest, reader_of

_LONGEST_FORM = 16 * 1024


def _not_here(request: AnyRequest, refused: Refused) -> Response[Any]:
    """Where the operator issues nothing into EUDI Wallets there is no such page."""
    return reader_of(request)[1].problem(refused.status, "UNREADABLE")


HANDLERS: list[ControllerRouterHandler] = [
    Router(
        "/",
        route_handlers=[*metadata.HANDLERS, *small_endpoints.HANDLERS, *status_pages.HANDLERS],
        exception_handlers=EXCEPTION_HANDLERS,
        request_max_body_size=LONGEST_BODY,
        include_in_schema=False,
    ),
    Router(
        "/",
        route_handlers=[token_endpoint.give_tokens, pushed_requests.take_request],
        exception_handlers=EXCEPTION_HANDLERS,
        request_max_body_size=_LONGEST_FORM,
        include_in_schema=False,
    ),
    Router(
        "/",
        route_handlers=[credential_endpoint.give_credentials, credential_endpoint.give_deferred],
        exception_handlers=EXCEPTION_HANDLERS,
        request_max_body_size=LONGEST,
        include_in_schema=False,
    ),
    Router(
        "/",
        route_handlers=[*authorization.HANDLERS],
        exception_handlers={**pickup.EXCEPTION_HANDLERS, Refused: _not_here},
        request_max_body_size=LONGEST_BODY,
        include_in_schema=False,
    ),
]
