"""The order in which reasons win: every pair of reasons that can hold together, through the command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import combinations
from pathlib import Path

import pytest

from passes.periods import Period
from passes.seal import Sealer
from passes.seasons import Season
from passes.status_list import Status
from tests.e2e.device import CONTENT, Device
from tests.trust_factory import LIBRARY, LIST_NUMBER, NOW, City, Key, permit, seconds

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass
class Case:
    """A city and a seal that is green, until reasons are added."""

    city: City
    content: dict[str, object] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    text: str | None = None
    signer: Key | None = None
    lists_at: datetime = NOW
    bundle_at: datetime = NOW - 2 * HOUR
    rotating: bool = False
    without_bundle: bool = False

    def check(self, folder: Path) -> tuple[str, str, dict[str, object]]:
        city = self.city
        city.epoch_keys = {1: bytes(32)}
        city.publish(NOW - 30 * DAY)
        city.write_bundle(self.bundle_at)
        city.write_lists(self.lists_at)
        city.write_plates(NOW)
        if self.without_bundle:
            (city.folder / "bundle.cwt").unlink()
        signer = Sealer(self.signer or city.seal_key, city.seal_key.kid)
        text = signer.seal(replace(permit(), **self.content))  # type: ignore[arg-type]
        if self.rotating:
            text = f"SP1R:{seconds(NOW - HOUR)}:00000000:{text.removeprefix('SP1:')}"
        answer = Device(city.folder, folder / "state.json").verify(self.text or text, options=self.options)
        return *answer.short, answer.only


def _not_a_seal(case: Case) -> None:
    case.text = "https://look-alike.example/v?p=D-AB-123"


def _malformed(case: Case) -> None:
    case.text = case.text or "SP1:0000"


def _no_trust(case: Case) -> None:
    case.without_bundle = True


def _unknown_key(case: Case) -> None:
    # Known to the city, but for a time that has passed: the entry stays, so that later faults can be added.
    case.city.set_key(case.city.seal_key, not_after=permit().issued_at)


def _key_revoked(case: Case) -> None:
    case.city.set_key(case.city.seal_key, state="revoked")


def _test_key(case: Case) -> None:
    case.city.set_key(case.city.seal_key, test=True)


def _forged(case: Case) -> None:
    case.signer = Key()


def _wrong_type(case: Case) -> None:
    case.city.set_key(case.city.seal_key, pass_types=frozenset({LIBRARY}))


def _clock_wrong(case: Case) -> None:
    case.bundle_at = NOW + HOUR


def _status(status: Status) -> Callable[[Case], None]:
    def put(case: Case) -> None:
        case.city.statuses[LIST_NUMBER][permit().status_index] = status

    return put


def _expired(case: Case) -> None:
    case.content["expires"] = seconds(NOW)


def _not_yet_valid(case: Case) -> None:
    case.content["not_before"] = seconds(NOW) + 1


def _no_list(case: Case) -> None:
    case.lists_at = NOW - 7 * DAY


def _stale_list(case: Case) -> None:
    case.lists_at = min(case.lists_at, NOW - DAY - timedelta(seconds=1))


def _other_zone(case: Case) -> None:
    case.options = ("--zone", "HO")


def _out_of_season(case: Case) -> None:
    case.content["seasons"] = (Season(4, 10),)


def _not_fresh(case: Case) -> None:
    case.rotating = True


ORDER: list[tuple[str, str, Callable[[Case], None]]] = [
    ("GREY", "NOT_A_SEAL", _not_a_seal),
    ("RED", "MALFORMED", _malformed),
    ("GREY", "NO_TRUST", _no_trust),
    ("RED", "UNKNOWN_KEY", _unknown_key),
    ("RED", "KEY_REVOKED", _key_revoked),
    ("RED", "TEST_KEY", _test_key),
    ("RED", "FORGED", _forged),
    ("RED", "WRONG_TYPE", _wrong_type),
    ("GREY", "CLOCK_WRONG", _clock_wrong),
    ("RED", "REVOKED", _status(Status.INVALID)),
    ("RED", "SUPERSEDED", _status(Status.SUPERSEDED)),
    ("RED", "SUSPENDED", _status(Status.SUSPENDED)),
    ("RED", "EXPIRED", _expired),
    ("RED", "NOT_YET_VALID", _not_yet_valid),
    ("GREY", "NO_LIST", _no_list),
    ("AMBER", "STALE_LIST", _stale_list),
    ("AMBER", "OTHER_ZONE", _other_zone),
    ("AMBER", "OUT_OF_SEASON", _out_of_season),
    ("AMBER", "NOT_FRESH", _not_fresh),
]
# An entry has one status, and a period that has ended has begun.
EXCLUSIVE = [{"REVOKED", "SUPERSEDED", "SUSPENDED"}, {"EXPIRED", "NOT_YET_VALID"}]
PAIRS = [
    pytest.param(first, second, id=f"{first[1]}-{second[1]}")
    for first, second in combinations(ORDER, 2)
    if not any({first[1], second[1]} <= group for group in EXCLUSIVE)
]


def test_without_a_reason_it_is_valid(tmp_path: Path) -> None:
    colour, reason, verdict = Case(City(tmp_path / "trust")).check(tmp_path)
    assert (colour, reason) == ("GREEN", "VALID")
    assert verdict["plates"] == ["D-AB 123"]


@pytest.mark.parametrize(("colour", "reason", "apply"), ORDER, ids=[one[1] for one in ORDER])
def test_each_reason_has_its_colour(
    tmp_path: Path, colour: str, reason: str, apply: Callable[[Case], None]
) -> None:
    case = Case(City(tmp_path / "trust"))
    apply(case)
    got_colour, got_reason, verdict = case.check(tmp_path)
    assert (got_colour, got_reason) == (colour, reason)
    assert verdict["test"] is False
    assert verdict["message"]


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_of_two_reasons_the_earlier_wins(
    tmp_path: Path,
    first: tuple[str, str, Callable[[Case], None]],
    second: tuple[str, str, Callable[[Case], None]],
) -> None:
    case = Case(City(tmp_path / "trust"))
    for _, _, apply in (first, second):
        apply(case)
    assert case.check(tmp_path)[:2] == first[:2]


def test_all_reasons_at_once(tmp_path: Path) -> None:
    """Taking the winner away, one after the other, gives the order of the contract."""
    seen = []
    for start in range(len(ORDER)):
        case = Case(City(tmp_path / str(start)))
        taken: set[str] = set()
        for _, name, apply in ORDER[start:]:
            if not any(name in group and group & taken for group in EXCLUSIVE):
                apply(case)
                taken.add(name)
        (tmp_path / f"memory{start}").mkdir()
        seen.append(case.check(tmp_path / f"memory{start}")[1])
    assert seen == [name for _, name, _ in ORDER]


@pytest.mark.parametrize("first", ORDER, ids=[one[1] for one in ORDER])
def test_a_wrong_signature_shows_nothing_of_the_content(
    tmp_path: Path, first: tuple[str, str, Callable[[Case], None]]
) -> None:
    """Whatever else is so: what a stranger has written is not repeated as if it were the city's word."""
    case = Case(City(tmp_path / "trust"))
    first[2](case)
    _forged(case)
    verdict = case.check(tmp_path)[2]
    assert [verdict[name] for name in CONTENT] == [None] * len(CONTENT)
    assert verdict["suggestions"] == []


