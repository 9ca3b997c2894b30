import unicodedata
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from passes.periods import BERLIN, Period, parse_time
from passes.plates import Plate
from passes.seasons import Season
from passes.status_list import Status
from tests.trust_factory import DAY, NOW, PERMIT, PLATE, City
from verifier.plate_check import check_plate
from verifier.seal_check import CheckSettings
from verifier.state import State
from verifier.verdict import Colour, Reason, Verdict

PAST = Period(date(2026, 1, 1), date(2026, 11, 19))
FUTURE = Period(date(2026, 11, 21), date(2027, 1, 1))
TODAY = Period(date(2026, 11, 20), date(2026, 11, 20))


@pytest.fixture
def city(tmp_path: Path) -> City:
    return City(tmp_path)


def check(city: City, text: str = "D-AB 123", age: timedelta = timedelta(0), **chosen: object) -> Verdict:
    """The verdict at NOW by a plate list of the given age; the other lists are of NOW."""
    city.publish(NOW - age)
    return check_plate(text, city.trust(), NOW, CheckSettings(**chosen), "en")  # type: ignore[arg-type]


def result(verdict: Verdict) -> tuple[Reason, Colour]:
    return verdict.reason, verdict.verdict


@pytest.mark.parametrize(
    "text", ["D-AB 123", "d ab 123", "D-AB123", "D AB123", "D·AB·123", " D–AB 123 ", "D-AB 123 (04-10)"]
)
def test_a_listed_plate_is_good_however_it_is_written(city: City, text: str) -> None:
    city.list_plate()
    verdict = check(city, text)
    assert result(verdict) == (Reason.VALID, Colour.GREEN)
    assert (verdict.plates, verdict.zone, verdict.list_age_seconds) == (("D-AB 123",), "MÜ1", 0)
    assert verdict.as_json()["valid_until"] == "2027-03-31"
    assert verdict.as_json()["number"] is None


def test_umlauts_may_be_decomposed(city: City) -> None:
    city.list_plate(Plate("MÜ", "X", "1"))
    assert check(city, unicodedata.normalize("NFD", "MÜ-X 1")).reason is Reason.VALID


AGES = [
    (timedelta(0), Colour.RED), (timedelta(hours=24), Colour.RED), (timedelta(hours=24, seconds=1), Colour.AMBER),
    (timedelta(hours=48, seconds=-1), Colour.AMBER), (timedelta(hours=48), Colour.GREY),
    (timedelta(days=30), Colour.GREY),
]  # fmt: skip


@pytest.mark.parametrize(("age", "colour"), AGES)
def test_a_missing_plate_is_red_amber_or_grey_with_age(city: City, age: timedelta, colour: Colour) -> None:
    verdict = check(city, age=age)
    assert result(verdict) == (Reason.NOT_LISTED, colour)
    assert verdict.list_age_seconds == age.total_seconds()
    assert (NOW - age).astimezone(BERLIN).strftime("%d.%m.%Y %H:%M") in verdict.message("de")
    if colour is not Colour.GREY:
        assert "printed permit" in verdict.message("en")


@pytest.mark.parametrize(("age", "expected"), [
    (timedelta(hours=24), (Reason.VALID, Colour.GREEN)),
    (timedelta(hours=24, seconds=1), (Reason.STALE_LIST, Colour.AMBER)),
    (timedelta(hours=48), (Reason.NO_LIST, Colour.GREY)),
])  # fmt: skip
def test_a_listed_plate_turns_amber_and_grey_with_the_age_of_the_list(
    city: City, age: timedelta, expected: tuple[Reason, Colour]
) -> None:
    city.list_plate()
    assert result(check(city, age=age)) == expected


def test_the_suffix_is_part_of_the_plate(city: City) -> None:
    city.list_plate(replace(PLATE, suffix="E"))
    verdict = check(city)
    assert result(verdict) == (Reason.SUFFIX_DIFFERS, Colour.AMBER)
    assert verdict.suggestions == ("D-AB 123E",)
    assert "D-AB 123E" in verdict.message("de")
    assert check(city, "D-AB 123E").reason is Reason.VALID
    assert check(city, "D-AB 123H").suggestions == ("D-AB 123E",)
    # Eight characters leave no room for a suffix, so there is nothing else to look for.
    assert check(city, "MYK-AB 123").reason is Reason.NOT_LISTED


def test_letters_without_separator_that_fit_two_plates_are_asked_back(city: City) -> None:
    city.list_plate(Plate("UE", "MA", "123"))
    verdict = check(city, "UEMA123")
    assert result(verdict) == (Reason.PLATE_AMBIGUOUS, Colour.AMBER)
    assert set(verdict.suggestions) >= {"UE-MA 123", "UEM-A 123"}
    assert verdict.as_json()["suggestions"] == list(verdict.suggestions)
    assert check(city, "UE-MA 123").reason is Reason.VALID
    assert check(city, "UEM-A 123").reason is Reason.NOT_LISTED


@pytest.mark.parametrize(
    "text", ["", "Hallo", "D-AB 0123", "0-1-23", "D-AB 12345", "Х-АВ 123", "\u202eD-AB 123", "x" * 5000]
)
def test_what_is_no_plate_is_grey_and_says_why(city: City, text: str) -> None:
    verdict = check(city, text)
    assert result(verdict) == (Reason.PLATE_INVALID, Colour.GREY)
    assert verdict.plates is None
    assert len(verdict.message("en")) > len("This plate cannot be checked. ")


