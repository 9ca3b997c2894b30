"""Google's root keys for callbacks, kept in this process and fetched again before they are needed.

A copy is used until its keys expire, whether or not Google can be reached; a fetch is bounded in size and time, one
is under way at most, and a failed one is not repeated within half a minute. So callbacks, which anybody can send,
cannot make the service call Google.
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

import httpx
from sqlalchemy import Engine

from issuer.configuration import GoogleConfig
from issuer.google_signature import CallbackRefused, RootKey, root_keys

if TYPE_CHECKING:
    from issuer.application import Application

LARGEST: Final = 64 * 1024
_FRESH_FOR: Final = timedelta(hours=12)
# Keys that end so soon are asked for anew: their successors are out by then.
_BEFORE_END: Final = timedelta(days=1)
_PAUSE: Final = timedelta(seconds=30)
_LONGEST_SECONDS: Final = 5.0
_log = logging.getLogger("stadtpass.google")


class RootKeys:
    """The copy of one process; safe to use from several threads."""

    def __init__(self, config: GoogleConfig) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._keys: tuple[RootKey, ...] = ()
        self._fetched_at: datetime | None = None
        self._tried_at: datetime | None = None

    def holding(self, now: datetime) -> Sequence[RootKey]:
        """The keys that hold at ``now`` (aware); empty if none could be had."""
        usable = self._usable(now)
        if self._is_due(now) and self._lock.acquire(blocking=not usable):
            # With a usable copy, others do not wait for the one who fetches.
            try:
                if self._is_due(now):
                    self._fetch(now)
            finally:
                self._lock.release()
            usable = self._usable(now)
        return usable

    def _usable(self, now: datetime) -> tuple[RootKey, ...]:
        return tuple(one for one in self._keys if one.expires_at > now)

    def _is_due(self, now: datetime) -> bool:
        if self._tried_at is not None and self._tried_at <= now < self._tried_at + _PAUSE:
            return False
        if self._fetched_at is None or not self._fetched_at <= now < self._fetched_at + _FRESH_FOR:
            return True
        return not any(one.expires_at > now + _BEFORE_END for one in self._keys)

    def _fetch(self, now: datetime) -> None:
        self._tried_at = now
        try:
            found = root_keys(_download(self._config))
        except (httpx.HTTPError, CallbackRefused, OSError) as fault:
            _log.warning("google keys not fetched", extra={"fault": type(fault).__name__})
            return
        if any(one.expires_at > now for one in found):
            self._keys, self._fetched_at = tuple(found), now


def _download(config: GoogleConfig) -> bytes:
    deadline = time.monotonic() + _LONGEST_SECONDS
    data = bytearray()
    context = ssl.create_default_context(cafile=config.ca_file or None)
    seconds = min(_LONGEST_SECONDS, config.timeout_seconds)
    with (
        httpx.Client(verify=context, timeout=seconds) as http,
        http.stream("GET", config.keys_url, headers={"Accept-Encoding": "identity"}) as response,
    ):
        response.raise_for_status()
        for chunk in response.iter_raw(8 * 1024):
            data += chunk
            if len(data) > LARGEST or time.monotonic() > deadline:
                raise CallbackRefused("root-keys")
    return bytes(data)


_kept: WeakKeyDictionary[Engine, RootKeys] = WeakKeyDictionary()
_lock = threading.Lock()


def root_keys_of(application: Application) -> RootKeys:
    """The one copy of this process."""
    with _lock:
        if application.engine not in _kept:
            _kept[application.engine] = RootKeys(application.config.google)
        return _kept[application.engine]
