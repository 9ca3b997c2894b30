"""Who calls: API keys and OAuth access tokens as bearer tokens (RFC 6750), and the scopes they need.

A key reads ``spk_<id>_<secret>``: it is looked up by its id, and the secret compared in constant time as a keyed
hash. An access token is looked up by its keyed hash. An unknown id costs the same work as a wrong secret.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from litestar import Request
from litestar.concurrency import sync_to_thread
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.handlers.base import BaseRouteHandler
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from issuer.api.clients import KEY, purpose_of
from issuer.api.scopes import Scope
from issuer.application import Application
from issuer.best_effort import note_if_possible
from issuer.models_access import AccessTokenRow, ApiClientRow
from issuer.web.problems import problem
from passes.periods import berlin_day

TOKEN_PURPOSE: Final = "access-token"  # noqa: S105 - the name of a purpose
REALM: Final = "stadtpass"
JSON_TYPES: Final = ("application/json",)

_KEY_FORM = re.compile(r"spk_([0-9a-f]{32})_([A-Za-z0-9_-]{43})")
_TOKEN_FORM = re.compile(r"spt_[A-Za-z0-9_-]{43}")
_SCHEME = "bearer"
_NOTHING = "0" * 64


@dataclass(frozen=True, slots=True)
class ApiClient:
    """The client that a request comes from, and what it may do with these credentials."""

    id: str
    name: str
    scopes: frozenset[str]

    @property
    def actor(self) -> str:
        """Who acts, for the audit trail."""
        return f"api:{self.name}"[:120]


ApiRequest = Request[ApiClient, str, State]


def application_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Application:
    """The service that a request belongs to."""
    application: Application = connection.app.state.application
    return application


@dataclass(frozen=True, slots=True)
class require:  # noqa: N801 - reads as a word where handlers use it
    """A guard: the request needs credentials with ``scope``, and a body of a kind that the handler reads.

    Handlers find the `ApiClient` as ``request.user``. A handler that reads something else than JSON names
    it in ``opt={"content_types": ("text/csv",)}``.

    It raises problems: 401 CREDENTIALS_MISSING, CREDENTIALS_INVALID; 403 SCOPE_MISSING;
    415 MEDIA_TYPE_UNSUPPORTED.
    """

    scope: Scope

    async def __call__(
        self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
    ) -> None:
        """Let the request through, or raise."""
        token = _bearer_token(connection)
        client = await sync_to_thread(authenticate, application_of(connection), token)
        demand(client, self.scope)
        _check_content_type(connection, handler.opt.get("content_types", JSON_TYPES))
        connection.scope["user"] = client
        connection.scope["auth"] = self.scope


def demand(client: ApiClient, scope: Scope) -> None:
    """Let ``client`` go on if it has ``scope``. Raises the problem 403 SCOPE_MISSING."""
    if scope not in client.scopes:
        challenge = f'Bearer realm="{REALM}", error="insufficient_scope", scope="{scope}"'
        raise problem(403, "SCOPE_MISSING", headers={"WWW-Authenticate": challenge}, scope=scope)


def authenticate(application: Application, token: str) -> ApiClient:
    """The client behind a bearer token. Raises the problem 401 CREDENTIALS_INVALID."""
    at = application.now()
    with application.reading() as session:
        found = _by_key(application, session, token, at) or _by_token(application, session, token, at)
    if found is None:
        challenge = f'Bearer realm="{REALM}", error="invalid_token"'
        raise problem(401, "CREDENTIALS_INVALID", headers={"WWW-Authenticate": challenge})
    row, client = found
    if row.last_used_on != berlin_day(at):
        note_use(application, row.id, at)
    return client


def secret_fits(application: Application, row: ApiClientRow | None, secret: str, at: datetime) -> bool:
    """Whether ``secret`` is the one of ``row`` now; the same work is done for no row and a wrong secret.

    A revoked or expired client has none. The secret before the last rotation holds until its overlap ends.
    """
    given = application.hash_secret(purpose_of(KEY if row is None else row.kind), secret)
    current = row.secret_hash if row else _NOTHING
    previous, until = (row.previous_hash, row.previous_until) if row else (None, None)
    is_current = hmac.compare_digest(given, current)
    is_previous = hmac.compare_digest(given, previous or _NOTHING)
    if row is None or row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= at):
        return False
    return is_current or (is_previous and until is not None and at < until)


def note_use(application: Application, client_id: str, at: datetime) -> None:
    """Keep the day on which a client was last used, and no more than the day, if that is possible now."""
    noted = (
        update(ApiClientRow)
        .where(ApiClientRow.tenant == application.tenant, ApiClientRow.id == client_id)
        .values(last_used_on=berlin_day(at))
    )
    note_if_possible(application, "client", lambda session: session.execute(noted))


def _by_key(
    application: Application, session: Session, token: str, at: datetime
) -> tuple[ApiClientRow, ApiClient] | None:
    parts = _KEY_FORM.fullmatch(token)
    if parts is None:
        return None
    row = session.get(ApiClientRow, (application.tenant, parts[1]))
    if row is not None and row.kind != KEY:
        row = None
    if not secret_fits(application, row, parts[2], at) or row is None:
        return None
    return row, ApiClient(row.id, row.name, frozenset(row.scopes))


def _by_token(
    application: Application, session: Session, token: str, at: datetime
) -> tuple[ApiClientRow, ApiClient] | None:
    if _TOKEN_FORM.fullmatch(token) is None:
        return None
    found = session.execute(
        select(AccessTokenRow, ApiClientRow)
        .join(
            ApiClientRow,
            (ApiClientRow.tenant == AccessTokenRow.tenant) & (ApiClientRow.id == AccessTokenRow.client_id),
        )
        .where(
            AccessTokenRow.tenant == application.tenant,
            AccessTokenRow.token_hash == application.hash_secret(TOKEN_PURPOSE, token),
        )
    ).one_or_none()
    if found is None:
        return None
    access, row = found
    if access.expires_at <= at or row.revoked_at is not None:
        return None
    if row.expires_at is not None and row.expires_at <= at:
        return None
    # A scope that was taken from the client meanwhile is gone from its tokens too.
    return row, ApiClient(row.id, row.name, frozenset(access.scopes) & frozenset(row.scopes))


def _bearer_token(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != _SCHEME or not token:
        raise problem(401, "CREDENTIALS_MISSING", headers={"WWW-Authenticate": f'Bearer realm="{REALM}"'})
    return token.strip()[:200]


def _check_content_type(connection: ASGIConnection[Any, Any, Any, Any], allowed: tuple[str, ...]) -> None:
    headers = connection.headers
    if headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
        return
    given = headers.get("content-type", "").partition(";")[0].strip().lower()
    if given not in allowed:
        raise problem(415, "MEDIA_TYPE_UNSUPPORTED", headers={"Accept": ", ".join(allowed)})
