"""A city that asks EUDI Wallets, and wallets."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from litestar import Litestar
from litestar.testing import TestClient

from issuer.application import Application
from issuer.setup import DEMO_EUDI_ROOT
from issuer.workspace import CONFIG
from tests.eudi_presenting_wallet import PresentingWallet
from tests.issuer.eudi.conftest import ISSUER, set_up
from tests.service import OTHER_TENANT, TENANT, City, SetClock
from tests.web_app import create_app

NewWallet = Callable[[], PresentingWallet]


@dataclass
class Service:
    """A city on SQLite for all tests of a module; whoever moves its clock gets one alone."""

    city: City
    application: Application
    client: TestClient[Litestar]

    def wallet(self) -> PresentingWallet:
        return wallet_of(self.application, self.client)


def wallet_of(application: Application, client: TestClient[Litestar] | None = None) -> PresentingWallet:
    """A wallet that believes the demo's authority for questions."""
    root = x509.load_pem_x509_certificate((application.workspace.folder / DEMO_EUDI_ROOT).read_bytes())
    used = client or TestClient(create_app(application), base_url=ISSUER)
    used.follow_redirects = False
    return PresentingWallet(used, application.now, root)


@pytest.fixture(scope="module")
def service(sqlite_cities: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("presentations")
    shutil.copy(sqlite_cities / "shared.db", folder / "shared.db")
    for tenant in (TENANT, OTHER_TENANT):
        shutil.copytree(sqlite_cities / tenant, folder / tenant)
        config = folder / tenant / CONFIG
        url = f"sqlite+pysqlite:///{folder / 'shared.db'}"
        config.write_text(re.sub(r"database_url = .*", f'database_url = "{url}"', config.read_text()))
    with ExitStack() as stack:
        city = City(folder / TENANT, folder / OTHER_TENANT, SetClock(), stack)
        application = set_up(city)
        client = stack.enter_context(TestClient(create_app(application), base_url=ISSUER))
        yield Service(city, application, client)


@pytest.fixture
def application(city: City) -> Application:
    """The first city of a test of its own, on both databases."""
    return set_up(city)
