"""Apple passes as a phone, openssl and unzip see them."""

import hashlib
import json
import re
import subprocess
import unicodedata
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as replaced

from keys.errors import KeyRefusal
from passes.apple import ApplePassFactory
from passes.apple_schema import ApplePassInvalid
from passes.card_numbers import CardNumber
from passes.display import shown_fields
from passes.errors import PassRefusal
from passes.model import DisplayMode, PassStatus
from passes.pass_types import AppleSpec
from passes.periods import BERLIN, Period
from tests.passes.apple_samples import (
    LAST,
    NOW,
    TOKEN,
    authority,
    factory,
    fields_of,
    files_in,
    pass_in,
)
from tests.passes.carrier_samples import (
    CARD,
    LIBRARY_SEAL,
    PERMIT,
    SEAL,
    city,
    library_card,
    permit,
    seasonal,
)

CONTENTS = {
    "one plate": permit("D-AB 123E"),
    "two plates": permit("D-AB 123", seasonal("ME-XY 99", 4, 10), kind="two_plates"),
    "changing vehicles": permit(kind="changing_vehicles"),
    "car sharing": permit(organisation='Stadt "Auto" \\ Süd', kind="carsharing"),
}


def _strings(data: bytes) -> dict[str, str]:
    found = re.findall(r'^"((?:[^"\\]|\\.)*)" = "((?:[^"\\]|\\.)*)";$', data.decode("utf-8"), re.MULTILINE)
    assert len(found) == len(data.decode("utf-8").splitlines())
    plain = [
        tuple(re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), one) for one in pair) for pair in found
    ]
    return dict(plain)


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_a_pass_verifies_with_openssl_against_its_root(tmp_path, kind):
    archive = factory(kind=kind).build(permit("D-AB 123"), NOW)
    for name in ("manifest.json", "signature"):
        (tmp_path / name).write_bytes(files_in(archive)[name])
    (tmp_path / "root.pem").write_bytes(authority(kind).root.public_bytes(Encoding.PEM))
    for tool in ("smime", "cms"):
        made = subprocess.run(
            ["openssl", tool, "-verify", "-binary", "-inform", "DER", "-in", "signature", "-content",
             "manifest.json", "-CAfile", "root.pem", "-purpose", "any", "-attime", str(int(NOW.timestamp()))],
            capture_output=True, cwd=tmp_path, check=False,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr


def test_the_manifest_names_every_file_with_its_sha1():
    files = files_in(factory().build(permit("D-AB 123"), NOW))
    manifest = json.loads(files["manifest.json"])
    expected = {
        name: hashlib.sha1(data).hexdigest()
        for name, data in files.items()
        if name not in {"manifest.json", "signature"}
    }
    assert manifest == expected
    assert {
        "icon.png",
        "icon@2x.png",
        "icon@3x.png",
        "de.lproj/pass.strings",
        "en.lproj/pass.strings",
    } <= set(manifest)


def test_unzip_finds_no_fault(tmp_path):
    path = tmp_path / "one.pkpass"
    path.write_bytes(factory().build(permit("D-AB 123"), NOW))
    try:
        made = subprocess.run(["unzip", "-t", str(path)], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("unzip is not installed")
    assert made.returncode == 0, made.stdout
    assert "No errors detected" in made.stdout


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS.keys())
@pytest.mark.parametrize("mode", DisplayMode)
def test_the_pass_says_what_the_other_carriers_say(content, mode):
    of = city(display_mode=mode)
    fields = fields_of(json.loads(factory(of=of).pass_json(content)))
    shown = shown_fields(PERMIT, content, of, "de")
    assert fields.keys() - {"ISSUER", "reminder"} == shown.keys()
    for key, one in shown.items():
        assert fields[key]["label"] == one.label
        if one.day is None:
            assert fields[key]["value"] == one.text
        else:
            assert fields[key]["value"].startswith(f"{one.day}T12:00:00+0")
            assert fields[key]["dateStyle"] == "PKDateStyleMedium"
            assert fields[key]["ignoresTimeZone"] is True


@pytest.mark.parametrize("pass_type, content", [(PERMIT, CONTENTS["changing vehicles"]),
                                                (CARD, library_card(apple_token=TOKEN))])  # fmt: skip
@pytest.mark.parametrize("language", ["de", "en"])
def test_the_phone_shows_the_words_of_its_language(pass_type, content, language):
    files = files_in(factory(pass_type).build(content, NOW))
    strings = _strings(files[f"{language}.lproj/pass.strings"])
    data = json.loads(files["pass.json"])
    words = pass_type.words(language)
    assert strings[data["description"]] == words.description
    fields = fields_of(data)
    for key, one in shown_fields(pass_type, content, city(), language).items():
        assert strings[fields[key]["label"]] == one.label
        if one.day is None:
            assert strings.get(fields[key]["value"], fields[key]["value"]) == one.text
        if "changeMessage" in fields[key]:
            assert strings[fields[key]["changeMessage"]] == words.changes[key]


def test_both_languages_translate_the_same_texts():
    files = files_in(factory().build(permit("D-AB 123"), NOW))
    german, english = (_strings(files[f"{one}.lproj/pass.strings"]) for one in ("de", "en"))
    assert german.keys() == english.keys()
    assert all(key == value for key, value in german.items())


@settings(max_examples=150)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=100))
def test_any_text_comes_back_as_its_composed_form(text):
    data = json.loads(_PERMITS.pass_json(permit(organisation=text, kind="carsharing")))
    assert fields_of(data)["vehicle"]["value"] == unicodedata.normalize("NFC", text)


