"""What no honest client sends, for any route: each kind makes requests for one route."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from tests.issuer.web.raw_requests import JSON, Ask, Headers, Route, Service
from tests.service import PERMIT

KINDS: dict[str, Callable[[Service, Route], Iterator[Ask]]] = {}


def kind(make: Callable[[Service, Route], Iterator[Ask]]) -> Callable[[Service, Route], Iterator[Ask]]:
    KINDS[make.__name__] = make
    return make


def sent_to(route: Route) -> list[str]:
    """The methods with which a route reads a body."""
    return sorted(route.methods & {"POST", "PUT", "PATCH", "DELETE"})


@kind
def other_methods(service: Service, route: Route) -> Iterator[Ask]:
    for method in (
        "HEAD",
        "PUT",
        "PATCH",
        "DELETE",
        "POST",
        "TRACE",
        "CONNECT",
        "OPTIONS",
        "PROPFIND",
        "get",
        "X" * 60,
    ):
        if method not in route.methods or method == "OPTIONS":
            yield Ask(method, route.path, service.credentials(route))


@kind
def paths(service: Service, route: Route) -> Iterator[Ask]:
    steps = route.template.split("/")
    for place, step in enumerate(steps):
        if not step.startswith("{"):
            continue
        for value in (
            "%00",
            "a%00b",
            "%FF%FE",
            "%ED%A0%80",
            "..%2F..%2Fetc%2Fpasswd",
            "%2e%2e",
            "%E2%80%AEgnp.exe",
            "a%0D%0Ax:y",
            "%F0%9F%92%A9" * 40,
            "e%CC%81" * 60,
            "'%20OR%201=1--",
            "{{7*7}}",
            "%25s%25n",
            "*",
            "-1",
            "9" * 40,
            "0x1",
            "%D9%A1",
            "a" * 1000,
            "a" * 5000,
            "null",
            "%20",
        ):
            real = route.path.split("/")
            path = "/".join([*real[:place], value, *real[place + 1 :]])
            for method in sorted(route.methods):
                yield Ask(method, path, service.credentials(route))
    for method in sorted(route.methods):
        for path in (
            route.path + "/",
            route.path + "/x",
            "/" + route.path,
            route.path.upper(),
            route.path + "%00",
        ):
            yield Ask(method, path, service.credentials(route))


QUERIES = (
    b"\xff\xfe=\xff",
    b"q=%00&plate=%00&zone=%00&cursor=%00&type=%00&at=%00&passesUpdatedSince=%00&v=%00&lang=%00",
    b"q=%ED%A0%80&zone=%FF",
    b"limit=99999999999999999999&valid_on=0000-00-00&at=0001-01-01T00:00:00%2B14:00&plate=D-AB+1",
    b"limit=50&valid_on=9999-12-31&plate=D-AB+123&at=9999-12-31T23:59:59-14:00&passesUpdatedSince="
    + b"9" * 30,
    b"limit=NaN&limit=1&limit=2&q=a&q=b&dry_run=maybe&type=x&type=y",
    b"&&&===&=&a",
    b"a=1&" * 2000,
    b"q=" + b"%F0%9F%92%A9" * 600,
    b"x" * 9000,
    b"q=%25%5F%5C&zone=%CC%81%CC%81&plate=%E2%80%AE",
    b"cursor=" + b"A" * 600,
    b"cursor=eyJhIjpbXX0",
    b";=;&%",
)


@kind
def queries(service: Service, route: Route) -> Iterator[Ask]:
    for query in QUERIES:
        for method in sorted(route.methods - {"OPTIONS"}):
            yield Ask(method, route.path, service.credentials(route), query)


HEADERS: tuple[Headers, ...] = (
    [(b"accept-language", b"de;q=9, \xff\xfe;q=\x01," * 200)],
    [(b"accept", b"application/x-nothing")],
    [(b"if-none-match", b'"' + b"x" * 60_000), (b"if-modified-since", b"Thu, 99 Foo 99999 99:99:99 GMT")],
    [(b"if-modified-since", b"Mon, 01 Jan 0001 00:00:00 +2359"), (b"range", b"bytes=0-,-1,9-1")],
    [(b"host", b"evil.example"), (b"host", b"\xff"), (b"x-forwarded-host", b"evil.example")],
    [
        (b"x-forwarded-for", b"\xff, 1.2.3.4," * 500),
        (b"x-forwarded-proto", b"https"),
        (b"forwarded", b"for=_x"),
    ],
    [(b"content-length", b"-1")],
    [(b"content-length", b"1"), (b"content-length", b"2")],
    [(b"content-length", b"9" * 30)],
    [(b"content-length", b"\xb2")],
    [(b"origin", b"null"), (b"sec-fetch-site", b"cross-site"), (b"referer", b"\xff")],
    [(b"transfer-encoding", b"gzip, chunked"), (b"content-encoding", b"gzip"), (b"expect", b"nothing")],
    [(b"upgrade", b"websocket"), (b"connection", b"upgrade"), (b"sec-websocket-key", b"x")],
    [(f"x-{n}".encode(), b"y") for n in range(500)],
    [(b"", b""), (b"\xff\xfe", b"\x00")],
)


# What is looked up in the register.
KEYS: tuple[Headers, ...] = (
    [(b"authorization", b"Bearer a"), (b"authorization", b"Bearer b")],
    [(b"authorization", b"Bearer " + b"\xff" * 300)],
    [(b"authorization", b"Basic \xc3\xbc"), (b"authorization", b"")],
    [(b"authorization", b"ApplePass " + b"0" * 100_000)],
    [(b"cookie", b"a=" + b"x" * 60_000), (b"cookie", b'stadtpass="\xff\\'), (b"cookie", b"; ; =")],
    [(b"if-match", b'"' + b"1" * 3000), (b"idempotency-key", b"\xff" * 300)],
    [(b"if-match", b"*"), (b"idempotency-key", b"a"), (b"idempotency-key", b"b")],
    [(b"if-match", b'"1", ' * 180 + b'"2"'), (b"idempotency-key", b"a\x00b")],
)


@kind
def keys(service: Service, route: Route) -> Iterator[Ask]:
    for given in KEYS:
        for method in sorted(route.methods - {"OPTIONS"}):
            yield Ask(method, route.path, [*given, *service.credentials(route)])


@kind
def headers(service: Service, route: Route) -> Iterator[Ask]:
    for given in HEADERS:
        for method in sorted(route.methods - {"OPTIONS"}):
            yield Ask(method, route.path, [*given, *service.credentials(route)])


BODIES = (
    *(b"[" * depth + b"]" * depth for depth in (300, 800, 900, 950, 970, 980, 985, 990, 995, 999)),
    b"",
    b"null",
    b"[]",
    b'"x"',
    b"{",
    b"\xff\xfe\x00",
    b"\xef\xbb\xbf{}",
    b"[" * 7000,
    b'{"a":' * 1500 + b"1" + b"}" * 1500,
    b'{"reason": "\\u0000", "channel": "mail"}',
    b'{"reason": "a\\u0000b", "name": "\\u0000", "url": "\\u0000", "events": ["\\u0000"]}',
    b'{"name": "a\\u0000b", "role": "warden", "zones": ["\\u0000"]}',
    b'{"plate": "D-AB 1\\u0000", "zone": "\\u0000", "at": "\\u0000"}',
    b'{"kind": "suspend", "type": "resident-parking-permit", "numbers": ["\\u0000"], "reason": "a\\u0000b"}',
    b'{"reason": "\\ud800"}',
    b'{"reason": "\xed\xa0\x80"}',
    b'{"reason": "\xff"}',
    b'{"a": 1e999, "reason": NaN}',
    b'{"term_months": ' + b"9" * 5000 + b', "fee_cents": -1e400}',
    b'{"term_months": 12, "fee_cents": 99999999999999999999}',
    b'{"reason": "x", "reason": "y", "__proto__": {}, "self": 1}',
    b'{"plates": [{"plate": "D-AB 1\\u0000", "season": "\\u0000"}], "zone": "\\u0000"}',
    b'{"plate": "D-AB 123", "at": "0001-01-01T00:00:00+14:00"}',
    b'{"plate": "D-AB 123", "at": "9999-12-31T23:59:59-14:00"}',
    b'{"pushToken": "\\u0000\\u0000\\u0000\\u0000"}',
    b'{"logs": ["a\\u0000b", "\\ud83d\\ude00"]}',
    b'{"logs": [' + b'"x",' * 3000 + b'"x"]}',
)


@kind
def bodies(service: Service, route: Route) -> Iterator[Ask]:
    for body in BODIES:
        for method in sent_to(route):
            given = [
                (b"content-type", JSON),
                (b"content-length", str(len(body)).encode()),
                (b"if-match", b"*"),
            ]
            yield Ask(method, route.path, [*given, *service.credentials(route)], body=(body,))


@kind
def new_passes(service: Service, route: Route) -> Iterator[Ask]:
    """Texts that a database may refuse, at every place of a new pass."""
    body: dict[str, Any] = {
        "type": PERMIT,
        "number": None,
        "holder": {
            "ref": "H7",
            "family_name": "M",
            "street": "S",
            "house_number": "1",
            "birth_date": "0001-01-01",
        },
        "period": {"first": "9999-12-01", "term_months": 120},
        "attributes": {
            "plates": [{"plate": "D-AB 1", "season": "04-10"}],
            "zone": "HO",
            "permit_kind": "standard",
        },
        "details": {"channel": "online", "fee_cents": 2500},
    }
    for first in ("9999-12-01", "0001-01-01", "2026-12-01"):
        body["period"] = {"first": first, "term_months": 120}
        yield _json(service, route, body)
        yield _json(service, route, body | {"period": {"first": first, "last": "9999-12-31"}})
    for value in (
        "a\0b",
        "\u202egnp.exe",
        "e" + "\u0301" * 900,
        "\ufffe",
        "=cmd|' /C calc'!A0",
        2**63,
        -(2**70),
        True,
        {"x": "\0"},
        "x" * 1000,
    ):
        for part in ("holder", "attributes", "details"):
            for name in body[part]:
                yield _json(service, route, body | {part: body[part] | {name: value}})
        yield _json(service, route, body | {"number": value})
        yield _json(service, route, body | {"details": {str(value)[:30]: value}})
        yield _json(
            service, route, body | {"attributes": body["attributes"] | {"plates": [{"plate": value}]}}
        )


def _json(service: Service, route: Route, body: dict[str, Any]) -> Ask:
    return Ask(
        "POST",
        route.path,
        [(b"content-type", JSON), *service.credentials(route)],
        body=(json.dumps(body).encode(),),
    )


LIES = (
    (b"application/json; charset=utf-16", "{}".encode("utf-16")),
    (b"application/x-www-form-urlencoded", b'{"reason": "x"}'),
    (b"application/x-www-form-urlencoded", b"a=1&" * 1500),
    (b"application/x-www-form-urlencoded", b"%FF=%00&form_token=%ED%A0%80&code=%00&day=%00"),
    (
        b"application/x-www-form-urlencoded",
        b"grant_type=client_credentials&client_id=%00&client_secret=%00&scope=%00",
    ),
    (b"application/x-www-form-urlencoded; charset=utf-16", b"code=\xff\xfe"),
    (b"multipart/form-data", b"--x"),
    (b"multipart/form-data; boundary=", b"--\r\n"),
    (b"multipart/form-data; boundary=" + b"x" * 3000, b"--x"),
    (
        b"multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="a"; filename="../../x"\r\n\r\n\x00\r\n--x--\r\n',
    ),
    (b"multipart/form-data; boundary=x", b"--x\r\n\r\n" * 500),
    (b"application/x-msgpack", b"\xc1\xff"),
    (b"application/msgpack", b"\xdf\xff\xff\xff\xff"),
    (b"text/csv", b'"' + b"\x00" * 3000),
    (b"application/octet-stream", b"\xff\xfe" * 500),
    (b"text/xml", b"<!DOCTYPE x SYSTEM 'file:///etc/passwd'><x/>"),
    (b"", b"{}"),
    (b"\xff/\xfe", b"{}"),
    (b"application/json" + b";a=b" * 3000, b"{}"),
    (b"json", b"{}"),
)


@kind
def types_that_lie(service: Service, route: Route) -> Iterator[Ask]:
    for given, body in LIES:
        for method in sent_to(route):
            yield Ask(
                method, route.path, [(b"content-type", given), *service.credentials(route)], body=(body,)
            )


@kind
def pieces(service: Service, route: Route) -> Iterator[Ask]:
    chunked = [(b"transfer-encoding", b"chunked"), (b"content-type", JSON), *service.credentials(route)]
    for method in sent_to(route):
        yield Ask(method, route.path, chunked, body=(b"",) * 50 + tuple(b"{ }" * 100 for _ in range(3)))
        yield Ask(method, route.path, chunked, body=tuple(bytes([one]) for one in b'{"reason": "x"}' * 20))
        # Less and more than it says.
        length = [(b"content-length", b"5"), (b"content-type", JSON), *service.credentials(route)]
        yield Ask(method, route.path, length, body=(b"{}",))
        yield Ask(method, route.path, length, body=(b"{" * 900,))
        yield Ask(method, route.path, chunked, body=(b"{", b'"a"'), leaves=True)
        yield Ask(method, route.path, chunked, leaves=True)
