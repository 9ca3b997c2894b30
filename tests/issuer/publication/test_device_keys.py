"""Devices with keys of their own: invited, enrolled, confirmed; what their signatures open."""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from litestar.testing import TestClient

from issuer import device_enrolment
from issuer.application import Application
from issuer.configuration import read_config
from issuer.errors import IssuerRefusal
from issuer.models_access import VerifierDeviceRow
from issuer.publication import publish_due
from issuer.verifier_devices import Role, find_device, lock_device
from issuer.web.app import create_app
from issuer.workspace import CONFIG
from tests.issuer.publication.handheld import Http
from tests.service import City


class Device:
    def __init__(self, http: Http, application: Application) -> None:
        self.http, self.application = http, application
        self.key = ec.generate_private_key(ec.SECP256R1())
        point = self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.point = base64.urlsafe_b64encode(point).rstrip(b"=").decode()
        self.id = ""

    def sign(self, data: str) -> bytes:
        r, s = decode_dss_signature(self.key.sign(data.encode(), ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def enrol(self, code: str, **other: str) -> Any:
        signature = base64.urlsafe_b64encode(self.sign(f"stadtpass-enrol\n{code}\n{self.point}"))
        body = {"code": code, "public_key": self.point, "signature": signature.rstrip(b"=").decode()}
        answer = self.http.post("/check/devices", json=body | other)
        if answer.status_code == 201:
            self.id = answer.json()["device"]
        return answer

    def headers(
        self, path: str, method: str = "GET", *, late: int = 0, device: str = "", body: bytes = b""
    ) -> dict[str, str]:
        created = int(self.application.now().timestamp()) - late
        digest = f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"
        covered = '"@method" "@path"' + (' "content-digest"' if body else "")
        params = (
            f'({covered});created={created};nonce="{secrets.token_urlsafe(16)}"'
            f';keyid="{device or self.id}";alg="ecdsa-p256-sha256";tag="stadtpass-device"'
        )
        lines = [f'"@method": {method}', f'"@path": {path}', f'"@signature-params": {params}']
        lines[2:2] = [f'"content-digest": {digest}'] if body else []
        shown = base64.b64encode(self.sign("\n".join(lines))).decode()
        headers = {"Signature-Input": f"stadtpass={params}", "Signature": f"stadtpass=:{shown}:"}
        return headers | ({"Content-Digest": digest} if body else {})

    def get(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
        answer = self.http.get(path, headers=headers or self.headers(path))
        is_problem = answer.status_code >= 400
        return answer.status_code, answer.json()["code"] if is_problem else ""

    def lease(self, headers: dict[str, str] | None = None, body: bytes = b"") -> Any:
        return self.http.post(
            LEASES, content=body, headers=headers or self.headers(LEASES, "POST", body=body)
        )


PLATES, SELF, LEASES = "/lists/plates.cwt", "/check/devices/self", "/check/leases"


@pytest.fixture
def device(http: Http, application: Application) -> Device:
    return Device(http, application)


def active(device: Device, role: Role = Role.WARDEN) -> Device:
    shown = device.enrol(invited(device.application, role)).json()["check_code"]
    assert confirmed(device.application, device.id, shown)
    return device


def locked(device: Device) -> None:
    with device.application.writing() as session:
        lock_device(session, device.application, device.id, actor="test")


def row_of(device: Device) -> VerifierDeviceRow:
    with device.application.reading() as session:
        return find_device(session, device.application.tenant, device.id)


def invited(application: Application, role: Role = Role.WARDEN) -> str:
    with application.writing() as session:
        return device_enrolment.invite(session, application, "Handheld 7", role, [], actor="test").code


def confirmed(application: Application, device_id: str, told: str) -> bool:
    with application.writing() as session:
        return device_enrolment.confirm(session, application, device_id, told, actor="test")


def test_enrolled_confirmed_and_locked(application: Application, device: Device) -> None:
    publish_due(application)
    code = invited(application)
    answer = device.enrol(code)
    point = base64.urlsafe_b64decode(device.point + "==")
    number = int.from_bytes(hashlib.sha256(point + code.encode()).digest()[:8], "big") % 10**6
    assert answer.json()["check_code"].replace(" ", "") == f"{number:06}"
    assert device.get(PLATES) == (401, "DEVICE_PENDING")
    assert device.http.get(SELF, headers=device.headers(SELF)).json()["state"] == "pending"
    assert confirmed(application, device.id, answer.json()["check_code"])
    assert device.get(PLATES) == (200, "")
    assert device.http.get(SELF, headers=device.headers(SELF)).json()["state"] == "active"
    locked(device)
    assert device.get(PLATES) == (401, "DEVICE_LOCKED")


def test_an_invitation_holds_once_and_ten_minutes(city: City, application: Application, http: Http) -> None:
    code = invited(application)
    assert Device(http, application).enrol(code).status_code == 201
    assert Device(http, application).enrol(code).json()["code"] == "DEVICE_INVITATION"
    late = invited(application)
    city.clock.forward(minutes=10)
    assert Device(http, application).enrol(late).json()["code"] == "DEVICE_INVITATION"


def test_of_two_with_one_code_one_wins(application: Application, http: Http) -> None:
    code, barrier = invited(application), threading.Barrier(2, timeout=60)
    points, won = [Device(http, application) for _ in range(2)], []

    def run(one: Device) -> None:
        signed = f"stadtpass-enrol\n{code}\n{one.point}"
        point = base64.urlsafe_b64decode(one.point + "==")
        barrier.wait()
        try:
            with application.writing() as session:
                device_enrolment.enrol(session, application, code, point, signed, one.sign(signed))
            won.append(True)
        except IssuerRefusal as refusal:
            won.append(refusal.code == "DEVICE_INVITATION" and False)

    threads = [threading.Thread(target=run, args=(one,)) for one in points]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(won) == [False, True]


def test_three_wrong_check_codes_forget_the_device(application: Application, device: Device) -> None:
    right = device.enrol(invited(application)).json()["check_code"].replace(" ", "")
    wrong = f"{(int(right) + 1) % 10**6:06}"
    assert not any(confirmed(application, device.id, wrong) for _ in range(3))
    assert device.get(SELF) == (401, "DEVICE_UNKNOWN")


def test_signatures_that_do_not_hold(application: Application, device: Device) -> None:
    shown = device.enrol(invited(application)).json()["check_code"]
    assert confirmed(application, device.id, shown)
    good = device.headers(SELF)
    assert device.get(PLATES, good) == (401, "DEVICE_UNKNOWN")
    assert device.get(SELF, device.headers(SELF, "POST")) == (401, "DEVICE_UNKNOWN")
    assert device.get(SELF, device.headers(SELF, device="0" * 32)) == (401, "DEVICE_UNKNOWN")
    assert device.get(SELF, device.headers(SELF, late=121)) == (401, "DEVICE_CLOCK")
    assert device.get(SELF, device.headers(SELF, late=-121)) == (401, "DEVICE_CLOCK")
    assert device.get(SELF + "?a=1", good) == (401, "DEVICE_SIGNATURE")
    assert device.get(SELF, good | {"Signature": "junk"}) == (401, "DEVICE_SIGNATURE")
    assert device.get(SELF, good) == (200, "")


def test_hostile_enrolments(application: Application, device: Device) -> None:
    code = invited(application)
    off = base64.urlsafe_b64encode(b"\4" + b"\1" * 64).rstrip(b"=").decode()
    for other in ({"public_key": off}, {"public_key": "!"}, {"signature": "A"}, {"signature": "A" * 86}):
        assert device.enrol(code, **other).json()["code"] == "DEVICE_KEY"
    assert device.http.post("/check/devices", content=b"{").status_code == 400
    assert device.http.post("/check/devices", content=b"x" * 5000).status_code == 413
    assert device.enrol(code).status_code == 201


def test_a_lease_holds_for_the_hours_that_are_set(
    city: City, application: Application, device: Device
) -> None:
    active(device)
    now = int(application.now().timestamp())
    answer = device.lease()
    told = answer.json()
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "private, no-store")
    assert set(told) == {"lease", "key", "issued_at", "not_after"}
    assert (told["issued_at"], told["not_after"]) == (now, now + 12 * 3600)
    assert len(base64.urlsafe_b64decode(told["key"] + "=")) == 32
    until = row_of(device).lease_until
    assert until is not None
    assert until.timestamp() == told["not_after"]
    another = device.lease().json()
    assert another["key"] != told["key"]
    assert another["lease"] != told["lease"]
    assert device.http.get(SELF, headers=device.headers(SELF)).json()["lease_hours"] == 12


def test_shorter_leases_do_not_shorten_an_earlier_one(city: City, device: Device) -> None:
    until = active(device).lease().json()["not_after"]
    config = city.folder / CONFIG
    config.write_text(config.read_text() + "\n[devices]\nlease_hours = 1\n")
    application = city.open()
    other = Device(city.stack.enter_context(TestClient(create_app(application))), application)
    other.key, other.id = device.key, device.id
    assert other.lease().json()["not_after"] == int(application.now().timestamp()) + 3600
    kept = row_of(other).lease_until
    assert kept is not None
    assert kept.timestamp() == until


def test_who_gets_no_lease(city: City, application: Application, http: Http) -> None:
    publish_due(application)
    librarian = active(Device(http, application), Role.LIBRARIAN)
    assert (librarian.lease().status_code, librarian.lease().json()["code"]) == (403, "DEVICE_ROLE")
    assert row_of(librarian).lease_until is None
    waiting = Device(http, application)
    waiting.enrol(invited(application))
    assert waiting.lease().json()["code"] == "DEVICE_PENDING"
    city.clock.forward(minutes=20)
    for path in (SELF, PLATES):
        assert waiting.get(path) == (401, "DEVICE_UNKNOWN")
    assert waiting.lease().json()["code"] == "DEVICE_UNKNOWN"
    warden = active(Device(http, application))
    assert warden.lease().status_code == 201
    locked(warden)
    assert (warden.lease().status_code, warden.lease().json()["code"]) == (401, "DEVICE_LOCKED")
    assert warden.get(PLATES) == (401, "DEVICE_LOCKED")
    assert warden.http.get(SELF, headers=warden.headers(SELF)).json()["state"] == "locked"


def test_a_signed_post_counts_once_and_for_its_body(device: Device) -> None:
    headers = active(device).headers(LEASES, "POST")
    assert device.lease(headers).status_code == 201
    again = device.lease(headers)
    assert (again.status_code, again.json()["code"]) == (401, "DEVICE_SIGNATURE")
    assert device.lease(body=b"{}").status_code == 201
    covered = device.headers(LEASES, "POST", body=b"{}")
    for other in (b"", b"[]"):
        assert device.lease(covered, other).json()["code"] == "DEVICE_SIGNATURE"
    assert device.lease(device.headers(LEASES, "POST"), b"{}").json()["code"] == "DEVICE_SIGNATURE"
    digest = base64.b64encode(hashlib.sha256(b"[]").digest()).decode()
    swapped = covered | {"Content-Digest": f"sha-256=:{digest}:"}
    assert device.lease(swapped, b"[]").json()["code"] == "DEVICE_UNKNOWN"
    assert device.lease(covered, b"{}").status_code == 201


@pytest.mark.parametrize("hours", ["0", "25", "-1", "1.5", "viele"])
def test_lease_hours_out_of_bounds(tmp_path: Path, hours: str) -> None:
    file = tmp_path / "stadtpass.toml"
    file.write_text("")
    with pytest.raises(IssuerRefusal) as caught:
        read_config(file, {"STADTPASS_DEVICES_LEASE_HOURS": hours})
    assert caught.value.code == "CONFIG_INVALID"
    assert read_config(file, {"STADTPASS_DEVICES_LEASE_HOURS": "24"}).devices.lease_hours == 24
