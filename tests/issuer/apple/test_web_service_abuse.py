"""Who may call the five endpoints, what they are fed on purpose, and what they write down of it."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from issuer.application import Application
from issuer.models_delivery import (
    AppleDeviceRow,
    AppleLogRow,
    AppleRegistrationRow,
)
from tests.apple_phone import Phone
from tests.issuer.apple.conftest import Desk
from tests.service import City

KIND = "pass.example.stadtpass.demo"


def registrations(application: Application) -> list[tuple[str, str]]:
    with application.reading() as session:
        rows = session.execute(
            select(AppleRegistrationRow.device_id, AppleRegistrationRow.serial).where(
                AppleRegistrationRow.tenant == application.tenant
            )
        )
        return sorted((device, serial) for device, serial in rows)


def devices(application: Application) -> dict[str, str]:
    with application.reading() as session:
        rows = session.execute(
            select(AppleDeviceRow.device_id, AppleDeviceRow.push_token).where(
                AppleDeviceRow.tenant == application.tenant
            )
        )
        return dict(rows.all())


def all_but_list(held: Phone, serial: str, token: str | None) -> list[tuple[int, bytes]]:
    headers = {} if token is None else {"authorization": token}
    web, device = held.web, held.device_id
    path = f"/apple/v1/devices/{device}/registrations/{KIND}/{serial}"
    answers = (
        web.request("POST", path, headers=headers, content=b'{"pushToken": "abcdabcdabcdabcd"}'),
        web.request("GET", f"/apple/v1/passes/{KIND}/{serial}", headers=headers),
        web.request("DELETE", path, headers=headers),
    )
    return [(one.status_code, one.content) for one in answers]


def test_a01_a02_missing_wrong_and_foreign_tokens_get_the_same_401(desk: Desk, other_desk: Desk) -> None:
    """vapor opens every pass with any token, laravel-mobile-pass with one shared secret."""
    first, second = (desk.found(desk.serial(number)) for number in desk.numbers[:2])
    theirs = other_desk.found(other_desk.serial(other_desk.numbers[0]))
    phone = desk.phone(desk.numbers[0])
    before = (registrations(desk.application), devices(desk.application))
    good = f"ApplePass {first.apple_token}"
    cases = [
        (first.serial, None),
        (first.serial, ""),
        (first.serial, "ApplePass"),
        (first.serial, "ApplePass "),
        (first.serial, "ApplePass wrong"),
        (first.serial, "ApplePass é€"),
        (first.serial, f"Bearer {first.apple_token}"),
        (first.serial, f"ApplePass {first.apple_token[:-1]}"),
        (first.serial, f"ApplePass {first.apple_token}0"),
        (first.serial, f"ApplePass {second.apple_token}"),
        (first.serial, f"ApplePass {theirs.apple_token}"),
        (second.serial, good),
        ("0" * 32, good),
        ("0" * 32, None),
        (theirs.serial, f"ApplePass {theirs.apple_token}"),
    ]
    for serial, token in cases:
        encoded = token.encode() if token is not None else None
        assert all_but_list(phone, serial, encoded) == [(401, b"")] * 3, (serial, token)  # type: ignore[arg-type]
    assert (registrations(desk.application), devices(desk.application)) == before


def test_the_token_is_bound_to_the_pass_type(desk: Desk) -> None:
    held = desk.found(desk.serial(desk.numbers[0]))
    headers = {"authorization": f"ApplePass {held.apple_token}"}
    answer = desk.web.get(f"/apple/v1/passes/pass.other/{held.serial}", headers=headers)
    assert (answer.status_code, answer.content) == (401, b"")


def test_every_refusal_looks_at_the_register_the_same_way(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from issuer import apple_web_service

    compared: list[tuple[int, int]] = []
    compare = apple_web_service.hmac.compare_digest

    def spy(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return compare(one, other)

    monkeypatch.setattr(apple_web_service.hmac, "compare_digest", spy)
    known = desk.serial(desk.numbers[0])
    work = []
    for serial, headers in ((known, {}), (known, {"authorization": "ApplePass " + "0" * 64}), ("0" * 32, {})):
        compared.clear()
        desk.web.get(f"/apple/v1/passes/{KIND}/{serial}", headers=headers)
        work.append([other for _, other in compared])
    assert work[0] == work[1] == work[2] == [64, len(KIND)]


def test_a03_a_serial_that_cannot_be_one_is_404_without_a_trace(desk: Desk) -> None:
    serials = ["..%2F..%2Fetc%2Fpasswd", "../../etc/passwd", "a" * 500, "%00", "0" * 31, "A" * 32]
    for serial in (*serials, "0" * 31 + "G", "0" * 32 + "%0A", "%C3%BC" * 32):
        for method, path in (
            ("GET", f"/apple/v1/passes/{KIND}/{serial}"),
            ("POST", f"/apple/v1/devices/d/registrations/{KIND}/{serial}"),
            ("DELETE", f"/apple/v1/devices/d/registrations/{KIND}/{serial}"),
        ):
            answer = desk.web.request(method, path, headers={"authorization": "ApplePass x"})
            assert answer.status_code == 404, serial
            assert b"Traceback" not in answer.content
            assert b"passwd" not in answer.content


def test_a03_a_serial_of_5000_characters_is_nowhere_either(desk: Desk) -> None:
    answer = desk.web.get(f"/apple/v1/passes/{KIND}/{'a' * 5000}")
    assert answer.status_code == 404
    assert len(answer.content) < 100


def test_a_device_id_that_cannot_be_one_is_404(desk: Desk) -> None:
    held = desk.found(desk.serial(desk.numbers[0]))
    headers = {"authorization": f"ApplePass {held.apple_token}"}
    for device in ("%00", "a" * 500, "ü", "a%20b", "'; DROP TABLE x"):
        path = f"/apple/v1/devices/{device}/registrations/{KIND}"
        assert desk.web.get(path).status_code == 404, device
        for method in ("POST", "DELETE"):
            answer = desk.web.request(method, f"{path}/{held.serial}", headers=headers)
            assert answer.status_code == 404, device
    assert devices(desk.application) == {}


def test_a07_a_body_without_a_push_token_is_400(desk: Desk) -> None:
    """django-walletpass dies of malformed JSON."""
    held = desk.found(desk.serial(desk.numbers[0]))
    headers = {"authorization": f"ApplePass {held.apple_token}"}
    path = f"/apple/v1/devices/d1/registrations/{KIND}/{held.serial}"
    for token in (
        '"', "", "'; rm -rf", "abcdefg", "abcdab", "ab" * 101, "a" * 3000, "a" * 4096, "zz" + "ab" * 16,
        "\\ud800" + "ab" * 8, "\\u0000" + "ab" * 8, "ab" * 8 + " ",
    ):  # fmt: skip
        answer = desk.web.post(path, headers=headers, content=f'{{"pushToken": "{token}"}}'.encode())
        assert answer.status_code in ((413,) if len(token) > 4000 else (400,)), token
    for body in (
        b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 3000, b'{"pushToken": 7}', b'{"pushtoken": "abcd"}',
        b'{"x": ' + b"[" * 3000 + b"]" * 900 + b"}",
    ):  # fmt: skip
        assert desk.web.post(path, headers=headers, content=body).status_code == 400, body[:40]
    assert devices(desk.application) == {}


def test_a_large_body_is_not_read(desk: Desk) -> None:
    held = desk.found(desk.serial(desk.numbers[0]))
    headers = {"authorization": f"ApplePass {held.apple_token}"}
    path = f"/apple/v1/devices/d1/registrations/{KIND}/{held.serial}"
    assert desk.web.post(path, headers=headers, content=b" " * 5000).status_code == 413
    assert desk.web.post("/apple/v1/log", content=b" " * 70_000).status_code == 413


def test_a_pass_has_only_so_many_devices(desk: Desk) -> None:
    number = desk.numbers[0]
    limit = desk.application.config.apple.devices_per_pass
    phones = [desk.phone(number) for _ in range(limit)]
    one_more = desk.phone()
    assert one_more.add(desk.handed_out(desk.serial(number))) == 401
    assert len(registrations(desk.application)) == limit
    assert one_more.device_id not in devices(desk.application)
    # Those that are in stay in, and one that leaves makes room.
    assert phones[0].register(desk.serial(number)) == 200
    phones[0].remove(desk.serial(number))
    assert one_more.register(desk.serial(number)) == 201


def test_a_device_of_two_cities_is_two_devices(desk: Desk, other_desk: Desk) -> None:
    phone = desk.phone(desk.numbers[0])
    same = other_desk.phone()
    same.device_id = phone.device_id
    same.add(other_desk.handed_out(other_desk.serial(other_desk.numbers[0])))
    assert same.on_push() == [other_desk.serial(other_desk.numbers[0])]
    same.remove(other_desk.serial(other_desk.numbers[0]))
    assert len(registrations(desk.application)) == 1
    assert phone.on_push() == [desk.serial(desk.numbers[0])]


# ---- the log


def logged(application: Application) -> list[str]:
    with application.reading() as session:
        return list(
            session.scalars(select(AppleLogRow.message).where(AppleLogRow.tenant == application.tenant))
        )


def test_complaints_are_kept_without_tokens_ids_and_addresses(desk: Desk) -> None:
    phone = desk.phone(desk.numbers[0])
    held = phone.get(desk.serial(desk.numbers[0]))
    token = str(held.data["authenticationToken"])
    phone.complain(
        f"[2026-11-20 12:00:00 +0100] Register task (for device {phone.device_id}, serial {held.serial})"
        f" with token {token.upper()} and {phone.push_token} encountered error: code 401\nnext \x00 line",
        "A0B1C2D3-E4F5-6789-ABCD-EF0123456789 of erika@example.org",
        "x" * 10_000,
    )
    lines = logged(desk.application)
    text = "\n".join(lines)
    assert "encountered error: code 401 next" in text
    for secret in (phone.device_id, held.serial, token.upper(), phone.push_token, "A0B1C2D3-E4F5", "erika@"):
        assert secret not in text
    assert max(map(len, lines)) <= 500
    assert "\n" not in lines[0] + lines[1] + lines[2]


def test_a_log_that_is_none_is_400(desk: Desk) -> None:
    for body in (b"", b"{", b"[]", b'{"logs": "x"}', b'{"logs": [7]}', b"[" * 3000, b'{"logs": ["\xff"]}'):
        assert desk.web.post("/apple/v1/log", content=body).status_code == 400, body[:40]


def test_a_flood_of_complaints_fills_nothing(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    from litestar.testing import TestClient

    from tests.web_app import create_app

    monkeypatch.setenv("STADTPASS_APPLE_LOGS_KEPT", "30")
    monkeypatch.setenv("STADTPASS_SERVICE_REQUESTS_PER_MINUTE", "0")
    application = city.open()
    with TestClient(create_app(application)) as web:
        for n in range(120):
            city.clock.forward(milliseconds=1)
            assert web.post("/apple/v1/log", json={"logs": [f"line {n}"]}).status_code == 200
        lines = logged(application)
        assert len(lines) == 30
        # 100 at once are taken, the newest of those are kept.
        assert "line 99" in lines
        assert "line 119" not in lines
        city.clock.forward(minutes=1)
        web.post("/apple/v1/log", json={"logs": [f"late {n}" for n in range(100)]})
        assert len(logged(application)) == 30
    with application.reading() as session:
        assert session.scalar(select(func.count()).select_from(AppleLogRow)) == 30
