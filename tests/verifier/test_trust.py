import json
import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keys.bundle import root_to_pem
from keys.errors import KeyRefusal
from keys.identity import spki_der
from tests.trust_factory import LIST_NUMBER, NOW, City, Key, seconds
from verifier.plate_check import check_plate
from verifier.seal_check import check_seal
from verifier.state import State, StateFileError, load_state, save_state
from verifier.verdict import Colour, Reason


@pytest.fixture
def city(tmp_path: Path) -> City:
    return City(tmp_path / "trust").publish()


def test_the_root_seen_first_is_kept_and_a_changed_root_file_ignored(city: City, tmp_path: Path) -> None:
    state = State()
    assert city.trust(state).bundle is not None
    assert state.root_spki == spki_der(city.root.public)
    attacker = City(tmp_path / "other").publish(NOW + timedelta(minutes=1))
    for name in ("root.pub", "bundle.cwt", "index.cwt", f"status/{LIST_NUMBER}.cwt", "plates.cwt"):
        (city.folder / name).write_bytes((attacker.folder / name).read_bytes())
    assert check_seal(attacker.seal(), city.trust(state), NOW).reason is Reason.NO_TRUST
    assert check_seal(attacker.seal(), city.trust(State()), NOW).reason is Reason.VALID
    # With the right lists back, the strange root.pub still does not matter.
    city.publish(NOW)
    (city.folder / "root.pub").write_bytes(root_to_pem(attacker.root.public))
    assert check_seal(city.seal(), city.trust(state), NOW).reason is Reason.VALID


def test_a_root_whose_bundle_does_not_verify_is_not_kept(city: City) -> None:
    (city.folder / "root.pub").write_bytes(root_to_pem(Key().public))
    state = State()
    assert city.trust(state).bundle is None
    assert state.root_spki is None


def test_a_named_root_is_the_only_one_that_counts(city: City, tmp_path: Path) -> None:
    own, other = tmp_path / "own.pub", tmp_path / "other.pub"
    own.write_bytes(root_to_pem(city.root.public))
    other.write_bytes(root_to_pem(Key().public))
    state = State()
    assert city.trust(state, own).bundle is not None
    assert city.trust(state, other).bundle is None
    assert state.root_spki is None
    # It wins over the remembered one, in both directions.
    city.trust(state)
    assert city.trust(state, other).bundle is None
    with pytest.raises(KeyRefusal):
        city.trust(state, city.folder / "bundle.cwt")
    with pytest.raises(OSError):
        city.trust(state, tmp_path / "absent.pub")


def test_a_root_change_endorsed_by_the_old_root_is_followed_for_good(city: City) -> None:
    state = State()
    city.trust(state)
    old_bundle = (city.folder / "bundle.cwt").read_bytes()
    old_root, city.root = city.root, Key()
    city.write_bundle(NOW + timedelta(minutes=1), previous_root=old_root)
    assert check_seal(city.seal(), city.trust(state), NOW).reason is Reason.VALID
    assert state.root_spki == spki_der(city.root.public)
    city.write_bundle(NOW + timedelta(minutes=2))
    assert check_seal(city.seal(), city.trust(state), NOW).reason is Reason.VALID
    (city.folder / "bundle.cwt").write_bytes(old_bundle)
    assert city.trust(state).bundle is None


def test_a_root_change_without_endorsement_is_refused(city: City) -> None:
    state = State()
    city.trust(state)
    city.root = Key()
    city.publish(NOW + timedelta(minutes=1))
    assert check_seal(city.seal(), city.trust(state), NOW).reason is Reason.NO_TRUST


def test_lists_count_only_under_a_list_key_of_the_bundle(city: City) -> None:
    for signer in (Key(), city.seal_key, city.root):
        city.publish(NOW)
        city.write_lists(signer=signer)
        assert check_seal(city.seal(), city.trust(), NOW).reason is Reason.NO_LIST
        city.write_plates(signer=signer)
        assert check_plate("D-AB 123", city.trust(), NOW).reason is Reason.NO_LIST
    city.set_key(city.list_key, state="revoked")
    city.publish(NOW)
    assert check_seal(city.seal(), city.trust(), NOW).reason is Reason.NO_LIST


def test_a_list_under_the_number_of_another_is_none(city: City) -> None:
    city.statuses[18] = {}
    city.publish(NOW)
    status = city.folder / "status"
    (status / f"{LIST_NUMBER}.cwt").write_bytes((status / "18.cwt").read_bytes())
    assert city.trust().status_list(18) is not None
    assert city.trust().status_list(LIST_NUMBER) is None


