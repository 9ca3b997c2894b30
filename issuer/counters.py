"""What this process counts for monitoring: events without any name, number or address.

Anybody may count; `issuer.web.metrics` shows the numbers. The labels are fixed words, never values from outside.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics

# A second series for the moment at which each counter began would only double the output.
disable_created_metrics()  # type: ignore[no-untyped-call]
REGISTRY: Final = CollectorRegistry()

REQUESTS: Final = Counter(
    "stadtpass_requests", "Requests by route and status", ("method", "route", "status"), registry=REGISTRY
)
DURATIONS: Final = Histogram(
    "stadtpass_request_seconds",
    "Time until a request is answered",
    ("method", "route"),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=REGISTRY,
)
RATE_LIMITED: Final = Counter(
    "stadtpass_rate_limited", "Requests answered with 429, by kind of request", ("kind",), registry=REGISTRY
)
NOTES_LOST: Final = Counter(
    "stadtpass_notes_lost",
    "Notes of use that could not be written while the request was answered",
    ("kind",),
    registry=REGISTRY,
)
PUSHES: Final = Counter("stadtpass_apple_pushes", "Pushes to Apple by result", ("result",), registry=REGISTRY)
GOOGLE_CALLS: Final = Counter(
    "stadtpass_google_calls", "Calls of Google's interface by result", ("result",), registry=REGISTRY
)
MAILS: Final = Counter("stadtpass_mails", "Mails by result", ("result",), registry=REGISTRY)
WEBHOOKS: Final = Counter(
    "stadtpass_webhook_calls", "Calls of webhooks by result", ("result",), registry=REGISTRY
)
PRESENTATIONS: Final = Counter(
    "stadtpass_presentations", "Answers of EUDI Wallets by result", ("result",), registry=REGISTRY
)
LIBRARY_QUESTIONS: Final = Counter(
    "stadtpass_library_questions",
    "Questions to the library's system by result",
    ("result",),
    registry=REGISTRY,
)
TASKS: Final = Counter(
    "stadtpass_tasks", "Attempts of background tasks by result", ("task", "result"), registry=REGISTRY
)
