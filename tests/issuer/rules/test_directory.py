"""The street directory: loading it, and the zone of an address on a day, on both databases."""

import csv
from datetime import date
from pathlib import Path

import pytest

from issuer.application import Application
from issuer.importing.findings import FileRefused
from issuer.rules import addresses as answers
from issuer.rules.addresses import Address, AddressAnswer
from issuer.rules.changes import ZoneChange, make_change
from issuer.rules.directory import directory, directory_size, find_address, streets_from_csv
from issuer.setup import demo_data

TODAY = date(2026, 11, 20)
HEAD = "street;postal_code;number_from;number_to;side;zone_code;note;valid_from;valid_until\n"
STREETS = (
    "Drakehofstraße;40217;1;99;odd;DK;;;\n"
    "Drakehofstraße;40217;2;98;even;KR;;;\n"
    "Drakehofstraße;40219;1;20;;DK;;;\n"
    "Fürst-Weg;40219;;;;BÖ;;;\n"
    "Hafenstraße;40221;;;;;Hier ist der Hafen.;;\n"
    "Berg-Straße;40210;1;9;;AK;;;\n"
    "Bergstraße;40211;1;9;;AK;;;\n"
    "Eckweg;40213;12;;;HO;;;\n"
    "Eckweg;40213;12a;;;GP;;;\n"
    "Neuweg;40213;;;;HO;;;2026-12-31\n"
    "Neuweg;40213;;;;GP;;2027-01-01;\n"
)


def load(application: Application, folder: Path, text: str) -> int:
    file = folder / "streets.csv"
    file.write_text(text, "utf-8")
    with application.writing() as session:
        return streets_from_csv(session, application.tenant, file)


def ask(application: Application, *address: str, day: date = TODAY) -> AddressAnswer:
    with application.reading() as session:
        return find_address(session, application.tenant, Address(*address), day)


def zone(answer: AddressAnswer) -> str:
    assert isinstance(answer, answers.ZoneFound), answer
    return answer.zone.zone.code


@pytest.fixture
def loaded(application: Application, tmp_path: Path) -> Application:
    assert load(application, tmp_path, HEAD + STREETS) == 11
    return application


def test_the_demo_permits_live_in_their_zones(application: Application) -> None:
    rows = list(
        csv.DictReader((demo_data() / "permits_valid.csv").read_text("utf-8").splitlines(), delimiter=";")
    )
    assert len(rows) == 200
    for row in rows:
        found = ask(application, row["street"], row["house_number"], row["postal_code"])
        assert zone(found) == row["zone_code"]


def test_how_people_type(loaded: Application) -> None:
    for street, number in (
        ("drakehofstr.", "5 A"), ("DRAKEHOF STRASSE", "5"), (" Drakehof-Str ", "Nr. 5"), ("Drakehofstraße 5", ""),
    ):  # fmt: skip
        assert zone(ask(loaded, street, number, "40217")) == "DK"
    assert zone(ask(loaded, "Fuerst Weg", "3")) == zone(ask(loaded, "furst-weg", "")) == "BÖ"
    found = ask(loaded, "drakehofstr", "4-6", " 40217 ")
    assert isinstance(found, answers.ZoneFound)
    assert (found.street, found.house_number, found.postal_code) == ("Drakehofstraße", "4-6", "40217")


def test_what_is_asked_back(loaded: Application) -> None:
    assert ask(loaded, "Drakehofstr", "5") == answers.PostalCodeNeeded("Drakehofstraße", ("40217", "40219"))
    # There is only one 50, so there is nothing to ask.
    assert zone(ask(loaded, "Drakehofstr", "50")) == "KR"
    assert ask(loaded, "Drakehofstr", "5", "40210") == answers.PostalCodeOther(
        "Drakehofstraße", ("40217", "40219")
    )
    assert ask(loaded, "Drakehofstr", "5-8", "40217") == answers.SeveralZones(
        "Drakehofstraße", "5-8", ("DK", "KR")
    )
    assert ask(loaded, "Drakehofstr", "100", "40217") == answers.NumberUnknown("Drakehofstraße", "100")
    assert ask(loaded, "Drakehofstr", "", "40217") == answers.NumberUnreadable("Drakehofstraße")
    assert ask(loaded, "Drakehofstr", "x", "40217") == answers.NumberUnreadable("Drakehofstraße")
    assert ask(loaded, "Bergstr", "3") == answers.SeveralStreets(("Berg-Straße", "Bergstraße"))
    assert zone(ask(loaded, "Bergstr", "3", "40211")) == "AK"
    assert ask(loaded, "Drakenhofstr", "1") == answers.StreetUnknown(("Drakehofstraße",))
    assert ask(loaded, "x" * 1000, "1") == ask(loaded, "", "1") == answers.StreetUnknown()
    hafen = ask(loaded, "Hafenstr", "1")
    assert hafen == answers.NoZoneHere("Hafenstraße", "40221", "Hier ist der Hafen.")
    assert hafen.sentence("de").endswith("Hier ist der Hafen.")