def test_a_list_newer_than_the_index_counts(city: City) -> None:
    index = (city.folder / "index.cwt").read_bytes()
    city.publish(NOW + timedelta(minutes=1))
    (city.folder / "index.cwt").write_bytes(index)
    assert city.trust().status_list(LIST_NUMBER) is not None


@pytest.mark.parametrize("name", ["bundle.cwt", "index.cwt", f"status/{LIST_NUMBER}.cwt", "plates.cwt"])
def test_a_roll_back_of_any_list_is_refused_and_the_same_list_is_not(city: City, name: str) -> None:
    state = State()

    def works() -> bool:
        trust = city.trust(state)
        if name == "plates.cwt":
            return trust.plate_list() is not None
        return trust.status_list(LIST_NUMBER) is not None

    old = (city.folder / name).read_bytes()
    assert works()
    city.publish(NOW + timedelta(minutes=1))
    assert works()
    assert works()
    (city.folder / name).write_bytes(old)
    assert not works()


FILES = ["root.pub", "bundle.cwt", "index.cwt", f"status/{LIST_NUMBER}.cwt", "plates.cwt"]


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(FILES), st.binary(max_size=200), st.integers(0, 150), st.booleans())
def test_any_bytes_in_any_file_count_as_absent(
    city: City, name: str, data: bytes, at: int, replace: bool
) -> None:
    city.publish(NOW)
    whole = (city.folder / name).read_bytes()
    changed = data if replace else whole[:at] + data + whole[at + len(data) :]
    (city.folder / name).write_bytes(changed)
    trust = city.trust()
    reason = check_seal(city.seal(), trust, NOW).reason
    assert check_plate("D-AB 123", trust, NOW).verdict is not Colour.GREEN
    if changed != whole and name in ("bundle.cwt", "index.cwt", f"status/{LIST_NUMBER}.cwt"):
        assert reason in (Reason.NO_TRUST, Reason.NO_LIST)


@pytest.mark.parametrize("name", FILES)
def test_an_empty_absent_or_huge_file_or_a_folder_counts_as_absent(city: City, name: str) -> None:
    path = city.folder / name
    for make in (lambda: path.write_bytes(b""), path.unlink, path.mkdir):
        make()
        check_plate("D-AB 123", city.trust(), NOW)
        verdict = check_seal(city.seal(), city.trust(), NOW)
        assert verdict.reason in (Reason.NO_TRUST, Reason.NO_LIST, Reason.VALID)
        assert (verdict.reason is Reason.VALID) == (name == "plates.cwt")
    path.rmdir()
    with path.open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    assert check_plate("D-AB 123", city.trust(), NOW).reason in (
        Reason.NO_TRUST,
        Reason.NO_LIST,
        Reason.NOT_LISTED,
    )


def test_memory_survives_saving(city: City, tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    assert load_state(path) == State()
    state = State()
    city.trust(state)
    state.remember_status(LIST_NUMBER, 5, 2, 77)
    save_state(path, state)
    assert load_state(path) == state
    assert not state.changed
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith("state")] == ["state.json"]


def test_a_crash_while_saving_leaves_the_old_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.json"
    state = State(sequences={"index": 5}, newest_issued_at={"index": 6})
    save_state(path, state)

    def crash(self: Path, target: Path) -> Path:
        raise OSError("no power")

    monkeypatch.setattr(Path, "replace", crash)
    with pytest.raises(OSError, match="no power"):
        save_state(path, State())
    assert load_state(path) == state
    assert list(tmp_path.iterdir()) == [path]


