"""Seasons of seasonal plates."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passes.errors import PassRefusal
from passes.seasons import Season


@given(st.integers(1, 12), st.integers(1, 12), st.dates())
def test_contains_agrees_with_counting_the_months(first: int, last: int, day: date) -> None:
    months, month = {first}, first
    while month != last:
        month = month % 12 + 1
        months.add(month)
    if 2 <= len(months) <= 11:
        season = Season(first, last)
        assert season.months == len(months)
        assert season.contains(day) == (day.month in months)
        assert Season.parse(season.text) == Season.parse(season.text.replace("-", "/")) == season
        assert Season(*season.as_pair()) == season
    else:
        with pytest.raises(PassRefusal, match="SEASON_LENGTH"):
            Season(first, last)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("03-13", "SEASON_MONTH"),
        ("00-10", "SEASON_MONTH"),
        ("04-04", "SEASON_LENGTH"),
        ("01-12", "SEASON_LENGTH"),
        ("4-10", "SEASON_FORMAT"),
        ("04-10\n", "SEASON_FORMAT"),
        ("\u0660\u0664-10", "SEASON_FORMAT"),
        ("", "SEASON_FORMAT"),
        ("04-10" * 1000, "SEASON_FORMAT"),
    ],
)
def test_refusals(text: str, code: str) -> None:
    with pytest.raises(PassRefusal) as refused:
        Season.parse(text)
    assert refused.value.code == code
    assert refused.value.sentence("de")


def test_winter_season_runs_over_new_year() -> None:
    winter = Season.parse("10-03")
    assert [month for month in range(1, 13) if winter.contains(date(2026, month, 15))] == [
        1,
        2,
        3,
        10,
        11,
        12,
    ]


@given(st.text())
def test_any_text_gives_a_season_or_a_refusal(text: str) -> None:
    try:
        Season.parse(text)
    except PassRefusal as refusal:
        assert refusal.sentence("en")
