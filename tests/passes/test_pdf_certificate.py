"""The certificate of residence on paper: what people read, what a scanner reads, and that it is one page."""

import io
import subprocess
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import zxingcpp
from PIL import Image
from pypdf import PdfReader

from passes.errors import PassRefusal
from passes.model import City, PassContent
from passes.pdf import PdfFactory
from passes.pdf_certificate import HowToCheck
from passes.qr import qr_matrix
from passes.seal import MAX_TEXT, Sealer, read_seal
from passes.sealing import seal_content
from tests.passes.carrier_samples import city
from tests.passes.credential_samples import RESIDENCE, residence
from tests.passes.test_pdf import alternatives, fonts_of, words
from tests.trust_factory import Key

DPI = 200
MM_PER_PIXEL = 25.4 / DPI
APP = "https://check.stadt.example/check/"
KEY = Key()
LONG = {
    "family_name": "von und zu Hohenstein-Waldburg-Trauchberg-Übersee-Müller-Lüdenscheidt Gräfin",
    "given_names": "Maximiliane Theodora Friederike Wilhelmine Charlotte Ägidia Ößtha",
    "usual_given_name": "Friederike",
    "doctoral_degree": "Dr. Dr.",
    "main_street": "Straße des Siebzehnten Juni an der Großen Wülfrather Höhe, Hinterhaus",
    "main_house_number": "117 a–d",
    "further_street": "Bürgermeister-Smidt-Straße",
    "further_house_number": "12",
    "further_postal_code": "27568",
    "further_city": "Bremerhaven (Lehe-Süd)",
    "former_names": "Großmann-Überländer",
    "artistic_name": "Schwester Maria Immaculata vom Heiligen Kreuz",
}
FURTHER = {name: value for name, value in LONG.items() if name in ("former_names", "artistic_name")}


@cache
def factory() -> PdfFactory:
    return PdfFactory()


def sealed_content(attributes: dict[str, Any] | None = None) -> PassContent:
    """A certificate with the seal that a city would give it."""
    content = residence(attributes or {})
    told = seal_content(
        RESIDENCE,
        content.number,
        content.period,
        content.attributes,
        issued_at=content.issued_at,
        status_list=3,
        status_index=123_456,
    )
    return replace(content, seal=Sealer(KEY, KEY.kid).seal(told))


def pdf(
    content: PassContent, language: str = "de", *, made_for: City | None = None, has_seal: bool = True
) -> bytes:
    return factory().render(RESIDENCE, content, made_for or city(), language, HowToCheck(APP, has_seal))


def page(data: bytes) -> str:
    (only,) = words(data)
    return only


def in_order(text: str, *parts: str) -> bool:
    places = [text.find(part) for part in parts]
    return -1 not in places and places == sorted(places)


def test_it_certifies_in_the_order_of_the_law() -> None:
    text = page(pdf(sealed_content({**LONG, "former_names": "", "artistic_name": ""})))
    assert in_order(
        text,
        "Landeshauptstadt Düsseldorf",
        "Meldebescheinigung",
        "MB-2026-000001",
        "20.11.2026",
        "17.02.2027",
        "Nach § 18 Abs. 1 des Bundesmeldegesetzes",
        "Familienname",
        "Vornamen",
        "Gebräuchlicher Vorname",
        "Doktorgrad",
        "Geburtsdatum",
        "29.02.1984",
        "Hauptwohnung",
        "40213 Düsseldorf",
        "Nebenwohnung",
        "Hauptstraße 1",
        "Weitere Nebenwohnung",
        "27568 Bremerhaven",
        "So prüfen Sie diese Bescheinigung",
    ), text
    assert "§ 18 Abs. 2" not in text, "nobody has asked for more"
    assert "ohne Unterschrift gültig" in text
    assert "Ausschneiden" not in text


def test_what_somebody_has_asked_for_besides_stands_apart() -> None:
    text = page(pdf(sealed_content(FURTHER)))
    assert in_order(
        text, "Nebenwohnung", "§ 18 Abs. 2", "Frühere Namen", "Großmann", "Künstlername", "Schwester"
    )


def test_in_english_it_still_says_what_it_is_called_here() -> None:
    data = pdf(sealed_content(FURTHER), "en")
    assert in_order(
        page(data),
        "Certificate of residence",
        "Meldebescheinigung",
        "20 November 2026",
        "17 February 2027",
        "section 18 (1)",
        "Given names",
        "29 February 1984",
        "Main residence",
        "section 18 (2)",
        "How to check",
        APP,
    )
    assert PdfReader(io.BytesIO(data)).root_object["/Lang"] == "en"


