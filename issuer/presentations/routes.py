"""The two addresses of a question that wallets know: where they read it, and where they send the answer."""

from __future__ import annotations

from typing import Final

from litestar import Response, Router, get, post
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler

from issuer.eudi import addresses
from issuer.eudi.errors import EXCEPTION_HANDLERS, NO_STORE, Refused, json_answer
from issuer.eudi.requests import application_of, form
from issuer.presentations.answering import take_answer
from issuer.presentations.handles import ANSWER
from issuer.presentations.request_object import MEDIA_TYPE, request_object
from issuer.web.reader import AnyRequest

# An mdoc with a certificate chain and its many digests, encrypted, as the value of a form.
LONGEST: Final = 128 * 1024
_LONGEST_NONCE: Final = 300
_PATH: Final = f"{addresses.PRESENTATIONS}{{token:str}}"


@get(_PATH, sync_to_thread=True)
def give_request(request: AnyRequest, token: FromPath[str]) -> Response[bytes]:
    """The signed question (RFC 9101, 5.2.3)."""
    return _signed(request, token, None)


@post(_PATH, status_code=200, sync_to_thread=True)
def give_request_to_post(request: AnyRequest, token: FromPath[str], body: RawBody) -> Response[bytes]:
    """The same with the wallet's nonce in it (OpenID4VP 1.0, 5.10); what else it says of itself changes nothing."""
    application_of(request)
    fields = form(request, body) if body else {}
    nonce = fields.get("wallet_nonce")
    if nonce is not None and not (len(nonce) <= _LONGEST_NONCE and nonce.isascii() and nonce.isprintable()):
        raise Refused("invalid_request", "WALLET_NONCE")
    return _signed(request, token, nonce)


@post(f"{_PATH}{ANSWER}", status_code=200, sync_to_thread=True)
def take(request: AnyRequest, token: FromPath[str], body: RawBody) -> Response[bytes]:
    """The answer (OpenID4VP 1.0, 8.2 and 8.3.1). One that does not hold is refused here as well."""
    application = application_of(request)
    reply = take_answer(application, token, form(request, body, longest=LONGEST))
    if reply.redirect_uri is not None:
        # Also with a refusal: our page says why.
        return json_answer({"redirect_uri": reply.redirect_uri})
    if not reply.holds:
        raise Refused("invalid_request", "ANSWER_REFUSED")
    return json_answer({})


def _signed(request: AnyRequest, token: str, wallet_nonce: str | None) -> Response[bytes]:
    made = request_object(application_of(request), token, wallet_nonce)
    return Response(made.encode(), media_type=MEDIA_TYPE, headers=NO_STORE)


HANDLERS: list[ControllerRouterHandler] = [
    Router(
        "/",
        route_handlers=[give_request, give_request_to_post, take],
        exception_handlers=EXCEPTION_HANDLERS,
        request_max_body_size=LONGEST,
        include_in_schema=False,
    )
]
