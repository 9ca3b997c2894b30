"""Zone codes with umlauts, from registers and from seals."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passes.errors import PassRefusal
from passes.zones import Zone, normalise_zone_code


def test_decomposed_code_is_the_same_zone() -> None:
    assert normalise_zone_code(" MU\u0308 ") == "MÜ"
    assert Zone("MU\u0308", "Mu\u0308nsterstraße") == Zone("MÜ", "Münsterstraße")


@pytest.mark.parametrize("code", ["HO", "CITY", "N", "Süd 2", "A-1", "É1"])
def test_codes_of_other_cities(code: str) -> None:
    assert normalise_zone_code(code) == unicodedata.normalize("NFC", code)


@pytest.mark.parametrize(
    "code",
    [
        "",
        " ",
        "НО",
        "M\u200bÜ",
        "MÜ\n",
        "\u202eMÜ",
        "A  B",
        "-A",
        "A-",
        "<b>",
        "ABCDEFGHIJKLM",
        "A" * 5000,
        "١",
    ],
)
def test_refusals(code: str) -> None:
    with pytest.raises(PassRefusal) as refused:
        normalise_zone_code(code)
    assert refused.value.code == "ZONE_FORMAT"
    assert "12" in refused.value.sentence("de")


def test_zone_needs_a_name() -> None:
    with pytest.raises(PassRefusal, match="ZONE_NAME_MISSING"):
        Zone("HO", " ")
    with pytest.raises(PassRefusal, match="NAME_FORBIDDEN_CHAR"):
        Zone("HO", "<script>")


@given(st.text(max_size=20))
def test_normalising_is_stable(text: str) -> None:
    try:
        code = normalise_zone_code(text)
    except PassRefusal:
        return
    assert normalise_zone_code(code) == code == unicodedata.normalize("NFC", code)
    assert 1 <= len(code) <= 12
