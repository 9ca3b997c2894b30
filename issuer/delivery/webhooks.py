"""Delivering events to webhooks, signed as Standard Webhooks asks (https://www.standardwebhooks.com, version 1).

Each delivery is tried until it is taken: 2xx is success, 410 disables the endpoint, anything else is tried again
for three days with growing waits; an attempt is over after ``webhooks.timeout_seconds``. Redirects are not followed.
The id of a delivery stays the same in all attempts, so that receivers can tell a repetition; nothing of an answer but
its status is looked at or kept.
"""

from __future__ import annotations

import base64
import hmac
import ssl
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from http import HTTPStatus
from typing import Final

import httpx
from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.background.tasks import Json, Queue, RetryLater, Task
from issuer.counters import WEBHOOKS
from issuer.delivery.webhook_call import post
from issuer.errors import IssuerRefusal
from issuer.models_delivery import WebhookDeliveryRow, WebhookEndpointRow
from issuer.outgoing import WEBHOOK_TASK
from issuer.webhook_targets import Target, target_of

# So long after a rotation deliveries are signed with the secret before as well.
ROTATION_OVERLAP: Final = timedelta(hours=24)
_PREFIX: Final = "whsec_"
_LONGEST_WAIT: Final = 3600
_BUSY: Final = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


@dataclass(frozen=True, slots=True)
class _Outgoing:
    """A delivery as it stands when an attempt begins."""

    id: str
    endpoint_id: str
    url: str
    body: bytes
    secrets: tuple[bytes, ...]


def deliver(application: Application, payload: Json) -> None:
    """Attempt the delivery ``payload["id"]``, unless it was taken or given up already.

    Raises RetryLater with a code of what went wrong.
    """
    outgoing = _begin(application, str(payload["id"]))
    if outgoing is None:
        return
    try:
        target = target_of(outgoing.url, application.config.webhooks.allowed_hosts)
        status, wait = _call(application, target, outgoing)
    except IssuerRefusal as refusal:
        # The operator may have taken the host from the list; it may come back within the three days.
        raise _failed(application, outgoing, refusal.code) from refusal
    except TimeoutError as fault:
        raise _failed(application, outgoing, "TIMEOUT") from fault
    except (httpx.InvalidURL, OSError, ValueError) as fault:
        raise _failed(application, outgoing, "CONNECTION") from fault
    if 200 <= status < 300:
        WEBHOOKS.labels("delivered").inc()
        _note(application, outgoing, f"HTTP_{status}", delivered=True)
    elif status == HTTPStatus.GONE:
        WEBHOOKS.labels("gone").inc()
        _note(application, outgoing, f"HTTP_{status}", failed=True, disable=True)
    else:
        raise _failed(application, outgoing, f"HTTP_{status}", wait)


def give_up(application: Application, payload: Json) -> None:
    """Note that a delivery is not tried any more."""
    with application.writing() as session:
        row = session.get(WebhookDeliveryRow, (application.tenant, str(payload["id"])), with_for_update=True)
        if row is not None and row.delivered_at is None:
            row.failed_at = application.now()


def outstanding(session: Session, tenant: str) -> list[str]:
    """The ids of the deliveries that are neither taken nor given up."""
    return list(
        session.scalars(
            select(WebhookDeliveryRow.id).where(
                WebhookDeliveryRow.tenant == tenant,
                WebhookDeliveryRow.delivered_at.is_(None),
                WebhookDeliveryRow.failed_at.is_(None),
            )
        )
    )


def secret_of(application: Application, endpoint_id: str, generation: int) -> str:
    """The secret of an endpoint as its owner gets it: ``whsec_`` and 32 bytes in base64."""
    key = application.derived("webhook", endpoint_id, str(generation))
    return _PREFIX + base64.b64encode(key).decode()


def secrets_now(application: Application, row: WebhookEndpointRow, at: datetime) -> tuple[str, ...]:
    """The secrets that sign at the aware time ``at``: the newest, and for a day after a rotation the one before."""
    generations = [row.secret_generation]
    if row.rotated_at is not None and at < row.rotated_at + ROTATION_OVERLAP:
        generations.append(row.secret_generation - 1)
    return tuple(secret_of(application, row.id, one) for one in generations)


def signature(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """One signature of the header ``webhook-signature``: ``v1,`` and the HMAC-SHA-256 in base64."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


TASKS: tuple[Task, ...] = (Task(WEBHOOK_TASK, Queue.WEBHOOKS, deliver, timedelta(days=3), give_up),)


def _begin(application: Application, delivery_id: str) -> _Outgoing | None:
    tenant = application.tenant
    with application.reading() as session:
        row = session.get(WebhookDeliveryRow, (tenant, delivery_id))
        if row is None or row.delivered_at is not None or row.failed_at is not None:
            return None
        endpoint = session.get(WebhookEndpointRow, (tenant, row.endpoint_id))
    if endpoint is None or endpoint.disabled_at is not None:
        give_up(application, {"id": delivery_id})
        return None
    keys = (
        base64.b64decode(one.removeprefix(_PREFIX))
        for one in secrets_now(application, endpoint, application.now())
    )
    return _Outgoing(row.id, endpoint.id, endpoint.url, row.payload.encode(), tuple(keys))


def _call(application: Application, target: Target, outgoing: _Outgoing) -> tuple[int, float | None]:
    """The status that the receiver answers with, and the seconds that it asks to wait for."""
    config = application.config.webhooks
    timestamp = int(application.now().timestamp())
    headers = {
        "content-type": "application/json",
        "user-agent": "Stadtpass",
        "webhook-id": outgoing.id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(
            signature(key, outgoing.id, timestamp, outgoing.body) for key in outgoing.secrets
        ),
    }
    response = post(target, outgoing.body, headers, _context(config.ca_file), config.timeout_seconds)
    return response.status_code, _wait(response)


@lru_cache(maxsize=4)
def _context(ca_file: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file or None)


def _wait(response: httpx.Response) -> float | None:
    text = response.headers.get("retry-after", "")
    if response.status_code not in _BUSY or not (text.isascii() and text.isdigit() and len(text) < 7):
        return None
    return float(min(max(1, int(text)), _LONGEST_WAIT))


def _failed(
    application: Application, outgoing: _Outgoing, reason: str, wait: float | None = None
) -> RetryLater:
    WEBHOOKS.labels("failed").inc()
    _note(application, outgoing, reason)
    return RetryLater(reason, wait)


def _note(
    application: Application,
    outgoing: _Outgoing,
    status: str,
    *,
    delivered: bool = False,
    failed: bool = False,
    disable: bool = False,
) -> None:
    at = application.now()
    with application.writing() as session:
        row = session.get(WebhookDeliveryRow, (application.tenant, outgoing.id), with_for_update=True)
        if row is not None:
            row.attempts += 1
            row.last_status = status
            row.delivered_at = at if delivered else row.delivered_at
            row.failed_at = at if failed else row.failed_at
        if disable:
            endpoint = session.get(WebhookEndpointRow, (application.tenant, outgoing.endpoint_id))
            # Another address by now says nothing about this one.
            if endpoint is not None and endpoint.url == outgoing.url and endpoint.disabled_at is None:
                endpoint.disabled_at = at
