"""The files of a legacy register: other columns, other encoding, the same permits."""

from __future__ import annotations

import json
import re
from datetime import date

import pytest

from tests.e2e.commandline import PERMIT, SAMPLES, TODAY, main_in_process
from tests.e2e.samples import (
    ALL_FILES,
    LEGACY,
    MEMBERS,
    PERMITS,
    SEAL_FILES,
    read_csv,
    register_content,
    register_rows,
    report,
    suffixes,
    write_csv,
)

FILE = SAMPLES / "permits_legacy_cp1252.csv"
BOM = SAMPLES / "permits_legacy_utf8_bom.csv"
OWN = {row["permit_id"]: row for row in PERMITS}
NUMBERS = [row["Ausweis-Nr."] for row in LEGACY]


def issue(city, file, *more):
    return main_in_process(
        "issue", PERMIT, file, "--data", city.data, "--out", city.out, "--today", TODAY, *more
    )


def german(text):
    day, month, year = map(int, text.split("."))
    return date(year, month, day)


def everything_stored(folder):
    for file in folder.rglob("*"):
        if file.is_file():
            yield file, file.read_bytes()


@pytest.fixture(scope="module")
def legacy_city(empty_city, tmp_path_factory):
    """The legacy file loaded alone. Shared: to be read only."""
    city = empty_city.copy(tmp_path_factory.mktemp("legacy") / "city")
    done = issue(city, FILE, "--encoding", "cp1252", "--carriers", "google,seal", "--json")
    assert done.code == 0, report(city.out)
    counts = json.loads(done.stdout)
    assert (counts["accepted"], counts["unchanged"], counts["refused"]) == (len(LEGACY), 0, 0)
    assert [one for one in report(city.out) if one["severity"] == "error"] == []
    return city


@pytest.mark.parametrize("language", ["de", "en"])
def test_without_encoding_the_place_and_the_remedy_are_named(fresh_city, language):
    before = register_content(fresh_city.data)
    done = issue(fresh_city, FILE, "--lang", language)
    assert done.code == 2
    [line] = report(fresh_city.out)
    data = FILE.read_bytes()
    offset = next(at for at, byte in enumerate(data) if byte > 127)
    assert (line["row"], line["code"], line["line"]) == ("", "ENCODING", "1")
    assert str(offset) in line["sentence"] and "--encoding cp1252" in line["sentence"]
    assert register_content(fresh_city.data) == before


@pytest.mark.parametrize("encoding", ["utf-16", "no-such", "utf-8", "ebcdic-cp-be", "rot13", "zlib"])
def test_another_encoding_is_refused_in_a_sentence(fresh_city, encoding):
    before = register_content(fresh_city.data)
    done = issue(fresh_city, FILE, "--encoding", encoding)
    assert done.code in (2, 64)
    assert len(done.stderr.splitlines()) == 1
    assert register_content(fresh_city.data) == before


def test_after_the_same_permits_all_are_unchanged(own_city):
    before = register_content(own_city.data)
    done = issue(own_city, FILE, "--encoding", "cp1252", "--json")
    assert done.code == 0, report(own_city.out)
    counts = json.loads(done.stdout)
    assert (counts["accepted"], counts["unchanged"], counts["made"]) == (0, len(LEGACY), 0)
    assert report(own_city.out) == []
    assert register_content(own_city.data) == before
    done = issue(own_city, BOM, "--json")
    assert (done.code, json.loads(done.stdout)["unchanged"]) == (0, len(read_csv(BOM)))


def test_before_the_same_permits_the_others_are_new(legacy_city, tmp_path):
    """The own file knows more than the legacy one; what both say is the same, so nothing is overwritten."""
    city = legacy_city.copy(tmp_path / "city")
    done = issue(city, SAMPLES / "permits_valid.csv", "--carriers", "seal", "--json")
    counts = json.loads(done.stdout)
    assert counts["accepted"] == len(PERMITS) - len(LEGACY)
    assert counts["unchanged"] + counts["refused"] == len(LEGACY)
    assert {one["code"] for one in report(city.out)} <= {"DUPLICATE_ID", "HOLDER_DIFFERS"}


