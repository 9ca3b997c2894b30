"""Devices of the verifier's app: invitation, enrolment, confirmation, signed requests, leases, as they meet them."""

from __future__ import annotations

import base64
import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zxingcpp
from litestar.testing import TestClient
from PIL import Image
from sqlalchemy import select

from issuer.api.clients import KEY, add_client
from issuer.api.scopes import Scope
from issuer.application import Application
from issuer.device_enrolment import Invitation, confirm_device, invite_device
from issuer.models import AuditEntryRow
from issuer.models_access import DeviceNonceRow, VerifierDeviceRow
from issuer.nightly import retention
from issuer.nightly.reports import Report
from issuer.publication import publish_due
from issuer.verifier_devices import Role, lock_device, unlock_device
from issuer.workspace import CONFIG
from keys.bundle import root_from_pem
from keys.identity import kid_of
from tests.e2e.commandline import Outcome, main_in_process
from tests.issuer.publication.app_device import LINK, AppDevice, b64url, code_in
from tests.issuer.publication.handheld import Http
from tests.service import City, SetClock
from tests.web_app import create_app

API = "/api/v1/devices"
ON_ONE_DATABASE = pytest.mark.parametrize("city", ["sqlite"], indirect=True)


def client(application: Application, name: str = "portal") -> dict[str, str]:
    with application.writing() as session:
        made = add_client(session, application, name, [Scope.DEVICES_WRITE], kind=KEY, actor="test")
    return {"Authorization": f"Bearer {made.secret}", "Accept-Language": "en"}


def invited(application: Application, role: Role = Role.WARDEN, zones: tuple[str, ...] = ()) -> Invitation:
    with application.writing() as session:
        return invite_device(session, application, "Gerät 7", role, zones, actor="test")


def enrolled(
    application: Application,
    http: Http,
    clock: SetClock,
    role: Role = Role.WARDEN,
    zones: tuple[str, ...] = (),
) -> AppDevice:
    """A device that is active."""
    invitation, device = invited(application, role, zones), AppDevice(clock)
    answer = device.enrol(http, invitation.code)
    assert answer.status_code == 201, answer.text
    confirm_device(application, device.id, answer.json()["check_code"], actor="test")
    return device


def actions(application: Application, device_id: str) -> list[str]:
    with application.reading() as session:
        return list(
            session.scalars(
                select(AuditEntryRow.action)
                .where(
                    AuditEntryRow.tenant == application.tenant,
                    AuditEntryRow.subject == f"device/{device_id}",
                )
                .order_by(AuditEntryRow.sequence)
            )
        )


def refused(answer: Any) -> tuple[int, str]:
    assert answer.headers["content-type"].startswith("application/problem+json")
    return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize("high_s", [False, True])
def test_from_the_invitation_to_the_plates(
    application: Application, http: Http, city: City, high_s: bool
) -> None:
    publish_due(application)
    office = client(application)
    body = {"name": "Gerät 7", "role": "warden", "zones": ["HO", "BÖ"]}
    made = http.post(f"{API}/invitations", json=body, headers=office)
    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    invitation = made.json()
    root = kid_of(root_from_pem(http.get("/lists/root.pub").content)).hex()
    found = LINK.search(invitation["url"])
    assert found is not None
    assert (found[1], found[2]) == (invitation["code"], root)
    assert invitation["url"].startswith("https://stadtpass.example/check/#")
    path = f"{API}/{invitation['id']}"
    assert http.get(path, headers=office).json()["state"] == "invited"

    device = AppDevice(city.clock, high_s)
    answer = device.enrol(http, invitation["code"])
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {"device": invitation["id"], "check_code": device.check_code(invitation["code"])}
    assert device.state(http) == "pending"
    assert refused(device.lease(http)) == (401, "DEVICE_PENDING")
    assert device.plates(http) == 401
    assert http.get(path, headers=office).json()["state"] == "pending"

    digits = {"check_code": answer.json()["check_code"]}
    confirmed = http.post(f"{path}/confirmation", json=digits, headers=office)
    assert (confirmed.status_code, confirmed.json()["state"]) == (200, "active")
    assert confirmed.json()["expires_at"] is None
    told = device.ask(http, "GET", "/check/devices/self").json()
    assert told == {
        "state": "active", "name": "Gerät 7", "role": "warden", "city": "Musterstadt", "lease_hours": 12,
        "zones": [{"code": "BÖ", "name": told["zones"][0]["name"]}, {"code": "HO", "name": told["zones"][1]["name"]}],
        "time": told["time"],
    }  # fmt: skip
    lease = device.lease(http)
    assert lease.status_code == 201
    assert lease.headers["cache-control"] == "no-store"
    assert device.plates(http) == 200
    listed = http.get(path, headers=office).json()
    assert listed["last_sync_at"] is not None
    assert listed["lease_until"] == "2026-11-20T23:00:00Z"
    assert http.post(f"{path}/lock", headers=office).json()["lease_until"] == listed["lease_until"]
    assert device.state(http) == "locked"
    assert refused(device.lease(http)) == (401, "DEVICE_LOCKED")
    assert refused(device.ask(http, "GET", "/lists/plates.cwt")) == (401, "DEVICE_LOCKED")
    http.post(f"{path}/unlock", headers=office)
    assert device.plates(http) == 200
    assert http.delete(path, headers=office).status_code == 204
    assert device.state(http) == "DEVICE_UNKNOWN"
    assert actions(application, device.id) == [
        "invite-device", "enrol-device", "confirm-device", "lock-device", "unlock-device", "delete-device",
    ]  # fmt: skip


