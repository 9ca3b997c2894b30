"""Pushing to a stand-in for Apple's service: one connection, every answer of Apple's, and nothing lost."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from sqlalchemy import select

from issuer.background.tasks import RetryLater
from issuer.delivery.apple_push import count_outstanding
from issuer.models_delivery import (
    AppleDeviceRow,
    WebhookDeliveryRow,
    WebhookEndpointRow,
)
from tests.apns_server import Fault
from tests.issuer.apple.pushing import (
    Start,
    device_row,
    register,
    registered,
    run,
    serials,
    token,
    waiting,
)
from tests.service import TODAY, City


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
