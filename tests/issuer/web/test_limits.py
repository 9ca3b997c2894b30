"""What a request may bring: addresses, bodies, frequency."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.exceptions import HTTPException

from issuer import counters
from issuer.web.limits import RequestLimits, body_limit, is_sane
from issuer.web.rate_limits import RULES, Buckets, rule_for
from tests.issuer.web.conftest import service


@pytest.mark.parametrize(
    "path",
    [
        "/a\0b",
        "/a\nb",
        "/a\x7f",
        "/../etc/passwd",
        "/static/../app.py",
        "/static/./x",
        "/a\\b",
        "/\ufffd",
        "//p/code",
        "/p//code",
        "p/code",
    ],
)
def test_paths_of_no_route(path: str) -> None:
    assert not is_sane(path)


def test_paths_that_may_be() -> None:
    assert all(is_sane(path) for path in ("/", "/p/l/abc-_", "/api/v1/passes/ü 1", "/a..b", "/.well-known/x"))


@pytest.mark.parametrize(
    "path",
    [
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static//etc/passwd",
        "/static/%00",
        "/static/app.py",
        "/static/",
        "/static/types/library-card/..%2ftype.toml",
        "/static/types/library-card/type.toml",
        "/static/types/x/logo.png",
        "/static/vendor.sha256",
        "/%ff%fe",
        "/p%0d%0aSet-Cookie:x",
    ],
)
def test_nothing_but_known_files(folder: Path, path: str) -> None:
    with service(folder) as client:
        answer = client.get(path)
        assert answer.status_code == 404
        assert "set-cookie" not in answer.headers


def test_a_body_is_counted_as_it_comes(folder: Path) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(20):
            yield b"x" * 10_000

    with service(folder) as client:
        # Without a Content-Length, and with one that is too large.
        assert client.post("/apple/v1/log", content=pieces()).status_code == 413
        answer = client.post("/api/v1/oauth/token", content=b"x" * 2_000_000)
        assert answer.status_code == 413
        assert answer.headers["content-type"] == "application/problem+json"
        assert client.post("/p/code", headers={"content-length": "x"}).status_code == 400


def test_limits_by_path() -> None:
    assert body_limit("/p/code") < body_limit("/apple/v1/log") < body_limit("/api/v1/passes")
    assert body_limit("/api/v1/passes") < body_limit("/api/v1/jobs/imports")
    assert body_limit("/anything") == 16 * 1024


def test_a_body_that_never_ends() -> None:
    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        await receive()

    async def receive() -> Any:
        await asyncio.sleep(60)

    async def send(_message: Any) -> None:
        return

    scope = {"type": "http", "path": "/p", "query_string": b"", "headers": []}
    with pytest.raises(HTTPException) as caught:
        asyncio.run(RequestLimits(app, body_seconds=0.05)(scope, receive, send))
    assert caught.value.status_code == 408


def test_a_bucket_fills_again() -> None:
    now = [1000.0]
    buckets = Buckets(lambda: now[0])
    assert [buckets.take("a", "x", 60) for _ in range(30)] == [0] * 30
    wait = buckets.take("a", "x", 60)
    assert wait == pytest.approx(1)
    # Another caller, and another kind of request, have their own.
    assert buckets.take("a", "y", 60) == 0
    assert buckets.take("b", "x", 60) == 0
    now[0] += 0.5
    assert buckets.take("a", "x", 60) == pytest.approx(0.5)
    now[0] += 0.5
    assert buckets.take("a", "x", 60) == 0
    now[0] += 3600
    assert [buckets.take("a", "x", 60) for _ in range(31)][-2:] == [0, pytest.approx(1)]


def test_the_table_is_bounded() -> None:
    buckets = Buckets(lambda: 0.0, most=100)
    for n in range(1000):
        buckets.take("a", str(n), 60)
    assert len(buckets) == 100


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "/p", "pages"),
        ("POST", "/p/code", "code"),
        ("GET", "/plates", "other"),
        ("POST", "/apple/v1/log", "apple-log"),
        ("GET", "/apple/v1/passes/x/y", "apple"),
        ("POST", "/api/v1/oauth/token", "token"),
        ("GET", "/api/v1/passes", "api"),
        ("GET", "/status/1", "lists"),
        ("GET", "/", "other"),
        ("GET", "/ready", "monitor"),
    ],
)
def test_kinds_of_requests(method: str, path: str, name: str) -> None:
    assert rule_for(method, path).name == name


def test_codes_and_logs_are_the_strictest() -> None:
    shares = {rule.name: rule.share for rule in RULES}
    assert shares["code"] == shares["apple-log"] == min(shares.values())
    assert shares["lists"] > shares["pages"]


LIMIT = "\n[service]\nrequests_per_minute = 100\n"


def test_too_many_requests(folder: Path) -> None:
    with service(folder, LIMIT + 'trusted_proxies = ["127.0.0.1"]\n') as client:

        def post(address: str) -> Any:
            return client.post("/p/nothing", headers={"x-forwarded-for": address})

        statuses = [post("203.0.113.1").status_code for _ in range(6)]
        assert 429 not in statuses[:5]
        assert statuses[5] == 429
        refused = post("203.0.113.1")
        assert 0 < int(refused.headers["retry-after"]) <= 60
        # Nobody else pays for it, and another header does not make another caller.
        assert post("203.0.113.2").status_code != 429
        assert post("198.51.100.1, 203.0.113.1").status_code == 429
        assert 'stadtpass_rate_limited_total{kind="code"}' in counted()


def counted() -> str:
    from prometheus_client import generate_latest

    return generate_latest(counters.REGISTRY).decode()


def test_the_api_answers_with_problem_details(folder: Path) -> None:
    with service(folder, "\n[service]\nrequests_per_minute = 1\n") as client:
        answers = [client.get("/api/v1/passes", headers={"accept-language": "en"}) for _ in range(6)]
        assert [one.status_code for one in answers[:5]].count(429) == 0
        assert answers[5].status_code == 429
        assert answers[5].headers["content-type"] == "application/problem+json"
        assert answers[5].json()["code"] == "TOO_MANY_REQUESTS"
        assert answers[5].headers["retry-after"]


def test_a_client_of_the_api_has_its_own_share(folder: Path) -> None:
    with service(folder, '\n[service]\nrequests_per_minute = 1\ntrusted_proxies = ["127.0.0.1"]\n') as client:

        def get(address: str, key: str) -> int:
            headers = {"x-forwarded-for": address, "authorization": f"Bearer {key}"}
            return client.get("/api/v1/passes", headers=headers).status_code

        # From many addresses with one key: one client all the same.
        assert [get(f"203.0.113.{n}", "one") for n in range(6)].count(429) == 1
        assert get("203.0.113.99", "two") != 429


def test_phones_behind_one_address_all_get_their_update(folder: Path) -> None:
    with service(folder, LIMIT) as client:
        asked = [
            client.get(
                f"/apple/v1/devices/{n:032x}/registrations/pass.example?passesUpdatedSince=1"
            ).status_code
            for n in range(300)
        ]
        assert set(asked) == {204}


def test_who_is_refused_again_and_again_at_the_apple_web_service(folder: Path) -> None:
    with service(folder, LIMIT + 'trusted_proxies = ["127.0.0.1"]\n') as client:

        def fetch(n: int, address: str) -> Any:
            headers = {"x-forwarded-for": address, "authorization": "ApplePass junk"}
            return client.get(f"/apple/v1/passes/pass.example/{n:032x}", headers=headers)

        statuses = [fetch(n, "203.0.113.1").status_code for n in range(60)]
        assert statuses[:50] == [401] * 50
        assert statuses[-1] == 429
        assert int(fetch(99, "203.0.113.1").headers["retry-after"]) > 0
        assert fetch(99, "203.0.113.2").status_code == 401
        # Messages of phones stay as strict as they were.
        said = [client.post("/apple/v1/log", json={"logs": []}).status_code for _ in range(6)]
        assert (said[:5], said[5]) == ([200] * 5, 429)


def test_zero_means_no_limit(folder: Path) -> None:
    with service(folder, "\n[service]\nrequests_per_minute = 0\n") as client:
        assert 429 not in {client.post("/p/nothing").status_code for _ in range(100)}
