"""What `issue` makes of the sample files, and what a second run changes: nothing."""

from __future__ import annotations

import json
import shutil
from collections import Counter

import pytest

from tests.e2e.commandline import LIBRARY, PERMIT, SAMPLES, TODAY, main_in_process, run
from tests.e2e.samples import (
    ALL_FILES,
    FILES_OF_STATUS,
    MEMBERS,
    PERMITS,
    SEAL_FILES,
    STATUS,
    VALUE_OF_STATUS,
    read_csv,
    register_content,
    register_rows,
    report,
    suffixes,
    write_csv,
)


def issue(city, type_id, file, *more):
    return main_in_process(
        "issue", type_id, file, "--data", city.data, "--out", city.out, "--today", TODAY, *more
    )


def seen(city):
    return {
        entry.name: entry.stat().st_mtime_ns for entry in city.out.iterdir() if entry.name != "report.csv"
    }


def test_every_row_has_the_files_of_its_status(demo_city):
    found = {number: suffixes(demo_city.out, number) for number in STATUS}
    assert found == {number: FILES_OF_STATUS[status] for number, status in STATUS.items()}


def test_nothing_else_lies_in_the_output_folder(demo_city):
    made = sum(len(FILES_OF_STATUS[status]) for status in STATUS.values())
    assert len(list(demo_city.out.iterdir())) == made + len(["report.csv"])


def test_files_can_be_read_by_their_owner_alone(demo_city):
    modes = Counter(
        entry.stat().st_mode & 0o077 for entry in demo_city.out.iterdir() if entry.name != "report.csv"
    )
    assert set(modes) == {0}


def test_the_register_knows_every_row_with_status_and_place_in_a_list(demo_city):
    rows = register_rows(
        demo_city.data, "SELECT number, status_value, list_number, list_index, seal FROM revisions"
    )
    assert len(rows) == len(STATUS)
    for number, value, list_number, index, seal in rows:
        expected = VALUE_OF_STATUS[STATUS[number]]
        if expected is None:
            assert (list_number, index, seal) == (None, None, None), number
        else:
            assert value == expected, number
            assert list_number is not None and 0 <= index < 2**20 and seal.startswith("SP1:"), number
    places = [row[2:4] for row in rows if row[2] is not None]
    assert len(set(places)) == len(places)


@pytest.mark.parametrize("status", sorted(FILES_OF_STATUS))
def test_show_knows_a_pass_of_every_status(demo_city, status):
    for number in [number for number, has in STATUS.items() if has == status][:3]:
        shown = main_in_process("show", number, "--data", demo_city.data, "--json", "--today", TODAY)
        assert shown.code == 0, shown.stderr
        view = json.loads(shown.stdout)
        assert view["number"] == number
        word = {"not_yet_valid": "active", "blocked": "suspended"}.get(status, status)
        assert view["status"] == word
        [revision] = view["revisions"]
        assert (revision["status_list"] is None) == (status == "pending_payment")
        assert (view["seal"] is None) == (status == "pending_payment")
        assert [entry["action"] for entry in view["history"]] == ["import"]
        for language, day in (("de", "."), ("en", "20")):
            text = main_in_process("show", number, "--data", demo_city.data, "--lang", language)
            assert text.code == 0
            assert number in text.stdout and day in text.stdout


def test_status_lists_are_one_per_type_and_half_year(demo_city):
    rows = register_rows(
        demo_city.data,
        "SELECT DISTINCT r.type_id, p.period_last, r.list_number FROM revisions r JOIN passes p"
        " ON p.type_id = r.type_id AND p.number = r.number WHERE r.list_number IS NOT NULL",
    )
    lists = {(type_id, last[:4], last[5:7] > "06"): number for type_id, last, number in rows}
    assert all(lists[type_id, last[:4], last[5:7] > "06"] == number for type_id, last, number in rows)
    assert len(set(lists.values())) == len(lists)
    files = {int(file.stem) for file in (demo_city.published / "status").iterdir()}
    assert files == set(lists.values())


