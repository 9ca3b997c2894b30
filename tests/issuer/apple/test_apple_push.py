"""Pushing to a stand-in for Apple's service: one connection, every answer of Apple's, and nothing lost."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select

from issuer import keyring
from issuer.application import Application
from issuer.background.tasks import RetryLater
from issuer.cli import main
from issuer.delivery import apple_push
from issuer.delivery.apple_push import TASKS, close_clients, count_outstanding, outstanding
from issuer.models_delivery import (
    AppleDeviceRow,
    AppleRegistrationRow,
    WalletPassRow,
    WebhookDeliveryRow,
    WebhookEndpointRow,
)
from issuer.setup import DEMO_ROOT
from keys.lifecycle import Purpose
from tests.apns_server import ApnsServer, Fault, TokenKey
from tests.service import TODAY, City, running_numbers

TASK = TASKS[0]
TOPIC = "pass.example.stadtpass.demo"
Start = Callable[..., tuple[ApnsServer, Application]]


@pytest.fixture
def start(city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts a stand-in and a service that pushes to it."""
    with ExitStack() as stack:

        def started(folder: Path | None = None, **how: Any) -> tuple[ApnsServer, Application]:
            root = ((folder or city.folder) / DEMO_ROOT).read_bytes()
            server = stack.enter_context(ApnsServer(tmp_path, **{"client_root": root, **how}))
            for name, value in server.environment().items():
                monkeypatch.setenv(name, value)
            monkeypatch.setenv("STADTPASS_APPLE_TIMEOUT_SECONDS", "2")
            return server, city.open(folder)

        yield started
        close_clients()


def serial_of(application: Application, number: str) -> str:
    with application.reading() as session:
        return session.scalars(
            select(WalletPassRow.serial).where(
                WalletPassRow.tenant == application.tenant, WalletPassRow.number == number
            )
        ).one()


def token(device: str) -> str:
    return device.encode().hex().ljust(64, "0")


def register(application: Application, serial: str, *devices: str) -> None:
    """Phones as the web service enters them."""
    from issuer.apple_web_service import _register

    with application.writing() as session:
        for device in devices:
            assert _register(session, application, (device, token(device), serial)) is not None


def registered(application: Application) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    with application.reading() as session:
        rows = session.execute(
            select(AppleRegistrationRow.device_id, AppleRegistrationRow.serial).where(
                AppleRegistrationRow.tenant == application.tenant
            )
        )
        for device, serial in rows:
            found.setdefault(device, set()).add(serial)
    return found


def waiting(application: Application) -> list[str]:
    with application.reading() as session:
        return outstanding(session, application.tenant)


def device_row(application: Application, device: str) -> AppleDeviceRow:
    with application.reading() as session:
        row = session.get(AppleDeviceRow, (application.tenant, device))
    assert row is not None
    return row


def serials(application: Application, count: int) -> list[str]:
    return [serial_of(application, number) for number in running_numbers(application)[:count]]


def run(application: Application, *wanted: str) -> None:
    TASK.run(application, {"serials": list(wanted)})


def test_a_device_is_pushed_once_however_many_of_its_passes_changed(start: Start) -> None:
    server, application = start()
    passes = serials(application, 3)
    for serial in passes:
        register(application, serial, "a")
    register(application, passes[0], "b")
    with application.reading() as session:
        assert count_outstanding(session, application.tenant) == 4
    run(application, *passes)
    assert sorted(server.pushes) == [token("a"), token("b")]
    assert waiting(application) == []
    run(application, *passes)
    assert len(server.pushes) == 2
    assert server.violations == []


def test_a_push_covers_what_else_has_changed_on_the_device(start: Start) -> None:
    server, application = start()
    first, second = serials(application, 2)
    register(application, first, "a")
    register(application, second, "a")
    run(application, first)
    assert waiting(application) == []
    run(application, second)
    assert server.pushes == [token("a")]


def test_hundreds_of_pushes_and_several_tasks_share_one_connection(start: Start) -> None:
    """edutap opens a connection for each token."""
    server, application = start(fault=lambda *_: Fault(seconds=0.05))
    passes = serials(application, 10)
    for serial in passes:
        register(application, serial, *(f"{serial[:4]}{n}" for n in range(20)))
    for serial in passes:
        run(application, serial)
    assert len(set(server.pushes)) == len(server.pushes) == 200
    assert server.connections == 1
    assert server.most_streams > 10
    assert server.violations == []


