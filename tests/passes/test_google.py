"""The Google class and object: what Google's discovery document allows, and what the holder reads."""

import json
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passes import rotating
from passes.card_numbers import CardNumber
from passes.errors import PassRefusal
from passes.google import GooglePassFactory, google_class, google_object
from passes.model import City, DisplayMode, PassContent, PassStatus
from passes.pass_types import PassType
from passes.periods import Period
from passes.zones import Zone
from tests.passes.carrier_samples import (
    CARD,
    HOLDER,
    LIBRARY_SEAL,
    PERMIT,
    SEAL,
    city,
    library_card,
    permit,
    seasonal,
)
from tests.passes.google_schema import faults

ROTATING_KEY = rotating.pass_key(bytes(range(32)), "BPA-2026-100001")


def with_google(pass_type: PassType, **changes: object) -> PassType:
    """The type with other values under ``[google]``."""
    import msgspec

    spec = pass_type.spec
    return replace(
        pass_type, spec=msgspec.structs.replace(spec, google=msgspec.structs.replace(spec.google, **changes))
    )


CONTENTS: list[tuple[PassType, PassContent]] = [
    (PERMIT, permit("D-AB 123E")),
    (PERMIT, permit("D-AB 123", seasonal("NE-X 12", 4, 10), kind="two_plates")),
    (PERMIT, permit(kind="changing_vehicles")),
    (PERMIT, permit(organisation="Genossenschaft für geteilte Autos eG", kind="carsharing")),
    (CARD, library_card()),
]


@pytest.mark.parametrize(("pass_type", "content"), CONTENTS)
@pytest.mark.parametrize(
    "made_for", [city(), city(test=True), city(display_mode=DisplayMode.DIGITAL_ALLOWED)]
)
def test_class_and_object_are_as_the_discovery_document_says(
    pass_type: PassType, content: PassContent, made_for: City
) -> None:
    factory = GooglePassFactory(pass_type, made_for, callback_url="https://ausweise.stadt.example/google")
    assert faults("GenericClass", factory.google_class()) == []
    assert faults("GenericObject", factory.google_object(content)) == []
    json.dumps([factory.google_class(), factory.google_object(content)])


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        ({"reviewStatus": "UNDER_REVIEW"}, "not in the discovery document"),
        ({"state": "active"}, "is not among the values"),
        ({"state": "GONE"}, "is not among the values"),
        ({"textModulesData": {}}, "not an array"),
        ({"hexBackgroundColor": 1}, "not a string"),
        ({"validTimeInterval": {"start": {"date": "2026-10-02T00:00:00"}}}, "no offset"),
        ({"rotatingBarcode": {"totpDetails": {"periodMillis": 30000}}}, "not a string"),
        ({"rotatingBarcode": {"totpDetails": {"periodMillis": "30 s"}}}, "not an integer as a string"),
        ({"rotatingBarcode": {"totpDetails": {"parameters": [{"valueLength": "8"}]}}}, "not an integer"),
        ({"notifications": {"expiryNotification": {"enableNotification": 1}}}, "not a boolean"),
    ],
)
def test_the_check_against_the_discovery_document_finds_faults(damage: dict[str, object], fault: str) -> None:
    (found,) = faults("GenericObject", google_object(PERMIT, permit("D-AB 123"), city()) | damage)
    assert fault in found


def test_ids_name_issuer_tenant_and_type_or_the_random_serial() -> None:
    content = permit("D-AB 123")
    made = google_object(PERMIT, content, city())
    assert made["id"] == f"3388000000012345678.{content.serial}"
    assert made["classId"] == google_class(PERMIT, city())["id"]
    # Two cities under one issuer account must not write each other's class.
    assert google_class(PERMIT, city())["id"] != google_class(PERMIT, city(tenant="neuss"))["id"]


def test_generic_types() -> None:
    assert google_object(PERMIT, permit("D-AB 123"), city())["genericType"] == "GENERIC_PARKING_PASS"
    assert google_object(CARD, library_card(), city())["genericType"] == "GENERIC_LIBRARY_MEMBERSHIP"


def test_all_kinds_of_vehicle_are_the_header() -> None:
    headers = [google_object(*pair, city())["header"]["defaultValue"]["value"] for pair in CONTENTS[:4]]
    assert headers[0] == "D-AB 123E"
    assert headers[1].startswith("D-AB 123, NE-X 12")
    assert headers[2] == "wechselnde Fahrzeuge"
    assert headers[3] == "Genossenschaft für geteilte Autos eG"


def test_every_row_of_the_card_shows_a_text_that_the_object_has() -> None:
    for pass_type, content in (CONTENTS[0], CONTENTS[4]):
        rows = google_class(pass_type, city())["classTemplateInfo"]["cardTemplateOverride"]
        assert 1 <= len(rows["cardRowTemplateInfos"]) <= 3
        paths = [
            item["firstValue"]["fields"][0]["fieldPath"]
            for row in rows["cardRowTemplateInfos"]
            for items in row.values()
            for item in items.values()
        ]
        modules = google_object(pass_type, content, city())["textModulesData"]
        known = [f"object.textModulesData['{module['id']}']" for module in modules]
        assert set(paths) <= set(known)
        assert len(set(known)) == len(known)


