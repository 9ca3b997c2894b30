"""From a change to the published lists, in a small and in a very large city: the limit is 5 seconds.

A register of many permits is made of a few real ones by SQL. Timed are one change to its publication, the run that
reads everything (a process's first), and a change that is made while such a run is under way, which waits for it.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import threading
import time
from datetime import datetime
from pathlib import Path

from sqlalchemy import text

from bench.issue import write_permits
from issuer import lifecycle, publication
from issuer.application import Application
from issuer.carriers import Carrier
from issuer.issue import IssueRequest, issue
from issuer.lifecycle import Actor
from issuer.publication import publish_due
from issuer.settings import Settings
from issuer.setup import initialise
from issuer.workspace import Workspace
from passes.periods import BERLIN

AT = datetime(2026, 11, 20, 12, 0, tzinfo=BERLIN)
LIMIT_SECONDS = 5.0
SIZES = (60_000, 600_000)
TENANT, PERMIT = "musterstadt", "resident-parking-permit"
SEED_ROWS = 50


def main() -> int:
    """Print one block for each size."""
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            run(Path(folder), size)
    return 0


def run(folder: Path, size: int) -> None:
    data = folder / "data"
    initialise(data, AT, tenant=TENANT, settings=Settings(), demo=True).close()
    file = folder / "permits.csv"
    write_permits(file, SEED_ROWS)
    workspace = Workspace.open(data)
    issue(workspace, IssueRequest(PERMIT, file, folder / "out", AT, "bench", carriers=(Carrier.SEAL,)))
    workspace.close()
    with Application.open(data, lambda: AT) as application:
        multiply(application, size)
        print(f"{size:,} permits")
        whole = timed(lambda: publish_due(application))
        say("everything read and signed (a process's first run)", whole)
        numbers = iter(range(1, SEED_ROWS))
        say("one change, published", timed(lambda: changed_and_published(application, next(numbers))))
        publication._memories.clear()
        first = threading.Thread(target=publish_due, args=(application,))
        begun = time.perf_counter()
        first.start()
        time.sleep(whole / 10)
        at = time.perf_counter()
        changed_and_published(application, next(numbers))
        first.join()
        say("one change while everything is read", time.perf_counter() - at)
        print(f"  (the run it met took {time.perf_counter() - begun:.2f} s)")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  peak memory {peak:.0f} MB")


def multiply(application: Application, size: int) -> None:
    """Copies of the real permits under new numbers, each with a plate of its own."""
    copies = size // SEED_ROWS
    with application.writing() as session:
        for table, changed in (
            ("passes", {"number": "number || '-' || i"}),
            (
                "revisions",
                {
                    "number": "number || '-' || i",
                    "serial": "serial || i",
                    "list_number": "NULL",
                    "list_index": "NULL",
                    "seal": "NULL",
                    "attributes": "replace(attributes, '|\"', printf('%d|\"', i % 10))",
                },
            ),
        ):
            columns = [row[1] for row in session.execute(text(f"PRAGMA table_info({table})"))]
            chosen = ", ".join(changed.get(name, name) for name in columns)
            session.execute(
                text(
                    f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {copies - 1}) "
                    f"INSERT INTO {table} ({', '.join(columns)}) SELECT {chosen} FROM {table}, n"
                )
            )


def changed_and_published(application: Application, row: int) -> None:
    """Suspend a permit, which takes its plate off the list, until the lists say so."""
    with application.writing() as session:
        lifecycle.suspend(session, TENANT, PERMIT, f"B-{row:06d}", actor=Actor("bench", AT, "bench"))
    while publication._has_changed(application):
        publish_due(application)


def timed(what: object) -> float:
    begun = time.perf_counter()
    what()  # type: ignore[operator]
    return time.perf_counter() - begun


def say(what: str, seconds: float) -> None:
    print(f"  {what}: {seconds:.2f} s, {seconds / LIMIT_SECONDS:.2f} of the limit")


if __name__ == "__main__":
    sys.exit(main())
