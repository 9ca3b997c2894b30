"""Plates at the car: the signed list, how people type, and what a device says when it does not know."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from passes.periods import Period
from passes.plates import Plate
from passes.seasons import Season
from passes.status_list import Status
from tests.e2e.clerk import Clerk
from tests.e2e.commandline import TODAY, DemoCity
from tests.e2e.device import Device
from tests.e2e.samples import PERMITS
from tests.trust_factory import NOW, PERIOD, City

FIRST, LAST_BEFORE_EXPIRY = TODAY, "2026-11-22"
ENDED, COMING = Period(date(2026, 1, 1), date(2026, 11, 19)), Period(date(2026, 11, 22), date(2027, 1, 1))


@pytest.fixture
def device(demo_city: DemoCity, tmp_path: Path) -> Device:
    return Device(demo_city.published, tmp_path / "state.json")


@pytest.fixture
def city(tmp_path: Path) -> City:
    return City(tmp_path / "trust")


@pytest.fixture
def asked(city: City, tmp_path: Path) -> Device:
    return Device(city.folder, tmp_path / "state.json")


def plates(row: dict[str, str]) -> list[str]:
    return [plate for plate in (row["plate_1"], row["plate_2"]) if plate]


def listed(row: dict[str, str]) -> bool:
    running = row["valid_from"] <= LAST_BEFORE_EXPIRY and row["valid_to"] >= FIRST
    return running and row["status"] in ("active", "not_yet_valid")


def test_every_plate_of_the_samples(demo_city: DemoCity, device: Device) -> None:
    rows = [row for row in PERMITS for _ in plates(row)]
    asked = [plate for row in PERMITS for plate in plates(row)]
    running = {plate for row in PERMITS if listed(row) for plate in plates(row)}
    answer = device.plate(*asked)
    assert answer.code == 1
    for row, plate, verdict in zip(rows, asked, answer.verdicts, strict=True):
        assert verdict["plates"] == [plate]
        assert (verdict["reason"] != "NOT_LISTED") == (plate in running), plate
        if not listed(row):
            continue
        assert (
            verdict["number"] is verdict["type"] is verdict["organisation"] is verdict["card_number"] is None
        )
        if sum(plate in plates(one) for one in PERMITS if listed(one)) == 1:
            assert (verdict["zone"], verdict["valid_from"], verdict["valid_until"]) == (
                row["zone_code"], row["valid_from"], row["valid_to"],
            )  # fmt: skip


def test_a_plate_that_is_not_listed_says_where_to_look(device: Device) -> None:
    verdict = device.plate("D-QQ 1").only
    assert (verdict["verdict"], verdict["reason"]) == ("RED", "NOT_LISTED")
    assert "12:00" in verdict["message"]
    for words in ("printed permit", "changing vehicles", "car sharing", "issued today"):
        assert words in verdict["message"]
    assert verdict["list_time"] == "2026-11-20T12:00:00+01:00"


@pytest.mark.parametrize(
    ("at", "colour", "reason_of_listed"),
    [
        ("2026-11-20T12:00", "RED", "VALID"),
        ("2026-11-21T12:00:00", "RED", "VALID"),
        ("2026-11-21T12:00:01", "AMBER", "STALE_LIST"),
        ("2026-11-22T11:59:59", "AMBER", "STALE_LIST"),
        ("2026-11-22T12:00:00", "GREY", "NO_LIST"),
        ("2026-12-24T12:00:00", "GREY", "NO_LIST"),
    ],
)
def test_the_list_grows_old(device: Device, at: str, colour: str, reason_of_listed: str) -> None:
    verdict = device.plate("D-QQ 1", at=at).only
    assert (verdict["verdict"], verdict["reason"]) == (colour, "NOT_LISTED")
    assert "20.11.2026 12:00" in verdict["message"]
    assert device.plate(PERMITS[0]["plate_1"], at=at).only["reason"] == reason_of_listed


def test_letters_that_two_cars_share(device: Device) -> None:
    """UE-MA 123 and UEM-A 123 are two cars, and only one of them has a running permit."""
    ambiguous = device.plate("UEMA 123").only
    assert (ambiguous["verdict"], ambiguous["reason"]) == ("AMBER", "PLATE_AMBIGUOUS")
    assert ambiguous["suggestions"] == ["UE-MA 123", "UEM-A 123"]
    assert all(one in ambiguous["message"] for one in ambiguous["suggestions"])
    assert device.plate("UE-MA 123", "UEM-A 123").reasons == ["VALID", "NOT_LISTED"]


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "?", "D", "D-AB 0123", "D-AB 12345", "DDDD-AB 1", "D-AB 123 13-14", "SP1:AB"),
        *("D-AB 1\N{ZERO WIDTH SPACE}23", "\N{CYRILLIC CAPITAL LETTER VE}-AB 1", "x" * 100_000),
    ],
)
def test_what_is_no_plate_is_grey(device: Device, text: str) -> None:
    verdict = device.plate(text).only
    assert (verdict["verdict"], verdict["reason"], verdict["plates"]) == ("GREY", "PLATE_INVALID", None)


@pytest.mark.parametrize("form", ["{}", "{}E", "{}H"])
def test_another_suffix_is_another_car_but_may_be_a_slip(city: City, asked: Device, form: str) -> None:
    base = "D-AB 123"
    city.list_plate(Plate.from_canonical(form.format(base)))
    city.publish()
    for other in ("{}", "{}E", "{}H"):
        verdict = asked.plate(other.format(base)).only
        if other == form:
            assert verdict["reason"] == "VALID"
        else:
            assert (verdict["verdict"], verdict["reason"]) == ("AMBER", "SUFFIX_DIFFERS")
            assert verdict["suggestions"] == [form.format(base)]
            assert form.format(base) in verdict["message"]


@pytest.mark.parametrize(
    ("entries", "options", "expected"),
    [
        ([{"status": Status.INVALID}, {}], (), ("GREEN", "VALID")),
        ([{"period": ENDED}, {"period": COMING}], (), ("RED", "EXPIRED")),
        ([{"period": ENDED}, {"period": PERIOD, "zone": "HO"}], ("--zone", "MÜ1"), ("AMBER", "OTHER_ZONE")),
        ([{"zone": "HO"}, {"zone": "MÜ1"}], ("--zone", "mü1"), ("GREEN", "VALID")),
        ([{"season": Season(4, 10)}, {"status": Status.SUSPENDED}], (), ("AMBER", "OUT_OF_SEASON")),
        ([{"season": Season(4, 10)}, {"season": Season(11, 3)}], (), ("GREEN", "VALID")),
        ([{"status": Status.SUSPENDED}, {"status": Status.INVALID}], (), ("RED", "REVOKED")),
        ([{"status": Status.SUPERSEDED}, {"period": COMING}], (), ("RED", "SUPERSEDED")),
        ([{"season": Season(4, 10), "zone": "HO"}], ("--zone", "MÜ1"), ("AMBER", "OTHER_ZONE")),
        ([{"period": COMING}], (), ("RED", "NOT_YET_VALID")),
    ],
)
def test_of_several_permits_the_best_counts(
    city: City,
    asked: Device,
    entries: list[dict[str, object]],
    options: tuple[str, ...],
    expected: tuple[str, str],
) -> None:
    for entry in entries:
        city.list_plate(**entry)  # type: ignore[arg-type]
    city.publish()
    assert asked.plate("D-AB 123", options=options).short == expected


def test_a_permit_that_starts_later_says_when(city: City, asked: Device) -> None:
    city.list_plate(period=COMING)
    city.publish()
    assert "22.11.2026" in asked.plate("D-AB 123").only["message"]


def test_several_plates_give_the_worst_and_one_answer_each(device: Device) -> None:
    good = PERMITS[0]["plate_1"]
    for others, code in (((), 0), (("UEMA 123",), 2), (("UEMA 123", "?"), 3), (("?", "D-QQ 1"), 1)):
        answer = device.plate(good, *others)
        assert (answer.code, len(answer.verdicts)) == (code, 1 + len(others))


def test_a_list_from_nobody_is_no_list(city: City, asked: Device) -> None:
    city.list_plate()
    city.publish()
    city.write_plates(NOW, signer=city.seal_key)
    assert asked.plate("D-AB 123", "D-QQ 1").reasons == ["NO_LIST", "NO_LIST"]
    (city.folder / "plates.cwt").unlink()
    verdict = asked.plate("D-AB 123").only
    assert (verdict["verdict"], verdict["reason"]) == ("GREY", "NO_LIST")
    (city.folder / "bundle.cwt").unlink()
    assert asked.plate("D-AB 123").short == ("GREY", "NO_TRUST")


def test_a_list_needs_no_status_lists(city: City, asked: Device) -> None:
    city.list_plate()
    city.publish()
    (city.folder / "index.cwt").unlink()
    assert asked.plate("D-AB 123").short == ("GREEN", "VALID")


def test_an_older_list_put_back_is_no_list(fresh_city: DemoCity) -> None:
    clerk = Clerk(fresh_city)
    clerk.issue_permits({"plate_1": "D-AB 1"}, {"plate_1": "D-AB 2"})
    old = clerk.publish_aside("old")
    device, trust = clerk.device(), fresh_city.published
    clerk.done("revoke", "P-1", "--reason", "Umzug", at=f"{TODAY}T12:01")
    clerk.publish(at=f"{TODAY}T12:01")
    at = f"{TODAY}T12:02"
    assert device.plate("D-AB 1", "D-AB 2", at=at).reasons == ["NOT_LISTED", "VALID"]
    (trust / "plates.cwt").write_bytes((old / "plates.cwt").read_bytes())
    assert device.plate("D-AB 1", "D-AB 2", at=at).reasons == ["NO_LIST", "NO_LIST"]


def test_which_permits_stand_in_the_list(fresh_city: DemoCity) -> None:
    """Whoever is valid at any moment before the list expires (48 hours): tomorrow's too, the day after's not."""
    clerk = Clerk(fresh_city, at=f"{TODAY}T12:00")
    days = {
        "D-AA 1": ("2025-11-20", "2026-11-19", "expired"),
        "D-AA 2": ("2025-11-21", "2026-11-20", "active"),
        "D-AA 3": ("2026-11-20", "2027-11-19", "active"),
        "D-AA 4": ("2026-11-21", "2027-11-20", "not_yet_valid"),
        "D-AA 5": ("2026-11-22", "2027-11-21", "not_yet_valid"),
        "D-AA 6": ("2026-11-23", "2027-11-22", "not_yet_valid"),
    }
    clerk.issue_permits(
        *(
            {
                "plate_1": plate,
                "valid_from": first,
                "valid_to": last,
                "status": status,
                "issued_on": "2025-11-01",
            }
            for plate, (first, last, status) in days.items()
        )
    )
    clerk.publish()
    device = clerk.device()
    assert device.plate(*days).reasons == [
        "NOT_LISTED", "VALID", "VALID", "NOT_YET_VALID", "NOT_YET_VALID", "NOT_LISTED",
    ]  # fmt: skip
    # The next morning the list is still fresh, and those who start then are known.
    assert device.plate(*days, at="2026-11-21T00:00").reasons == [
        "NOT_LISTED", "EXPIRED", "VALID", "VALID", "NOT_YET_VALID", "NOT_LISTED",
    ]  # fmt: skip


def test_a_list_that_expires_at_midnight_leaves_out_who_starts_then(fresh_city: DemoCity) -> None:
    clerk = Clerk(fresh_city, at=f"{TODAY}T00:00")
    clerk.issue_permits(
        {
            "plate_1": "D-AA 1",
            "valid_from": "2026-11-21",
            "valid_to": "2027-11-20",
            "status": "not_yet_valid",
        },
        {
            "plate_1": "D-AA 2",
            "valid_from": "2026-11-22",
            "valid_to": "2027-11-21",
            "status": "not_yet_valid",
        },
    )
    clerk.publish()
    answer = clerk.device().plate("D-AA 1", "D-AA 2", at=f"{TODAY}T00:00")
    assert answer.reasons == ["NOT_YET_VALID", "NOT_LISTED"]


def test_how_long_the_list_looks_ahead_is_a_setting(fresh_city: DemoCity) -> None:
    clerk = Clerk(fresh_city)
    clerk.issue_permits(
        {"plate_1": "D-AA 1", "valid_from": "2026-11-25", "valid_to": "2027-11-24", "status": "not_yet_valid"}
    )
    clerk.publish()
    assert clerk.device().plate("D-AA 1").reasons == ["NOT_LISTED"]
    clerk.done("config", "set", "plate_list_expiry_hours", "240")
    clerk.publish()
    assert clerk.device().plate("D-AA 1").reasons == ["NOT_YET_VALID"]
