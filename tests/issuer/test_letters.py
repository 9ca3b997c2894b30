"""Letters: what is on the list, what the PDFs say, and codes that open the pass."""

from __future__ import annotations

import errno
import io
import json
import re
from datetime import date
from pathlib import Path

import pytest
from pypdf import PdfReader

from issuer import letters, lifecycle, waiting_letters
from issuer.application import Application
from issuer.cli import main
from issuer.delivery import mail
from issuer.lifecycle import Actor
from issuer.models import HolderRow, PassRow
from issuer.models_delivery import LetterRow
from issuer.pickup import codes
from issuer.pickup.codes import read_code, redeem_code
from tests.issuer.nightly.samples import column, count, holder_of
from tests.service import CARD, PERMIT, City, running_numbers

HOLDER = {
    "given_name": "Erika",
    "family_name": "Mustermann",
    "doctoral_degree": "Dr.",
    "street": "Heidestraße",
    "house_number": "17",
    "postal_code": "51147",
    "city": "Köln",
    "language": "de",
    "email": "",
}


def put(application: Application, number: str, kind: str = "pickup", **params: str) -> bool:
    with application.writing() as session:
        return waiting_letters.add(session, application, kind, PERMIT, number, params)


def last_of(application: Application, number: str) -> date:
    found: date = column(application, PassRow.period_last, number=number, type_id=PERMIT)[0]
    return found


def text_of(file: Path) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(file.read_bytes())).pages)