def bodies(made: dict[str, object], language: str) -> dict[str, str]:
    found = {}
    for module in made["textModulesData"]:  # type: ignore[attr-defined]
        body = module["localizedBody"]
        translated = {one["language"]: one["value"] for one in body.get("translatedValues", [])}
        found[module["id"]] = translated.get(language, body["defaultValue"]["value"])
    return found


def test_german_is_the_default_and_english_the_translation() -> None:
    made = google_object(PERMIT, permit("D-AB 123"), city())
    assert made["subheader"] == {
        "defaultValue": {"language": "de", "value": "Bewohnerparkausweis"},
        "translatedValues": [{"language": "en", "value": "Resident parking permit"}],
    }
    assert bodies(made, "de")["valid_until"] == "01.10.2027"
    assert bodies(made, "en")["valid_until"] == "1 October 2027"


def test_the_object_says_where_the_print_has_to_be() -> None:
    paper = google_object(PERMIT, permit("D-AB 123"), city())
    digital = google_object(PERMIT, permit("D-AB 123"), city(display_mode=DisplayMode.DIGITAL_ALLOWED))
    assert "hinter die Windschutzscheibe" in bodies(paper, "de")["display_hint"]
    assert "behind the windscreen" in bodies(paper, "en")["display_hint"]
    assert "keinen Ausdruck" in bodies(digital, "de")["display_hint"]
    assert "display_hint" not in bodies(google_object(CARD, library_card(), city()), "de")


@pytest.mark.parametrize(
    ("first", "last", "start", "end"),
    [
        (date(2026, 3, 29), date(2026, 10, 25), "2026-03-29T00:00:00+01:00", "2026-10-25T23:59:59+01:00"),
        (date(2026, 3, 30), date(2026, 10, 24), "2026-03-30T00:00:00+02:00", "2026-10-24T23:59:59+02:00"),
    ],
)
def test_the_interval_covers_whole_days_in_berlin_time(first: date, last: date, start: str, end: str) -> None:
    made = google_object(PERMIT, permit("D-AB 123", period=Period(first, last)), city())
    assert made["validTimeInterval"] == {"start": {"date": start}, "end": {"date": end}}


@pytest.mark.parametrize("status", list(PassStatus))
def test_only_an_active_pass_is_active_and_reminds_of_its_end(status: PassStatus) -> None:
    made = google_object(PERMIT, permit("D-AB 123", status=status), city())
    assert faults("GenericObject", made) == []
    assert (made["state"] == "ACTIVE") is (status is PassStatus.ACTIVE)
    assert ("notifications" in made) is (status is PassStatus.ACTIVE)
    told = bodies(made, "de").get("standing"), bodies(made, "en").get("standing")
    assert told == {
        PassStatus.SUSPENDED: ("Gesperrt", "Suspended"),
        PassStatus.REVOKED: ("Widerrufen", "Revoked"),
        PassStatus.SUPERSEDED: ("Ersetzt", "Replaced"),
    }.get(status, (None, None))


def test_the_static_code_is_the_seal_with_the_number_below() -> None:
    code = google_object(PERMIT, permit("D-AB 123"), city())["barcode"]
    assert (code["type"], code["value"], code["alternateText"]) == ("QR_CODE", SEAL, "BPA-2026-100001")
    code = google_object(CARD, library_card(), city())["barcode"]
    assert (code["value"], code["alternateText"]) == (LIBRARY_SEAL, "24711300000134")


def test_a_code_rotates_only_if_the_city_wants_it_and_a_key_is_there() -> None:
    content, wants = permit("D-AB 123"), city(google_rotating_barcode=True)
    for made in (
        google_object(PERMIT, content, wants),
        google_object(PERMIT, content, city(), ROTATING_KEY),
    ):
        assert made["barcode"]["value"] == SEAL
        assert "rotatingBarcode" not in made
    made = google_object(PERMIT, content, wants, ROTATING_KEY)
    assert faults("GenericObject", made) == []
    assert "barcode" not in made
    assert made["rotatingBarcode"]["totpDetails"]["periodMillis"] == "30000"


def test_what_google_draws_of_a_rotating_code_is_fresh_for_the_verifier() -> None:
    made = google_object(PERMIT, permit("D-AB 123"), city(google_rotating_barcode=True), ROTATING_KEY)
    code = made["rotatingBarcode"]
    (parameters,) = code["totpDetails"]["parameters"]
    now = 1_795_000_000
    digits = rotating.totp(bytes.fromhex(parameters["key"]), now)
    assert len(digits) == parameters["valueLength"]
    drawn = code["valuePattern"].replace("{totp_timestamp_seconds}", str(now))
    shown = rotating.split(drawn.replace("{totp_value_0}", digits))
    assert "SP1:" + shown.token == SEAL
    assert rotating.is_fresh(shown, bytes(range(32)), "BPA-2026-100001", now, 0)


