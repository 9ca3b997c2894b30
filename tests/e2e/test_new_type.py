"""A third kind of card needs a data file only: issued to all carriers, checked, changed, without any code."""

from __future__ import annotations

import json
import zipfile

import pytest
from pypdf import PdfReader

from tests.e2e.base45 import base45
from tests.e2e.commandline import LIBRARY, PERMIT, SAMPLES, TODAY, main_in_process
from tests.e2e.museum import ROWS, TYPE, WORDS, add_type
from tests.e2e.samples import ALL_FILES, SEAL_FILES, register_content, report, suffixes, write_csv

MUSEUM = "museum-card"


def seal_of(city, number):
    return (city.out / f"{number}.seal.txt").read_text().strip()


def verify(city, number, *more):
    done = main_in_process(
        "verify", seal_of(city, number), "--trust", city.published, "--today", TODAY, "--json", *more
    )
    return done.code, json.loads(done.stdout)


@pytest.fixture
def museum_city(fresh_city, tmp_path):
    """An installation that has been running and published gets the new folder; nothing else is done."""
    common = ("--data", fresh_city.data, "--today", TODAY)
    publish = ("publish", *common, "--out", fresh_city.published)
    assert main_in_process(*publish).code == 0
    add_type(fresh_city.data)
    file = write_csv(tmp_path / "museum.csv", ROWS)
    done = main_in_process("issue", MUSEUM, file, "--out", fresh_city.out, *common)
    assert done.code == 0, done.stderr or report(fresh_city.out)
    assert report(fresh_city.out) == []
    assert main_in_process(*publish).code == 0
    return fresh_city


def test_every_row_has_the_files_of_its_status(museum_city):
    found = [suffixes(museum_city.out, row["card_id"]) for row in ROWS]
    assert found == [ALL_FILES, SEAL_FILES, SEAL_FILES, frozenset()]


@pytest.mark.parametrize(
    ("number", "code", "reason"), [("MUS-1", 0, "VALID"), ("MUS-2", 1, "EXPIRED"), ("MUS-3", 1, "REVOKED")]
)
def test_the_verifier_knows_the_type_from_the_bundle(museum_city, number, code, reason):
    exit_code, verdict = verify(museum_city, number)
    assert (exit_code, verdict["reason"], verdict["type"], verdict["number"]) == (
        code,
        reason,
        MUSEUM,
        number,
    )
    assert verdict["test"] is True
    assert verdict["plates"] in (None, [])
    assert verify(museum_city, number, "--type", LIBRARY)[1]["reason"] == "WRONG_TYPE"
    assert verify(museum_city, number, "--type", MUSEUM)[1]["reason"] == reason


def test_the_wallets_and_the_print_say_what_the_type_says(museum_city):
    with zipfile.ZipFile(museum_city.out / "MUS-1.pkpass") as archive:
        apple = json.loads(archive.read("pass.json"))
        english = archive.read("en.lproj/pass.strings").decode()
        assert "icon.png" in archive.namelist()
    seal = seal_of(museum_city, "MUS-1")
    assert apple["storeCard"]["primaryFields"][0]["value"] == "Familienkarte"
    assert apple["barcodes"][0]["message"] == seal
    assert '"Familienkarte" = "Family card"' in english
    google = json.loads((museum_city.out / "MUS-1.google.json").read_bytes())["object"]
    assert google["genericType"] == "GENERIC_ENTRY_TICKET"
    assert google["header"]["defaultValue"]["value"] == "Familienkarte"
    assert google["barcode"]["value"] == seal
    text = " ".join(page.extract_text() for page in PdfReader(museum_city.out / "MUS-1.pdf").pages)
    for words in ("Museumskarte", "Familienkarte", "Haus am Wasser", "Beispielhaft", "MUS-1"):
        assert words in text
    assert "Windschutzscheibe" not in text


