"""Status lists behind the credentials that are shown: our own from the register, those of others by one fetch.

A list of somebody else is fetched from a listed host alone, at an address that was checked, and kept for as long as
it says itself, in this process. Whatever goes wrong, the list is simply not there: then nobody knows whether the
credential still counts, which is what the answer says.
"""

from __future__ import annotations

import logging
import ssl
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from sqlalchemy import Engine

from issuer.application import Application
from issuer.delivery.webhook_call import get
from issuer.eudi import addresses, status_pages
from issuer.eudi.errors import Refused
from issuer.webhook_targets import target_of
from keys.errors import Refusal
from passes.credential_status import CWT_MEDIA_TYPE, JWT_MEDIA_TYPE
from verifier.credentials.jose import integer, read_jws
from verifier.credentials.outcome import PresentationRefused
from verifier.credentials.status import FetchedToken

_LARGEST: Final = 4 * 1024 * 1024
_MOST: Final = 16
_LONGEST_KEPT: Final = timedelta(hours=1)
_HIGHEST: Final = 1_000_000_000
_OK: Final = 200
_LONGEST_NAME: Final = 253
_TYP: Final = "statuslist+jwt"
_ACCEPT: Final = {
    "Accept": f"{JWT_MEDIA_TYPE}, {CWT_MEDIA_TYPE};q=0.5",
    "Accept-Encoding": "identity",
    "User-Agent": "stadtpass",
}
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Kept:
    """Fetched lists and until when each may be used, the oldest first."""

    tokens: OrderedDict[tuple[str, str], tuple[FetchedToken, datetime]] = field(default_factory=OrderedDict)
    lock: threading.Lock = field(default_factory=threading.Lock)


_kept: WeakKeyDictionary[Engine, _Kept] = WeakKeyDictionary()
_kept_lock: Final = threading.Lock()


class ListsOnDemand(Mapping[str, str | bytes | FetchedToken]):
    """Status List Tokens by URI, got at the moment at which somebody asks for one; it counts as having none before.

    The verifier asks once everything else about a credential holds, so only for what an authority that we believe has
    signed.
    """

    def __init__(self, application: Application, base: str) -> None:
        self._application = application
        self._own = base + addresses.STATUS
        self._asked: set[str] = set()

    def __getitem__(self, uri: str) -> str | bytes | FetchedToken:
        """The list at ``uri``. Raises KeyError where it cannot be had."""
        if uri.startswith(self._own):
            return self._of_ours(uri)
        self._asked.add(uri)
        return _fetched(self._application, uri)

    def forget(self) -> None:
        """Keep none of the lists that were asked for: they say nothing, the next one may."""
        kept = _kept_of(self._application)
        with kept.lock:
            for uri in self._asked:
                kept.tokens.pop((self._application.tenant, uri), None)

    def __iter__(self) -> Iterator[str]:
        """Nothing is there before it is asked for."""
        return iter(())

    def __len__(self) -> int:
        """As `__iter__`."""
        return 0

    def _of_ours(self, uri: str) -> str:
        number = uri.removeprefix(self._own)
        if not number.isascii() or not number.isdigit() or int(number[:10]) > _HIGHEST or len(number) > 10:
            raise KeyError(uri)
        try:
            return status_pages.status_list(self._application, int(number))
        except (Refused, Refusal):
            raise KeyError(uri) from None


def _fetched(application: Application, uri: str) -> FetchedToken:
    kept = _kept_of(application)
    now, name = application.now(), (application.tenant, uri)
    with kept.lock:
        found = kept.tokens.get(name)
        if found is not None and found[0].at <= now < found[1]:
            return found[0]
    try:
        token = FetchedToken(_fetch(application, uri), now)
    except (OSError, Refusal, ValueError) as fault:
        # The host is the issuer's, whom we believe: the operator may have to list it.
        facts = {"fault": getattr(fault, "code", type(fault).__name__), "host": _host(uri)}
        _log.warning("a status list could not be fetched", extra=facts)
        raise KeyError(uri) from None
    with kept.lock:
        kept.tokens[name] = (token, _until(token))
        kept.tokens.move_to_end(name)
        while len(kept.tokens) > _MOST:
            kept.tokens.popitem(last=False)
    return token


def _host(uri: str) -> str:
    try:
        return (urlsplit(uri).hostname or "")[:_LONGEST_NAME]
    except ValueError:
        return ""


def _kept_of(application: Application) -> _Kept:
    with _kept_lock:
        return _kept.setdefault(application.engine, _Kept())


def _fetch(application: Application, uri: str) -> str | bytes:
    config = application.config.eudi.trusted
    target = target_of(uri, config.status_hosts)
    answer = get(target, _ACCEPT, _context(config.ca_file), config.timeout_seconds, _LARGEST)
    if answer.status_code != _OK:
        raise ConnectionError("status")
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == CWT_MEDIA_TYPE:
        return answer.content
    if kind != JWT_MEDIA_TYPE:
        raise ConnectionError("media type")
    return answer.content.decode("ascii").strip()


def _until(fetched: FetchedToken) -> datetime:
    """Until when a token may be used before it is fetched anew, as it says itself.

    It is not checked here, so that is at most an hour; one that is no list, or of another address, is not kept.
    """
    if isinstance(fetched.token, bytes):
        return fetched.at
    try:
        payload = read_jws(fetched.token, _TYP).payload
        ttl, ends = integer(payload, "ttl", optional=True), integer(payload, "exp", optional=True)
    except PresentationRefused:
        return fetched.at
    now = int(fetched.at.timestamp())
    seconds = min(ttl or 0, int(_LONGEST_KEPT.total_seconds()))
    if ends is not None:
        seconds = min(seconds, max(ends - now, 0))
    return fetched.at + timedelta(seconds=max(seconds, 0))


@lru_cache(maxsize=4)
def _context(ca_file: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file or None)
