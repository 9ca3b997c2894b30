"""The client for PAIA 1.4: a token by PAIA auth or given for good, and ``GET /core/{patron}``.

A token is kept until shortly before its end and thrown away when it is refused. Redirects are never followed: a token
goes to the addresses that the operator has named and nowhere else.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

from issuer import bounded_http
from issuer.bounded_http import Answer, CallFailed
from issuer.configuration import LibraryConfig
from issuer.library.sources.credentials import first_line
from issuer.library.sources.paia_answers import fees_of, is_denied, is_token, login_of, patron_of
from issuer.library.sources.patron import (
    Patron,
    PatronStanding,
    PatronUnknown,
    SourceMisbehaves,
    SourceUnavailable,
)
from passes.periods import berlin_day

# An answer about one patron has some hundred bytes.
LARGEST: Final = 64 * 1024
# A token is not used in its last minute: a question must not outlive it.
_MARGIN_SECONDS: Final = 60.0
# How long a log-in proves that password and client are in order.
_PROOF_SECONDS: Final = 3600.0
_LONGEST_LIFE: Final = 24 * 3600.0
_OWING: Final = (PatronStanding.OWES_FEES, PatronStanding.EXPIRED_OWES_FEES)
_FAILURES: Final = {
    "timeout": "LIBRARY_TIMEOUT",
    "certificate": "LIBRARY_CERTIFICATE",
    "connection": "LIBRARY_UNREACHABLE",
}


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    good_until: float
    scopes: frozenset[str] | None


class PaiaSource:
    """Questions for one library's system. Safe for several threads."""

    def __init__(self, config: LibraryConfig, folder: Path, now: Callable[[], datetime]) -> None:
        self._config = config
        self._folder = folder
        self._now = now
        self._lock = threading.Lock()
        self._known: _Token | None = None
        # With what, and until when, a log-in for one patron is known to succeed.
        self._proof: tuple[bytes, float] = (b"", 0.0)

    def patron(self, card_number: str, seconds: float) -> Patron:
        """As `PatronSource.patron`, over within ``seconds``."""
        end = time.monotonic() + seconds
        token = self._token(card_number, end)
        path = "/" + quote(card_number, safe="")
        try:
            patron = self._patron(path, card_number, token, end)
        except SourceUnavailable as fault:
            if fault.code != "LIBRARY_TOKEN_REFUSED" or self._config.token_file:
                raise
            # It may have been withdrawn before its time: one more try with a new one.
            self._forget(token)
            token = self._token(card_number, end)
            patron = self._patron(path, card_number, token, end)
        if self._config.fees and patron.standing in _OWING and "read_fees" in (token.scopes or {"read_fees"}):
            return replace(patron, open_fees_cents=self._fees(path, token, end))
        return patron

    def close(self) -> None:
        """Nothing is open between questions."""

    def _patron(self, path: str, card_number: str, token: _Token, end: float) -> Patron:
        return patron_of(self._get(path, token, end), card_number, berlin_day(self._now()))

    def _fees(self, path: str, token: _Token, end: float) -> int | None:
        """What is owed. That something is owed holds also where the sum cannot be had."""
        try:
            return fees_of(self._get(path + "/fees", token, end))
        except (SourceUnavailable, SourceMisbehaves, PatronUnknown):
            return None

    def _get(self, path: str, token: _Token, end: float) -> Answer:
        headers = {"Accept": "application/json", "Authorization": f"Bearer {token.text}"}
        return self._call("GET", self._config.url + path, headers, None, end)

    def _token(self, card_number: str, end: float) -> _Token:
        config = self._config
        if config.token_file:
            text = first_line(self._folder / config.token_file)
            if not is_token(text):
                raise SourceUnavailable("LIBRARY_CREDENTIALS")
            return _Token(text, end, None)
        if config.token_per_patron:
            return self._log_in(card_number, end)
        with self._lock:
            known = self._known
        if known is not None and known.good_until > time.monotonic():
            return known
        # Two threads may both log in; nobody waits for one that hangs.
        token = self._log_in(None, end)
        with self._lock:
            self._known = token
        return token

    def _forget(self, token: _Token) -> None:
        with self._lock:
            if self._known is token:
                self._known = None

    def _log_in(self, card_number: str | None, end: float) -> _Token:
        """A new token; for the patron ``card_number`` alone if given (PAIA auth, login)."""
        config = self._config
        password = first_line(self._folder / config.password_file)
        scopes = "read_patron read_fees" if config.fees else "read_patron"
        form = {"grant_type": config.grant, "scope": scopes}
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        if config.grant == "password":
            form |= {"username": config.user, "password": password}
        else:
            # RFC 6749, 2.3.1: both are form-encoded first.
            pair = f"{quote(config.user, safe='')}:{quote(password, safe='')}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        if card_number is not None:
            form["patron"] = card_number
        answer = self._call("POST", config.login_url + "/login", headers, urlencode(form).encode(), end)
        proof = hashlib.sha256(password.encode()).digest()
        if card_number is not None and is_denied(answer) and self._is_proven(proof):
            # The password is good for others, so it is this patron that the system does not know.
            raise PatronUnknown("LIBRARY_PATRON_UNKNOWN")
        login = login_of(answer)
        if card_number is not None and login.patron != card_number:
            raise SourceMisbehaves("LIBRARY_OTHER_PATRON")
        if card_number is not None:
            with self._lock:
                self._proof = (proof, time.monotonic() + _PROOF_SECONDS)
        life = _LONGEST_LIFE if login.seconds is None else min(login.seconds, _LONGEST_LIFE)
        return _Token(login.token, time.monotonic() + life - _MARGIN_SECONDS, login.scopes)

    def _is_proven(self, proof: bytes) -> bool:
        with self._lock:
            known, until = self._proof
        return hmac.compare_digest(known, proof) and time.monotonic() < until

    def _call(
        self, method: str, url: str, headers: dict[str, str], content: bytes | None, end: float
    ) -> Answer:
        left = end - time.monotonic()
        if left <= 0:
            raise SourceUnavailable("LIBRARY_TIMEOUT")
        try:
            return bounded_http.call(
                method,
                url,
                headers=headers,
                content=content,
                ca_file=self._config.ca_file,
                seconds=left,
                largest=LARGEST,
            )
        except CallFailed as fault:
            if fault.reason == "answer-size":
                raise SourceMisbehaves("LIBRARY_TOO_LONG") from fault
            raise SourceUnavailable(_FAILURES[fault.reason]) from fault
