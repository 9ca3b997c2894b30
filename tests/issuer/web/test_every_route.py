"""Every route of the application against what no honest client sends.

The routes are those of the application's own table, so a new one is tested the day it is added.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute
from litestar.testing import TestClient

from issuer.api.clients import KEY, add_client
from issuer.api.scopes import Scope
from issuer.cases.facts import CaseKind, Channel
from issuer.cases.store import CaseActor, begin
from issuer.staff.permissions import Role
from issuer.web.limits import body_limit
from issuer.workspace import CONFIG
from tests.google_server import GoogleServer
from tests.issuer.console.people import settle
from tests.issuer.google.conftest import opened, point_at
from tests.issuer.pickup.browser import new_link
from tests.issuer.web.hostile_requests import KINDS, sent_to
from tests.issuer.web.raw_requests import JSON, Ask, Route, Service, Told, example_requests
from tests.service import DATABASES, OTHER_TENANT, PERMIT, TENANT, City, new_database, running_numbers
from tests.web_app import create_app

pytestmark = pytest.mark.slow

SECRET = "Erika-Mustermann-0815"
# Pages of the framework's that nobody gets to: a guard says 404.
UNSERVED = {"/api", "/api/{path:str}"}


def _routes(app: Litestar, values: dict[str, str]) -> list[Route]:
    found = []
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            path = re.sub(r"{(\w+):?\w*}", lambda one: quote(values[one[1]]), route.path)
            found.append(Route(route.path, path, frozenset(route.methods)))
    return found


@pytest.fixture(scope="module", params=DATABASES)
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A running city with credentials for everything, one for all tests here."""
    folder = tmp_path_factory.mktemp("every-route")
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("sqlite_cities")
        shutil.copy(template / "shared.db", folder / "shared.db")
        url = f"sqlite+pysqlite:///{folder / 'shared.db'}"
    else:
        template, name = request.getfixturevalue("postgresql_cities")
        url = new_database(request.getfixturevalue("postgresql"), "every_route", name)
    for tenant in (TENANT, OTHER_TENANT):
        shutil.copytree(template / tenant, folder / tenant)
        config = folder / tenant / CONFIG
        text = re.sub(r"database_url = .*", f'database_url = "{url}"', config.read_text())
        config.write_text(text + "\n[service]\nrequests_per_minute = 0\n")
    city = City(folder / TENANT, folder / OTHER_TENANT)
    with ExitStack() as stack:
        stack.enter_context(city.stack)
        google = stack.enter_context(GoogleServer(clock=city.clock, limit=10**6))
        point_at(google, stack.enter_context(pytest.MonkeyPatch.context()))
        application = opened(city, google)
        app = create_app(application)
        with application.writing() as session:
            key = add_client(session, application, "office", list(Scope), kind=KEY, actor="test").secret
        number = running_numbers(application)[0]
        with TestClient(app, base_url="https://stadtpass.example") as browser:
            opened_pass = browser.post(new_link(application, number), follow_redirects=False)
            assert opened_pass.status_code == 303
            assert browser.post("/apply", follow_redirects=False).status_code == 303
            person = settle(application, city.clock, "everything", *Role, app=app)
            cookie = "; ".join(
                f"{one.name}={one.value}" for one in (*browser.cookies.jar, *person.client.cookies.jar)
            ).encode()
        with application.writing() as session:
            by = CaseActor("test", application.now())
            case = begin(session, application.tenant, CaseKind.NEW, PERMIT, Channel.COUNTER, by)
        values = {
            "name": "permit.pdf", "type_id": PERMIT, "number": number, "device": "d1", "token": "a" * 43,
            "kind": "pass.example.stadtpass.demo", "serial": "0" * 32, "path": "x", "provider": "demo",
            "payment_id": "0" * 22, "transaction_id": "0" * 32,
            **dict.fromkeys(("job_id", "webhook_id", "delivery_id", "device_id"), "0" * 32),
            "account_id": "0" * 22, "case_id": case.id, "document_id": "0" * 22, "letter": "acknowledgement",
            "step": "revoke", "run_id": "0" * 22, "zone": "MÜ", "asked_id": "0" * 32,
        }  # fmt: skip
        routes = _routes(app, values)
        # A status list has a number of its own.
        routes = [
            Route(one.template, re.sub(r"^(/eudi)?/status/.*", r"\1/status/1", one.path), one.methods)
            for one in routes
        ]
        assert len(routes) > 60
        yield Service(app, application, routes, key, cookie)


# Only one route takes passes; the others are left out, so that each kind has something to ask of each route.
ONLY = {"new_passes": "/api/v1/passes"}


# What these say comes to no database: the web server's part refuses it, or no handler reads it.
UNSTORED = {"headers", "other_methods", "pieces"}
ON_ONE_DATABASE = pytest.mark.parametrize("service", ["sqlite"], indirect=True)


