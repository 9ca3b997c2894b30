"""What follows for a card, in every case of the library's answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuer.library.refresh_plan import LONGEST, UNKNOWN, Card, Plan, plan
from issuer.library.sources import Patron, PatronStanding
from passes.model import PassStatus

TODAY = date(2026, 11, 20)
LAST = date(2027, 3, 31)
ACTIVE = Card(PassStatus.ACTIVE, LAST, is_ours=False)
OURS = Card(PassStatus.SUSPENDED, LAST, is_ours=True)
THEIRS = Card(PassStatus.SUSPENDED, LAST, is_ours=False)
LAPSED = Card(PassStatus.EXPIRED, TODAY - timedelta(days=7), is_ours=False)
GOOD = Patron("17", "Erika Muster", PatronStanding.ACTIVE)
_BAD = [one for one in PatronStanding if one is not PatronStanding.ACTIVE]


@pytest.mark.parametrize("standing", _BAD)
def test_who_may_not_borrow_is_held_back(standing: PatronStanding) -> None:
    patron = replace(GOOD, standing=standing)
    assert plan(ACTIVE, patron, TODAY) == Plan(hold=standing.value)
    for card in (OURS, THEIRS, LAPSED, replace(ACTIVE, last=TODAY - timedelta(days=1))):
        assert plan(card, patron, TODAY) == Plan()


def test_who_is_not_known_is_held_back() -> None:
    assert plan(ACTIVE, None, TODAY) == Plan(hold=UNKNOWN)
    assert plan(OURS, None, TODAY) == plan(LAPSED, None, TODAY) == Plan()


def test_only_our_own_block_is_taken_back() -> None:
    assert plan(OURS, GOOD, TODAY) == Plan(release=True)
    assert plan(THEIRS, GOOD, TODAY) == Plan(is_kept=True)
    assert plan(ACTIVE, GOOD, TODAY) == Plan()


@pytest.mark.parametrize(
    ("theirs", "extended"),
    [
        (None, None),
        (LAST, None),
        # Earlier and still to come: nothing before it has passed.
        (TODAY, None),
        (LAST + timedelta(days=1), LAST + timedelta(days=1)),
        (TODAY + LONGEST, TODAY + LONGEST),
        # "For ever" is a card for three years, and not a new one every night.
        (date(9999, 12, 31), None),
    ],
)
def test_a_later_day_is_taken_over(theirs: date | None, extended: date | None) -> None:
    assert plan(ACTIVE, replace(GOOD, expires=theirs), TODAY) == Plan(extend_to=extended)


def test_for_ever_goes_on_when_the_end_is_near() -> None:
    near = replace(ACTIVE, last=TODAY + timedelta(days=60))
    assert plan(near, replace(GOOD, expires=date(9999, 12, 31)), TODAY).extend_to == TODAY + LONGEST


def test_renewed_after_the_end() -> None:
    assert plan(LAPSED, replace(GOOD, expires=LAST), TODAY) == Plan(extend_to=LAST)
    assert plan(LAPSED, GOOD, TODAY) == Plan()
    ours = replace(OURS, last=TODAY - timedelta(days=7))
    assert plan(ours, replace(GOOD, expires=LAST), TODAY) == Plan(release=True, extend_to=LAST)


@given(
    st.sampled_from([PassStatus.ACTIVE, PassStatus.SUSPENDED, PassStatus.EXPIRED]),
    st.dates(date(2020, 1, 1), date(2035, 1, 1)),
    st.booleans(),
    st.sampled_from([*PatronStanding, None]),
    st.dates() | st.none(),
)
def test_whatever_is_said(
    status: PassStatus, last: date, is_ours: bool, standing: PatronStanding | None, expires: date | None
) -> None:
    patron = None if standing is None else replace(GOOD, standing=standing, expires=expires)
    found = plan(Card(status, last, is_ours), patron, TODAY)
    # Never both at once, never a shorter period, never a word against a person's block.
    assert not (found.hold and (found.release or found.extend_to))
    assert found.extend_to is None or last < found.extend_to <= TODAY + LONGEST
    if status is PassStatus.SUSPENDED and not is_ours:
        assert found in (Plan(), Plan(is_kept=True))
    # Nothing is given to anybody of whom the library says no good.
    if standing is not PatronStanding.ACTIVE:
        assert not found.release
        assert found.extend_to is None
