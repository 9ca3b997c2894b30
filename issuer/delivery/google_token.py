"""The city's account with Google, and the access tokens it gets for it.

OAuth 2.0 with a signed assertion (RFC 7523): the service account's key signs who asks for what, and Google gives
a token for an hour. The key never leaves the keystore.
"""

from __future__ import annotations

import logging
import threading
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

import httpx
import msgspec
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from issuer import keyring
from issuer.background.tasks import RetryLater
from issuer.delivery.google_answers import Answer, later, read_answer, unreachable
from keys.errors import Refusal
from keys.lifecycle import Purpose
from keys.store import Algorithm, Signer
from passes.model import City

if TYPE_CHECKING:
    from issuer.application import Application

SCOPE: Final = "https://www.googleapis.com/auth/wallet_object.issuer"
_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_ASSERTION_LIFE: Final = timedelta(hours=1)
# A token is not used in its last minutes: a request must not outlive it.
_MARGIN: Final = timedelta(minutes=5)
_log = logging.getLogger("stadtpass.google")


@dataclass(frozen=True, slots=True)
class Account:
    """Who the city is to Google: its settings and the service account's key."""

    city: City
    signer: Signer
    kid: bytes


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    good_until: datetime


_tokens: WeakKeyDictionary[Engine, dict[tuple[str, ...], _Token]] = WeakKeyDictionary()
_lock = threading.Lock()


def load_account(application: Application, session: Session) -> Account | None:
    """The city's account with Google; None if an id, the service account or a key that signs now is missing."""
    city = application.settings(session).city(application.tenant)
    if not city.google_issuer_id or not city.google_service_account:
        return None
    try:
        record = keyring.signing_record(session, application.tenant, Purpose.GOOGLE, application.now())
        signer = application.keys.signer(record.uri)
    except Refusal:
        return None
    return Account(city, signer, record.kid) if signer.algorithm is Algorithm.RS256 else None


def access_token(application: Application, account: Account, http: httpx.Client) -> str:
    """A token that is good for minutes at least; kept in this process until shortly before it ends.

    Raises RetryLater: google-unreachable and the like for faults that pass, google-account where Google does
    not take the account or its key, which is logged for the operator.
    """
    key = _key(application, account)
    with _lock:
        kept = _tokens.setdefault(application.engine, {})
        token = kept.get(key)
        if token is None or token.good_until <= application.now():
            token = kept[key] = _ask(application, account, http)
        return token.text


def forget_token(application: Application, account: Account, text: str) -> None:
    """Ask for another token next time, unless another thread has asked already."""
    with _lock:
        kept = _tokens.setdefault(application.engine, {})
        token = kept.get(_key(application, account))
        if token is not None and token.text == text:
            del kept[_key(application, account)]


def _key(application: Application, account: Account) -> tuple[str, ...]:
    url, city = application.config.google.token_url, account.city
    return (application.tenant, url, city.google_service_account, account.kid.hex())


def _ask(application: Application, account: Account, http: httpx.Client) -> _Token:
    now, url = application.now(), application.config.google.token_url
    try:
        request = http.build_request(
            "POST", url, data={"grant_type": _GRANT, "assertion": _assertion(account, url, now)}
        )
        answer = read_answer(http, request)
    except httpx.HTTPError as fault:
        raise unreachable(fault) from fault
    if answer.status == 200:
        return _token_in(answer, now)
    if answer.status == 429 or answer.status >= 500:
        raise later(answer, now)
    _log.error("google refuses the service account: GOOGLE_ACCOUNT", extra={"status": answer.status})
    raise RetryLater("google-account", application.config.background.longest_wait_seconds)


def _token_in(answer: Answer, now: datetime) -> _Token:
    told = answer.body
    text, seconds = told.get("access_token"), told.get("expires_in")
    if not isinstance(text, str) or not text.isascii() or not text.isprintable() or not text:
        raise RetryLater("google-answer")
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not 0 < seconds <= 86_400:
        raise RetryLater("google-answer")
    return _Token(text, now + max(timedelta(seconds=seconds) - _MARGIN, timedelta(seconds=seconds) / 2))


def _assertion(account: Account, audience: str, now: datetime) -> str:
    issued_at = int(now.timestamp())
    claims = {
        "iss": account.city.google_service_account,
        "scope": SCOPE,
        "aud": audience,
        "iat": issued_at,
        "exp": issued_at + int(_ASSERTION_LIFE.total_seconds()),
    }
    signed = b".".join(
        _base64url(msgspec.json.encode(one)) for one in ({"alg": "RS256", "typ": "JWT"}, claims)
    )
    return (signed + b"." + _base64url(account.signer.sign(signed))).decode("ascii")


def _base64url(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")
