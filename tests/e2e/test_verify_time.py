"""Time on a device: the given time replaces the clock, and days are days in Berlin."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.e2e.clerk import Clerk
from tests.e2e.commandline import TODAY, DemoCity, main_in_process
from tests.e2e.device import Device
from tests.e2e.samples import PERMITS
from tests.trust_factory import City, permit

LAST_DAY_TODAY, FIRST_DAY_TOMORROW = PERMITS[13]["permit_id"], PERMITS[16]["permit_id"]


@pytest.fixture
def device(demo_city: DemoCity, tmp_path: Path) -> Device:
    return Device(demo_city.published, tmp_path / "state.json")


@pytest.mark.parametrize(
    ("at", "last", "first"),
    [
        ("2026-11-20T12:00", "VALID", "NOT_YET_VALID"),
        ("2026-11-20T23:59:59", "VALID", "NOT_YET_VALID"),
        ("2026-11-20T23:59:59.999", "VALID", "NOT_YET_VALID"),
        ("2026-11-20T23:59:59+01:00", "VALID", "NOT_YET_VALID"),
        ("2026-11-20T22:59:59Z", "VALID", "NOT_YET_VALID"),
        ("2026-11-20t22:59:59z", "VALID", "NOT_YET_VALID"),
        ("2026-11-20T23:00:00Z", "EXPIRED", "VALID"),
        ("2026-11-21T00:00", "EXPIRED", "VALID"),
        ("2026-11-21T00:00:00+01:00", "EXPIRED", "VALID"),
        ("2026-11-20T18:00:00-05:00", "EXPIRED", "VALID"),
        ("2026-11-21T04:29:59+05:30", "VALID", "NOT_YET_VALID"),
        ("2026-11-21T04:30:00+05:30", "EXPIRED", "VALID"),
    ],
)
def test_a_day_ends_at_midnight_in_berlin(
    demo_city: DemoCity, device: Device, at: str, last: str, first: str
) -> None:
    files = [demo_city.out / f"{number}.seal.txt" for number in (LAST_DAY_TODAY, FIRST_DAY_TOMORROW)]
    assert device.verify(*files, at=at).reasons == [last, first]


@pytest.mark.parametrize(
    ("period", "first_second", "first_beyond"),
    [
        # Summer time begins on 2026-03-29 and ends on 2026-10-25: days of 23 and of 25 hours.
        (("2026-03-29", "2027-03-28"), "2026-03-28T23:00:00Z", "2027-03-28T22:00:00Z"),
        (("2026-03-30", "2027-03-29"), "2026-03-29T22:00:00Z", "2027-03-29T22:00:00Z"),
        (("2026-10-25", "2027-10-24"), "2026-10-24T22:00:00Z", "2027-10-24T22:00:00Z"),
        (("2026-10-26", "2027-10-25"), "2026-10-25T23:00:00Z", "2027-10-25T22:00:00Z"),
        (("2026-11-01", "2027-10-31"), "2026-10-31T23:00:00Z", "2027-10-31T23:00:00Z"),
        (("2025-10-27", "2026-10-26"), "2025-10-26T23:00:00Z", "2026-10-26T23:00:00Z"),
    ],
)
def test_days_on_which_the_clocks_change(
    tmp_path: Path, period: tuple[str, str], first_second: str, first_beyond: str
) -> None:
    clerk = Clerk(DemoCity(tmp_path), at="2026-09-01T12:00")
    begin, end = datetime.fromisoformat(first_second), datetime.fromisoformat(first_beyond)
    clerk.done("init", "--demo")
    clerk.issue_permits(
        {"valid_from": period[0], "valid_to": period[1], "status": "active", "issued_on": period[0]},
        at=min(begin, datetime(2026, 9, 1, tzinfo=UTC)).isoformat(),
    )
    seal = clerk.seal("P-1")
    one = timedelta(seconds=1)
    found = []
    for moment in (begin - one, begin, end - one, end):
        trust = tmp_path / f"published{moment.timestamp():.0f}"
        clerk.publish(at=moment.isoformat(), out=trust)
        found += clerk.device(trust.name, trust).verify(seal, at=moment.isoformat()).reasons
    assert found == ["NOT_YET_VALID", "VALID", "VALID", "EXPIRED"]


def test_the_given_day_is_its_noon(demo_city: DemoCity, tmp_path: Path) -> None:
    seal = demo_city.out / f"{LAST_DAY_TODAY}.seal.txt"
    common = ("verify", "--trust", demo_city.published, "--state", tmp_path / "state.json", "--json", seal)
    noon, given = (
        main_in_process(*common, "--at", f"{TODAY}T12:00"),
        main_in_process(*common, "--today", TODAY),
    )
    assert noon == given
    assert noon.code == 0


@pytest.mark.parametrize(
    "arguments",
    [("--at", "noon"), ("--at", "2026-11-20"), ("--at", "2026-11-20 12:00"), ("--at", "2026-11-20T24:00"),
     ("--at", "2026-02-29T12:00"), ("--at", "2026-03-29T02:30"), ("--at", "2026-11-20T12:00+1"),
     ("--at", "2026-11-20T12:00:60Z"), ("--at", ""), ("--today", "20.11.2026"), ("--today", "today"),
     ("--today", TODAY, "--at", f"{TODAY}T12:00"), ("--at", "9999-12-31T23:59:59Z"), ("--at", "0001-01-01T00:00Z")],
)  # fmt: skip
@pytest.mark.parametrize("command", ["verify", "check-plate"])
def test_what_is_no_time_is_a_fault_of_use(
    demo_city: DemoCity, tmp_path: Path, command: str, arguments: tuple[str, ...]
) -> None:
    done = main_in_process(
        command, "--trust", demo_city.published, "--state", tmp_path / "state.json", "D-AB 123", *arguments
    )
    assert (done.code, done.stdout) == (64, "")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        ("2026-11-20T11:58:00", "VALID"),
        ("2026-11-20T11:57:59", "CLOCK_WRONG"),
        ("2026-11-19T23:00:00", "CLOCK_WRONG"),
        ("2026-11-21T12:00:00", "VALID"),
        ("2026-11-21T12:00:01", "STALE_LIST"),
        ("2026-11-27T11:59:59", "STALE_LIST"),
        ("2026-11-27T12:00:00", "NO_LIST"),
        ("2027-02-18T12:00:00", "NO_LIST"),
        ("2027-11-20T11:59:59", "NO_LIST"),
        ("2027-11-20T12:00:00", "NO_TRUST"),
    ],
)
def test_from_fresh_to_worthless(demo_city: DemoCity, device: Device, at: str, reason: str) -> None:
    """Tolerance 2 minutes, ttl 24 hours, expiry 7 days; the bundle lives a year."""
    seal = demo_city.out / "BPA-2026-100003.seal.txt"  # valid until 2028-01-25
    verdict = device.verify(seal, at=at).only
    assert verdict["reason"] == reason
    if reason == "CLOCK_WRONG":
        assert verdict["verdict"] == "GREY"
        assert at[11:16] in verdict["message"]


def test_a_stale_bundle_turns_green_to_amber(tmp_path: Path) -> None:
    """Lists are fresh, but the key of the seal may have been revoked since."""
    city = City(tmp_path / "trust").publish(datetime(2026, 8, 22, 11, tzinfo=UTC))
    now = datetime(2026, 11, 20, 11, tzinfo=UTC)
    city.write_lists(now)
    city.write_plates(now)
    city.list_plate()
    city.write_plates(now)
    device = Device(city.folder, tmp_path / "state.json")
    assert device.verify(city.seal(), at="2026-11-20T12:00").short == ("GREEN", "VALID")
    assert device.plate("D-AB 123", at="2026-11-20T12:00").short == ("GREEN", "VALID")
    late = device.verify(city.seal(), at="2026-11-20T12:00:01").only
    assert (late["verdict"], late["reason"]) == ("AMBER", "STALE_LIST")
    assert late["list_age_seconds"] == 90 * 86400 + 1
    assert device.plate("D-AB 123", at="2026-11-20T12:00:01").short == ("AMBER", "STALE_LIST")


def test_the_clock_of_the_machine_plays_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An office and a device of another decade: all that is made and said follows from the given time."""
    clerk = Clerk(DemoCity(tmp_path), at="2031-05-05T05:05")
    clerk.done("init", "--demo")
    clerk.issue_permits({"valid_from": "2031-05-05", "valid_to": "2032-05-04", "issued_on": "2031-05-04"})
    clerk.publish()
    clerk.done("suspend", "P-1", "--reason", "Prüfung", at="2031-05-05T06:00")
    clerk.done("resume", "P-1", "--reason", "geklärt", at="2031-05-05T07:00")
    clerk.publish(at="2031-05-05T07:30")
    device = clerk.device()
    verdict = device.verify(clerk.seal("P-1"), at="2031-05-05T08:00").only
    assert (verdict["reason"], verdict["list_time"]) == ("VALID", "2031-05-05T07:30:00+02:00")
    shown = clerk.show("P-1")
    assert [one["at"][:16] for one in shown["history"]] == [
        "2031-05-05T05:05", "2031-05-05T06:00", "2031-05-05T07:00",
    ]  # fmt: skip
    assert shown["revisions"][0]["issued_at"] == "2031-05-05T05:05:00+02:00"
    assert all(one["not_before"] < "2031-05-05" < one["not_after"] for one in clerk.key_list())


def test_a_seal_of_the_future_is_no_proof_of_a_wrong_clock(tmp_path: Path) -> None:
    """Only lists and bundle say what time it is: a seal made by somebody's fast clock must not stop a device."""
    city = City(tmp_path / "trust").publish()
    ahead = permit().issued_at + 400 * 86400
    verdict = Device(city.folder, tmp_path / "state.json").verify(city.seal(issued_at=ahead)).only
    assert verdict["reason"] == "VALID"