def test_a_single_number_and_its_neighbour_with_a_letter(loaded: Application) -> None:
    assert zone(ask(loaded, "Eckweg", "12")) == "HO"
    assert zone(ask(loaded, "Eckweg", "12 A")) == "GP"
    assert isinstance(ask(loaded, "Eckweg", "12b"), answers.NumberUnknown)


def test_entries_and_zones_have_days(loaded: Application) -> None:
    assert zone(ask(loaded, "Neuweg", "1")) == "HO"
    assert zone(ask(loaded, "Neuweg", "1", day=date(2027, 1, 1))) == "GP"
    with loaded.writing() as session:
        for change in (
            ZoneChange("AK", date(2028, 1, 1), merged_into="BÖ"),
            ZoneChange("KR", date(2028, 1, 1), ends=True),
        ):
            make_change(session, loaded.tenant, change, loaded.now(), "test")
    assert zone(ask(loaded, "Bergstraße", "1", "40210", day=date(2027, 12, 31))) == "AK"
    later = ask(loaded, "Bergstraße", "1", "40210", day=date(2028, 1, 1))
    assert isinstance(later, answers.ZoneFound)
    assert (later.zone.zone.code, later.directory_code) == ("BÖ", "AK")
    assert isinstance(ask(loaded, "Drakehofstr", "50", day=date(2028, 1, 1)), answers.NoZoneHere)


def test_the_file_replaces_the_directory_and_leaves_the_neighbour(
    loaded: Application, neighbour: Application, tmp_path: Path
) -> None:
    with neighbour.reading() as session:
        before = directory_size(session, neighbour.tenant)
    load(loaded, tmp_path, HEAD + "Eckweg;40213;;;;HO;;;\n")
    with loaded.reading() as session:
        assert directory_size(session, loaded.tenant) == (1, 1)
        assert [one.street for one in directory(session, loaded.tenant, "HO")] == ["Eckweg"]
    with neighbour.reading() as session:
        assert directory_size(session, neighbour.tenant) == before != (1, 1)


@pytest.mark.parametrize(
    ("rows", "line", "said"),
    [
        ("Weg;4021;;;;HO;;;\n", 2, "fünf Ziffern"),
        ("Weg;40213;;;;XX;;;\n", 2, "XX"),
        (";40213;;;;HO;;;\n", 2, "street"),
        ("...;40213;;;;HO;;;\n", 2, "street"),
        ("Weg;40213;;9;;HO;;;\n", 2, "number_from"),
        ("Weg;40213;9;3;;HO;;;\n", 2, "Von 9 bis 3"),
        ("Weg;40213;1-3;;;HO;;;\n", 2, "1-3"),
        ("Weg;40213;1;3;left;HO;;;\n", 2, "side"),
        ("Weg;40213;;;;HO;;2027-01-01;2026-01-01\n", 2, "bevor"),
        ("Weg;40213;1;20;;HO;;;\nWeg;40213;19;30;odd;GP;;;\n", 3, "Zeile 2"),
        ("Weg;40213;19;30;odd;;;;\nWeg;40213;1;20;;GP;;;\n", 3, "Zeile 2"),
        ("Weg-Straße;40213;1;;;HO;;;\nWegstraße;40213;2;;;HO;;;\n", 3, "anders geschrieben"),
    ],
)
def test_a_faulty_row_refuses_the_file(
    application: Application, tmp_path: Path, rows: str, line: int, said: str
) -> None:
    with application.reading() as session:
        before = directory_size(session, application.tenant)
    with pytest.raises(FileRefused) as caught:
        load(application, tmp_path, HEAD + rows)
    assert caught.value.line == line
    assert said in caught.value.sentence("de")
    with application.reading() as session:
        assert directory_size(session, application.tenant) == before
