"""A city that issues into EUDI Wallets, and wallets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from issuer.application import Application
from issuer.eudi.offers import Offer, create_offer
from issuer.workspace import CONFIG
from tests.eudi_issuing_wallet import Wallet, WalletProvider
from tests.service import CARD, TODAY, City, running_numbers
from tests.web_app import create_app

ISSUER = "https://stadtpass.example"
SD_JWT = f"{CARD}.sd-jwt"
MDOC = f"{CARD}.mdoc"
PROVIDER_FILE = "wallet-provider.pem"


def set_up(city: City, folder: Path | None = None, **settings: Any) -> Application:
    """The service of a demo city, which has a document signer, with ``[eudi]`` and ``settings``."""
    folder = folder or city.folder
    told = {"enabled": True, **settings}
    lines = [f"{name} = {_toml(value)}" for name, value in told.items()]
    config = folder / CONFIG
    config.write_text(
        config.read_text() + "\n[service]\nrequests_per_minute = 0\n[eudi]\n" + "\n".join(lines) + "\n"
    )
    return city.open(folder)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


@pytest.fixture
def application(city: City) -> Application:
    """The first city, which issues into EUDI Wallets."""
    return set_up(city)


@pytest.fixture
def provider() -> WalletProvider:
    return WalletProvider(TODAY)


@pytest.fixture
def haip(city: City, provider: WalletProvider) -> Application:
    """The first city under the High Assurance Interoperability Profile."""
    (city.folder / PROVIDER_FILE).write_bytes(provider.anchor_pem)
    return set_up(city, haip=True, wallet_providers=[PROVIDER_FILE])


@pytest.fixture
def trusting(city: City, provider: WalletProvider) -> Application:
    """The first city, which trusts a provider and demands nothing."""
    (city.folder / PROVIDER_FILE).write_bytes(provider.anchor_pem)
    return set_up(city, wallet_providers=[PROVIDER_FILE])


MakeWallet = Callable[..., Wallet]


@pytest.fixture
def new_wallet() -> Iterator[MakeWallet]:
    """Makes wallets that have read the metadata of an application."""

    def make(application: Application, issuer: str = ISSUER, **values: Any) -> Wallet:
        client = TestClient(create_app(application), base_url=issuer)
        client.follow_redirects = False
        made = Wallet(client, application.now, issuer, **values)
        made.discover()
        return made

    yield make


def card(application: Application) -> str:
    """The number of a library card that holds."""
    return running_numbers(application, CARD)[0]


def offer_of(
    application: Application, number: str | None = None, *, tx_code: bool = False, type_id: str = CARD
) -> Offer:
    with application.writing() as session:
        return create_offer(
            session, application, type_id, number or card(application), tx_code=tx_code, channel="desk"
        )
