"""Devices with keys of their own: invited, enrolled, confirmed; what their signatures open."""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from issuer import device_enrolment
from issuer.application import Application
from issuer.publication import publish_due
from issuer.verifier_devices import Role, lock_device
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

    def headers(self, path: str, method: str = "GET", *, late: int = 0, device: str = "") -> dict[str, str]:
        created = int(self.application.now().timestamp()) - late
        params = (
            f'("@method" "@path");created={created};nonce="{secrets.token_urlsafe(16)}"'
            f';keyid="{device or self.id}";alg="ecdsa-p256-sha256";tag="stadtpass-device"'
        )
        signed = self.sign(f'"@method": {method}\n"@path": {path}\n"@signature-params": {params}')
        shown = base64.b64encode(signed).decode()
        return {"Signature-Input": f"stadtpass={params}", "Signature": f"stadtpass=:{shown}:"}

    def get(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
        answer = self.http.get(path, headers=headers or self.headers(path))
        is_problem = answer.status_code >= 400
        return answer.status_code, answer.json()["code"] if is_problem else ""


PLATES, SELF = "/lists/plates.cwt", "/check/devices/self"


@pytest.fixture
def device(http: Http, application: Application) -> Device:
    return Device(http, application)


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
    with application.writing() as session:
        lock_device(session, application, device.id, actor="test")
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
        except device_enrolment.IssuerRefusal as refusal:
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
