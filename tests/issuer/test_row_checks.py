"""Faults of single cells and between cells: one mistake, one line, at the column to correct."""

import unicodedata
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import pytest

from issuer.importing.record import differing
from issuer.library.membership import age_on
from passes.model import PassStatus
from passes.periods import BERLIN
from tests.issuer.register_samples import CARD, PERMIT, SampleRegister, places, row_text, sample_register

PERMIT_FILE, CARD_FILE = "permits_valid.csv", "library_valid.csv"


@pytest.fixture(scope="module")
def register(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SampleRegister]:
    with sample_register(tmp_path_factory.mktemp("register")) as opened:
        opened.load(CARD_FILE)
        yield opened


@pytest.mark.parametrize(
    ("changed", "field", "code"),
    [
        ({"permit_id": ""}, "permit_id", "VALUE_MISSING"),
        ({"permit_id": " "}, "permit_id", "VALUE_MISSING"),
        ({"permit_id": "../../etc"}, "permit_id", "NUMBER_FORMAT"),
        ({"permit_id": ".."}, "permit_id", "NUMBER_FORMAT"),
        ({"permit_id": "x" * 41}, "permit_id", "NUMBER_FORMAT"),
        ({"holder_ref": "H 1"}, "holder_ref", "REFERENCE_FORMAT"),
        ({"family_name": "\u202egnp.exe"}, "family_name", "NAME_INVISIBLE_CHAR"),
        ({"given_name": "e" + "\u0301" * 9999}, "given_name", "FIELD_TOO_LONG"),
        ({"doctoral_degree": "Dr. " * 11}, "doctoral_degree", "FIELD_TOO_LONG"),
        ({"email": "erika@example"}, "email", "EMAIL_FORMAT"),
        ({"email": "a@b.c@example.org"}, "email", "EMAIL_FORMAT"),
        ({"language": "DE"}, "language", "LANGUAGE_FORMAT"),
        ({"zone_code": "x" * 13}, "zone_code", "ZONE_FORMAT"),
        ({"permit_kind": "Standard"}, "permit_kind", "CHOICE_UNKNOWN"),
        ({"permit_kind": "two_plates"}, "plate_2", "KIND_INCONSISTENT"),
        ({"permit_kind": "changing_vehicles"}, "plate_1", "KIND_INCONSISTENT"),
        ({"plate_1": ""}, "plate_1", "KIND_INCONSISTENT"),
        ({"plate_2": "D-XY 1"}, "plate_2", "KIND_INCONSISTENT"),
        ({"carsharing_org": "Rheinteiler eG"}, "carsharing_org", "KIND_INCONSISTENT"),
        ({"permit_kind": "carsharing", "carsharing_org": "Rheinteiler eG"}, "plate_1", "KIND_INCONSISTENT"),
        ({"season_2": "04-10"}, "season_2", "SEASON_WITHOUT_PLATE"),
        ({"plate_1": "D-NC 7682 (04-10)", "season_1": "05-10"}, "season_1", "SEASON_CONFLICT"),
        ({"plate_1": "D-NC 7682E", "season_1": "05-10"}, "plate_1", "PLATE_TOO_LONG"),
        ({"plate_1": "UEMA123"}, "plate_1", "PLATE_AMBIGUOUS"),
        ({"keeper_is_holder": "maybe"}, "keeper_is_holder", "YES_NO_FORMAT"),
        ({"valid_from": "2026-02-30"}, "valid_from", "DATE_FORMAT"),
        ({"valid_from": "02.10.2026"}, "valid_from", "DATE_FORMAT"),
        ({"valid_from": "0001-01-01"}, "valid_from", "DATE_YEAR"),
        ({"valid_from": "1926-10-02", "valid_to": "1927-10-01"}, "valid_from", "DATE_YEAR"),
        ({"valid_from": "1970-01-01", "valid_to": "1970-12-31"}, "valid_from", "DATE_YEAR"),
        ({"valid_to": "2200-01-01"}, "valid_to", "DATE_YEAR"),
        ({"valid_from": "2300-10-02", "valid_to": "2301-10-01"}, "valid_from", "DATE_YEAR"),
        ({"term_months": "12.0"}, "term_months", "INTEGER_FORMAT"),
        ({"term_months": "٣"}, "term_months", "INTEGER_FORMAT"),
        ({"term_months": "0"}, "term_months", "INTEGER_FORMAT"),
        ({"fee_cents": "25,00"}, "fee_cents", "INTEGER_FORMAT"),
        ({"fee_cents": "2501"}, "fee_cents", "FEE_MISMATCH"),
        ({"payment_status": "chargeback"}, "status", "STATUS_INCONSISTENT"),
        ({"revocation_reason": "misuse"}, "status", "STATUS_INCONSISTENT"),
        ({"status": "expired"}, "status", "STATUS_INCONSISTENT"),
        ({"status": "pending_payment"}, "status", "STATUS_INCONSISTENT"),
        ({"status": "Active"}, "status", "CHOICE_UNKNOWN"),
    ],
)  # fmt: skip
def test_a_faulty_permit(register: SampleRegister, changed: dict[str, str], field: str, code: str) -> None:
    checked = register.check_text(row_text(PERMIT_FILE, **changed))
    assert places(checked.findings) == [(1, field, "error", code)]
    assert checked.accepted == ()
    for language in ("de", "en"):
        assert checked.findings[0].sentence(language).endswith((".", "?"))


