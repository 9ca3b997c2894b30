"""Publishing into the register: what devices learn when, and what two publishers or a crash cannot spoil."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from issuer import keyring, list_content, publication
from issuer.application import Application
from issuer.commands import keys as keys_command
from issuer.models_delivery import PublicationRow, PublishedListRow
from issuer.publication import publish_due
from issuer.publish import publish
from issuer.settings import load_settings, save_settings
from keys.errors import Refusal
from keys.lifecycle import Purpose
from passes.plates import Plate
from tests.issuer.publication.handheld import (
    Handheld,
    Http,
    change_plate,
    enrol,
    plates_of,
    resume,
    revoke,
    seal_of,
    suspend,
)
from tests.service import CARD, City, running_numbers

NEW = Plate("D", "NE", "4711")


def stored(application: Application) -> dict[str, tuple[int, bytes]]:
    with application.reading() as session:
        rows = session.scalars(select(PublishedListRow).where(PublishedListRow.tenant == application.tenant))
        return {row.name: (row.sequence, row.data) for row in rows}


def changed_names(before: dict[str, tuple[int, bytes]], after: dict[str, tuple[int, bytes]]) -> set[str]:
    return {name for name in after if before.get(name) != after[name]}


def test_what_changes_reaches_the_device(
    application: Application, city: City, http: Http, handheld: Handheld
) -> None:
    numbers = running_numbers(application)
    revoked, changed, held, plain = numbers[:4]
    seals = {number: seal_of(application, number) for number in numbers}
    old_plate = plates_of(application, changed)[0]
    assert publish_due(application)
    handheld.sync(http)
    assert {handheld.reason(application, seals[one]) for one in numbers[:4]} == {"VALID"}
    assert handheld.plate(application, old_plate) == "VALID"

    city.clock.forward(minutes=1)
    revoke(application, revoked)
    change_plate(application, changed, NEW)
    suspend(application, held)
    assert publish_due(application)
    handheld.sync(http)
    reasons = [handheld.reason(application, seals[one]) for one in (revoked, changed, held, plain)]
    assert reasons == ["REVOKED", "SUPERSEDED", "SUSPENDED", "VALID"]
    assert handheld.reason(application, seal_of(application, changed)) == "VALID"
    assert handheld.plate(application, old_plate) == "NOT_LISTED"
    assert handheld.plate(application, NEW.canonical) == "VALID"
    assert handheld.plate(application, plates_of(application, held)[0]) == "NOT_LISTED"

    city.clock.forward(minutes=1)
    resume(application, held)
    assert publish_due(application)
    handheld.sync(http)
    assert handheld.reason(application, seals[held]) == "VALID"
    assert handheld.plate(application, plates_of(application, held)[0]) == "VALID"


def test_nothing_to_do_is_one_query_and_signs_nothing(application: Application, city: City) -> None:
    assert publish_due(application)
    before = stored(application)
    statements: list[str] = []
    from sqlalchemy import event

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if statement.startswith("SELECT") and "pg_" not in statement:
            statements.append(statement)

    event.listen(application.engine, "before_cursor_execute", note)
    city.clock.forward(minutes=5)
    assert not publish_due(application)
    assert len(statements) == 1
    assert stored(application) == before


def test_only_the_lists_that_say_something_new_are_signed(application: Application, city: City) -> None:
    publish_due(application)
    before = stored(application)
    city.clock.forward(minutes=1)
    card = running_numbers(application, CARD)[0]
    revoke(application, card, CARD)
    assert publish_due(application)
    after = stored(application)
    changed = changed_names(before, after)
    # One status list and the index; a library card has no plate, and the root is not needed.
    assert len(changed) == 2
    assert "index.cwt" in changed
    assert not {"plates.cwt", "bundle.cwt", "root.pub"} & changed


def test_a_change_that_concerns_no_list_signs_nothing_and_is_seen_once(
    application: Application, city: City, tmp_path: Path
) -> None:
    publish_due(application)
    before = stored(application)
    enrol(application, tmp_path)
    city.clock.forward(seconds=1)
    assert not publish_due(application)
    assert stored(application) == before
    with application.reading() as session:
        row = session.get(PublicationRow, application.tenant)
        assert row is not None
        assert row.held_until is None


def test_a_plate_that_two_passes_have_stays_when_one_of_them_goes(
    application: Application, city: City, http: Http, handheld: Handheld
) -> None:
    first, second = running_numbers(application)[:2]
    for number in (first, second):
        change_plate(application, number, NEW)
    publish_due(application)
    for number, reason in ((first, "VALID"), (second, "NOT_LISTED")):
        city.clock.forward(minutes=1)
        revoke(application, number)
        assert publish_due(application)
        handheld.sync(http)
        assert handheld.plate(application, NEW.canonical) == reason


def test_many_changes_give_the_same_list_as_reading_everything(application: Application, city: City) -> None:
    from passes.plate_list import read_plate_list

    publish_due(application)
    numbers = running_numbers(application)
    for place, number in enumerate(numbers[:12]):
        city.clock.forward(minutes=3)
        if place % 3 == 0:
            change_plate(application, number, Plate("D", "X", str(place + 1)))
        else:
            (revoke if place % 3 == 1 else suspend)(application, number)
        assert publish_due(application)
    resume(application, numbers[2])
    publish_due(application)
    part = read_plate_list(stored(application)["plates.cwt"][1])
    publication._memories.clear()
    assert publish_due(application)
    whole = read_plate_list(stored(application)["plates.cwt"][1])
    assert part.claims == whole.claims
    # The one that was put together ends when the one before did: later permits were not looked for.
    assert part.frame.expires < whole.frame.expires


def test_lists_are_signed_anew_before_they_grow_stale(application: Application, city: City) -> None:
    publish_due(application)
    before = stored(application)
    city.clock.forward(hours=11, minutes=59)
    assert not publish_due(application)
    city.clock.forward(minutes=2)
    assert publish_due(application)
    assert changed_names(before, stored(application)) == before.keys() - {"bundle.cwt", "root.pub"}


def test_a_list_that_never_changes_is_renewed_beside_one_that_does(
    application: Application, city: City
) -> None:
    publish_due(application)
    first = stored(application)
    card = running_numbers(application, CARD)
    for number in card[:5]:
        city.clock.forward(hours=3)
        revoke(application, number, CARD)
        publish_due(application)
    assert changed_names(first, stored(application)) == first.keys() - {"bundle.cwt", "root.pub"}


def test_short_lived_plate_lists_are_renewed_before_they_expire(application: Application, city: City) -> None:
    with application.writing() as session:
        settings = load_settings(session, application.tenant)
        from msgspec.structs import replace

        save_settings(session, application.tenant, replace(settings, plate_list_expiry_hours=4))
    publish_due(application)
    before = stored(application)
    city.clock.forward(hours=2, minutes=1)
    assert publish_due(application)
    assert "plates.cwt" in changed_names(before, stored(application))


def test_a_new_key_is_published_and_may_then_sign(application: Application, city: City) -> None:
    publish_due(application)
    with application.writing() as session:
        record = keyring.create_key(
            session, application.keys, application.tenant, Purpose.SEAL, application.now(), test=True,
            pass_types=(keyring.ALL_TYPES,),
        )  # fmt: skip
        with pytest.raises(Refusal):
            keyring.activate(session, record, application.now())
        note_key(application, session)
    city.clock.forward(seconds=1)
    assert publish_due(application)
    with application.writing() as session:
        record = keyring.find(session, application.tenant, record.kid.hex())
        assert keyring.activate(session, record, application.now())


def note_key(application: Application, session: object) -> None:
    """What ``keys add`` notes in the audit trail."""
    event = keys_command.AuditEvent("key-added", "key/00", after={"purpose": "seal"})
    keys_command.audit.append(session, application.tenant, [event], application.now(), "test")  # type: ignore[arg-type]


def test_an_offline_root_does_not_hold_up_the_lists(
    application: Application, city: City, http: Http, handheld: Handheld, caplog: pytest.LogCaptureFixture
) -> None:
    number = running_numbers(application)[0]
    seal = seal_of(application, number)
    publish_due(application)
    root = city.folder / "root"
    root.rename(city.folder / "safe")
    bundle = stored(application)["bundle.cwt"]
    with application.writing() as session:
        record = keyring.create_key(
            session, application.keys, application.tenant, Purpose.SEAL, application.now(), test=True
        )
        note_key(application, session)
    revoke(application, number)
    city.clock.forward(seconds=1)
    with caplog.at_level(logging.WARNING):
        assert publish_due(application)
    assert [one.message for one in caplog.records] == ["root offline, the bundle stays as it was"]
    handheld.sync(http)
    assert handheld.reason(application, seal) == "REVOKED"
    assert stored(application)["bundle.cwt"] == bundle
    # The bundle does not name the key, so it must not sign.
    with application.writing() as session, pytest.raises(Refusal):
        keyring.activate(session, record, application.now())
    # The root is back: within a minute the bundle says what is so.
    (city.folder / "safe").rename(root)
    city.clock.forward(minutes=1)
    assert publish_due(application)
    assert stored(application)["bundle.cwt"][0] > bundle[0]
    with application.writing() as session:
        found = keyring.find(session, application.tenant, record.kid.hex())
        assert keyring.activate(session, found, application.now())


def test_without_a_list_key_the_old_lists_stay_and_nobody_tries_all_the_time(
    application: Application, city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_due(application)
    before = stored(application)
    revoke(application, running_numbers(application)[0])
    tried: list[int] = []

    def refuse(*_args: object, **_more: object) -> None:
        tried.append(1)
        raise Refusal("NO_SIGNING_KEY")

    with monkeypatch.context() as patched:
        patched.setattr(list_content.keyring, "signing_record", refuse)
        with pytest.raises(Refusal):
            publish_due(application)
        city.clock.forward(seconds=1)
        assert not publish_due(application)
        assert len(tried) == 1
    assert stored(application) == before
    city.clock.forward(seconds=5)
    assert publish_due(application)


STEPS = ("read_content", "sign_lists", "mark_published")


@pytest.mark.parametrize("step", STEPS)
def test_a_run_that_dies_leaves_the_old_set_whole(
    application: Application,
    city: City,
    http: Http,
    handheld: Handheld,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    number = running_numbers(application)[0]
    seal = seal_of(application, number)
    publish_due(application)
    before = stored(application)
    revoke(application, number)
    city.clock.forward(seconds=1)

    def die(*_args: object, **_more: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(publication, step, die)
        with pytest.raises(MemoryError):
            publish_due(application)
    assert stored(application) == before
    handheld.sync(http)
    assert handheld.reason(application, seal) == "VALID"
    city.clock.forward(seconds=6)
    assert publish_due(application)
    handheld.sync(http)
    assert handheld.reason(application, seal) == "REVOKED"


def test_the_work_of_a_worker_that_vanished_is_taken_up(application: Application, city: City) -> None:
    """SIGKILL in the middle: nobody has given the lease back."""
    publish_due(application)
    other = city.open()
    publish_due(other)
    revoke(application, running_numbers(application)[0])
    assert publication._begin(application, application.now(), "gone") is not None
    assert not publish_due(other)
    city.clock.forward(seconds=31)
    assert publish_due(other)


def test_a_clock_that_was_set_back_stops_nothing(application: Application, city: City) -> None:
    publish_due(application)
    before = stored(application)
    city.clock.forward(days=-1)
    revoke(application, running_numbers(application)[0])
    assert publish_due(application)
    after = stored(application)
    assert all(after[name][0] > before[name][0] for name in changed_names(before, after))


def between(
    monkeypatch: pytest.MonkeyPatch, name: str, meanwhile: Callable[[], object], *, after: bool = False
) -> None:
    """Have ``meanwhile`` happen once before (or after) the next run reaches the step ``name``."""
    original, left = getattr(publication, name), [meanwhile]

    def step(*args: object, **more: object) -> object:
        if after:
            result = original(*args, **more)
            while left:
                left.pop()()
            return result
        while left:
            left.pop()()
        return original(*args, **more)

    monkeypatch.setattr(publication, name, step)


@pytest.mark.parametrize("also", [True, False])
@pytest.mark.parametrize("step", ["read_content", "sign_lists", "_store"])
def test_a_slow_publisher_never_replaces_what_a_quicker_one_has_published(
    application: Application,
    city: City,
    http: Http,
    handheld: Handheld,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    also: bool,
) -> None:
    """The slow one has read a suspension; the quick one knows that it is over, and perhaps of something else."""
    number, another = running_numbers(application)[:2]
    seal, other = seal_of(application, number), city.open()
    publish_due(application)
    publish_due(other)
    suspend(application, number)

    def quicker() -> None:
        city.clock.forward(seconds=31)
        resume(other, number)
        if also:
            revoke(other, another)
        assert publish_due(other) is also

    between(monkeypatch, step, quicker)
    assert not publish_due(application)
    left = stored(application)
    handheld.sync(http)
    assert handheld.reason(application, seal) == "VALID"
    # Nothing was missed either: what is stored is what everything read anew gives.
    assert not publish_due(application)
    assert stored(application) == left


@pytest.mark.parametrize("suspended", [True, False])
def test_a_publisher_that_was_overtaken_before_it_read_gives_up(
    application: Application, city: City, monkeypatch: pytest.MonkeyPatch, suspended: bool
) -> None:
    """Otherwise it would have newer content under a lower number."""
    number, other = running_numbers(application)[0], city.open()
    publish_due(application)
    publish_due(other)
    revoke(application, number)

    def quicker() -> None:
        city.clock.forward(seconds=31)
        if suspended:
            suspend(other, running_numbers(other)[1])
        assert publish_due(other)

    between(monkeypatch, "_begin", quicker, after=True)
    before = stored(application)
    assert not publish_due(application)
    assert all(sequence >= before[name][0] for name, (sequence, _) in stored(application).items())
    publish_due(application)
    assert not publish_due(application)


@pytest.mark.timeout(120)
def test_two_publishers_at_once_never_go_back(city: City, http: Http, handheld: Handheld) -> None:
    workers = [city.open(), city.open()]
    application = workers[0]
    numbers = running_numbers(application)[:6]
    seals = [seal_of(application, number) for number in numbers]
    publish_due(application)
    stop, faults = threading.Event(), list[BaseException]()

    def work(worker: Application) -> None:
        try:
            while not stop.is_set():
                publish_due(worker)
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(one,)) for one in workers]
    for thread in threads:
        thread.start()
    try:
        seen: dict[str, int] = {}
        for number in numbers:
            city.clock.forward(seconds=1)
            revoke(application, number)
            for name, (sequence, _) in stored(application).items():
                assert sequence >= seen.get(name, 0)
                seen[name] = sequence
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not faults
    city.clock.forward(seconds=31)
    publish_due(application)
    handheld.sync(http)
    assert {handheld.reason(application, seal) for seal in seals} == {"REVOKED"}


def test_a_restored_register_publishes_what_devices_accept(
    city: City, application: Application, http: Http, handheld: Handheld, serve: Callable[[Application], Http]
) -> None:
    """Yesterday's backup of the database comes back; the first run after it is newer than all that was seen."""
    if application.engine.dialect.name != "sqlite":
        pytest.skip("a copy of a file")
    file = Path(str(application.engine.url.database))
    first, second = running_numbers(application)[:2]
    seals = [seal_of(application, first), seal_of(application, second)]
    publish_due(application)
    with application.writing() as session:
        session.connection().exec_driver_sql("SELECT 1")
    from sqlalchemy import text

    with application.engine.connect() as connection:
        connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    backup = shutil.copy(file, file.with_name("backup.db"))
    for minute in range(3):
        city.clock.forward(minutes=1)
        revoke(application, running_numbers(application)[minute + 3])
        publish_due(application)
    revoke(application, first)
    publish_due(application)
    handheld.sync(http)
    assert handheld.reason(application, seals[0]) == "REVOKED"
    application.workspace.close()
    for leftover in ("-wal", "-shm"):
        Path(f"{file}{leftover}").unlink(missing_ok=True)
    shutil.copy(backup, file)
    city.clock.forward(minutes=1)
    restored = city.open()
    revoke(restored, second)
    assert publish_due(restored)
    handheld.sync(serve(restored))
    # Accepted as newer: otherwise the second pass would be unknown to the device's older list.
    assert handheld.reason(restored, seals[1]) == "REVOKED"
    assert handheld.plate(restored, plates_of(restored, running_numbers(restored)[5])[0]) == "VALID"


