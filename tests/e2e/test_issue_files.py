"""Bad rows and bad files: each gets exactly its code, exit code and place, and harms nothing else."""

from __future__ import annotations

import csv
import json

import pytest

from tests.e2e.commandline import LIBRARY, PERMIT, SAMPLES, TODAY, main_in_process
from tests.e2e.samples import (
    ALL_FILES,
    PERMITS,
    read_csv,
    register_content,
    register_rows,
    report,
    suffixes,
    write_csv,
)

EXPECTED = read_csv(SAMPLES / "expected.csv")
ROWS = {
    (PERMIT, "permits_bad.csv"): [one for one in EXPECTED if one["file"] == "permits_bad.csv"],
    (LIBRARY, "library_bad.csv"): [one for one in EXPECTED if one["file"] == "library_bad.csv"],
}
FILES = [one for one in EXPECTED if one["file"].startswith("files/")]


def issue(city, type_id, file, *more):
    return main_in_process(
        "issue", type_id, file, "--data", city.data, "--out", city.out, "--today", TODAY, *more
    )


@pytest.mark.parametrize("language", ["de", "en"])
@pytest.mark.parametrize(("type_id", "name"), list(ROWS))
def test_every_bad_row_has_exactly_its_code(demo_city, tmp_path, type_id, name, language):
    done = main_in_process(
        "issue", type_id, SAMPLES / name, "--data", demo_city.data, "--out", tmp_path, "--today", TODAY,
        "--lang", language, "--dry-run", "--json",
    )  # fmt: skip
    assert done.code == 3
    lines = report(tmp_path)
    expected = [one for one in ROWS[type_id, name] if one["code"]]
    found = [(one["row"], one["field"], one["severity"], one["code"]) for one in lines]
    assert found == [
        (one["data_row"], one["field"], "warn" if one["outcome"] == "warn" else "error", one["code"])
        for one in expected
    ]
    assert [int(one["line"]) for one in lines] == [int(one["data_row"]) + 1 for one in expected]
    for one in lines:
        assert 20 < len(one["sentence"]) <= 400 and one["sentence"][-1] in ".…"
        assert "{" not in one["sentence"]
    counts = json.loads(done.stdout)
    rejected = sum(one["outcome"] == "reject_row" for one in expected)
    assert (counts["accepted"], counts["refused"]) == (len(ROWS[type_id, name]) - rejected, rejected)


def test_bad_rows_stop_no_good_one(own_city):
    for (type_id, name), expected in ROWS.items():
        before = len(register_rows(own_city.data, "SELECT 1 FROM passes"))
        assert issue(own_city, type_id, SAMPLES / name).code == 3
        rows = read_csv(SAMPLES / name)
        column = "permit_id" if type_id == PERMIT else "member_id"
        good = [rows[int(one["data_row"]) - 1][column] for one in expected if one["outcome"] != "reject_row"]
        assert len(register_rows(own_city.data, "SELECT 1 FROM passes")) == before + len(good)
        for number in good:
            assert suffixes(own_city.out, number) == ALL_FILES
    assert main_in_process("audit", "verify", "--data", own_city.data).code == 0


