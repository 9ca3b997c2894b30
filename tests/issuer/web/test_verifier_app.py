"""The verifier's web app as the service hands it out: files, their list, headers, and the zones of today."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from importlib.resources import files
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from issuer.models import ZoneRow
from issuer.web import verifier_app
from tests.issuer.web.conftest import service
from tests.service import TENANT

CONTENT = {
    "index.html": b"<!doctype html><title>x</title>",
    "sw.js": b"self.addEventListener('fetch', () => {});",
    "manifest.webmanifest": b'{"name": "x"}',
    "core/seal-check.js": b"export const a = 1;",
    "scan/decode-worker.mjs": b"export const b = 1;",
    "vendor/reader.wasm": b"\0asm\1\0\0\0",
    "icons/icon.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "texts/de.json": b"{}",
}
KINDS = {
    "index.html": "text/html",
    "sw.js": "text/javascript",
    "manifest.webmanifest": "application/manifest+json",
    "scan/decode-worker.mjs": "text/javascript",
    "vendor/reader.wasm": "application/wasm",
    "icons/icon.svg": "image/svg+xml",
    "texts/de.json": "application/json",
}


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with an app of its own, served in place of the real one."""
    root = tmp_path / "app"
    for name, data in CONTENT.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    monkeypatch.setattr(verifier_app, "app_folder", lambda: root)
    verifier_app.app_files.cache_clear()
    yield root
    verifier_app.app_files.cache_clear()


@pytest.fixture
def client(folder: Path, app: Path) -> Iterator[TestClient[Litestar]]:
    with service(folder) as made:
        yield made


def test_every_file_with_its_kind(client: TestClient[Litestar]) -> None:
    for name, data in CONTENT.items():
        answer = client.get(f"/check/{name}")
        assert (answer.status_code, answer.content) == (200, data), name
    for name, kind in KINDS.items():
        assert client.get(f"/check/{name}").headers["content-type"].partition(";")[0] == kind


def test_the_start_page_is_the_folder(client: TestClient[Litestar]) -> None:
    assert client.get("/check/").content == CONTENT["index.html"]
    moved = client.get("/check", follow_redirects=False)
    assert (moved.status_code, moved.headers["location"]) == (308, "/check/")


@pytest.mark.parametrize(
    "path", ["index.html", "", "sw.js", "scan/decode-worker.mjs", "vendor/reader.wasm", "texts/de.json",
             "files.json", "zones.json", "nothing.js"],
)  # fmt: skip
def test_headers_are_on_every_answer(client: TestClient[Litestar], path: str) -> None:
    first = client.get(f"/check/{path}")
    answers = [first, client.head(f"/check/{path}")]
    if path != "nothing.js":
        again = client.get(f"/check/{path}", headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert first.headers["cache-control"] == again.headers["cache-control"] == "no-cache"
        answers.append(again)
    else:
        assert first.status_code == 404
    assert answers[1].status_code == first.status_code
    assert answers[1].content == b""
    for one in answers:
        policy = dict(part.split(" ", 1) for part in one.headers["content-security-policy"].split("; "))
        assert policy["default-src"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
        assert policy["script-src"] == "'self' 'wasm-unsafe-eval'"
        assert policy["worker-src"] == policy["connect-src"] == policy["style-src"] == "'self'"
        assert policy["media-src"] == "'self' blob: mediastream:"
        assert policy["require-trusted-types-for"] == "'script'"
        assert policy["trusted-types"] == "stadtpass"
        allowed = one.headers["permissions-policy"].split(", ")
        for feature in ("camera", "screen-wake-lock", "publickey-credentials-get"):
            assert f"{feature}=(self)" in allowed
        assert "microphone=()" in allowed
        assert "camera=()" not in allowed
        assert one.headers["x-content-type-options"] == "nosniff"
        assert one.headers["cross-origin-resource-policy"] == "same-origin"


def test_other_pages_get_nothing_of_it(client: TestClient[Litestar]) -> None:
    for path in ("/health", "/checkx", "/p"):
        headers = client.get(path).headers
        assert "camera=()" in headers["permissions-policy"]
        assert "wasm" not in headers["content-security-policy"]


def test_the_list_names_every_file_and_its_hash(client: TestClient[Litestar]) -> None:
    told = client.get("/check/files.json").json()
    assert told["files"] == {name: hashlib.sha256(data).hexdigest() for name, data in CONTENT.items()}


def test_the_version_changes_with_any_file(folder: Path, app: Path) -> None:
    def version() -> str:
        verifier_app.app_files.cache_clear()
        with service(folder) as client:
            told: str = client.get("/check/files.json").json()["version"]
            return told

    before = version()
    assert version() == before
    (app / "core/seal-check.js").write_bytes(b"export const a = 2;")
    assert version() != before


def test_nothing_else_is_served(client: TestClient[Litestar], app: Path) -> None:
    secret = "never handed out"
    for name in (".hidden.js", "notes.md", "core/x.py", "key.pem", "no-ending"):
        (app / name).write_text(secret)
    (app.parent / "outside.js").write_text(secret)
    verifier_app.app_files.cache_clear()
    for path in (".hidden.js", "notes.md", "core/x.py", "key.pem", "no-ending", "core", "core/", "core/index.html",
                 "..%2foutside.js", "%2e%2e/outside.js", "a%00b"):  # fmt: skip
        answer = client.get(f"/check/{path}")
        assert answer.status_code == 404, path
        assert secret not in answer.text
    assert set(client.get("/check/files.json").json()["files"]) == set(CONTENT)


def test_without_an_app(folder: Path, app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifier_app, "app_folder", lambda: app / "absent")
    verifier_app.app_files.cache_clear()
    with service(folder) as client:
        for path in ("/check", "/check/", "/check/index.html", "/check/files.json"):
            assert client.get(path, follow_redirects=False).status_code == 404
        assert client.get("/check/zones.json").status_code == 200
        assert client.get("/health").status_code == 200


def test_whatever_is_installed_is_served(folder: Path) -> None:
    verifier_app.app_files.cache_clear()
    root = files("verifier").joinpath("web")
    with service(folder) as client:
        names = client.get("/check/files.json").json()["files"] if verifier_app.app_files() else {}
        for name, digest in names.items():
            data = client.get(f"/check/{name}").content
            assert data == root.joinpath(*name.split("/")).read_bytes()
            assert hashlib.sha256(data).hexdigest() == digest


def test_zones_of_today(client: TestClient[Litestar]) -> None:
    application = client.app.state.application
    today = application.now().date()
    yesterday, tomorrow = today - timedelta(days=1), today + timedelta(days=1)
    with application.writing() as session:
        for code, first, last in (("ZA", None, today), ("ZB", None, yesterday), ("ZC", tomorrow, None)):
            name = f"Gebiet {code}"
            session.add(
                ZoneRow(
                    tenant=TENANT, code=code, name=name, tariff_class="", valid_from=first, valid_until=last
                )
            )
    told = client.get("/check/zones.json").json()
    assert (told["city"], told["demo"]) == ("Musterstadt", True)
    codes = [one["code"] for one in told["zones"]]
    assert codes == sorted(codes)
    assert {"code": "ZA", "name": "Gebiet ZA"} in told["zones"]
    assert {"BÖ", "HO"} < set(codes)
    assert not {"ZB", "ZC"} & set(codes)
