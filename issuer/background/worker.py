"""A worker: the engine that runs tasks, and the clockwork around it.

Four loops, each in a thread of its own, so that none can hold up another: signs of life, publishing of lists, the
night's work, and at the start and every hour a look for outstanding work that no queue knows of. A loop that fails
says so, waits, and goes on.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, select

from issuer.background.engine import Engine
from issuer.database import let_others_write
from issuer.models_delivery import WorkerRow
from issuer.status_allocation import chunks

if TYPE_CHECKING:
    from issuer.application import Application

_CLOCKWORK_SECONDS: Final = 30.0
_SWEEP_SECONDS: Final = 3600.0
_SWEPT_AT_ONCE: Final = 100
_FORGOTTEN_AFTER: Final = timedelta(days=7)
_log = logging.getLogger("stadtpass.worker")


class Worker:
    """Runs in one process for one tenant; ``executor_id`` stays the same when the process is started again."""

    def __init__(self, application: Application, executor_id: str) -> None:
        self._application = application
        self._engine = Engine(application, executor_id)
        self._executor_id = executor_id
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._faults: dict[str, str] = {}

    @property
    def engine(self) -> Engine:
        """The engine, for metrics and retention."""
        return self._engine

    def start(self) -> None:
        """Take up work. Whatever this executor had in hand when it died comes first."""
        self._engine.start()
        self._beat()
        background = self._application.config.background
        loops: tuple[tuple[str, float, Callable[[], None]], ...] = (
            ("heartbeat", background.heartbeat_seconds, self._beat_and_look),
            ("publishing", background.publish_seconds, self._publish),
            ("clockwork", _CLOCKWORK_SECONDS, self._clockwork),
            ("sweep", _SWEEP_SECONDS, self._sweep),
        )
        for name, seconds, work in loops:
            thread = threading.Thread(
                target=self._loop, args=(name, seconds, work), name=f"stadtpass-{name}", daemon=True
            )
            thread.start()
            self._threads.append(thread)

    def stop(self, seconds: float) -> None:
        """Take no more work, give what is under way up to ``seconds``, and say goodbye."""
        from issuer.delivery import apple_push  # noqa: PLC0415 - loaded with the first task anyway

        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout=seconds)
        self._engine.stop(seconds)
        apple_push.close_clients()
        with self._application.writing() as session:
            row = session.get(WorkerRow, (self._application.tenant, self._executor_id))
            if row is not None:
                row.stopped_at = self._application.now()

    def problems(self) -> Sequence[str]:
        """The names of loops whose last run failed, with the kind of fault; empty if all is well."""
        return [f"{name}: {fault}" for name, fault in sorted(self._faults.items())]

    def _loop(self, name: str, seconds: float, work: Callable[[], None]) -> None:
        while not self._stopping.is_set():
            try:
                work()
            except Exception as fault:
                # A loop must outlive whatever happens in it: a full disk, a database that restarts.
                if name not in self._faults:
                    _log.error("loop failed", extra={"loop": name, "fault": type(fault).__name__})
                _log.debug("loop failed", exc_info=fault, extra={"loop": name})
                self._faults[name] = type(fault).__name__
            else:
                if self._faults.pop(name, None):
                    _log.info("loop recovered", extra={"loop": name})
            self._stopping.wait(seconds)

    def _beat(self) -> None:
        now, key = self._application.now(), (self._application.tenant, self._executor_id)
        with self._application.writing() as session:
            row = session.get(WorkerRow, key)
            if row is None:
                session.add(
                    WorkerRow(tenant=key[0], executor_id=key[1], started_at=now, seen_at=now, stopped_at=None)
                )
            else:
                if row.stopped_at is not None:
                    row.started_at = now
                row.seen_at, row.stopped_at = now, None

    def _beat_and_look(self) -> None:
        """Show a sign of life, and take over the work of those that show none."""
        self._beat()
        now, tenant = self._application.now(), self._application.tenant
        limit = now - timedelta(seconds=self._application.config.background.dead_after_seconds)
        with self._application.reading() as session:
            silent = session.scalars(
                select(WorkerRow.executor_id).where(
                    WorkerRow.tenant == tenant,
                    WorkerRow.executor_id != self._executor_id,
                    WorkerRow.seen_at < limit,
                )
            ).all()
        if not silent:
            return
        taken = self._engine.take_over(silent)
        if taken:
            _log.warning("work taken over", extra={"tasks": taken, "workers": len(silent)})
        with self._application.writing() as session:
            session.execute(
                delete(WorkerRow).where(
                    WorkerRow.tenant == tenant,
                    WorkerRow.executor_id.in_(silent),
                    WorkerRow.seen_at < now - _FORGOTTEN_AFTER,
                )
            )

    def _publish(self) -> None:
        from issuer.publication import publish_due  # noqa: PLC0415 - loaded with the first run

        publish_due(self._application)

    def _clockwork(self) -> None:
        from issuer.nightly.run import enqueue_due  # noqa: PLC0415
        from issuer.presentations.store import forget_ended  # noqa: PLC0415

        enqueue_due(self._application)
        forget_ended(self._application)

    def _sweep(self) -> None:
        sweep(self._application, self._engine)


def sweep(application: Application, engine: Engine) -> int:
    """Queue work for everything that is outstanding and that no task is after; says how many tasks were queued.

    Changes made before the service ran for the first time, or found in a restored register, have no task. What has
    one is left to it, however long that takes: a second chain of attempts would only double the load of an outage.
    """
    from issuer.api import jobs  # noqa: PLC0415
    from issuer.delivery import apple_push, google_objects, mail, webhooks  # noqa: PLC0415
    from issuer.importing import runs as imports  # noqa: PLC0415
    from issuer.payments import reconcile  # noqa: PLC0415
    from issuer.printing import making  # noqa: PLC0415
    from issuer.printing import runs as printing  # noqa: PLC0415

    # Read before the outstanding work: a task that ends in between has left nothing outstanding.
    under_way = engine.under_way()
    hour = f"{application.now():%Y%m%d%H}"
    queued = 0
    for task, key, outstanding in (
        (apple_push.TASKS[0].name, "serials", apple_push.outstanding),
        (google_objects.TASKS[0].name, "serials", google_objects.outstanding),
        (webhooks.TASKS[0].name, "id", webhooks.outstanding),
        (mail.TASKS[0].name, "id", mail.outstanding),
        (jobs.TASKS[0].name, "id", jobs.outstanding),
        (imports.TASK, "id", imports.outstanding),
        (making.TASK, "id", printing.outstanding),
        (reconcile.TASKS[0].name, "id", partial(reconcile.outstanding, at=application.now())),
    ):
        covered = {item for payload in under_way.get(task, []) for item in _items(payload[key])}
        with application.reading() as session:
            left = sorted(set(outstanding(session, application.tenant)) - covered)
        for batch in chunks(left, _SWEPT_AT_ONCE):
            with application.writing() as session:
                # Two workers may sweep at the same time; the same find is queued once an hour.
                for chunk in [batch] if key == "serials" else [[one] for one in batch]:
                    digest = hashlib.sha256("\n".join(chunk).encode()).hexdigest()[:32]
                    payload = {key: chunk if key == "serials" else chunk[0]}
                    once = f"sweep.{hour}.{task}.{digest}"
                    queued += application.enqueue(session, task, payload, once=once)
            let_others_write()
    return queued


def _items(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
