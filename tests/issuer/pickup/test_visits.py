"""Visits: half an hour, one cookie that scripts and other hosts cannot reach, forms that only its pages can send."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from issuer.application import Application
from issuer.settings import load_settings, save_settings
from tests.issuer.pickup.browser import browser, form_token, new_link, send, visit
from tests.service import City, running_numbers

PAGES = (
    "/p/pass",
    "/p/pass/apple.pkpass",
    "/p/pass/permit.pdf",
    "/p/pass/phone",
    "/p/pass/wallets",
    "/p/pass/devices",
    "/p/pass/data",
    "/p/pass/data.json",
)
FORMS = (
    "/p/pass/google",
    "/p/pass/phone",
    "/p/pass/wallets/remove",
    "/p/pass/wallets/allow",
    "/p/pass/devices/drop",
    "/p/pass/end",
)


def test_the_cookie(application: Application) -> None:
    with browser(application) as client:
        cookie = client.post(new_link(application, running_numbers(application)[0])).headers["set-cookie"]
    parts = {one.strip().lower() for one in cookie.split(";")}
    assert cookie.startswith("__Host-stadtpass-visit=")
    assert {"httponly", "secure", "samesite=lax", "path=/", "max-age=1800"} <= parts
    assert not any(one.startswith("domain") for one in parts)


def test_without_https_the_cookie_still_works(application: Application) -> None:
    with application.writing() as session:
        settings = replace(load_settings(session, application.tenant), base_url="http://localhost:8000")
        save_settings(session, application.tenant, settings)
    path = new_link(application, running_numbers(application)[0]).removeprefix("http://localhost:8000")
    with browser(application) as client:
        client.base_url = "http://localhost:8000"
        cookie = client.post(path).headers["set-cookie"]
        assert cookie.startswith("stadtpass-visit=")
        assert "secure" not in cookie.lower()
        assert client.get("/p/pass").status_code == 200


def test_pages_under_a_path_of_the_base_url(application: Application) -> None:
    with application.writing() as session:
        settings = replace(
            load_settings(session, application.tenant), base_url="https://stadtpass.example/a/b"
        )
        save_settings(session, application.tenant, settings)
    with browser(application) as client:
        path = new_link(application, running_numbers(application)[0]).removeprefix("/a/b")
        assert client.post(path).headers["location"] == "/a/b/p/pass"
        page = client.get("/p/pass").text
        assert 'action="/a/b/p/pass/phone"' in page
        assert 'href="/p' not in page


def test_a_visit_lasts_half_an_hour(city: City, application: Application) -> None:
    with browser(application) as client:
        visit(client, application, running_numbers(application)[0])
        city.clock.forward(minutes=29, seconds=59)
        assert client.get("/p/pass").status_code == 200
        city.clock.forward(seconds=1)
        assert client.get("/p/pass").status_code == 403


def test_nothing_without_a_visit(application: Application) -> None:
    with browser(application) as client:
        for path in PAGES:
            answer = client.get(path)
            assert (path, answer.status_code) == (path, 403)
        for path in FORMS:
            assert (path, client.post(path, data={"form_token": "0" * 32}).status_code) == (path, 403)


@pytest.mark.parametrize("cookie", ["", "x" * 22, "x" * 4000, "\u00e4" * 22, "../../etc"])
def test_made_up_cookies(application: Application, cookie: str) -> None:
    with browser(application) as client:
        header = f"__Host-stadtpass-visit={cookie}".encode()
        assert client.get("/p/pass", headers=[(b"cookie", header)]).status_code == 403


def test_a_visit_is_of_one_city(application: Application, neighbour: Application) -> None:
    with browser(application) as client, browser(neighbour) as other:
        visit(client, application, running_numbers(application)[0])
        other.cookies = client.cookies
        assert client.get("/p/pass").status_code == 200
        assert other.get("/p/pass").status_code == 403


@pytest.mark.parametrize("path", FORMS)
def test_forms_need_the_token_of_their_visit(application: Application, path: str) -> None:
    first, second = running_numbers(application)[:2]
    with browser(application) as client, browser(application) as other:
        visit(client, application, first)
        visit(other, application, second)
        foreign = form_token(other.get("/p/pass"))
        own = form_token(client.get("/p/pass"))
        assert own != foreign
        for fields in (
            {},
            {"form_token": ""},
            {"form_token": foreign},
            {"form_token": [own, own]},
            {"form_token": "ä"},
        ):
            assert client.post(path, data=fields).status_code == 403
        for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            assert client.post(path, data={"form_token": own}, headers=headers).status_code == 403
        assert client.get("/p/pass").status_code == 200


def test_a_visit_can_be_ended(application: Application) -> None:
    with browser(application) as client:
        visit(client, application, running_numbers(application)[0])
        kept = client.cookies["__Host-stadtpass-visit"]
        answer = send(client, "/p/pass/end")
        assert answer.headers["location"] == "/p/ended"
        assert "max-age=0" in answer.headers["set-cookie"].lower()
        assert client.get("/p/ended").status_code == 200
        client.cookies.set("__Host-stadtpass-visit", kept)
        assert client.get("/p/pass").status_code == 403


def test_headers_of_every_answer(application: Application) -> None:
    with browser(application) as client:
        path = new_link(application, running_numbers(application)[0])
        answers = [client.get(one) for one in ("/", "/p", "/p/code", "/p/new", path, "/p/l/old", "/p/pass")]
        answers.append(client.post(path))
        answers += [client.get(one) for one in PAGES]
        for answer in answers:
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["referrer-policy"] == "no-referrer"
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
        pages = [one.text for one in answers if one.headers["content-type"].startswith("text/html")]
        assert len(pages) > 8
        for page in pages:
            assert " style=" not in page
            assert "<style" not in page
            assert "<script>" not in page
            assert " on" + "click" not in page
