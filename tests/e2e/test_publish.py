"""What `publish` writes: names, rights, sequences that only grow, and which lists are kept how long."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from keys import cose
from tests.e2e.clerk import Clerk
from tests.e2e.commandline import TODAY, DemoCity, main_in_process
from tests.e2e.device import Device
from tests.e2e.samples import MEMBERS, PERMITS

HOUR, DAY = 3600, 86400
NUMBER = PERMITS[0]["permit_id"]
SUBJECT, EXPIRES, ISSUED_AT, TTL, SEQUENCE, LISTS = 2, 4, 6, 65534, -65538, -65540


@pytest.fixture
def clerk(fresh_city: DemoCity) -> Clerk:
    clerk = Clerk(fresh_city)
    clerk.issue_permits({"plate_1": "D-AB 1"}, {"plate_1": "D-AB 2"})
    return clerk


def files(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def claims(file: Path) -> dict[Any, Any]:
    """The claims of a published file, read as docs/sp1.md describes it: a COSE_Sign1 of a CWT."""
    content = cose.decode(
        cose.read_sign1(file.read_bytes(), max_bytes=10_000_000).payload, max_bytes=10_000_000
    )
    assert isinstance(content, dict)
    return content


def sequences(folder: Path) -> dict[str, int]:
    return {str(one.relative_to(folder)): claims(one)[SEQUENCE] for one in sorted(folder.rglob("*.cwt"))}


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def test_the_files_of_the_contract(demo_city: DemoCity) -> None:
    published = demo_city.published
    names = {str(one.relative_to(published)) for one in published.rglob("*") if one.is_file()}
    # The memory of another test's verifier, which checks from the same folder.
    names -= {".state.json"}
    lists = {name for name in names if name.startswith("status/")}
    assert names - lists == {"root.pub", "bundle.cwt", "index.cwt", "plates.cwt"}
    assert lists == {f"status/{number}.cwt" for number in claims(published / "index.cwt")[LISTS]}
    assert (published / "plates.cwt").stat().st_mode & 0o777 == 0o600
    for name in names - {"plates.cwt"}:
        assert (published / name).stat().st_mode & 0o777 == 0o644, name


def test_nobody_can_be_told_from_what_is_published(demo_city: DemoCity) -> None:
    """Index, bundle and status lists are public: no number, no plate, no name, and no order of issue."""
    public = b"".join(content for name, content in files(demo_city.published).items() if name != "plates.cwt")
    for row in PERMITS[:20] + MEMBERS[:20]:
        for column in ("permit_id", "member_id", "plate_1", "card_number", "family_name", "email"):
            if len(row.get(column, "")) > 4:
                assert row[column].encode() not in public
    plates = (demo_city.published / "plates.cwt").read_bytes()
    assert NUMBER.encode() not in plates
    assert PERMITS[0]["family_name"].encode() not in plates


def test_times_and_sequences(demo_city: DemoCity) -> None:
    now = seconds(f"{TODAY}T12:00:00+01:00")
    lives = {"bundle.cwt": (90 * DAY, 365 * DAY), "plates.cwt": (DAY, 2 * DAY)}
    for file in demo_city.published.rglob("*.cwt"):
        found = claims(file)
        assert (found[TTL], found[EXPIRES] - found[ISSUED_AT]) == lives.get(file.name, (DAY, 7 * DAY))
        assert found[ISSUED_AT] == now
        assert found[SEQUENCE] == now * 1000


def test_settings_decide_how_long_lists_live(clerk: Clerk) -> None:
    for key, value in (
        ("list_ttl_hours", 2), ("list_expiry_hours", 5), ("plate_list_expiry_hours", 3), ("bundle_ttl_hours", 48),
    ):  # fmt: skip
        clerk.done("config", "set", key, value)
    clerk.publish()
    device, seal = clerk.device(), clerk.seal("P-1")
    assert [device.verify(seal, at=f"{TODAY}T{time}").only["reason"] for time in ("14:00", "14:00:01", "17:00")] == [
        "VALID", "STALE_LIST", "NO_LIST",
    ]  # fmt: skip
    assert device.plate("D-AB 1", at=f"{TODAY}T15:00").only["reason"] == "NO_LIST"
    assert claims(clerk.city.published / "bundle.cwt")[TTL] == 48 * HOUR


def test_the_index_pins_uri_and_hash_of_every_list(demo_city: DemoCity) -> None:
    index = claims(demo_city.published / "index.cwt")[LISTS]
    assert len(index) > 5
    for number, (uri, digest, sequence) in index.items():
        file = demo_city.published / "status" / f"{number}.cwt"
        assert hashlib.sha256(file.read_bytes()).digest() == digest
        found = claims(file)
        assert (found[SUBJECT], found[SEQUENCE]) == (uri, sequence)
        assert uri == f"https://stadtpass.example/status/{number}"


def test_one_list_for_each_type_and_half_year(demo_city: DemoCity, tmp_path: Path) -> None:
    issued = [row for row in PERMITS if row["status"] != "pending_payment"]
    groups = {("permit", row["valid_to"][:4], row["valid_to"][5:7] > "06") for row in issued}
    groups |= {("card", row["valid_to"][:4], row["valid_to"][5:7] > "06") for row in MEMBERS}
    assert len(claims(demo_city.published / "index.cwt")[LISTS]) == len(groups)


def test_swapped_files_are_no_lists(own_city: DemoCity) -> None:
    clerk = Clerk(own_city)
    place = clerk.show(NUMBER)["revisions"][0]["status_list"]
    other = next(number for number in claims(own_city.published / "index.cwt")[LISTS] if number != place)
    folder = own_city.published / "status"
    shutil.move(folder / f"{place}.cwt", folder / "kept")
    shutil.move(folder / f"{other}.cwt", folder / f"{place}.cwt")
    shutil.move(folder / "kept", folder / f"{other}.cwt")
    assert clerk.device().verify(clerk.seal(NUMBER)).short == ("GREY", "NO_LIST")


def test_a_device_that_fetches_in_the_middle_is_not_blind(clerk: Clerk) -> None:
    """Lists are written before their index: a newer list than the index names is taken."""
    seal, folder = clerk.seal("P-1"), clerk.city.published
    old = clerk.publish_aside("old")
    clerk.done("revoke", "P-1", "--reason", "Umzug", at=f"{TODAY}T12:05")
    clerk.publish(at=f"{TODAY}T12:06")
    shutil.copy(old / "index.cwt", folder / "index.cwt")
    assert clerk.device().verify(seal, at=f"{TODAY}T12:07").short == ("RED", "REVOKED")
    # The other way round, an old list under a new index, is a roll-back even for a new device.
    newer = clerk.city.folder / "newer"
    clerk.publish(at=f"{TODAY}T12:08", out=newer)
    shutil.copytree(old / "status", newer / "status", dirs_exist_ok=True)
    device = clerk.device("another", newer)
    assert device.verify(seal, at=f"{TODAY}T12:09").short == ("GREY", "NO_LIST")


def test_sequences_only_grow(clerk: Clerk) -> None:
    """By the clock; and where the clock stands still or goes back, by one."""
    seen: list[dict[str, int]] = []
    for at in (f"{TODAY}T12:00", f"{TODAY}T12:00", f"{TODAY}T11:00", f"{TODAY}T12:30"):
        clerk.publish(at=at)
        found = sequences(clerk.city.published)
        seen.append({name: found[name] for name in found if name != "bundle.cwt"})
    base = seconds(f"{TODAY}T12:00:00+01:00") * 1000
    assert [set(one.values()) for one in seen] == [{base}, {base + 1}, {base + 2}, {base + 1_800_000}]


def test_a_bundle_is_signed_anew_only_when_something_has_changed(clerk: Clerk) -> None:
    """The root is offline: daily lists must not need it."""
    bundle = clerk.city.published / "bundle.cwt"
    clerk.publish()
    first = bundle.read_bytes()
    clerk.publish(at="2026-11-21T12:00")
    assert bundle.read_bytes() == first
    clerk.add_key("seal", at="2026-11-21T12:00")
    clerk.publish(at="2026-11-21T12:00")
    second = bundle.read_bytes()
    assert claims(bundle)[SEQUENCE] > cose_sequence(first)
    # And before it grows stale.
    clerk.publish(at="2027-01-20T12:00")
    assert bundle.read_bytes() != second


def cose_sequence(data: bytes) -> int:
    content = cose.decode(cose.read_sign1(data, max_bytes=10_000_000).payload, max_bytes=10_000_000)
    assert isinstance(content, dict)
    sequence = content[SEQUENCE]
    assert isinstance(sequence, int)
    return sequence


def test_a_restored_database_does_not_fall_behind(clerk: Clerk) -> None:
    """Yesterday's backup: what is published next is newer than what devices have seen."""
    register, device = clerk.city.data / "register.db", clerk.device()
    clerk.publish()
    backup = shutil.copy(register, clerk.city.folder / "backup.db")
    clerk.done("change", "P-2", "--zone", "HO", at=f"{TODAY}T13:00")
    for minute in (1, 2, 3):
        clerk.publish(at=f"{TODAY}T13:0{minute}")
    assert device.verify(clerk.seal("P-1"), at=f"{TODAY}T13:04").short == ("GREEN", "VALID")
    assert device.plate("D-AB 1", at=f"{TODAY}T13:04").short == ("GREEN", "VALID")
    for leftover in ("register.db-wal", "register.db-shm"):
        (clerk.city.data / leftover).unlink(missing_ok=True)
    shutil.copy(backup, register)
    before = sequences(clerk.city.published)
    clerk.publish(at=f"{TODAY}T13:05")
    after = sequences(clerk.city.published)
    assert all(after[name] > before[name] for name in before if name != "bundle.cwt")
    assert after["bundle.cwt"] >= before["bundle.cwt"]
    assert device.verify(clerk.seal("P-1"), at=f"{TODAY}T13:06").short == ("GREEN", "VALID")
    assert device.plate("D-AB 1", at=f"{TODAY}T13:06").short == ("GREEN", "VALID")


