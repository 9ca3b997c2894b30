"""Requests that only read are answered while nothing can be written."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from litestar.testing import TestClient
from prometheus_client import generate_latest
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from issuer import counters
from issuer.api.clients import KEY, add_client
from issuer.api.scopes import Scope
from issuer.application import Application
from issuer.best_effort import note_if_possible
from issuer.publication import publish_due
from issuer.verifier_devices import Role, add_device
from tests.service import City
from tests.web_app import create_app

PLATES = "/lists/plates.cwt"
PASSES = "/api/v1/passes"


@contextmanager
def busy_writer(application: Application) -> Iterator[None]:
    """Somebody else writes all the while."""
    holds, go = threading.Event(), threading.Event()

    def write() -> None:
        with application.writing() as session:
            session.execute(text("UPDATE tenants SET created_at = created_at"))
            holds.set()
            go.wait(60)

    thread = threading.Thread(target=write)
    thread.start()
    assert holds.wait(10)
    try:
        yield
    finally:
        go.set()
        thread.join()


@contextmanager
def full_disk(application: Application) -> Iterator[None]:
    """The database has no room for a single page more, or takes no writes at all."""
    sqlite = application.engine.dialect.name == "sqlite"

    def refuse(connection: Any, _cursor: Any, statement: str, *_more: object) -> None:
        if statement.startswith("UPDATE"):
            connection.connection.cursor().execute("SET LOCAL transaction_read_only = on")

    def refuse_on_sqlite(connection: Any, *_more: object) -> None:
        connection.connection.cursor().execute("PRAGMA query_only = ON")

    hook = refuse_on_sqlite if sqlite else refuse
    event.listen(application.engine, "before_cursor_execute", hook)
    try:
        yield
    finally:
        event.remove(application.engine, "before_cursor_execute", hook)


@pytest.mark.parametrize("trouble", [busy_writer, full_disk])
def test_reading_goes_on_while_nothing_can_be_written(
    city: City, application: Application, trouble: Callable[..., Any]
) -> None:
    publish_due(application)
    with application.writing() as session:
        key = add_client(session, application, "office", [Scope.PASSES_READ], kind=KEY, actor="test").secret
        token = add_device(session, application, "warden 1", Role.WARDEN, [], actor="test").token
    with TestClient(create_app(application)) as http:

        def ask() -> list[int]:
            asked = ((PLATES, token), (PASSES, key))
            return [
                http.get(path, headers={"Authorization": f"Bearer {one}"}).status_code for path, one in asked
            ]

        with trouble(application):
            began = time.monotonic()
            assert ask() == [200, 200]
            # Nobody waits for the writer as one who writes would.
            assert time.monotonic() - began < 10
            assert b'stadtpass_notes_lost_total{kind="client"}' in generate_latest(counters.REGISTRY)


def test_what_is_wrong_with_the_note_itself_is_no_trouble(city: City, application: Application) -> None:
    def broken(_session: Session) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        note_if_possible(application, "client", broken)