def test_the_audit_trail_has_one_entry_per_row_and_is_whole(demo_city):
    checked = main_in_process("audit", "verify", "--data", demo_city.data, "--json")
    assert checked.code == 0, checked.stderr
    imports = register_rows(demo_city.data, "SELECT subject FROM audit_entries WHERE action = 'import'")
    assert len(imports) == len(set(imports)) == len(STATUS)


def test_the_same_files_again_change_nothing(own_city):
    before, files = register_content(own_city.data), seen(own_city)
    for type_id, name in ((PERMIT, "permits_valid.csv"), (LIBRARY, "library_valid.csv")):
        again = issue(own_city, type_id, SAMPLES / name, "--json")
        assert again.code == 0, again.stderr
        counts = json.loads(again.stdout)
        assert (counts["accepted"], counts["unchanged"], counts["refused"], counts["made"]) == (0, 200, 0, 0)
        assert report(own_city.out) == []
    assert register_content(own_city.data) == before
    assert seen(own_city) == files


def test_a_deleted_file_is_made_again_with_the_same_seal(own_city):
    number = next(number for number, status in STATUS.items() if status == "active")
    expired = next(number for number, status in STATUS.items() if status == "expired")
    seal = (own_city.out / f"{number}.seal.txt").read_text()
    for suffix in ALL_FILES:
        (own_city.out / f"{number}{suffix}").unlink()
    for suffix in SEAL_FILES:
        (own_city.out / f"{expired}{suffix}").unlink()
    files, before = seen(own_city), register_content(own_city.data)
    again = issue(own_city, PERMIT, SAMPLES / "permits_valid.csv", "--json")
    assert json.loads(again.stdout)["made"] == 2
    assert suffixes(own_city.out, number) == ALL_FILES
    assert (own_city.out / f"{number}.seal.txt").read_text() == seal
    after = seen(own_city)
    assert {name: after[name] for name in files} == files
    assert suffixes(own_city.out, expired) == SEAL_FILES
    assert register_content(own_city.data) == before


def test_the_status_does_not_change_by_an_import(own_city):
    number = next(number for number, status in STATUS.items() if status == "active")
    for step, word in (("suspend", "suspended"), ("revoke", "revoked")):
        assert main_in_process(step, number, "--reason", "Test", "--data", own_city.data).code == 0
        again = issue(own_city, PERMIT, SAMPLES / "permits_valid.csv")
        view = json.loads(main_in_process("show", number, "--data", own_city.data, "--json").stdout)
        assert view["status"] == word
        assert view["revisions"][-1]["status"] == {"suspended": 2, "revoked": 1}[word]
        # The file still says active, and the register something else: that is told, and nothing else is.
        assert again.code in (0, 3)
        assert {line["code"] for line in report(own_city.out)} <= {"DUPLICATE_ID"}


def test_a_lapsed_day_makes_no_row_different(own_city):
    """The file says active, the clock a year later says expired: the row is still the same."""
    again = main_in_process(
        "issue", PERMIT, SAMPLES / "permits_valid.csv", "--data", own_city.data, "--out", own_city.out,
        "--today", "2027-11-20", "--json",
    )  # fmt: skip
    assert again.code == 0, report(own_city.out)
    assert json.loads(again.stdout)["unchanged"] == 200


def plain(row):
    return row["status"] == "active" and row["plate_1"] and not row["plate_2"] and not row["season_1"]