_PERMITS = factory()


def test_text_with_half_a_character_is_refused():
    with pytest.raises(ApplePassInvalid) as refused:
        _PERMITS.pass_json(permit(organisation="\ud83d", kind="carsharing"))
    assert refused.value.rule == "APPLE_RULE_JSON"


def test_an_overlong_serial_or_short_token_is_refused_with_its_place():
    for content, place in (
        (permit("D-AB 123", serial="x" * 200), "$.serialNumber"),
        (permit("D-AB 123", serial="a b"), "$.serialNumber"),
        (permit("D-AB 123", apple_token="short"), "$.authenticationToken"),
        (permit("D-AB 123", apple_token=""), "$.authenticationToken"),
    ):
        with pytest.raises(ApplePassInvalid) as refused:
            _PERMITS.build(content, NOW)
        assert refused.value.code == "APPLE_PASS_INVALID"
        assert refused.value.place == place
        assert "short" not in str(refused.value)


@pytest.mark.parametrize(
    "last, end",
    [
        (date(2026, 10, 24), "2026-10-25T00:00:00+02:00"),
        (date(2026, 10, 25), "2026-10-26T00:00:00+01:00"),
        (date(2027, 3, 28), "2027-03-29T00:00:00+02:00"),
        (date(2199, 12, 31), "2200-01-01T00:00:00+01:00"),
    ],
)
def test_it_expires_at_the_end_of_its_last_day_in_berlin(last, end):
    content = permit("D-AB 123", period=Period(date(2026, 10, 1), last))
    data = json.loads(_PERMITS.pass_json(content))
    assert data["expirationDate"] == end
    assert datetime.fromisoformat(data["expirationDate"]) == content.period.ends_at.astimezone(BERLIN)


def test_it_becomes_relevant_on_its_first_day():
    data = json.loads(_PERMITS.pass_json(permit("D-AB 123")))
    assert data["relevantDates"] == [
        {"startDate": "2026-10-02T00:00:00+02:00", "endDate": "2026-10-03T00:00:00+02:00"}
    ]
    assert data["relevantDate"] == "2026-10-02T00:00:00+02:00"


@pytest.mark.parametrize("status", PassStatus)
def test_a_withdrawn_pass_is_void_and_an_unpaid_one_never_exists(status):
    content = permit("D-AB 123", status=status)
    if status is PassStatus.PENDING_PAYMENT:
        with pytest.raises(PassRefusal) as refused:
            _PERMITS.build(content, NOW)
        assert refused.value.code == "APPLE_NOT_PAID"
        return
    withdrawn = {PassStatus.REVOKED, PassStatus.SUSPENDED, PassStatus.SUPERSEDED}
    assert pass_in(_PERMITS.build(content, NOW)).get("voided", False) is (status in withdrawn)