def test_a_restored_data_folder_does_not_bring_back_an_old_bundle(clerk: Clerk) -> None:
    """A key was added since the backup: devices have seen that bundle and would refuse the one of before."""
    device, seal = clerk.device(), clerk.seal("P-1")
    clerk.publish()
    backup = shutil.copytree(clerk.city.data, clerk.city.folder / "backup")
    clerk.add_key("seal", at=f"{TODAY}T13:00")
    clerk.publish(at=f"{TODAY}T13:01")
    assert device.verify(seal, at=f"{TODAY}T13:02").short == ("GREEN", "VALID")
    shutil.rmtree(clerk.city.data)
    shutil.copytree(backup, clerk.city.data)
    clerk.publish(at=f"{TODAY}T13:05")
    assert device.verify(seal, at=f"{TODAY}T13:06").short == ("GREEN", "VALID")
    assert device.plate("D-AB 1", at=f"{TODAY}T13:06").short == ("GREEN", "VALID")


def test_lists_are_kept_until_thirty_days_after_the_last_expiry(clerk: Clerk) -> None:
    """The list of the second half of 2027 lies there until the end of January 2028, then no longer."""
    number = clerk.show("P-1")["revisions"][0]["status_list"]
    file = clerk.city.published / "status" / f"{number}.cwt"
    for at, kept in (("2027-12-31T12:00", True), ("2028-01-30T23:59:59", True), ("2028-02-01T12:00", False)):
        clerk.publish(at=at)
        assert file.exists() is kept, at
        assert (number in claims(clerk.city.published / "index.cwt")[LISTS]) is kept
    verdict = clerk.device().verify(clerk.seal("P-1"), at="2028-02-01T12:00").only
    assert (verdict["verdict"], verdict["reason"]) == ("RED", "EXPIRED")


