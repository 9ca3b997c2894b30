"""Reading what Google answers, within bounds, and telling faults that pass from those that do not."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx
import msgspec

from issuer.background.tasks import RetryLater

LARGEST_ANSWER: Final = 1 << 20
# An answer that drips in for longer than this is none.
_LONGEST_ANSWER_SECONDS: Final = 60.0
_LONGEST_WAIT_SECONDS: Final = 3600.0
_QUOTA_REASONS: Final = frozenset(
    {
        "quotaexceeded",
        "ratelimitexceeded",
        "userratelimitexceeded",
        "dailylimitexceeded",
        "rate_limit_exceeded",
        "resource_exhausted",
    }
)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of Google: HTTP status, the JSON object (empty if it is none), and the Retry-After header."""

    status: int
    body: dict[str, Any]
    retry_after: str = ""

    def is_about_quota(self) -> bool:
        """Whether a 403 says that too much was asked for, and not that the account may not."""
        error = self.body.get("error")
        if not isinstance(error, dict):
            return False
        reasons = [error.get("status")]
        for name in ("errors", "details"):
            listed = error.get(name)
            if isinstance(listed, list):
                reasons += [one.get("reason") for one in listed if isinstance(one, dict)]
        return any(isinstance(one, str) and one.lower() in _QUOTA_REASONS for one in reasons)


def read_answer(http: httpx.Client, request: httpx.Request, largest: int = LARGEST_ANSWER) -> Answer:
    """Send ``request`` and read at most ``largest`` bytes of its answer.

    Raises httpx.HTTPError for everything that goes wrong on the way; RetryLater google-answer for an answer
    that is too large, too slow or, with status 200, no JSON object.
    """
    deadline = time.monotonic() + _LONGEST_ANSWER_SECONDS
    response = http.send(request, stream=True)
    try:
        data = bytearray()
        for chunk in response.iter_bytes(16 * 1024):
            data += chunk
            if len(data) > largest or time.monotonic() > deadline:
                raise RetryLater("google-answer")
    finally:
        response.close()
    try:
        body = msgspec.json.decode(bytes(data))
    except (msgspec.DecodeError, RecursionError):
        body = None
    if not isinstance(body, dict):
        if response.status_code == 200:
            raise RetryLater("google-answer")
        body = {}
    return Answer(response.status_code, body, response.headers.get("retry-after", ""))


def later(answer: Answer, now: datetime) -> RetryLater:
    """When to try again after 429 or 5xx: not before Retry-After says, and not all at the same moment."""
    seconds = _retry_after(answer.retry_after, now)
    if seconds is not None:
        seconds = min(_LONGEST_WAIT_SECONDS, max(1.0, seconds)) * random.uniform(1, 1.25)  # noqa: S311
    return RetryLater(f"google-{answer.status}", seconds)


def unreachable(fault: httpx.HTTPError) -> RetryLater:
    """What a fault on the way means; its text may hold addresses, so only its kind is told."""
    return RetryLater(f"google-unreachable-{type(fault).__name__}"[:80])


def _retry_after(text: str, now: datetime) -> float | None:
    """Seconds from now, of a number of seconds or an HTTP date (RFC 9110, 10.2.3); None for anything else."""
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - now).total_seconds()
