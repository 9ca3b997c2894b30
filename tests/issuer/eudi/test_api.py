"""Offers by the management API."""

from __future__ import annotations

from litestar import Litestar
from litestar.testing import TestClient

from issuer.api.clients import KEY, add_client
from issuer.api.scopes import Scope
from issuer.application import Application
from tests.eudi_issuing_wallet import PRE_AUTHORIZED
from tests.issuer.eudi.conftest import ISSUER, MakeWallet, card
from tests.service import CARD, City
from tests.web_app import create_app


def _client(application: Application, *scopes: Scope) -> TestClient[Litestar]:
    with application.writing() as session:
        name = "-".join(one.value for one in scopes)
        key = add_client(session, application, name, scopes, kind=KEY, actor="test").secret
    client = TestClient(create_app(application), base_url=ISSUER)
    client.headers["Authorization"] = f"Bearer {key}"
    return client


def _path(application: Application) -> str:
    return f"/api/v1/passes/{CARD}/{card(application)}/eudi-offers"


def test_offer(application: Application, new_wallet: MakeWallet) -> None:
    answer = _client(application, Scope.PASSES_WRITE).post(_path(application), json={})
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert told["needs_tx_code"] is True
    wallet = new_wallet(application)
    offer = wallet.read_offer(told["link"])
    assert offer["grants"][PRE_AUTHORIZED]["tx_code"]["length"] == len(told["tx_code"])
    assert wallet.redeem(offer, told["tx_code"]).status_code == 200


def test_refused(application: Application, city: City) -> None:
    client, path = _client(application, Scope.PASSES_WRITE), _path(application)
    assert client.post(path.replace(card(application), "NONE"), json={}).status_code == 404
    assert client.post(path, json={"tx_code": "yes"}).status_code == 422
    assert _client(application, Scope.PASSES_READ).post(path, json={}).status_code == 403
    off = _client(city.open(city.other_folder), Scope.PASSES_WRITE).post(path, json={})
    assert (off.status_code, off.json()["code"]) == (409, "EUDI_OFF")