def test_alone_running_permits_are_issued_and_ended_ones_recorded(legacy_city):
    today = date.fromisoformat(TODAY)
    stored = dict(register_rows(legacy_city.data, "SELECT number, status FROM passes"))
    assert sorted(stored) == sorted(NUMBERS)
    made = ALL_FILES - {".pkpass", ".pdf"}
    for row in LEGACY:
        number, ended = row["Ausweis-Nr."], german(row["Gültig bis"]) < today
        assert stored[number] == ("expired" if ended else "active")
        assert suffixes(legacy_city.out, number) == (SEAL_FILES if ended else made), number


def test_alone_each_permit_is_the_one_of_the_own_file(legacy_city, demo_city):
    """Kind, plates, seasons, organisation and zone follow from the legacy columns as the own file has them."""
    query = "SELECT number, attributes FROM revisions"
    legacy = dict(register_rows(legacy_city.data, query))
    own = dict(register_rows(demo_city.data, query))
    assert legacy == {number: own[number] for number in NUMBERS}
    periods = "SELECT number, period_first, period_last FROM passes"
    assert {row[0]: row[1:] for row in register_rows(legacy_city.data, periods)} == {
        row[0]: row[1:] for row in register_rows(demo_city.data, periods) if row[0] in NUMBERS
    }


def test_alone_term_and_channel_follow_from_dates_and_fee(legacy_city):
    for number, stored in register_rows(legacy_city.data, "SELECT number, record FROM passes"):
        record, own = json.loads(stored), OWN[number]
        assert record["permit_kind"] == own["permit_kind"]
        assert record["fee_cents"] == int(own["fee_cents"])
        for column, value in (("term_months", int(own["term_months"])), ("channel", own["channel"])):
            assert record.get(column, value) == value


def test_the_seal_of_every_running_permit_is_green(legacy_city, tmp_path):
    published = tmp_path / "published"
    at = ("--today", TODAY)
    assert main_in_process("publish", "--data", legacy_city.data, "--out", published, *at).code == 0
    today = date.fromisoformat(TODAY)
    running = [row for row in LEGACY if german(row["Gültig von"]) <= today <= german(row["Gültig bis"])]
    seals = [(legacy_city.out / f"{row['Ausweis-Nr.']}.seal.txt").read_text().strip() for row in running]
    done = main_in_process("verify", *seals, "--trust", published, *at, "--json")
    verdicts = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["number"] for one in verdicts] == [row["Ausweis-Nr."] for row in running]
    odd = [one for one in verdicts if one["reason"] not in ("VALID", "OUT_OF_SEASON")]
    assert odd == []


def spelled(days):
    """The days as they might be written down."""
    return {day.strftime(form).encode() for day in days for form in ("%d.%m.%Y", "%Y-%m-%d")}


DATES = re.compile(rb"(?=([0-9]{2}\.[0-9]{2}\.[0-9]{4}|[0-9]{4}-[0-9]{2}-[0-9]{2}))")


def test_birth_dates_and_remarks_are_nowhere(legacy_city):
    born = {german(row["Geb.-Datum"]) for row in LEGACY if row["Geb.-Datum"]}
    used = {german(row[column]) for row in LEGACY for column in ("Gültig von", "Gültig bis")}
    dates = spelled(born - used)
    assert len(dates) > 200
    words = {b"Geb.-Datum", b"Geburtsdatum", b"birth_date"}
    words |= {row["Bemerkung"].encode() for row in LEGACY if len(row["Bemerkung"]) > 8}
    for folder in (legacy_city.data, legacy_city.out):
        for file, content in everything_stored(folder):
            # The digits of a seal or a signature may be those of any day.
            if file.suffix not in (".png", ".cwt") and not file.name.endswith(
                (".seal.txt", ".save-link.txt")
            ):
                assert dates.isdisjoint(DATES.findall(content)), file
            # The register's schema has a column of that name, for members of libraries: its rows are what counts. So
            # has the demo city's register of residents, a file of others that this one does not come into.
            named_so = file.name.startswith("register.db") or file.name == "residents.csv"
            sought = words - {b"birth_date"} if named_so else words
            assert [one for one in sought if one in content] == [], file
    rows = register_content(legacy_city.data)
    assert "birth_date" not in repr(rows.values())
    assert rows["library_members"] == []


