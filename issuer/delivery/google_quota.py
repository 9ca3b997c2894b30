"""How often Google may be asked: one row in the database hands out moments, so all workers together keep the limit.

Google takes 20 requests per second. Each request needs a slot, and slots lie ``1 / requests_per_second`` apart. A
short writing transaction takes the next few; nobody sleeps in it. A slot that was missed by more than a quarter of
a second is thrown away, never made up for, so with D the most that a request can be late and r slots per second,
a sliding second holds at most r * (1 + D) + 1 requests: 18.5 at 14 slots per second. What the network adds to D is
what the rest of the margin is for.

Google's batch endpoint would not help: each call inside a batch counts against the same limit, while a batch fails
or is throttled in parts that would have to be told apart. So every request goes on its own.

The limit is Google's for a service account. Cities that share one have to share it out by ``requests_per_second``.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary, ref

from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from issuer.background.tasks import RetryLater
from issuer.database import writing
from issuer.models_delivery import RateSlotRow

if TYPE_CHECKING:
    from issuer.application import Application

NAME: Final = "google"
LONGEST_WAIT_SECONDS: Final = 60.0
_LATE_SECONDS: Final = 0.25
# Nobody waits longer than LONGEST_WAIT_SECONDS, so a slot beyond this can only stem from a clock set back.
_BEYOND_MS: Final = 2 * int(LONGEST_WAIT_SECONDS * 1000)


class Quota:
    """The slots of one tenant in this process; safe to use from several threads."""

    def __init__(self, engine: Engine, tenant: str, requests_per_second: float) -> None:
        # Weak: quotas are kept for as long as their engine lives.
        self._engine = ref(engine)
        self._tenant = tenant
        self._spacing_ms = max(1, math.ceil(1000 / requests_per_second))
        self._lock = threading.Lock()
        # Slots of ours that are still free, as moments of time.monotonic.
        self._mine: deque[float] = deque()

    def wait(self, expected: int = 1, longest: float = LONGEST_WAIT_SECONDS) -> None:
        """Return at the moment at which the caller may send one request, at most ``longest`` seconds from now.

        ``expected`` says how many more requests are coming, so that several slots are taken at once. Raises
        RetryLater google-quota where the next free slot is further away; nothing is taken then.
        """
        while True:
            with self._lock:
                now = time.monotonic()
                while self._mine and self._mine[0] < now - _LATE_SECONDS:
                    self._mine.popleft()
                if not self._mine:
                    # Half a second's worth at most: what goes unused is lost for everybody.
                    count = max(1, min(expected, 500 // self._spacing_ms))
                    self._mine.extend(self._reserve(count, longest))
                slot = self._mine.popleft()
            time.sleep(max(0.0, slot - time.monotonic()))
            if time.monotonic() - slot <= _LATE_SECONDS:
                return

    def _reserve(self, count: int, longest: float) -> list[float]:
        engine, tenant = self._engine(), self._tenant
        if engine is None:
            raise RuntimeError("the register is closed")
        with writing(engine) as session:
            now_ms, now = _now_ms(session), time.monotonic()
            row = session.get(RateSlotRow, (tenant, NAME), with_for_update=True)
            first = now_ms
            if row is not None and row.next_free_ms - now_ms <= _BEYOND_MS:
                first = max(now_ms, row.next_free_ms)
            if first - now_ms > longest * 1000:
                raise RetryLater("google-quota", (first - now_ms) / 1000)
            following = first + count * self._spacing_ms
            if row is None:
                session.add(RateSlotRow(tenant=tenant, name=NAME, next_free_ms=following))
            else:
                row.next_free_ms = following
        return [now + (first + n * self._spacing_ms - now_ms) / 1000 for n in range(count)]


_quotas: WeakKeyDictionary[Engine, dict[str, Quota]] = WeakKeyDictionary()
_lock = threading.Lock()


def quota_of(application: Application) -> Quota:
    """The one quota of the application's tenant in this process."""
    with _lock:
        of_engine = _quotas.setdefault(application.engine, {})
        if application.tenant not in of_engine:
            rate = application.config.google.requests_per_second
            of_engine[application.tenant] = Quota(application.engine, application.tenant, rate)
        return of_engine[application.tenant]


def _now_ms(session: Session) -> int:
    """The time that everybody who uses the database agrees on; pacing needs the real clock, not a test's."""
    if session.get_bind().dialect.name == "sqlite":
        return time.time_ns() // 1_000_000
    now = session.execute(text("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")).scalar_one()
    return int(now)
