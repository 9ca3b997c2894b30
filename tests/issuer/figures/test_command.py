"""`stadtpass figures`: the office's tables and the files of the open data, on the screen and in a folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from litestar.testing import TestClient

from issuer.application import Application
from issuer.cli import main
from tests.issuer.figures.samples import put_on_apple
from tests.issuer.figures.test_open_data import CONTRIBUTOR, FILES, PLACE, counted
from tests.service import PERMIT, City, running_numbers
from tests.web_app import create_app

SQLITE = pytest.mark.parametrize("city", ["sqlite"], indirect=True)


def run(city: City, *words: str) -> int:
    return main(["figures", *words, "--data", str(city.folder), "--today", "2026-11-20"])


@SQLITE
def test_show(city: City, application: Application, capsys: pytest.CaptureFixture[str]) -> None:
    put_on_apple(application, running_numbers(application)[0])
    assert run(city, "show", "--json", "--lang", "en") == 0
    told = json.loads(capsys.readouterr().out)
    assert list(told) == ["adoption", "ending", "cases"]
    permits = next(one for one in told["adoption"] if one["type"] == PERMIT)
    assert (permits["apple"], permits["total"]) == (1, len(running_numbers(application)))
    assert len(told["ending"]) == 26
    assert told["ending"][0]["week"] == "2026-11-16"
    assert all(sum(one["zones"].values()) == one["total"] for one in told["ending"])
    empty = {"7": 0, "14": 0, "28": 0, "older": 0}
    assert told["cases"][0] == {"state": "submitted", "days_up_to": empty, "total": 0}
    assert run(city, "show", "--lang", "de") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        "Gültige Ausweise nach Art und Wallet",
        "Art\tNur Apple Wallet\tNur Google Wallet\tApple und Google Wallet\tNur EUDI-Wallet\t"
        "Nur PDF oder Papier\tSumme",
    ]


@SQLITE
def test_export(
    city: City, application: Application, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "folder"
    assert run(city, "export", "--out", str(out), "--lang", "de") == 0
    assert capsys.readouterr().out == f"3 Dateien geschrieben nach {out}.\n"
    assert sorted(one.name for one in out.iterdir()) == ["adoption.csv", "cases.csv", "ending.csv"]
    assert (out / "cases.csv").read_bytes().startswith(b"\xef\xbb\xbfStand;0 bis 7 Tage;")


@SQLITE
def test_export_of_what_is_served(
    city: City, application: Application, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(city, "export", "--out", str(tmp_path / "o"), "--open-data", "--lang", "en") != 0
    assert "not switched on" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()
    counted(city, application, open_data_contributor=CONTRIBUTOR, open_data_geocoding=PLACE)
    assert run(city, "export", "--out", str(tmp_path / "o"), "--open-data", "--json") == 0
    with TestClient(create_app(application)) as client:
        for path in FILES:
            assert (tmp_path / "o" / path.rpartition("/")[2]).read_bytes() == client.get(path).content