def test_a_rotating_key_of_another_length_is_our_fault() -> None:
    with pytest.raises(ValueError, match="20 bytes"):
        google_object(PERMIT, permit("D-AB 123"), city(google_rotating_barcode=True), bytes(32))


def test_test_passes_say_so_in_both_languages() -> None:
    title = google_object(PERMIT, permit("D-AB 123"), city(test=True))["cardTitle"]
    assert title["defaultValue"]["value"].startswith("TEST – nicht gültig")
    assert title["translatedValues"][0]["value"].startswith("TEST – not valid")


def test_nothing_of_the_holder_and_no_secret_gets_in() -> None:
    for pass_type, content in CONTENTS:
        text = json.dumps(google_object(pass_type, content, city()), ensure_ascii=False)
        for line in (*HOLDER, "secret-token", "child", "Kinder"):
            assert line not in text


def test_the_logo_comes_from_a_public_address_or_not_at_all() -> None:
    pictured = replace(PERMIT, images={"google-logo.png": b"", "logo.png": b""})
    made = google_object(pictured, permit("D-AB 123"), city())
    assert faults("GenericObject", made) == []
    assert made["logo"]["sourceUri"]["uri"] == (
        "https://ausweise.stadt.example/static/types/resident-parking-permit/google-logo.png"
    )
    at_home = city(test=True, base_url="http://localhost:8000")
    assert "logo" not in google_object(pictured, permit("D-AB 123"), at_home)


def test_a_library_may_show_the_plain_number_in_the_code_its_self_checks_read() -> None:
    made = google_object(with_google(CARD, barcode="number:Codabar"), library_card(), city())
    assert faults("GenericObject", made) == []
    assert (made["barcode"]["type"], made["barcode"]["value"]) == ("CODABAR", "24711300000134")


def refusal(code: str, action: object, *arguments: object, **named: object) -> PassRefusal:
    with pytest.raises(PassRefusal) as refused:
        action(*arguments, **named)  # type: ignore[operator]
    assert refused.value.code == code
    assert refused.value.sentence("de") != refused.value.sentence("en")
    return refused.value


def test_what_does_not_fit_is_refused_with_a_sentence() -> None:
    good = permit("D-AB 123")
    refusal("GOOGLE_ISSUER", GooglePassFactory, PERMIT, city(google_issuer_id=""))
    refusal("GOOGLE_ISSUER", GooglePassFactory, PERMIT, city(google_issuer_id="٣٣٨٨"))
    refusal("GOOGLE_ID", GooglePassFactory, PERMIT, city(tenant="düsseldorf"))
    refusal("GOOGLE_BASE_URL", GooglePassFactory, PERMIT, city(base_url="http://stadt.example"))
    refusal("GOOGLE_BASE_URL", GooglePassFactory, PERMIT, city(), callback_url="http://stadt.example")
    refusal("GOOGLE_TYPE", GooglePassFactory, with_google(PERMIT, barcode="seal:MaxiCode"), city())
    refusal("GOOGLE_TEXT", GooglePassFactory, PERMIT, city(contact="x" * 501))
    refusal("GOOGLE_TYPE", google_object, PERMIT, permit(kind=""), city())
    refusal("GOOGLE_ID", google_object, PERMIT, replace(good, serial="a/b"), city())
    refusal("GOOGLE_ID", google_object, PERMIT, replace(good, serial="abc\n"), city())
    refusal("GOOGLE_SEAL", google_object, PERMIT, replace(good, seal="HC1:" + SEAL[4:]), city())
    refusal("GOOGLE_SEAL", google_object, PERMIT, replace(good, seal=SEAL + "{totp_value_0}"), city())
    codabar = with_google(CARD, barcode="number:Codabar")
    with_letters = library_card(CardNumber("BQD18N001000"))
    assert "CODABAR" in str(refusal("GOOGLE_BARCODE", google_object, codabar, with_letters, city()))


@given(st.text(max_size=40))
def test_a_serial_is_either_a_valid_id_or_refused(serial: str) -> None:
    try:
        made = google_object(PERMIT, permit("D-AB 123", serial=serial), city())
    except PassRefusal as refused:
        assert refused.code == "GOOGLE_ID"
        return
    suffix = made["id"].removeprefix("3388000000012345678.")
    assert suffix == serial
    assert suffix.isascii()
    assert all(character.isalnum() or character in "._-" for character in suffix)


def test_zone_with_umlaut_stays_as_it_is() -> None:
    made = google_object(PERMIT, permit("D-AB 123", zone=Zone("BÖ", "Börne-Platz")), city())
    assert bodies(made, "en")["zone"] == "BÖ Börne-Platz"
