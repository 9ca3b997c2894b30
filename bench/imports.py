"""An import in the console: rows a second and the worker's memory, which must not grow with the file.

The worker publishes no lists meanwhile: what it holds for the plate list of a large city is none of the import's.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from bench.issue import write_permits
from issuer.application import Application
from issuer.importing import runs
from issuer.importing.runs import State, Upload
from issuer.models_delivery import WorkerRow
from issuer.models_imports import ImportRunRow

COUNTS = (5_000, 20_000)
_TYPE = "resident-parking-permit"
_STAND_STILL = (State.CHECKED, State.IMPORTED, State.REFUSED, State.FAILED)


@dataclass
class _Service:
    application: Application
    worker: subprocess.Popen[bytes]

    def wait(self, run_id: str, state: State) -> tuple[float, int]:
        """Seconds until the import stands at ``state``, and how many different states of progress were seen."""
        started, seen = time.perf_counter(), set()
        while True:
            with self.application.reading() as session:
                row = runs.find(session, self.application, run_id)
            seen.add((row.total, row.done))
            if row.state in _STAND_STILL:
                if row.state != state:
                    raise RuntimeError(f"the import is {row.state}")
                return time.perf_counter() - started, len(seen)
            time.sleep(0.2)

    def peak_mebibytes(self) -> float:
        """The most memory that the worker has had."""
        lines = Path(f"/proc/{self.worker.pid}/status").read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("VmHWM:"))) / 1024


def run(counts: tuple[int, ...] = COUNTS) -> list[str]:
    """Import files of made-up permits of these sizes, each into a city of its own."""
    lines = []
    for count in counts:
        with tempfile.TemporaryDirectory() as name:
            lines += _import(Path(name), count)
    return lines


def _import(folder: Path, count: int) -> list[str]:
    data = folder / "data"
    command = [sys.executable, "-m", "issuer.cli"]
    subprocess.run([*command, "init", "--demo", "--data", data], check=True, capture_output=True)
    file = folder / "permits.csv"
    write_permits(file, count)
    quiet = {**os.environ, "STADTPASS_BACKGROUND_PUBLISH_SECONDS": "3600"}
    worker = subprocess.Popen([*command, "worker", "--data", data, "--executor", "bench"], env=quiet)
    try:
        with Application.open(data) as application:
            _wait_for_worker(application)
            service = _Service(application, worker)
            idle = service.peak_mebibytes()
            run_id = _uploaded(application, file)
            checking, seen = service.wait(run_id, State.CHECKED)
            after_check = service.peak_mebibytes()
            with application.writing() as session:
                runs.confirm(session, application, run_id, actor="bench")
            importing, moved = service.wait(run_id, State.IMPORTED)
            with application.reading() as session:
                row: ImportRunRow = runs.find(session, application, run_id)
            return [
                f"{count} rows ({file.stat().st_size // 1024} KiB), {row.made} passes made",
                f"  check : {count / checking:7.0f} rows/s ({checking:.1f} s, {seen} states of progress seen)",
                f"  import: {count / importing:7.0f} rows/s ({importing:.1f} s, {moved} states of progress seen)",
                f"  worker: {idle:.0f} MiB idle, {after_check:.0f} MiB at most in the check, "
                f"{service.peak_mebibytes():.0f} MiB at most at all",
            ]
    finally:
        worker.terminate()
        worker.wait()


def _uploaded(application: Application, file: Path) -> str:
    run_id, data = runs.new_id(), file.read_bytes()
    runs.file_of(application, run_id).write_bytes(data)
    with application.writing() as session:
        came = Upload(run_id, _TYPE, file.name, "utf-8", len(data), hashlib.sha256(data).hexdigest())
        runs.begin(session, application, came, actor="bench")
    return run_id


def _wait_for_worker(application: Application) -> None:
    for _ in range(600):
        with application.reading() as session:
            if session.scalars(select(WorkerRow.executor_id)).first():
                return
        time.sleep(0.1)
    raise RuntimeError("the worker does not start")


if __name__ == "__main__":
    print("\n".join(run(tuple(int(one) for one in sys.argv[1:]) or COUNTS)))
