"""How often one caller may ask: token buckets in this process's memory, one for each caller and kind of request.

A caller is an address (`client_address.limit_key`); at the API also the credentials, so that one client behind a
shared address does not use up the others' share, and many addresses do not multiply a client's. Phones of a whole
mobile network share an address, so at the Apple web service it is refusals that are counted. Each process counts
for itself: with several, a caller gets several times as much. What must hold whatever happens, such as the tries of
a letter code, is counted in the register instead.
"""

from __future__ import annotations

import hashlib
import math
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from litestar.types import ASGIApp, Message, Receive, Send

from issuer import counters
from issuer.web.answers import answer
from issuer.web.client_address import limit_key


@dataclass(frozen=True, slots=True)
class Rule:
    """A kind of request: by path prefix and, if given, method; ``share`` of ``service.requests_per_minute``."""

    name: str
    prefix: str
    share: float
    methods: frozenset[str] = frozenset()


_WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
# The first rule that fits holds. What only a monitor asks (/health, /ready, /metrics) is not limited.
RULES: Final = (
    Rule("monitor", "/health", math.inf),
    Rule("monitor", "/ready", math.inf),
    Rule("monitor", "/metrics", math.inf),
    Rule("apple-log", "/apple/v1/log", 0.05),
    # After a push to all, a great many phones ask at once from the few addresses of a mobile network, and one that is
    # refused misses the update. Only what they were refused for counts as in `REFUSED`.
    Rule("apple", "/apple/", 100.0),
    Rule("google", "/google/", 2.0),
    Rule("code", "/p", 0.05, _WRITES),
    Rule("pages", "/p", 0.5),
    # What a whole office does behind one address; what somebody types at the log-in is counted in the register.
    Rule("login", "/office/login", 0.2, _WRITES),
    Rule("login", "/office/welcome", 0.2, _WRITES),
    Rule("office", "/office", 5.0),
    # Notifications of providers, and pages that ask for news every few seconds.
    Rule("payments", "/payments/", 2.0),
    Rule("token", "/api/v1/oauth/", 0.1),
    Rule("api", "/api", 10.0),
    # Guesses at codes and tokens are hopeless, those at transaction codes are counted in the register; wallets behind
    # one address of a mobile network are many.
    Rule("wallet-status", "/eudi/status/", 5.0),
    Rule("wallet-login", "/eudi/authorize/", 0.05, _WRITES),
    Rule("wallet", "/eudi/", 2.0),
    Rule("lists", "/lists/", 5.0),
    Rule("lists", "/status/", 5.0),
    Rule("static", "/static/", 5.0),
    Rule("open-data", "/open-data", 1.0),
    # All desks of a library behind one address; each device has a limit of its own besides.
    Rule("cards", "/check/cards", 5.0, _WRITES),
    # Enrolling and leases; a city's devices may share one address.
    Rule("device", "/check/", 0.5, _WRITES),
    Rule("check", "/check", 5.0),
    Rule("other", "/", 0.5),
)
# What an address may ask of the Apple web service without the right to it: junk tokens, unknown serials.
REFUSED: Final = Rule("apple-refused", "/apple/", 1.0)
_MOST_CALLERS: Final = 50_000
# A bucket holds this much of a minute's worth: what a page with its files asks at once.
_BURST: Final = 0.5
_SMALLEST_BURST: Final = 5.0


def rule_for(method: str, path: str) -> Rule:
    """The rule that a request falls under."""
    for rule in RULES:
        fits = path.startswith(rule.prefix) if rule.prefix.endswith("/") else _under(path, rule.prefix)
        if fits and (not rule.methods or method in rule.methods):
            return rule
    return RULES[-1]


def _under(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(prefix + "/")


class Buckets:
    """Token buckets of at most 50,000 callers; the one not seen for longest is forgotten first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, most: int = _MOST_CALLERS) -> None:
        self._clock = clock
        self._most = most
        self._levels: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, kind: str, caller: str, per_minute: float, tokens: int = 1) -> float:
        """Take ``tokens``; 0 if there was one, else the seconds until there is. More than there were are owed."""
        size = max(_SMALLEST_BURST, per_minute * _BURST)
        rate = per_minute / 60
        key = (kind, caller)
        with self._lock:
            now = self._clock()
            level, at = self._levels.pop(key, (size, now))
            level = min(size, level + (now - at) * rate)
            wait = 0.0 if level >= 1 else (1 - level) / rate
            self._levels[key] = (level - tokens if wait == 0 else level, now)
            while len(self._levels) > self._most:
                self._levels.popitem(last=False)
        return wait

    def __len__(self) -> int:
        return len(self._levels)


class RateLimits:
    """ASGI wrapper that answers 429 with Retry-After to callers that ask too often; ``per_minute`` 0: never."""

    def __init__(self, app: ASGIApp, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._per_minute = per_minute
        self.buckets = Buckets(clock)
        # Credentials are kept as keyed hashes only, with a key that ends with the process.
        self._key = secrets.token_bytes(32)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http" and self._per_minute:
            rule = rule_for(scope["method"], scope["path"])
            wait = self._wait(rule, scope) if math.isfinite(rule.share) else 0.0
            if wait > 0:
                counters.RATE_LIMITED.labels(rule.name).inc()
                await answer(scope, send, 429, {"retry-after": str(math.ceil(wait))})
                return
            if rule.name == "apple":
                send = self._counting_refusals(scope, send)
        await self._app(scope, receive, send)

    def _counting_refusals(self, scope: Any, send: Send) -> Send:
        caller, per_minute = limit_key(scope), self._per_minute_of(REFUSED)

        async def counting(message: Message) -> None:
            if message["type"] == "http.response.start" and 400 <= message["status"] < 500:
                self.buckets.take(REFUSED.name, caller, per_minute)
            await send(message)

        return counting

    def _per_minute_of(self, rule: Rule) -> float:
        return max(1.0, self._per_minute * rule.share)

    def _wait(self, rule: Rule, scope: Any) -> float:
        per_minute = self._per_minute_of(rule)
        wait = self.buckets.take(rule.name, limit_key(scope), per_minute)
        if wait == 0 and rule.name == "apple":
            return self.buckets.take(REFUSED.name, limit_key(scope), self._per_minute_of(REFUSED), 0)
        if wait == 0 and rule.name == "api":
            for name, value in scope["headers"]:
                if name == b"authorization":
                    caller = hashlib.blake2b(value, key=self._key, digest_size=16).hexdigest()
                    return self.buckets.take("api-client", caller, per_minute)
        return wait
