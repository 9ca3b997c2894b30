"""kill -9 of the service while it imports a file: the job goes on at the next start, and every row counts once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from bench.issue import write_permits
from issuer.application import Application
from issuer.models import PassRow, RevisionRow
from tests.e2e.service_rig import PERMIT, Rig, wait_for
from tests.google_server import GoogleServer
from tests.service import DATABASES, new_database

KNOWN, ROWS = 20, 700
# In the first chunk, in the middle, close to the end.
KILLED_AT = (1, 300, 600)


@pytest.fixture(params=DATABASES)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    database = ""
    if request.param == "postgresql":
        database = new_database(request.getfixturevalue("postgresql"), f"jobs_{tmp_path.name[-8:].lower()}")
    with GoogleServer() as google:
        made = Rig(tmp_path, google, database, permits=KNOWN)
        made.set_up()
        yield made
        for name in list(made.processes):
            made.kill(name)


@pytest.mark.slow
def test_a_killed_import_enters_every_row_once(rig: Rig) -> None:
    file = rig.folder / "many.csv"
    write_permits(file, ROWS)
    rig.start()
    with rig.api() as client:
        answer = client.post(
            "/jobs/imports",
            content=file.read_bytes(),
            params={"type": PERMIT},
            headers={"Content-Type": "text/csv", "Idempotency-Key": "killed-import"},
        )
        assert answer.status_code == 202, answer.text
        job = answer.json()["id"]

        def look() -> dict[str, object]:
            found: dict[str, object] = client.get(f"/jobs/{job}").raise_for_status().json()
            return found

        kills, seen = 0, 0
        for place in KILLED_AT:
            wait_for(lambda at=place: int(str(look()["done"])) >= at, 60, look)  # type: ignore[misc]
            done, state = int(str(look()["done"])), look()["state"]
            # What has been said to be done stays done.
            assert done >= seen
            seen = done
            if state == "running":
                kills += 1
            rig.kill()
            rig.start()
        wait_for(lambda: look()["state"] == "done", 120, look)
        told = look()
    assert kills, "the job was done before it could be killed"
    counts = {name: told[name] for name in ("total", "done", "accepted", "unchanged", "refused")}
    assert counts == {
        "total": ROWS, "done": ROWS, "accepted": ROWS - KNOWN, "unchanged": KNOWN, "refused": 0,
    }  # fmt: skip
    rig.stop()
    with Application.open(rig.data, rig.now) as application, application.reading() as session:
        tenant = application.tenant
        passes = session.scalar(select(func.count()).select_from(PassRow).where(PassRow.tenant == tenant))
        revisions = session.scalars(select(RevisionRow).where(RevisionRow.tenant == tenant)).all()
    assert passes == len(revisions) == ROWS
    assert {row.n for row in revisions} == {1}
    places = {(row.list_number, row.list_index) for row in revisions}
    assert len(places) == len({row.seal for row in revisions}) == ROWS
    assert rig.command("audit", "verify")
