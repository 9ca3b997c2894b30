"""A worker process for crash tests: its task writes to a file that it has begun, sleeps, writes that it is done.

python -m tests.issuer.background.slow_worker DATA EXECUTOR FILE SECONDS
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from issuer.application import Application
from issuer.background import engine as engine_module
from issuer.background import worker as worker_module
from issuer.background.tasks import Queue, Task
from issuer.background.worker import Worker


def main(data: str, executor: str, file: str, seconds: str) -> None:
    def run(_application: Application, payload: dict[str, Any]) -> None:
        with Path(file).open("a") as lines:
            lines.write(f"{executor} begins {payload['n']}\n")
        time.sleep(float(seconds))
        with Path(file).open("a") as lines:
            lines.write(f"{executor} ends {payload['n']}\n")

    tasks = {"slow": Task("slow", Queue.DELIVERY, run)}
    engine_module.all_tasks = lambda: tasks  # type: ignore[assignment]
    worker_module.sweep = lambda application, engine: 0  # type: ignore[assignment]
    Worker._publish = lambda self: None  # type: ignore[method-assign]
    Worker._clockwork = lambda self: None  # type: ignore[method-assign]
    with Application.open(Path(data)) as application:
        worker = Worker(application, executor)
        worker.start()
        if executor == "first":
            with application.writing() as session:
                for n in range(20):
                    application.enqueue(session, "slow", {"n": n})
        while True:
            time.sleep(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
