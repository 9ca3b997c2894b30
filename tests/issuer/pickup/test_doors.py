"""However a pass is issued anew, links, letter codes and visits from before lead nowhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from issuer import lifecycle
from issuer.api import job_runs
from issuer.api.clients import KEY, add_client
from issuer.api.scopes import Scope
from issuer.application import Application
from issuer.lifecycle import Actor
from issuer.pickup import carriers, guests, wallets
from issuer.pickup.codes import create_letter_code
from tests.e2e.commandline import main_in_process
from tests.issuer.pickup.browser import browser, form_token, last_day, new_link, visit
from tests.service import PERMIT, City, running_numbers

API = "/api/v1"


def by_command(city: City, application: Application, number: str) -> None:
    arguments = ("--reason", "phone lost", "--data", city.folder, "--at", "2026-11-20T12:00")
    assert main_in_process("reissue", number, *arguments).code == 0


def by_api(city: City, application: Application, number: str) -> None:
    path = f"{API}/passes/{PERMIT}/{number}"
    with browser(application, **signed_in(application)) as http:
        version = {"If-Match": http.get(path).headers["etag"]}
        answer = http.post(f"{path}/reissue", json={"reason": "phone lost"}, headers=version)
    assert answer.status_code == 200, answer.text


def by_job(city: City, application: Application, number: str) -> None:
    body = {"kind": "reissue", "type": PERMIT, "numbers": [number], "reason": "phone lost"}
    with browser(application, **signed_in(application)) as http:
        answer = http.post(f"{API}/jobs", json=body)
    assert answer.status_code == 202, answer.text
    job_runs.TASKS[0].run(application, {"id": answer.json()["id"]})


def signed_in(application: Application) -> dict[str, str]:
    with application.writing() as session:
        made = add_client(session, application, "office", list(Scope), kind=KEY, actor="test")
    return {"Authorization": f"Bearer {made.secret}"}


def reissue(application: Application, number: str) -> None:
    pass_type = application.pass_types[PERMIT]
    with application.writing() as session:
        lifecycle.reissue(
            session,
            application.tenant,
            pass_type,
            number,
            seal_for=application.sealer(session, pass_type),
            actor=Actor("test", application.now(), "phone lost"),
        )


@pytest.mark.parametrize("way", [by_command, by_api, by_job])
def test_after_a_reissue_every_door_is_shut(
    city: City, application: Application, neighbour: Application, way: Callable[..., None]
) -> None:
    number, other = running_numbers(application)[:2]
    # The same number in another city, and another pass in this one, keep theirs.
    kept = [(application, other), (neighbour, number)]
    link, code = doors(application, number)
    still = [doors(*one) for one in kept]
    with browser(application) as finder, browser(application) as next_door, browser(neighbour) as abroad:
        visit(finder, application, number)
        visit(next_door, application, other)
        visit(abroad, neighbour, number)
        way(city, application, number)
        assert finder.get("/p/pass").status_code == 403
        assert finder.post(link).status_code == 410
        assert finder.post("/p/code", data={"code": code, **last_day(application, number)}).status_code == 422
        for http, (service, its), (path, its_code) in zip((next_door, abroad), kept, still, strict=True):
            assert http.get("/p/pass").status_code == 200
            assert http.post(path).status_code == 303
            fields = {"code": its_code, **last_day(service, its)}
            assert http.post("/p/code", data=fields).status_code == 303
        # A door made afterwards leads to the new pass.
        visit(finder, application, number)


def doors(application: Application, number: str) -> tuple[str, str]:
    """A fresh link and a fresh letter code."""
    link = new_link(application, number)
    with application.writing() as session:
        return link, create_letter_code(session, application, PERMIT, number)


@pytest.fixture
def overtaken(application: Application, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient[Litestar]]:
    """A browser on a visit whose pass is issued anew just after its cookie was looked at."""
    number = running_numbers(application)[0]
    known = guests.guest_of

    def overtaking(request: object) -> object:
        guest = known(request)  # type: ignore[arg-type]
        reissue(application, number)
        return guest

    with browser(application) as client:
        visit(client, application, number)
        client.headers["x-form-token"] = form_token(client.get("/p/pass"))
        monkeypatch.setattr(guests, "guest_of", overtaking)
        for module in (carriers, wallets):
            monkeypatch.setattr(module, "guest_of", overtaking)
        yield client


@pytest.mark.parametrize("path", ["phone", "wallets/remove", "devices/drop"])
def test_a_visit_that_ends_meanwhile_changes_nothing(overtaken: TestClient[Litestar], path: str) -> None:
    fields = {"form_token": overtaken.headers["x-form-token"]}
    assert overtaken.post(f"/p/pass/{path}", data=fields).status_code == 403


@pytest.mark.parametrize("name", ["apple.pkpass", "permit.pdf"])
def test_a_visit_that_ends_meanwhile_gets_nothing(overtaken: TestClient[Litestar], name: str) -> None:
    assert overtaken.get(f"/p/pass/{name}").status_code == 403
