"""Endpoints of webhooks: adding, changing, rotating and removing them, each with its audit entry."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from issuer import audit
from issuer.application import Application
from issuer.audit import AuditEvent, Fact
from issuer.errors import IssuerRefusal
from issuer.models_delivery import WebhookDeliveryRow, WebhookEndpointRow
from issuer.outgoing import WEBHOOK_TASK, EventName
from issuer.webhook_targets import target_of

MOST: Final = 20
# Only ever sent by `send_test`.
TEST_EVENT: Final = "webhook.test"


def add_endpoint(
    session: Session, application: Application, url: str, events: Sequence[EventName], actor: str
) -> WebhookEndpointRow:
    """A new endpoint for ``events``. Raises IssuerRefusal WEBHOOKS_TOO_MANY, and as `target_of` does."""
    tenant = application.tenant
    target = target_of(url, application.config.webhooks.allowed_hosts)
    count = session.scalar(
        select(func.count()).select_from(WebhookEndpointRow).where(WebhookEndpointRow.tenant == tenant)
    )
    if (count or 0) >= MOST:
        raise IssuerRefusal("WEBHOOKS_TOO_MANY", limit=MOST)
    row = WebhookEndpointRow(
        tenant=tenant,
        id=secrets.token_hex(16),
        url=target.url,
        events=sorted({one.value for one in events}),
        secret_generation=1,
        rotated_at=None,
        created_at=application.now(),
        disabled_at=None,
    )
    session.add(row)
    session.flush()
    _note(session, application, "add-webhook", row.id, _facts(row), actor)
    return row


def change_endpoint(
    session: Session,
    application: Application,
    endpoint_id: str,
    actor: str,
    *,
    url: str | None = None,
    events: Sequence[EventName] | None = None,
    enabled: bool | None = None,
) -> WebhookEndpointRow:
    """What is None stays. An endpoint that is enabled again gets what happens from now on.

    Raises IssuerRefusal WEBHOOK_UNKNOWN, and as `target_of` does.
    """
    row = find_endpoint(session, application, endpoint_id)
    if url is not None:
        row.url = target_of(url, application.config.webhooks.allowed_hosts).url
    if events is not None:
        row.events = sorted({one.value for one in events})
    if enabled is not None:
        row.disabled_at = None if enabled else (row.disabled_at or application.now())
    session.flush()
    _note(session, application, "change-webhook", row.id, _facts(row), actor)
    return row


def rotate_secret(
    session: Session, application: Application, endpoint_id: str, actor: str
) -> WebhookEndpointRow:
    """A new secret; for a day deliveries are signed with the one before as well."""
    row = find_endpoint(session, application, endpoint_id)
    row.secret_generation += 1
    row.rotated_at = application.now()
    session.flush()
    _note(session, application, "rotate-webhook", row.id, {"generation": row.secret_generation}, actor)
    return row


def remove_endpoint(session: Session, application: Application, endpoint_id: str, actor: str) -> None:
    """Remove an endpoint with its deliveries; those under way come to nothing."""
    row = find_endpoint(session, application, endpoint_id)
    session.execute(
        delete(WebhookDeliveryRow).where(
            WebhookDeliveryRow.tenant == application.tenant, WebhookDeliveryRow.endpoint_id == row.id
        )
    )
    session.delete(row)
    session.flush()
    _note(session, application, "remove-webhook", row.id, None, actor)


def send_test(session: Session, application: Application, endpoint_id: str) -> WebhookDeliveryRow:
    """Queue an event that means nothing. Raises IssuerRefusal WEBHOOK_UNKNOWN, WEBHOOK_DISABLED."""
    row = find_endpoint(session, application, endpoint_id)
    _must_be_enabled(row)
    at = application.now()
    body = {"type": TEST_EVENT, "timestamp": at.isoformat(timespec="seconds"), "data": {}}
    delivery = WebhookDeliveryRow(
        tenant=application.tenant,
        id=secrets.token_hex(16),
        endpoint_id=row.id,
        event=TEST_EVENT,
        payload=msgspec.json.encode(body).decode(),
        created_at=at,
        attempts=0,
        last_status=None,
        delivered_at=None,
        failed_at=None,
    )
    session.add(delivery)
    session.flush()
    application.enqueue(session, WEBHOOK_TASK, {"id": delivery.id})
    return delivery


def redeliver(
    session: Session, application: Application, endpoint_id: str, delivery_id: str
) -> WebhookDeliveryRow:
    """Send an event once more, under the same id.

    Raises IssuerRefusal WEBHOOK_UNKNOWN, WEBHOOK_DISABLED, DELIVERY_UNKNOWN; DELIVERY_UNDER_WAY for one that is
    still being tried.
    """
    _must_be_enabled(find_endpoint(session, application, endpoint_id))
    row = session.get(WebhookDeliveryRow, (application.tenant, delivery_id[:40]), with_for_update=True)
    if row is None or row.endpoint_id != endpoint_id:
        raise IssuerRefusal("DELIVERY_UNKNOWN", id=delivery_id[:40])
    if row.delivered_at is None and row.failed_at is None:
        raise IssuerRefusal("DELIVERY_UNDER_WAY", id=row.id)
    row.delivered_at = row.failed_at = None
    session.flush()
    application.enqueue(session, WEBHOOK_TASK, {"id": row.id})
    return row


def find_endpoint(session: Session, application: Application, endpoint_id: str) -> WebhookEndpointRow:
    """The endpoint. Raises IssuerRefusal WEBHOOK_UNKNOWN."""
    row = session.get(WebhookEndpointRow, (application.tenant, endpoint_id[:40]), populate_existing=True)
    if row is None:
        raise IssuerRefusal("WEBHOOK_UNKNOWN", id=endpoint_id[:40])
    return row


def _must_be_enabled(row: WebhookEndpointRow) -> None:
    if row.disabled_at is not None:
        raise IssuerRefusal("WEBHOOK_DISABLED", id=row.id)


def _facts(row: WebhookEndpointRow) -> dict[str, Fact]:
    """What the audit trail says: the host alone, since addresses of receivers often hold a secret."""
    return {"host": row.url.split("/")[2], "events": list(row.events), "enabled": row.disabled_at is None}


def _note(
    session: Session,
    application: Application,
    action: str,
    endpoint_id: str,
    facts: Mapping[str, Fact] | None,
    actor: str,
) -> None:
    event = AuditEvent(action, f"webhook/{endpoint_id}", after=facts)
    audit.append(session, application.tenant, [event], application.now(), actor)
