"""Defects of py_pkpass 1.0.2 that must not come back with it."""

import json
import subprocess
import sys
from datetime import datetime
from decimal import Decimal
from itertools import chain

import pytest

from passes.apple_models import (
    DayField,
    PassBarcode,
    PassField,
    PassLocation,
    WalletPass,
    pass_style,
    time_text,
)
from passes.apple_schema import ApplePassInvalid, check_pass_json
from tests.passes.apple_samples import NOW


def _pass(style_name: str = "generic", **fields: PassField) -> WalletPass:
    style = pass_style(style_name)
    for group, field in fields.items():
        getattr(style, group).append(field)
    made = WalletPass(style, "pass.example.stadt", "Stadt", "ABCDE12345")
    made.serialNumber, made.description = "1", "Ausweis"
    return made


def _json(made: WalletPass) -> dict:
    text = made.to_json()
    check_pass_json(text.encode())
    return json.loads(text)


@pytest.mark.parametrize("style", ["generic", "storeCard", "eventTicket", "coupon"])
def test_empty_keys_are_left_out_in_every_group(style):
    groups = ("headerFields", "primaryFields", "secondaryFields", "auxiliaryFields", "backFields")
    data = _json(_pass(style, **{group: PassField(group, "x") for group in groups}))
    fields = list(chain.from_iterable(data[style].values()))
    assert len(fields) == 5
    assert all(field.keys() == {"key", "value"} for field in fields)
    assert "suppressStripShine" not in data


def test_a_value_of_nothing_still_stands():
    data = _json(_pass(secondaryFields=PassField("a", 0), backFields=PassField("b", "")))
    assert data["generic"]["secondaryFields"][0]["value"] == 0
    assert data["generic"]["backFields"][0]["value"] == ""


@pytest.mark.parametrize(
    "value, written", [("30.70", 30.7), ("30", 30), ("0.1", 0.1), ("-5.00", -5), ("1e3", 1000)]
)
def test_decimals_stay_numbers(value, written):
    data = _json(_pass(secondaryFields=PassField("fee", Decimal(value))))
    found = data["generic"]["secondaryFields"][0]["value"]
    assert found == written
    assert not isinstance(found, str)


def test_all_barcodes_are_written_in_order_and_keep_format_and_encoding():
    made = _pass()
    made.barcodes = [
        PassBarcode("24711300000134", "Code128", "24711300000134"),
        PassBarcode("SP1:X", "QR"),
        PassBarcode("SP1:X", "Aztec"),
    ]
    data = _json(made)
    assert [one["format"].removeprefix("PKBarcodeFormat") for one in data["barcodes"]] == [
        "Code128",
        "QR",
        "Aztec",
    ]
    assert {one["messageEncoding"] for one in data["barcodes"]} == {"iso-8859-1"}
    assert data["barcode"] == {
        "format": "PKBarcodeFormatQR",
        "message": "SP1:X",
        "messageEncoding": "iso-8859-1",
    }


def test_code_128_is_never_passed_off_as_pdf417():
    made = _pass()
    made.barcodes = [PassBarcode("1", "Code128")]
    assert "barcode" not in _json(made)
    with pytest.raises(ApplePassInvalid):
        PassBarcode("1", "ITF")


@pytest.mark.parametrize(
    "latitude, longitude", [("x", 6), (None, 6), (91, 6), (51, 181), (float("nan"), 6), (float("inf"), 0)]
)
def test_a_place_that_does_not_exist_is_refused_and_not_zero(latitude, longitude):
    with pytest.raises(ApplePassInvalid) as refused:
        PassLocation(latitude, longitude)
    assert refused.value.rule == "APPLE_RULE_LOCATION"


def test_a_place_is_written_without_empty_keys():
    made = _pass()
    made.locations = [PassLocation(51.2, 6.8), PassLocation(51, 6, "Sie sind da.")]
    assert _json(made)["locations"] == [
        {"latitude": 51.2, "longitude": 6.8},
        {"latitude": 51, "longitude": 6, "relevantText": "Sie sind da."},
    ]


@pytest.mark.parametrize("value", [{"at": NOW}, {"amount": Decimal(1)}, {"nan": float("nan")}])
def test_user_information_that_is_not_json_is_refused_by_name(value):
    made = _pass()
    made.userInfo = value
    with pytest.raises(ApplePassInvalid) as refused:
        made.to_json()
    assert refused.value.place == "$.userInfo"


def test_user_information_that_contains_itself_is_refused():
    made = _pass()
    made.userInfo = {}
    made.userInfo["self"] = made.userInfo
    with pytest.raises(ApplePassInvalid):
        made.to_json()


def test_newlines_and_quotes_survive():
    text = 'Zeile 1\nZeile "2"\r\n\u2028\u0000'
    assert _json(_pass(backFields=PassField("a", text)))["generic"]["backFields"][0]["value"] == text


def test_days_are_days_in_every_zone_and_times_need_one():
    data = _json(_pass(secondaryFields=DayField("until", "2026-11-20T12:00:00+01:00")))
    field = data["generic"]["secondaryFields"][0]
    assert field["ignoresTimeZone"] is True
    assert "isRelative" not in field
    assert time_text(NOW) == "2026-11-20T12:00:00+00:00"
    with pytest.raises(ValueError, match="zone"):
        time_text(datetime(2026, 11, 20))  # noqa: DTZ001


def test_two_passes_share_nothing():
    first, second = _pass(), _pass()
    first.barcodes.append(PassBarcode("1", "QR"))
    first.relevant_dates.append(("2026-11-20T00:00:00+01:00", "2026-11-21T00:00:00+01:00"))
    assert "barcodes" not in _json(second)
    assert "relevantDates" not in _json(second)


def test_its_own_signing_is_out_of_reach():
    with pytest.raises(NotImplementedError):
        _pass().create("certificate.pem", "key.pem", "wwdr.pem", "")


def test_swig_is_not_imported():
    code = "import sys, passes.apple; sys.exit('swig' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
