"""The verifier app as browsers fetch it: kinds, caching, and the headers it needs to work and to be safe."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from issuer.web import verifier_app
from tests.issuer.web.conftest import service

FILES = {
    "index.html": b"<!doctype html><title>x</title>",
    "sw.js": b"self.x = 1",
    "manifest.webmanifest": b"{}",
    "ui/app.js": b"export {}",
    "scan/decode-worker.js": b"export {}",
    "vendor/reader.mjs": b"export {}",
    "vendor/reader.wasm": b"\0asm",
    "texts/de.json": b"{}",
}
HIDDEN = (".env", "ui/notes.py", "vendor/.secret.js", "README")


@pytest.fixture
def app_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    root = tmp_path / "package"
    for name, data in (*FILES.items(), *((one, b"hidden") for one in HIDDEN)):
        file = root / "web" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    monkeypatch.setattr(verifier_app, "files", lambda _package: root)
    verifier_app.app_files.cache_clear()
    yield root / "web"
    verifier_app.app_files.cache_clear()


@pytest.fixture
def client(app_folder: Path, folder: Path) -> Iterator[TestClient[Litestar]]:
    with service(folder) as client:
        yield client


def test_every_file_and_no_other(client: TestClient[Litestar]) -> None:
    for name, data in FILES.items():
        answer = client.get(f"/check/{name}")
        assert (answer.status_code, answer.content) == (200, data), name
        assert client.head(f"/check/{name}").headers["content-length"] == str(len(data))
        again = client.get(f"/check/{name}", headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert answer.headers["cache-control"] == again.headers["cache-control"] == "no-cache"
    for name in (*HIDDEN, "nothing.js", "ui", "ui/", "%2e%2e/web/sw.js", "..%2fweb%2fsw.js"):
        assert client.get(f"/check/{name}").status_code == 404, name


def test_kinds(client: TestClient[Litestar]) -> None:
    kinds = {
        "": "text/html",
        "sw.js": "text/javascript",
        "vendor/reader.mjs": "text/javascript",
        "vendor/reader.wasm": "application/wasm",
        "manifest.webmanifest": "application/manifest+json",
        "texts/de.json": "application/json",
        "files.json": "application/json",
        "zones.json": "application/json",
    }
    for name, kind in kinds.items():
        assert client.get(f"/check/{name}").headers["content-type"].split(";")[0] == kind


def test_the_page_stands_below_the_slash(client: TestClient[Litestar]) -> None:
    answer = client.get("/check", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (308, "/check/")
    assert client.get("/check/").content == FILES["index.html"]


def test_the_list_names_every_file_with_its_hash(client: TestClient[Litestar], app_folder: Path) -> None:
    told = client.get("/check/files.json").json()
    assert told["files"] == {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()}
    before = told["version"]
    (app_folder / "sw.js").write_bytes(b"self.x = 2")
    verifier_app.app_files.cache_clear()
    assert client.get("/check/files.json").json()["version"] != before


def test_headers_on_whatever_is_answered(client: TestClient[Litestar]) -> None:
    etag = client.get("/check/").headers["etag"]
    answers = [
        *(client.get(f"/check/{name}") for name in ("", *FILES, "files.json", "zones.json", "nothing")),
        client.get("/check/", headers={"if-none-match": etag}),
        client.get("/check", follow_redirects=False),
        client.post("/check/zones.json", content=b"x" * 5000),
        client.delete("/check/sw.js"),
    ]
    assert [one.status_code for one in answers[-5:]] == [404, 304, 308, 413, 405]
    for one in answers:
        policy = dict(part.split(" ", 1) for part in one.headers["content-security-policy"].split("; "))
        assert policy["default-src"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
        assert policy["script-src"] == "'self' 'wasm-unsafe-eval'"
        assert policy["worker-src"] == policy["connect-src"] == policy["style-src"] == "'self'"
        assert policy["media-src"] == "'self' blob: mediastream:"
        assert policy["require-trusted-types-for"] == "'script'"
        assert policy["trusted-types"] == "stadtpass"
        features = dict(part.split("=", 1) for part in one.headers["permissions-policy"].split(", "))
        assert features["camera"] == features["screen-wake-lock"] == "(self)"
        assert features["publickey-credentials-get"] == features["publickey-credentials-create"] == "(self)"
        assert features["microphone"] == features["geolocation"] == "()"
        assert one.headers["x-content-type-options"] == "nosniff"
        assert one.headers["cross-origin-resource-policy"] == "same-origin"
    assert "camera=()" in client.get("/checks").headers["permissions-policy"]


def test_zones_of_today(client: TestClient[Litestar]) -> None:
    told = client.get("/check/zones.json").json()
    application = client.app.state.application
    with application.reading() as session:
        assert told["city"] == application.settings(session).city_name
    assert told["demo"] is True
    assert {"code": "BÖ", "name": "Börsenwiese"} in told["zones"]


def test_without_the_app_there_is_none(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifier_app, "files", lambda _package: tmp_path / "empty")
    verifier_app.app_files.cache_clear()
    with service(folder) as client:
        for path in ("/check/", "/check/index.html", "/check/files.json", "/check/sw.js"):
            assert client.get(path).status_code == 404
        assert client.get("/health").status_code == 200
    verifier_app.app_files.cache_clear()
