"""A city's own card number schemes: what a file may say, and that it says the same as code."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passes.card_numbers import SCHEMES, CardNumber
from passes.card_schemes import FILE_NAME, WeightedCheck, read_schemes
from passes.errors import PassRefusal
from passes.pass_types import PassTypes

ESSEN = """
[[schemes]]
name = "essen"
form = "L[0-9]{6}"
check = { modulus = 11, weights = [1, 2, 3, 4, 5, 6], skip = 1 }

[[schemes]]
name = "old_cards"
form = "[0-9]{6,7}|B[0-9]{5}"
"""


def types_with(folder: Path, text: str) -> PassTypes:
    (folder / FILE_NAME).write_text(text)
    return PassTypes.load(folder)


def test_a_scheme_is_one_entry_in_the_citys_folder(tmp_path: Path) -> None:
    card = types_with(tmp_path, ESSEN)["library-card"]
    holding = next(f"L10000{digit}" for digit in range(10) if _holds(f"10000{digit}"))
    assert card.card_number(holding, "essen").scheme == "essen"
    for wrong in (holding[:-1] + str((int(holding[-1]) + 1) % 10), holding[1:], f"{holding}0"):
        with pytest.raises(PassRefusal, match=r"CARD_FORMAT.*essen"):
            card.card_number(wrong, "essen")
    assert card.card_number("B12345", "old_cards").text == "B12345"
    assert card.card_number("BQD18N001000", "sbc_like", "CODE_39").scheme == "sbc_like"
    with pytest.raises(PassRefusal, match=r"CARD_SCHEME_UNKNOWN.*essen"):
        card.card_number("1", "mod97")
    with pytest.raises(PassRefusal, match="CARD_SCHEME_UNKNOWN"):
        PassTypes.load()["library-card"].card_number(holding, "essen")


def _holds(digits: str) -> bool:
    return sum(weight * int(digit) for weight, digit in enumerate(reversed(digits), start=1)) % 11 == 0


def test_a_stored_number_can_be_read_when_the_file_has_gone() -> None:
    assert CardNumber("L100006", "essen").text == "L100006"
    with pytest.raises(PassRefusal, match="CARD_SCHEME_UNKNOWN"):
        CardNumber("L100006", "No Scheme")


LUHN = WeightedCheck(10, (1, 2), digit_sums=True)
MOD_11 = WeightedCheck(11, tuple(range(1, 10)), alphabet="0123456789X", skip=1)


@given(st.from_regex(r"\A[0-9]{14}\Z"))
def test_weights_say_luhn(text: str) -> None:
    assert LUHN(text) == SCHEMES["codabar14"].check(text)


@given(st.from_regex(r"\A[A-Z][0-9]{8}[0-9X]\Z"))
def test_weights_say_modulus_11(text: str) -> None:
    assert MOD_11(text) == SCHEMES["mod11"].check(text)


@given(st.text(max_size=50))
def test_any_text_holds_or_does_not(text: str) -> None:
    assert isinstance(LUHN(text), bool)
    assert isinstance(MOD_11(text), bool)


@pytest.mark.parametrize(
    "text",
    [
        'schemes = [{ name = "a" }]',
        'schemes = [{ name = "A b", form = "[0-9]{8}" }]',
        'schemes = [{ name = "codabar14", form = "[0-9]{8}" }]',
        'schemes = [{ name = "a", form = "[0-9]{8}" }, { name = "a", form = "[0-9]{9}" }]',
        'schemes = [{ name = "a", form = "(a+)+" }]',
        'schemes = [{ name = "a", form = "[0-9]+" }]',
        'schemes = [{ name = "a", form = "[9-0]{2}" }]',
        'schemes = [{ name = "a", form = "[0-9]{3,1}" }]',
        'schemes = [{ name = "a", form = "." }]',
        'schemes = [{ name = "a", form = "[0-9]{0,40}[0-9]{0,40}[0-9]{0,40}" }]',
        'schemes = [{ name = "a", form = "[0-9]{8}", more = 1 }]',
        'schemes = [{ name = "a", form = "[0-9]{8}", check = { modulus = 1, weights = [1] } }]',
        'schemes = [{ name = "a", form = "[0-9]{8}", check = { modulus = 10, weights = [] } }]',
        'schemes = [{ name = "a", form = "[0-9]{8}", check = { modulus = 10, weights = [-1] } }]',
        "schemes = ",
        "#" * 100_001,
    ],
)
def test_a_file_is_read_strictly(tmp_path: Path, text: str) -> None:
    with pytest.raises(PassRefusal, match="TYPE_FILE"):
        types_with(tmp_path, text)


def test_no_form_is_slow(tmp_path: Path) -> None:
    file = tmp_path / FILE_NAME
    file.write_text('schemes = [{ name = "a", form = "' + "[0-9]{0,40}" * 2 + '" }]')
    form = read_schemes(file)["a"].form
    begun = time.process_time()
    assert form.fullmatch("1" * 39 + "x") is None
    assert time.process_time() - begun < 1
