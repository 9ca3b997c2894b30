"""What the strict check lets through and what it stops, with the place of the fault."""

import copy
import json
from typing import Any

import pytest

from keys.texts import LANGUAGES
from passes.apple_schema import ApplePassInvalid, check_pass_json
from tests.passes.apple_samples import factory
from tests.passes.carrier_samples import permit

GOOD: dict[str, Any] = json.loads(factory().pass_json(permit("D-AB 123")))
FIELD = {"key": "extra", "value": "1"}
TIME = "2026-11-20T12:00:00+01:00"


def _changed(path: str, value: Any) -> dict[str, Any]:
    """GOOD with ``value`` at a path such as ``generic.primaryFields.0.value``; ``...`` takes the key away."""
    data = copy.deepcopy(GOOD)
    *parents, last = path.split(".")
    place: Any = data
    for one in parents:
        place = place[int(one)] if one.isdigit() else place[one]
    if value is ...:
        del place[last]
    else:
        place[int(last) if last.isdigit() else last] = value
    return data


def _check(data: dict[str, Any]) -> None:
    check_pass_json(json.dumps(data).encode())


SHAPE = "APPLE_RULE_SHAPE"
FAULTS = [
    ("formatVersion", 2, SHAPE, "$.formatVersion"),
    ("formatVersion", "1", SHAPE, "$.formatVersion"),
    ("description", ..., SHAPE, "$"),
    ("description", "", SHAPE, "$.description"),
    ("organizationName", None, SHAPE, "$.organizationName"),
    ("serialNumber", 5, SHAPE, "$.serialNumber"),
    ("serialNumber", "ä", "APPLE_RULE_SERIAL", "$.serialNumber"),
    ("teamIdentifier", "abc", "APPLE_RULE_TEAM", "$.teamIdentifier"),
    ("passTypeIdentifier", "de.stadt", "APPLE_RULE_PASS_TYPE", "$.passTypeIdentifier"),
    ("isShellPass", False, SHAPE, "$"),
    ("userInfo", {"a": 1}, SHAPE, "$"),
    ("voided", "true", SHAPE, "$.voided"),
    ("backgroundColor", "blue", "APPLE_RULE_COLOUR", "$.backgroundColor"),
    ("labelColor", "rgb(256,0,0)", "APPLE_RULE_COLOUR", "$.labelColor"),
    ("foregroundColor", "#12345", "APPLE_RULE_COLOUR", "$.foregroundColor"),
    ("expirationDate", "2026-11-20T12:00:00+0100", "APPLE_RULE_TIME", "$.expirationDate"),
    ("expirationDate", "2026-11-20T12:00:00", "APPLE_RULE_TIME", "$.expirationDate"),
    ("expirationDate", "2026-11-20", "APPLE_RULE_TIME", "$.expirationDate"),
    ("expirationDate", "2026-02-30T12:00:00Z", "APPLE_RULE_TIME", "$.expirationDate"),
    ("expirationDate", "2026-11-20T12:00:00Z\n", "APPLE_RULE_TIME", "$.expirationDate"),
    ("expirationDate", "2026-11-20T24:61:00Z", "APPLE_RULE_TIME", "$.expirationDate"),
    ("relevantDate", "tomorrow", "APPLE_RULE_TIME", "$.relevantDate"),
    ("relevantDates", [], SHAPE, "$.relevantDates"),
    ("relevantDates", [{"date": TIME}], "APPLE_RULE_RELEVANT_BOTH", "$.relevantDates[0]"),
    ("relevantDates", [{}], "APPLE_RULE_RELEVANT_BOTH", "$.relevantDates[0]"),
    ("relevantDates", [{"startDate": TIME}], "APPLE_RULE_RELEVANT", "$.relevantDates[0]"),
    ("relevantDates", [{"startDate": TIME, "endDate": TIME}], "APPLE_RULE_RELEVANT", "$.relevantDates[0]"),
    ("relevantDates", [{"startDate": "x", "endDate": TIME}], "APPLE_RULE_TIME", "$.relevantDates[0]"),
    ("locations", [{"latitude": 91, "longitude": 0}], SHAPE, "$.locations[0].latitude"),
    ("locations", [{"latitude": "51.2", "longitude": 0}], SHAPE, "$.locations[0].latitude"),
    ("locations", [{"latitude": 51, "longitude": 6}] * 11, SHAPE, "$.locations"),
    ("groupingIdentifier", "parking", "APPLE_RULE_GROUPING", "$.groupingIdentifier"),
    ("webServiceURL", "http://stadt.example/apple", "APPLE_RULE_SERVICE_URL", "$.webServiceURL"),
    ("webServiceURL", "https://stadt.example/apple?x=1", "APPLE_RULE_SERVICE_URL", "$.webServiceURL"),
    ("webServiceURL", "https://stadt.example/v1/", "APPLE_RULE_SERVICE_V1", "$.webServiceURL"),
    ("webServiceURL", ..., "APPLE_RULE_SERVICE", "$.webServiceURL"),
    ("authenticationToken", ..., "APPLE_RULE_SERVICE", "$.webServiceURL"),
    ("authenticationToken", "x" * 15, SHAPE, "$.authenticationToken"),
    ("authenticationToken", "x" * 15 + " ", "APPLE_RULE_TOKEN", "$.authenticationToken"),
    ("coupon", {}, "APPLE_RULE_ONE_STYLE", "$"),
    ("generic", ..., "APPLE_RULE_ONE_STYLE", "$"),
    ("generic.transitType", "PKTransitTypeAir", SHAPE, "$.generic"),
    ("generic.primaryFields.0.textAlignment", "PKTextAlignmentLeft", SHAPE, "$.generic.primaryFields[0]"),
    ("generic.backFields.0.textAlignment", "PKTextAlignmentLeft", SHAPE, "$.generic.backFields[0]"),
    ("generic.headerFields.0.textAlignment", "left", SHAPE, "$.generic.headerFields[0].textAlignment"),
    ("generic.headerFields.0.row", 0, SHAPE, "$.generic.headerFields[0]"),
    ("generic.primaryFields.0.changeMessage", "", SHAPE, "$.generic.primaryFields[0].changeMessage"),
    ("generic.primaryFields.0.changeMessage", "New.", "APPLE_RULE_CHANGE", "$.generic.primaryFields[0]"),
    ("generic.primaryFields.0.value", None, SHAPE, "$.generic.primaryFields[0].value"),
    ("generic.primaryFields.0.value", True, SHAPE, "$.generic.primaryFields[0].value"),
    ("generic.primaryFields.0.key", ..., SHAPE, "$.generic.primaryFields[0]"),
    ("generic.primaryFields.0.key", "zone", "APPLE_RULE_KEY_TWICE", "$"),
    ("generic.primaryFields.0.dateStyle", "PKDateStyleShort", "APPLE_RULE_DATE", "$.generic.primaryFields[0]"),
    ("generic.secondaryFields.1.value", "20.11.2026", "APPLE_RULE_DATE", "$.generic.secondaryFields[1]"),
    ("generic.secondaryFields.1.value", 20261120, "APPLE_RULE_DATE", "$.generic.secondaryFields[1]"),
    ("generic.secondaryFields.1.dateStyle", "medium", SHAPE, "$.generic.secondaryFields[1].dateStyle"),
    ("generic.primaryFields.0.numberStyle", "PKNumberStyleDecimal", "APPLE_RULE_NUMBER",
     "$.generic.primaryFields[0]"),
    ("generic.primaryFields.0.currencyCode", "EUR", "APPLE_RULE_NUMBER", "$.generic.primaryFields[0]"),
    ("generic.primaryFields.0", FIELD | {"value": 5, "currencyCode": "EUR", "numberStyle": "PKNumberStyleDecimal"},
     "APPLE_RULE_CURRENCY", "$.generic.primaryFields[0]"),
    ("generic.primaryFields.0", FIELD | {"value": 5, "currencyCode": "Euro"}, SHAPE,
     "$.generic.primaryFields[0].currencyCode"),
    ("generic.primaryFields.0", FIELD | {"value": 5, "currencyCode": "eur"}, "APPLE_RULE_CURRENCY",
     "$.generic.primaryFields[0]"),
    ("generic.backFields.0.attributedValue", "<b>x</b>", "APPLE_RULE_MARKUP", "$.generic.backFields[0]"),
    ("generic.backFields.0.attributedValue", "<a href=\"javascript:x\">x</a>", "APPLE_RULE_MARKUP",
     "$.generic.backFields[0]"),
    ("barcodes", [], SHAPE, "$.barcodes"),
    ("barcodes", ..., "APPLE_RULE_LEGACY_BARCODE", "$.barcode"),
    ("barcodes.0.format", "PKBarcodeFormatITF", SHAPE, "$.barcodes[0].format"),
    ("barcodes.0.messageEncoding", ..., SHAPE, "$.barcodes[0]"),
    ("barcodes.0.message", "SP1:\u0141", "APPLE_RULE_ENCODING", "$.barcodes[0]"),
    ("barcode.format", "PKBarcodeFormatCode128", SHAPE, "$.barcode.format"),
    ("barcodes.0", {"format": "PKBarcodeFormatCodabar", "message": "A12", "messageEncoding": "iso-8859-1"},
     "APPLE_RULE_SYMBOLOGY", "$.barcodes[0]"),
    ("barcodes.0", {"format": "PKBarcodeFormatI2of5", "message": "123", "messageEncoding": "iso-8859-1"},
     "APPLE_RULE_SYMBOLOGY", "$.barcodes[0]"),
    ("barcodes.0", {"format": "PKBarcodeFormatEAN13", "message": "4006381333932", "messageEncoding": "iso-8859-1"},
     "APPLE_RULE_SYMBOLOGY", "$.barcodes[0]"),
]  # fmt: skip


