"""HEAD answers as GET does, without the body."""

from __future__ import annotations

import pytest
from litestar.testing import TestClient

from issuer.application import Application
from tests.web_app import create_app


@pytest.mark.parametrize(
    "path", ["/", "/health", "/static/pickup/pickup.css", "/api/openapi.json", "/p/code", "/p/l/nonsense"]
)
def test_head_is_get_without_a_body(application: Application, path: str) -> None:
    with TestClient(create_app(application)) as client:
        whole, head = client.get(path), client.head(path)
    assert head.status_code == whole.status_code
    assert head.content == b""
    different = {"x-request-id", "set-cookie", "date"}
    assert {name: value for name, value in head.headers.items() if name not in different} == {
        name: value for name, value in whole.headers.items() if name not in different
    }


def test_what_has_no_get_has_no_head(application: Application) -> None:
    with TestClient(create_app(application)) as client:
        assert client.head("/google/callback").status_code == 405
        assert client.head("/api/v1/oauth/token").status_code in (401, 405)
