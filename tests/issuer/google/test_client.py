"""Faults of Google and of the way there: what is tried again, when, and what an operator hears of."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from issuer.application import Application
from issuer.background.tasks import RetryLater
from issuer.delivery.google_quota import quota_of
from issuer.models_delivery import RateSlotRow
from tests.google_server import GoogleServer
from tests.issuer.google.conftest import opened, point_at
from tests.issuer.google.helpers import ISSUER, deliver, serial_of, wallet_row, want
from tests.service import City, running_numbers


@pytest.fixture
def serial(application: Application) -> str:
    found = serial_of(application, running_numbers(application)[0])
    want(application, found)
    return found


def postponed(application: Application, *serials: str) -> RetryLater:
    with pytest.raises(RetryLater) as later:
        deliver(application, *serials)
    return later.value


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"kind": "429"}, "google-429"),
        ({"kind": "503"}, "google-503"),
        ({"kind": "500"}, "google-500"),
        ({"kind": "drop"}, "google-unreachable"),
        ({"kind": "drop", "after": True}, "google-unreachable"),
        ({"kind": "slow", "seconds": 2.5}, "google-unreachable-ReadTimeout"),
        ({"kind": "quotaExceeded"}, "google-quota-exceeded"),
        ({"kind": "permissionDenied"}, "google-permission"),
    ],
    ids=str,
)
def test_a_fault_that_passes_is_tried_again(
    application: Application, google: GoogleServer, serial: str, fault: dict[str, Any], reason: str
) -> None:
    google.fail(**fault, match="genericObject")
    assert postponed(application, serial).reason.startswith(reason)
    assert wallet_row(application, serial).google_failure is None
    google.faults.clear()
    deliver(application, serial)
    assert google.objects[f"{ISSUER}.{serial}"]["state"] == "ACTIVE"
    assert wallet_row(application, serial).google_tag > 0


def test_google_says_when_to_come_back(
    application: Application, google: GoogleServer, serial: str, city: City
) -> None:
    at = format_datetime(city.clock().astimezone(None) + timedelta(seconds=90))
    for text, low, high in (("30", 30, 37.5), (at, 89, 113), ("0", 1, 1.25), ("99999999", 3600, 4500)):
        google.fail("503", match="genericObject", retry_after=text)
        seconds = postponed(application, serial).seconds
        assert seconds is not None and low <= seconds <= high
    for text in ("", "soon", "-5"):
        google.fail("503", match="genericObject", retry_after=text)
        assert postponed(application, serial).seconds in (None, pytest.approx(1.1, abs=0.2))


def test_permission_and_quota_are_told_apart(
    application: Application, google: GoogleServer, serial: str, caplog: pytest.LogCaptureFixture
) -> None:
    google.fail("quotaExceeded", match="genericObject")
    postponed(application, serial)
    assert "GOOGLE_PERMISSION" not in caplog.text
    google.fail("permissionDenied", match="genericObject")
    later = postponed(application, serial)
    assert "GOOGLE_PERMISSION" in caplog.text
    assert later.seconds == application.config.background.longest_wait_seconds
    assert ISSUER not in caplog.text


def test_one_token_for_many_requests_until_it_ends_or_is_refused(
    application: Application, google: GoogleServer, city: City
) -> None:
    serials = [serial_of(application, number) for number in running_numbers(application)[:6]]
    want(application, *serials)
    deliver(application, *serials[:2])
    deliver(application, serials[2])
    assert google.tokens_given == 1
    google.revoke_tokens()
    deliver(application, serials[3])
    assert google.tokens_given == 2
    assert [one.status for one in google.seen].count(401) == 1
    # Asked for anew before it ends, so that no request trips over it.
    city.clock.forward(minutes=56)
    deliver(application, serials[4])
    assert google.tokens_given == 3
    assert [one.status for one in google.seen].count(401) == 1
    google.fail("401", times=2, match="genericObject")
    assert postponed(application, serials[5]).reason == "google-permission"


def test_an_account_that_google_does_not_know(
    city: City, google: GoogleServer, caplog: pytest.LogCaptureFixture
) -> None:
    application = city.open()
    serial = serial_of(application, running_numbers(application)[0])
    want(application, serial)
    assert postponed(application, serial).reason == "google-account"
    assert "GOOGLE_ACCOUNT" in caplog.text
    assert not google.seen


@pytest.mark.parametrize("kind", ["503", "drop"])
def test_faults_of_the_token_endpoint_pass(
    application: Application, google: GoogleServer, serial: str, kind: str
) -> None:
    google.fail(kind, match="token")
    postponed(application, serial)
    deliver(application, serial)
    assert wallet_row(application, serial).google_tag > 0


def test_two_workers_keep_googles_limit_and_use_it(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    with GoogleServer(clock=city.clock, limit=20) as google:
        point_at(google, monkeypatch, rate=14)
        one = opened(city, google)
        other = city.open()
        serials = [serial_of(one, number) for number in running_numbers(one)][:40]
        want(one, *serials)
        google.latency = 0.05
        began = time.monotonic()
        threads = [
            threading.Thread(target=deliver, args=(worker, *part))
            for worker, part in ((one, serials[::2]), (other, serials[1::2]))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        took = time.monotonic() - began
        assert set(google.objects) == {f"{ISSUER}.{serial}" for serial in serials}
        assert google.statuses()[429] == 0
        assert 10 <= google.most_in_a_second() <= 20
        # And close to what is allowed, not far below it.
        assert len(google.seen) / took > 8


def test_slots_of_two_processes_lie_apart(
    city: City, google: GoogleServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    point_at(google, monkeypatch, rate=14)
    taken = [tmp_path / f"slots-{number}" for number in range(2)]
    module = "tests.issuer.google.slot_taker"
    command = [sys.executable, "-m", module, str(city.folder)]
    processes = [subprocess.Popen([*command, str(file), "30"]) for file in taken]
    assert [process.wait(60) for process in processes] == [0, 0]
    times = sorted(float(line) for file in taken for line in file.read_text().split())
    assert len(times) == 60
    assert max(sum(1 for other in times if at <= other < at + 1) for at in times) <= 20


def test_who_would_have_to_wait_too_long_takes_no_slot(application: Application) -> None:
    quota, key = quota_of(application), (application.tenant, "google")
    ahead = int(time.time() * 1000) + 40_000
    with application.writing() as session:
        session.merge(RateSlotRow(tenant=key[0], name=key[1], next_free_ms=ahead))
    with pytest.raises(RetryLater) as later:
        quota.wait(longest=8)
    assert later.value.reason == "google-quota"
    assert later.value.seconds is not None and 35 < later.value.seconds <= 41
    with application.reading() as session:
        assert session.get_one(RateSlotRow, key).next_free_ms == ahead
    # Nobody waits for an hour: that is a clock that was set back.
    with application.writing() as session:
        session.get_one(RateSlotRow, key).next_free_ms = ahead + 3_600_000
    began = time.monotonic()
    quota.wait()
    assert time.monotonic() - began < 2
