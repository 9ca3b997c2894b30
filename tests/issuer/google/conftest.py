"""A stand-in for Google that both demo cities use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from issuer.application import Application
from issuer.delivery.google_token import load_account
from tests.google_server import GoogleServer
from tests.service import City

ISSUER = "3388000000000000000"


def point_at(google: GoogleServer, monkeypatch: pytest.MonkeyPatch, rate: float = 1000) -> None:
    values = {
        "ENABLED": "true",
        "API_URL": google.url,
        "TOKEN_URL": f"{google.url}/token",
        "KEYS_URL": f"{google.url}/gp/m/issuer/keys",
        "REQUESTS_PER_SECOND": str(rate),
        "TIMEOUT_SECONDS": "2",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"STADTPASS_GOOGLE_{name}", value)


def opened(city: City, google: GoogleServer, *, other: bool = False) -> Application:
    """A city's service whose account Google knows."""
    application = city.open(city.other_folder if other else None)
    with application.reading() as session:
        account = load_account(application, session)
    assert account is not None
    google.add_account(account.city.google_service_account, account.signer.public_key(), ISSUER)
    return application


@pytest.fixture
def google(city: City, monkeypatch: pytest.MonkeyPatch) -> Iterator[GoogleServer]:
    with GoogleServer(clock=city.clock, limit=10**6) as server:
        point_at(server, monkeypatch)
        yield server


@pytest.fixture
def application(city: City, google: GoogleServer) -> Application:
    return opened(city, google)


@pytest.fixture
def neighbour(city: City, google: GoogleServer) -> Application:
    return opened(city, google, other=True)