@pytest.mark.parametrize(
    "pass_type, content", [(PERMIT, permit("D-AB 123")), (CARD, library_card(apple_token=TOKEN))]
)
def test_a_pass_that_does_not_hold_says_so_on_its_face_and_not_why(pass_type, content):
    makes = factory(pass_type)
    assert "standing" not in fields_of(json.loads(makes.pass_json(content)))
    for status, german, english in (
        (PassStatus.SUSPENDED, "Gesperrt", ("Suspended", "Blocked")),
        (PassStatus.SUPERSEDED, "Ersetzt", ("Replaced",)),
    ):
        files = files_in(makes.build(replace(content, status=status), NOW))
        data = json.loads(files["pass.json"])
        [shown] = [one for one in data["generic"]["headerFields"] if one["key"] == "standing"]
        assert shown["value"] == german
        strings = _strings(files["en.lproj/pass.strings"])
        assert strings[german] in english
        assert strings[shown["label"]].startswith("Please ask")


def test_the_code_is_the_seal_with_the_number_beneath():
    data = json.loads(_PERMITS.pass_json(permit("D-AB 123")))
    expected = {
        "format": "PKBarcodeFormatQR",
        "message": SEAL,
        "messageEncoding": "iso-8859-1",
        "altText": "BPA-2026-100001",
    }
    assert data["barcodes"] == [expected]
    assert data["barcode"] == expected


def _with_barcodes(*barcodes: str) -> ApplePassFactory:
    spec = AppleSpec(style="storeCard", barcodes=barcodes)
    return factory(replace(CARD, spec=replaced(CARD.spec, apple=spec)))


@pytest.mark.parametrize(
    "number, formats",
    [
        ("24711300000134", ["Codabar", "I2of5", "Code128", "QR"]),
        ("4006381333931", ["Codabar", "EAN13", "Code128", "QR"]),
        ("4006381333932", ["Codabar", "Code128", "QR"]),
        ("A1234567X", ["Code128", "QR"]),
    ],
)
def test_codes_come_in_order_and_only_if_they_can_hold_the_number(number, formats):
    made = _with_barcodes("number:Codabar", "number:EAN13", "number:I2of5", "number:Code128", "seal:QR")
    data = json.loads(made.pass_json(library_card(CardNumber(number), apple_token=TOKEN)))
    assert [one["format"] for one in data["barcodes"]] == [f"PKBarcodeFormat{one}" for one in formats]
    assert {one["message"] for one in data["barcodes"][:-1]} == {number}
    assert {one["altText"] for one in data["barcodes"]} == {number}
    # Systems that know a single code get the first one that they can draw.
    assert data["barcode"]["format"] == "PKBarcodeFormatQR"
    assert data["barcode"]["message"] == LIBRARY_SEAL


def test_a_pass_without_a_code_for_old_systems_has_only_the_list():
    made = _with_barcodes("number:Codabar")
    data = json.loads(made.pass_json(library_card(apple_token=TOKEN)))
    assert "barcode" not in data
    assert len(data["barcodes"]) == 1


def test_an_unknown_code_format_is_refused_when_the_type_is_taken_up():
    with pytest.raises(ApplePassInvalid) as refused:
        _with_barcodes("number:ITF")
    assert refused.value.rule == "APPLE_RULE_BARCODE_FORMAT"


def test_the_web_service_has_https_a_token_and_no_v1():
    for base in ("https://ausweise.stadt.example", "https://ausweise.stadt.example/"):
        data = json.loads(factory(of=city(base_url=base)).pass_json(permit("D-AB 123")))
        assert data["webServiceURL"] == "https://ausweise.stadt.example/apple"
        assert data["authenticationToken"] == "secret-token-of-the-apple-web-service"
    with pytest.raises(PassRefusal) as refused:
        factory(of=city(base_url="http://ausweise.stadt.example"))
    assert refused.value.code == "APPLE_BASE_URL"
    with pytest.raises(ApplePassInvalid) as invalid:
        factory(of=city(base_url="https://stadt.example/v1")).pass_json(permit("D-AB 123"))
    assert invalid.value.rule == "APPLE_RULE_SERVICE_V1"