def test_a_birth_date_stays_only_while_it_decides_whether_somebody_pays(demo_city):
    columns = ("valid_from", "valid_to", "issued_on", "revoked_on")
    used = {row.get(column) for row in (*PERMITS, *MEMBERS) for column in columns}
    born = [date.fromisoformat(row["birth_date"]) for row in MEMBERS if row["birth_date"] not in {*used, ""}]
    today = date.fromisoformat(TODAY)
    twenty_one = today.replace(year=today.year - 21)
    grown_up = spelled(day for day in born if day <= twenty_one)
    young = spelled(day for day in born if day > twenty_one)
    assert len(grown_up) > 150
    assert len(young) > 50
    for folder in (demo_city.data, demo_city.out, demo_city.published):
        for file, content in everything_stored(folder):
            found = set(DATES.findall(content))
            assert grown_up.isdisjoint(found), file
            assert file.name.startswith("register.db") or young.isdisjoint(found), file
    # In the register it is one column, and nothing else: no record, no trail, no pass.
    for table, rows in register_content(demo_city.data).items():
        if table != "library_members":
            assert young.isdisjoint(DATES.findall(repr(rows).encode())), table


def test_utf8_with_a_mark_loads_without_an_option(fresh_city):
    done = issue(fresh_city, BOM, "--carriers", "seal", "--json")
    assert done.code == 0, report(fresh_city.out)
    with_mark = {row["Ausweis-Nr."] for row in read_csv(BOM, "utf-8-sig")}
    assert json.loads(done.stdout)["accepted"] == len(with_mark)
    again = issue(fresh_city, FILE, "--encoding", "cp1252", "--carriers", "seal", "--json")
    counts = json.loads(again.stdout)
    both = with_mark & set(NUMBERS)
    assert (counts["unchanged"], counts["accepted"]) == (len(both), len(LEGACY) - len(both))


def test_utf8_under_another_name_is_told(fresh_city):
    done = issue(fresh_city, BOM, "--encoding", "cp1252")
    assert done.code == 2
    [line] = report(fresh_city.out)
    assert line["code"] == "ENCODING" and "UTF-8" in line["sentence"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"Gültig von": "2026-10-02"}, "DATE_FORMAT"),
        ({"Gültig von": "10/02/2026"}, "DATE_FORMAT"),
        ({"Gültig bis": "31.02.2027"}, None),
        ({"Gebühr": "25.00 €"}, "MONEY_FORMAT"),
        ({"Gebühr": "99,00 €"}, "FEE_MISMATCH"),
        ({"Gebiet": "ZZ Nirgends"}, "ZONE_UNKNOWN"),
        ({"Kennzeichen 1": "XX-AB 123"}, "PLATE_DISTRICT_UNKNOWN"),
        ({"Nachname": ""}, None),
        ({"Kennzeichen 1": ""}, None),
    ],
)
def test_a_fault_in_a_legacy_row_is_named_by_its_own_header(fresh_city, tmp_path, change, code):
    file = write_csv(tmp_path / "legacy.csv", [LEGACY[0] | change], "cp1252")
    done = issue(fresh_city, file, "--encoding", "cp1252")
    assert done.code == 3
    lines = report(fresh_city.out)
    assert len(lines) == 1
    assert lines[0]["row"] == "1"
    assert lines[0]["field"] in LEGACY[0]
    assert code is None or lines[0]["code"] == code
    assert register_rows(fresh_city.data, "SELECT 1 FROM passes") == []