@pytest.mark.parametrize("language", ["de", "en"])
def test_it_says_how_to_check_and_of_the_electronic_seal_only_if_there_is_one(language: str) -> None:
    with_seal, without = (page(pdf(sealed_content(), language, has_seal=one)) for one in (True, False))
    for text in (with_seal, without):
        assert APP in text
    carries, lacks = {
        "de": ("trägt ein elektronisches Siegel", "trägt kein elektronisches Siegel"),
        "en": ("carries an electronic seal", "carries no electronic seal"),
    }[language]
    assert carries in with_seal and lacks not in with_seal
    assert lacks in without and carries not in without


def test_without_word_of_the_app_it_is_at_the_citys_address_and_there_is_no_seal() -> None:
    text = page(factory().render(RESIDENCE, sealed_content(), city(), "de"))
    assert "https://ausweise.stadt.example/check/" in text
    assert "kein elektronisches Siegel" in text


def heaviest() -> PassContent:
    """As much as the seal can hold, and all the rest at its longest."""
    most = (("Wörterbuch " * 18)[:199]).strip()
    names = ("former_names", "usual_given_name", "artistic_name", "secondary_street", "secondary_city")
    attributes = dict.fromkeys((*names, "further_street", "further_city"), most) | {
        "family_name": "Müller-Lüdenscheidt " * 4,
        "given_names": "Maximiliane Theodora " * 4,
        "main_street": "Große Höhe " * 8,
    }
    return sealed_content({name: value.strip() for name, value in attributes.items()})


@pytest.mark.parametrize("language", ["de", "en"])
@pytest.mark.parametrize("content", [sealed_content(LONG), heaviest()], ids=["long", "heaviest"])
def test_long_names_and_three_residences_stay_on_one_page(content: PassContent, language: str) -> None:
    text = page(pdf(content, language, made_for=city(test=True)))
    for value in content.attributes.values():
        if isinstance(value, str):
            assert value.replace(" ", "") in text.replace(" ", ""), value
    assert "TEST" in text


@pytest.mark.parametrize("content", [sealed_content(), sealed_content(LONG)], ids=["usual", "long"])
@pytest.mark.parametrize("test", [False, True])
def test_a_scanner_reads_the_person_from_paper(content: PassContent, test: bool, tmp_path: Path) -> None:
    file = tmp_path / "certificate.pdf"
    file.write_bytes(pdf(content, made_for=city(test=test)))
    subprocess.run(
        ["pdftoppm", "-r", str(DPI), "-gray", "-png", str(file), str(tmp_path / "page")], check=True
    )
    (picture,) = tmp_path.glob("page*.png")
    (found,) = zxingcpp.read_barcodes(Image.open(picture).convert("L"))
    assert found.text == content.seal
    person = read_seal(found.text).content.person
    assert person is not None
    assert person.birth_date == date(1984, 2, 29)
    assert person.full_name.endswith(str(content.attributes["family_name"]))
    assert person.address[-1] == "40213 Düsseldorf"
    width = (found.position.top_right.x - found.position.top_left.x) * MM_PER_PIXEL
    assert width > 44


def test_the_largest_seal_has_modules_that_an_office_printer_sets() -> None:
    modules = qr_matrix("SP1:" + "A" * (MAX_TEXT - 4)).modules + 8
    assert 54 / modules > 0.5, "millimetres a module"


def test_it_is_tagged_titled_and_has_its_fonts() -> None:
    reader = PdfReader(io.BytesIO(pdf(sealed_content(LONG))))
    root = reader.root_object
    assert root["/MarkInfo"]["/Marked"]
    assert root["/ViewerPreferences"]["/DisplayDocTitle"]
    assert reader.metadata is not None
    assert reader.metadata.title == "Meldebescheinigung MB-2026-000001"
    assert "MB-2026-000001" in " ".join(alternatives(root["/StructTreeRoot"]))
    xmp = root["/Metadata"].get_object().get_data().decode()
    assert "pdfuaid:part>1<" in xmp
    assert "pdfaid:part>2<" in xmp
    assert all("NotoSans" in one["/FontName"] for one in fonts_of(reader))


def test_the_same_certificate_gives_the_same_bytes() -> None:
    content = sealed_content(LONG)
    assert pdf(content) == PdfFactory().render(
        RESIDENCE, content, city(), "de", HowToCheck(APP, has_seal=True)
    )


def test_letters_that_no_font_has_are_refused() -> None:
    with pytest.raises(PassRefusal) as refused:
        pdf(sealed_content({"former_names": "日本"}))
    assert refused.value.code == "PDF_LETTERS"


HOSTILE = ["#panic(1) $x$ *a* <b> @c // d /* e", '"] }) #[ {{ %s {last} ${a}']


@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_name_is_taken_for_markup(hostile: str) -> None:
    text = page(pdf(sealed_content({"former_names": hostile, "family_name": hostile})))
    assert text.replace(" ", "").count(hostile.replace(" ", "")) == 2
