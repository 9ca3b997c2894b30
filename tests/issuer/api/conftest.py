from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from issuer.api.clients import KEY, Issued, add_client
from issuer.api.scopes import Scope
from issuer.application import Application
from issuer.web.app import create_app as own_app
from tests.web_app import create_app

Http = TestClient[Litestar]


def new_client(
    application: Application, *scopes: Scope, kind: str = KEY, name: str = "portal", **more: object
) -> Issued:
    with application.writing() as session:
        return add_client(session, application, name, scopes or list(Scope), kind=kind, actor="test", **more)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def serve() -> Iterator[Callable[..., Http]]:
    """Starts the service of an application, with further handlers if a test brings some."""
    with ExitStack() as stack:

        def start(application: Application, *handlers: object) -> Http:
            app = own_app(application) if handlers else create_app(application)
            for handler in handlers:
                app.register(handler)
            return stack.enter_context(TestClient(app, raise_server_exceptions=False))

        yield start


@pytest.fixture
def http(serve: Callable[..., Http], application: Application) -> Http:
    return serve(application)