def test_old_records_taken_over_answer_for_thirty_days(fresh_city: DemoCity) -> None:
    """A permit that ended long before the take-over still lies in a car: revoked is said, not guessed."""
    clerk = Clerk(fresh_city)
    clerk.issue_permits(
        {"valid_from": "2024-01-01", "valid_to": "2024-12-31", "status": "revoked", "revoked_on": "2024-06-01",
         "revocation_reason": "Umzug", "issued_on": "2023-12-20"}
    )  # fmt: skip
    clerk.publish()
    assert clerk.device().verify(clerk.seal("P-1")).short == ("RED", "REVOKED")
    clerk.publish(at="2026-12-21T12:01")
    assert not list((fresh_city.published / "status").iterdir())


def test_files_of_others_in_the_folder_are_left_alone(clerk: Clerk) -> None:
    folder = clerk.city.published
    (folder / "status").mkdir(parents=True)
    for name in ("index.html", "status/readme.txt", "status/notes.cwt"):
        (folder / name).write_text("of others")
    clerk.publish()
    assert all((folder / name).read_text() == "of others" for name in ("index.html", "status/notes.cwt"))


def test_an_empty_city_publishes_too(empty_city: DemoCity, tmp_path: Path) -> None:
    clerk = Clerk(empty_city.copy(tmp_path / "city"))
    outcome = clerk("publish", "--out", tmp_path / "deep" / "published", "--json")
    assert (outcome.code, json.loads(outcome.stdout)["plates"]) == (0, 0)
    device = Device(tmp_path / "deep" / "published", tmp_path / "state.json")
    assert device.plate("D-AB 1").short == ("RED", "NOT_LISTED")


