"""House numbers as people write them, and ranges of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuer.errors import IssuerRefusal
from issuer.rules.house_numbers import WHOLE_STREET, HouseNumber, NumberRange, Side, parse_house_number

SUFFIXES = st.sampled_from(["", "", "", "1/2", "a", "b", "z", "aa", "a1"])
NUMBERS = st.builds(HouseNumber, st.integers(1, 40), SUFFIXES)


@st.composite
def ranges(draw: st.DrawFn) -> NumberRange:
    ends = sorted((draw(NUMBERS), draw(NUMBERS)), key=lambda one: one.order)
    side = draw(st.sampled_from(Side))
    try:
        return NumberRange(*ends, side)
    except IssuerRefusal:
        return NumberRange(*ends)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("12", ["12"]),
        (" 12  A ", ["12a"]),
        ("12a", ["12a"]),
        ("Nr. 12 a", ["12a"]),
        ("Haus-Nr. 7", ["7"]),
        ("27 1/2", ["27 1/2"]),
        ("27½", ["27 1/2"]),
        ("0012", ["12"]),
        ("12-14", ["12", "14"]),
        ("12 – 16", ["12", "14", "16"]),
        ("12/14", ["12", "14"]),
        ("12+13", ["12", "13"]),
        ("12a-14b", ["12a", "14b"]),
        ("12 a-c", ["12a", "12b", "12c"]),
    ],
)
def test_spellings(text: str, shown: list[str]) -> None:
    assert [str(one) for one in parse_house_number(text)] == shown


@pytest.mark.parametrize(
    "text",
    ["", " ", "a", "0", "12345", "-12", "14-12", "12-12", "1-400", "12c-a", "12 1/0", "1 2", "12ä", "１２", "12;",
     "12\n13", "12 " * 20],
)  # fmt: skip
def test_what_is_no_house_number(text: str) -> None:
    with pytest.raises(IssuerRefusal, match="HOUSE_NUMBER_FORMAT"):
        parse_house_number(text)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        numbers = parse_house_number(text)
    except IssuerRefusal as refusal:
        assert refusal.code == "HOUSE_NUMBER_FORMAT"
    else:
        orders = [one.order for one in numbers]
        assert 1 <= len(numbers) <= 102
        assert orders == sorted(set(orders))


@given(NUMBERS, st.sampled_from(["{n}{s}", "{n} {s}", "Nr. {n} {s}", " {n}  {s} "]), st.booleans())
def test_one_number_in_every_spelling(number: HouseNumber, form: str, upper: bool) -> None:
    # Behind a number without a blank, 1/2 would be another number's fraction.
    text = form.format(n=number.number, s=number.suffix) if "/" not in number.suffix else str(number)
    assert parse_house_number(text.upper() if upper else text) == (number,)


@given(NUMBERS)
def test_what_is_shown_is_read_as_the_same(number: HouseNumber) -> None:
    assert parse_house_number(str(number)) == (number,)


@given(ranges(), ranges())
def test_overlapping_is_having_a_common_number(one: NumberRange, other: NumberRange) -> None:
    suffixes = ["", "1/2", "a", "a1", "aa", "b", "z"]
    common = [
        number
        for number in (HouseNumber(value, suffix) for value in range(1, 41) for suffix in suffixes)
        if number in one and number in other
    ]
    assert one.overlaps(other) is other.overlaps(one)
    assert one.overlaps(other) is bool(common)


@given(ranges())
def test_a_range_holds_its_ends_on_its_side_and_lies_in_the_street(numbers: NumberRange) -> None:
    for end in (numbers.first, numbers.last):
        assert (end in numbers) is numbers.side.has(end.number)
    assert numbers.overlaps(numbers)
    assert numbers.overlaps(WHOLE_STREET)


def test_suffixes_at_the_ends() -> None:
    numbers = NumberRange(HouseNumber(12, "b"), HouseNumber(20))
    inside = ["12b", "12c", "13", "20", "20 1/2", "20a", "20zz"]
    outside = ["12", "12a", "21", "11"]
    assert all(parse_house_number(one)[0] in numbers for one in inside)
    assert not any(parse_house_number(one)[0] in numbers for one in outside)
    assert HouseNumber(20, "c") not in NumberRange(HouseNumber(12), HouseNumber(20, "b"))


def test_a_single_number_is_itself_alone() -> None:
    single = NumberRange(HouseNumber(12), HouseNumber(12))
    assert HouseNumber(12) in single
    assert HouseNumber(12, "a") not in single


def test_sides() -> None:
    odd = NumberRange(HouseNumber(1), HouseNumber(20), Side.ODD)
    even = NumberRange(HouseNumber(1), HouseNumber(20), Side.EVEN)
    assert HouseNumber(19, "c") in odd
    assert HouseNumber(18) not in odd
    assert not odd.overlaps(even)
    assert HouseNumber(20, "a") in even


@pytest.mark.parametrize(
    ("first", "last", "side"),
    [
        (HouseNumber(20), HouseNumber(12), Side.ALL),
        (HouseNumber(12, "b"), HouseNumber(12, "a"), Side.ALL),
        (HouseNumber(12), HouseNumber(12), Side.ODD),
    ],
)
def test_ranges_without_a_number(first: HouseNumber, last: HouseNumber, side: Side) -> None:
    with pytest.raises(IssuerRefusal, match="HOUSE_RANGE"):
        NumberRange(first, last, side)