@pytest.mark.parametrize(
    "changed",
    [
        {"given_name": "-Anna", "family_name": "'t Hart"},
        {"plate_1": "d\u00a0nc\u00b77682"},
        {"plate_1": "D-NC 768 04/10"},
        {"email": "", "language": "", "payment_ref": ""},
        {"keeper_is_holder": "Ja"},
        {"status": "pending_payment", "payment_status": "open"},
        {"status": "revoked", "revoked_on": "2026-11-01", "revocation_reason": "misuse"},
        {"zone_code": " BO\u0308 "},
    ],
)
def test_what_is_accepted(register: SampleRegister, changed: dict[str, str]) -> None:
    checked = register.check_text(row_text(PERMIT_FILE, **changed))
    assert (len(checked.accepted), checked.findings) == (1, ())


@pytest.mark.parametrize(
    ("row", "changed", "field", "severity", "code"),
    [
        (1, {"card_number": "BQD18N00100O"}, "card_number", "error", "CARD_FORMAT"),
        (2, {"card_number": "24711300000135"}, "card_number", "error", "CARD_FORMAT"),
        (2, {"card_number": "2,47113E+13"}, "card_number", "error", "CARD_FORMAT"),
        (2, {"card_scheme": "luhn"}, "card_scheme", "error", "CARD_SCHEME_UNKNOWN"),
        (2, {"symbology": "CODE39"}, "symbology", "error", "CARD_SYMBOLOGY_UNKNOWN"),
        (2, {"card_number": "24711300000266"}, "card_number", "error", "DUPLICATE_CARD"),
        (2, {"birth_date": "2026-11-21"}, "birth_date", "error", "DATE_IN_FUTURE"),
        (2, {"birth_date": "1906-11-20"}, "birth_date", "error", "AGE_IMPLAUSIBLE"),
        (2, {"category": "youth"}, "category", "error", "CATEGORY_AGE_MISMATCH"),
        (2, {"guardian_member_id": "M1"}, "guardian_member_id", "error", "GUARDIAN_UNKNOWN"),
        (2, {"guardian_member_id": "M-NEW"}, "guardian_member_id", "error", "GUARDIAN_UNKNOWN"),
        (2, {"block_reason": "fees"}, "status", "error", "STATUS_INCONSISTENT"),
        (2, {"birth_date": "2011-01-01", "category": "duesselpass"}, "guardian_consent", "error",
         "CONSENT_MISSING"),
        (2, {"birth_date": "", "category": "child"}, "guardian_consent", "error", "CONSENT_MISSING"),
    ],
)  # fmt: skip
def test_a_faulty_member(
    register: SampleRegister, row: int, changed: dict[str, str], field: str, severity: str, code: str
) -> None:
    fresh = {"member_id": "M-NEW", "card_number": ("BQD18N009999", "24711390000101")[row - 1]}
    checked = register.check_text(row_text(CARD_FILE, row, **{**fresh, **changed}), CARD)
    assert places(checked.findings) == [(1, field, severity, code)]