def test_a_decomposed_zone_is_stored_composed(own_city):
    row = next(one for one in ROWS[PERMIT, "permits_bad.csv"] if one["outcome"] == "accept_normalised")
    number = read_csv(SAMPLES / "permits_bad.csv")[int(row["data_row"]) - 1]["permit_id"]
    assert issue(own_city, PERMIT, SAMPLES / "permits_bad.csv").code == 3
    shown = json.loads(main_in_process("show", number, "--data", own_city.data, "--json").stdout)
    assert "M\N{LATIN CAPITAL LETTER U WITH DIAERESIS}" in json.dumps(shown["attributes"], ensure_ascii=False)


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
@pytest.mark.parametrize("case", FILES, ids=lambda case: case["file"])
def test_every_file_has_its_outcome(fresh_city, case, dry):
    before = register_content(fresh_city.data)
    rows = len(register_rows(fresh_city.data, "SELECT 1 FROM passes"))
    carriers = () if dry else ("--carriers", "seal")
    done = issue(fresh_city, PERMIT, SAMPLES / case["file"], *dry, *carriers)
    lines = report(fresh_city.out)
    entered = len(register_rows(fresh_city.data, "SELECT 1 FROM passes")) - rows
    match case["outcome"]:
        case "accept":
            assert done.code == 0, lines
            assert lines == []
            assert entered == (0 if dry else len(list_of(case["file"])))
        case "reject_row":
            assert done.code == 3
            [line] = lines
            assert (line["row"], line["code"], line["severity"]) == ("2", case["code"], "error")
            assert entered == (0 if dry else 1)
        case "reject_file":
            assert done.code == 2
            [line] = lines
            assert (line["row"], line["code"], line["severity"]) == ("", case["code"], "error")
            assert len(done.stderr.splitlines()) == 1
            assert line["sentence"] in done.stderr
            assert [entry.name for entry in fresh_city.out.iterdir()] == ["report.csv"]
            assert register_content(fresh_city.data) == before
    if dry:
        assert register_content(fresh_city.data) == before


def list_of(name):
    text = (SAMPLES / name).read_bytes().decode("utf-8-sig")
    lines = [line for line in text.splitlines() if line and not line.startswith("sep=")]
    return lines[1:]


@pytest.mark.parametrize("language", ["de", "en"])
def test_an_encoding_fault_names_line_byte_and_remedy(fresh_city, tmp_path, language):
    data = (SAMPLES / "files" / "mixed_bytes.csv").read_bytes()
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as fault:
        offset = fault.start
    done = issue(fresh_city, PERMIT, SAMPLES / "files" / "mixed_bytes.csv", "--lang", language)
    assert done.code == 2
    [line] = report(fresh_city.out)
    assert line["line"] == str(data[:offset].count(b"\n") + 1)
    for part in (line["line"], str(offset), "--encoding cp1252"):
        assert part in line["sentence"]


def test_utf16_is_called_by_its_name(fresh_city):
    assert issue(fresh_city, PERMIT, SAMPLES / "files" / "utf16le.csv").code == 2
    [line] = report(fresh_city.out)
    assert "UTF-16" in line["sentence"] and "CSV UTF-8" in line["sentence"]


def test_a_missing_column_is_named(fresh_city):
    assert issue(fresh_city, PERMIT, SAMPLES / "files" / "missing_column.csv").code == 2
    [line] = report(fresh_city.out)
    assert line["field"] == "zone_code" and "zone_code" in line["sentence"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n\n",
        b"\xef\xbb\xbf",
        b"\x00" * 100,
        b"permit_id",
        b"permit_id;" * 500,
        b"\x89PNG\r\n\x1a\n" + b"\x00" * 64,
        b"PK\x03\x04" + bytes(range(256)),
        b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
        b'"' * 1001,
        b"a;b;c\n1;2;3\n",
        b"x" * 3_000_000,
        b"\xff\xfe\x00\x00",
    ],
)  # fmt: skip
def test_what_is_no_register_file_is_one_sentence(fresh_city, tmp_path, content):
    file = tmp_path / "odd.csv"
    file.write_bytes(content)
    before = register_content(fresh_city.data)
    for type_id in (PERMIT, LIBRARY):
        done = issue(fresh_city, type_id, file)
        assert done.code == 2
        assert len(done.stderr.splitlines()) == 1 and len(done.stderr) < 2000
        [line] = report(fresh_city.out)
        assert (line["row"], line["severity"]) == ("", "error")
    assert register_content(fresh_city.data) == before


def test_the_file_of_another_type_is_refused(fresh_city):
    assert issue(fresh_city, LIBRARY, SAMPLES / "permits_valid.csv").code == 2
    [line] = report(fresh_city.out)
    assert line["code"] == "COLUMN_MISSING"


def test_a_header_alone_is_a_file_without_rows(fresh_city, tmp_path):
    file = tmp_path / "header.csv"
    file.write_text(";".join(PERMITS[0]) + "\n", encoding="utf-8")
    done = issue(fresh_city, PERMIT, file)
    assert done.code in (0, 2)
    assert register_rows(fresh_city.data, "SELECT 1 FROM passes") == []


