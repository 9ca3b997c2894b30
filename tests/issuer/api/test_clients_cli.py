"""The clients at the command line; what it prints works at the API at once."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from issuer import audit
from tests.e2e.commandline import main_in_process
from tests.issuer.api.conftest import Http, bearer
from tests.service import City

CHECK = "/api/v1/checks/plate"
AT = "2026-11-20T12:00"


@pytest.fixture
def clients(city: City) -> Callable[..., tuple[int, str, str]]:
    def run(*arguments: object, at: str = AT) -> tuple[int, str, str]:
        return main_in_process("clients", *arguments, "--data", city.folder, "--at", at, "--lang", "en")

    return run


def status(http: Http, token: str) -> int:
    return http.post(CHECK, json={"plate": "D-ZZ 9999"}, headers=bearer(token)).status_code


def test_a_key_from_add_to_revoke(
    city: City, http: Http, clients: Callable[..., tuple[int, str, str]]
) -> None:
    code, said, _ = clients("add", "fines", "--scope", "checks:read")
    assert code == 0
    sentence, first = said.splitlines()
    client_id = first.split("_")[1]
    assert client_id in sentence
    assert status(http, first) == 200
    second = clients("rotate", client_id, "--overlap-hours", "1")[1].splitlines()[1]
    assert [status(http, first), status(http, second)] == [200, 200]
    city.clock.forward(hours=1)
    assert [status(http, first), status(http, second)] == [401, 200]
    listed = clients("list")[1]
    assert "fines" in listed
    assert "active" in listed
    for token in (first, second):
        # Id and secret may hold underscores themselves.
        assert token.removeprefix(f"spk_{client_id}_") not in listed
    assert clients("revoke", client_id)[0] == 0
    assert status(http, second) == 401
    assert json.loads(clients("list", "--json")[1])[0]["state"] == "revoked"


def test_an_oauth_client_with_an_end(
    city: City, http: Http, clients: Callable[..., tuple[int, str, str]]
) -> None:
    made = json.loads(
        clients(
            "add", "portal", "--oauth", "--expires-days", "2", "--json",
            "--scope", "passes:read", "--scope", "checks:read",
        )[1]
    )  # fmt: skip
    form = {"grant_type": "client_credentials", "client_id": made["id"], "client_secret": made["secret"]}
    answer = http.post("/api/v1/oauth/token", data=form)
    assert answer.json()["scope"] == "checks:read passes:read"
    city.clock.forward(days=2)
    assert http.post("/api/v1/oauth/token", data=form).status_code == 401
    assert json.loads(clients("list", "--json", at="2026-11-22T12:00")[1])[0]["state"] == "expired"
    application = city.open()
    with application.reading() as session:
        entry = audit.history(session, application.tenant, f"client/{made['id']}")[0]
    assert entry.actor.startswith("cli")


def test_what_is_refused(clients: Callable[..., tuple[int, str, str]]) -> None:
    for arguments, expected in (
        (("add", "x", "--scope", "passes:everything"), 64),
        (("add", "x"), 64),
        (("add", "x", "--scope", "checks:read", "--expires-days", "0"), 64),
        (("add", " x", "--scope", "checks:read"), 64),
        (("rotate", "0" * 32), 64),
        (("rotate", "0" * 32, "--overlap-hours", "721"), 64),
        (("rotate", "0" * 32, "--overlap-hours", "99999999999999"), 64),
        (("revoke", "../x"), 64),
    ):
        code, said, complaint = clients(*arguments)
        assert (code, said) == (expected, ""), (arguments, complaint)
        assert complaint