def test_the_plate_list_can_be_read_by_its_owner_alone_even_over_an_old_one(clerk: Clerk) -> None:
    clerk.publish()
    (clerk.city.published / "plates.cwt").chmod(0o644)
    clerk.publish()
    assert (clerk.city.published / "plates.cwt").stat().st_mode & 0o777 == 0o600


def test_a_place_that_cannot_be_written_is_said_plainly(clerk: Clerk) -> None:
    (clerk.city.folder / "file").write_text("in the way")
    sentence = clerk.refused("publish", "--out", clerk.city.folder / "file")
    assert "file" in sentence
    done = main_in_process("publish", "--data", clerk.city.folder / "nowhere", "--out", clerk.city.published)
    assert done.code == 64


def test_a_key_counts_as_published_only_when_it_was(clerk: Clerk) -> None:
    """A publish that fails half-way announces nothing."""
    new = clerk.add_key("seal")
    (clerk.city.folder / "file").write_text("in the way")
    clerk.refused("publish", "--out", clerk.city.folder / "file")
    assert clerk.refused("keys", "activate", new)


def test_a_damaged_register_is_said_plainly(clerk: Clerk) -> None:
    register = clerk.city.data / "register.db"
    content = register.read_bytes()
    for damaged in (b"", b"no database at all" * 100, content[: len(content) // 3]):
        register.write_bytes(damaged)
        outcome = clerk("publish", "--out", clerk.city.published)
        assert outcome.code == 64, outcome.stderr
        assert "Traceback" not in outcome.stderr
    register.unlink()
    assert clerk.refused("publish", "--out", clerk.city.published)


def test_the_register_may_be_busy(clerk: Clerk) -> None:
    """Reading goes on while somebody writes: `show` and `verify` do not wait for `publish`."""
    clerk.publish()
    connection = sqlite3.connect(clerk.city.data / "register.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    assert clerk.show("P-1")["number"] == "P-1"
    connection.execute("ROLLBACK")
    connection.close()


def test_a_restored_office_without_its_root_keeps_the_newest_bundle(clerk: Clerk) -> None:
    """Devices would take the older bundle of the backup for a roll-back."""
    clerk.publish()
    backup = shutil.copytree(clerk.city.data, clerk.city.folder / "backup")
    clerk.publish(at="2027-01-15T12:00")
    newest = sequences(clerk.city.published)["bundle.cwt"]
    shutil.rmtree(clerk.city.data)
    shutil.copytree(backup, clerk.city.data)
    (clerk.city.data / "root").rename(clerk.city.folder / "safe")
    said = clerk("publish", "--out", clerk.city.published, at="2027-01-16T12:00")
    assert said.code == 0
    assert sequences(clerk.city.published)["bundle.cwt"] == newest
    # Older than half its ttl, it is used on with a warning.
    late = clerk("publish", "--out", clerk.city.published, "--json", at="2027-03-20T12:00")
    assert (late.code, json.loads(late.stdout)["root_missing"]) == (0, True)
    assert "root" in late.stderr
    assert sequences(clerk.city.published)["bundle.cwt"] == newest
