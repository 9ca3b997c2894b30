"""A worker process for crash tests of imports, in small pieces so that there is something to interrupt.

python -m tests.issuer.background.import_worker DATA
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from issuer.application import Application
from issuer.background import worker as worker_module
from issuer.background.worker import Worker
from issuer.importing import file_check, run_undo, run_work
from tests.service import TODAY


def main(data: str) -> None:
    file_check.ROWS_AT_ONCE = 20  # type: ignore[misc]
    run_work.ENTERED_AT_ONCE = 6  # type: ignore[misc]
    run_undo.AT_ONCE = 6  # type: ignore[misc]
    worker_module.sweep = lambda application, engine: 0  # type: ignore[assignment]
    Worker._publish = lambda self: None  # type: ignore[method-assign]
    Worker._clockwork = lambda self: None  # type: ignore[method-assign]
    with Application.open(Path(data), lambda: TODAY) as application:
        Worker(application, "imports").start()
        while True:
            time.sleep(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
