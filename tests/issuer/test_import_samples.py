"""The sample files, row by row, against what each must give."""

import csv
from collections import Counter
from collections.abc import Iterator
from datetime import datetime

import pytest

from issuer.importing.findings import FileRefused, Severity
from issuer.importing.report import report_text
from passes.model import PassStatus
from passes.periods import BERLIN
from tests.issuer.register_samples import SAMPLES, SampleRegister, places, sample_register, sample_rows

EXPECTED = sample_rows("expected.csv")
BAD_ROWS = ("permits_bad.csv", "library_bad.csv")


@pytest.fixture
def register(register_url: str) -> Iterator[SampleRegister]:
    with sample_register(register_url) as opened:
        yield opened


@pytest.fixture
def loaded(register: SampleRegister) -> SampleRegister:
    register.load("permits_valid.csv")
    register.load("library_valid.csv")
    return register


@pytest.mark.parametrize("name", ["permits_valid.csv", "library_valid.csv"])
@pytest.mark.parametrize("year", [2026, 2027, 2031])
def test_valid_files_are_accepted_today_and_later(register: SampleRegister, name: str, year: int) -> None:
    checked = register.load(name, datetime(year, 11, 20, 12, tzinfo=BERLIN))
    assert (len(checked.accepted), checked.refused) == (200, 0)
    # By then some of the children are of age: their parents stay out of the register.
    grown = {"FAMILY_TIES_OF_ADULT"} if (year, name) == (2031, "library_valid.csv") else set()
    assert {one.code for one in checked.findings} == grown


def test_tomorrow_a_running_row_that_has_ended_is_expired(register: SampleRegister) -> None:
    (ended,) = [row["permit_id"] for row in sample_rows("permits_valid.csv")[13:14]]
    last_moment = register.check("permits_valid.csv", datetime(2026, 11, 20, 23, 59, tzinfo=BERLIN))
    next_moment = register.check("permits_valid.csv", datetime(2026, 11, 21, 0, 0, tzinfo=BERLIN))
    statuses = [{row.number: row.status for row in one.accepted} for one in (last_moment, next_moment)]
    assert [one[ended] for one in statuses] == [PassStatus.ACTIVE, PassStatus.EXPIRED]


@pytest.mark.parametrize("name", BAD_ROWS)
def test_each_bad_row_gives_its_one_line(loaded: SampleRegister, name: str) -> None:
    checked = loaded.check(name)
    wanted = [
        (int(one["data_row"]), one["field"], "warn" if one["outcome"] == "warn" else "error", one["code"])
        for one in EXPECTED
        if one["file"] == name and one["outcome"] != "accept_normalised"
    ]
    assert places(checked.findings) == wanted
    refused = [one for one in wanted if one[2] == "error"]
    total = sum(one["file"] == name for one in EXPECTED)
    assert (checked.refused, len(checked.accepted)) == (len(refused), total - len(refused))


def test_a_decomposed_zone_code_is_stored_composed(loaded: SampleRegister) -> None:
    (row,) = loaded.check("permits_bad.csv").accepted
    assert row.record["zone_code"] == "M\u00dc"


@pytest.mark.parametrize(
    "case", [one for one in EXPECTED if one["file"].startswith("files/")], ids=lambda one: one["file"]
)
def test_each_file_fault(loaded: SampleRegister, case: dict[str, str]) -> None:
    if case["outcome"] == "reject_file":
        with pytest.raises(FileRefused) as caught:
            loaded.check(case["file"])
        finding = caught.value.finding()
        assert (finding.row, finding.severity, finding.code) == (None, Severity.ERROR, case["code"])
        assert all(finding.sentence(language) for language in ("de", "en"))
        return
    checked = loaded.check(case["file"])
    assert len(checked.accepted) == 1
    if case["outcome"] == "accept":
        assert checked.findings == ()
    else:
        assert [(one[0], one[2], one[3]) for one in places(checked.findings)] == [(2, "error", case["code"])]


