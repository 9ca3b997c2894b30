"""The catalogue of hostile inputs: each entry that concerns HTTP or text behaves as the catalogue expects.

What its entries for QR codes expect is tested with the verifier.
"""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import func, select

from issuer import wallet_passes
from issuer.application import Application
from issuer.models import PassRow
from issuer.models_delivery import AppleDeviceRow, WebhookEndpointRow
from issuer.wallet_passes import WalletPass
from issuer.workspace import CONFIG
from passes.apple_bundle import PreparedImages
from passes.errors import PassRefusal
from tests.google_server import GoogleServer
from tests.issuer.api.conftest import new_client
from tests.issuer.api.office import PASSES, Office, codes, permit
from tests.issuer.google.conftest import opened, point_at
from tests.issuer.google.helpers import ISSUER, serial_of, wallet_row
from tests.service import PERMIT, City, running_numbers
from tests.web_app import create_app

KIND = "pass.example.stadtpass.demo"
CATALOGUE = json.loads(Path(__file__).parents[2].joinpath("data", "api_hostile.json").read_text())
PARTS = ("image_urls", "apple_web_service", "google_callback", "text_fields")
VALUES: dict[str, str] = {one["id"]: one["value"] for part in PARTS for one in CATALOGUE[part]}


@dataclass
class Rig:
    """A city that lists one host for webhooks, its neighbour, and Google's stand-in."""

    application: Application
    neighbour: Application
    google: GoogleServer
    office: Office
    web: TestClient[Litestar]
    monkeypatch: pytest.MonkeyPatch
    caplog: pytest.LogCaptureFixture

    def found(self, place: int = 0) -> WalletPass:
        serial = serial_of(self.application, running_numbers(self.application)[place])
        with self.application.reading() as session:
            found = wallet_passes.find(self.application, session, serial)
        assert found is not None
        return found

    def count(self, table: Any) -> int:
        with self.application.reading() as session:
            return session.scalar(select(func.count()).select_from(table)) or 0


