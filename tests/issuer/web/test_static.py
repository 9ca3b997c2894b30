"""Files, pictures, and what robots ask for."""

from __future__ import annotations

import urllib.robotparser
from importlib.resources import files
from pathlib import Path

from issuer.web.static_files import static_files, static_url
from tests.issuer.web.conftest import service


def test_a_file_is_kept_for_ever_under_its_hash(folder: Path) -> None:
    name = next(iter(sorted(static_files())))
    with service(folder) as client:
        kept = client.get(static_url(name))
        assert kept.content == files("issuer.web").joinpath("static", *name.split("/")).read_bytes()
        assert "immutable" in kept.headers["cache-control"]
        assert "immutable" not in client.get(f"/static/{name}").headers["cache-control"]
        assert "immutable" not in client.get(f"/static/{name}?v=0123456789abcdef").headers["cache-control"]
        again = client.get(f"/static/{name}", headers={"if-none-match": kept.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["cache-control"]
        assert client.get(f"/static/{name}", headers={"if-none-match": '"x"'}).status_code == 200


def test_kinds_of_files(folder: Path) -> None:
    kinds = {".css": "text/css", ".js": "text/javascript", ".woff2": "font/woff2", ".svg": "image/svg+xml"}
    with service(folder) as client:
        for ending, kind in kinds.items():
            for name in [one for one in static_files() if one.endswith(ending)][:1]:
                assert client.get(f"/static/{name}").headers["content-type"].split(";")[0] == kind


def test_pictures_of_types(folder: Path) -> None:
    with service(folder) as client:
        picture = client.get("/static/types/library-card/logo.png")
        assert picture.content.startswith(b"\x89PNG")
        assert picture.headers["content-type"] == "image/png"
        assert picture.content == client.app.state.application.pass_types["library-card"].images["logo.png"]


def test_robots(folder: Path) -> None:
    with service(folder) as client:
        rules = urllib.robotparser.RobotFileParser()
        rules.parse(client.get("/robots.txt").text.splitlines())
    assert rules.can_fetch("Googlebot", "/google/callback")
    assert not rules.can_fetch("Googlebot", "/p")
    assert not rules.can_fetch("Bingbot", "/google/callback")
    assert not rules.can_fetch("Bingbot", "/p/l/x")
    assert rules.can_fetch("Bingbot", "/open-data/permits.csv")


def test_security_contact(folder: Path) -> None:
    with service(folder) as client:
        assert client.get("/.well-known/security.txt").status_code == 404
    with service(folder, '\n[service]\nsecurity_contact = "mailto:security@example.org"\n') as client:
        lines = client.get("/.well-known/security.txt").text.splitlines()
        assert lines[:2] == ["Contact: mailto:security@example.org", "Expires: 2027-05-19T00:00:00Z"]
