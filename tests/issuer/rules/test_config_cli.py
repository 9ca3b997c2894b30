"""The office tries rules out and changes them on the command line, on both databases."""

import json
from pathlib import Path

import pytest

from issuer.cli import main
from issuer.setup import demo_data
from tests.service import City

ON = ["--today", "2026-11-20", "--lang", "en"]


def run(city: City, *arguments: str) -> int:
    return main(["config", *arguments, "--data", str(city.folder), *ON])


def test_trying_out(city: City, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(city, "address", "neumarktgaesschen", "1", "--postal-code", "40223") == 0
    assert "NM (Neumarktgasse)" in capsys.readouterr().out
    assert run(city, "address", "Drakenhofstr", "1", "--json") == 1
    assert json.loads(capsys.readouterr().out)["code"] == "ADDRESS_STREET_UNKNOWN"
    assert run(city, "quote", "BÖ", "online", "12") == 0
    assert "25.00 €" in capsys.readouterr().out
    assert run(city, "quote", "BÖ", "online", "6") == 1
    assert "12, 24" in capsys.readouterr().out


def test_showing(city: City, capsys: pytest.CaptureFixture[str]) -> None:
    for table, said in (
        ("zones", "MÜ"),
        ("fees", "2500"),
        ("streets", "Am Öhrchen"),
        ("rules", "two_plates"),
    ):
        assert run(city, "show", table) == 0
        assert said in capsys.readouterr().out
        assert run(city, "show", table, "--json") == 0
        assert said in json.dumps(json.loads(capsys.readouterr().out), ensure_ascii=False)
    assert run(city, "show") == 0
    assert "city_name" in capsys.readouterr().out


def test_a_change_looked_at_made_and_undone(city: City, capsys: pytest.CaptureFixture[str]) -> None:
    change = ("change-fee", "online", "12", "4000", "--from", "2027-06-01")
    assert run(city, *change, "--dry-run") == 0
    assert "running permits are touched" in capsys.readouterr().out
    assert run(city, "changes", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []
    assert run(city, *change, "--json") == 0
    made = json.loads(capsys.readouterr().out)["change"]
    assert run(city, "undo", made) == 0
    assert run(city, "undo", made) == 64
    assert "undone already" in capsys.readouterr().err
    assert run(city, "change-zone", "AK", "--merge-into", "BÖ", "--from", "2027-06-01") == 0
    assert run(city, "change-fee", "online", "12", "25,00", "--from", "2027-06-01") == 64


def test_the_citys_own_rules(city: City, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text('valid_from = 2027-01-01\n[kinds.standard]\nresidence = "main"\n', "utf-8")
    assert run(city, "import", "rules", str(file)) == 0
    capsys.readouterr()
    for day, residence in (("2026-12-31", "main_or_secondary"), ("2027-01-01", "main")):
        assert main(["config", "show", "rules", "--json", "--data", str(city.folder), "--today", day]) == 0
        assert json.loads(capsys.readouterr().out)["kinds"]["standard"]["residence"] == residence
    file.write_text("valid_from = 2027-02-01\n[kinds.standard]\nresidence = 7\n", "utf-8")
    assert run(city, "import", "rules", str(file)) == 64
    file.write_text("kinds = 1", "utf-8")
    assert run(city, "import", "rules", str(file)) == 64
    assert "no table of rules" in capsys.readouterr().err


def test_loading_again_rewrites_no_history(
    city: City, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "table.csv"

    def load(text: str, *more: str, table: str = "zones") -> tuple[int, str, str]:
        file.write_text(text, "utf-8")
        code = run(city, "import", table, str(file), *more)
        told = capsys.readouterr()
        return code, told.out, told.err

    # In the demo's files nothing is new.
    assert run(city, "import", "zones", str(demo_data() / "zones.csv")) == 0
    assert run(city, "import", "fees", str(demo_data() / "fees.csv")) == 0
    capsys.readouterr()
    ended = "zone_code;zone_name;tariff_class;valid_until\nBÖ;Börsenwiese;A;2026-10-01\n"
    code, _, err = load(ended)
    assert (code, "BÖ: Börsenwiese A → " in err, "change-zone" in err) == (64, True, True)
    code, out, _ = load(ended, "--dry-run")
    assert (code, "! BÖ" in out, "1 differences" in out) == (1, True, True)
    for wrong in (
        "zone_code;zone_name;tariff_class\nBÖ;Börse;A\n",
        "zone_code;zone_name;tariff_class\nBÖ;Börsenwiese;C\n",
        "zone_code;zone_name;tariff_class;valid_until\nBÖ;Börsenwiese;A;2028-10-01\n",
    ):
        assert load(wrong)[0] == 64, wrong
    # What has not begun may be corrected, and new zones may come.
    ahead = "zone_code;zone_name;tariff_class;valid_from\nNÜ;{};B;2027-01-01\n"
    assert load(ahead.format("Nüssleinhof"))[0] == 0
    assert load(ahead.format("Nüsslein"))[0] == 0
    fee = "channel;term_months;valid_from;fee_cents\nonline;12;{};{}\n"
    code, _, err = load(fee.format("", 2600), table="fees")
    assert (code, "online 12: 2500 → 2600" in err) == (64, True)
    # A row of its own is refused as well where its day has passed.
    assert load(fee.format("2026-11-20", 2600), table="fees")[0] == 64
    assert load(fee.format("2026-11-21", 2600), table="fees")[0] == 0
    assert load(fee.format("2026-11-21", 2700), table="fees")[0] == 0
    assert load("channel;term_months;fee_cents\nonline;6;1500\n", table="fees")[0] == 0
    assert load("tariff_class;channel;term_months;fee_cents\nB;online;12;2600\n", table="fees")[0] == 64
    assert run(city, "quote", "BÖ", "online", "12") == 0
    assert "25.00 €" in capsys.readouterr().out