@pytest.fixture
def rig(city: City, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[Rig]:
    config = city.folder / CONFIG
    config.write_text(config.read_text() + '\n[webhooks]\nallowed_hosts = ["portal.example.org"]\n')
    with GoogleServer(clock=city.clock, limit=10**6) as google:
        point_at(google, monkeypatch)
        application = opened(city, google)
        neighbour = opened(city, google, other=True)
        with TestClient(create_app(application), raise_server_exceptions=False) as web:
            office = Office(web, new_client(application).secret)
            yield Rig(application, neighbour, google, office, web, monkeypatch, caplog)


def test_every_entry_is_tested() -> None:
    assert VALUES.keys() == CHECKS.keys()
    assert CATALOGUE.keys() == {"note", "qr_payloads", *PARTS}


# What the databases take differently is tested for every route.
@pytest.mark.parametrize("city", ["sqlite"], indirect=True)
@pytest.mark.parametrize("entry", sorted(VALUES))
def test_entry(rig: Rig, entry: str) -> None:
    CHECKS[entry](rig, VALUES[entry])


# ---- addresses


def nothing_fetches(rig: Rig, value: str) -> None:
    """No field takes such an address, and neither taking nor refusing it asks anybody for anything."""
    asked: list[object] = []

    def no_network(*arguments: object, **_: object) -> None:
        asked.append(arguments)
        raise OSError("no network here")

    hooks = "/api/v1/webhooks"
    made = rig.office.post(
        hooks, json={"url": "https://portal.example.org/x", "events": ["pass.issued"]}
    ).json()
    passes = rig.count(PassRow)
    with rig.monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", no_network)
        patch.setattr(socket, "create_connection", no_network)
        patch.setattr(socket.socket, "connect", no_network)
        answers = [
            rig.office.post(hooks, json={"url": value, "events": ["pass.issued"]}),
            rig.office.patch(f"{hooks}/{made['id']}", json={"url": value}),
        ]
        for answer in answers:
            assert answer.status_code == 422, answer.text
            assert codes(answer)["#/url"] in ("WEBHOOK_URL", "WEBHOOK_HOST")
        for part in ("holder", "attributes", "details"):
            body = permit()
            answer = rig.office.post(PASSES, json=body | {part: body[part] | {"image_url": value}})
            assert answer.status_code == 422, answer.text
            assert value not in answer.text
        # Where any text may stand, an address is nothing but text or not a value.
        rig.office.post(PASSES, json=permit(holder=permit()["holder"] | {"street": value, "email": value}))
        rig.office.get(PASSES, params={"q": value[:100]})
        rig.web.get("/static/types/resident-parking-permit/" + value)
        rig.web.get("/p", headers={"referer": value, "origin": value})
    assert asked == []
    assert rig.count(WebhookEndpointRow) == 1
    assert rig.office.get(f"{hooks}/{made['id']}").json()["url"] == "https://portal.example.org/x"
    assert rig.count(PassRow) == passes


def only_png(rig: Rig, value: str) -> None:
    """Pictures come with the pass type, and a type whose picture is none of the expected size is not opened."""
    nothing_fetches(rig, value)
    png = rig.application.pass_types[PERMIT].images
    PreparedImages(png)
    for data in (
        value.encode(),
        b'<svg onload="alert(1)"/>',
        b"GIF89a" + b"\0" * 40,
        png["icon@2x.png"][:-1],
    ):
        with pytest.raises(PassRefusal):
            PreparedImages({**png, "icon@2x.png": data})


# ---- Apple's web service


def missing_like_wrong(rig: Rig, _: str) -> None:
    serial = rig.found().serial
    path = f"/apple/v1/passes/{KIND}/{serial}"
    answers = [
        rig.web.get(path, headers=headers)
        for headers in ({}, {"authorization": "ApplePass " + "0" * 64}, {"authorization": "Bearer x"})
    ]
    assert {one.status_code for one in answers} == {401}
    assert {one.content for one in answers} == {b""}
    assert len({one.headers["www-authenticate"] for one in answers}) == 1


def token_of_another(rig: Rig, _: str) -> None:
    first, second = rig.found(0), rig.found(1)
    for token, status in ((first.apple_token, 200), (second.apple_token, 401)):
        headers = {"authorization": f"ApplePass {token}"}
        assert rig.web.get(f"/apple/v1/passes/{KIND}/{first.serial}", headers=headers).status_code == status


def serial_of_nothing(rig: Rig, _: str) -> None:
    headers = {"authorization": f"ApplePass {rig.found().apple_token}"}
    for serial in ("../../etc/passwd", "..%2F..%2Fetc%2Fpasswd", "a" * 5000, "%00", "%00" + "0" * 31):
        for method, path in (
            ("GET", f"/apple/v1/passes/{KIND}/{serial}"),
            ("POST", f"/apple/v1/devices/d1/registrations/{KIND}/{serial}"),
            ("DELETE", f"/apple/v1/devices/d1/registrations/{KIND}/{serial}"),
        ):
            answer = rig.web.request(method, path, headers=headers)
            assert answer.status_code == 404, (method, serial[:40])
            assert answer.text == "Not found"


def push_token_of_nothing(rig: Rig, _: str) -> None:
    held = rig.found()
    headers = {"authorization": f"ApplePass {held.apple_token}"}
    path = f"/apple/v1/devices/d1/registrations/{KIND}/{held.serial}"
    for token in ("'; rm -rf", "a" * 4000, "ab" * 2000):
        assert rig.web.post(path, headers=headers, json={"pushToken": token}).status_code == 400, token[:20]
    assert rig.count(AppleDeviceRow) == 0
    assert rig.web.post(path, headers=headers, json={"pushToken": "ab" * 32}).status_code == 201


# ---- Google's callbacks


def _callback(rig: Rig, body: bytes, status: int) -> None:
    answer = rig.web.post("/google/callback", content=body)
    assert (answer.status_code, answer.content) == (status, b"")


def _message(rig: Rig, serial: str, tenant: str = "musterstadt", **more: Any) -> str:
    return rig.google.signer.message(
        f"{ISSUER}.{serial}", f"{ISSUER}.{tenant}.{PERMIT}", rig.google.clock(), **more
    )


def other_recipient(rig: Rig, _: str) -> None:
    serial, at = rig.found().serial, rig.google.clock()
    _callback(rig, rig.google.signer.callback(_message(rig, serial), "3388000000000000001", at), 400)
    assert wallet_row(rig.application, serial).google_state == ""
    _callback(rig, rig.google.signer.callback(_message(rig, serial), ISSUER, at), 200)


def expired(rig: Rig, _: str) -> None:
    serial, at = rig.found().serial, rig.google.clock()
    signer, past = rig.google.signer, int((at - timedelta(seconds=1)).timestamp() * 1000)
    _callback(rig, signer.callback(_message(rig, serial, expTimeMillis=past), ISSUER, at), 400)
    late = signer.callback(_message(rig, serial), ISSUER, at, key_until=at - timedelta(seconds=1))
    _callback(rig, late, 400)
    assert wallet_row(rig.application, serial).google_state == ""


def object_of_another(rig: Rig, _: str) -> None:
    other = serial_of(rig.neighbour, running_numbers(rig.neighbour)[0])
    rig.caplog.clear()
    with rig.caplog.at_level(logging.WARNING):
        body = rig.google.signer.callback(_message(rig, other, "neuss"), ISSUER, rig.google.clock())
        _callback(rig, body, 404)
    logged = [one for one in rig.caplog.records if one.name == "stadtpass.google"]
    assert [vars(one)["reason"] for one in logged] == ["object-unknown"]
    assert other not in rig.caplog.text
    assert wallet_row(rig.neighbour, other).google_state == ""


# ---- texts


def _refused_in_names(rig: Rig, value: str, wanted: set[str]) -> None:
    passes = rig.count(PassRow)
    for name in ("given_name", "family_name", "street", "city"):
        answer = rig.office.post(PASSES, json=permit(holder=permit()["holder"] | {name: value}))
        assert answer.status_code == 422, (name, answer.text)
        assert codes(answer).keys() == {f"#/holder/{name}"}, name
        assert set(codes(answer).values()) <= wanted, (name, codes(answer))
        assert value not in answer.text
    assert rig.count(PassRow) == passes


def reversed_text(rig: Rig, value: str) -> None:
    assert "\u202e" in value
    _refused_in_names(rig, value, {"NAME_INVISIBLE_CHAR"})


def many_marks(rig: Rig, value: str) -> None:
    assert "10000 x combining U+0301" in value
    _refused_in_names(rig, "e" + "\u0301" * 10_000, {"VALUE_LENGTH", "FIELD_TOO_LONG"})
    # Short enough for the field, but no letter has so many marks.
    _refused_in_names(rig, "e" + "\u0301" * 20, {"NAME_FORBIDDEN_CHAR"})


def script_in_a_link(rig: Rig, value: str) -> None:
    link = value.split(" ", 1)[0]
    assert link == "javascript:alert(1)"
    hooks = "/api/v1/webhooks"
    for url in (link, "http://portal.example.org/x", "HTTPS:alert(1)", "\thttps://portal.example.org/x"):
        answer = rig.office.post(hooks, json={"url": url, "events": ["pass.issued"]})
        assert (answer.status_code, codes(answer)) == (422, {"#/url": "WEBHOOK_URL"}), url
    assert rig.count(WebhookEndpointRow) == 0


CHECKS: dict[str, Callable[[Rig, str], None]] = {
    "S02": nothing_fetches,
    "S03": nothing_fetches,
    "S04": nothing_fetches,
    "S05": only_png,
    "A01": missing_like_wrong,
    "A02": token_of_another,
    "A03": serial_of_nothing,
    "A07": push_token_of_nothing,
    "G02": other_recipient,
    "G04": expired,
    "G05": object_of_another,
    "X03": reversed_text,
    "X04": script_in_a_link,
    "X05": many_marks,
}