def test_the_declared_values_are_in_the_signed_seal(museum_city):
    shown = main_in_process("show", "MUS-1", "--data", museum_city.data, "--json")
    attributes = json.loads(shown.stdout)["attributes"]
    assert (attributes["level"], attributes["guests"]) == ("family", 3)
    signed = base45(seal_of(museum_city, "MUS-1").removeprefix("SP1:"))
    # Key 8 with the text `family` and key 9 with 3, in CBOR; what is not declared for the seal is not there.
    assert b"\x08\x66family" in signed and b"\x09\x03" in signed
    assert b"Wasser" not in signed and b"Beispielhaft" not in signed


def test_its_passes_live_as_all_others_do(museum_city, tmp_path):
    common = ("--data", museum_city.data, "--today", TODAY)
    assert main_in_process("suspend", "MUS-1", "--reason", "Test", *common).code == 0
    publish = ("publish", *common, "--out", museum_city.published)
    assert main_in_process(*publish).code == 0
    assert verify(museum_city, "MUS-1")[1]["reason"] == "SUSPENDED"
    assert main_in_process("resume", "MUS-1", "--reason", "Test", *common).code == 0
    old = seal_of(museum_city, "MUS-1")
    again = main_in_process("reissue", "MUS-1", "--reason", "Test", *common, "--out", museum_city.out)
    assert again.code == 0, again.stderr
    assert main_in_process(*publish).code == 0
    assert verify(museum_city, "MUS-1")[1]["reason"] == "VALID"
    done = main_in_process("verify", old, "--trust", museum_city.published, "--today", TODAY, "--json")
    assert json.loads(done.stdout)["reason"] == "SUPERSEDED"
    for language in ("de", "en"):
        shown = main_in_process("show", "MUS-1", "--data", museum_city.data, "--lang", language)
        assert shown.code == 0 and "MUS-1" in shown.stdout
    file = write_csv(tmp_path / "again.csv", ROWS)
    same = main_in_process("issue", MUSEUM, file, *common, "--out", museum_city.out, "--json")
    assert (same.code, json.loads(same.stdout)["unchanged"]) == (0, len(ROWS))


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"level": "vip"}, "level", "CHOICE_UNKNOWN"),
        ({"guests": "10"}, "guests", "INTEGER_FORMAT"),
        ({"family_name": ""}, "family_name", "VALUE_MISSING"),
        ({"valid_to": "2026-02-31"}, "valid_to", "DATE_FORMAT"),
        ({"house": "x" * 61}, "house", "FIELD_TOO_LONG"),
        ({"given_name": "=1+1"}, "given_name", "NAME_FORBIDDEN_CHAR"),
    ],
)
def test_its_columns_are_checked_as_declared(museum_city, tmp_path, change, field, code):
    file = write_csv(tmp_path / "bad.csv", [ROWS[0] | {"card_id": "MUS-9"} | change])
    done = main_in_process(
        "issue", MUSEUM, file, "--data", museum_city.data, "--out", museum_city.out, "--today", TODAY
    )
    assert done.code == 3
    [line] = report(museum_city.out)
    assert (line["row"], line["field"], line["severity"]) == ("1", field, "error")
    assert line["code"] == code


