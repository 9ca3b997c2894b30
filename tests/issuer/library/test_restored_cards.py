"""Card numbers replaced after a backup: its restore spends them again."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from litestar.testing import TestClient
from sqlalchemy import select

from issuer import lifecycle
from issuer.application import Application
from issuer.errors import RegisterRefusal
from issuer.lifecycle import Actor
from issuer.models import PassRow, RevisionRow
from issuer.models_library import ReplacedCardRow
from issuer.revocation_log import FILE_NAME as REVOCATIONS
from issuer.verifier_devices import Role
from passes.status_list import Status
from tests.issuer.library.test_card_lookup import VALID, number_of, replace_card, told
from tests.issuer.publication.test_app_devices import enrolled
from tests.issuer.test_backup import LATER, NOW, Place, key, place, run, seals, target, verdict
from tests.service import CARD, TENANT, TODAY, City
from tests.web_app import create_app

__all__ = ["key", "place", "target"]
# What the demo library's scheme holds, and nobody has.
NEW, NEWER = "BQD18N900000", "BQD18N900001"
BY = Actor("librarian", TODAY + timedelta(hours=3), "test")


def state(application: Application, number: str) -> tuple[str | None, list[int], dict[str, str | None]]:
    """The card number, the values of its seals, and what is spent."""
    with application.reading() as session:
        card = session.get_one(PassRow, (TENANT, CARD, number)).card_key
        values = session.scalars(
            select(RevisionRow.status_value)
            .where(RevisionRow.tenant == TENANT, RevisionRow.number == number)
            .order_by(RevisionRow.n)
        ).all()
        spent = session.execute(
            select(ReplacedCardRow.card_key, ReplacedCardRow.number).where(ReplacedCardRow.tenant == TENANT)
        )
        return card, list(values), {one.card_key: one.number for one in spent}


def test_a_number_replaced_after_the_backup_never_holds_again(
    city: City, place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    application = city.open()
    number = number_of(application, VALID)
    known = state(application, number)[2]
    assert run("backup", "--data", city.folder, "--out", place.file, "--at", NOW) == 0
    # Twice: the register of the backup has never heard of the number between.
    for card in (NEW, NEWER):
        change = ("change", number, "--type", CARD, "--card-number", card, "--out", tmp_path / "out")
        assert run(*change, "--data", city.folder, "--at", LATER) == 0
    place.bring(city, "keystore.key", "root", REVOCATIONS)
    capsys.readouterr()
    assert place.restore() == 0
    said = capsys.readouterr()
    assert "2" in said.out
    assert number in said.err

    restored = city.open(place.folder)
    assert state(restored, number) == (VALID, [int(Status.SUPERSEDED)], known | {VALID: number, NEW: None})
    again = tmp_path / "again"
    assert run("publish", "--data", place.folder, "--out", again, "--at", LATER) == 0
    for seal in seals(city.open(), number)[:2]:
        assert verdict(seal, again, LATER, capsys) == "RED"
    with TestClient(create_app(restored)) as http:
        desk = enrolled(restored, http, city.clock, Role.LIBRARIAN)
        assert told(desk, http, VALID)[:2] == told(desk, http, NEW)[:2] == ("RED", "SUPERSEDED")
        assert told(desk, http, NEWER)[:2] == ("GREY", "CARD_UNKNOWN")

        # No new seal for the old number, and the number of the card in the hand makes it whole.
        with restored.writing() as session, pytest.raises(RegisterRefusal) as refused:
            pass_type = restored.pass_types[CARD]
            sealer = restored.sealer(session, pass_type)
            lifecycle.reissue(session, TENANT, pass_type, number, seal_for=sealer, actor=BY)
        assert refused.value.code == "CARD_REPLACED"
        replace_card(restored, number, NEWER)
        assert told(desk, http, NEWER)[:2] == ("GREEN", "VALID")
        assert told(desk, http, VALID)[:2] == ("RED", "SUPERSEDED")
    with restored.reading() as session:
        rows = session.scalars(select(ReplacedCardRow.card_key).where(ReplacedCardRow.number == number)).all()
    assert rows == [VALID]


SQLITE = pytest.mark.parametrize("city", ["sqlite"], indirect=True)


@SQLITE
def test_a_backup_that_knows_of_the_replacement_changes_nothing(city: City, place: Place) -> None:
    application = city.open()
    number = number_of(application, VALID)
    replace_card(application, number, NEW)
    before = state(application, number)
    assert run("backup", "--data", city.folder, "--out", place.file, "--at", NOW) == 0
    place.bring(city, "keystore.key", REVOCATIONS)
    assert place.restore() == 0
    assert state(city.open(place.folder), number) == before
    assert before[:2] == (NEW, [int(Status.SUPERSEDED), int(Status.VALID)])


@SQLITE
def test_what_was_freed_since_is_not_spent(city: City, place: Place, tmp_path: Path) -> None:
    """As an import that was undone leaves it, on another machine than the one that took it in."""
    number = number_of(city.open(), VALID)
    assert run("backup", "--data", city.folder, "--out", place.file, "--at", NOW) == 0
    place.bring(city, "keystore.key")

    def line(hour: int, **said: object) -> str:
        at = (TODAY + timedelta(hours=hour)).isoformat()
        return json.dumps({"at": at, "tenant": TENANT, "card": f"{CARD}/{VALID}", **said}) + "\n"

    (tmp_path / "a").write_text(line(2, freed=True))
    (tmp_path / "b").write_text(line(1, place=None))
    logs = ("--revocations", tmp_path / "a", "--revocations", tmp_path / "b")
    second = Place(tmp_path / "second", place.file, f"sqlite+pysqlite:///{tmp_path / 'second.db'}")
    second.folder.mkdir()
    shutil.copy(city.folder / "keystore.key", second.folder)
    assert place.restore(*logs) == 0
    assert VALID not in state(city.open(place.folder), number)[2]
    (tmp_path / "b").write_text(line(3, place=None))
    assert second.restore(*logs) == 0
    assert state(city.open(second.folder), number)[2][VALID] == number


@SQLITE
def test_a_card_without_its_moment_is_no_line_of_the_log(
    city: City, place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("backup", "--data", city.folder, "--out", place.file, "--at", NOW) == 0
    place.bring(city, "keystore.key")
    (tmp_path / "log").write_text(
        json.dumps({"at": "2026-11-20", "tenant": TENANT, "card": f"{CARD}/1"}) + "\n"
    )
    assert place.restore("--revocations", tmp_path / "log") == 64
    assert str(tmp_path / "log") in capsys.readouterr().err
