"""The printed pass: what people and machines find on the sheet."""

import io
import subprocess
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image
from pypdf import PdfReader
from pypdf.generic import DictionaryObject

from passes.errors import PassRefusal
from passes.model import City, DisplayMode, PassContent, Recipient
from passes.pass_types import PassType
from passes.pdf import PdfFactory
from passes.qr import QUIET_ZONE, qr_matrix
from passes.zones import Zone
from tests.passes.carrier_samples import CARD, HOLDER, PERMIT, SEAL, city, library_card, permit, seasonal

DPI = 150
MM_PER_PIXEL = 25.4 / DPI


@cache
def factory() -> PdfFactory:
    return PdfFactory()


def pdf(content: PassContent, made_for: City | None = None, language: str = "de") -> bytes:
    pass_type = CARD if content.type_id == "library-card" else PERMIT
    return factory().render(pass_type, content, made_for or city(), language)


def words(data: bytes) -> list[str]:
    """The text of each page, runs of white space made one space."""
    return [" ".join(page.extract_text().split()) for page in PdfReader(io.BytesIO(data)).pages]


def pictures(data: bytes, folder: Path) -> list[Image.Image]:
    """Each page as a printer would put it on paper, in grey at 150 dpi."""
    file = folder / "pass.pdf"
    file.write_bytes(data)
    subprocess.run(["pdftoppm", "-r", str(DPI), "-gray", "-png", str(file), str(folder / "page")], check=True)
    return [Image.open(page).convert("L") for page in sorted(folder.glob("page-*.png"))]


def test_the_card_says_what_a_warden_needs_and_nothing_of_the_holder() -> None:
    card, letter = words(pdf(permit("D-AB 123E")))
    for expected in (
        "Bewohnerparkausweis",
        "Landeshauptstadt Düsseldorf",
        "D-AB 123E",
        "MÜ",
        "Münsterstraße",
        "01.10.2027",
        "02.10.2026",
        "BPA-2026-100001",
    ):
        assert expected in card
    for line in HOLDER:
        assert line not in card
        assert line in letter
    assert "secret-token" not in card + letter


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (permit("D-AB 123", "NE-X 7", kind="two_plates"), ["D-AB 123", "NE-X 7"]),
        (permit(seasonal("GL-LM 711", 10, 3)), ["GL-LM 711", "10-03"]),
        (permit(kind="changing_vehicles"), ["wechselnde Fahrzeuge"]),
        (permit(organisation="Autos für alle eG", kind="carsharing"), ["Autos für alle eG"]),
        (permit("D-AB 123", zone=Zone("CITY-NORD 12", "Altstadt")), ["CITY-NORD 12", "Altstadt"]),
    ],
)
def test_every_kind_of_permit_shows_for_which_car_and_place_it_is(
    content: PassContent, expected: list[str]
) -> None:
    pages = words(pdf(content))
    assert len(pages) == 2
    for text in expected:
        assert text in pages[0]
        assert text in pages[1]


def test_the_library_card_is_a_letter_with_the_number_on_a_card_to_cut_out() -> None:
    (letter,) = words(pdf(library_card()))
    # On the card it stands in groups, whose gaps some programs take for spaces.
    assert letter.replace(" ", "").count("24711300000134") == 2
    assert letter.count("16.04.2027") == 2
    assert HOLDER[0] in letter
    assert "Windschutzscheibe" not in letter


def test_both_pages_say_where_the_print_has_to_be() -> None:
    for page in words(pdf(permit("D-AB 123"))):
        assert "gut lesbar hinter die Windschutzscheibe" in page
    for page in words(pdf(permit("D-AB 123"), language="en")):
        assert "Put the printed permit behind the windscreen" in page
    for page in words(pdf(permit("D-AB 123"), city(display_mode=DisplayMode.DIGITAL_ALLOWED))):
        assert "keinen Ausdruck im Fahrzeug" in page
        assert "hinter die Windschutzscheibe" not in page


def test_the_letter_follows_the_holder_and_the_card_stays_german() -> None:
    card, letter = words(pdf(permit("D-AB 123"), language="en"))
    assert "Gültig bis einschließlich" in card
    assert "01.10.2027" in card
    assert "How to use the permit" in card
    assert "1 October 2027" in letter
    assert "Guten Tag" not in letter
    assert PdfReader(io.BytesIO(pdf(permit("D-AB 123"), language="en"))).root_object["/Lang"] == "en"


def test_test_prints_say_so_on_every_page() -> None:
    for content in (permit("D-AB 123"), library_card()):
        for page in words(pdf(content, city(test=True))):
            assert "TEST – nicht gültig" in page
        for page in words(pdf(content)):
            assert "TEST" not in page


def fonts_of(reader: PdfReader) -> list[DictionaryObject]:
    found = []
    for page in reader.pages:
        for font in page["/Resources"]["/Font"].values():
            resolved = font.get_object()
            for inner in resolved.get("/DescendantFonts", [resolved]):
                found.append(inner.get_object()["/FontDescriptor"].get_object())
    return found