@ON_ONE_DATABASE
@pytest.mark.parametrize("name", sorted(UNSTORED))
def test_no_request_is_a_fault_of_ours(service: Service, name: str, caplog: pytest.LogCaptureFixture) -> None:
    _no_faults(service, name, caplog)


@pytest.mark.parametrize("name", sorted(KINDS.keys() - UNSTORED))
def test_no_text_is_a_fault_of_ours(service: Service, name: str, caplog: pytest.LogCaptureFixture) -> None:
    _no_faults(service, name, caplog)


def _no_faults(service: Service, name: str, caplog: pytest.LogCaptureFixture) -> None:
    routes = [one for one in service.routes if ONLY.get(name) in (None, one.template)]
    asks = [ask for route in routes for ask in KINDS[name](service, route)]
    assert len(asks) > 40
    with caplog.at_level(logging.ERROR):
        found = service.faults(iter(asks))
    assert found == [], "\n".join(found[:50])
    assert [one.getMessage() for one in caplog.records] == []


@ON_ONE_DATABASE
def test_too_large_is_said_before_anything_is_read(service: Service) -> None:
    def asks() -> Iterator[Ask]:
        for route in service.routes:
            size = str(body_limit(route.path) + 1).encode()
            for method in sorted(route.methods - {"OPTIONS"}):
                yield Ask(method, route.path, [(b"content-length", size), *service.credentials(route)])

    def wanted(_: Ask, told: Told) -> str | None:
        return None if told.status == 413 else "is not 413"

    assert service.faults(asks(), wanted) == []


@ON_ONE_DATABASE
def test_too_large_is_seen_without_a_length(service: Service) -> None:
    """An import may have 64 MiB, so its pieces are large; no route reads on after its limit."""

    def asks() -> Iterator[Ask]:
        for route in service.routes:
            pieces = (b" " * (body_limit(route.path) // 3 + 1),) * 4
            given = [(b"transfer-encoding", b"chunked"), (b"content-type", _type_for(route))]
            for method in sent_to(route):
                if method != "DELETE":
                    yield Ask(method, route.path, [*given, *service.credentials(route)], body=pieces)

    # What reads no body, and what is refused before it is read.
    unread: list[str] = []

    def wanted(ask: Ask, told: Told) -> str | None:
        if told.status != 413:
            unread.append(ask.path)
        return None

    assert service.faults(asks(), wanted) == []
    assert len(unread) < len([one for one in service.routes if sent_to(one)]) / 2, unread


def _type_for(route: Route) -> bytes:
    pages = ("/p", "/apply", "/office", "/accessibility", "/eudi/token", "/eudi/par", "/eudi/authorize")
    if route.template.startswith(pages) or route.template.endswith("/oauth/token"):
        return b"application/x-www-form-urlencoded"
    return b"text/csv" if route.template.endswith("/imports") else JSON


# Reached only while somebody logs in, and then no longer: an open session is led on before.
ON_THE_WAY = ("/office/login/code", "/office/factor")


@ON_ONE_DATABASE
def test_a_fault_of_any_handler_shows_nothing(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Each handler in turn fails with a text that holds a name; only its own route tells, and not the name."""
    told = asyncio.run(service.answer(Ask("GET", "/api/openapi.json")))
    assert told is not None
    examples = example_requests(json.loads(told.body))

    async def breaks(**_: Any) -> None:
        raise RuntimeError(SECRET)

    def breaks_at_once(**_: Any) -> None:
        raise RuntimeError(SECRET)

    asks = []
    for route in service.app.routes:
        if not isinstance(route, HTTPRoute):
            continue
        for handler in route.route_handlers:
            if handler.http_methods == {"OPTIONS"} or route.path in {*UNSERVED, *ON_THE_WAY}:
                continue
            monkeypatch.setattr(handler, "_fn", breaks_at_once if handler.has_sync_callable else breaks)
            known = next(one for one in service.routes if one.template == route.path)
            for method in sorted(handler.http_methods - {"OPTIONS"}):
                query, body = examples.get((method, route.path_format), (b"", b""))
                given = [(b"content-type", _type_for(known)), *service.credentials(known)]
                asks.append(Ask(str(method), known.path, given, query, (body,)))
    assert len(asks) > 70
    missed: list[str] = []

    def wanted(ask: Ask, told: Told) -> str | None:
        if told.status != 500:
            missed.append(f"{ask} {told.status} {told.text[:80]}")
        return "shows a name" if SECRET in told.text or SECRET in str(told.headers) else None

    with caplog.at_level(logging.DEBUG):
        found = service.faults(iter(asks), wanted)
    assert [one for one in found if not one.endswith(": 500 is a fault of ours")] == []
    assert missed == []
    assert SECRET not in caplog.text
    assert not any(SECRET in str(vars(one)) for one in caplog.records)