def test_a_change_while_the_push_is_under_way_stays_due(start: Start, city: City) -> None:
    server, application = start()
    (serial,) = serials(application, 1)
    register(application, serial, "a")

    def change(_: str, __: int) -> None:
        city.clock.forward(seconds=1)
        with application.writing() as session:
            from issuer.outgoing import moved

            moved(session, application.tenant, {serial: ("resident-parking-permit", "x")}, application.now())

    server.fault = change
    run(application, serial)
    assert len(server.pushes) == 1
    assert waiting(application) == [serial]


def test_a_registration_with_a_new_token_while_the_push_is_under_way_stays_due(
    start: Start, city: City
) -> None:
    server, application = start()
    (serial,) = serials(application, 1)
    register(application, serial, "a")

    def again(_: str, __: int) -> None:
        from issuer.apple_web_service import _register

        city.clock.forward(seconds=1)
        with application.writing() as session:
            _register(session, application, ("a", "ab" * 32, serial))

    server.fault = again
    run(application, serial)
    assert waiting(application) == [serial]
    server.fault = lambda *_: None
    run(application, serial)
    assert server.pushes == [token("a"), "ab" * 32]
    assert waiting(application) == []


def test_a_reregistration_with_another_token_is_pushed_even_if_the_old_token_was(start: Start) -> None:
    """django-walletpass: pushes are lost after a restore."""
    server, application = start()
    first, second = serials(application, 2)
    register(application, first, "a")
    register(application, second, "a")
    run(application, first, second)
    from issuer.apple_web_service import _register

    with application.writing() as session:
        assert _register(session, application, ("a", "cd" * 32, first)) is False
    assert waiting(application) == sorted([first, second])
    run(application, first)
    assert server.pushes == [token("a"), "cd" * 32]
    assert waiting(application) == []


# ---- what Apple answers


@pytest.mark.parametrize(
    ("status", "reason"), [(410, "Unregistered"), (410, "ExpiredToken"), (400, "BadDeviceToken")]
)
def test_a_token_that_apple_knows_no_more_is_dropped_with_its_device(
    start: Start, status: int, reason: str
) -> None:
    """django-walletpass stops at the first, vapor knows BadDeviceToken only, edutap none."""
    server, application = start()
    first, second = serials(application, 2)
    register(application, first, "gone", "here")
    register(application, second, "gone")
    with application.writing() as session:
        session.add(
            WebhookEndpointRow(
                tenant=application.tenant,
                id="0" * 32,
                url="https://dms.example/hook",
                events=["carrier.removed"],
                created_at=application.now(),
                disabled_at=None,
            )
        )
    server.faults[token("gone")] = Fault(status, reason)
    run(application, first)
    assert registered(application) == {"here": {first}}
    with application.reading() as session:
        assert session.get(AppleDeviceRow, (application.tenant, "gone")) is None
        assert len(session.scalars(select(WebhookDeliveryRow.id)).all()) == 2


def test_a_410_from_before_the_phone_registered_again_drops_nothing(start: Start, city: City) -> None:
    server, application = start()
    (serial,) = serials(application, 1)
    register(application, serial, "a")
    server.faults[token("a")] = Fault(410, "Unregistered", timestamp=TODAY - timedelta(days=1))
    with pytest.raises(RetryLater):
        run(application, serial)
    assert registered(application) == {"a": {serial}}
    city.clock.forward(days=1)
    server.faults[token("a")] = Fault(410, "Unregistered", timestamp=application.now())
    run(application, serial)
    assert registered(application) == {}


