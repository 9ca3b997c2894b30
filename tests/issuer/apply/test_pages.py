"""Each page by itself: what it keeps, what it refuses and with which sentence, and what it asks back."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import select

from issuer.application import Application
from issuer.cases import evidence
from issuer.models_cases import CaseApplicantRow, CaseEvidenceRow
from issuer.rules.directory import streets_from_csv
from issuer.tariffs import zones_from_csv
from tests.issuer.apply.applicant import NAME, Applicant, told
from tests.issuer.cases.test_evidence import PAPER

# What is stored is the flow's to test on both databases.
pytestmark = pytest.mark.parametrize("city", ["sqlite"], indirect=True)
STREETS = """street;postal_code;zone_code;number_from;number_to;side;note;valid_from;valid_until
Pastorswiesenring;40474;ALT;1;99;;;;
Am Feldrand;40474;;;;;Hier parken alle frei.;;
Gartenweg;40474;HO;1;40;;;;
Gartenweg;40476;HO;1;9;;;;
Neue Gasse;40474;NEU;;;;;;
Eckhaus;40474;HO;1;1;;;;
Eckhaus;40474;NEU;2;2;;;;
Baustelle;40474;HO;1;9;;;2027-01-01;
"""
ZONES = """zone_code;zone_name;tariff_class;valid_from;valid_until;merged_into
HO;Hauptbahnhof Ost;B;;;
ALT;Altes Gebiet;B;;2026-06-30;HO
NEU;Neues Gebiet;B;2026-12-15;;
"""


@pytest.fixture
def city_with_history(application: Application, tmp_path: Path) -> None:
    """A city in which zones were merged and begin."""
    for name, text in (("zones.csv", ZONES), ("streets.csv", STREETS)):
        (tmp_path / name).write_text(text, "utf-8")
    with application.writing() as session:
        zones_from_csv(session, application.tenant, tmp_path / "zones.csv")
        streets_from_csv(session, application.tenant, tmp_path / "streets.csv")


def address(applicant: Applicant, street: str, number: str = "", postal_code: str = "", **more: str) -> str:
    """Where an address leads: the zone that is kept, or what the page says."""
    fields = {"street": street, "house_number": number, "postal_code": postal_code, **more}
    answer = applicant.send("/apply/address", **fields)
    if answer.status_code == 303:
        return applicant.case().facts.zone
    assert answer.status_code == 422
    partial = applicant.client.post(
        "/apply/address/zone", data={"form_token": applicant.token("/apply/address"), **fields}
    )
    assert partial.status_code == 200
    assert "<html" not in partial.text
    # While one types the same is said as when the form is sent.
    assert told(partial) in told(answer)
    return told(answer)


@pytest.mark.usefixtures("city_with_history")
def test_an_address_leads_to_a_zone_or_to_what_to_do(applicant: Applicant) -> None:
    applicant.begin()
    assert address(applicant, "pastorswiesenring", "31", "40474") == "HO"
    assert "frühere Gebiet ALT gehört jetzt zum Gebiet HO" in told(applicant.get("/apply/address"))
    assert applicant.case().facts.first_day is None
    # A zone that begins soon: the permit can be applied for, from that day on.
    assert address(applicant, "Neue Gasse", "1") == "NEU"
    assert applicant.case().facts.first_day == date(2026, 12, 15)
    assert address(applicant, "Baustelle 3") == "HO"
    assert applicant.case().facts.first_day == date(2027, 1, 1)
    for given, said in (
        (("Am Feldrand", "3"), "Hier gibt es kein Bewohnerparkgebiet"),
        (("Am Feldrand", "3"), "Hier parken alle frei."),
        (("Pastorswisenring", "3"), "Meinen Sie: Pastorswiesenring?"),
        (("Nirgendwo", "3"), "steht nicht im Straßenverzeichnis"),
        (("Pastorswiesenring", "200"), "Bitte prüfen Sie die Hausnummer"),
        (("Pastorswiesenring", "drei"), "eine Hausnummer an, zum Beispiel"),
        (("Pastorswiesenring", "3", "40999"), "gibt es unter dieser Postleitzahl nicht"),
        (("Gartenweg", "3"), "in mehreren Postleitzahlen: 40474, 40476"),
        (("Eckhaus", "1-2"), "genaue Hausnummer"),
        (("Gartenweg", "3", "4047x"), "Die Postleitzahl hat fünf Ziffern"),
        (("", "3"), "Geben Sie Ihre Straße ein"),
        (("Garten<weg", "3"), "nicht erlaubt"),
        (("x" * 150, "3"), "steht nicht im Straßenverzeichnis"),
    ):
        assert said in address(applicant, *given), given
    # What is chosen from the suggestions counts; nothing was kept of all that.
    assert applicant.case().facts.zone == "HO"
    assert address(applicant, "Pastorswisenring", "3", street_choice="Pastorswiesenring") == "HO"
    assert address(applicant, "Gartenweg", "3", postal_code_choice="40476") == "HO"
    with applicant.application.reading() as session:
        row = session.scalars(select(CaseApplicantRow)).one()
        assert (row.street, row.house_number, row.postal_code) == ("Gartenweg", "3", "40476")


@pytest.mark.usefixtures("city_with_history")
def test_the_zone_is_that_of_the_first_day(applicant: Applicant) -> None:
    applicant.fill_in(street="Neue Gasse", house_number="1", postal_code="", day="15", month="12")
    page = told(applicant.get("/apply/documents"))
    assert "Meldebescheinigung" in page
    answer = applicant.send("/apply/term", term_months="12", day="1", month="12", year="2026")
    assert "Hier gibt es kein Bewohnerparkgebiet" in told(answer)
    assert applicant.case().facts.first_day == date(2026, 12, 15)
    # Another address and back: whatever is chosen last, the zone is that of the first day.
    assert address(applicant, "Gartenweg", "3", "40474") == "HO"
    assert address(applicant, "Neue Gasse", "1") == "NEU"
    assert applicant.case().facts.first_day == date(2026, 12, 15)


def test_names_as_registers_hold_them(applicant: Applicant) -> None:
    applicant.begin()
    applicant.send("/apply/address", street="Börsenwiesenweg 31", postal_code="40470")
    for field, value, said in (
        ("family_name", "", "Geben Sie Ihren Nachnamen ein"),
        ("family_name", "Muster\u202emann", "unsichtbares Zeichen"),
        ("given_name", "<b>Erika</b>", "nicht erlaubt"),
        ("given_name", "E" * 201, "höchstens 200"),
        ("doctoral_degree", "Dr.\u0000", "Steuerzeichen"),
        ("email", "erika@", "E-Mail-Adresse vollständig"),
        ("email", "a@b.de\r\nBcc: x@y.de", "E-Mail-Adresse vollständig"),
        ("language", "fr", "Wählen Sie die Sprache"),
    ):
        answer = applicant.send("/apply/person", **{**NAME, field: value})
        assert answer.status_code == 422, field
        assert said in told(answer), (field, told(answer))
    long = "Ọ" * 200
    applicant.goes("/apply/kind", applicant.send("/apply/person", **{**NAME, "family_name": long}))
    with applicant.application.reading() as session:
        assert session.scalars(select(CaseApplicantRow.family_name)).one() == long
    # Who has one name only.
    applicant.goes("/apply/kind", applicant.send("/apply/person", **{**NAME, "given_name": ""}))


def plate(applicant: Applicant, text: str, **more: str) -> str:
    """What becomes of a plate: what is kept, or what is said, in the part of the page as in the page."""
    answer = applicant.send("/apply/plates", plate_1=text, **more)
    if answer.status_code == 303:
        (fact,) = applicant.case().facts.plates
        return f"{fact.plate} {fact.season or ''}".strip()
    partial = applicant.client.post(
        "/apply/plates/check",
        data={"form_token": applicant.token("/apply/plates"), "field": "plate_1", "plate_1": text},
    )
    assert partial.status_code == 200
    if text:
        assert told(partial) in told(answer)
    return told(answer)


def test_a_plate_is_asked_back_and_never_guessed(applicant: Applicant) -> None:
    applicant.fill_in()
    assert plate(applicant, "d ay 1930 e") == "D-AY 1930E"
    assert plate(applicant, "D-HX 8900 (04-10)") == "D-HX 8900 04-10"
    for text, said in (
        ("", "Geben Sie das Kennzeichen ein"),
        ("XXX-AB 1", "kein deutsches Ortskürzel"),
        ("D-AB 12345", "mehr als vier Ziffern"),
        ("D-AB 123EH", "E und H schließen sich"),
        ("Y-123456", "nur die Sachbearbeitung"),
        ("D-AB 123 (04-04)", "Die Saison"),
        ("D-AB 1234E (04-10)", "höchstens 7"),
        ("A" * 41, "höchstens"),
    ):
        assert said in plate(applicant, text), text
    # Where the district ends, and O and 0: to be chosen.
    for text, choices in (("CEE1234", ("C-EE 1234", "CE-E 1234")), ("D-0I 101", ("D-OI 101",))):
        page = plate(applicant, text)
        assert "Welches Kennzeichen meinen Sie?" in page
        assert all(one in page for one in choices)
        assert applicant.case().facts.plates[0].plate == "D-HX 8900"
        assert plate(applicant, text, plate_1_choice=choices[0]) == choices[0]
        assert plate(applicant, "D-HX 8900 (04-10)") == "D-HX 8900 04-10"


def test_each_kind_asks_what_it_needs(applicant: Applicant) -> None:
    applicant.fill_in()
    applicant.goes("/apply/plates", applicant.send("/apply/kind", permit_kind="two_plates"))
    answer = applicant.send("/apply/plates", plate_1="D-AB 1", plate_2="D-AB 1")
    assert "D-AB 1 ist zweimal angegeben" in told(answer)
    applicant.goes("/apply/car", applicant.send("/apply/plates", plate_1="D-AB 1", plate_2="D-AB 2"))
    assert "entscheiden zwei Personen" in told(applicant.get("/apply/summary"))
    # Without plates they are neither asked for nor kept.
    applicant.goes("/apply/car", applicant.send("/apply/kind", permit_kind="changing_vehicles"))
    applicant.goes("/apply/car", applicant.get("/apply/plates"))
    assert applicant.case().facts.plates == ()
    assert "zugelassen" not in told(applicant.get("/apply/car"))
    applicant.goes("/apply/plates", applicant.send("/apply/kind", permit_kind="carsharing"))
    assert "Geben Sie den Namen der Organisation ein" in told(applicant.send("/apply/plates"))
    applicant.goes("/apply/car", applicant.send("/apply/plates", organisation="Stadtmobil e. V."))
    applicant.goes("/apply/term", applicant.send("/apply/car", residence="secondary"))
    facts = applicant.case().facts
    assert (facts.organisation, facts.keeper, facts.residence) == ("Stadtmobil e. V.", "other", "secondary")
    for page, field, said in (
        ("/apply/kind", "permit_kind", "Wählen Sie die Art"),
        ("/apply/car", "residence", "Haupt- oder Nebenwohnung"),
        ("/apply/term", "term_months", "Wählen Sie die Dauer"),
    ):
        answer = applicant.send(page, **{field: "none", "day": "1", "month": "12", "year": "2026"})
        assert (answer.status_code, said in told(answer)) == (422, True), page


def test_the_first_day_lies_within_reach(applicant: Applicant) -> None:
    applicant.fill_in()
    for day, month, year, said in (
        ("19", "11", "2026", "zwischen 20.11.2026 und 18.02.2027"),
        ("19", "2", "2027", "zwischen 20.11.2026 und 18.02.2027"),
        ("31", "2", "2027", "Tag, Monat und Jahr als Zahlen"),
        ("", "", "", "Tag, Monat und Jahr als Zahlen"),
        ("１", "1", "2027", "Tag, Monat und Jahr als Zahlen"),
        ("1", "1", "0", "Tag, Monat und Jahr als Zahlen"),
    ):
        answer = applicant.send("/apply/term", term_months="12", day=day, month=month, year=year)
        assert said in told(answer), (day, month, year)


def test_one_thing_is_changed_from_the_summary(applicant: Applicant) -> None:
    applicant.fill_in()
    page = applicant.get("/apply/summary")
    assert 'href="/apply/plates?change=1"' in page.text
    form = {"plate_1": "D-XY 77", "change": "1"}
    applicant.goes("/apply/summary", applicant.send("/apply/plates", "/apply/plates?change=1", **form))
    # What the change has opened comes first.
    form = {"permit_kind": "two_plates", "change": "1"}
    applicant.goes("/apply/plates", applicant.send("/apply/kind", "/apply/kind?change=1", **form))
    applicant.goes("/apply/plates", applicant.get("/apply/summary"))


def kept(applicant: Applicant) -> int:
    with applicant.application.reading() as session:
        return len(session.scalars(select(CaseEvidenceRow.id)).all())


def test_uploads_and_their_limits(applicant: Applicant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "MOST_DOCUMENTS", 3)
    applicant.fill_in(plate_1="D-XY 77")
    for data, kind, said in (
        (b"", "vehicle_registration", "Wählen Sie eine Datei aus"),
        (PAPER.data, "passport", "Wählen Sie, was das für ein Nachweis ist"),
        (b"MZ" * 100, "vehicle_registration", "Nehmen Sie ein Foto"),
        (b"%PDF-1.7 broken", "vehicle_registration", "lässt sich nicht lesen"),
        (PAPER.data + b"\0" * (10 << 20), "vehicle_registration", "höchstens 10 MB"),
    ):
        answer = applicant.upload(data, kind)
        assert (answer.status_code, said in told(answer)) == (422, True), (said, told(answer))
    assert kept(applicant) == 0
    # Larger than any file may be: not even read.
    token = applicant.token("/apply/documents")
    large = applicant.client.post(
        "/apply/documents", data={"form_token": token}, files={"document": ("x.jpg", b"\0" * (11 << 20))}
    )
    assert large.status_code == 413
    other_type = applicant.client.post("/apply/documents", data={"form_token": token, "document": "text"})
    assert other_type.status_code in (400, 403, 422)
    for _ in range(2):
        applicant.goes("/apply/documents", applicant.upload(PAPER.data, "vehicle_registration"))
    with applicant.application.reading() as session:
        one = session.scalars(select(CaseEvidenceRow.id)).first()
    for identity in (one, one, "x" * 22):
        # The second click, and what never was: no fault.
        applicant.goes(
            "/apply/documents",
            applicant.send("/apply/documents/remove", "/apply/documents", document=identity),
        )
    assert kept(applicant) == 1
    for _ in range(2):
        applicant.upload(PAPER.data, "vehicle_registration")
    page = applicant.get("/apply/documents")
    assert "Mehr als 3 Dokumente" in told(page)
    assert 'type="file"' not in page.text
    data = {"form_token": applicant.token("/apply/documents"), "evidence_type": "vehicle_registration"}
    files = {"document": ("x.jpg", PAPER.data)}
    answer = applicant.client.post("/apply/documents", data=data, files=files)
    assert (answer.status_code, kept(applicant)) == (422, 3)


@pytest.mark.parametrize(
    "part",
    [
        b'Content-Disposition: form-data; name="form_token"\r\n\r\n\xff\xfe',
        b'Content-Disposition: form-data; name="x"\r\nContent-Type: text/plain; charset=none\r\n\r\na',
        b"no header at all",
        b"",
    ],
)
def test_a_broken_form_with_a_file_is_no_fault_of_ours(applicant: Applicant, part: bytes) -> None:
    applicant.fill_in(plate_1="D-XY 77")
    body = b"--b\r\n" + part + b"\r\n--b--\r\n"
    headers = {"content-type": "multipart/form-data; boundary=b"}
    for cut in (body, body[: len(body) // 2], b""):
        answer = applicant.client.post("/apply/documents", content=cut, headers=headers)
        assert answer.status_code in (400, 403), answer.status_code


def test_the_registers_cannot_be_asked_at_will(applicant: Applicant) -> None:
    """Whether evidence is asked for tells whether somebody lives at an address."""
    applicant.fill_in()
    for _ in range(30):
        # Looking again is no other question.
        assert applicant.get("/apply/summary").status_code == 200
    statuses = []
    for place in range(30):
        applicant.send("/apply/person", **{**NAME, "family_name": f"Name{chr(65 + place)}", "email": ""})
        statuses.append(applicant.get("/apply/documents").status_code)
    assert statuses.count(200) < 25
    assert statuses[-1] == 429
    assert applicant.get("/apply/person").status_code == 200
