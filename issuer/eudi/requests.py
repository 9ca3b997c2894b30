"""Reading what wallets send: forms of the authorization server, authorization details, JSON bodies."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final
from urllib.parse import parse_qsl

from litestar import Request

from issuer.application import Application
from issuer.eudi import jws
from issuer.eudi.errors import Refused
from issuer.web.reader import AnyRequest

_FORM: Final = "application/x-www-form-urlencoded"
_MOST_FIELDS: Final = 40
_MOST_DETAILS: Final = 20
_LONGEST: Final = 16 * 1024
DETAILS_TYPE: Final = "openid_credential"


def application_of(request: Request[Any, Any, Any]) -> Application:
    """The service, if it issues into EUDI Wallets. Raises Refused with 404 where the operator has not set it up."""
    application: Application = request.app.state.application
    if not application.config.eudi.enabled:
        raise Refused("not_found", "OFF", status=404)
    return application


def form(request: AnyRequest, body: bytes, *, longest: int = _LONGEST) -> dict[str, str]:
    """The fields of a form; empty ones count as absent, repeated ones are refused (RFC 6749, 3.2).

    Raises Refused invalid_request.
    """
    if request.content_type[0] != _FORM or len(body) > longest:
        raise Refused("invalid_request", "FORM")
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        raise Refused("invalid_request", "FORM") from None
    if len({name for name, _ in pairs}) != len(pairs):
        raise Refused("invalid_request", "FORM_TWICE")
    return {name: value for name, value in pairs if value}


def detailed(text: str | None, known: Collection[str]) -> list[str] | None:
    """The credential configurations that ``authorization_details`` name (RFC 9396; OpenID4VCI 1.0, 5.1.1).

    None without ``text``. Each has to be one of ``known``. Raises Refused invalid_authorization_details.
    """
    if text is None:
        return None
    try:
        # An array; `read_object` wants an object around it.
        listed = jws.read_object(b'{"d":' + text.encode() + b"}").get("d")
    except (jws.JwsError, UnicodeEncodeError):
        raise Refused("invalid_authorization_details", "DETAILS") from None
    if not isinstance(listed, list) or not 0 < len(listed) <= _MOST_DETAILS:
        raise Refused("invalid_authorization_details", "DETAILS")
    found: list[str] = []
    for one in listed:
        told = one.get("credential_configuration_id") if isinstance(one, dict) else None
        if not isinstance(told, str) or one.get("type") != DETAILS_TYPE or told not in known:
            raise Refused("invalid_authorization_details", "DETAILS")
        if told not in found:
            found.append(told)
    return found


def json_body(request: AnyRequest, body: bytes, error: str) -> dict[str, Any]:
    """The members of a JSON body. Raises Refused with the code ``error``."""
    if request.content_type[0] != "application/json":
        raise Refused(error, "MEDIA_TYPE")
    try:
        return jws.read_object(body)
    except jws.JwsError:
        raise Refused(error, "BODY") from None
