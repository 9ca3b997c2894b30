"""Small counts: nobody can work them out, not even by knowing the procedure and every month that was told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from issuer.figures.suppression import Told, suppress

ZONES = "ABCDE"


def sources(told: Told, threshold: int, before: Mapping[str, int], highest: int) -> Iterator[dict[str, int]]:
    """All counts up to ``highest`` from which exactly ``told`` is published."""
    hidden = [zone for zone, count in told.counts.items() if count is None]
    known = {zone: count for zone, count in told.counts.items() if count is not None}
    rest = None if told.total is None else told.total - sum(known.values())
    for guess in product(range(highest + 1), repeat=len(hidden)):
        if rest is not None and sum(guess) != rest:
            continue
        counts = known | dict(zip(hidden, guess, strict=True))
        if suppress({zone: counts[zone] for zone in told.counts}, threshold, before) == told:
            yield counts


@st.composite
def months(draw: st.DrawFn) -> tuple[dict[str, int], int, dict[str, int]]:
    threshold = draw(st.integers(3, 5))
    zones = ZONES[: draw(st.integers(1, 4))]
    near = st.integers(0, 2 * threshold + 1)
    counts = {zone: draw(near) for zone in zones}
    before = {zone: draw(near) for zone in zones if draw(st.booleans())}
    return counts, threshold, before


@settings(max_examples=150)
@given(months())
def test_a_small_count_could_be_any_small_number(case: tuple[dict[str, int], int, dict[str, int]]) -> None:
    """By brute force over everything that the published month could come from, the procedure being known."""
    counts, threshold, before = case
    told = suppress(counts, threshold, before)
    hidden = [zone for zone, count in told.counts.items() if count is None]
    assert {zone for zone, count in counts.items() if count < threshold} <= set(hidden)
    assert all(told.counts[zone] in (None, count) for zone, count in counts.items())
    assert told.total in (None, sum(counts.values()))
    possible: dict[str, set[int]] = {zone: set() for zone in hidden}
    for source in sources(told, threshold, before, sum(counts.values()) + threshold):
        for zone in hidden:
            possible[zone].add(source[zone])
    for zone in hidden:
        assert counts[zone] in possible[zone]
        assert len(possible[zone]) > 1, (zone, told)
        if counts[zone] < threshold:
            assert possible[zone] >= set(range(threshold - 1)), (zone, told)


@settings(max_examples=60)
@given(
    st.lists(st.lists(st.integers(0, 8), min_size=3, max_size=3), min_size=2, max_size=3), st.integers(3, 4)
)
def test_months_together_tell_no_more_than_each(values: list[list[int]], threshold: int) -> None:
    """Every hidden count can be exchanged in its own month while all that is told of all months stays the same."""
    zones = ZONES[:3]
    stories = [dict(zip(zones, row, strict=True)) for row in values]

    def publish(story: list[dict[str, int]]) -> list[Told]:
        before: dict[str, int] = {}
        out = []
        for counts in story:
            out.append(suppress(counts, threshold, before))
            before |= {zone: count for zone, count in out[-1].counts.items() if count is not None}
        return out

    told = publish(stories)
    before: dict[str, int] = {}
    for place, month in enumerate(told):
        for zone, count in month.counts.items():
            if count is None and stories[place][zone] < threshold:
                others = [
                    one
                    for one in sources(month, threshold, before, sum(stories[place].values()) + threshold)
                    if one[zone] != stories[place][zone]
                ]
                assert others
                assert publish([*stories[:place], others[0], *stories[place + 1 :]]) == told
        before |= {zone: count for zone, count in month.counts.items() if count is not None}


def test_large_counts_are_told_as_they_are() -> None:
    counts = {"A": 10, "B": 250, "C": 31}
    assert suppress(counts, 10, {}) == Told(counts, 291)


def test_one_small_count_hides_the_smallest_that_was_told_before() -> None:
    counts = {"A": 900, "B": 9, "C": 60, "D": 70}
    told = suppress(counts, 10, {"A": 880, "B": 12, "C": 75, "D": 71})
    assert told == Told({"A": 900, "B": None, "C": 60, "D": None}, 1039)


def test_what_is_hidden_beside_must_leave_room() -> None:
    # B would be enough beside 9, but beside 0 the sum of 10 would give both away.
    assert suppress({"A": 9, "B": 10, "C": 40}, 10, {"B": 10, "C": 40}).counts == {
        "A": None,
        "B": None,
        "C": 40,
    }
    told = suppress({"A": 0, "B": 10, "C": 40, "D": 50}, 10, {"B": 10, "C": 40, "D": 50})
    assert told == Told({"A": None, "B": None, "C": None, "D": 50}, 100)


@pytest.mark.parametrize("counts", [{"A": 3}, {"A": 3, "B": 0}, {"A": 3, "B": 10}, {}])
def test_where_nothing_leaves_room_the_total_is_hidden(counts: dict[str, int]) -> None:
    told = suppress(counts, 10, {})
    assert set(told.counts.values()) <= {None}
    assert told.total == (None if counts else 0)


@pytest.mark.parametrize(("counts", "threshold"), [({"A": 1}, 2), ({"A": -1}, 3)])
def test_what_cannot_be_is_refused(counts: dict[str, int], threshold: int) -> None:
    with pytest.raises(ValueError, match="threshold"):
        suppress(counts, threshold, {})
