"""A file checked piece by piece comes to what it comes to as a whole, however small the pieces are."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from issuer.database import reading
from issuer.importing import file_check
from issuer.importing.file_check import FileCheck, RowIndex
from issuer.importing.findings import FileRefused, Finding
from tests.issuer.register_samples import CARD, PERMIT, SAMPLES, TODAY, SampleRegister, sample_register


@pytest.fixture
def register(register_url: str) -> Iterator[SampleRegister]:
    with sample_register(register_url) as opened:
        opened.load("permits_valid.csv")
        opened.load("library_valid.csv")
        yield opened


def in_pieces(
    register: SampleRegister, data: bytes, pass_type: object, encoding: str | None, path: Path | None = None
) -> tuple[list[str], list[str], int, list[Finding]]:
    accepted: list[str] = []
    unchanged: list[str] = []
    refused, findings = 0, []
    with closing(RowIndex(path)) as index:
        check = FileCheck(
            lambda: reading(register.engine),
            register.tenant,
            pass_type,  # type: ignore[arg-type]
            io.BytesIO(data),
            encoding,
            TODAY,
            index,
        )
        for rows in check.chunks():
            checked = check.check(rows)
            # Again, as where another process was in between: the outcome stays.
            assert check.check(rows) == checked
            accepted += [one.number for one in checked.accepted]
            unchanged += checked.unchanged
            refused += checked.refused
            findings += checked.findings
    return accepted, unchanged, refused, findings


@pytest.mark.parametrize("size", [2, 500])
def test_pieces_come_to_the_same_as_the_whole(
    register: SampleRegister, size: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(file_check, "ROWS_AT_ONCE", size)
    files = [
        ("permits_bad.csv", None),
        ("library_bad.csv", None),
        ("permits_legacy_cp1252.csv", "cp1252"),
        *((f"files/{one.name}", None) for one in sorted((SAMPLES / "files").iterdir())),
    ]
    for name, encoding in files:
        pass_type = CARD if name.startswith("library") else PERMIT
        data = (SAMPLES / name).read_bytes()
        try:
            whole = register.check(name, encoding=encoding)
        except FileRefused as refused:
            with pytest.raises(FileRefused) as caught:
                in_pieces(register, data, pass_type, encoding)
            assert caught.value.finding() == refused.finding(), name
            continue
        path = tmp_path / "index"
        accepted, unchanged, count, findings = in_pieces(register, data, pass_type, encoding, path)
        assert accepted == [one.number for one in whole.accepted], name
        assert (unchanged, count) == (list(whole.unchanged), whole.refused), name
        assert findings == list(whole.findings), name
        assert not path.exists()


@pytest.mark.parametrize("size", [1, 4])
def test_rows_know_of_each_other_across_pieces(
    register: SampleRegister, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The valid files with what only shows between rows: a number and a card twice, a child before its parent."""
    monkeypatch.setattr(file_check, "ROWS_AT_ONCE", size)
    lines = (SAMPLES / "library_valid.csv").read_text().splitlines()
    head = lines[0].split(";")
    renumbered = [f"X{line}" for line in lines[1:30]]
    cells = dict(zip(head, renumbered[0].split(";"), strict=True))
    twice = ";".join({**cells, "family_name": "Anders"}.values())
    same_card = ";".join({**cells, head[0]: "Y-1", "holder_ref": cells.get("holder_ref", "")}.values())
    data = "\n".join([lines[0], *reversed(renumbered), twice, same_card]).encode()
    whole = register.check_text(data.decode(), CARD)
    accepted, _, refused, findings = in_pieces(register, data, CARD, None)
    assert accepted == [one.number for one in whole.accepted]
    assert refused == whole.refused
    assert findings == list(whole.findings)
    assert {"DUPLICATE_ID"} <= {one.code for one in findings}


@pytest.mark.parametrize("register_url", ["sqlite"], indirect=True)
def test_memory_does_not_grow_with_the_file(register: SampleRegister) -> None:
    lines = (SAMPLES / "permits_valid.csv").read_text().splitlines()

    def peak(times: int) -> int:
        body = [line.replace("BPA-", f"B{n}-", 1) for n in range(times) for line in lines[1:]]
        data = "\n".join([lines[0], *body]).encode()
        tracemalloc.start()
        with closing(RowIndex()) as index:
            check = FileCheck(
                lambda: reading(register.engine),
                register.tenant,
                PERMIT,
                io.BytesIO(data),
                None,
                TODAY,
                index,
            )
            for rows in check.chunks():
                check.check(rows)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    small, large = peak(5), peak(15)
    assert large < small * 1.2