def test_the_faults_of_bytes_name_line_offset_and_remedy(register: SampleRegister) -> None:
    with pytest.raises(FileRefused) as caught:
        register.check("files/mixed_bytes.csv")
    data = (SAMPLES / "files" / "mixed_bytes.csv").read_bytes()
    offset = data.index(b"\xf6")
    finding = caught.value.finding()
    assert finding.line == 3
    assert f"Byte {offset} " in finding.sentence("de")
    assert "--encoding cp1252" in finding.sentence("de")
    with pytest.raises(FileRefused, match="UTF-16"):
        register.check("files/utf16le.csv")
    with pytest.raises(FileRefused, match="zone_code"):
        register.check("files/missing_column.csv")


def test_loading_twice_changes_nothing(loaded: SampleRegister) -> None:
    for name in ("permits_valid.csv", "library_valid.csv"):
        checked = loaded.check(name, datetime(2027, 3, 1, tzinfo=BERLIN))
        assert (len(checked.unchanged), checked.accepted, checked.findings) == (200, (), ())


def test_legacy_rows_after_the_same_permits_are_unchanged(loaded: SampleRegister) -> None:
    cp1252 = loaded.check("permits_legacy_cp1252.csv", encoding="cp1252")
    assert (len(cp1252.unchanged), cp1252.refused, cp1252.findings) == (168, 0, ())
    utf8 = loaded.check("permits_legacy_utf8_bom.csv")
    assert (len(utf8.unchanged), utf8.refused, utf8.findings) == (25, 0, ())


def test_legacy_rows_alone_count_as_paid(register: SampleRegister) -> None:
    checked = register.load("permits_legacy_cp1252.csv", encoding="cp1252")
    assert (len(checked.accepted), checked.findings) == (168, ())
    own = {row["permit_id"]: row for row in sample_rows("permits_valid.csv")}
    for row in checked.accepted:
        source = own[row.number]
        assert row.attributes["permit_kind"] == source["permit_kind"]
        assert row.attributes.get("organisation", "") == source["carsharing_org"]
        ended = source["valid_to"] < "2026-11-20"
        assert row.status is (PassStatus.EXPIRED if ended else PassStatus.ACTIVE)
        plates = row.attributes.get("plates", ())
        assert isinstance(plates, tuple)
        assert [one.plate.canonical for one in plates] == [
            source[column] for column in ("plate_1", "plate_2") if source[column]
        ]
        assert [one.season.text if one.season else "" for one in plates] == [
            source[f"season_{place}"] for place in range(1, len(plates) + 1)
        ]
    again = register.check("permits_legacy_cp1252.csv", encoding="cp1252")
    assert len(again.unchanged) == 168


def test_legacy_without_the_encoding_is_refused_with_the_remedy(register: SampleRegister) -> None:
    with pytest.raises(FileRefused, match="--encoding cp1252"):
        register.check("permits_legacy_cp1252.csv")
    with pytest.raises(FileRefused, match="without --encoding"):
        register.check("permits_legacy_utf8_bom.csv", encoding="cp1252")


def test_what_a_status_does(register: SampleRegister) -> None:
    permits, members = register.load("permits_valid.csv"), register.load("library_valid.csv")
    assert Counter(row.status for row in permits.accepted) == {
        PassStatus.ACTIVE: 157,
        PassStatus.EXPIRED: 19,
        PassStatus.SUPERSEDED: 8,
        PassStatus.REVOKED: 8,
        PassStatus.PENDING_PAYMENT: 5,
        PassStatus.SUSPENDED: 3,
    }
    assert Counter(row.status for row in members.accepted)[PassStatus.SUSPENDED] == 9


def test_the_report_is_one_line_a_fault_and_safe_for_spreadsheets(loaded: SampleRegister) -> None:
    checked = loaded.check("permits_bad.csv")
    text = report_text(checked.findings, "de")
    rows = list(csv.reader(text.splitlines(), delimiter=";", strict=True))
    assert rows[0] == ["row", "line", "field", "severity", "code", "sentence"]
    assert [(row[0], row[1], row[4]) for row in rows[1:3]] == [
        ("1", "2", "PLATE_TOO_LONG"),
        ("2", "3", "PLATE_TOO_LONG"),
    ]
    assert len(rows) == 1 + len(checked.findings)
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))]
