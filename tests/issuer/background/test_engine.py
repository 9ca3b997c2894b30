"""Durable tasks: in the caller's transaction, tried again, given up, taken over; on both databases."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from issuer.application import Application
from issuer.background import engine as engine_module
from issuer.background.engine import Engine
from issuer.background.tasks import Queue, RetryLater, Task
from issuer.background.worker import sweep
from issuer.models_delivery import AppleDeviceRow, AppleRegistrationRow, WalletPassRow
from tests.service import City

Json = dict[str, Any]


class Book:
    """Writes down what tasks did."""

    def __init__(self) -> None:
        self.entries: list[Json] = []
        self.given_up: list[Json] = []
        self.fail: Callable[[Json], None] = lambda _: None
        self.lock = threading.Lock()

    def run(self, _application: Application, payload: Json) -> None:
        with self.lock:
            self.entries.append(payload)
        self.fail(payload)

    def give_up(self, _application: Application, payload: Json) -> None:
        self.given_up.append(payload)

    def wait(self, count: int, seconds: float = 20) -> None:
        until = time.monotonic() + seconds
        while len(self.entries) < count:
            assert time.monotonic() < until, f"{len(self.entries)} of {count} after {seconds} s"
            time.sleep(0.02)


@pytest.fixture
def book(monkeypatch: pytest.MonkeyPatch) -> Book:
    book = Book()
    tasks = {
        "note": Task("note", Queue.DELIVERY, book.run, give_up=book.give_up),
        "apple-push": Task("apple-push", Queue.DELIVERY, book.run),
        "hurry": Task("hurry", Queue.JOBS, book.run, patience=timedelta(0), give_up=book.give_up),
    }
    monkeypatch.setattr(engine_module, "all_tasks", lambda: tasks)
    return book


@pytest.fixture
def running(city: City, book: Book, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setenv("STADTPASS_BACKGROUND_POLLING_SECONDS", "0.05")
    monkeypatch.setenv("STADTPASS_BACKGROUND_LONGEST_WAIT_SECONDS", "0.2")
    engine = Engine(city.open(), "test-1")
    engine.start()
    yield engine
    engine.stop(5)


def test_work_is_there_after_the_commit_and_only_then(running: Engine, book: Book) -> None:
    application = running.application
    with application.writing() as session:
        assert application.enqueue(session, "note", {"n": 1})
        time.sleep(0.3)
        assert book.entries == []
    book.wait(1)
    with pytest.raises(ZeroDivisionError), application.writing() as session:
        application.enqueue(session, "note", {"n": 2})
        raise ZeroDivisionError
    with application.writing() as session:
        application.enqueue(session, "note", {"n": 3})
    book.wait(2)
    time.sleep(0.3)
    assert book.entries == [{"n": 1}, {"n": 3}]


def test_a_task_that_fails_is_tried_again_until_it_succeeds(running: Engine, book: Book) -> None:
    def fail(_: Json) -> None:
        if len(book.entries) == 1:
            raise RetryLater("BUSY", 0.1)
        if len(book.entries) == 2:
            raise OSError("Erika Mustermann")

    book.fail = fail
    with running.application.writing() as session:
        running.application.enqueue(session, "note", {"name": "Straße"})
    book.wait(3)
    time.sleep(0.5)
    assert book.entries == [{"name": "Straße"}] * 3
    assert book.given_up == []


def test_a_task_whose_patience_is_over_is_given_up_once(running: Engine, book: Book) -> None:
    def fail(_: Json) -> None:
        raise RetryLater("NEVER")

    book.fail = fail
    with running.application.writing() as session:
        running.application.enqueue(session, "hurry", {"n": 1})
    book.wait(1)
    time.sleep(0.5)
    assert (len(book.entries), book.given_up) == (1, [{"n": 1}])


def test_the_same_once_has_one_effect(running: Engine, book: Book) -> None:
    for _ in range(3):
        with running.application.writing() as session:
            running.application.enqueue(session, "note", {"n": 1}, once="morning")
    book.wait(1)
    time.sleep(0.3)
    assert len(book.entries) == 1


def test_ended_work_is_pruned_and_waiting_work_is_not(running: Engine, book: Book) -> None:
    application = running.application
    with application.writing() as session:
        application.enqueue(session, "note", {"n": 1})
        application.enqueue(session, "note", {"n": 2}, delay_seconds=60)
    book.wait(1)
    time.sleep(0.3)
    assert running.prune(datetime.now(UTC) + timedelta(seconds=5)) == 1
    assert running.under_way() == {"note": [{"n": 2}]}


def test_before_the_service_has_run_nothing_is_queued(application: Application, book: Book) -> None:
    with application.writing() as session:
        assert not application.enqueue(session, "note", {"n": 1})


def test_the_sweep_leaves_alone_what_a_task_is_after(running: Engine, book: Book, city: City) -> None:
    def fail(_: Json) -> None:
        raise RetryLater("NOBODY_THERE", 600)

    book.fail = fail
    application = running.application
    serials = _registered(application, city, 3)
    assert sweep(application, running) == 1
    book.wait(1)
    assert book.entries == [{"serials": serials[:3]}]
    time.sleep(0.3)
    # An outage of hours: the chain of attempts that there is stays the only one.
    for _ in range(3):
        city.clock.forward(hours=1)
        assert sweep(application, running) == 0
    more = _registered(application, city, 4)
    assert sweep(application, running) == 1
    book.wait(2)
    assert book.entries[1] == {"serials": sorted(set(more) - set(serials))}


def _registered(application: Application, city: City, count: int) -> list[str]:
    """Serials of ``count`` passes, sorted, each on a phone that has not been pushed to."""
    with application.writing() as session:
        rows = session.scalars(
            select(WalletPassRow)
            .where(WalletPassRow.tenant == application.tenant)
            .order_by(WalletPassRow.serial)
        ).all()[:count]
        for row in rows:
            device = {"tenant": application.tenant, "device_id": row.serial}
            if session.get(AppleDeviceRow, tuple(device.values())) is None:
                session.add(
                    AppleDeviceRow(
                        **device, push_token=row.serial, created_at=city.clock(), updated_at=city.clock()
                    )
                )
                session.flush()
                session.add(AppleRegistrationRow(**device, serial=row.serial, created_at=city.clock()))
        return [row.serial for row in rows]
