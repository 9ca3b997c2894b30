"""Whatever stands in the address of a page that asks a wallet: no 5xx, and nothing of what a wallet has shown."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from httpx import Response
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from litestar.testing import TestClient

from issuer.application import Application
from issuer.presentations.wishes import Credential
from issuer.staff.permissions import Role
from tests.issuer.apply.applicant import Applicant
from tests.issuer.console.people import settle
from tests.issuer.eudi.conftest import set_up
from tests.issuer.pickup.browser import form_token
from tests.service import City
from tests.wallet_answers import CODE, ERIKA, shows
from tests.web_app import create_app

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("city", ["sqlite"], indirect=True)]
SOME = settings(
    max_examples=25,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
DESK, APPLY = "/office/account", "/apply/documents"
Asked = tuple[TestClient[Any], str, str]
"""A browser, a page of it with a form, and the path of a question that a wallet on this device has answered."""


def desk(city: City, application: Application, role: Role, path: str, credential: Credential) -> Asked:
    who = settle(application, city.clock, "erika", role, app=create_app(application))
    answer = who.send(path, page=path)
    shows(application, credential, ERIKA, same_device=True)
    return who.client, DESK, str(answer.headers["location"])


def counter(city: City, application: Application) -> Asked:
    return desk(city, application, Role.CLERK, "/office/wallet", Credential.RESIDENCE_CERTIFICATE)


def library(city: City, application: Application) -> Asked:
    return desk(city, application, Role.LIBRARIAN, "/office/library/wallet", Credential.LIBRARY_CARD)


def case(_: City, application: Application) -> Asked:
    applicant = Applicant(application)
    applicant.fill_in(house_number="33")
    answer = applicant.send("/apply/wallet", APPLY)
    shows(application, Credential.PID, ERIKA, same_device=True)
    return applicant.client, APPLY, str(answer.headers["location"])


@pytest.mark.parametrize("ask", [counter, library, case])
def test_ids_and_codes(
    city: City, caplog: pytest.LogCaptureFixture, ask: Callable[[City, Application], Asked]
) -> None:
    application = set_up(city)
    client, page, path = ask(city, application)
    base, _, real = path.rpartition("/")
    token = form_token(client.get(page))
    texts = st.one_of(st.text(max_size=120), st.from_regex(r"[A-Za-z0-9_-]{1,110}", fullmatch=True))
    ids = st.one_of(st.just(real), texts.filter(lambda one: one != real))
    codes = texts.filter(lambda one: one != CODE)
    statuses: set[int] = set()

    def check(answer: Response) -> None:
        assert answer.status_code in {200, 204, 303, 400, 404, 405, 409, 414, 429}, answer.text
        assert "Mustermann" not in answer.text
        statuses.add(answer.status_code)

    @SOME
    @given(ids, codes, codes, st.sampled_from(["", "waiting", "opened", "holds"]))
    def send(asked_id: str, code: str, other: str, seen: str) -> None:
        address = f"{base}/{quote(asked_id, safe='')}"
        told = {"response_code": code, "seen": seen}
        check(client.get(address, params=told))
        check(client.get(address, params=told, headers={"HX-Request": "true"}))
        check(client.get(f"{address}/back", params=told))
        check(client.post(address, data={"form_token": token, "response_code": code}))
        # Below a question of somebody else, or of nobody.
        check(client.post(base, data={"form_token": token, "instead": other + "x"}))

    send()
    assert {200, 303} <= statuses
    # What was shown is still there for the browser that asked, with the code that the wallet was sent back with.
    assert f'value="{CODE}"' in client.get(path, params={"response_code": CODE}).text
    assert [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR] == []