def test_a_test_city_says_test_wherever_the_pass_names_itself():
    of = city(test=True, base_url="http://localhost:8000")
    files = files_in(factory(of=of).build(permit("D-AB 123"), NOW))
    data = json.loads(files["pass.json"])
    for key in ("organizationName", "description", "logoText"):
        assert data[key].startswith("TEST ")
    assert fields_of(data)["TEST"]["value"].startswith("TEST")
    assert "webServiceURL" not in data
    english = _strings(files["en.lproj/pass.strings"])
    assert english[data["logoText"]] == "TEST Resident parking permit"
    assert "TEST" not in _PERMITS.pass_json(permit("D-AB 123")).decode()


def test_nothing_of_the_holder_is_in_a_pass():
    archive = _PERMITS.build(permit("D-AB 123"), NOW)
    for word in ("Şeyma", "Kühlen Grunde", "40213"):
        assert word.encode() not in archive


def test_city_and_holder_texts_are_composed():
    of = city(name="Du\u0308sseldorf", contact="Bu\u0308ro")
    data = json.loads(factory(of=of).pass_json(permit("D-AB 123")))
    assert data["organizationName"] == "D\u00fcsseldorf"
    assert fields_of(data)["contact"]["value"] == "B\u00fcro"


def test_equal_contents_give_equal_archives_and_bulk_gives_the_same():
    contents = [permit("D-AB 123", number=f"BPA-{number}") for number in range(70)]
    one_by_one = [_PERMITS.build(content, NOW) for content in contents]
    assert list(_PERMITS.build_all(contents, NOW)) == one_by_one
    assert len(set(one_by_one)) == 70


def test_bulk_hands_out_what_stands_before_a_fault():
    contents = [permit("D-AB 123", number=f"BPA-{number}") for number in range(40)]
    contents[35] = permit("D-AB 123", status=PassStatus.PENDING_PAYMENT)
    made = []
    with pytest.raises(PassRefusal) as refused:
        for archive in _PERMITS.build_all(contents, NOW):
            made.append(archive)
    assert refused.value.code == "APPLE_NOT_PAID"
    assert len(made) == 35


def test_a_certificate_that_has_ended_or_names_another_pass_type_signs_nothing():
    with pytest.raises(KeyRefusal) as ended:
        _PERMITS.build(permit("D-AB 123"), LAST + timedelta(days=1))
    assert ended.value.code == "APPLE_CERTIFICATE_EXPIRED"
    with pytest.raises(KeyRefusal) as ended:
        next(_PERMITS.build_all([permit("D-AB 123")], LAST + timedelta(days=1)))
    assert ended.value.code == "APPLE_CERTIFICATE_EXPIRED"
    with pytest.raises(KeyRefusal) as other:
        factory(of=city(apple_pass_type_identifier="pass.example.stadt.buecher"))
    assert other.value.code == "APPLE_PASS_TYPE"


def test_the_key_signs_once_for_each_pass_and_is_never_loaded_again():
    made = authority()
    signer = made.signer
    passes = ApplePassFactory(PERMIT, city(), made.certificate, (made.intermediate,), signer)
    assert signer.signed == []
    for _ in range(3):
        passes.build(permit("D-AB 123"), NOW)
    assert len(signer.signed) == 3


def test_one_german_text_with_two_translations_is_refused():
    english = PERMIT.texts["en"]
    german = PERMIT.texts["de"]
    labels = german.labels | {"zone": german.labels["vehicle"]}
    texts = {"de": replaced(german, labels=labels), "en": english}
    with pytest.raises(PassRefusal) as refused:
        factory(replace(PERMIT, texts=texts))
    assert refused.value.code == "APPLE_TEXT_TWICE"


def test_every_refusal_has_a_german_and_an_english_sentence():
    with pytest.raises(ApplePassInvalid) as refused:
        _PERMITS.pass_json(permit("D-AB 123", apple_token="x"))
    german, english = refused.value.sentence("de"), refused.value.sentence("en")
    assert "$.authenticationToken" in german
    assert "$.authenticationToken" in english
    assert german != english