def test_the_cards_of_a_family_are_one_tagged_document(tmp_path: Path) -> None:
    cards = [
        replace(
            library_card(),
            number=f"M50000{place}",
            seal=SEAL[: -3 * place or None],
            issued_at=library_card().issued_at + timedelta(days=place),
        )
        for place in range(3)
    ]
    data = factory().render_several(CARD, cards, city(), "de")
    pages = words(data)
    assert len(pages) == 3
    assert all(card.number in page for card, page in zip(cards, pages, strict=True))
    codes = [zxingcpp.read_barcodes(one)[0].text for one in pictures(data, tmp_path)]
    assert codes == [card.seal for card in cards]
    root = PdfReader(io.BytesIO(data)).root_object
    assert "/StructTreeRoot" in root
    assert root["/Lang"] == "de"
    assert PdfReader(io.BytesIO(data)).metadata.title == "Bibliotheksausweis, 3 Stück"  # type: ignore[union-attr]
    assert factory().render_several(CARD, cards, city(), "de") == data
    assert factory().render_several(CARD, cards[:1], city(), "de") == factory().render(
        CARD, cards[0], city(), "de"
    )


@pytest.mark.parametrize("content", [permit("D-AB 123"), library_card()])
def test_the_file_is_tagged_titled_and_has_its_fonts(content: PassContent) -> None:
    reader = PdfReader(io.BytesIO(pdf(content)))
    root = reader.root_object
    assert root["/MarkInfo"]["/Marked"] is True or root["/MarkInfo"]["/Marked"].value is True
    assert root["/StructTreeRoot"]
    assert root["/Lang"] == "de"
    assert root["/ViewerPreferences"]["/DisplayDocTitle"]
    assert content.number in reader.metadata.title
    xmp = root["/Metadata"].get_object().get_data().decode()
    assert "pdfuaid:part>1<" in xmp
    assert "pdfaid:part>2<" in xmp
    descriptors = fonts_of(reader)
    assert descriptors
    for descriptor in descriptors:
        assert {"/FontFile", "/FontFile2", "/FontFile3"} & set(descriptor)
        assert "NotoSans" in descriptor["/FontName"]


def alternatives(node: object) -> list[str]:
    node = node.get_object() if hasattr(node, "get_object") else node
    if isinstance(node, list):
        return [text for kid in node for text in alternatives(kid)]
    if not isinstance(node, DictionaryObject):
        return []
    own = [str(node["/Alt"])] if "/Alt" in node else []
    return own + (alternatives(node["/K"]) if "/K" in node else [])


def test_the_code_has_a_text_for_those_who_cannot_see_it() -> None:
    reader = PdfReader(io.BytesIO(pdf(permit("D-AB 123"))))
    assert any("BPA-2026-100001" in text for text in alternatives(reader.root_object["/StructTreeRoot"]))


@pytest.mark.parametrize(
    ("content", "least"),
    [(permit("D-AB 123"), 45), (permit("D-AB 123", seal="SP1:" + "A" * 300), 45), (library_card(), 30)],
)
@pytest.mark.parametrize("made_for", [city(), city(test=True)])
def test_a_scanner_reads_the_seal_at_its_size_with_a_light_margin(
    content: PassContent, least: int, made_for: City, tmp_path: Path
) -> None:
    page = pictures(pdf(content, made_for), tmp_path)[0]
    (found,) = (one for one in zxingcpp.read_barcodes(page) if one.text == content.seal)
    assert found.ec_level == "M"
    corner, opposite = found.position.top_left, found.position.bottom_right
    left, top, right, bottom = corner.x, corner.y, opposite.x + 1, opposite.y + 1
    modules = qr_matrix(content.seal).modules
    assert (right - left) * MM_PER_PIXEL >= least
    assert (bottom - top) * MM_PER_PIXEL >= least
    # Light all around for four modules; one pixel is left to the rounding of the edges.
    quiet = round((right - left) / modules * QUIET_ZONE) - 2
    frame = page.crop((left - quiet, top - quiet, right + quiet, bottom + quiet))
    frame.paste(255, (quiet - 2, quiet - 2, frame.width - quiet + 2, frame.height - quiet + 2))
    assert frame.getextrema() == (255, 255)


HOSTILE = [
    '#panic("no") #sys.inputs',
    "$x^2$ *fett* _kursiv_ `roh`",
    "= Titel - Liste + 1. Punkt / Wort: x",
    "<label> @label \\ \\u{41} ~ -- --- ...",
    "// Kommentar /* offen",
    '"] }) #[ {{ %s %(a)s ${a}',
    "https://boese.example/ #image('x')",
]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_text_is_taken_for_markup(hostile: str) -> None:
    content = permit(
        organisation=hostile, kind="carsharing", recipient=Recipient((hostile, "40213 Düsseldorf"))
    )
    card, letter = words(pdf(content, city(name=hostile, contact=hostile)))
    bare = hostile.replace(" ", "")
    assert card.replace(" ", "").count(bare) == 2
    assert letter.replace(" ", "").count(bare) >= 4