def test_a_folder_and_the_service_share_one_row_of_numbers(
    application: Application, city: City, tmp_path: Path, http: Http, handheld: Handheld
) -> None:
    """A device may take its lists now from here, now from there."""
    number = running_numbers(application)[0]
    seal = seal_of(application, number)
    publish_due(application)
    handheld.sync(http)
    revoke(application, number)
    shutil.rmtree(handheld.folder)
    publish(application.workspace, handheld.folder, application.now())
    assert handheld.reason(application, seal) == "REVOKED"
    assert publish_due(application)
    handheld.etags.clear()
    handheld.sync(http)
    assert handheld.reason(application, seal) == "REVOKED"
    assert handheld.plate(application, plates_of(application, running_numbers(application)[3])[0]) == "VALID"


def test_two_cities_have_their_own_lists(
    application: Application,
    neighbour: Application,
    city: City,
    serve: Callable[[Application], Http],
    tmp_path: Path,
) -> None:
    number = running_numbers(application)[0]
    seals = [seal_of(one, number) for one in (application, neighbour)]
    devices = [enrol(one, tmp_path / one.tenant) for one in (application, neighbour)]
    clients = [serve(one) for one in (application, neighbour)]
    assert publish_due(application)
    assert clients[1].get("/lists/index.cwt").status_code == 404
    assert publish_due(neighbour)
    city.clock.forward(minutes=1)
    revoke(application, number)
    assert publish_due(application)
    assert not publish_due(neighbour)
    for device, client in zip(devices, clients, strict=True):
        device.sync(client)
    assert devices[0].reason(application, seals[0]) == "REVOKED"
    assert devices[1].reason(neighbour, seals[1]) == "VALID"
    assert devices[1].reason(neighbour, seals[0]) == "UNKNOWN_KEY"


def test_a_list_whose_seals_have_long_expired_goes(application: Application, city: City) -> None:
    publish_due(application)
    before = stored(application)
    city.clock.at += timedelta(days=365)
    publish_due(application)
    after = stored(application)
    assert {"index.cwt", "plates.cwt"} < after.keys() < before.keys()


def test_a_bundle_signed_for_a_folder_is_not_taken_back(
    application: Application, city: City, tmp_path: Path
) -> None:
    publish_due(application)
    first = stored(application)["bundle.cwt"][0]
    city.clock.forward(days=50)
    publish(application.workspace, tmp_path / "out", application.now())
    city.clock.forward(minutes=1)
    publish_due(application)
    found = stored(application)["bundle.cwt"]
    assert found[0] > first
    assert found[1] == (tmp_path / "out" / "bundle.cwt").read_bytes()