@pytest.mark.parametrize(
    "change",
    [
        {"plate_1": "D-XY 99"},
        {"zone_code": "RP"},
        {"family_name": "Neumann"},
        {"street": "Andere Straße"},
        {"email": "neu@example.org"},
        {"valid_from": "2026-01-01", "valid_to": "2026-12-31", "term_months": "12"},
        {"status": "revoked", "revoked_on": "2026-11-01", "revocation_reason": "Umzug"},
        {"status": "pending_payment", "payment_status": "open"},
    ],
)
def test_a_known_number_with_any_other_value_is_refused(own_city, tmp_path, change):
    row = next(row for row in PERMITS if plain(row))
    before = register_content(own_city.data)
    file = write_csv(tmp_path / "changed.csv", [row | change])
    done = issue(own_city, PERMIT, file)
    assert done.code == 3
    [line] = report(own_city.out)
    assert (line["row"], line["severity"], line["code"]) == ("1", "error", "DUPLICATE_ID")
    assert row["permit_id"] in line["sentence"]
    assert register_content(own_city.data) == before


@pytest.mark.parametrize(
    "same",
    [
        {"plate_1": "{plate_1_lower}"},
        {"zone_code": " {zone_code} "},
    ],
)
def test_other_spellings_of_the_same_values_are_unchanged(own_city, tmp_path, same):
    row = next(row for row in PERMITS if plain(row))
    known = row | {"plate_1_lower": row["plate_1"].lower().replace(" ", "  ")}
    file = write_csv(
        tmp_path / "same.csv", [row | {key: value.format(**known) for key, value in same.items()}]
    )
    done = issue(own_city, PERMIT, file, "--json")
    assert done.code == 0, report(own_city.out)
    assert json.loads(done.stdout)["unchanged"] == 1


def test_columns_that_are_not_there_are_not_compared(own_city, tmp_path):
    needed = ("permit_id", "holder_ref", "family_name", "zone_code", "permit_kind", "plate_1", "valid_from",
              "valid_to", "status")  # fmt: skip
    rows = [{name: row[name] for name in needed} for row in PERMITS if plain(row)]
    done = issue(own_city, PERMIT, write_csv(tmp_path / "few.csv", rows), "--json")
    assert json.loads(done.stdout)["unchanged"] == len(rows)


def test_twice_in_one_file_the_second_is_refused_even_if_it_is_the_same(fresh_city, tmp_path):
    row = next(row for row in PERMITS if plain(row))
    done = issue(fresh_city, PERMIT, write_csv(tmp_path / "twice.csv", [row, row]), "--json")
    assert done.code == 3
    counts = json.loads(done.stdout)
    assert (counts["accepted"], counts["refused"]) == (1, 1)
    [line] = report(fresh_city.out)
    assert (line["row"], line["code"]) == ("2", "DUPLICATE_ID")


def test_only_the_carriers_that_were_asked_for(fresh_city, tmp_path):
    rows = [row for row in PERMITS if row["status"] in ("active", "expired")]
    file = write_csv(tmp_path / "two.csv", [rows[0], next(row for row in rows if row["status"] == "expired")])
    active, expired = rows[0]["permit_id"], read_csv(file)[1]["permit_id"]
    assert issue(fresh_city, PERMIT, file, "--carriers", "google").code == 0
    assert suffixes(fresh_city.out, active) == {".google.json", ".save-link.txt"}
    assert suffixes(fresh_city.out, expired) == frozenset()
    assert issue(fresh_city, PERMIT, file, "--carriers", "pdf,seal").code == 0
    assert suffixes(fresh_city.out, active) == ALL_FILES - {".pkpass"}
    assert suffixes(fresh_city.out, expired) == {".seal.txt", ".png"}
    assert issue(fresh_city, PERMIT, file, "--carriers", "apple").code == 0
    assert suffixes(fresh_city.out, active) == ALL_FILES


def test_the_output_goes_to_the_data_folder_unless_told_otherwise(fresh_city, tmp_path):
    file = write_csv(tmp_path / "one.csv", PERMITS[:1])
    done = main_in_process("issue", PERMIT, file, "--data", fresh_city.data, "--today", TODAY)
    assert done.code == 0
    assert suffixes(fresh_city.data / "out", PERMITS[0]["permit_id"]) == ALL_FILES
    assert report(fresh_city.data / "out") == []