@pytest.mark.parametrize("number", ["2,47E+13", "2.47E+13", "2E+13", "2,471130000001E+13", "2,47e+13"])
@pytest.mark.parametrize("scheme", ["", "codabar14"])
def test_a_number_that_a_spreadsheet_has_rounded(register: SampleRegister, number: str, scheme: str) -> None:
    text = row_text(CARD_FILE, 2, member_id="M-NEW", card_number=number, card_scheme=scheme, symbology="")
    checked = register.check_text(text, CARD)
    assert places(checked.findings) == [(1, "card_number", "error", "CARD_FORMAT")]
    assert "Format Text" in checked.findings[0].sentence("de")
    assert "format text" in checked.findings[0].sentence("en")


@pytest.mark.parametrize("number", ["247E13", "A2E+13", "12E+13", "E+13"])
def test_a_number_that_only_looks_a_little_like_it(register: SampleRegister, number: str) -> None:
    text = row_text(CARD_FILE, 2, member_id="M-NEW", card_number=number, card_scheme="", symbology="")
    assert register.check_text(text, CARD).findings == ()


def test_a_guardian_in_the_same_file_counts_by_birth_date(register: SampleRegister) -> None:
    header, parent = row_text(
        CARD_FILE, 3, member_id="P", card_number="24711390000101", birth_date="2007-01-01", category="youth"
    ).splitlines()
    child = row_text(
        CARD_FILE, 3, member_id="C", card_number="24711390000119", birth_date="2024-01-01", category="child",
        guardian_member_id="P", guardian_consent="yes",
    ).splitlines()[1]  # fmt: skip
    for lines in ((parent, child), (child, parent)):
        checked = register.check_text("\n".join((header, *lines)), CARD)
        assert (len(checked.accepted), checked.findings) == (2, ())
    minor = parent.replace("2007-01-01", "2009-01-01")
    checked = register.check_text("\n".join((header, minor, child)), CARD)
    assert places(checked.findings) == [(2, "guardian_member_id", "error", "GUARDIAN_NOT_ADULT")]


def test_who_is_born_on_29_february_ages_on_1_march() -> None:
    born = date(2008, 2, 29)
    days = (date(2023, 2, 28), date(2023, 3, 1), date(2024, 2, 28), date(2024, 2, 29))
    assert [age_on(born, day) for day in days] == [14, 15, 15, 16]


@pytest.mark.parametrize(
    ("at", "category", "accepted"),
    [
        (datetime(2026, 11, 20, 0, 0, tzinfo=BERLIN), "adult", True),
        (datetime(2026, 11, 19, 23, 59, tzinfo=BERLIN), "adult", False),
        (datetime(2026, 11, 19, 23, 59, tzinfo=BERLIN), "youth", True),
        (datetime(2027, 6, 1, tzinfo=BERLIN), "youth", True),
    ],
)
def test_a_birthday_counts_from_midnight_in_berlin(
    register: SampleRegister, at: datetime, category: str, accepted: bool
) -> None:
    text = row_text(CARD_FILE, 21, member_id="M-NEW", card_number="D402840003", category=category)
    assert bool(register.check_text(text, CARD, at).accepted) is accepted


def test_without_a_fee_table_fees_are_not_checked_and_that_is_said(tmp_path: Path) -> None:
    with sample_register(tmp_path, fees=False) as register:
        checked = register.check_text(row_text(PERMIT_FILE, fee_cents="1"))
        assert (len(checked.accepted), checked.findings, checked.fees_checked) == (1, (), False)
        assert register.check(CARD_FILE).fees_checked


def test_a_term_without_a_fee_is_only_a_warning(register: SampleRegister) -> None:
    checked = register.check_text(
        row_text(PERMIT_FILE, valid_from="2026-12-01", valid_to="2026-12-31", term_months="1")
    )
    assert places(checked.findings) == [(1, "fee_cents", "warn", "FEE_NOT_IN_TABLE")]
    assert len(checked.accepted) == 1