def test_two_runs_at_once_keep_what_either_saw(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    save_state(path, State())
    first, second = load_state(path), load_state(path)
    first.accept("index", 9, 90)
    first.accept("status/1", 3, 30)
    first.remember_status(1, 5, 1, 9)
    first.remember_status(1, 6, 1, 7)
    first.root_spki = spki_der(Key().public)
    second.accept("index", 8, 95)
    second.accept("status/2", 4, 40)
    second.remember_status(1, 6, 2, 8)
    second.remember_status(1, 7, 3, 8)
    second.root_spki = spki_der(Key().public)
    save_state(path, first)
    save_state(path, second)
    stored = load_state(path)
    assert stored.sequences == {"index": 9, "status/1": 3, "status/2": 4}
    assert stored.newest_issued_at == {"index": 95, "status/1": 30, "status/2": 40}
    assert stored.seen_invalid == {"1:5": (1, 9), "1:6": (2, 8), "1:7": (3, 8)}
    assert stored.root_spki == first.root_spki
    assert second == stored


def test_what_another_run_lifted_or_moved_stays_so(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    roots = [spki_der(Key().public) for _ in range(2)]
    save_state(path, State(root_spki=roots[0], seen_invalid={"1:5": (2, 7), "1:6": (2, 7)}))
    first, second = load_state(path), load_state(path)
    first.remember_status(1, 5, 0, 8)
    first.root_spki = roots[1]
    save_state(path, first)
    second.accept("index", 1, 1)
    second.remember_status(1, 6, 0, 8)
    save_state(path, second)
    assert load_state(path).seen_invalid == {}
    assert load_state(path).root_spki == roots[1]
    # The run that follows the old root to the new one may also be the later one.
    save_state(tmp_path / "b", State(root_spki=roots[0]))
    third, fourth = load_state(tmp_path / "b"), load_state(tmp_path / "b")
    third.accept("index", 1, 1)
    save_state(tmp_path / "b", third)
    fourth.root_spki = roots[1]
    save_state(tmp_path / "b", fourth)
    assert load_state(tmp_path / "b").root_spki == roots[1]


def test_processes_saving_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    program = """
import sys
from pathlib import Path
from verifier.state import load_state, save_state
for turn in range(15):
    state = load_state(Path(sys.argv[1]))
    state.remember_status(int(sys.argv[2]), turn, 1, 1)
    save_state(Path(sys.argv[1]), state)
"""
    runs = [subprocess.Popen([sys.executable, "-c", program, str(path), str(number)]) for number in range(4)]
    assert [one.wait() for one in runs] == [0] * 4
    assert len(load_state(path).seen_invalid) == 60
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_locked_for_long_is_an_oserror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr("verifier.state._LOCK_SECONDS", 0.05)
    handle = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError):
            save_state(tmp_path / "state.json", State())
    finally:
        os.close(handle)
    save_state(tmp_path / "state.json", State())


def test_leftovers_of_runs_that_were_killed_are_removed(tmp_path: Path) -> None:
    path = tmp_path / ".state.json"
    old, young, other = (tmp_path / f".state.json{end}" for end in (".abcd1234.tmp", ".abcd5678.tmp", ".bak"))
    for one in (old, young, other):
        one.write_text("x")
    for one in (old, other):
        os.utime(one, (time.time() - 3700, time.time() - 3700))
    save_state(path, State())
    assert sorted(tmp_path.iterdir()) == sorted([path, young, other])


def test_a_memory_damaged_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    state = load_state(path)
    path.write_text("{")
    with pytest.raises(StateFileError):
        save_state(path, state)
    assert path.read_text() == "{"


GOOD: dict[str, object] = {"version": 1, "root": None, "lists": {}, "seen": {}}


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", "1", "\ud800", json.dumps({}), *(json.dumps(GOOD | change) for change in (
        {"version": 2}, {"root": 5}, {"root": "zz"}, {"root": "00"}, {"lists": []}, {"lists": {"a": 1}},
        {"lists": {"a": [1]}}, {"lists": {"a": ["x", 1]}}, {"seen": {"1:2": [9, 1]}}, {"seen": {"1:2": [1]}},
        {"seen": None},
    )), json.dumps(GOOD)[:-1] + ',"lists":{"a":[1e999,1]}}', "[" * 100_000],
)  # fmt: skip
def test_a_damaged_memory_is_named_not_forgotten(tmp_path: Path, content: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(json.dumps(GOOD))
    assert load_state(path) == State()
    path.write_text(content, errors="surrogatepass")
    with pytest.raises(StateFileError, match=r"state\.json"):
        load_state(path)


def test_memory_of_bad_statuses_is_bounded_and_keeps_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("verifier.state._MAX_SEEN", 3)
    state = State()
    for index in range(5):
        state.remember_status(1, index, 1, seconds(NOW))
    assert [state.seen_status(1, index) is not None for index in range(5)] == [False, False, True, True, True]


def test_an_older_list_neither_lifts_nor_changes_a_bad_status() -> None:
    state = State()
    state.remember_status(1, 5, 1, 10)
    for value, sequence in ((0, 9), (0, 10), (2, 10), (2, 3)):
        state.remember_status(1, 5, value, sequence)
        assert state.seen_status(1, 5) == (1, 10)
    state.remember_status(1, 5, 2, 11)
    assert state.seen_status(1, 5) == (2, 11)
    state.remember_status(1, 5, 0, 12)
    assert state.seen_status(1, 5) is None