@pytest.mark.parametrize(
    "fault",
    [
        Fault(429, "TooManyRequests", retry_after=7),
        Fault(503, "ServiceUnavailable"),
        Fault(500, "InternalServerError"),
        Fault(seconds=5),
        Fault(drop=True),
        Fault(418, "NobodyKnows"),
    ],
    ids=["429", "503", "500", "slow", "dropped", "unknown"],
)
def test_what_fails_is_tried_again_for_the_devices_that_are_left(start: Start, fault: Fault) -> None:
    """laravel-mobile-pass stops at the first failure; none of them has a back-off."""
    server, application = start()
    (serial,) = serials(application, 1)
    register(application, serial, "a", "b", "c")
    if fault.drop or fault.seconds:
        server.fault = lambda push_token, _: fault if push_token == token("b") else None
    else:
        server.faults[token("b")] = fault
    with pytest.raises(RetryLater) as later:
        run(application, serial)
    assert later.value.seconds == (7 if fault.retry_after else None)
    assert later.value.reason
    assert token("b") not in server.pushes
    assert set(registered(application)) == {"a", "b", "c"}
    had_answer = bool(fault.reason)
    assert (device_row(application, "b").failing_since is not None) == had_answer
    server.faults.clear()
    server.fault = lambda *_: None
    run(application, serial)
    assert waiting(application) == []
    assert server.pushes.count(token("b")) == 1
    if not fault.drop:
        assert len(server.pushes) == 3
    assert device_row(application, "b").failing_since is None


def test_goaway_is_answered_by_a_new_connection_at_once(start: Start) -> None:
    server, application = start()
    (serial,) = serials(application, 1)
    register(application, serial, *(f"d{n}" for n in range(20)))
    server.faults[token("d7")] = Fault(goaway=True, times=1)
    run(application, serial)
    assert set(server.pushes) == {token(f"d{n}") for n in range(20)}
    assert waiting(application) == []
    assert server.connections == 2


def test_a_connection_that_died_while_it_was_idle_costs_nothing(start: Start) -> None:
    server, application = start()
    first, second = serials(application, 2)
    register(application, first, "a")
    run(application, first)
    server.drop_all()
    register(application, second, "b")
    run(application, second)
    assert server.pushes == [token("a"), token("b")]
    assert server.connections == 2


def test_apple_out_of_reach_is_tried_later(start: Start, monkeypatch: pytest.MonkeyPatch, city: City) -> None:
    server, _ = start()
    monkeypatch.setenv("STADTPASS_APPLE_PUSH_URL", "https://localhost:9")
    application = city.open()
    (serial,) = serials(application, 1)
    register(application, serial, "a")
    with pytest.raises(RetryLater, match="ConnectError"):
        run(application, serial)
    assert waiting(application) == [serial]
    assert server.pushes == []


def test_a_server_of_another_authority_gets_nothing(
    start: Start, monkeypatch: pytest.MonkeyPatch, city: City
) -> None:
    server, _ = start()
    monkeypatch.setenv("STADTPASS_APPLE_PUSH_CA_FILE", "")
    application = city.open()
    (serial,) = serials(application, 1)
    register(application, serial, "a")
    with pytest.raises(RetryLater):
        run(application, serial)
    assert server.requests == 0


