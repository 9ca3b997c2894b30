"""The files of a pass, read with other tools: OpenSSL, a QR reader, a PDF renderer, a JSON parser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
import urllib.parse
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image
from pypdf import PdfReader

from tests.e2e.base45 import base45
from tests.e2e.commandline import LIBRARY, PERMIT, TODAY, DemoCity, main_in_process
from tests.e2e.samples import FILES_OF_STATUS, MEMBERS, PERMITS, STATUS, write_csv

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
needs_poppler = pytest.mark.skipif(shutil.which("pdftoppm") is None, reason="needs pdftoppm")

PERMIT_NUMBERS = [row["permit_id"] for row in PERMITS]
WITH_SEAL = [number for number, status in STATUS.items() if FILES_OF_STATUS[status]]
WITH_ALL = [number for number, status in STATUS.items() if len(FILES_OF_STATUS[status]) > 2]
KINDS = {row["permit_id"]: row["permit_kind"] for row in PERMITS}
# Every kind of permit, seasons, long names and a few members: the cases that look different.
SAMPLE = sorted(
    (
        {PERMIT_NUMBERS[index] for index in (0, 2, 20, 45, 55, 67, 69, 71, 75, 76)}
        | {next(number for number in WITH_ALL if KINDS.get(number) == kind) for kind in set(KINDS.values())}
        | {row["member_id"] for row in MEMBERS[:3] + MEMBERS[-2:]}
    )
    & set(WITH_ALL)
)
PAPER, DIGITAL = "hinter die Windschutzscheibe", "keinen Ausdruck"


@dataclass(frozen=True)
class Carriers:
    """All files of one pass, taken apart."""

    out: Path
    number: str

    def path(self, suffix: str) -> Path:
        return self.out / f"{self.number}{suffix}"

    @cached_property
    def seal(self) -> str:
        text = self.path(".seal.txt").read_bytes().decode("ascii")
        assert text.endswith("\n")
        return text.removesuffix("\n")

    @cached_property
    def members(self) -> dict[str, bytes]:
        with zipfile.ZipFile(self.path(".pkpass")) as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    @cached_property
    def pass_json(self):
        return json.loads(self.members["pass.json"])

    @cached_property
    def google(self):
        return json.loads(self.path(".google.json").read_bytes())

    @cached_property
    def pdf_text(self) -> str:
        pages = PdfReader(self.path(".pdf")).pages
        return " ".join(" ".join(page.extract_text() for page in pages).split())

    def png_codes(self):
        with Image.open(self.path(".png")) as picture:
            return zxingcpp.read_barcodes(picture, formats=zxingcpp.BarcodeFormat.QRCode)

    def pdf_codes(self, folder: Path):
        subprocess.run(
            ["pdftoppm", "-r", "150", "-gray", "-png", self.path(".pdf"), folder / "page"], check=True
        )
        codes = []
        for page in sorted(folder.glob("page*.png")):
            with Image.open(page) as picture:
                codes += zxingcpp.read_barcodes(picture, formats=zxingcpp.BarcodeFormat.QRCode)
        return codes


def carriers(city: DemoCity, number: str) -> Carriers:
    return Carriers(city.out, number)


def modules_of(png: Path) -> int:
    """How many modules a side of the QR symbol has, from the picture alone."""
    with Image.open(png) as opened:
        picture = opened.convert("L").point(lambda value: 0 if value < 128 else 255)
    dark = picture.point(lambda value: 255 - value)
    left, top, right, bottom = dark.getbbox()
    assert right - left == bottom - top
    # The finder pattern begins with a run of seven dark modules.
    run = next(x for x in range(left, right) if picture.getpixel((x, top)))
    module = (run - left) / 7
    side = (right - left) / module
    assert abs(side - round(side)) < 1e-6
    return round(side)


@needs_openssl
def test_openssl_verifies_every_apple_pass(demo_city, tmp_path):
    root = demo_city.data / "demo-root.pem"
    assert "PRIVATE" not in root.read_text()
    manifest, signature = tmp_path / "manifest.json", tmp_path / "signature"
    for position, number in enumerate(WITH_ALL):
        members = carriers(demo_city, number).members
        manifest.write_bytes(members["manifest.json"])
        signature.write_bytes(members["signature"])
        for tool in ("smime", "cms") if position % 10 == 0 else ("smime",):
            done = subprocess.run(
                ["openssl", tool, "-verify", "-binary", "-inform", "DER", "-in", signature, "-content",
                 manifest, "-CAfile", root, "-out", tmp_path / "out"],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, f"{number}: {done.stderr}"
        shown = subprocess.run(
            ["openssl", "cms", "-cmsout", "-print", "-inform", "DER", "-in", signature],
            capture_output=True, text=True, check=True,
        ).stdout if position % 10 == 0 else ""  # fmt: skip
        if shown:
            assert re.search(r"signingTime.*?Nov 20 11:00:00 2026 GMT", shown, re.DOTALL), number


@needs_openssl
def test_openssl_refuses_a_pass_that_was_changed(demo_city, tmp_path):
    members = carriers(demo_city, WITH_ALL[0]).members
    (tmp_path / "signature").write_bytes(members["signature"])
    (tmp_path / "manifest.json").write_bytes(members["manifest.json"].replace(b"a", b"b", 1))
    done = subprocess.run(
        ["openssl", "smime", "-verify", "-binary", "-inform", "DER", "-in", tmp_path / "signature", "-content",
         tmp_path / "manifest.json", "-CAfile", demo_city.data / "demo-root.pem"],
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0


def test_every_manifest_names_every_file_with_its_hash(demo_city):
    for number in WITH_ALL:
        members = carriers(demo_city, number).members
        manifest = json.loads(members["manifest.json"])
        expected = {
            name: hashlib.sha1(content).hexdigest()
            for name, content in members.items()
            if name not in ("manifest.json", "signature")
        }
        assert manifest == expected, number
        assert {"icon.png", "pass.json", "de.lproj/pass.strings", "en.lproj/pass.strings"} <= set(manifest)


@pytest.mark.parametrize("number", SAMPLE)
def test_all_carriers_show_the_same_seal(demo_city, number):
    one = carriers(demo_city, number)
    assert one.seal.startswith("SP1:")
    [png] = one.png_codes()
    assert (png.text, png.format) == (one.seal, zxingcpp.BarcodeFormat.QRCode)
    assert [code["message"] for code in one.pass_json["barcodes"]] == [one.seal]
    assert one.pass_json["barcode"] == one.pass_json["barcodes"][0]
    assert one.google["object"]["barcode"]["value"] == one.seal
    shown = json.loads(main_in_process("show", number, "--data", demo_city.data, "--json").stdout)
    assert shown["seal"] == one.seal


@needs_poppler
@pytest.mark.parametrize("number", SAMPLE[::3])
def test_the_print_shows_the_same_seal(demo_city, tmp_path, number):
    one = carriers(demo_city, number)
    codes = one.pdf_codes(tmp_path)
    # A permit's paper has the card for the windscreen and the letter; further codes lead elsewhere.
    assert one.seal in {code.text for code in codes}
    assert {code.text for code in codes if code.text.startswith("SP1")} == {one.seal}


def test_every_picture_holds_the_seal_of_its_text(demo_city):
    for number in WITH_SEAL[::7]:
        one = carriers(demo_city, number)
        assert [code.text for code in one.png_codes()] == [one.seal], number


def test_seals_are_as_short_as_promised(demo_city):
    plates = {row["permit_id"]: bool(row["plate_1"]) + bool(row["plate_2"]) for row in PERMITS}
    for number in WITH_SEAL:
        one = carriers(demo_city, number)
        version = (modules_of(one.path(".png")) - 17) // 4
        size = len(base45(one.seal.removeprefix("SP1:")))
        assert version <= 10, number
        if plates.get(number) == 1:
            assert size <= 160, (number, size)
            assert version <= 9, number
        if number not in plates:
            assert version <= 9, number
    levels = {carriers(demo_city, number).png_codes()[0].ec_level for number in WITH_SEAL[::20]}
    assert levels == {"M"}


def test_the_google_link_names_the_object_and_its_class(demo_city):
    for number in WITH_ALL:
        one = carriers(demo_city, number)
        link = one.path(".save-link.txt").read_text().strip()
        assert len(link) <= 1800
        address = urllib.parse.urlsplit(link)
        assert (address.scheme, address.netloc) == ("https", "pay.google.com")
        token = address.path.removeprefix("/gp/v/save/")
        header, payload, signature = (
            base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in token.split(".")
        )
        assert json.loads(header)["alg"] == "RS256"
        assert len(signature) >= 256
        claims = json.loads(payload)
        assert (claims["aud"], claims["typ"]) == ("google", "savetowallet")
        assert claims["iss"].endswith("gserviceaccount.com")
        [named] = claims["payload"]["genericObjects"]
        assert named["id"] == one.google["object"]["id"]
        assert named["classId"] == one.google["object"]["classId"] == one.google["class"]["id"]


def persons():
    """What tells of the holder of each pass, as it stands in the files; short words are in every text."""
    for row in PERMITS:
        address = f"{row['street']} {row['house_number']}"
        yield (
            row["permit_id"],
            {row["family_name"], row["given_name"], address, row["email"], row["holder_ref"]},
        )
    for row in MEMBERS:
        yield row["member_id"], {row["family_name"], row["given_name"], row["email"], row["birth_date"]}


def test_no_person_is_named_on_any_carrier_but_the_letter(demo_city):
    # A name may be a word of the fixed texts or of the city: then it proves nothing.
    another = carriers(demo_city, WITH_ALL[0]), carriers(demo_city, WITH_ALL[-1])
    fixed = "".join(
        member.decode("utf-8", "replace") for one in another for member in one.members.values()
    ) + json.dumps([one.google for one in another], ensure_ascii=False)
    checked = 0
    for position, (number, words) in enumerate(persons()):
        known = [word for word in words if len(word) >= 4 and word not in fixed]
        if number not in WITH_SEAL or (number in (another[0].number, another[1].number) and position):
            continue
        one = carriers(demo_city, number)
        places = {"seal": one.seal, "seal bytes": base45(one.seal.removeprefix("SP1:")).decode("latin-1")}
        if number in WITH_ALL:
            for name, member in one.members.items():
                if not name.endswith(".png") and name != "signature":
                    places[name] = member.decode("utf-8")
            places["google"] = json.dumps(one.google, ensure_ascii=False)
            payload = one.path(".save-link.txt").read_text().split(".")[-2]
            places["link"] = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).decode()
        for place, text in places.items():
            checked += len(known)
            assert [word for word in known if word in text] == [], (number, place)
    assert checked > 5000


def test_no_person_is_named_in_what_is_published(demo_city):
    published = {
        str(file.relative_to(demo_city.published)): file.read_bytes()
        for file in demo_city.published.rglob("*")
        if file.is_file()
    }
    assert "plates.cwt" in published
    for number, words in persons():
        for word in [*(word for word in words if len(word) >= 5), number]:
            hits = [name for name, content in published.items() if word.encode() in content]
            assert hits == [], word


def test_the_letter_names_the_holder(demo_city):
    row = next(row for row in PERMITS if row["permit_id"] in WITH_ALL and " " not in row["family_name"])
    text = carriers(demo_city, row["permit_id"]).pdf_text
    assert row["family_name"] in text and row["street"] in text and row["postal_code"] in text


def back_fields(one: Carriers) -> dict[str, str]:
    return {field["key"]: field["value"] for field in one.pass_json["generic"]["backFields"]}


def mode_words(one: Carriers) -> list[str]:
    google = json.dumps(one.google, ensure_ascii=False)
    english = one.members["en.lproj/pass.strings"]
    english_text = english.decode("utf-16" if english[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8")
    return [back_fields(one)["display_hint"], google, one.pdf_text, english_text]


def verdict_message(city: DemoCity, number: str, state: Path, language: str = "de") -> str:
    done = main_in_process(
        "verify", carriers(city, number).seal, "--trust", city.published, "--state", state,
        "--today", TODAY, "--lang", language, "--json",
    )  # fmt: skip
    assert done.code == 0, done.stdout + done.stderr
    return json.loads(done.stdout)["message"]


def test_the_display_mode_is_told_on_every_carrier_and_by_the_verdict(demo_city, tmp_path):
    number = PERMIT_NUMBERS[0]
    city = demo_city.copy(tmp_path / "city", with_out=False)
    file = write_csv(tmp_path / "one.csv", PERMITS[:1])
    for mode, german, other in (
        ("paper_required", PAPER, DIGITAL),
        ("digital_allowed", DIGITAL, PAPER),
    ):
        shutil.rmtree(city.out, ignore_errors=True)
        assert main_in_process("config", "set", "display_mode", mode, "--data", city.data).code == 0
        common = ("--data", city.data, "--today", TODAY)
        assert main_in_process("issue", PERMIT, file, "--out", city.out, *common).code == 0
        assert main_in_process("publish", "--out", city.published, *common).code == 0
        one = carriers(city, number)
        hint, google, pdf, english = mode_words(one)
        for place in (hint, google, pdf):
            assert german in place and other not in place, mode
        assert f'"{hint}" = "' in english
        said = verdict_message(city, number, tmp_path / "state")
        assert ("gedruckte Ausweis" in said) == (mode == "paper_required")
        assert ("print" in verdict_message(city, number, tmp_path / "state", "en")) == (
            mode == "paper_required"
        )
    # What is in the wallets already says the same seal: the mode is no part of it.
    assert one.seal == carriers(demo_city, number).seal


def test_a_library_card_says_nothing_about_a_car(demo_city, tmp_path):
    number = next(number for number in WITH_ALL if number.startswith("M"))
    one = carriers(demo_city, number)
    assert "display_hint" not in back_fields(one)
    for text in (one.pdf_text, json.dumps(one.google, ensure_ascii=False)):
        assert "Windschutzscheibe" not in text
    assert "gedruckte" not in verdict_message(demo_city, number, tmp_path / "state")


def test_everything_of_the_demo_is_marked_as_a_test(demo_city, tmp_path):
    for number in (PERMIT_NUMBERS[0], next(number for number in WITH_ALL if number.startswith("M"))):
        one = carriers(demo_city, number)
        for key in ("organizationName", "description", "logoText"):
            assert "TEST" in one.pass_json[key]
        assert "TEST" in one.google["object"]["cardTitle"]["defaultValue"]["value"]
        assert "TEST" in one.pdf_text
        assert "TEST" in verdict_message(demo_city, number, tmp_path / "state")


def test_the_library_card_shows_its_number_as_it_is_printed(demo_city):
    for row in MEMBERS[::25]:
        if row["member_id"] in WITH_ALL:
            one = carriers(demo_city, row["member_id"])
            for text in (json.dumps(one.pass_json), json.dumps(one.google), one.pdf_text):
                assert row["card_number"] in text


def test_both_languages_are_in_the_wallet(demo_city):
    for type_id, number in ((PERMIT, PERMIT_NUMBERS[0]), (LIBRARY, MEMBERS[0]["member_id"])):
        one = carriers(demo_city, number)
        assert one.members["de.lproj/pass.strings"] != one.members["en.lproj/pass.strings"]
        subheader = one.google["object"]["subheader"]
        assert {entry["language"] for entry in subheader["translatedValues"]} >= {"en"}, type_id


def test_the_print_of_a_permit_without_a_plate_is_always_asked_for(fresh_city, tmp_path):
    """Where the phone is enough, it is so because of the plate list, and this permit is in none."""
    assert (
        main_in_process("config", "set", "display_mode", "digital_allowed", "--data", fresh_city.data).code
        == 0
    )
    rows = [row for row in PERMITS if row["status"] == "active"]
    kinds = [
        next(row for row in rows if row["permit_kind"] == kind) for kind in ("standard", "changing_vehicles")
    ]
    assert main_in_process(
        "issue", PERMIT, write_csv(tmp_path / "two.csv", kinds), "--data", fresh_city.data, "--out",
        fresh_city.out, "--today", TODAY,
    ).code == 0  # fmt: skip
    common = ("--data", fresh_city.data, "--today", TODAY)
    assert main_in_process("publish", *common, "--out", fresh_city.published).code == 0
    said = [
        main_in_process(
            "verify", fresh_city.out / f"{row['permit_id']}.seal.txt", "--trust", fresh_city.published,
            "--today", TODAY,
        ).stdout
        for row in kinds
    ]  # fmt: skip
    assert ["gedruckte Ausweis" in text for text in said] == [False, True]