def test_an_unknown_key_is_grey_while_the_bundle_is_stale(tmp_path: Path) -> None:
    """The key may be newer than the bundle, so the seal must not be called a fraud."""
    case = Case(City(tmp_path / "trust"))
    del case.city.keys[case.city.seal_key.kid]
    case.bundle_at = NOW - 90 * DAY
    (tmp_path / "at").mkdir()
    assert case.check(tmp_path / "at")[:2] == ("RED", "UNKNOWN_KEY")
    case.bundle_at = NOW - 90 * DAY - timedelta(seconds=1)
    (tmp_path / "beyond").mkdir()
    assert case.check(tmp_path / "beyond")[:2] == ("GREY", "UNKNOWN_KEY")


@pytest.mark.parametrize("status", [Status.INVALID, Status.SUPERSEDED, Status.SUSPENDED])
def test_a_withdrawn_pass_stays_red_on_an_expired_list(tmp_path: Path, status: Status) -> None:
    case = Case(City(tmp_path / "trust"), lists_at=NOW - 60 * DAY)
    _status(status)(case)
    assert case.check(tmp_path)[0] == "RED"


def test_staleness_alone_is_never_red_and_never_green(tmp_path: Path) -> None:
    """From fresh to worthless: green, amber, grey, whatever is old."""
    for age in range(0, 24 * 12, 7):
        case = Case(City(tmp_path / str(age)), lists_at=NOW - age * HOUR)
        (tmp_path / f"m{age}").mkdir()
        colour, reason, verdict = case.check(tmp_path / f"m{age}")
        if age <= 24:
            assert (colour, reason) == ("GREEN", "VALID")
        elif age < 24 * 7:
            assert (colour, reason) == ("AMBER", "STALE_LIST")
        else:
            assert (colour, reason) == ("GREY", "NO_LIST")
        assert verdict["list_age_seconds"] in (age * 3600, None)


def test_a_period_from_another_list_of_days(tmp_path: Path) -> None:
    """A seal of one day counts on that day alone."""
    day = Period(NOW.date(), NOW.date())
    case = Case(City(tmp_path / "trust"))
    case.content |= {"not_before": seconds(day.starts_at), "expires": seconds(day.ends_at)}
    _, reason, verdict = case.check(tmp_path)
    assert reason == "VALID"
    assert verdict["valid_from"] == verdict["valid_until"] == "2026-11-20"