def test_the_second_row_of_a_number_is_refused_even_if_it_is_the_same(register: SampleRegister) -> None:
    text = row_text(PERMIT_FILE)
    checked = register.check_text(text + text.splitlines()[1] + "\n")
    assert places(checked.findings) == [(2, "permit_id", "error", "DUPLICATE_ID")]
    assert (len(checked.accepted), checked.refused) == (1, 1)


LEGACY = (
    "Ausweis-Nr.;Nachname;Vorname;Titel;Geb.-Datum;Straße;Hausnr.;PLZ;Ort;Gebiet;Kennzeichen 1;Kennzeichen 2;"
    "Gültig von;Gültig bis;Gebühr;Bemerkung\n"
)


@pytest.mark.parametrize(
    ("cells", "field", "code"),
    [
        ("HO Ost;D-AB 1;;02.10.2026;2027-10-01;25,00 €;", "Gültig bis", "DATE_FORMAT"),
        ("HO Ost;D-AB 1;;10/02/2026;01.10.2027;25,00 €;", "Gültig von", "DATE_FORMAT"),
        ("HO Ost;D-AB 1;;02.10.2026;;25,00 €;", "Gültig bis", "VALUE_MISSING"),
        ("HO Ost;D-AB 1;;02.10.2026;01.10.2027;2500;", "Gebühr", "MONEY_FORMAT"),
        ("HO Ost;D-AB 1;;02.10.2026;01.10.2027;25.00 €;", "Gebühr", "MONEY_FORMAT"),
        ("ZZ Ost;D-AB 1;;02.10.2026;01.10.2027;25,00 €;", "Gebiet", "ZONE_UNKNOWN"),
        ("HO Ost;;;02.10.2026;01.10.2027;25,00 €;", "Kennzeichen 1", "KIND_INCONSISTENT"),
        ("HO Ost;D-AB;;02.10.2026;01.10.2027;25,00 €;", "Kennzeichen 1", "PLATE_FORMAT"),
        ("HO Ost;D-AB 1;d ab1;02.10.2026;01.10.2027;25,00 €;", "Kennzeichen 2", "PLATE_DUPLICATE"),
        ("HO Ost;D-AB 1 08/13;;02.10.2026;01.10.2027;25,00 €;", "Kennzeichen 1", "SEASON_MONTH"),
    ],
)
def test_a_faulty_legacy_row_names_the_legacy_column(
    register: SampleRegister, cells: str, field: str, code: str
) -> None:
    person = "L-1;Muster;Erika;;01.01.1980;Weg;1;40213;Düsseldorf;"
    checked = register.check_text(f"{LEGACY}{person}{cells}\n")
    assert places(checked.findings) == [(1, field, "error", code)]
    assert "2026-11-20" not in checked.findings[0].sentence("de")


@pytest.mark.parametrize(
    ("cells", "kind", "cents"),
    [
        ("HO;D-AB 1;D-AB 2;02.10.2026;15.10.2027;1.025,00 EUR;", "two_plates", 102500),
        ("HO;Wechselnde Fahrzeuge;;02.10.2026;15.10.2027;0,00 €;", "changing_vehicles", 0),
        ("HO;Teilauto e. V.;;02.10.2026;01.10.2027;;", "carsharing", None),
        ("HO;Gemeinschaftsautos am Rhein;;02.10.2026;15.10.2027;30,00\u00a0€;", "carsharing", 3000),
    ],
)
def test_what_follows_from_a_legacy_row(
    register: SampleRegister, cells: str, kind: str, cents: int | None
) -> None:
    person = "L-1;Muster;Erika;Dr.;01.01.1980;Weg;1;40213;Düsseldorf;"
    (row,) = register.check_text(f"{LEGACY}{person}{cells}\n").accepted
    assert (row.attributes["permit_kind"], row.record.get("fee_cents")) == (kind, cents)
    assert (row.status, row.holder.name) == (PassStatus.ACTIVE, "Dr. Erika Muster")
    assert "birth_date" not in row.record
    other = person.replace("L-1;Muster", "L-2;Muster").replace("01.01.1980", "02.02.1982")
    (same_holder,) = register.check_text(f"{LEGACY}{other}{cells}\n").accepted
    assert same_holder.holder == row.holder