@pytest.mark.parametrize("path, value, rule, place", FAULTS)
def test_a_fault_is_refused_with_its_rule_and_place(path, value, rule, place):
    with pytest.raises(ApplePassInvalid) as refused:
        _check(_changed(path, value))
    assert (refused.value.rule, refused.value.place) == (rule, place)
    for language in LANGUAGES:
        sentence = refused.value.sentence(language)
        assert place in sentence
        assert "{" not in sentence


ALLOWED = [
    ("expirationDate", "2026-11-20T12:00Z"),
    ("expirationDate", "2026-11-20T12:00:00.25-03:30"),
    ("backgroundColor", "rgb(0, 79, 108)"),
    ("backgroundColor", "#0Bf"),
    ("relevantDates", [{"date": TIME, "relevantDate": TIME}]),
    ("locations", [{"latitude": 51.2, "longitude": 6.8, "relevantText": "Sie sind da."}] * 10),
    ("generic.backFields.0.attributedValue", 'See <a href="https://stadt.example">here</a>.'),
    ("generic.primaryFields.0", FIELD | {"value": 5, "currencyCode": "EUR"}),
    ("generic.primaryFields.0", FIELD | {"value": 5.5, "numberStyle": "PKNumberStyleDecimal"}),
    ("generic.auxiliaryFields.0.row", 1),
    ("webServiceURL", "https://stadt.example/v12"),
    (
        "barcodes.0",
        {"format": "PKBarcodeFormatEAN13", "message": "4006381333931", "messageEncoding": "iso-8859-1"},
    ),
    ("barcodes.0.message", "SP1:\u00e4"),
]


@pytest.mark.parametrize("path, value", ALLOWED)
def test_what_apple_allows_passes(path, value):
    _check(_changed(path, value))


def test_an_event_ticket_may_be_grouped():
    data = copy.deepcopy(GOOD)
    data["eventTicket"] = data.pop("generic")
    data["groupingIdentifier"] = "concert"
    _check(data)
    data["eventTicket"]["primaryFields"][0]["dateStyle"] = "PKDateStyleShort"
    with pytest.raises(ApplePassInvalid) as refused:
        _check(data)
    assert refused.value.place == "$.eventTicket.primaryFields[0]"


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"a":"\xff"}'])
def test_what_is_no_json_object_is_refused(data):
    with pytest.raises(ApplePassInvalid):
        check_pass_json(data)


def test_the_refusal_never_holds_the_token():
    with pytest.raises(ApplePassInvalid) as refused:
        _check(_changed("authenticationToken", "hush hush hush hush"))
    assert "hush" not in repr(refused.value.params) + refused.value.sentence("en")