def test_a_dry_run_reports_and_writes_nothing_else(fresh_city):
    before = register_content(fresh_city.data)
    done = issue(fresh_city, PERMIT, SAMPLES / "permits_bad.csv", "--dry-run")
    assert done.code == 3
    assert [entry.name for entry in fresh_city.out.iterdir()] == ["report.csv"]
    assert len(report(fresh_city.out)) >= 20
    assert register_content(fresh_city.data) == before
    assert issue(fresh_city, PERMIT, SAMPLES / "permits_valid.csv", "--dry-run").code == 0
    assert report(fresh_city.out) == []
    assert register_content(fresh_city.data) == before


@pytest.mark.parametrize(
    "args",
    [
        ["issue", "no-such-type", "{samples}/permits_valid.csv", "--data", "{data}"],
        ["issue", PERMIT, "{samples}/permits_valid.csv", "--data", "{data}", "--carriers", "apple,fax"],
        ["issue", PERMIT, "{samples}/permits_valid.csv", "--data", "{data}", "--carriers", ""],
        ["issue", PERMIT, "{samples}/permits_valid.csv", "--data", "{data}/missing"],
        ["issue", PERMIT, "{samples}/permits_valid.csv", "--data", "{data}", "--today", "20.11.2026"],
        ["issue", PERMIT, "{samples}/permits_valid.csv", "--data", "{data}", "--at", "yesterday"],
        ["issue", PERMIT, "{samples}/permits_valid.csv"],
        ["issue", PERMIT],
        ["show", "BPA-0000", "--data", "{data}"],
        ["revoke", "BPA-0000", "--data", "{data}"],
        ["revoke", "BPA-0000", "--reason", "x", "--data", "{data}"],
        ["change", "BPA-0000", "--zone", "RP", "--data", "{data}"],
        ["publish", "--data", "{data}"],
        ["publish", "--data", "{data}/missing", "--out", "{data}/p"],
        ["config", "import", "zones", "{data}/missing.csv", "--data", "{data}"],
        ["config", "import", "fees", "{samples}/zones.csv", "--data", "{data}"],
        ["config", "set", "no_such", "1", "--data", "{data}"],
        ["config", "set", "display_mode", "maybe", "--data", "{data}"],
        ["init", "--data", "{data}", "--demo"],
        ["frobnicate"],
        [],
    ],
)
@pytest.mark.parametrize("language", ["de", "en"])
def test_a_wrong_call_is_one_sentence_and_64(empty_city, args, language):
    before = register_content(empty_city.data)
    words = [one.format(samples=SAMPLES, data=empty_city.data) for one in args]
    done = main_in_process(*words, *(["--lang", language] if len(args) > 1 else []))
    assert done.code == 64
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= (1 if "usage" not in done.stderr else 12)
    assert register_content(empty_city.data) == before


def test_no_file_and_no_encoding_are_faults_of_use(fresh_city, tmp_path):
    for missing in (tmp_path / "missing.csv", tmp_path):
        done = issue(fresh_city, PERMIT, missing)
        assert done.code == 64
        assert len(done.stderr.splitlines()) == 1
        assert str(missing) in done.stderr
        assert not (fresh_city.out / "report.csv").exists()
    done = issue(
        fresh_city, PERMIT, write_csv(tmp_path / "rows.csv", [{"permit_id": "P"}]), "--encoding", "cp1251x"
    )
    assert (done.code, len(done.stderr.splitlines())) == (64, 1)


def test_init_never_overwrites(own_city):
    before = register_content(own_city.data)
    keys = {file.name: file.read_bytes() for file in (own_city.data / "keys").iterdir()}
    for demo in ([], ["--demo"]):
        again = run("init", *demo, "--data", own_city.data, env={"STADTPASS_PASSPHRASE": "geheim geheim"})
        assert again.returncode == 64
        assert len(again.stderr.splitlines()) == 1
    assert register_content(own_city.data) == before
    assert {file.name: file.read_bytes() for file in (own_city.data / "keys").iterdir()} == keys


