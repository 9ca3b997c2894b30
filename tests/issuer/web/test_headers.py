"""Every response carries the headers, whatever answers: handlers, files, errors, limits, faults."""

from __future__ import annotations

from pathlib import Path

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from tests.issuer.web.conftest import service

ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "x-frame-options": "DENY",
}


def policy(client: TestClient[Litestar], path: str) -> dict[str, str]:
    text = client.get(path).headers["content-security-policy"]
    return {one.split(" ", 1)[0]: one.split(" ", 1)[1] for one in text.split("; ")}


def test_every_response(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(*_arguments: object) -> None:
        raise RuntimeError("Erika Mustermann")

    with service(folder) as client:
        monkeypatch.setattr("issuer.web.metrics.render", fault)
        answers = [
            client.get("/health"),
            client.get("/nothing"),
            client.get("/api/v1/nothing"),
            client.get("/static/types/library-card/logo.png"),
            client.get("/robots.txt"),
            client.delete("/health"),
            client.post("/p/code", content=b"x" * 100_000),
            client.get("/a%00b"),
            client.get("/" + "a" * 3000),
            client.get("/p?" + "a" * 9000),
            client.get("/metrics"),
        ]
        statuses = [one.status_code for one in answers]
        assert statuses == [200, 404, 404, 200, 200, 405, 413, 404, 404, 414, 500]
        for one in answers:
            assert ALWAYS.items() <= dict(one.headers).items()
            assert "default-src 'none'" in one.headers["content-security-policy"]
            assert "unsafe" not in one.headers["content-security-policy"]
            assert "camera=()" in one.headers["permissions-policy"]
            assert one.headers["cache-control"]
            assert "server" not in one.headers
            assert "strict-transport-security" not in one.headers
            assert one.headers["x-request-id"]
            assert "Erika" not in one.text


def test_dynamic_answers_are_not_kept(folder: Path) -> None:
    with service(folder) as client:
        assert client.get("/health").headers["cache-control"] == "no-store"
        assert client.get("/nothing").headers["cache-control"] == "no-store"


def test_the_policy(folder: Path) -> None:
    with service(folder) as client:
        plain = policy(client, "/p")
        assert plain["script-src"] == plain["style-src"] == "'self'"
        assert plain["form-action"] == "'self' https://pay.google.com"
        assert plain["frame-ancestors"] == plain["base-uri"] == "'none'"
        # Only the API's documentation may style as it likes; nothing runs inline anywhere.
        assert "'unsafe-inline'" in policy(client, "/api/docs")["style-src"]
        assert policy(client, "/api/docs")["script-src"] == "'self'"
        assert "'unsafe-inline'" not in policy(client, "/api/docsx")["style-src"]


def test_lists_and_pictures_may_be_shown_elsewhere(folder: Path) -> None:
    with service(folder) as client:
        for path, wanted in (
            ("/status/1", "cross-origin"),
            ("/static/types/library-card/logo.png", "cross-origin"),
            ("/p", "same-origin"),
        ):
            assert client.get(path).headers["cross-origin-resource-policy"] == wanted


def test_https_is_remembered_where_a_trusted_proxy_says_so(folder: Path) -> None:
    with service(folder, '\n[service]\ntrusted_proxies = ["127.0.0.1"]\n') as client:
        secure = client.get("/health", headers={"x-forwarded-proto": "https"})
        assert secure.headers["strict-transport-security"].startswith("max-age=")
        assert "strict-transport-security" not in client.get("/health").headers
    with service(folder, address="192.0.2.1") as client:
        forged = client.get("/health", headers={"x-forwarded-proto": "https"})
        assert "strict-transport-security" not in forged.headers
