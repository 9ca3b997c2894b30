"""For monitors: whether the process lives, whether it can do its work and if not why, and its numbers.

Reasons are fixed words without names or numbers of passes: anybody who reaches the port may read them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from litestar import MediaType, Request, Response, get
from litestar.types import ControllerRouterHandler
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from issuer import keyring
from issuer.application import Application
from issuer.database import version_of
from issuer.library import refresh_task
from issuer.migrations import HEAD
from issuer.models_delivery import NightlyRunRow, PublicationRow, WorkerRow
from issuer.nightly import certificates
from issuer.nightly.reports import NIGHT
from issuer.web import metrics
from issuer.web.client_address import Networks, is_local, parse_address
from keys.errors import Refusal
from keys.lifecycle import Purpose

# Keys and certificates without which something important stands still.
_NEEDED: Final = (Purpose.LIST, Purpose.SEAL)
_WANTED: Final = (Purpose.APPLE_PASS,)
# A night that was missed, and half a day to see to it.
_NIGHT_IN_TIME: Final = timedelta(hours=36)


@get("/health", sync_to_thread=False, include_in_schema=False)
def health() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@get("/ready", sync_to_thread=True, include_in_schema=False)
def ready(request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
    """Whether requests and background work can be done now: 200, or 503 with the reasons.

    Notes say what somebody must see to, but keep nothing from working now.
    """
    reasons = list(reasons_against(request.app.state.application, request.app.state.get("worker")))
    body = {
        "status": "not ready" if reasons else "ready",
        "reasons": reasons,
        "notes": list(notes_about(request.app.state.application)),
    }
    return Response(body, status_code=503 if reasons else 200)


@get("/metrics", sync_to_thread=True, include_in_schema=False)
def show_metrics(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The numbers in Prometheus's text format, for this machine and ``service.metrics_networks``."""
    application: Application = request.app.state.application
    address = parse_address(request.client.host) if request.client is not None else None
    if not is_local(request.scope) and address not in Networks(application.config.service.metrics_networks):
        return Response(b"Not found", status_code=404, media_type=MediaType.TEXT)
    return Response(metrics.render(application), headers={"content-type": CONTENT_TYPE_LATEST})


def reasons_against(application: Application, worker: Any = None) -> Iterator[str]:
    """What keeps the service from working: nothing if all is well. ``worker`` is the one of this process."""
    try:
        with application.reading() as session:
            yield from _against(application, session)
    except (SQLAlchemyError, Refusal, OSError) as fault:
        yield f"database: {type(fault).__name__}"
        return
    if worker is not None:
        yield from (f"worker: {problem}" for problem in worker.problems())


def notes_about(application: Application) -> Iterator[str]:
    """What will keep the service from working if nobody does anything: a night without its work, what ends soon."""
    try:
        with application.reading() as session:
            if _night_is_late(application, session):
                yield "night: its work was not finished for longer than 36 hours"
            yield from _about_library(application, session)
        for one in certificates.warnings(application):
            yield f"ends: {one.code} ({one.purpose}), {one.days_left} days left"
    except (SQLAlchemyError, Refusal, OSError, ValueError) as fault:
        yield f"notes: {type(fault).__name__}"


def _night_is_late(application: Application, session: Session) -> bool:
    """Whether a worker runs, and neither has a night's work ended in time nor is it too early for that."""
    now, tenant = application.now(), application.tenant
    since = session.scalar(
        select(func.min(WorkerRow.started_at)).where(
            WorkerRow.tenant == tenant,
            WorkerRow.stopped_at.is_(None),
            WorkerRow.seen_at >= _limit(application),
        )
    )
    if since is None:
        return False
    # What lies ahead was noted by a clock that was wrong.
    nights = (NightlyRunRow.tenant == tenant, NightlyRunRow.name == NIGHT, NightlyRunRow.started_at <= now)
    ended = session.scalar(
        select(func.max(NightlyRunRow.finished_at)).where(*nights, NightlyRunRow.finished_at <= now)
    )
    begun = session.scalar(select(func.min(NightlyRunRow.started_at)).where(*nights))
    return (ended or begun or since) < now - _NIGHT_IN_TIME


def _about_library(application: Application, session: Session) -> Iterator[str]:
    """How the last comparison with the library's system ended, where that was not well."""
    fault = refresh_task.last_fault(session, application.tenant)
    if fault == "stopped":
        yield "library: the comparison was stopped, since too much would have been blocked"
    elif fault == "given_up":
        yield "library: its system did not answer, so members were not compared"


def _limit(application: Application) -> datetime:
    """A worker that has shown no sign of life since then is dead."""
    return application.now() - timedelta(seconds=application.config.background.dead_after_seconds)


def _against(application: Application, session: Session) -> Iterator[str]:
    now, tenant = application.now(), application.tenant
    if version_of(session.connection()) != HEAD:
        yield "migrations: the register has another version than the program"
        return
    alive = session.scalar(
        select(WorkerRow.executor_id)
        .where(
            WorkerRow.tenant == tenant,
            WorkerRow.seen_at >= _limit(application),
            WorkerRow.stopped_at.is_(None),
        )
        .limit(1)
    )
    if alive is None:
        yield "worker: none has shown a sign of life"
    published = session.get(PublicationRow, tenant)
    if published is None:
        yield "publication: nothing published yet"
    elif published.published_at < now - application.settings(session).list_ttl:
        yield "publication: the lists are no longer fresh"
    for purpose in (*_NEEDED, *_WANTED):
        usable = [one for one in keyring.records(session, tenant, purpose) if one.state.value == "active"]
        if not usable and purpose in _NEEDED:
            yield f"key: none is active for {purpose.value}"
        elif usable and not any(one.not_before <= now <= one.not_after for one in usable):
            yield f"key: expired for {purpose.value}"


HANDLERS: list[ControllerRouterHandler] = [health, ready, show_metrics]