def test_an_invitation_is_for_one_key(application: Application, http: Http, city: City) -> None:
    invitation, first = invited(application), AppDevice(city.clock)
    answer = first.enrol(http, invitation.code)
    assert refused(AppDevice(city.clock).enrol(http, invitation.code)) == (404, "INVITATION_UNKNOWN")
    # The answer was lost on its way: the same key gets it again.
    assert first.enrol(http, invitation.code).json() == answer.json()
    confirm_device(application, first.id, answer.json()["check_code"], actor="test")
    assert refused(first.enrol(http, invitation.code)) == (404, "INVITATION_UNKNOWN")
    assert first.state(http) == "active"
    assert actions(application, first.id).count("enrol-device") == 1


@pytest.mark.parametrize(("seconds", "status"), [(599, 201), (600, 404)])
def test_an_invitation_holds_for_ten_minutes(
    application: Application, http: Http, city: City, seconds: int, status: int
) -> None:
    invitation = invited(application)
    city.clock.forward(seconds=seconds)
    assert AppDevice(city.clock).enrol(http, invitation.code).status_code == status


@pytest.mark.parametrize("seconds", [599, 600])
def test_a_device_waits_for_ten_minutes(
    application: Application, http: Http, city: City, seconds: int
) -> None:
    office = client(application)
    invitation, device = invited(application), AppDevice(city.clock)
    digits = device.enrol(http, invitation.code).json()["check_code"]
    city.clock.forward(seconds=seconds)
    in_time = seconds < 600
    assert device.state(http) == ("pending" if in_time else "DEVICE_UNKNOWN")
    assert len(http.get(API, headers=office).json()["items"]) == in_time
    assert http.get(f"{API}/{device.id}", headers=office).status_code == (200 if in_time else 404)
    if in_time:
        confirm_device(application, device.id, digits, actor="test")
        city.clock.forward(days=30)
        assert device.state(http) == "active"


