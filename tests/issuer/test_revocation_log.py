"""The log outside the database: whole lines, whatever the disk does, and on disk before anybody is told."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from issuer.models import PassRow
from issuer.register import insert_passes
from issuer.revocation_log import FILE_NAME, RevocationLog, RevokedPass
from tests.issuer.register_samples import TODAY, sample_register, sample_rows, seal_for

REVOKED = [row["permit_id"] for row in sample_rows("permits_valid.csv") if row["status"] == "revoked"]


def entries(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / FILE_NAME).read_text("utf-8").splitlines()]


def test_an_entry_after_a_torn_line_stands_on_its_own(tmp_path: Path) -> None:
    log = RevocationLog(tmp_path)
    log.passes("stadt", [RevokedPass("library-card", "M1", (0, 1))], TODAY)
    with (tmp_path / FILE_NAME).open("a") as file:
        file.write('{"at": "2026-11-2')
    log.passes("stadt", [RevokedPass("library-card", "M2", None)], TODAY)
    log.passes("stadt", [RevokedPass("library-card", "M3", None)], TODAY)
    whole, torn, *later = (tmp_path / FILE_NAME).read_text("utf-8").splitlines()
    assert json.loads(whole)["pass"] == "library-card/M1"
    assert torn == '{"at": "2026-11-2'
    assert [json.loads(line)["pass"] for line in later] == ["library-card/M2", "library-card/M3"]


def test_a_short_write_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, bytes(data)[:7]))
    RevocationLog(tmp_path).passes("stadt", [RevokedPass("library-card", "M1", (3, 4))], TODAY)
    (entry,) = entries(tmp_path)
    assert (entry["pass"], entry["place"]) == ("library-card/M1", [3, 4])


def test_a_new_files_folder_is_synced_and_many_entries_cost_one_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bool] = []
    sync = os.fsync

    def watched(handle: int) -> None:
        synced.append(stat.S_ISDIR(os.fstat(handle).st_mode))
        assert len(entries(tmp_path)) % 250 == 0
        sync(handle)

    monkeypatch.setattr(os, "fsync", watched)
    chunk = [RevokedPass("library-card", f"M{n}", (0, n)) for n in range(250)]
    log = RevocationLog(tmp_path)
    log.passes("stadt", chunk, TODAY)
    log.passes("stadt", chunk, TODAY)
    assert synced == [False, True, False]
    log.passes("stadt", [], TODAY)
    assert len(synced) == 3
    assert len({one["pass"] for one in entries(tmp_path)}) == 250


def test_rows_that_come_in_revoked_are_logged_before_the_commit(tmp_path: Path) -> None:
    with sample_register(tmp_path) as register:
        checked = register.check("permits_valid.csv")
        seen: list[int] = []

        class Watched(RevocationLog):
            def passes(self, tenant: str, revoked: Sequence[RevokedPass], at: datetime) -> None:
                if revoked:
                    with register.reading() as other:
                        seen.append(len(other.scalars(select(PassRow.number)).all()))
                super().passes(tenant, revoked, at)

        for _ in range(2):
            with register.writing() as session:
                insert_passes(
                    session,
                    register.tenant,
                    checked.accepted,
                    seal_for,
                    at=TODAY,
                    actor="clerk",
                    log=Watched(tmp_path),
                )
    assert seen == [0]
    assert REVOKED
    assert [one["pass"] for one in entries(tmp_path)] == [f"resident-parking-permit/{n}" for n in REVOKED]
    assert all(isinstance(one["place"], list) and one["tenant"] == "duesseldorf" for one in entries(tmp_path))


def test_a_log_that_cannot_be_written_leaves_nothing_revoked(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with sample_register(tmp_path) as register:
        checked = register.check("permits_valid.csv")
        with pytest.raises(OSError, match=FILE_NAME), register.writing() as session:
            insert_passes(
                session, register.tenant, checked.accepted, seal_for, at=TODAY, actor="clerk",
                log=RevocationLog(tmp_path),
            )  # fmt: skip
        with register.reading() as session:
            assert session.scalars(select(PassRow.number)).all() == []