@pytest.mark.parametrize(
    ("status", "reason"), [(403, "BadCertificate"), (403, "Forbidden"), (400, "TopicDisallowed")]
)
def test_what_apple_says_of_our_certificate_is_an_alarm_and_drops_nobody(
    start: Start, status: int, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    _, application = start(fault=lambda *_: Fault(status, reason))
    (serial,) = serials(application, 1)
    register(application, serial, "a", "b")
    with pytest.raises(RetryLater) as later:
        run(application, serial)
    assert (later.value.reason, later.value.seconds) == (reason, 900)
    assert set(registered(application)) == {"a", "b"}
    alarms = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert [one.reason for one in alarms] == [reason]  # type: ignore[attr-defined]


def test_if_apple_takes_no_token_at_all_it_is_not_the_phones(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """As with the address of Apple's other environment: dropping all would cut off the whole city."""
    _, application = start(fault=lambda *_: Fault(400, "BadDeviceToken"))
    (serial,) = serials(application, 1)
    register(application, serial, *(f"d{n}" for n in range(20)))
    with pytest.raises(RetryLater) as later:
        run(application, serial)
    assert later.value.seconds == 900
    assert len(registered(application)) == 20
    assert any(one.levelno == logging.ERROR for one in caplog.records)


def test_an_expired_certificate_is_refused_before_connecting(
    start: Start, city: City, caplog: pytest.LogCaptureFixture
) -> None:
    server, application = start()
    (serial,) = serials(application, 1)
    register(application, serial, "a")
    run(application, serial)
    city.clock.forward(days=4000)
    register(application, serial, "b")
    with pytest.raises(RetryLater) as later:
        run(application, serial)
    assert later.value.reason in ("APPLE_CERTIFICATE_EXPIRED", "KEY_EXPIRED")
    assert later.value.seconds == 900
    assert server.requests == 1


def test_no_push_token_stands_in_any_log(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """edutap logs push token and credentials."""
    caplog.set_level(logging.DEBUG)
    server, application = start()
    (serial,) = serials(application, 1)
    register(application, serial, "a", "gone", "busy")
    server.faults[token("gone")] = Fault(410, "Unregistered")
    server.faults[token("busy")] = Fault(503, "ServiceUnavailable")
    with pytest.raises(RetryLater) as later:
        run(application, serial)
    told = caplog.text + str([vars(one) for one in caplog.records]) + repr(later.value)
    for device in ("a", "gone", "busy"):
        assert token(device) not in told


# ---- whether at all, and as whom


def test_switched_off_nothing_is_sent_and_it_is_said_once(
    start: Start, monkeypatch: pytest.MonkeyPatch, city: City, caplog: pytest.LogCaptureFixture
) -> None:
    server, _ = start()
    monkeypatch.setenv("STADTPASS_APPLE_PUSH", "false")
    monkeypatch.setattr(apple_push, "_said", set())
    application = city.open()
    (serial,) = serials(application, 1)
    register(application, serial, "a")
    for _ in range(3):
        run(application, serial)
    assert server.connections == 0
    assert [one.getMessage() for one in caplog.records if one.name == "stadtpass.apple"] == [
        "apple push is switched off"
    ]
    assert waiting(application) == [serial]


def test_without_a_certificate_nothing_is_sent(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server, application = start()
    monkeypatch.setattr(apple_push, "_said", set())
    (serial,) = serials(application, 1)
    register(application, serial, "a")
    from keys import lifecycle

    with application.writing() as session:
        (record,) = keyring.records(session, application.tenant, Purpose.APPLE_PASS)
        keyring.save(session, lifecycle.retire(record, application.now()))
    run(application, serial)
    run(application, serial)
    assert server.connections == 0
    assert len([one for one in caplog.records if one.name == "stadtpass.apple"]) == 1


def test_each_city_pushes_as_itself_and_to_its_own_phones(
    start: Start, city: City, neighbour: Application
) -> None:
    server, application = start()
    (mine,), (theirs,) = serials(application, 1), serials(neighbour, 1)
    register(application, mine, "a")
    register(neighbour, theirs, "a")
    run(application, mine, theirs)
    assert server.pushes == [token("a")]
    assert (waiting(application), waiting(neighbour)) == ([], [theirs])


def test_with_a_key_of_apples_a_token_is_sent_instead_of_a_certificate(
    start: Start, city: City, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    private = ec.generate_private_key(ec.SECP256R1())
    key_file = tmp_path / "AuthKey_ABC123DEFG.p8"
    key_file.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    now = ["--data", str(city.folder)]
    assert main(["keys", "add", "apns", "--key", str(key_file), "--key-id", "ABC123DEFG", *now]) == 0
    kid = capsys.readouterr().out.strip()
    assert main(["keys", "activate", kid, *now]) == 0
    keys = {"ABC123DEFG": TokenKey("DEMO000000", private.public_key())}
    server, application = start(client_root=None, token_keys=keys, topics=(TOPIC,), now=city.clock)
    city.clock.at = max(city.clock.at, TODAY + timedelta(days=30))
    first, second, third = serials(application, 3)
    for minutes, serial in ((0, first), (30, second), (15, third)):
        city.clock.forward(minutes=minutes)
        register(application, serial, serial[:8])
        run(application, serial)
    assert len(server.pushes) == 3
    # The first is kept for half an hour and not for three quarters.
    assert len(server.tokens) == 2
    assert (server.connections, server.violations) == (1, [])


def test_a_push_key_needs_its_id_and_a_fitting_kind(
    city: City, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    file = tmp_path / "key.p8"
    file.write_bytes(
        rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    data = ["--data", str(city.folder)]
    for how in (
        ["--key-id", "short", "--key", str(file)],
        ["--key-id", "ABC123DEFG"],
        ["--key-id", "ABC123DEFG", "--key", str(file)],
    ):
        assert main(["keys", "add", "apns", *how, *data]) != 0
        assert "--key-id" in capsys.readouterr().err
