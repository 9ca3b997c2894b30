"""The description of the API and the page that shows it: complete, true to its schemas, and from this host alone."""

from __future__ import annotations

import hashlib
import re
import socket
import threading
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.resources import files
from typing import Any

import jsonschema_rs
import pytest
from playwright.sync_api import sync_playwright
from uvicorn import Config, Server

from issuer.api.scopes import Scope
from issuer.application import Application
from tests.issuer.api.conftest import Http
from tests.service import City
from tests.web_app import create_app
from tests.web_pages import launched, needs_chromium

SCALAR = files("issuer.web").joinpath("static", "scalar")
# The one operation of devices: a library's own desk program may ask as the verifier's app does.
CARDS = "/check/cards"
# The release on npm that is vendored: the hash is noted here too, so that file and hash file cannot change together.
SCALAR_VERSION = "@scalar/api-reference 1.46.4"
SCALAR_SHA256 = "81b8d2bdab4a42ab81465386441b9a0f928b68631364360f00e8cce620cc1efb"
VERBS = ("get", "put", "post", "delete", "patch")

# The description does not depend on the database.
ON_ONE_DATABASE = pytest.mark.parametrize("city", ["sqlite"], indirect=True)


@pytest.fixture
def description(http: Http) -> dict[str, Any]:
    response = http.get("/api/openapi.json")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("application/vnd.oai.openapi+json")
    told: dict[str, Any] = response.json()
    return told


def operations(description: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in description["paths"].items():
        for verb in VERBS:
            if verb in item:
                yield f"{verb} {path}", item[verb]


@ON_ONE_DATABASE
def test_what_it_is(description: dict[str, Any]) -> None:
    assert description["openapi"].startswith("3.1")
    assert set(description["paths"]) >= {"/api/v1/oauth/token", "/api/v1/checks/plate"}
    assert all(path.startswith("/api/v1/") or path == CARDS for path in description["paths"])
    flow = description["components"]["securitySchemes"]["oauth"]["flows"]["clientCredentials"]
    assert flow["tokenUrl"] == "/api/v1/oauth/token"
    assert set(flow["scopes"]) == {scope.value for scope in Scope}


@ON_ONE_DATABASE
def test_every_operation_is_described_with_examples_and_credentials(description: dict[str, Any]) -> None:
    tags = {one["name"] for one in description["tags"]}
    identifiers = []
    for name, operation in operations(description):
        identifiers.append(operation["operationId"])
        assert operation["summary"], name
        assert set(operation["tags"]) <= tags, name
        statuses = operation["responses"].keys()
        assert {"429", "500", "503"} <= statuses, name
        if name == f"post {CARDS}":
            assert operation["security"] == [{"device": []}]
            assert {"400", "401", "403"} <= statuses, name
        elif name != "post /api/v1/oauth/token":
            scopes = [one["oauth"] for one in operation["security"] if "oauth" in one]
            assert len(scopes) == 1, name
            assert set(scopes[0]) <= {scope.value for scope in Scope}, name
            assert {"401", "403"} <= statuses, name
        for status, response in operation["responses"].items():
            for media_type, content in response.get("content", {}).items():
                if "json" in media_type:
                    assert content.get("examples"), (name, status)
            if int(status) >= 400 and name != "post /api/v1/oauth/token":
                assert list(response["content"]) == ["application/problem+json"], (name, status)
    assert len(identifiers) == len(set(identifiers))


@ON_ONE_DATABASE
def test_every_example_fits_its_schema(description: dict[str, Any]) -> None:
    checked = 0
    for name, operation in operations(description):
        contents = [
            (f"{name} {status} {media_type}", content)
            for status, response in operation["responses"].items()
            for media_type, content in response.get("content", {}).items()
        ]
        contents += [
            (f"{name} {media_type}", content)
            for media_type, content in operation.get("requestBody", {}).get("content", {}).items()
        ]
        for place, content in contents:
            schema = {**content.get("schema", {}), "components": description["components"]}
            validator = jsonschema_rs.Draft202012Validator(schema)
            for example in content.get("examples", {}).values():
                faults = [one.message for one in validator.iter_errors(example["value"])]
                assert faults == [], (place, example)
                checked += 1
    assert checked > 50


def test_the_script_is_the_one_that_was_released() -> None:
    script = SCALAR.joinpath("standalone.js").read_bytes()
    assert hashlib.sha256(script).hexdigest() == SCALAR_SHA256
    assert f"* {SCALAR_VERSION}\n".encode() in script[:1000]
    noted = dict(
        reversed(line.split("  ")) for line in SCALAR.joinpath("scalar.sha256").read_text().splitlines()
    )
    assert noted.keys() == {"standalone.js", "LICENSE.txt"}
    for name, digest in noted.items():
        assert hashlib.sha256(SCALAR.joinpath(name).read_bytes()).hexdigest() == digest


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] in ("script", "style") and data.strip():
            self.inline.append(data)


@ON_ONE_DATABASE
def test_the_page_names_nothing_outside(http: Http) -> None:
    response = http.get("/api/docs")
    assert response.headers["content-type"].startswith("text/html")
    page = _Page()
    page.feed(response.text)
    assert page.inline == []
    assert not re.search(r"https?:|//", response.text)
    scripts = [attributes["src"] for tag, attributes in page.tags if tag == "script" and "src" in attributes]
    assert len(scripts) == 1
    assert scripts[0] is not None
    script = http.get(scripts[0])
    assert script.status_code == 200
    assert hashlib.sha256(script.content).hexdigest() == SCALAR_SHA256
    policy = dict(
        one.strip().partition(" ")[::2]
        for one in response.headers.get("content-security-policy", "").split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == policy["font-src"] == "'self'"


@pytest.mark.slow
@needs_chromium
@ON_ONE_DATABASE
def test_in_a_browser_it_asks_this_host_alone(application: Application, city: City) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://localhost:{port}"
    server = Server(Config(create_app(application), port=port, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    asked: list[str] = []
    said: list[str] = []
    try:
        with sync_playwright() as playwright, launched(playwright.chromium) as browser:
            page = browser.new_page(viewport={"width": 1200, "height": 900})
            page.on("request", lambda request: asked.append(request.url))
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda fault: said.append(str(fault)))
            page.goto(f"{url}/api/docs")
            page.get_by_role("heading", name="Check a plate").first.wait_for(timeout=60_000)
            page.wait_for_timeout(2000)
    finally:
        server.should_exit = True
        thread.join(timeout=20)
    assert {one for one in asked if not one.startswith((url + "/", "data:", "blob:"))} == set()
    assert any(one.endswith("/api/openapi.json") for one in asked)
    assert [one for one in said if "Content Security Policy" in one or "Refused" in one] == []
