"""Around every client: what is asked at all, one more try, a pause after repeated failures, the right card.

Nothing of a patron stands in logs or metrics, only the codes of what went wrong.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

from issuer.counters import LIBRARY_QUESTIONS
from issuer.library.sources.patron import (
    Patron,
    PatronUnknown,
    SourceMisbehaves,
    SourceUnavailable,
    may_be_asked,
)

# What a second try at once can mend: a connection that was closed meanwhile, a bit that was flipped.
_TRIED_AGAIN: Final = frozenset(
    {"LIBRARY_CLOSED", "LIBRARY_UNREACHABLE", "LIBRARY_CHECKSUM", "LIBRARY_BROKEN"}
)
_WAIT_SECONDS: Final = 0.2
_FAILURES: Final = 3
_PAUSE_SECONDS: Final = 15.0
_log = logging.getLogger("stadtpass.library")


class Client(Protocol):
    """What PAIA and SIP2 have in common; ``seconds`` bounds the whole question."""

    def patron(self, card_number: str, seconds: float) -> Patron:
        """As `issuer.library.sources.patron.PatronSource.patron`."""
        ...

    def close(self) -> None:
        """Let go of what is open."""
        ...


class Pause:
    """After three failures in a row nobody waits for the other side any more; every 15 seconds one question may try.

    Safe for several threads. ``clock`` gives seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._closed_until = 0.0

    def check(self) -> None:
        """Raises SourceUnavailable LIBRARY_PAUSED while nobody is to ask."""
        with self._lock:
            if self._failures < _FAILURES:
                return
            if self._clock() < self._closed_until:
                raise SourceUnavailable("LIBRARY_PAUSED")
            # This one tries; the others go on waiting for what becomes of it.
            self._closed_until = self._clock() + _PAUSE_SECONDS

    def succeeded(self) -> None:
        """The other side has answered, whatever it said."""
        with self._lock:
            self._failures = 0

    def failed(self) -> None:
        """No answer came."""
        with self._lock:
            self._failures += 1
            if self._failures >= _FAILURES:
                self._closed_until = self._clock() + _PAUSE_SECONDS


class GuardedSource:
    """A `PatronSource` made of a client: what a question may take at night, and with somebody waiting."""

    def __init__(
        self, client: Client, seconds: float, desk_seconds: float, pause: Pause | None = None
    ) -> None:
        self._client = client
        self._seconds = seconds
        self._desk_seconds = desk_seconds
        self._pause = pause or Pause()

    def at_desk(self) -> GuardedSource:
        """The same system, for a question with somebody waiting."""
        return GuardedSource(self._client, self._desk_seconds, self._desk_seconds, self._pause)

    def close(self) -> None:
        """Let go of what is open; it can be used again."""
        self._client.close()

    def patron(self, card_number: str) -> Patron:
        """As `issuer.library.sources.patron.PatronSource.patron`."""
        if not may_be_asked(card_number):
            raise PatronUnknown("LIBRARY_PATRON_UNKNOWN")
        self._pause.check()
        try:
            patron = self._asked(card_number)
            if patron.card_number != card_number:
                raise SourceMisbehaves("LIBRARY_OTHER_PATRON")
        except PatronUnknown:
            self._note("unknown")
            raise
        except SourceMisbehaves as fault:
            self._note("misbehaves", fault.code, fault.params.get("field"))
            raise
        except SourceUnavailable as fault:
            self._pause.failed()
            LIBRARY_QUESTIONS.labels("unavailable").inc()
            _log.warning("library's system away", extra={"code": fault.code})
            raise
        self._note("answered")
        return patron

    def _note(self, result: str, code: str = "", field: object = None) -> None:
        self._pause.succeeded()
        LIBRARY_QUESTIONS.labels(result).inc()
        if code:
            _log.warning("library's system misbehaves", extra={"code": code, "field": field})

    def _asked(self, card_number: str) -> Patron:
        end = time.monotonic() + self._seconds
        try:
            return self._client.patron(card_number, self._seconds)
        except (SourceUnavailable, SourceMisbehaves) as fault:
            left = end - time.monotonic() - _WAIT_SECONDS
            if fault.code not in _TRIED_AGAIN or left <= 0:
                raise
        time.sleep(_WAIT_SECONDS)
        return self._client.patron(card_number, left)