def test_every_letter_of_german_registers_can_be_printed() -> None:
    # Letters and sequences of DIN 91379, among them those that have no code point of their own.
    names = "Ḩ Ộ Ș Ț Ź Đ Ə ß ẞ Þ Ƶ Ǥ C̆ c̀ D̂ K̦ k͟h L̥ l̥̄ M̂ N̦ R̥̄ S̄ Z̀ ž̦ A̋ a̋ ʼ ʹ ẗ"
    _, letter = words(pdf(permit("D-AB 123", recipient=Recipient((names,)))))
    assert "Ộ Ș Ț Ź Đ Ə ß ẞ" in letter
    with pytest.raises(PassRefusal) as refused:
        pdf(permit("D-AB 123", recipient=Recipient(("日本",))))
    assert refused.value.code == "PDF_LETTERS"
    assert "BPA-2026-100001" in refused.value.sentence("de")
    # A factory that refused one pass goes on with the next.
    assert "D-AB 123" in words(pdf(permit("D-AB 123")))[0]


def test_long_names_and_organisations_stay_on_their_pages() -> None:
    content = permit(
        organisation="Gemeinnützige Genossenschaft für gemeinschaftlich genutzte Fahrzeuge am Rhein eG",
        kind="carsharing",
        zone=Zone(
            "CITY-NORD 12", "Innenstadt nördlich der Kaiserstraße mit Rheinuferpromenade und Hofgarten"
        ),
        recipient=Recipient(
            (
                "Frau Dr. Dr. Maximiliane Theodora Friederike Wilhelmine Charlotte",
                "von und zu Hohenstein-Waldburg-Trauchberg-Übersee",
                "Zum Kühlen Grunde 17 c",
                "40213 Düsseldorf",
            )
        ),
    )
    card, letter = words(pdf(content))
    assert "BPA-2026-100001" in card
    assert "ohne Unterschrift gültig" in letter


def test_however_much_there_is_to_say_it_stays_on_the_card() -> None:
    content = permit(
        seasonal("DÜW-MW 88", 4, 10),
        seasonal("WW-MW 888", 4, 10),
        kind="two_plates",
        zone=Zone(
            "CITY-NORD WW", "Innenstadt nördlich der Kaiserstraße mit Rheinuferpromenade und Hofgarten"
        ),
    )
    office = city(
        name="Landeshauptstadt Düsseldorf, Amt für Verkehrsmanagement und Einwohnerwesen", test=True
    )
    heights: dict[str, float] = {}

    def note(text: str, outer: list[float], inner: list[float], *_: object) -> None:
        height = inner[4] * outer[1] + inner[5] * outer[3] + outer[5]
        heights.setdefault(text.strip(), height)

    PdfReader(io.BytesIO(pdf(content, office))).pages[0].extract_text(visitor_text=note)
    # In points from the bottom of the sheet; the card ends 9 mm above the fold.
    end_of_card = (297 / 2 + 9) / 25.4 * 72
    for last in ("BPA-2026-100001", "02.10.2026"):
        assert heights[last] > end_of_card + 8
    assert heights["01.10.2027"] > heights["Ausweisnummer"] + 8


def test_the_same_pass_gives_the_same_bytes_and_another_pass_others() -> None:
    content = permit("D-AB 123")
    first = pdf(content)
    assert PdfFactory().render(PERMIT, content, city(), "de") == first
    assert pdf(replace(content, number="BPA-2026-100002")) != first
    assert PdfReader(io.BytesIO(first)).metadata.creation_date == content.issued_at


def test_a_pass_without_address_has_a_letter_without_one() -> None:
    _, letter = words(pdf(permit("D-AB 123", recipient=None)))
    assert "Bewohnerparkausweis BPA-2026-100001" in letter


def test_a_type_decides_which_documents_there_are() -> None:
    import msgspec

    def only(*documents: str) -> PassType:
        spec = msgspec.structs.replace(
            PERMIT.spec, pdf=msgspec.structs.replace(PERMIT.spec.pdf, documents=documents)
        )
        return replace(PERMIT, spec=spec)

    (card,) = words(factory().render(only("windscreen-card"), permit("D-AB 123"), city(), "de"))
    assert HOLDER[0] not in card
    letter = words(factory().render(only("letter"), permit("D-AB 123"), city(), "de"))
    assert HOLDER[0] in letter[0]
    assert "Ihr Ausweis zum Ausschneiden" in letter[-1]


def test_text_that_is_no_seal_is_refused() -> None:
    with pytest.raises(PassRefusal) as refused:
        pdf(permit("D-AB 123", seal="SP1:" + SEAL.lower()))
    assert refused.value.code == "QR_ALPHABET"
