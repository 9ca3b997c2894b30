"""Charts: what is drawn, that it is SVG, and that no text of others becomes a part of it."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuer.figures.charts import Column, Row, columns_chart, rows_chart, swatch
from issuer.figures.tables import csv_text

SVG = "{http://www.w3.org/2000/svg}"


def parsed(markup: str) -> ElementTree.Element:
    return ElementTree.fromstring(f'<div xmlns="http://www.w3.org/2000/svg">{markup}</div>')


def bars(markup: str) -> list[ElementTree.Element]:
    return [one for one in parsed(markup).iter(f"{SVG}rect") if "chart__bar" in one.get("class", "")]


@given(st.lists(st.lists(st.integers(0, 10**6), min_size=4, max_size=4), max_size=8))
def test_lying_bars_keep_within_the_width_and_their_proportions(values: list[list[int]]) -> None:
    rows = [Row(f"row {n}", str(sum(parts)), parts) for n, parts in enumerate(values)]
    drawn = bars(rows_chart("c", "t", "d", rows))
    assert len(drawn) == sum(part > 0 for parts in values for part in parts)
    longest = max((sum(parts) for parts in values), default=0)
    expected = [100 * part / longest for parts in values for part in parts if part]
    for bar, width in zip(drawn, expected, strict=True):
        left, wide = (float(bar.get(name, "").removesuffix("%")) for name in ("x", "width"))
        assert wide == pytest.approx(width, abs=0.01)
        assert left + wide <= 100.05


def test_the_width_can_stand_for_a_whole() -> None:
    drawn = bars(rows_chart("c", "t", "d", [Row("a", "1", [1]), Row("b", "2", [2])], 4))
    assert [one.get("width") for one in drawn] == ["25%", "50%"]


@given(st.lists(st.integers(0, 10**6), max_size=30))
def test_standing_bars_keep_within_the_scale(values: list[int]) -> None:
    columns = [Column(f"{n}", value, str(value)) for n, value in enumerate(values)]
    markup = columns_chart("c", "t", "d", columns, str)
    drawn = bars(markup)
    assert len(drawn) == sum(value > 0 for value in values)
    heights = [float(one.get("height", "")) for one in drawn]
    assert all(0 <= height <= 200 for height in heights)
    if any(values):
        # The scale ends not far above the highest bar.
        assert max(heights) >= 80
        top = max(values)
        positive = [value for value in values if value]
        for height, value in zip(heights, positive, strict=True):
            assert height / max(heights) == pytest.approx(value / top, abs=0.01)
    peaks = [one for one in parsed(markup).iter(f"{SVG}text") if one.get("class") == "chart__value"]
    assert len(peaks) == (1 if any(values) else 0)


def test_texts_are_escaped() -> None:
    evil = '"><script>x</script>'
    for markup in (
        rows_chart("c", evil, evil, [Row(evil, evil, [1])]),
        columns_chart("c", evil, evil, [Column(evil, 1, evil)], lambda _: evil),
    ):
        assert "<script" not in markup
        assert parsed(markup).find(f".//{SVG}title") is not None


def test_series_differ_by_more_than_colour() -> None:
    rects = bars(rows_chart("c", "t", "d", [Row("a", "4", [1, 1, 1, 1])]))
    assert [one.get("fill") for one in rects] == [None, "url(#c-p1)", "url(#c-p2)", "url(#c-p3)"]
    assert 'fill="url(#l-p2)"' in swatch("l", 2)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1"])
def test_no_cell_is_a_formula(text: str) -> None:
    first = csv_text(["a"], [[text]]).splitlines()[1].strip('"')
    assert first.startswith("'")


def test_cells_are_quoted_and_numbers_stay_numbers() -> None:
    assert csv_text(["a;b", "c"], [['say "x"', -3]], ";") == '"a;b";c\r\n"say ""x""";-3\r\n'
