"""Logging in at the city's provider, and everything about its answers that must not let anybody in."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator

import pytest
from httpx import Response
from litestar import Litestar
from litestar.testing import TestClient

from issuer.application import Application
from issuer.staff import oidc_provider
from issuer.staff.accounts import accounts, lock
from issuer.staff.permissions import Role
from issuer.workspace import CONFIG
from tests.issuer.console.people import new_client, settle
from tests.oidc_provider import CLIENT, SECRET, OidcProvider
from tests.service import City

pytestmark = pytest.mark.parametrize("city", ["sqlite"], indirect=True)
REFUSED = [
    "nonce", "no nonce", "expired", "no expiry", "future", "audience", "audiences", "party", "issuer",
    "no subject", "password only", "none", "hmac", "foreign key", "unknown key", "state", "mix-up", "no iss",
]  # fmt: skip


@pytest.fixture
def provider(city: City) -> Iterator[OidcProvider]:
    made = OidcProvider(city.clock)
    file = city.folder / "oidc.secret"
    file.write_text(SECRET + "\n")
    file.chmod(0o600)
    config = city.folder / CONFIG
    config.write_text(
        config.read_text()
        + f'\n[oidc]\nissuer = "{made.issuer}"\nclient_id = "{CLIENT}"\nclient_secret_file = "oidc.secret"\n'
        'name = "Stadtkonto"\nrequired_amr = ["mfa", "hwk"]\ntimeout_seconds = 1\n'
        'roles = { ordnungsamt = "clerk", pruefung = "auditor" }\n'
    )
    yield made
    made.close()


@pytest.fixture
def there(city: City, provider: OidcProvider) -> Application:
    return city.open()


def go(client: TestClient[Litestar], provider: OidcProvider) -> Response:
    begun = client.get("/office/oidc/start")
    assert begun.status_code == 303, begun.text
    assert "samesite=lax" in begun.headers["set-cookie"].lower()
    return client.get("/office/oidc/return?" + provider.authorize(begun.headers["location"]))


def test_who_has_a_group_gets_an_account(there: Application, provider: OidcProvider) -> None:
    client = new_client(there)
    assert "Anmelden mit Stadtkonto" in client.get("/office/login").text
    page = go(client, provider)
    # A page, not a redirect: a strict cookie is not sent along a redirect that another site began.
    assert page.status_code == 200
    assert 'http-equiv="refresh" content="0; url=/office"' in page.text
    assert client.get("/office/passes").status_code == 200
    assert "Konto der Stadt" in client.get("/office/account").text
    with there.reading() as session:
        [row] = accounts(session, there)
    assert (row.login, row.roles, row.oidc_subject) == ("erika@musterstadt.example", ["clerk"], "4711")
    assert row.password_hash is None
    # The roles follow the groups, and whatever is open for the old ones ends.
    provider.person["groups"] = ["pruefung", "kegelverein"]
    other = new_client(there)
    assert go(other, provider).status_code == 200
    assert other.get("/office/accesses").status_code == 200
    assert other.get("/office/passes").status_code == 403
    assert client.get("/office").status_code == 303


@pytest.mark.parametrize("fault", REFUSED)
def test_answers_that_let_nobody_in(there: Application, provider: OidcProvider, fault: str) -> None:
    provider.fault = fault
    client = new_client(there)
    with warnings.catch_warnings():
        # The stand-in does what the library warns of.
        warnings.simplefilter("ignore")
        answer = go(client, provider)
    assert answer.status_code == 403
    assert "nicht geklappt" in answer.text
    assert client.get("/office").status_code == 303
    provider.fault = ""
    assert go(client, provider).status_code == 200


def test_an_answer_counts_in_its_own_browser_once_and_in_time(
    city: City, there: Application, provider: OidcProvider
) -> None:
    client, thief = new_client(there), new_client(there)
    begun = client.get("/office/oidc/start")
    answer = provider.authorize(begun.headers["location"])
    assert thief.get("/office/oidc/return?" + answer).status_code == 403
    thief.get("/office/oidc/start")
    assert thief.get("/office/oidc/return?" + answer).status_code == 403
    assert client.get("/office/oidc/return?" + answer).status_code == 200
    assert client.get("/office/oidc/return?" + answer).status_code == 403
    begun = client.get("/office/oidc/start")
    answer = provider.authorize(begun.headers["location"])
    city.clock.forward(minutes=11)
    assert client.get("/office/oidc/return?" + answer).status_code == 403


def test_keys_are_fetched_anew_when_they_change(
    there: Application, provider: OidcProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert go(new_client(there), provider).status_code == 200
    assert go(new_client(there), provider).status_code == 200
    assert provider.asked.count("/stadt/keys") == 1
    provider.rotate()
    # Not at every token with an invented key id.
    assert go(new_client(there), provider).status_code == 403
    monkeypatch.setattr(oidc_provider, "_AGAIN_SECONDS", 0.0)
    assert go(new_client(there), provider).status_code == 200
    assert provider.asked.count("/stadt/keys") == 2


@pytest.mark.parametrize("fault", ["slow", "down"])
def test_a_provider_that_does_not_answer(there: Application, provider: OidcProvider, fault: str) -> None:
    provider.fault = fault
    client = new_client(there)
    assert client.get("/office/oidc/start").status_code == 503
    begun = time.monotonic()
    assert client.get("/office/oidc/start").status_code == 503
    assert time.monotonic() - begun < 1
    assert len(provider.asked) == 1
    # Passwords are there for that day.
    assert client.get("/office/login").status_code == 200


def test_who_does_not_come_in(city: City, there: Application, provider: OidcProvider) -> None:
    client = new_client(there)
    provider.fault = "denied"
    assert "abgebrochen" in go(client, provider).text
    provider.fault = "other description"
    provider.fault = ""
    provider.person["groups"] = ["kegelverein"]
    assert "kein Zugang" in go(client, provider).text
    provider.person["groups"] = ["ordnungsamt"]
    settle(there, city.clock, "erika@musterstadt.example", Role.ADMIN)
    # The same address is not the same person.
    assert "schon ein Konto" in go(client, provider).text
    provider.person["email"] = "erika2@musterstadt.example"
    assert go(client, provider).status_code == 200
    with there.writing() as session:
        row = next(one for one in accounts(session, there) if one.oidc_subject)
        lock(session, there, row.id, actor="test")
    assert client.get("/office").status_code == 303
    assert "kein Zugang" in go(client, provider).text


def test_without_a_provider_there_is_no_way(application: Application) -> None:
    client = new_client(application)
    assert client.get("/office/oidc/start").status_code == 404
    assert client.get("/office/oidc/return?code=x&state=y").status_code == 404
