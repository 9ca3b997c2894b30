"""Access tokens by OAuth 2.0 client credentials (RFC 6749, sections 4.4, 5.1 and 5.2).

The errors have the members that RFC 6749 demands and those of problem details, as ``application/json``. A client
signs in by HTTP Basic or by form fields, never both (section 2.3).
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_plus

import msgspec
from litestar import Request, Response, post
from litestar.datastructures import State
from litestar.params import RawBody
from litestar.types import ControllerRouterHandler
from sqlalchemy import delete

from issuer.api.auth import REALM, TOKEN_PURPOSE, application_of, note_use, secret_fits
from issuer.api.clients import OAUTH
from issuer.api.documentation import TOKEN_RESPONSES, TokenOperation
from issuer.application import Application
from issuer.models_access import AccessTokenRow, ApiClientRow
from issuer.web.problems import ProblemRefusal, language_of, problem, problem_of
from keys.texts import texts
from passes.periods import berlin_day

LIFETIME: Final = timedelta(minutes=15)
_FORM: Final = "application/x-www-form-urlencoded"
_LARGEST_BODY: Final = 8 * 1024
_MOST_FIELDS: Final = 20
_NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class _Refused(Exception):
    def __init__(self, error: str, status: int = 400, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(error)
        self.error, self.status, self.headers = error, status, dict(headers or {})

    def problem(self) -> ProblemRefusal:
        return problem(self.status, f"OAUTH_{self.error.upper()}", headers=self.headers)


@dataclass(frozen=True, slots=True)
class _Credentials:
    id: str
    secret: str
    basic: bool


@post(
    "/oauth/token",
    status_code=200,
    sync_to_thread=True,
    request_max_body_size=_LARGEST_BODY,
    operation_id="createAccessToken",
    operation_class=TokenOperation,
    responses=TOKEN_RESPONSES,
    tags=["OAuth"],
    summary="Get an access token",
    description=(
        "Client credentials (RFC 6749, 4.4). The token holds for 15 minutes; there is no refresh token. "
        "Without `scope` it has all scopes of the client."
    ),
)
def create_token(request: Request[Any, Any, State], body: RawBody) -> Response[bytes]:
    """Answer with an access token, or with an error code of RFC 6749."""
    try:
        content = _token(application_of(request), request, body)
    except _Refused as refused:
        return _fault(request, refused)
    return Response(
        msgspec.json.encode(content), status_code=200, media_type="application/json", headers=_NO_STORE
    )


HANDLERS: list[ControllerRouterHandler] = [create_token]


def _token(application: Application, request: Request[Any, Any, State], body: bytes) -> dict[str, object]:
    fields = _fields(request, body)
    client = _signed_in(application, _credentials(request, fields))
    grant = fields.get("grant_type")
    if not grant:
        raise _Refused("invalid_request")
    if grant != "client_credentials":
        raise _Refused("unsupported_grant_type")
    wanted = fields.get("scope", "").split(" ") if fields.get("scope") else list(client.scopes)
    if not set(wanted) <= set(client.scopes):
        raise _Refused("invalid_scope")
    at = application.now()
    token = f"spt_{secrets.token_urlsafe(32)}"
    scopes = sorted(set(wanted))
    with application.writing() as session:
        of_client = (AccessTokenRow.tenant == application.tenant, AccessTokenRow.client_id == client.id)
        session.execute(delete(AccessTokenRow).where(*of_client, AccessTokenRow.expires_at <= at))
        # Revoked since it was looked at: then it gets no token that would outlive the revocation's clean-up.
        row = session.get(ApiClientRow, (application.tenant, client.id))
        if row is None or row.revoked_at is not None:
            raise _invalid_client()
        session.add(
            AccessTokenRow(
                tenant=application.tenant,
                token_hash=application.hash_secret(TOKEN_PURPOSE, token),
                client_id=client.id,
                scopes=scopes,
                expires_at=at + LIFETIME,
            )
        )
    if client.last_used_on != berlin_day(at):
        note_use(application, client.id, at)
    return {
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": int(LIFETIME.total_seconds()),
        "scope": " ".join(scopes),
    }


def _fields(request: Request[Any, Any, State], body: bytes) -> dict[str, str]:
    """The form's fields; empty ones count as absent, repeated ones are refused (RFC 6749, 3.2)."""
    if request.content_type[0] != _FORM:
        raise _Refused("invalid_request")
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        raise _Refused("invalid_request") from None
    if len({name for name, _ in pairs}) != len(pairs):
        raise _Refused("invalid_request")
    return {name: value for name, value in pairs if value}


def _credentials(request: Request[Any, Any, State], fields: Mapping[str, str]) -> _Credentials:
    header = request.headers.get("authorization", "")
    if not header:
        if not fields.get("client_id") or not fields.get("client_secret"):
            raise _invalid_client()
        return _Credentials(fields["client_id"], fields["client_secret"], basic=False)
    if "client_secret" in fields:
        raise _Refused("invalid_request")
    scheme, _, encoded = header.partition(" ")
    try:
        if scheme.lower() != "basic":
            raise ValueError
        plain = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
        client_id, colon, secret = plain.partition(":")
        if not colon:
            raise ValueError
        # Both parts are form-encoded before they go into the header: RFC 6749, 2.3.1.
        found = _Credentials(unquote_plus(client_id), unquote_plus(secret), basic=True)
    except (ValueError, binascii.Error):
        raise _invalid_client() from None
    if fields.get("client_id", found.id) != found.id:
        raise _Refused("invalid_request")
    return found


def _signed_in(application: Application, given: _Credentials) -> ApiClientRow:
    with application.reading() as session:
        row = session.get(ApiClientRow, (application.tenant, given.id[:40]))
    if row is not None and row.kind != OAUTH:
        row = None
    if not secret_fits(application, row, given.secret[:200], application.now()) or row is None:
        raise _invalid_client()
    return row


def _invalid_client() -> _Refused:
    return _Refused("invalid_client", 401, {"WWW-Authenticate": f'Basic realm="{REALM}", charset="UTF-8"'})


def _fault(request: Request[Any, Any, State], refused: _Refused) -> Response[bytes]:
    refusal = refused.problem()
    language = language_of(request)
    content = {
        "error": refused.error,
        # ASCII alone is allowed here (RFC 6749, 5.2), so it is always English.
        "error_description": texts("issuer", "en")(refusal.code),
        **msgspec.to_builtins(problem_of(refusal, language)),
    }
    headers = {"Content-Language": language, **_NO_STORE, **refused.headers}
    return Response(
        msgspec.json.encode(content),
        status_code=refused.status,
        media_type="application/json",
        headers=headers,
    )