FORMULAS = ["=1+1", "+49", "-2", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0", "'=1"]


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("column", ["permit_id", "zone_code", "given_name", "status", "valid_from"])
def test_no_cell_of_the_report_is_a_formula(fresh_city, tmp_path, formula, column):
    file = write_csv(tmp_path / "formula.csv", [PERMITS[0] | {column: formula}])
    done = issue(fresh_city, PERMIT, file, "--dry-run")
    # A number may begin with a minus sign, and then is none of the report's business.
    assert done.code in (2, 3) or (column, formula) == ("permit_id", "-2")
    with (fresh_city.out / "report.csv").open(encoding="utf-8", newline="") as opened:
        for line in csv.reader(opened, delimiter=";"):
            assert not [cell for cell in line if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+x", "@y", 'a"b', "a\tb", "-z"])
def test_a_column_name_makes_no_formula_either(fresh_city, tmp_path, name):
    rows = [PERMITS[0] | {name: "1"}]
    done = issue(fresh_city, PERMIT, write_csv(tmp_path / "column.csv", rows), "--dry-run")
    assert done.code in (0, 2)
    with (fresh_city.out / "report.csv").open(encoding="utf-8", newline="") as opened:
        lines = list(csv.reader(opened, delimiter=";"))
    assert len(lines) == 2 and all(len(line) == 6 for line in lines)
    assert not [cell for cell in lines[1] if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


@pytest.mark.parametrize("number", ["../../evil", "a/b", "..", ".", "a b", "", "x" * 41, "Ä1", "a\x00b", "-"])
def test_a_number_never_leads_out_of_the_output_folder(fresh_city, tmp_path, number):
    file = write_csv(tmp_path / "number.csv", [PERMITS[0] | {"permit_id": number}])
    before = set(tmp_path.rglob("*"))
    done = issue(fresh_city, PERMIT, file, "--carriers", "seal")
    made = set(tmp_path.rglob("*")) - before
    # `.`, `..` and `-` are allowed by the pattern of the contract: their files still stay in the folder.
    assert all(entry == fresh_city.out or entry.parent == fresh_city.out for entry in made)
    if done.code:
        assert [entry.name for entry in fresh_city.out.iterdir()] == ["report.csv"]


@pytest.mark.parametrize("number", ["a", "0", "A.B_c-1", "x" * 40, "_", "a..b"])
def test_every_number_of_the_pattern_is_a_file_name(fresh_city, tmp_path, number):
    file = write_csv(tmp_path / "number.csv", [PERMITS[0] | {"permit_id": number}])
    assert issue(fresh_city, PERMIT, file).code == 0, report(fresh_city.out)
    assert suffixes(fresh_city.out, number) == ALL_FILES
    assert json.loads(main_in_process("show", number, "--data", fresh_city.data, "--json").stdout)


def test_several_faults_of_a_row_are_several_lines(fresh_city, tmp_path):
    row = PERMITS[0] | {"plate_1": "XX-AB 123", "zone_code": "ZZ", "valid_from": "10/01/2026"}
    file = write_csv(tmp_path / "three.csv", [row])
    assert issue(fresh_city, PERMIT, file).code == 3
    lines = report(fresh_city.out)
    assert {one["code"] for one in lines} == {"PLATE_DISTRICT_UNKNOWN", "ZONE_UNKNOWN", "DATE_FORMAT"}
    assert {one["row"] for one in lines} == {"1"}


def test_rows_are_counted_as_data_and_lines_as_lines(fresh_city, tmp_path):
    """Blank lines and cells that run over lines move the line, never the row."""
    good, bad = PERMITS[0], PERMITS[1] | {"zone_code": "ZZ"}
    path = write_csv(tmp_path / "lines.csv", [good, bad])
    header, first, second = path.read_text(encoding="utf-8").splitlines()
    path.write_text(f"sep=;\n{header}\n\n{first}\n\n\n{second}\n", encoding="utf-8")
    assert issue(fresh_city, PERMIT, path, "--dry-run").code == 3
    [line] = report(fresh_city.out)
    assert (line["row"], line["line"]) == ("2", "7")
