"""What a device remembers: the root seen first, the newest lists, and statuses that were bad."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from keys.bundle import root_to_pem
from passes.status_list import Status
from tests.e2e.clerk import Clerk
from tests.e2e.commandline import TODAY, DemoCity, main_in_process, run
from tests.e2e.device import Device
from tests.e2e.samples import PERMITS
from tests.trust_factory import LIST_NUMBER, NOW, City, Key, permit

NUMBER = PERMITS[0]["permit_id"]
GREEN, REVOKED = ("GREEN", "VALID"), ("RED", "REVOKED")
NO_LIST, NO_TRUST = ("GREY", "NO_LIST"), ("GREY", "NO_TRUST")


@pytest.fixture
def clerk(own_city: DemoCity) -> Clerk:
    return Clerk(own_city)


@pytest.fixture
def city(tmp_path: Path) -> City:
    return City(tmp_path / "trust").publish()


@pytest.fixture
def device(city: City, tmp_path: Path) -> Device:
    return Device(city.folder, tmp_path / "state.json")


def put_back(older: Path, trust: Path, *names: str) -> None:
    """What an attacker or a careless copy does: older files over newer ones."""
    for name in names or tuple(str(one.relative_to(older)) for one in older.rglob("*") if one.is_file()):
        shutil.copy(older / name, trust / name)


def test_memory_lies_beside_the_lists_unless_told_otherwise(own_city: DemoCity, tmp_path: Path) -> None:
    common = ("verify", "--trust", own_city.published, "--today", TODAY, own_city.out / f"{NUMBER}.seal.txt")
    assert main_in_process(*common, "--state", tmp_path / "memory").code == 0
    assert (tmp_path / "memory").stat().st_size
    assert not (own_city.published / ".state.json").exists()
    assert main_in_process(*common).code == 0
    text = (own_city.published / ".state.json").read_text()
    assert json.loads(text)
    # No plate, no number, no time of a check: the memory of a device is not a record of cars.
    assert PERMITS[0]["plate_1"] not in text
    assert NUMBER not in text


def test_publishing_anew_leaves_the_memory_alone(clerk: Clerk) -> None:
    trust = clerk.city.published
    check = ("verify", "--trust", trust, "--today", TODAY, clerk.seal(NUMBER))
    assert main_in_process(*check).code == 0
    before = (trust / ".state.json").read_bytes()
    clerk.publish()
    assert (trust / ".state.json").read_bytes() == before
    assert main_in_process(*check).code == 0


def test_an_older_folder_over_a_newer_one_is_refused(clerk: Clerk) -> None:
    device, seal, trust = clerk.device(), clerk.seal(NUMBER), clerk.city.published
    old = clerk.publish_aside("old")
    clerk.done("revoke", NUMBER, "--reason", "Umzug", at=f"{TODAY}T12:10")
    new = clerk.publish_aside("new", at=f"{TODAY}T12:15")
    assert device.verify(clerk.seal("BPA-2026-100002"), at=f"{TODAY}T12:20").short == GREEN
    put_back(old, trust)
    # This device has not seen the revocation, but it has seen newer lists.
    assert device.verify(seal, at=f"{TODAY}T12:20").short == NO_LIST
    assert device.plate(PERMITS[0]["plate_1"], at=f"{TODAY}T12:20").short[0] == "GREEN"
    put_back(new, trust)
    assert device.verify(seal, at=f"{TODAY}T12:20").short == REVOKED
    put_back(old, trust)
    assert device.verify(seal, at=f"{TODAY}T12:20").short == REVOKED
    # A device without memory cannot know better, and is green: why memory matters.
    assert clerk.device("new device").verify(seal, at=f"{TODAY}T12:20").short == GREEN


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("bundle.cwt", NO_TRUST),
        ("index.cwt", NO_LIST),
        (f"status/{LIST_NUMBER}.cwt", NO_LIST),
        ("plates.cwt", GREEN),
    ],
)
def test_each_file_put_back_counts_as_missing(
    city: City, device: Device, tmp_path: Path, name: str, verdict: tuple[str, str]
) -> None:
    shutil.copytree(city.folder, tmp_path / "old")
    city.list_plate()
    city.publish(NOW, sequence=int(NOW.timestamp() * 1000) + 1)
    assert device.verify(city.seal()).short == GREEN
    assert device.plate("D-AB 123").short == GREEN
    put_back(tmp_path / "old", city.folder, name)
    assert device.verify(city.seal()).short == verdict
    plates = {"bundle.cwt": NO_TRUST, "plates.cwt": NO_LIST}.get(name, GREEN)
    assert device.plate("D-AB 123").short == plates


def test_the_same_files_again_are_no_roll_back(city: City, device: Device) -> None:
    for _ in range(3):
        assert device.verify(city.seal()).short == GREEN


def test_a_status_once_bad_stays_bad_until_a_newer_list_lifts_it(clerk: Clerk) -> None:
    device, seal, trust = clerk.device(), clerk.seal(NUMBER), clerk.city.published
    old = clerk.publish_aside("old")
    clerk.done("suspend", NUMBER, "--reason", "Rücklastschrift", at=f"{TODAY}T12:01")
    clerk.publish(at=f"{TODAY}T12:02")
    assert device.verify(seal, at=f"{TODAY}T12:03").short == ("RED", "SUSPENDED")
    # Stale and expired, missing and put back: still red.
    assert device.verify(seal, at="2026-11-22T12:00").short == ("RED", "SUSPENDED")
    assert device.verify(seal, at="2026-12-24T12:00").short == ("RED", "SUSPENDED")
    put_back(old, trust, "index.cwt", *(f"status/{one.name}" for one in (old / "status").iterdir()))
    assert device.verify(seal, at=f"{TODAY}T12:03").short == ("RED", "SUSPENDED")
    (trust / "index.cwt").unlink()
    assert device.verify(seal, at=f"{TODAY}T12:03").short == ("RED", "SUSPENDED")
    clerk.done("resume", NUMBER, "--reason", "bezahlt", at=f"{TODAY}T12:04")
    clerk.publish(at=f"{TODAY}T12:05")
    assert device.verify(seal, at=f"{TODAY}T12:06").short == GREEN


def test_what_was_seen_counts_even_where_a_later_input_fails(clerk: Clerk) -> None:
    device, seal = clerk.device(), clerk.seal(NUMBER)
    clerk.done("revoke", NUMBER, "--reason", "Umzug")
    clerk.publish()
    # A file that is there, and of which only reading shows that it is no picture.
    later = clerk.city.folder / "later.pdf"
    later.write_bytes(b"%PDF-1.7")
    answer = device.verify(seal, later)
    assert (answer.code, answer.reasons) == (64, ["REVOKED"])
    (clerk.city.published / "index.cwt").unlink()
    assert device.verify(seal).short == REVOKED


def test_the_root_seen_first_is_kept(city: City, device: Device, tmp_path: Path) -> None:
    """A stranger who can write the folder cannot become the city."""
    assert device.verify(city.seal()).short == GREEN
    stranger = City(tmp_path / "trust").publish()
    assert device.verify(stranger.seal()).short == NO_TRUST
    assert device.verify(city.seal()).short == NO_TRUST
    assert device.plate("D-AB 123").short == NO_TRUST
    # A new device takes the stranger for the city, which is why `--root` exists.
    assert Device(city.folder, tmp_path / "fresh.json").verify(stranger.seal()).short == GREEN
    city.publish()
    assert device.verify(city.seal()).short == GREEN


def test_a_root_that_signed_nothing_here_is_not_remembered(city: City, device: Device) -> None:
    root = (city.folder / "root.pub").read_bytes()
    (city.folder / "root.pub").write_bytes(root_to_pem(Key().public))
    assert device.verify(city.seal()).short == NO_TRUST
    (city.folder / "root.pub").write_bytes(root)
    assert device.verify(city.seal()).short == GREEN


def test_a_named_root_pins(city: City, device: Device, tmp_path: Path) -> None:
    named, other = tmp_path / "named.pub", tmp_path / "other.pub"
    shutil.copy(city.folder / "root.pub", named)
    other.write_bytes(root_to_pem(Key().public))
    assert device.verify(city.seal(), options=("--root", other)).short == NO_TRUST
    (city.folder / "root.pub").unlink()
    assert device.verify(city.seal(), options=("--root", named)).short == GREEN
    stranger = City(tmp_path / "trust").publish()
    fresh = Device(city.folder, tmp_path / "fresh.json")
    assert fresh.verify(stranger.seal(), options=("--root", named)).short == NO_TRUST


@pytest.mark.parametrize(
    "content", [None, b"", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"]
)
def test_a_named_root_that_is_none_is_a_fault_of_use(
    city: City, device: Device, tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "root.pub").write_bytes(content)
    answer = device.verify(city.seal(), options=("--root", tmp_path / "root.pub"))
    assert (answer.code, answer.verdicts) == (64, [])


def test_a_memory_that_cannot_be_written_warns_once_and_checks_all_the_same(
    city: City, tmp_path: Path
) -> None:
    answer = Device(city.folder, tmp_path / "missing" / "state.json").verify(city.seal(), city.seal())
    assert answer.reasons == ["VALID", "VALID"]
    (warning,) = answer.stderr.splitlines()
    assert "missing" in warning


@pytest.mark.parametrize(
    "content", [b"{}", b"[]", b"nonsense", b"\xff\xfe", b'{"version": 99}', b"[" * 100_000]
)
def test_a_damaged_memory_is_named_and_never_overwritten(city: City, device: Device, content: bytes) -> None:
    device.state.write_bytes(content)
    answer = device.verify(city.seal())
    assert (answer.code, answer.verdicts) == (64, [])
    assert str(device.state) in answer.stderr
    assert device.state.read_bytes() == content


def test_one_memory_for_seals_and_plates(city: City, device: Device) -> None:
    """A plate list that is newer than the clock shows up a wrong clock for seals too."""
    city.write_plates(NOW.replace(hour=13))
    city.list_plate()
    assert device.plate("D-AB 123", at="2026-11-20T14:00").code == 1
    assert device.verify(city.seal(), at="2026-11-20T12:00").short == ("GREY", "CLOCK_WRONG")
    assert device.plate("D-AB 123", at="2026-11-20T12:00").short == ("GREY", "CLOCK_WRONG")


def test_a_new_root_endorsed_by_the_old_one_is_followed(clerk: Clerk) -> None:
    """`keys add root`, publish, activate, publish: devices of before follow, without being touched."""
    follows, seal, trust = clerk.device("follows"), clerk.seal(NUMBER), clerk.city.published
    sleeps = clerk.device("sleeps")
    for one in (follows, sleeps):
        assert one.verify(seal).short == GREEN
    old_root = shutil.copy(trust / "root.pub", clerk.city.folder / "old.pub")
    old = next(one["kid"] for one in clerk.key_list("root"))
    new = clerk.add_working_key("root")
    assert (trust / "root.pub").read_bytes() == Path(old_root).read_bytes()
    clerk.publish()
    assert (trust / "root.pub").read_bytes() != Path(old_root).read_bytes()
    both = Path(shutil.copytree(trust, clerk.city.folder / "both"))
    assert follows.verify(seal).short == GREEN
    assert follows.verify(seal, options=("--root", old_root)).short == GREEN
    assert clerk.device("new device").verify(seal).short == GREEN
    clerk.done("keys", "retire", old)
    clerk.publish()
    assert follows.verify(seal).short == GREEN
    assert clerk.device("newer device").verify(seal).short == GREEN
    # Who slept through the change, or pins the old root by hand, is told so: no trust, but no lie.
    assert sleeps.verify(seal).short == NO_TRUST
    assert clerk.device("pinned").verify(seal, options=("--root", old_root)).short == NO_TRUST
    # The bundle that both have signed helps the sleeper.
    put_back(both, trust)
    assert sleeps.verify(seal).short == GREEN
    assert {one["kid"]: one["state"] for one in clerk.key_list("root")} == {old: "retired", new: "active"}


def test_a_strangers_endorsement_is_worth_nothing(city: City, device: Device, tmp_path: Path) -> None:
    assert device.verify(city.seal()).short == GREEN
    new, stranger = Key(), Key()
    good = city.write_bundle(root=new, previous_root=city.root)
    for signer, previous in ((new, stranger), (stranger, stranger), (new, None)):
        city.write_bundle(root=signer, previous_root=previous)
        assert device.verify(city.seal()).short == NO_TRUST
    # An endorsement that names somebody else than the one who signed:
    city.write_bundle(root=stranger, previous_root=city.root, next_root=bytes(91))
    assert device.verify(city.seal()).short == NO_TRUST
    (city.folder / "bundle.cwt").write_bytes(good)
    assert device.verify(city.seal()).short == GREEN
    # From now on the new root counts, and the old one no longer.
    city.write_bundle(root=city.root)
    assert device.verify(city.seal()).short == NO_TRUST
    city.write_bundle(root=new)
    assert device.verify(city.seal()).short == GREEN


def test_a_withdrawn_pass_is_red_in_a_process_of_its_own(city: City, tmp_path: Path) -> None:
    """The memory works across processes, as on a device."""
    city.statuses[LIST_NUMBER][permit().status_index] = Status.INVALID
    city.publish()
    common = ("verify", "--trust", city.folder, "--at", "2026-11-20T12:00", "--json", city.seal())
    assert run(*common).returncode == 1
    (city.folder / "index.cwt").unlink()
    done = run(*common)
    assert (done.returncode, json.loads(done.stdout)["reason"], done.stderr) == (1, "REVOKED", "")
    assert (city.folder / ".state.json").stat().st_mode & 0o077 == 0


def test_a_folder_without_anything_is_no_trust(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    city = City(tmp_path / "trust")
    device = Device(tmp_path / "empty", tmp_path / "state.json")
    assert device.verify(city.seal(), at="2026-11-20T12:00").short == NO_TRUST
    assert device.plate("D-AB 123").short == NO_TRUST
    answer = Device(tmp_path / "nowhere", tmp_path / "state.json").verify(city.seal())
    assert (answer.code, answer.verdicts) == (64, [])
