"""Making carriers on every core: a pool of processes, each with its own keys and prepared factories.

A pass that cannot be made (a name with letters that a font lacks, say) is reported and stops no other.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from issuer import keyring
from issuer.carriers import Carrier, CarrierKeys, CarrierMaker, Job, carriers_due
from issuer.database import reading
from issuer.prints import sealing_at
from issuer.settings import load_settings
from issuer.workspace import Workspace
from keys.lifecycle import Purpose
from keys.store import KeyManager
from passes.model import PassContent
from passes.pass_types import PassType

# Below this many passes, starting processes costs more than it saves.
_FEW = 40
_BATCH = 50
# Batches waiting per process: enough to keep it busy, few enough to keep memory flat.
_AHEAD = 4


@dataclass(frozen=True, slots=True)
class Failure:
    """A carrier that could not be made, and the refusal's code, catalogue and params."""

    number: str
    carrier: str
    code: str
    package: str
    params: Mapping[str, object]


def carrier_maker(
    workspace: Workspace, manager: KeyManager, type_id: str, carriers: Iterable[Carrier], at: datetime
) -> CarrierMaker:
    """The maker for one pass type with the keys that sign at ``at``. Raises as `CarrierMaker` does."""
    tenant = workspace.tenant
    wanted = set(carriers)
    pass_type = workspace.pass_types[type_id]
    apple = google = epoch = sealing = None
    with reading(workspace.engine) as session:
        settings = load_settings(session, tenant)
        city = settings.city(tenant)
        if Carrier.APPLE in wanted:
            record = keyring.signing_record(session, tenant, Purpose.APPLE_PASS, at)
            apple = keyring.apple_identity(record, manager)
        if Carrier.GOOGLE in wanted:
            record = keyring.signing_record(session, tenant, Purpose.GOOGLE, at)
            google = manager.signer(record.uri)
            epochs = keyring.epoch_keys(session, tenant, manager)
            epoch = epochs[max(epochs)] if epochs else None
        if Carrier.PDF in wanted and pass_type.pdf.is_sealed:
            sealing = sealing_at(session, tenant, manager, workspace.config, settings, at)
    keys = CarrierKeys(apple, google, epoch, sealing)
    return CarrierMaker(pass_type, city, keys, wanted, at)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Production:
    """Takes jobs and makes them, here or in a pool, as many as ``expected`` says are coming.

    ``made`` counts passes of which something was written, ``done`` all that were looked at.
    """

    def __init__(
        self,
        workspace: Workspace,
        type_id: str,
        carriers: tuple[Carrier, ...],
        at: datetime,
        out: Path,
        expected: int,
    ) -> None:
        self._start = (workspace.folder.resolve(), type_id, carriers, at, out.resolve())
        self._expected = expected
        self._stack = ExitStack()
        self._pool: ProcessPoolExecutor | None = None
        self._here: _Worker | None = None
        self._waiting: set[Future[_Batch]] = set()
        self._count = max(1, cores())
        self.made = 0
        self.done = 0
        self.failures: list[Failure] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        self._stack.close()

    def add(self, jobs: Sequence[Job]) -> None:
        """Take jobs; blocks while enough of them are waiting."""
        idle = [job for job in jobs if not job[1]]
        self.done += len(idle)
        busy = [job for job in jobs if job[1]]
        if self._pool is None and (self._expected < _FEW or not busy):
            for job in busy:
                self._note(self._worker().write([job]))
            return
        for start in range(0, len(busy), _BATCH):
            while len(self._waiting) >= self._count * _AHEAD:
                self._collect()
            self._waiting.add(self._processes().submit(_write, busy[start : start + _BATCH]))

    def add_due(
        self,
        pass_type: PassType,
        contents: Sequence[PassContent],
        carriers: Sequence[Carrier],
        present: Collection[str],
    ) -> None:
        """Take what is missing or out of date of ``contents`` in the output folder, as `carriers_due` says."""
        out = self._start[-1]
        self.add([(one, carriers_due(pass_type, one, carriers, out, present)) for one in contents])

    def finish(self) -> Iterator[int]:
        """Wait for all jobs; yields how many are done each time some are."""
        while self._waiting:
            self._collect()
            yield self.done

    def _collect(self) -> None:
        finished, self._waiting = wait(self._waiting, return_when=FIRST_COMPLETED)
        for one in finished:
            self._note(one.result())

    def _note(self, batch: _Batch) -> None:
        self.made += batch.made
        self.done += batch.done
        self.failures.extend(batch.failures)

    def _worker(self) -> _Worker:
        if self._here is None:
            self._here = _Worker(*self._start)
            self._stack.callback(self._here.close)
        return self._here

    def _processes(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # Spawned, not forked: keys and database handles must not be shared between processes.
            self._pool = ProcessPoolExecutor(
                self._count,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_start_worker,
                initargs=self._start,
            )
        return self._pool


@dataclass(frozen=True, slots=True)
class _Batch:
    made: int
    done: int
    failures: list[Failure]


class _Worker:
    """One process: its keys and factories, opened once."""

    current: _Worker

    def __init__(
        self, folder: Path, type_id: str, carriers: tuple[Carrier, ...], at: datetime, out: Path
    ) -> None:
        self._stack = ExitStack()
        workspace = Workspace.open(folder)
        manager = self._stack.enter_context(workspace.keys())
        self._maker = carrier_maker(workspace, manager, type_id, carriers, at)
        workspace.close()
        self._out = out

    def close(self) -> None:
        """Forget the keys."""
        self._stack.close()

    def write(self, jobs: Sequence[Job]) -> _Batch:
        """Make the carriers of some passes."""
        failures: list[Failure] = []
        written: set[str] = set()
        for one in self._maker.write_all(jobs, self._out):
            if one.refusal is None:
                written.add(one.number)
            else:
                refusal = one.refusal
                failures.append(
                    Failure(one.number, one.carrier.value, refusal.code, refusal.package, refusal.params)
                )
        return _Batch(len(written), len(jobs), failures)


def _start_worker(folder: Path, type_id: str, carriers: tuple[Carrier, ...], at: datetime, out: Path) -> None:
    # A process that waits for work does not notice that the one which gives it out was killed.
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _Worker.current = _Worker(folder, type_id, carriers, at, out)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _write(jobs: Sequence[Job]) -> _Batch:
    return _Worker.current.write(jobs)
