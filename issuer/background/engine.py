"""The engine behind background tasks: DBOS, and nobody else imports it.

One workflow per task: it makes an attempt as a recorded step and, where that did not succeed, queues the next
attempt with a delay before it ends. So nothing sleeps in a worker, and a crash at any point leaves either the
attempt or its successor in the database. Payloads are stored as plain JSON, never pickled. The application's version
is pinned: a new release takes over the work of the old one.
"""

from __future__ import annotations

import logging
import random
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from dbos import DBOS, DBOSClient, DBOSConfig, DBOSPortableJSONSerializer, EnqueueOptions
from sqlalchemy import Engine as SqlEngine
from sqlalchemy import Pool, create_engine, event
from sqlalchemy.orm import Session

from issuer.background.queue import SCHEMA
from issuer.background.tasks import Json, Queue, RetryLater, Task, all_tasks
from issuer.counters import TASKS
from issuer.database import BUSY_TIMEOUT_SECONDS
from issuer.models_delivery import WorkerRow

if TYPE_CHECKING:
    from issuer.application import Application

# Changes only when queued payloads change their meaning; then the old queue must run dry first.
PROTOCOL: Final = "1"
_WORKFLOW: Final = "stadtpass-task"
_FIRST_WAIT_SECONDS: Final = 1.0
_PAGE: Final = 500
_log = logging.getLogger("stadtpass.background")
_clients: WeakKeyDictionary[Pool, dict[str, DBOSClient]] = WeakKeyDictionary()
_running: Engine | None = None


def enqueue(
    session: Session, tenant: str, task: str, payload: Json, *, delay_seconds: float = 0, once: str = ""
) -> None:
    """Queue ``task`` in the caller's transaction; see `issuer.background.queue.enqueue`."""
    client = _client(session.connection().engine, tenant)
    options = _options(tenant, all_tasks()[task].queue, delay_seconds)
    if once:
        options["workflow_id"] = f"{tenant}.{once}"
    client.enqueue_in_transaction(session, options, task, payload, 1, _now_ms())


def _client(engine: SqlEngine, tenant: str) -> DBOSClient:
    of_engine = _clients.setdefault(engine.pool, {})
    if tenant not in of_engine:
        of_engine[tenant] = DBOSClient(
            system_database_engine=engine,
            dbos_system_schema=SCHEMA,
            serializer=DBOSPortableJSONSerializer(),
            application_name=_application_name(tenant),
            lazy=True,
        )
    return of_engine[tenant]


def _options(tenant: str, queue: Queue, delay_seconds: float) -> EnqueueOptions:
    options: EnqueueOptions = {
        "workflow_name": _WORKFLOW,
        "queue_name": _queue_name(tenant, queue),
        "workflow_id": secrets.token_hex(16),
        "app_version": PROTOCOL,
    }
    if delay_seconds > 0:
        options["delay_seconds"] = delay_seconds
    return options


def _application_name(tenant: str) -> str:
    return f"stadtpass-{tenant}"


def _queue_name(tenant: str, queue: Queue) -> str:
    return f"{tenant}.{queue.value}"


def _now_ms() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)


def prepare(url: str) -> None:
    """Create the engine's tables in the database ``url``, or bring them up to date; takes seconds the first time."""
    _quiet()
    DBOS.migrate(_dbos_url(url), schema=SCHEMA)


def _quiet() -> None:
    for name in ("dbos", "dbos._logger"):
        logging.getLogger(name).setLevel(logging.WARNING)


