"""kill -9 of the worker at random moments of an import: the register is that of an import without interruption."""

from __future__ import annotations

import hashlib
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import func, select

from issuer import audit
from issuer.application import Application
from issuer.importing import run_findings, run_work, runs
from issuer.importing.runs import State, Upload
from issuer.models import AuditEntryRow, RevisionRow, WithdrawnPlaceRow
from issuer.models_delivery import WorkerRow
from issuer.models_imports import ImportPassRow, ImportRunRow
from tests.issuer.background.test_worker import wait_for
from tests.issuer.console.test_imports import fresh_rows, register
from tests.service import PERMIT, City

SEED = 20261127


def file_with_faults() -> bytes:
    """140 new rows, of which one has another's number and one no zone that the city knows."""
    lines = fresh_rows(140).decode().splitlines()
    cells = lines[77].split(";")
    cells[lines[0].split(";").index("zone_code")] = "XX"
    lines[77] = ";".join(cells)
    return "\n".join([*lines, lines[3]]).encode()


def uploaded(application: Application, data: bytes) -> str:
    run_id = runs.new_id()
    runs.file_of(application, run_id).write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    with application.writing() as session:
        came = Upload(run_id, PERMIT, "register.csv", "utf-8", len(data), digest)
        runs.begin(session, application, came, actor="test")
    return run_id


def found(application: Application, run_id: str) -> list[tuple[int | None, str]]:
    with application.reading() as session:
        problems = run_findings.problems(session, application.tenant, run_id, "de", most=100)
    return [(one.row, one.code) for one in problems]


@dataclass
class Killed:
    """A worker that is killed whenever it has come a little further."""

    application: Application
    folder: Path
    run_id: str = ""
    kills: int = 0
    chance: random.Random = field(default_factory=lambda: random.Random(SEED))
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.issuer.background.import_worker", str(self.folder)]
        self.process = subprocess.Popen(command)

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def run(self) -> ImportRunRow:
        with self.application.reading() as session:
            return runs.find(session, self.application, self.run_id)

    def until(self, state: State, how_far: Callable[[ImportRunRow], int], kills: int) -> None:
        """Let the work come to ``state`` and interrupt it ``kills`` times on the way."""
        for _ in range(kills):
            before = how_far(self.run())
            wait_for(lambda before=before: how_far(self.run()) > before or self.run().state == state, 120)  # type: ignore[misc]
            time.sleep(self.chance.uniform(0, 0.4))
            assert self.run().state != state, "the import was over before it could be interrupted"
            self.kill()
            self.kills += 1
            self.start()
        wait_for(lambda: self.run().state == state, 120)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_interrupted_import_is_the_same_as_any_other(
    city: City, application: Application, neighbour: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("POLLING", "0.1"), ("HEARTBEAT", "0.3")):
        monkeypatch.setenv(f"STADTPASS_BACKGROUND_{name}_SECONDS", value)
    monkeypatch.setattr(run_work, "let_others_write", lambda: None)
    data, before = file_with_faults(), register(application)
    other = uploaded(neighbour, data)
    run_work.run_task(neighbour, {"id": other})
    with neighbour.writing() as session:
        runs.confirm(session, neighbour, other, actor="test")
    run_work.run_task(neighbour, {"id": other})

    worker = Killed(application, city.folder)
    worker.start()
    try:
        wait_for(lambda: _is_there(application), 120)
        worker.run_id = uploaded(application, data)
        worker.until(State.CHECKED, lambda row: row.total, kills=1)
        with application.writing() as session:
            runs.confirm(session, application, worker.run_id, actor="test")
        worker.until(State.IMPORTED, lambda row: row.made, kills=2)
        run = worker.run()
        assert register(application) == register(neighbour)
        with neighbour.reading() as session:
            uninterrupted = runs.find(session, neighbour, other)
        for name in ("total", "fresh", "same", "differing", "refused", "done", "made"):
            assert getattr(run, name) == getattr(uninterrupted, name), name
        assert run.made == 139
        assert found(application, run.id) == found(neighbour, other)
        with application.reading() as session:
            mine = (RevisionRow.tenant == application.tenant, RevisionRow.list_number.is_not(None))
            places = session.execute(
                select(RevisionRow.list_number, RevisionRow.list_index).where(*mine)
            ).all()
            assert len(places) == len(set(places))
            entered = session.scalars(
                select(AuditEntryRow.subject).where(
                    AuditEntryRow.tenant == application.tenant,
                    AuditEntryRow.sequence > run.audit_from,
                    AuditEntryRow.action == "import",
                )
            ).all()
            assert len(entered) == len(set(entered)) == run.made
        with application.writing() as session:
            runs.undo(session, application, run.id, revoke_touched=False, actor="test")
        worker.until(State.UNDONE, lambda row: row.removed, kills=1)
    finally:
        worker.kill()
    assert worker.kills == 4
    assert register(application) == before
    assert len(register(neighbour)) == len(before) + 139
    with application.reading() as session:
        assert audit.verify(session, application.tenant).fault is None
        withdrawn = select(func.count()).where(WithdrawnPlaceRow.tenant == application.tenant)
        made = select(func.count()).where(
            ImportPassRow.tenant == application.tenant, ImportPassRow.outcome == "removed"
        )
        assert session.scalar(made) == 139
        assert (session.scalar(withdrawn) or 0) > 100


def _is_there(application: Application) -> bool:
    with application.reading() as session:
        return session.scalar(select(func.count()).where(WorkerRow.tenant == application.tenant)) == 1