def test_without_fee_table_fees_are_not_checked_and_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("STADTPASS_PASSPHRASE", "ein langer Satz als Kennwort")
    data, out = tmp_path / "data", tmp_path / "out"
    assert main_in_process("init", "--data", data, "--today", "2026-01-01").code == 0
    assert main_in_process("config", "import", "zones", SAMPLES / "zones.csv", "--data", data).code == 0
    wrong = [row for row in read_csv(SAMPLES / "permits_bad.csv") if row["permit_id"].endswith("900031")]
    file = write_csv(tmp_path / "fee.csv", wrong)
    asked = ("issue", PERMIT, file, "--data", data, "--out", out, "--today", TODAY, "--dry-run")
    unchecked = main_in_process(*asked)
    assert unchecked.code == 0, report(out)
    assert "Gebühr" in unchecked.stderr
    assert "fee" in main_in_process(*asked, "--lang", "en").stderr.lower()
    assert main_in_process("config", "import", "fees", SAMPLES / "fees.csv", "--data", data).code == 0
    checked = main_in_process(*asked)
    assert checked.code == 3
    assert [line["code"] for line in report(out)] == ["FEE_MISMATCH"]
    assert "Gebührentabelle" not in checked.stderr


def test_without_accounts_the_other_carriers_are_made_and_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("STADTPASS_PASSPHRASE", "ein langer Satz als Kennwort")
    data, out = tmp_path / "data", tmp_path / "out"
    assert main_in_process("init", "--data", data, "--today", "2026-01-01").code == 0
    for table in ("zones", "fees"):
        assert main_in_process("config", "import", table, SAMPLES / f"{table}.csv", "--data", data).code == 0
    file = write_csv(tmp_path / "one.csv", PERMITS[:1])
    asked = ("issue", PERMIT, file, "--data", data, "--out", out, "--today", TODAY)
    named = main_in_process(*asked, "--carriers", "apple")
    assert (named.code, len(named.stderr.splitlines())) == (64, 1)
    assert register_rows(data, "SELECT * FROM passes") == []
    done = main_in_process(*asked)
    assert done.code == 0, done.stderr
    assert "apple" in done.stderr and "google" in done.stderr
    assert suffixes(out, PERMITS[0]["permit_id"]) == {".pdf", ".seal.txt", ".png"}


def test_no_file_that_was_written_aside_is_left(demo_city):
    assert not [entry.name for entry in demo_city.folder.rglob(".*.*") if entry.name != ".state.json"]


def test_numbers_of_both_types_are_told_apart(own_city, tmp_path):
    """The same number in two types: the commands ask for --type instead of guessing."""
    row = next(row for row in MEMBERS if row["status"] == "active" and row["category"] == "adult")
    permit = next(row for row in PERMITS if plain(row))["permit_id"]
    member = row | {"member_id": permit, "card_number": "BQD18N999993", "card_scheme": "", "symbology": ""}
    done = issue(own_city, LIBRARY, write_csv(tmp_path / "member.csv", [member]))
    assert done.code == 0, report(own_city.out)
    unclear = main_in_process("show", permit, "--data", own_city.data)
    assert (unclear.code, len(unclear.stderr.splitlines())) == (64, 1)
    for type_id in (PERMIT, LIBRARY):
        shown = main_in_process("show", permit, "--type", type_id, "--data", own_city.data, "--json")
        assert json.loads(shown.stdout)["type"] == type_id


def test_an_output_folder_that_cannot_be_written_is_one_sentence(fresh_city, tmp_path):
    blocked = tmp_path / "file"
    shutil.copy(SAMPLES / "zones.csv", blocked)
    before = register_content(fresh_city.data)
    done = main_in_process(
        "issue", PERMIT, SAMPLES / "permits_valid.csv", "--data", fresh_city.data, "--out", blocked,
        "--today", TODAY,
    )  # fmt: skip
    assert done.code == 64
    assert len(done.stderr.splitlines()) == 1 and str(blocked) in done.stderr
    assert register_content(fresh_city.data) == before