def test_lookalikes_are_put_right_and_that_is_shown(city: City) -> None:
    city.list_plate(Plate("D", "OO", "10"))
    verdict = check(city, "D-0O 1O")
    assert result(verdict) == (Reason.VALID, Colour.GREEN)
    assert "D-OO 10" in verdict.message("de")
    assert verdict.plates == ("D-OO 10",)
    assert check(city, "D-OO 10").corrected is None


ENTRIES = {
    "good": {},
    "revoked": {"status": Status.INVALID},
    "superseded": {"status": Status.SUPERSEDED},
    "suspended": {"status": Status.SUSPENDED},
    "past": {"period": PAST},
    "future": {"period": FUTURE},
    "out of season": {"season": Season(4, 10)},
    "elsewhere": {"zone": "K2"},
    "last day": {"period": TODAY},
}
ALONE = [
    ("good", Reason.VALID), ("revoked", Reason.REVOKED), ("superseded", Reason.SUPERSEDED), ("past", Reason.EXPIRED),
    ("suspended", Reason.SUSPENDED), ("future", Reason.NOT_YET_VALID), ("out of season", Reason.OUT_OF_SEASON),
    ("elsewhere", Reason.OTHER_ZONE), ("last day", Reason.VALID),
]  # fmt: skip


@pytest.mark.parametrize(("name", "reason"), ALONE)
def test_an_entry_says_what_a_seal_would_say(city: City, name: str, reason: Reason) -> None:
    city.list_plate(**ENTRIES[name])  # type: ignore[arg-type]
    verdict = check(city, zone="MÜ1")
    assert result(verdict) == (reason, reason.colour)
    assert verdict.message("de")
    assert verdict.message("en")


@pytest.mark.parametrize(
    ("names", "reason"),
    [(["revoked", "good"], Reason.VALID), (["past", "elsewhere"], Reason.OTHER_ZONE),
     (["out of season", "revoked", "future"], Reason.OUT_OF_SEASON), (["elsewhere", "good", "past"], Reason.VALID)],
)  # fmt: skip
def test_of_several_entries_the_best_counts(city: City, names: list[str], reason: Reason) -> None:
    for name in names:
        city.list_plate(**ENTRIES[name])  # type: ignore[arg-type]
    assert check(city, zone="MÜ1").reason is reason


@pytest.mark.parametrize(
    ("moment", "reason"),
    [("2026-11-19T23:00Z", Reason.VALID), ("2026-11-20T22:59:59Z", Reason.VALID),
     ("2026-11-20T23:00Z", Reason.EXPIRED), ("2026-11-19T22:59:59Z", Reason.NOT_YET_VALID)],
)  # fmt: skip
def test_days_are_those_of_berlin(city: City, moment: str, reason: Reason) -> None:
    city.list_plate(period=TODAY)
    at = parse_time(moment)
    city.publish(at)
    assert check_plate("D-AB 123", city.trust(), at).reason is reason


def test_the_zone_may_be_decomposed(city: City) -> None:
    city.list_plate()
    assert check(city, zone=unicodedata.normalize("NFD", "mü1")).reason is Reason.VALID


def test_without_trust_or_list_nothing_can_be_said(city: City) -> None:
    city.list_plate()
    city.publish()
    (city.folder / "plates.cwt").unlink()
    assert result(check_plate("D-AB 123", city.trust(), NOW)) == (Reason.NO_LIST, Colour.GREY)
    (city.folder / "bundle.cwt").unlink()
    assert result(check_plate("D-AB 123", city.trust(), NOW)) == (Reason.NO_TRUST, Colour.GREY)


def test_a_rolled_back_plate_list_is_no_list(city: City) -> None:
    state = State()
    city.list_plate()
    city.publish(NOW - timedelta(hours=1))
    old = (city.folder / "plates.cwt").read_bytes()
    city.plates.clear()
    city.publish(NOW)
    assert check_plate("D-AB 123", city.trust(state), NOW).reason is Reason.NOT_LISTED
    (city.folder / "plates.cwt").write_bytes(old)
    assert check_plate("D-AB 123", city.trust(state), NOW).reason is Reason.NO_LIST


def test_a_clock_behind_the_list_is_named(city: City) -> None:
    city.publish(NOW - timedelta(days=1))
    city.write_plates(NOW)
    at = NOW - timedelta(seconds=121)
    assert result(check_plate("D-AB 123", city.trust(), at)) == (Reason.CLOCK_WRONG, Colour.GREY)


def test_the_print_is_asked_for_where_the_city_wants_it(city: City) -> None:
    city.list_plate()
    assert "print" not in check(city).message("en")
    city.types[PERMIT] = replace(city.types[PERMIT], paper_required=True)
    assert "print" in check(city).message("en")


def test_under_a_demo_root_it_says_test(tmp_path: Path) -> None:
    city = City(tmp_path, test=True)
    city.list_plate()
    verdict = check(city)
    assert (verdict.reason, verdict.as_json()["test"]) == (Reason.VALID, True)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=60) | st.text("DABO01 -EH()/.|", max_size=20))
def test_any_text_gives_a_verdict(tmp_path: Path, text: str) -> None:
    city = City(tmp_path)
    if not (tmp_path / "bundle.cwt").exists():
        city.publish()
    verdict = check_plate(text, city.trust(), NOW)
    assert verdict.verdict is not Colour.GREEN
    assert verdict.message("de")


def test_a_stale_bundle_makes_the_plate_list_stale_too(city: City) -> None:
    city.list_plate()
    city.publish()
    at = NOW + timedelta(days=91)
    city.write_plates(at)
    verdict = check_plate("D-AB 123", city.trust(), at)
    assert result(verdict) == (Reason.STALE_LIST, Colour.AMBER)
    assert verdict.list_age_seconds == 91 * DAY
