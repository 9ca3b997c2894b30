"""Restores and imports: what was undone does not come back to life, and what has its number since is left alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from sqlalchemy import select

from issuer.application import Application
from issuer.importing import run_work, runs
from issuer.models import PassRow, RevisionRow
from issuer.models_imports import ImportRunRow
from issuer.revocation_log import FILE_NAME as REVOCATIONS
from keys.store import KeyFile
from tests.issuer.background.test_import_crash import uploaded
from tests.issuer.console.test_imports import fresh_rows
from tests.issuer.test_backup import NOW, Place, key, run
from tests.service import TENANT, City

__all__ = ["key"]
SQLITE = pytest.mark.parametrize("city", ["sqlite"], indirect=True)


def taken_in(application: Application, data: bytes) -> str:
    run_id = uploaded(application, data)
    run_work.run_task(application, {"id": run_id})
    with application.writing() as session:
        runs.confirm(session, application, run_id, actor="test")
    run_work.run_task(application, {"id": run_id})
    return run_id


def numbers(data: bytes) -> list[str]:
    return [line.partition(";")[0] for line in data.decode().splitlines()[1:]]


def standing(application: Application, number: str) -> tuple[str, int] | None:
    with application.reading() as session:
        found = session.execute(
            select(PassRow.status, RevisionRow.status_value)
            .join(
                RevisionRow,
                (RevisionRow.tenant == PassRow.tenant) & (RevisionRow.number == PassRow.number),
            )
            .where(PassRow.tenant == TENANT, PassRow.number == number)
        ).one_or_none()
    return tuple(found) if found is not None else None


def restored(city: City, place: Place, log: Path) -> Application:
    place.bring(city, "keystore.key")
    assert place.restore("--revocations", log) == 0
    return city.open(place.folder)


@SQLITE
def test_a_backup_from_before_the_undoing_brings_no_pass_back_to_life(
    city: City, key: KeyFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_work, "let_others_write", lambda: None)
    application, data = city.open(), fresh_rows(6)
    run_id = taken_in(application, data)
    waiting = uploaded(application, fresh_rows(7))
    [number] = [one for one in numbers(data) if standing(application, one) == ("active", 0)][:1]
    before = Place(tmp_path / "before", tmp_path / "a", f"sqlite+pysqlite:///{tmp_path / 'before.db'}")
    assert run("backup", "--data", city.folder, "--out", before.file, "--at", NOW) == 0
    with application.writing() as session:
        runs.cancel(session, application, waiting, actor="test")
    with application.writing() as session:
        runs.undo(session, application, run_id, revoke_touched=False, actor="test")
    run_work.run_task(application, {"id": run_id})
    assert standing(application, number) is None
    # The corrected file: another pass with the same number.
    taken_in(application, data)
    after = Place(tmp_path / "after", tmp_path / "b", f"sqlite+pysqlite:///{tmp_path / 'after.db'}")
    assert run("backup", "--data", city.folder, "--out", after.file, "--at", NOW) == 0
    log = tmp_path / "log"
    shutil.copy(city.folder / REVOCATIONS, log)
    old, new = restored(city, before, log), restored(city, after, log)
    assert standing(old, number) == ("revoked", 1)
    assert standing(new, number) == ("active", 0)
    # What was at work has no file any more, and holds nothing up.
    with old.reading() as session:
        states = {one.id: one.state for one in session.scalars(select(ImportRunRow))}
        assert states == {run_id: "imported", waiting: "failed"}
        assert runs.at_work(session, old) is None
