"""Reading CSV files of unknown origin."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from issuer.importing.csv_file import MAX_COLUMNS, MAX_LINE, parse_table, read_table
from issuer.importing.findings import FileRefused
from issuer.importing.rows import parse_rows
from tests.issuer.register_samples import PERMIT


def cells(data: bytes, encoding: str | None = None) -> list[tuple[str, ...]]:
    table = parse_table(data, encoding)
    return [table.header.cells, *(one.cells for one in table.records)]


def refusal(data: bytes, encoding: str | None = None) -> FileRefused:
    with pytest.raises(FileRefused) as caught:
        parse_table(data, encoding)
    assert all(caught.value.sentence(language) for language in ("de", "en"))
    return caught.value


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [";", ",", "\t"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_delimiters_and_byte_order_mark(end: str, delimiter: str, mark: bytes) -> None:
    text = end.join(delimiter.join(row) for row in (("a", "b"), ("1", "ä"))) + end
    assert cells(mark + text.encode()) == [("a", "b"), ("1", "ä")]


def test_the_delimiter_is_that_of_the_header() -> None:
    assert cells(b"a;b\n1,2,3;4,5\n") == [("a", "b"), ("1,2,3", "4,5")]
    assert cells(b'"a;b;c",d\n1,2\n') == [("a;b;c", "d"), ("1", "2")]
    assert cells(b"sep=,\na,b;c\n1,2\n") == [("a", "b;c"), ("1", "2")]


def test_quoted_cells_hold_delimiters_quotes_and_line_ends() -> None:
    assert cells(b'a;b\n"x;""y""";"1\r\n2"\n;z\n') == [("a", "b"), ('x;"y"', "1\n2"), ("", "z")]


def test_blank_lines_do_not_count_and_lines_are_those_of_the_file() -> None:
    table = parse_table(b'\na;b\n\n1;2\n;\n"x\ny";3\n4;5\n')
    assert [(one.line, one.cells[1]) for one in table.records] == [(4, "2"), (6, "3"), (8, "5")]


@pytest.mark.parametrize(
    ("data", "code", "line"),
    [
        (b"", "EMPTY_FILE", None),
        (b"\xef\xbb\xbf", "EMPTY_FILE", None),
        (b"\r\n \r\n", "EMPTY_FILE", None),
        (b"sep=;\n", "EMPTY_FILE", None),
        (b'a;b\n"1;2\n3;4\n', "QUOTES", 2),
        (b'a;b\n1;2\n"x"y;2\n', "QUOTES", 3),
        (b'a;b\n1;x"y"\n', "QUOTES", 2),
        (b"a;b\n1;\x002\n", "NUL_BYTE", 2),
        (b"a;b\n1;2\n\xfc;2\n", "ENCODING", 3),
        (b"a;b\r1;2\r\xfc;2\r", "ENCODING", 3),
        (b"a;b\n" + b"x" * (MAX_LINE + 1), "LINE_TOO_LONG", 2),
        (b'a;b\n"' + b"x\n" * MAX_LINE + b'"', "QUOTES", 2),
        (b";".join([b"x"] * (MAX_COLUMNS + 1)), "TOO_MANY_COLUMNS", 1),
    ],
)
def test_faults_have_their_code_and_line(data: bytes, code: str, line: int | None) -> None:
    found = refusal(data)
    assert (found.code, found.line) == (code, line)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf16_is_called_by_its_name(encoding: str) -> None:
    found = refusal("permit_id;plate\n1;2\n".encode(encoding))
    assert found.code == "ENCODING"
    assert "UTF-16" in found.sentence("de")


def test_other_encodings_only_when_named() -> None:
    data = "a;b\nStraße;€\n".encode("cp1252")
    assert cells(data, "CP1252")[1] == ("Straße", "€")
    assert cells("a;b\nStraße;€\n".encode("iso-8859-15"), "iso-8859-15")[1] == ("Straße", "€")
    assert refusal(data).code == "ENCODING"
    assert refusal(b"a\n\x81\n", "cp1252").code == "ENCODING"
    assert refusal(data, "utf-7").code == "ENCODING_UNKNOWN"


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileRefused) as caught:
        read_table(tmp_path / "none.csv")
    assert caught.value.code == "FILE_UNREADABLE"
    assert all("none.csv" in caught.value.sentence(language) for language in ("de", "en"))


@given(st.binary(max_size=400))
@example(b'sep=;"\n"')
@example(b'"')
@example(b"\xff\xfe")
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for encoding in (None, "cp1252", "latin-1"):
        try:
            table = parse_table(data, encoding)
        except FileRefused as refused:
            assert refused.sentence("de")
        else:
            assert table.header.cells


@given(st.text(alphabet=st.sampled_from('ab;,"\n\r\tä= '), max_size=80))
def test_any_text_behind_a_header_is_read_or_refused(text: str) -> None:
    header = ";".join(spec.name for spec in PERMIT.spec.register.columns)
    try:
        file = parse_rows(f"{header}\n{text}".encode(), PERMIT)
    except FileRefused as refused:
        assert refused.sentence("en")
    else:
        assert [row.row for row in file.rows] == list(range(1, len(file.rows) + 1))


@given(
    st.lists(
        st.lists(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=20),
                 min_size=2, max_size=2),
        min_size=1, max_size=10,
    )
)  # fmt: skip
def test_what_is_quoted_comes_back(rows: list[list[str]]) -> None:
    quoted = [";".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    table = parse_table("\n".join(["a;b", *quoted]).encode())
    wanted = [tuple(row) for row in rows if any(cell.strip(" ") for cell in row)]
    assert [one.cells for one in table.records] == wanted


def test_headers_are_checked() -> None:
    header = ";".join(spec.name for spec in PERMIT.spec.register.columns)
    with pytest.raises(FileRefused) as caught:
        parse_rows(f"{header};zone_code\n".encode(), PERMIT)
    assert (caught.value.code, caught.value.field_name) == ("DUPLICATE_COLUMN", "zone_code")
    file = parse_rows(f"{header};remark;\n".encode(), PERMIT)
    assert [(one.code, one.field, one.severity) for one in file.findings] == [
        ("UNKNOWN_COLUMN", "remark", "warn")
    ]