def code_in(text: str) -> str:
    found = re.search(r"[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}", text)
    assert found is not None
    return read_code(found[0])


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder for letters that is not there yet."""
    return tmp_path / "letters"


@pytest.fixture
def number(application: Application) -> str:
    chosen = running_numbers(application)[0]
    holder_of(application, chosen, **HOLDER)
    return chosen


def test_a_letter_opens_the_pass(application: Application, number: str, out: Path) -> None:
    assert put(application, number)
    printed = waiting_letters.print_letters(application, out)
    assert (printed.files, printed.dropped, printed.without_address) == (1, 0, 0)
    (file,) = out.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    text = text_of(file)
    for expected in ("Dr. Erika Mustermann", "Heidestraße 17", "51147 Köln", number, "/p/code", "TEST"):
        assert expected in text
    with application.writing() as session:
        key = redeem_code(session, application, code_in(text), last_of(application, number))
    assert key is not None
    assert (key.number, key.channel) == (number, "letter")


def test_the_address_stands_in_the_window(application: Application, number: str, out: Path) -> None:
    """DIN 5008 form B: the address field is 20 to 105 mm from the left and 45 to 90 mm from the top."""
    put(application, number)
    waiting_letters.print_letters(application, out)
    (file,) = out.iterdir()
    places: dict[str, tuple[float, float]] = {}

    def visit(text: str, cm: list[float], tm: list[float], _font: object, _size: object) -> None:
        if text.strip():
            x, y = tm[4], tm[5]
            places.setdefault(text.strip(), (x * cm[0] + y * cm[2] + cm[4], x * cm[1] + y * cm[3] + cm[5]))

    page = PdfReader(file).pages[0]
    height = float(page.mediabox.height)
    page.extract_text(visitor_text=visit)
    millimetre = 72 / 25.4
    for line in ("Heidestraße 17", "51147 Köln"):
        x, y = next(place for text, place in places.items() if line in text)
        assert 20 <= x / millimetre <= 105, line
        assert 45 <= (height - y) / millimetre <= 90, line


@pytest.mark.parametrize("kind", mail.KINDS)
@pytest.mark.parametrize(("language", "word"), [("de", "Guten Tag"), ("en", "Web page")])
def test_every_kind_in_both_languages(
    application: Application, number: str, out: Path, kind: str, language: str, word: str
) -> None:
    holder_of(application, number, language=language)
    put(application, number, kind, last=last_of(application, number).isoformat())
    waiting_letters.print_letters(application, out)
    (file,) = out.iterdir()
    text = text_of(file)
    assert word in text
    assert "{" not in text
    code_in(text)


@pytest.mark.parametrize(
    ("language", "void", "again"),
    [
        ("de", "Ein Ausdruck von vorher gilt nicht mehr", "Drucken Sie den Ausweis bitte neu aus"),
        ("en", "Anything you printed before is no longer valid", "Please print the pass again"),
    ],
)
def test_after_a_new_seal_the_letter_asks_to_print_again(
    application: Application, number: str, out: Path, language: str, void: str, again: str
) -> None:
    holder_of(application, number, language=language)
    put(application, number, mail.RESEALED)
    waiting_letters.print_letters(application, out)
    (file,) = out.iterdir()
    text = " ".join(text_of(file).split())
    assert void in text
    assert again in text
    with application.writing() as session:
        assert redeem_code(session, application, code_in(text), last_of(application, number)) is not None


def test_two_letters_for_a_pass_have_one_code(application: Application, number: str, out: Path) -> None:
    put(application, number, "pickup")
    put(application, number, "reminder", last=last_of(application, number).isoformat())
    waiting_letters.print_letters(application, out)
    codes = {code_in(text_of(file)) for file in out.iterdir()}
    assert len(list(out.iterdir())) == 2
    assert len(codes) == 1


def test_a_letter_for_a_family_has_a_code_of_its_own(
    application: Application, number: str, out: Path
) -> None:
    for kind in ("pickup", mail.FAMILY, "changed"):
        put(application, number, kind)
    waiting_letters.print_letters(application, out)
    last = last_of(application, number)
    opened = []
    for file in out.iterdir():
        with application.writing() as session:
            opened.append(redeem_code(session, application, code_in(text_of(file)), last))
    # Two letters share the code to the one pass, which opens once.
    assert sorted("nothing" if one is None else str(one.family) for one in opened) == [
        "False",
        "True",
        "nothing",
    ]
    handed_over = io.BytesIO(letters.pickup_letter(application, PERMIT, number, actor="t", family=True))
    text = " ".join(page.extract_text() for page in PdfReader(handed_over).pages)
    assert "Ausweise der Kinder" in " ".join(text.split())
    with application.writing() as session:
        key = redeem_code(session, application, code_in(text), last)
    assert key is not None
    assert key.family


def test_a_second_print_makes_the_first_worthless(application: Application, number: str, out: Path) -> None:
    put(application, number)
    waiting_letters.print_letters(application, out)
    (file,) = out.iterdir()
    first = code_in(text_of(file))
    waiting_letters.print_letters(application, out)
    second = code_in(text_of(file))
    with application.writing() as session:
        assert redeem_code(session, application, first, last_of(application, number)) is None
        assert redeem_code(session, application, second, last_of(application, number)) is not None


def opens(application: Application, file: Path, number: str) -> bool:
    with application.writing() as session:
        last = last_of(application, number)
        return redeem_code(session, application, code_in(text_of(file)), last) is not None


def test_a_name_that_cannot_be_shown_stops_no_other(
    city: City, application: Application, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers = running_numbers(application)[:3]
    for one in numbers:
        holder_of(application, one, **HOLDER)
        put(application, one)
    waiting_letters.print_letters(application, out)
    before = {row: out / f"{row}.pdf" for row in column(application, LetterRow.id)}
    (faulty_id,) = column(application, LetterRow.id, number=numbers[1])
    first = before[faulty_id].read_bytes()
    holder_of(application, numbers[1], family_name="漢字")
    common = ["--data", str(city.folder), "--today", "2026-11-20", "--out", str(out)]
    assert main(["letters", "print", "--json", *common]) == 3
    said = json.loads(capsys.readouterr().out)
    assert said["files"] == 2
    assert said["faulty"] == [{"id": faulty_id, "type": PERMIT, "number": numbers[1], "code": "PDF_LETTERS"}]
    assert main(["letters", "print", *common]) == 3
    assert numbers[1] in capsys.readouterr().out
    assert before[faulty_id].read_bytes() == first
    # The last print of the others holds, and of the faulty one that which could be made.
    files = {column(application, LetterRow.number, id=row)[0]: file for row, file in before.items()}
    assert [opens(application, files[one], one) for one in numbers] == [True, True, True]


def test_a_letter_of_a_type_that_is_gone_stops_no_other(
    application: Application, number: str, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(application, number)
    card = column(application, PassRow.number, type_id=CARD)[0]
    (ref,) = column(application, PassRow.holder_ref, type_id=CARD, number=card)
    with application.writing() as session:
        session.query(HolderRow).filter_by(tenant=application.tenant, ref=ref).update(HOLDER)
        waiting_letters.add(session, application, "pickup", CARD, card, {})
    kept = {PERMIT: application.pass_types[PERMIT]}
    monkeypatch.setattr(Application, "pass_types", kept)
    printed = waiting_letters.print_letters(application, out)
    assert (printed.files, [one.refusal.code for one in printed.faulty]) == (1, ["LETTERS_FAULTY"])
    assert card in printed.faulty[0].refusal.sentence("de")


def test_a_full_disk_leaves_no_letter_without_its_code(
    application: Application, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = running_numbers(application)[:2]
    for one in numbers:
        holder_of(application, one, **HOLDER)
        put(application, one)
    waiting_letters.print_letters(application, out)
    real, written = waiting_letters.write_atomically, []

    def full(path: Path, data: bytes, *, mode: int) -> None:
        if written:
            raise OSError(errno.ENOSPC, "full")
        real(path, data, mode=mode)
        written.append(path)

    monkeypatch.setattr(waiting_letters, "write_atomically", full)
    with pytest.raises(OSError, match="full"):
        waiting_letters.print_letters(application, out)
    files = {row: out / f"{row}.pdf" for row in column(application, LetterRow.id)}
    there = {column(application, LetterRow.number, id=row)[0]: file for row, file in files.items()}
    assert sorted(there) == numbers
    assert all(opens(application, file, one) for one, file in there.items())


def test_a_letter_whose_code_could_not_be_stored_is_not_left_there(
    application: Application, number: str, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no register")

    put(application, number)
    monkeypatch.setattr(codes, "keep_code", fail)
    with pytest.raises(RuntimeError):
        waiting_letters.print_letters(application, out)
    assert list(out.iterdir()) == []


def test_the_same_letter_stands_on_the_list_once(application: Application, number: str) -> None:
    assert [put(application, number), put(application, number), put(application, number, "changed")] == [
        True,
        False,
        True,
    ]


def test_what_is_no_longer_so_is_not_printed(application: Application, number: str, out: Path) -> None:
    put(application, number, "reminder", last="2020-01-01")
    other = running_numbers(application)[1]
    put(application, other, "changed")
    with application.writing() as session:
        actor = Actor("test", application.now(), "why")
        lifecycle.revoke(session, application.tenant, PERMIT, other, actor=actor)
    printed = waiting_letters.print_letters(application, out)
    assert (printed.files, printed.dropped) == (0, 2)
    assert count(application, LetterRow) == 0


def test_without_an_address_nothing_is_printed(application: Application, number: str, out: Path) -> None:
    holder_of(application, number, street="")
    put(application, number)
    printed = waiting_letters.print_letters(application, out)
    assert (printed.files, printed.without_address) == (0, 1)
    with application.reading() as session:
        assert [one.can_be_posted for one in waiting_letters.waiting(session, application)] == [False]


def test_another_city_sees_none_of_it(
    application: Application, neighbour: Application, number: str, out: Path
) -> None:
    put(application, number)
    assert waiting_letters.print_letters(neighbour, out).files == 0
    (identity,) = column(application, LetterRow.id)
    assert waiting_letters.mark_posted(neighbour, [identity]) == 0


def test_on_the_command_line(
    city: City, application: Application, number: str, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(application, number)
    common = ["--data", str(city.folder), "--today", "2026-11-20"]
    assert main(["letters", "list", "--json", *common]) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert (listed["number"], listed["kind"], listed["can_be_posted"]) == (number, "pickup", True)
    assert main(["letters", "print", "--out", str(out), *common]) == 0
    assert str(out) in capsys.readouterr().out
    assert main(["letters", "list", *common]) == 0
    shown = capsys.readouterr().out
    assert number in shown
    assert "Mustermann" not in shown
    assert main(["letters", "done", *common]) == 64
    capsys.readouterr()
    assert main(["letters", "done", "--out", str(out), "--json", *common]) == 0
    assert json.loads(capsys.readouterr().out) == {"done": 1}
    assert main(["letters", "list", "--json", *common]) == 0
    assert json.loads(capsys.readouterr().out) == []
