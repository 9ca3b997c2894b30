"""A service on one database: what is tested here does not depend on which."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from issuer.application import Application
from issuer.workspace import CONFIG
from tests.service import TENANT, SetClock
from tests.web_app import create_app


@pytest.fixture
def folder(sqlite_cities: Path, tmp_path: Path) -> Path:
    """The data folder of a demo city of this test alone."""
    shutil.copy(sqlite_cities / "shared.db", tmp_path / "shared.db")
    own = tmp_path / TENANT
    shutil.copytree(sqlite_cities / TENANT, own)
    config = own / CONFIG
    url = f'database_url = "sqlite+pysqlite:///{tmp_path / "shared.db"}"'
    config.write_text(re.sub(r"database_url = .*", url, config.read_text()))
    return own


@contextmanager
def service(folder: Path, config: str = "", address: str = "127.0.0.1") -> Iterator[TestClient[Litestar]]:
    """A client of the service in ``folder``, as if it called from ``address``."""
    file = folder / CONFIG
    file.write_text(file.read_text() + config)
    with Application.open(folder, SetClock()) as application:
        app = create_app(application)
        inner = app.asgi_handler

        async def from_address(scope: Any, receive: Any, send: Any) -> None:
            scope["client"] = (address, 40_000)
            await inner(scope, receive, send)

        app.asgi_handler = from_address
        with TestClient(app, raise_server_exceptions=False) as client:
            yield client
