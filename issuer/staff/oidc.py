"""Logging in at the city's OpenID provider: authorization code with PKCE, state and nonce.

The browser carries one random cookie through the log-in; state, nonce and the PKCE verifier follow from it and the
service's secret, so nothing has to be stored. A person is known by the provider's ``sub`` alone: an equal mail
address does not make two accounts one. Whoever the provider gives a role gets an account at the first log-in.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.errors import IssuerRefusal
from issuer.models_staff import StaffAccountRow
from issuer.staff.accounts import (
    LONGEST_NAME,
    State,
    add_account,
    end_sessions,
    note,
)
from issuer.staff.oidc_provider import Claims, Provider, refused
from issuer.staff.permissions import Role, Stage
from issuer.staff.sessions import OIDC, Person, start_session
from issuer.staff.sign_in import Caller

RETURN_PATH: Final = "/office/oidc/return"
PATIENCE: Final = timedelta(minutes=10)

_COOKIE: Final = re.compile(r"[A-Za-z0-9_-]{22}\.([0-9]{1,12})")
_PRINTABLE: Final = re.compile(r"[ -~]{1,2000}")
_PROVIDER_ACTOR: Final = "oidc"
_providers: WeakKeyDictionary[Engine, Provider] = WeakKeyDictionary()
_lock: Final = threading.Lock()


@dataclass(frozen=True, slots=True)
class Journey:
    """A log-in under way: where the browser goes, and the cookie with which it has to come back."""

    address: str
    cookie: str = field(repr=False)


def is_offered(application: Application) -> bool:
    """Whether the city has a provider."""
    return bool(application.config.oidc.issuer)


def provider_of(application: Application) -> Provider:
    """The provider, with what this process knows of it. Raises IssuerRefusal OIDC_OFF."""
    if not is_offered(application):
        raise IssuerRefusal("OIDC_OFF")
    with _lock:
        provider = _providers.get(application.engine)
        if provider is None:
            provider = Provider(application.config.oidc, application.workspace.folder)
            _providers[application.engine] = provider
        return provider


def begin(application: Application, base_url: str) -> Journey:
    """Send a browser to the provider. Raises IssuerRefusal OIDC_OFF, OIDC_UNREACHABLE, OIDC_REFUSED."""
    provider = provider_of(application)
    description = provider.description()
    cookie = f"{secrets.token_urlsafe(16)}.{int(application.now().timestamp())}"
    digest = hashlib.sha256(_verifier(application, cookie).encode()).digest()
    query = {
        "response_type": "code",
        "client_id": provider.config.client_id,
        "redirect_uri": base_url + RETURN_PATH,
        "scope": "openid profile email",
        "state": _derived(application, "state", cookie),
        "nonce": _derived(application, "nonce", cookie),
        "code_challenge": _base64url(digest),
        "code_challenge_method": "S256",
    }
    joint = "&" if "?" in description.authorization_endpoint else "?"
    return Journey(f"{description.authorization_endpoint}{joint}{urlencode(query)}", cookie)


def finish(
    application: Application, base_url: str, cookie: str | None, answer: dict[str, str], caller: Caller
) -> Person:
    """The session of whoever comes back with ``answer``, the query of the provider's redirect.

    Raises IssuerRefusal OIDC_OFF, OIDC_UNREACHABLE, OIDC_REFUSED, OIDC_DENIED where the provider has said no,
    OIDC_NO_ROLE for people without a role here, OIDC_TAKEN if a local account has their log-in name.
    """
    provider = provider_of(application)
    found = _COOKIE.fullmatch(cookie or "")
    if cookie is None or found is None:
        raise refused("no log-in under way")
    if not hmac.compare_digest(
        answer.get("state", "").encode(), _derived(application, "state", cookie).encode()
    ):
        raise refused("state of another log-in")
    begun = datetime.fromtimestamp(int(found[1]), UTC)
    if not timedelta() <= application.now() - begun + timedelta(minutes=1) <= PATIENCE:
        raise refused("log-in too old")
    if "error" in answer:
        raise IssuerRefusal("OIDC_DENIED")
    told = answer.get("iss")
    if (told is None and provider.description().names_itself) or told not in (None, provider.config.issuer):
        raise refused("answer of another issuer")
    code = answer.get("code", "")
    if _PRINTABLE.fullmatch(code) is None:
        raise refused("no code")
    token = provider.exchange(code, _verifier(application, cookie), base_url + RETURN_PATH)
    claims = provider.verified(token, _derived(application, "nonce", cookie), application.now())
    with application.writing() as session:
        row = _account_for(session, application, claims)
        row.last_login_at = application.now()
        return start_session(
            session,
            application,
            row,
            Stage.OPEN,
            method=OIDC,
            agent=caller.agent,
            instead_of=caller.session_hash,
        )


def _account_for(session: Session, application: Application, claims: Claims) -> StaffAccountRow:
    roles = _roles_of(application, claims)
    row = session.scalar(
        select(StaffAccountRow).where(
            StaffAccountRow.tenant == application.tenant, StaffAccountRow.oidc_subject == claims["sub"]
        )
    )
    if not roles:
        raise IssuerRefusal("OIDC_NO_ROLE")
    values = sorted(role.value for role in roles)
    if row is None:
        row = _new_account(session, application, claims, roles)
        note(session, application, row.id, "invite-staff", _PROVIDER_ACTOR, after={"roles": list(row.roles)})
    elif row.state == State.LOCKED.value:
        raise IssuerRefusal("OIDC_NO_ROLE")
    elif row.roles != values:
        before, row.roles = list(row.roles), values
        session.flush()
        # Whatever their other browsers show was for the roles of before.
        end_sessions(session, application, row.id)
        note(
            session,
            application,
            row.id,
            "change-staff-roles",
            _PROVIDER_ACTOR,
            before={"roles": before},
            after={"roles": values},
        )
    return row


def _new_account(
    session: Session, application: Application, claims: Claims, roles: set[Role]
) -> StaffAccountRow:
    login = next((claims[name] for name in ("email", "preferred_username") if _is_text(claims.get(name))), "")
    name = claims.get("name") if _is_text(claims.get("name")) else login
    shown = "".join(character for character in str(name) if character.isprintable())[:LONGEST_NAME]
    try:
        row = add_account(session, application, login or _fallback(claims), shown or _fallback(claims), roles)
    except IssuerRefusal as refusal:
        if refusal.code == "STAFF_LOGIN_TAKEN":
            raise IssuerRefusal("OIDC_TAKEN") from None
        if refusal.code not in ("STAFF_LOGIN", "STAFF_NAME"):
            raise
        row = add_account(session, application, _fallback(claims), _fallback(claims), roles)
    row.state, row.oidc_subject = State.ACTIVE.value, claims["sub"]
    session.flush()
    return row


def _fallback(claims: Claims) -> str:
    """A name for somebody whose provider tells none that can be one."""
    return f"oidc-{hashlib.sha256(claims['sub'].encode()).hexdigest()[:16]}"


def _roles_of(application: Application, claims: Claims) -> set[Role]:
    config = application.config.oidc
    told: Any = claims
    # Keycloak nests its roles: realm_access.roles.
    for part in config.role_claim.split("."):
        told = told.get(part) if isinstance(told, dict) else None
    values = [told] if isinstance(told, str) else told if isinstance(told, list) else []
    return {Role(config.roles[value]) for value in values if isinstance(value, str) and value in config.roles}


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _derived(application: Application, purpose: str, cookie: str) -> str:
    return _base64url(application.derived(f"oidc-{purpose}", cookie))


def _verifier(application: Application, cookie: str) -> str:
    # RFC 7636, 4.1: 43 characters from 32 random bytes.
    return _derived(application, "verifier", cookie)


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