FAULTS = {
    "toml": {"type": TYPE.replace("[colours]", "[colours")},
    "unknown key": {"type": TYPE.replace("stands_in_car = false", "stands_in_car = false\nsticker = true")},
    "missing key": {"type": TYPE.replace("stands_in_car = false", "")},
    "reserved seal key": {"type": TYPE.replace("seal_key = 8", "seal_key = 7")},
    "seal key twice": {"type": TYPE.replace("seal_key = 9", "seal_key = 8")},
    "seal code taken": {"type": TYPE.replace("seal_code = 40", "seal_code = 1")},
    "id taken": {"type": TYPE.replace('id = "museum-card"', f'id = "{PERMIT}"')},
    "id not a name": {"type": TYPE.replace('id = "museum-card"', 'id = "../museum"')},
    "colour": {"type": TYPE.replace("#204020", "green")},
    "unknown kind": {"type": TYPE.replace('kind = "integer"\nseal_key = 9', 'kind = "number"\nseal_key = 9')},
    "no number column": {"type": TYPE.replace('number_column = "card_id"', 'number_column = "id"')},
    "unknown attribute": {"type": TYPE.replace('attribute = "house"', 'attribute = "home"')},
    "unknown check": {"type": TYPE.replace("status_consistent", "astrology")},
    "unknown legacy layout": {"type": TYPE.replace("checks =", 'legacy = "cobol"\nchecks =')},
    "no label": {"en": WORDS["en"].replace('house = "House"', "")},
    "no choice": {"de": WORDS["de"].replace('family = "Familienkarte"', "")},
    "no text": {"de": WORDS["de"].replace('rules = "Die Karte ist nicht übertragbar."', "")},
    "apple style": {"type": TYPE.replace("storeCard", "boardingPass")},
    "barcode": {"type": TYPE.replace("seal:QR", "seal:DotCode")},
}


@pytest.mark.parametrize("language", ["de", "en"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_type_is_one_sentence_and_nothing_is_entered(fresh_city, tmp_path, fault, language):
    assert all(text not in (TYPE, *WORDS.values()) for text in FAULTS[fault].values())
    before = register_content(fresh_city.data)
    add_type(fresh_city.data, **FAULTS[fault])
    file = write_csv(tmp_path / "museum.csv", ROWS)
    done = main_in_process(
        "issue", MUSEUM, file, "--data", fresh_city.data, "--out", fresh_city.out, "--today", TODAY,
        "--lang", language,
    )  # fmt: skip
    assert done.code == 64, done.stdout
    assert len(done.stderr.splitlines()) == 1
    assert "museum" in done.stderr or PERMIT in done.stderr
    assert register_content(fresh_city.data) == before


def test_a_carrier_that_cannot_show_the_number_stops_no_other(fresh_city, tmp_path):
    """A barcode for digits only, and numbers with letters: told row by row, the other carriers are made."""
    add_type(
        fresh_city.data,
        type=TYPE.replace('GENERIC_ENTRY_TICKET"', 'GENERIC_ENTRY_TICKET"\nbarcode = "number:I2of5"'),
    )
    file = write_csv(
        tmp_path / "museum.csv", [ROWS[0] | {"card_id": number} for number in ("12345678901231", "MUS-1")]
    )
    done = main_in_process(
        "issue", MUSEUM, file, "--data", fresh_city.data, "--out", fresh_city.out, "--today", TODAY
    )
    assert done.code == 3, done.stderr
    lines = report(fresh_city.out)
    assert {(line["field"], line["severity"]) for line in lines} == {("google", "error")}
    assert lines[-1]["row"] == "2" and "MUS-1" in lines[-1]["sentence"]
    assert suffixes(fresh_city.out, "MUS-1") == ALL_FILES - {".google.json", ".save-link.txt"}
    assert register_content(fresh_city.data)["passes"]


@pytest.mark.parametrize("missing", ["de", "en"])
def test_a_missing_translation_names_the_file(fresh_city, missing):
    (add_type(fresh_city.data) / f"{missing}.toml").unlink()
    done = main_in_process("issue", MUSEUM, SAMPLES / "zones.csv", "--data", fresh_city.data)
    assert done.code == 64
    assert f"{missing}.toml" in done.stderr and len(done.stderr.splitlines()) == 1


def test_the_other_types_go_on_working(museum_city):
    done = main_in_process(
        "issue", PERMIT, SAMPLES / "permits_legacy_utf8_bom.csv", "--data", museum_city.data,
        "--out", museum_city.out, "--today", TODAY, "--carriers", "seal",
    )  # fmt: skip
    assert done.code == 0
    unknown = main_in_process("issue", "zoo-card", SAMPLES / "zones.csv", "--data", museum_city.data)
    assert unknown.code == 64 and MUSEUM in unknown.stderr