@pytest.mark.parametrize(
    "cell", ["wechselnde  Fahrzeuge", "Wechselnde\u00a0Fahrzeuge", "wechs. Fahrzeuge", "wechselndes Fahrzeug"]
)
def test_changing_vehicles_however_they_are_written(register: SampleRegister, cell: str) -> None:
    person = "L-1;Muster;Erika;Dr.;01.01.1980;Weg;1;40213;Düsseldorf;"
    cells = f"HO;{cell};;02.10.2026;01.10.2027;25,00 €;"
    (row,) = register.check_text(f"{LEGACY}{person}{cells}\n").accepted
    assert row.attributes["permit_kind"] == "changing_vehicles"
    assert "organisation" not in row.attributes or not row.attributes["organisation"]
    unclear = register.check_text(f"{LEGACY}{person}{cells.replace(cell, 'mehrere Fahrzeuge')}\n")
    assert [one.code for one in unclear.findings] == ["KIND_UNCLEAR"]


def test_headers_in_decomposed_letters_are_the_same(register: SampleRegister) -> None:
    person = "L-1;Muster;Erika;Dr.;01.01.1980;Weg;1;40213;Düsseldorf;"
    text = f"{LEGACY}{person}HO;D-AB 1;;02.10.2026;01.10.2027;25,00 €;\n"
    checked = register.check_text(unicodedata.normalize("NFD", text))
    assert (len(checked.accepted), checked.findings) == (1, ())


def test_a_record_compares_only_what_the_file_has() -> None:
    stored = {"zone_code": "HO", "email": None, "term_months": 12}
    assert differing(stored, {"zone_code": "HO", "email": None, "channel": None}) == []
    assert differing(stored, {"zone_code": "MÜ", "channel": "online"}) == ["zone_code", "channel"]


def test_files_without_optional_columns(register: SampleRegister) -> None:
    header, row = row_text(PERMIT_FILE).splitlines()
    needed = {spec.name for spec in PERMIT.spec.register.columns if spec.required} | {"plate_1"}
    kept = [place for place, name in enumerate(header.split(";")) if name in needed]
    text = "\n".join(";".join(line.split(";")[place] for place in kept) for line in (header, row))
    checked = register.check_text(text)
    assert (len(checked.accepted), checked.findings) == (1, ())


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"zone_code": "ZZ", "fee_cents": "1"}, ["ZONE_UNKNOWN", "FEE_MISMATCH"]),
        ({"valid_to": "2026-10-01", "fee_cents": "1"}, ["DATE_RANGE", "FEE_MISMATCH"]),
        ({"term_months": "", "fee_cents": "1"}, ["FEE_MISMATCH"]),
        ({"term_months": "", "channel": "", "fee_cents": "1"}, ["FEE_MISMATCH"]),
        ({"term_months": "", "channel": "", "fee_cents": "3000"}, []),
    ],
)
def test_one_fault_does_not_hide_a_wrong_fee(
    register: SampleRegister, changed: dict[str, str], expected: list[str]
) -> None:
    """The sample's first permit runs 12 months from 2026-10-02 and costs 2500 cents online."""
    checked = register.check_text(row_text(PERMIT_FILE, **changed))
    assert sorted(one.code for one in checked.findings) == sorted(expected)


@pytest.mark.parametrize(
    ("status", "payment", "expected"),
    [
        ("unpaid", "open", PassStatus.PENDING_PAYMENT),
        ("blocked", "paid", PassStatus.SUSPENDED),
        ("suspended", "chargeback", PassStatus.SUSPENDED),
    ],
)
def test_each_word_for_a_status(
    register: SampleRegister, status: str, payment: str, expected: PassStatus
) -> None:
    text = row_text(PERMIT_FILE, status=status, payment_status=payment)
    (row,) = register.check_text(text).accepted
    assert row.status is expected
