"""Links from mails: looking costs nothing, the button uses them up, and a new one is never far."""

from __future__ import annotations

import threading
from itertools import pairwise
from typing import Any

import pytest
from litestar.testing import TestClient
from sqlalchemy import select

from issuer import audit
from issuer.application import Application
from issuer.models_access import PickupLinkRow, VisitRow
from issuer.models_delivery import MailRow
from issuer.pickup.links import create_link
from issuer.register import subject
from tests.issuer.pickup.browser import HOST, browser, last_day, new_link
from tests.service import PERMIT, City, running_numbers

NO_MAIL = "BPA-2026-100001"


def mails(application: Application) -> list[str]:
    with application.reading() as session:
        return list(session.scalars(select(MailRow.number).where(MailRow.tenant == application.tenant)))


def test_looking_uses_nothing_up(application: Application) -> None:
    with browser(application) as client:
        path = new_link(application, running_numbers(application)[0])
        for _ in range(3):
            assert client.get(path).status_code == 200
            head = client.head(path)
            assert (head.status_code, head.content) == (200, b"")
        assert "set-cookie" not in client.get(path).headers
        assert client.post(path).status_code == 303


def test_the_button_opens_the_pass_once(application: Application) -> None:
    number = running_numbers(application)[0]
    path = new_link(application, number)
    with browser(application) as client, browser(application) as later:
        assert client.post(path).headers["location"] == "/p/pass"
        assert number in client.get("/p/pass").text
        again = later.post(path)
        assert (again.status_code, "set-cookie" in again.headers) == (410, False)
        assert later.get(path).status_code == 410
        assert later.get("/p/pass").status_code == 403


def test_two_at_the_same_time_one_gets_in(application: Application) -> None:
    path = new_link(application, running_numbers(application)[0])
    found: list[int] = []
    start = threading.Barrier(4, timeout=30)
    # Made here: the framework's own imports do not bear several applications being made at the same time.
    browsers = [browser(application) for _ in range(4)]

    def press(one: TestClient[Any]) -> None:
        with one as client:
            start.wait()
            found.append(client.post(path).status_code)

    threads = [threading.Thread(target=press, args=(one,)) for one in browsers]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(found) == [303, 410, 410, 410]


@pytest.mark.parametrize(("minutes", "status"), [(59, 303), (60, 410)])
def test_a_link_holds_for_an_hour(city: City, application: Application, minutes: int, status: int) -> None:
    path = new_link(application, running_numbers(application)[0])
    city.clock.forward(minutes=minutes)
    with browser(application) as client:
        assert client.get(path).status_code == (200 if status == 303 else 410)
        assert client.post(path).status_code == status


def test_a_link_on_a_screen_holds_for_ten_minutes(city: City, application: Application) -> None:
    path = new_link(application, running_numbers(application)[0], "screen")
    city.clock.forward(minutes=10)
    with browser(application) as client:
        assert client.post(path).status_code == 410


def test_the_neighbours_link_opens_nothing_here(application: Application, neighbour: Application) -> None:
    path = new_link(neighbour, running_numbers(neighbour)[0])
    with browser(application) as client, browser(neighbour) as other:
        assert client.post(path).status_code == 410
        assert other.post(path).status_code == 303


def test_links_differ_and_are_not_stored(application: Application) -> None:
    number = running_numbers(application)[0]
    with application.writing() as session:
        made = [create_link(session, application, PERMIT, number, "desk") for _ in range(20)]
    tokens = [one.removeprefix(f"{HOST}/p/l/") for one in made]
    assert all(len(one) == 22 for one in tokens)
    assert all(one != two for one, two in pairwise(sorted(tokens)))
    with browser(application) as client:
        cookie = client.post(f"/p/l/{tokens[0]}").cookies["__Host-stadtpass-visit"]
    with application.reading() as session:
        stored = [
            str(getattr(row, column.name))
            for table in (PickupLinkRow, VisitRow)
            for row in session.scalars(select(table))
            for column in table.__table__.columns
        ]
    assert stored
    for secret in (*tokens, cookie):
        assert not any(secret in one for one in stored)