class Engine:
    """Runs the tasks of one tenant in this process; there can be one at a time."""

    def __init__(self, application: Application, executor_id: str) -> None:
        self.application = application
        self.executor_id = executor_id
        self.tasks: Mapping[str, Task] = all_tasks()
        self._database = _system_engine(application.workspace.database_url)

    def start(self) -> None:
        """Create the engine's tables if need be, pick up what this executor left behind, and take work."""
        global _running  # noqa: PLW0603 - DBOS itself exists once per process
        if _running is not None:
            raise RuntimeError("this process runs an engine already")
        _running = self
        _quiet()
        config: DBOSConfig = {
            "name": _application_name(self.application.tenant),
            "system_database_url": _dbos_url(self.application.workspace.database_url),
            "system_database_engine": self._database,
            "dbos_system_schema": SCHEMA,
            "application_version": PROTOCOL,
            "executor_id": self.executor_id,
            "serializer": DBOSPortableJSONSerializer(),
            "log_level": "WARNING",
            "enable_otlp": False,
            # Nothing waits for notifications here; on SQLite listening for them would mean asking every second.
            "use_listen_notify": not self.application.workspace.database_url.startswith("sqlite"),
            "max_executor_threads": 64,
        }
        DBOS(config=config)
        DBOS.launch()
        self._sign_on()
        background = self.application.config.background
        widths = {
            Queue.DELIVERY: background.concurrency,
            Queue.WEBHOOKS: background.concurrency,
            Queue.GOOGLE: 2,
            Queue.MAIL: 2,
            Queue.JOBS: 1,
            Queue.PAYMENTS: 4,
            Queue.IMPORTS: 1,
            Queue.LIBRARY: 1,
        }
        for queue, width in widths.items():
            DBOS.register_queue(
                _queue_name(self.application.tenant, queue),
                worker_concurrency=width,
                polling_interval_sec=background.polling_seconds,
                on_conflict="always_update",
            )

    def _sign_on(self) -> None:
        """Say that the tables are complete: from now on everybody queues (`issuer.background.queue.is_ready`)."""
        application = self.application
        with application.writing() as session:
            if session.get(WorkerRow, (application.tenant, self.executor_id)) is None:
                now = application.now()
                session.add(
                    WorkerRow(
                        tenant=application.tenant,
                        executor_id=self.executor_id,
                        started_at=now,
                        seen_at=now,
                        stopped_at=None,
                    )
                )

    def stop(self, seconds: float) -> None:
        """Take no more work, wait up to ``seconds`` for what is under way, and let go."""
        global _running  # noqa: PLW0603
        DBOS.destroy(workflow_completion_timeout_sec=max(0, int(seconds)))
        self._database.dispose()
        _running = None

    def take_over(self, executors: Sequence[str]) -> int:
        """Queue again what dead ``executors`` have left half done; says how many tasks that were."""
        taken = 0
        for executor in executors:
            left = DBOS.list_workflows(
                executor_id=executor,
                status="PENDING",
                application_name=_application_name(self.application.tenant),
                load_input=False,
                load_output=False,
            )
            for one in left:
                DBOS.resume_workflows([one.workflow_id], queue_name=one.queue_name)
                taken += 1
        return taken

    def prune(self, before: datetime) -> int:
        """Delete tasks of this tenant that have ended before the aware time ``before``; says how many."""
        deleted = 0
        while True:
            ended = DBOS.list_workflows(
                status=["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"],
                completed_before=before.astimezone(UTC).isoformat(),
                application_name=_application_name(self.application.tenant),
                limit=_PAGE,
                load_input=False,
                load_output=False,
            )
            if not ended:
                return deleted
            DBOS.delete_workflows([one.workflow_id for one in ended])
            deleted += len(ended)

    def under_way(self) -> dict[str, list[Json]]:
        """The payloads of this tenant's tasks that wait or run, by task."""
        found: dict[str, list[Json]] = {}
        offset = 0
        while True:
            page = DBOS.list_workflows(
                status=["ENQUEUED", "PENDING", "DELAYED"],
                application_name=_application_name(self.application.tenant),
                name=_WORKFLOW,
                limit=_PAGE,
                offset=offset,
                load_output=False,
            )
            for one in page:
                if one.input is not None:
                    task, payload, *_ = one.input["args"]
                    found.setdefault(task, []).append(payload)
            if len(page) < _PAGE:
                return found
            offset += _PAGE


def running() -> Engine | None:
    """The engine that runs in this process, if there is one."""
    return _running


def _system_engine(url: str) -> SqlEngine:
    if not url.startswith("sqlite"):
        return create_engine(url, pool_size=20, max_overflow=20, pool_pre_ping=True)
    engine = create_engine(url, pool_size=20, max_overflow=20)

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = "IMMEDIATE"
        for statement in (
            f"PRAGMA busy_timeout = {BUSY_TIMEOUT_SECONDS * 1000}",
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "PRAGMA foreign_keys = ON",
        ):
            connection.execute(statement)

    return engine


def _dbos_url(url: str) -> str:
    return url.replace("sqlite+pysqlite:", "sqlite:", 1)


@DBOS.workflow(name=_WORKFLOW)
def _workflow(task: str, payload: Json, attempt: int, first_ms: int) -> None:
    wait = DBOS.run_step({"name": task}, _attempt, task, payload, attempt, first_ms)
    if wait is None:
        return
    running = _engine()
    options = _options(running.application.tenant, running.tasks[task].queue, wait)
    # The id must not be drawn anew when a crash makes this line run again.
    del options["workflow_id"]
    DBOS.enqueue_workflow_with_options(options, task, payload, attempt + 1, first_ms)


def _attempt(task: str, payload: Json, attempt: int, first_ms: int) -> float | None:
    """One attempt; None if it succeeded or was the last, otherwise the seconds until the next one."""
    running = _engine()
    kind = running.tasks.get(task)
    if kind is None:
        _log.error("task unknown", extra={"task": task})
        return None
    try:
        kind.run(running.application, payload)
    except RetryLater as later:
        wait, reason = later.seconds, later.reason
        TASKS.labels(task, "postponed").inc()
    except Exception as fault:
        # Whatever goes wrong is tried again; its text may name people, so only its kind is logged.
        wait, reason = None, type(fault).__name__
        TASKS.labels(task, "failed").inc()
        _log.debug("task failed", exc_info=fault, extra={"task": task})
    else:
        TASKS.labels(task, "done").inc()
        return None
    tried_for = timedelta(milliseconds=_now_ms() - first_ms)
    _log.warning("task postponed", extra={"task": task, "attempt": attempt, "reason": reason})
    if tried_for > kind.patience:
        TASKS.labels(task, "given-up").inc()
        if kind.give_up is not None:
            kind.give_up(running.application, payload)
        _log.error("task given up", extra={"task": task, "attempt": attempt, "reason": reason})
        return None
    if wait is None:
        longest = running.application.config.background.longest_wait_seconds
        usual = min(longest, _FIRST_WAIT_SECONDS * 2 ** min(attempt - 1, 20))
        wait = usual * random.uniform(0.75, 1.25)  # noqa: S311 - spreads load, protects nothing
    return max(0.1, wait)


def _engine() -> Engine:
    if _running is None:
        raise RuntimeError("no engine runs in this process")
    return _running
