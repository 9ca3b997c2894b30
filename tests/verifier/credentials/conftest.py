from pathlib import Path

import pytest

from tests.eudi_wallet import Issuer, Wallet


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer.new(tmp_path_factory.mktemp("issuer"))


@pytest.fixture(scope="session")
def wallet() -> Wallet:
    return Wallet()


@pytest.fixture
def other_issuer(tmp_path: Path) -> Issuer:
    return Issuer.new(tmp_path)