@pytest.mark.parametrize(
    "token",
    ["x", "x" * 21, "x" * 23, "x" * 5000, "%00" * 22, "..%2f" * 5, "ä" * 22, "'%20OR%201=1--aaaaaaaa"],
)
def test_nonsense_is_an_old_link(application: Application, token: str) -> None:
    with browser(application) as client:
        for answer in (client.get(f"/p/l/{token}"), client.post(f"/p/l/{token}")):
            # The outer layers refuse some paths before any page sees them.
            assert answer.status_code in (404, 410, 414)
            assert "set-cookie" not in answer.headers


def test_an_old_link_brings_a_new_one(city: City, application: Application) -> None:
    number = running_numbers(application)[0]
    path = new_link(application, number)
    city.clock.forward(hours=5)
    with browser(application) as client:
        page = client.get(path)
        assert f'action="{path}/new"' in page.text
        answer = client.post(f"{path}/new")
        assert (answer.status_code, answer.headers["location"]) == (303, "/p/new/sent")
        assert mails(application) == [number]
        # Loading the answer again does not end in an error.
        assert client.get(f"{path}/new").headers["location"] == "/p/new"


def test_asking_never_tells_what_there_is(application: Application) -> None:
    number = next(one for one in running_numbers(application) if one != NO_MAIL)
    right = last_day(application, number)
    wrong = {**right, "year": "2031"}
    with browser(application) as client:
        answers = [
            client.post("/p/new", data={"number": number, **right}),
            client.post("/p/new", data={"number": number, **wrong}),
            client.post("/p/new", data={"number": NO_MAIL, **last_day(application, NO_MAIL)}),
            client.post("/p/new", data={"number": "BPA-1999-999999", **right}),
            client.post("/p/l/" + "x" * 22 + "/new"),
        ]
    shown = {(one.status_code, one.headers["location"], one.content) for one in answers}
    assert shown == {(303, "/p/new/sent", b"")}
    assert mails(application) == [number]


def test_one_pass_gets_few_links(city: City, application: Application) -> None:
    number = running_numbers(application)[0]
    fields = {"number": number.lower(), **last_day(application, number)}
    with browser(application) as client:
        for _ in range(5):
            assert client.post("/p/new", data=fields).headers["location"] == "/p/new/sent"
        assert len(mails(application)) == 2
        city.clock.forward(minutes=10)
        client.post("/p/new", data=fields)
        assert len(mails(application)) == 3


def test_one_address_asks_for_few_links(city: City, application: Application) -> None:
    with browser(application) as client:
        fields = {"number": "BPA-1", "day": "1", "month": "1", "year": "2030"}
        found = [client.post("/p/new", data=fields).status_code for _ in range(11)]
        assert found == [303] * 10 + [429]
        city.clock.forward(minutes=1)
        assert client.post("/p/new", data=fields).status_code == 303


def test_forms_of_other_sites_are_refused(application: Application) -> None:
    path = new_link(application, running_numbers(application)[0])
    with browser(application) as client:
        for headers in (
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Origin": "https://evil.example"},
        ):
            assert client.post(path, headers=headers).status_code == 403
        # What browsers send with a form under no-referrer.
        answer = client.post(path, headers={"Sec-Fetch-Site": "same-origin", "Origin": "null"})
        assert answer.status_code == 303


def test_a_visit_is_in_the_audit_trail(application: Application) -> None:
    number = running_numbers(application)[0]
    with browser(application) as client:
        client.post(new_link(application, number))
    with application.reading() as session:
        entry = audit.history(session, application.tenant, subject(PERMIT, number))[-1]
        assert (entry.actor, entry.action, entry.after) == ("holder", "pickup", {"channel": "mail"})
        assert audit.verify(session, application.tenant).fault is None