def test_two_at_the_same_time_one_gets_in(application: Application, city: City) -> None:
    invitation = invited(application)
    start = threading.Barrier(4, timeout=30)
    found: list[tuple[int, str]] = []
    devices = [AppDevice(city.clock) for _ in range(4)]
    # Made here: the framework's own imports do not bear several applications being made at the same time.
    browsers = [TestClient(create_app(application)) for _ in devices]

    def enrol(device: AppDevice, browser: Http) -> None:
        with browser as http:
            start.wait()
            found.append((device.enrol(http, invitation.code).status_code, device.id))

    threads = [threading.Thread(target=enrol, args=one) for one in zip(devices, browsers, strict=True)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(status for status, _ in found) == [201, 404, 404, 404]
    (winner,) = [one for one in devices if one.id]
    with application.reading() as session:
        row = session.get_one(VerifierDeviceRow, (application.tenant, invitation.id))
    assert row.public_key == winner.public_key


def test_three_wrong_check_codes(application: Application, http: Http, city: City) -> None:
    office = client(application)
    made = http.post(f"{API}/invitations", json={"name": "x", "role": "warden"}, headers=office).json()
    device = AppDevice(city.clock)
    digits = device.enrol(http, made["code"]).json()["check_code"]
    wrong = f"{(int(digits.replace(' ', '')) + 1) % 10**6:06d}"
    path = f"{API}/{device.id}/confirmation"
    for left in (2, 1, 0):
        answer = http.post(path, json={"check_code": wrong}, headers=office)
        (fault,) = answer.json()["errors"]
        assert (answer.status_code, fault["code"], fault["pointer"]) == (
            422,
            "CHECK_CODE_WRONG",
            "#/check_code",
        )
        assert f"left: {left}" in fault["detail"]
    assert http.post(path, json={"check_code": digits}, headers=office).status_code == 404
    assert device.state(http) == "DEVICE_UNKNOWN"
    assert actions(application, device.id)[2:] == ["wrong-check-code"] * 3
    assert http.post(path, json={"check_code": "12345x"}, headers=office).status_code == 422


def test_only_who_invited_confirms(application: Application, http: Http, city: City) -> None:
    office, other = client(application), client(application, "other")
    made = http.post(f"{API}/invitations", json={"name": "x", "role": "warden"}, headers=office).json()
    device = AppDevice(city.clock)
    body = {"check_code": device.enrol(http, made["code"]).json()["check_code"]}
    path = f"{API}/{device.id}/confirmation"
    assert refused(http.post(path, json=body, headers=other)) == (403, "DEVICE_INVITED_BY_OTHER")
    assert device.state(http) == "pending"
    assert http.post(path, json=body, headers=office).status_code == 200
    assert refused(http.post(path, json=body, headers=office)) == (409, "DEVICE_NOT_PENDING")
    # Invited on the command line, confirmed there and by no client.
    from_there = invited(application)
    body = {"check_code": AppDevice(city.clock).enrol(http, from_there.code).json()["check_code"]}
    answer = http.post(f"{API}/{from_there.id}/confirmation", json=body, headers=office)
    assert refused(answer) == (403, "DEVICE_INVITED_BY_OTHER")
    confirm_device(application, from_there.id, body["check_code"], actor="cli")


def test_a_device_that_nobody_has_enrolled_yet_cannot_be_confirmed(
    application: Application, http: Http
) -> None:
    office = client(application)
    made = http.post(f"{API}/invitations", json={"name": "x", "role": "warden"}, headers=office).json()
    answer = http.post(f"{API}/{made['id']}/confirmation", json={"check_code": "000000"}, headers=office)
    assert refused(answer) == (409, "DEVICE_NOT_PENDING")


Change = Callable[[dict[str, str], AppDevice], dict[str, str]]


def _flipped(headers: dict[str, str], _: AppDevice) -> dict[str, str]:
    raw = bytearray(base64.b64decode(headers["Signature"].removeprefix("stadtpass=:").rstrip(":")))
    raw[40] ^= 1
    return headers | {"Signature": f"stadtpass=:{base64.b64encode(raw).decode()}:"}


def _input(old: str, new: str) -> Change:
    def changed(headers: dict[str, str], _: AppDevice) -> dict[str, str]:
        assert old in headers["Signature-Input"]
        return headers | {"Signature-Input": headers["Signature-Input"].replace(old, new)}

    return changed


BAD: dict[str, tuple[Change, str]] = {
    "flipped": (_flipped, "DEVICE_UNKNOWN"),
    "zero": (lambda one, _: one | {"Signature": f"stadtpass=:{'A' * 86}==:"}, "DEVICE_UNKNOWN"),
    "other key": (
        lambda _, device: AppDevice(device.clock, id=device.id).headers("GET", "/lists/plates.cwt"),
        "DEVICE_UNKNOWN",
    ),
    "other path": (lambda _, device: device.headers("GET", "/check/devices/self"), "DEVICE_UNKNOWN"),
    "other method": (lambda _, device: device.headers("POST", "/lists/plates.cwt"), "DEVICE_UNKNOWN"),
    "unknown device": (
        lambda _, device: device.headers("GET", "/lists/plates.cwt", device="0" * 32),
        "DEVICE_UNKNOWN",
    ),
    "other tag": (_input("stadtpass-device", "stadtpass-devicx"), "DEVICE_SIGNATURE"),
    "other algorithm": (_input("ecdsa-p256-sha256", "hmac-sha256"), "DEVICE_SIGNATURE"),
    "less covered": (_input('"@method" "@path"', '"@method"'), "DEVICE_SIGNATURE"),
    "digest without a body": (_input('"@path"', '"@path" "content-digest"'), "DEVICE_SIGNATURE"),
    "short nonce": (_input('nonce="', 'nonce="x'), "DEVICE_SIGNATURE"),
    "no signature": (lambda one, _: {"Signature-Input": one["Signature-Input"]}, "DEVICE_SIGNATURE"),
    "junk": (lambda one, _: one | {"Signature": "stadtpass=:####:"}, "DEVICE_SIGNATURE"),
    "huge": (
        lambda one, _: one | {"Signature-Input": one["Signature-Input"] + "x" * 9000},
        "DEVICE_SIGNATURE",
    ),
    "never": (_input("created=", "created=9999999999999"), "DEVICE_SIGNATURE"),
}


@ON_ONE_DATABASE
def test_what_is_not_signed_right(application: Application, http: Http, city: City) -> None:
    publish_due(application)
    device = enrolled(application, http, city.clock)
    answers: dict[str, Any] = {}
    for name, (change, code) in BAD.items():
        headers = change(device.headers("GET", "/lists/plates.cwt"), device)
        answers[name] = http.get("/lists/plates.cwt", headers=headers)
        assert refused(answers[name]) == (401, code), name
        assert answers[name].headers["www-authenticate"]
    assert answers["unknown device"].text == answers["flipped"].text == answers["other path"].text
    device.lease(http)
    assert device.plates(http) == 200


def test_two_headers_of_a_kind_are_none(application: Application, http: Http, city: City) -> None:
    device = enrolled(application, http, city.clock)
    headers = list(device.headers("GET", "/check/devices/self").items())
    answer = http.get("/check/devices/self", headers=[*headers, headers[1]])
    assert refused(answer) == (401, "DEVICE_SIGNATURE")


@pytest.mark.parametrize(
    ("seconds", "state"), [(-121, "DEVICE_CLOCK"), (-120, "active"), (120, "active"), (121, "DEVICE_CLOCK")]
)
@ON_ONE_DATABASE
def test_the_devices_clock(
    application: Application, http: Http, city: City, seconds: int, state: str
) -> None:
    device = enrolled(application, http, city.clock)
    device.clock = SetClock(city.clock.at)
    device.clock.forward(seconds=seconds)
    assert device.state(http) == state


def test_a_lease_is_granted_once_for_each_request(application: Application, http: Http, city: City) -> None:
    device = enrolled(application, http, city.clock)
    headers = device.headers("POST", "/check/leases")
    assert http.post("/check/leases", headers=headers).status_code == 201
    city.clock.forward(seconds=60)
    assert refused(http.post("/check/leases", headers=headers)) == (401, "DEVICE_SIGNATURE")
    # Also with the other one of the two signatures that ECDSA allows.
    nonce = b64url(b"n" * 16)
    assert device.lease(http, nonce=nonce).status_code == 201
    device.high_s = True
    assert refused(device.lease(http, nonce=nonce)) == (401, "DEVICE_SIGNATURE")
    city.clock.forward(seconds=121)
    assert refused(http.post("/check/leases", headers=headers)) == (401, "DEVICE_CLOCK")


def test_the_body_is_part_of_what_is_signed(application: Application, http: Http, city: City) -> None:
    device = enrolled(application, http, city.clock)
    assert device.lease(http, body=b"{}").status_code == 201
    headers = device.headers("POST", "/check/leases", b"{}")
    assert refused(http.post("/check/leases", content=b"[]", headers=headers)) == (401, "DEVICE_SIGNATURE")
    assert refused(http.post("/check/leases", headers=headers)) == (401, "DEVICE_SIGNATURE")
    unsigned = device.headers("POST", "/check/leases")
    assert refused(http.post("/check/leases", content=b"{}", headers=unsigned)) == (401, "DEVICE_SIGNATURE")


@ON_ONE_DATABASE
def test_a_lease(application: Application, http: Http, city: City) -> None:
    device = enrolled(application, http, city.clock)
    first, second = device.lease(http).json(), device.lease(http).json()
    now = int(city.clock().timestamp())
    assert (first["issued_at"], first["not_after"]) == (now, now + 12 * 3600)
    assert len(base64.urlsafe_b64decode(first["key"] + "=")) == 32
    assert first["key"] != second["key"]
    assert first["lease"] != second["lease"]
    with application.reading() as session:
        row = session.get_one(VerifierDeviceRow, (application.tenant, device.id))
        assert first["key"] not in repr(vars(row))
    assert "lease" not in " ".join(actions(application, device.id))


@ON_ONE_DATABASE
@pytest.mark.parametrize("hours", [1, 24])
def test_how_long_a_lease_is(city: City, hours: int) -> None:
    config = city.folder / CONFIG
    config.write_text(config.read_text() + f"\n[devices]\nlease_hours = {hours}\n")
    application = city.open()
    with TestClient(create_app(application)) as http:
        device = enrolled(application, http, city.clock)
        lease = device.lease(http).json()
        assert lease["not_after"] - lease["issued_at"] == hours * 3600
        assert device.ask(http, "GET", "/check/devices/self").json()["lease_hours"] == hours


@ON_ONE_DATABASE
@pytest.mark.parametrize("hours", ["0", "25", "-1", "12.5", '"x"'])
def test_lengths_that_no_lease_has(city: City, hours: str, capsys: pytest.CaptureFixture[str]) -> None:
    config = city.folder / CONFIG
    config.write_text(config.read_text() + f"\n[devices]\nlease_hours = {hours}\n")
    outcome = main_in_process("devices", "list", "--data", city.folder)
    assert outcome.code == 64
    assert "lease_hours" in outcome.stderr


@ON_ONE_DATABASE
def test_a_librarian_gets_neither_lease_nor_plates(application: Application, http: Http, city: City) -> None:
    publish_due(application)
    device = enrolled(application, http, city.clock, Role.LIBRARIAN)
    assert device.state(http) == "active"
    assert refused(device.lease(http)) == (403, "DEVICE_ROLE")
    assert refused(device.ask(http, "GET", "/lists/plates.cwt")) == (401, "DEVICE_NOT_ENROLLED")


def test_plates_only_while_a_lease_runs(application: Application, http: Http, city: City) -> None:
    publish_due(application)
    device = enrolled(application, http, city.clock)

    def plates(language: str = "de") -> Any:
        headers = device.headers("GET", "/lists/plates.cwt") | {"Accept-Language": language}
        return http.get("/lists/plates.cwt", headers=headers)

    assert refused(plates()) == (401, "DEVICE_LEASE")
    assert "Schicht" in plates().json()["detail"]
    assert "shift" in plates("en").json()["detail"]
    with application.reading() as session:
        assert session.get_one(VerifierDeviceRow, (application.tenant, device.id)).last_sync_at is None
    lease = device.lease(http).json()
    city.clock.forward(seconds=lease["not_after"] - lease["issued_at"] - 1)
    assert plates().status_code == 200
    city.clock.forward(seconds=1)
    assert refused(plates()) == (401, "DEVICE_LEASE")
    # Its own state is told all the same, and it may begin again.
    assert device.state(http) == "active"
    device.lease(http)
    assert plates().status_code == 200


def test_a_lock_holds_from_the_next_request(application: Application, http: Http, city: City) -> None:
    publish_due(application)
    device = enrolled(application, http, city.clock)
    device.lease(http)
    assert device.plates(http) == 200
    with application.writing() as session:
        lock_device(session, application, device.id, actor="test")
    assert device.plates(http) == 401
    assert refused(device.lease(http)) == (401, "DEVICE_LOCKED")
    with application.writing() as session:
        unlock_device(session, application, device.id, actor="test")
    assert device.plates(http) == 200


def test_the_neighbours_devices_are_unknown_here(
    application: Application, neighbour: Application, serve: Callable[[Application], Http], city: City
) -> None:
    for one in (application, neighbour):
        publish_due(one)
    here, there = serve(application), serve(neighbour)
    invitation = invited(neighbour)
    assert refused(AppDevice(city.clock).enrol(here, invitation.code)) == (404, "INVITATION_UNKNOWN")
    device = enrolled(neighbour, there, city.clock)
    device.lease(there)
    assert device.plates(there) == 200
    assert device.state(here) == "DEVICE_UNKNOWN"
    assert refused(device.lease(here)) == (401, "DEVICE_UNKNOWN")
    assert device.plates(here) == 401
    office = client(application)
    for path in ("", "/lock", "/confirmation"):
        method = "GET" if not path else "POST"
        body = {"check_code": "123456"} if path == "/confirmation" else None
        answer = here.request(method, f"{API}/{device.id}{path}", json=body, headers=office)
        assert answer.status_code == 404


def _hybrid(public_key: str) -> str:
    """The same point as SEC 1 lets it be written too."""
    point = base64.urlsafe_b64decode(public_key + "=")
    return b64url(bytes([6 + point[-1] % 2]) + point[1:])


OFF_THE_CURVE = b64url(b"\x04" + b"\x01" * 64)
HOSTILE: dict[str, tuple[Callable[[dict[str, str]], Any], int, str]] = {
    "off the curve": (lambda one: one | {"public_key": OFF_THE_CURVE}, 422, "ENROLMENT_KEY"),
    "zero point": (lambda one: one | {"public_key": b64url(b"\x04" + bytes(64))}, 422, "ENROLMENT_KEY"),
    "compressed": (lambda one: one | {"public_key": b64url(b"\x02" + b"\x01" * 32)}, 422, "ENROLMENT_KEY"),
    "hybrid": (lambda one: one | {"public_key": _hybrid(one["public_key"])}, 422, "ENROLMENT_KEY"),
    "padded": (lambda one: one | {"public_key": one["public_key"] + "="}, 422, "ENROLMENT_KEY"),
    "junk key": (lambda one: one | {"public_key": "\u202e" * 87}, 422, "ENROLMENT_KEY"),
    "junk signature": (lambda one: one | {"signature": "!" * 86}, 422, "ENROLMENT_SIGNATURE"),
    "short signature": (lambda one: one | {"signature": one["signature"][:-4]}, 422, "ENROLMENT_SIGNATURE"),
    "zero signature": (lambda one: one | {"signature": "A" * 86}, 422, "ENROLMENT_SIGNATURE"),
    "other code": (lambda one: one | {"code": "A" * 22}, 422, "ENROLMENT_SIGNATURE"),
    "surrogate": (lambda one: json.dumps(one | {"code": "\ud800"}), 400, "REQUEST_UNREADABLE"),
    "long value": (lambda one: one | {"code": "A" * 201}, 400, "REQUEST_UNREADABLE"),
    "one more": (lambda one: one | {"x": "y"}, 400, "REQUEST_UNREADABLE"),
    "a number": (lambda one: one | {"code": 1}, 400, "REQUEST_UNREADABLE"),
    "deep": (lambda _: "[" * 4000, 400, "REQUEST_UNREADABLE"),
    "empty": (lambda _: "", 400, "REQUEST_UNREADABLE"),
    "large": (lambda one: json.dumps(one) + " " * 5000, 413, "BODY_TOO_LARGE"),
}


@ON_ONE_DATABASE
def test_hostile_enrolments(
    application: Application, http: Http, city: City, caplog: pytest.LogCaptureFixture
) -> None:
    invitation, device = invited(application), AppDevice(city.clock)
    with caplog.at_level(logging.ERROR):
        for name, (change, status, code) in HOSTILE.items():
            changed = change(device.enrolment(invitation.code))
            content = changed if isinstance(changed, str) else json.dumps(changed)
            headers = {"Content-Type": "application/json"}
            answer = http.post("/check/devices", content=content.encode(), headers=headers)
            assert refused(answer) == (status, code), (name, answer.text)
    assert caplog.records == []
    assert device.enrol(http, invitation.code).status_code == 201


def test_no_secret_is_stored_or_logged(
    application: Application, http: Http, city: City, caplog: pytest.LogCaptureFixture
) -> None:
    office = client(application)
    once = office | {"Idempotency-Key": "k1"}
    body = {"name": "Gerät 7", "role": "warden"}
    with caplog.at_level(logging.DEBUG):
        made = http.post(f"{API}/invitations", json=body, headers=once).json()
        again = http.post(f"{API}/invitations", json=body, headers=once)
        assert refused(again) == (409, "IDEMPOTENCY_SECRET")
        device = AppDevice(city.clock)
        digits = device.enrol(http, made["code"]).json()["check_code"]
        http.post(f"{API}/{device.id}/confirmation", json={"check_code": "000 000"}, headers=office)
        http.post(f"{API}/{device.id}/confirmation", json={"check_code": digits}, headers=office)
        key = device.lease(http).json()["key"]
    logged = caplog.text + "".join(str(vars(one)) for one in caplog.records)
    with application.reading() as session:
        rows = [*session.scalars(select(VerifierDeviceRow)), *session.scalars(select(AuditEntryRow))]
        stored = repr([vars(one) for one in rows])
    for secret in (made["code"], key, digits, digits.replace(" ", "")):
        assert secret not in logged
        assert secret not in stored
    assert "Gerät" not in logged


def test_the_night_forgets_who_was_never_confirmed(application: Application, http: Http, city: City) -> None:
    kept = enrolled(application, http, city.clock)
    kept.lease(http)
    invited(application)
    AppDevice(city.clock).enrol(http, invited(application).code)
    with application.reading() as session:
        assert "unconfirmed_devices" not in retention.preview(application, session)
    city.clock.forward(hours=1)
    with application.reading() as session:
        counts = retention.preview(application, session)
    assert (counts["unconfirmed_devices"], counts["device_nonces"]) == (2, 1)
    retention.run(application, Report(application, city.clock().date(), retention.NAME))
    with application.reading() as session:
        assert [one.id for one in session.scalars(select(VerifierDeviceRow))] == [kept.id]
        assert session.scalars(select(DeviceNonceRow)).all() == []
    assert kept.state(http) == "active"


@ON_ONE_DATABASE
def test_below_a_path_of_the_proxy(city: City) -> None:
    config = city.folder / CONFIG
    config.write_text(config.read_text() + '\n[devices]\nurl = "https://check.example.org/stadt"\n')
    application = city.open()
    with TestClient(create_app(application)) as http:
        assert invited(application).url.startswith("https://check.example.org/stadt/check/#enrol=")
        device = enrolled(application, http, city.clock)
        headers = device.headers("GET", "/stadt/check/devices/self")
        assert http.get("/check/devices/self", headers=headers).status_code == 200
        headers = device.headers("GET", "/land/check/devices/self")
        assert refused(http.get("/check/devices/self", headers=headers)) == (401, "DEVICE_UNKNOWN")


def test_the_command_line(application: Application, city: City, http: Http, tmp_path: Path) -> None:
    def run(*args: object, at: str = "12:00") -> Outcome:
        return main_in_process(
            "devices", *args, "--data", city.folder, "--lang", "en", "--at", f"2026-11-20T{at}"
        )

    picture = tmp_path / "code.png"
    made = run("invite", "Gerät 7", "--role", "warden", "--zone", "BÖ", "--png", picture)
    assert made.code == 0, made.stderr
    url = made.stdout.strip()
    (read,) = zxingcpp.read_barcodes(Image.open(picture))
    assert read.text == url
    assert picture.stat().st_mode & 0o077 == 0
    drawn = [line for line in made.stderr.splitlines() if set(line) <= set("█▀▄ ") and line]
    (shown,) = zxingcpp.read_barcodes(_painted(drawn))
    assert shown.text == url
    assert "12:10" in made.stderr
    # A picture is not written over, and then nobody is invited.
    assert run("invite", "Gerät 8", "--role", "warden", "--png", picture).code == 64
    (listed,) = json.loads(run("list", "--json").stdout)
    assert (listed["state"], listed["role"], listed["zones"]) == ("invited", "warden", ["BÖ"])

    device = AppDevice(city.clock)
    digits = device.enrol(http, code_in(url)).json()["check_code"]
    wrong = run("confirm", listed["id"], "000000" if digits != "000 000" else "000001")
    assert (wrong.code, wrong.stdout) == (64, "")
    assert run("confirm", listed["id"], *digits.split()).code == 0
    assert device.state(http) == "active"
    device.lease(http)
    table = run("list").stdout
    assert "active" in table
    assert json.loads(run("list", "--json").stdout)[0]["lease_until"] == "2026-11-21T00:00:00+01:00"
    locked = run("lock", device.id)
    assert "21.11.2026 00:00" in locked.stdout
    assert device.state(http) == "locked"
    told = json.loads(run("invite", "Gerät 9", "--role", "librarian", "--json").stdout)
    assert set(told) == {"id", "url", "code", "expires_at"}
    assert run("invite", "x", "--role", "librarian", "--zone", "BÖ").code == 64


def _painted(lines: list[str]) -> Image.Image:
    """What a terminal shows of half blocks, white on black, eight pixels a module."""
    halves = {"█": (255, 255), "▀": (255, 0), "▄": (0, 255), " ": (0, 0)}
    image = Image.new("L", (len(lines[0]), 2 * len(lines)))
    for y, line in enumerate(lines):
        for x, block in enumerate(line):
            for half in (0, 1):
                image.putpixel((x, 2 * y + half), halves[block][half])
    return image.resize((image.width * 8, image.height * 8), Image.Resampling.NEAREST)
