"""The numbers that `/metrics` shows: what this process has counted, and how things stand in the register.

The register's numbers are read when somebody asks. No label is a value from outside: queues, results and key
purposes are ours, and routes are templates.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from sqlalchemy import BigInteger, String, column, func, select, table
from sqlalchemy.orm import Session

from issuer import counters, keyring
from issuer.application import Application
from issuer.background.queue import SCHEMA, is_ready
from issuer.background.tasks import Queue
from issuer.delivery import apple_push, google_objects
from issuer.library import refresh_task
from issuer.models import AuditHeadRow
from issuer.models_delivery import (
    AppleDeviceRow,
    AppleRegistrationRow,
    MailRow,
    PublicationRow,
    WebhookDeliveryRow,
    WorkerRow,
)
from keys.lifecycle import KeyState

_WAITING: Final = ("ENQUEUED", "PENDING", "DELAYED")
_Figure = tuple[str, str, dict[str, str], float]


def render(application: Application) -> bytes:
    """All numbers in Prometheus's text format."""
    registry = CollectorRegistry()
    gauges: dict[str, Gauge] = {}
    with application.reading() as session:
        for name, text, labels, value in figures(application, session):
            if name not in gauges:
                gauges[name] = Gauge(f"stadtpass_{name}", text, tuple(labels), registry=registry)
            (gauges[name].labels(**labels) if labels else gauges[name]).set(value)
    return generate_latest(counters.REGISTRY) + generate_latest(registry)


def figures(application: Application, session: Session) -> Iterator[_Figure]:
    """Name, meaning, labels and value of what can be read from the register now."""
    yield from _queues(application, session)
    yield from _wallets(application, session)
    yield from _deliveries(application, session)
    yield from _lists_and_keys(application, session)
    if application.config.library.source:
        fault = refresh_task.last_fault(session, application.tenant)
        yield (
            "library_comparison_faulty",
            "Whether the last comparison with the library failed",
            {},
            bool(fault),
        )


def _queues(application: Application, session: Session) -> Iterator[_Figure]:
    depth = {queue.value: 0 for queue in Queue}
    oldest = dict.fromkeys(depth, 0.0)
    if is_ready(session.connection(), application.tenant):
        schema = None if session.connection().dialect.name == "sqlite" else SCHEMA
        tasks = table(
            "workflow_status",
            column("queue_name", String),
            column("status", String),
            column("created_at", BigInteger),
            schema=schema,
        )
        names = {f"{application.tenant}.{name}": name for name in depth}
        rows = session.execute(
            select(tasks.c.queue_name, func.count(), func.min(tasks.c.created_at))
            .where(tasks.c.queue_name.in_(names), tasks.c.status.in_(_WAITING))
            .group_by(tasks.c.queue_name)
        )
        # The engine keeps real time, whatever clock the service was given.
        now_ms = datetime.now(UTC).timestamp() * 1000
        for name, count, first in rows:
            depth[names[name]] = count
            oldest[names[name]] = max(0.0, (now_ms - first) / 1000)
    for queue, tasks_there in depth.items():
        labels = {"queue": queue}
        yield "queue_tasks", "Tasks that wait or run", labels, tasks_there
        yield "queue_oldest_seconds", "Age of the oldest task that waits or runs", labels, oldest[queue]
    alive = session.scalar(
        select(func.max(WorkerRow.seen_at)).where(
            WorkerRow.tenant == application.tenant, WorkerRow.stopped_at.is_(None)
        )
    )
    if alive is not None:
        age = max(0.0, (application.now() - alive).total_seconds())
        yield "worker_seen_seconds", "Since the last sign of life of any worker", {}, age


def _wallets(application: Application, session: Session) -> Iterator[_Figure]:
    tenant = application.tenant
    devices = session.scalar(select(func.count()).where(AppleDeviceRow.tenant == tenant))
    registrations = session.scalar(select(func.count()).where(AppleRegistrationRow.tenant == tenant))
    google = google_objects.counts(session, tenant)
    behind = apple_push.count_outstanding(session, tenant)
    yield "apple_devices", "Phones that have registered", {}, devices or 0
    yield "apple_registrations", "Passes on phones", {}, registrations or 0
    yield "apple_outstanding", "Passes on phones that have no push for the newest change yet", {}, behind
    yield "google_objects", "Passes that are wanted at Google", {}, google["wanted"]
    yield "google_outstanding", "Passes whose newest change Google has not", {}, google["outstanding"]
    yield "google_refused", "Passes that Google refuses as they are", {}, google["refused"]


def _deliveries(application: Application, session: Session) -> Iterator[_Figure]:
    for name, text, row, done in (
        ("mails", "Mails", MailRow, MailRow.sent_at),
        ("webhooks", "Events for webhooks", WebhookDeliveryRow, WebhookDeliveryRow.delivered_at),
    ):
        of_tenant = row.tenant == application.tenant
        failed = row.failed_at
        waiting = session.scalar(select(func.count()).where(of_tenant, done.is_(None), failed.is_(None)))
        given_up = session.scalar(select(func.count()).where(of_tenant, failed.is_not(None)))
        yield f"{name}_waiting", f"{text} not delivered yet", {}, waiting or 0
        yield f"{name}_failed", f"{text} given up and still kept", {}, given_up or 0


def _lists_and_keys(application: Application, session: Session) -> Iterator[_Figure]:
    now, tenant = application.now(), application.tenant
    published = session.get(PublicationRow, tenant)
    head = session.get(AuditHeadRow, tenant)
    if published is not None:
        age = max(0.0, (now - published.published_at).total_seconds())
        yield "publication_age_seconds", "Since lists were last published", {}, age
    behind = (head.sequence if head else 0) - (published.audit_sequence if published else 0)
    yield "publication_outstanding", "Changes that no published list has yet", {}, max(0, behind)
    days: dict[str, float] = {}
    for one in keyring.records(session, tenant):
        if one.state is KeyState.ACTIVE:
            left = (one.not_after - now).total_seconds() / 86_400
            days[one.purpose.value] = max(left, days.get(one.purpose.value, left))
    for purpose, left in sorted(days.items()):
        yield (
            "key_days_left",
            "Days until the newest active key or certificate ends",
            {"purpose": purpose},
            left,
        )
