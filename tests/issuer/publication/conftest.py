from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from litestar.testing import TestClient

from issuer.application import Application
from tests.issuer.publication.handheld import Handheld, Http, enrol
from tests.web_app import create_app


@pytest.fixture
def serve() -> Iterator[Callable[[Application], Http]]:
    with ExitStack() as stack:
        yield lambda application: stack.enter_context(TestClient(create_app(application)))


@pytest.fixture
def http(serve: Callable[[Application], Http], application: Application) -> Http:
    return serve(application)


@pytest.fixture
def handheld(application: Application, tmp_path: Path) -> Handheld:
    return enrol(application, tmp_path / "handheld")
