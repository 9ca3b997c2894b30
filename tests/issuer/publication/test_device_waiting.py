"""``devices invite --wait``: the office stays until the device is in, or leaves the invitation open."""

from __future__ import annotations

import io
import re
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from issuer.application import Application
from issuer.commands import device_waiting
from issuer.models_access import VerifierDeviceRow
from issuer.verifier_devices import delete_device, devices
from tests.e2e.commandline import Outcome, clean_environment, command, main_in_process
from tests.issuer.publication.app_device import AppDevice, code_in
from tests.issuer.publication.handheld import Http
from tests.service import City

pytestmark = pytest.mark.parametrize("city", ["sqlite"], indirect=True)
AT = "2026-11-20T12:00"


class Office:
    """Who invites: looks once before the device comes, and then reads its digits off and types them."""

    def __init__(
        self, application: Application, http: Http, city: City, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.application, self.http, self.city = application, http, city
        self.monkeypatch = monkeypatch
        self.device = AppDevice(city.clock)
        self.digits = ""
        self.looks = 0
        self.types: Callable[[], str] = lambda: self.digits + "\n"
        self.happens: Callable[[], None] = self.enrol
        monkeypatch.setattr(device_waiting, "pause", self._pause)
        monkeypatch.setattr(sys, "stdin", self)

    def _pause(self) -> None:
        self.looks += 1
        assert self.looks < 10
        if self.looks == 2:
            self.happens()

    def enrol(self) -> None:
        assert isinstance(sys.stdout, io.StringIO)
        answer = self.device.enrol(self.http, code_in(sys.stdout.getvalue().strip()))
        self.digits = answer.json()["check_code"]

    @property
    def wrong(self) -> str:
        return f"{(int(self.digits.replace(' ', '')) + 1) % 10**6:06d}\n"

    def readline(self, limit: int) -> str:
        return self.types()[:limit]

    def invite(self) -> Outcome:
        return main_in_process(
            "devices", "invite", "Phone 3", "--role", "warden", "--wait",
            "--data", self.city.folder, "--lang", "en", "--at", AT,
        )  # fmt: skip

    @property
    def row(self) -> VerifierDeviceRow:
        with self.application.reading() as session:
            (found,) = devices(session, self.application.tenant, self.application.now())
        return found


@pytest.fixture
def office(application: Application, http: Http, city: City, monkeypatch: pytest.MonkeyPatch) -> Office:
    return Office(application, http, city, monkeypatch)


def test_it_stays_until_the_device_is_in(office: Office) -> None:
    done = office.invite()
    assert done.code == 0, done.stderr
    assert office.looks == 2
    assert len(done.stdout.splitlines()) == 1
    assert "until 12:10" in done.stderr
    assert f"The device {office.device.id} is enrolled" in done.stderr
    assert office.device.state(office.http) == "active"


def test_two_wrong_ones_and_what_is_no_six_digits(office: Office) -> None:
    lines = iter(["", "12345", "abcdef", "wrong", "1" * 500, "wrong", "right"])

    def types() -> str:
        line = next(lines)
        return office.wrong if line == "wrong" else office.digits if line == "right" else line + "\n"

    office.types = types
    done = office.invite()
    assert done.code == 0, done.stderr
    assert re.findall("tries left: ([0-9])", done.stderr) == ["2", "1"]
    assert office.device.state(office.http) == "active"


def test_three_wrong_ones_end_it(office: Office) -> None:
    office.types = lambda: office.wrong
    done = office.invite()
    assert done.code == 64
    assert re.findall("tries left: ([0-9])", done.stderr) == ["2", "1", "0"]
    assert office.device.state(office.http) == "DEVICE_UNKNOWN"


def test_nobody_comes(office: Office) -> None:
    def ten_minutes_later() -> None:
        begun = device_waiting.time.monotonic
        office.monkeypatch.setattr(device_waiting.time, "monotonic", lambda: begun() + 600)

    office.happens = ten_minutes_later
    done = office.invite()
    assert done.code == 64
    assert "no device has used it" in done.stderr


def test_it_was_taken_back_meanwhile(office: Office) -> None:
    def take_back() -> None:
        device_id = office.row.id
        with office.application.writing() as session:
            delete_device(session, office.application, device_id, actor="test")

    office.happens = take_back
    done = office.invite()
    assert done.code == 64
    assert "There is no device" in done.stderr


def test_somebody_else_has_let_it_in(office: Office) -> None:
    def enrol_and_confirm() -> None:
        office.enrol()
        assert main_in_process(
            "devices", "confirm", office.device.id, office.digits, "--data", office.city.folder, "--at", AT
        ).code == 0  # fmt: skip

    office.happens = enrol_and_confirm
    office.types = lambda: pytest.fail("nothing is asked")
    assert office.invite().code == 0


def interrupted() -> str:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("types", "code"), [(interrupted, 130), (lambda: "", 64)], ids=["ctrl-c", "no input"]
)
def test_leaving_at_the_question_leaves_it_open(office: Office, types: Callable[[], str], code: int) -> None:
    office.types = types
    done = office.invite()
    assert done.code == code
    assert f"stadtpass devices confirm {office.device.id} DIGITS" in done.stderr
    assert office.device.state(office.http) == "pending"
    confirmed = main_in_process(
        "devices", "confirm", office.device.id, office.digits, "--data", office.city.folder, "--at", AT
    )
    assert confirmed.code == 0


def test_ctrl_c_while_waiting_leaves_it_open(application: Application, http: Http, city: City) -> None:
    arguments = ("devices", "invite", "Phone 3", "--role", "warden", "--wait", "--lang", "en", "--at", AT)
    running = subprocess.Popen(
        command(*arguments, "--data", city.folder),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(),
        text=True,
        # Whoever runs the tests in the background has told them to ignore it, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no thread holds a lock
    )
    try:
        assert running.stdout is not None
        assert running.stderr is not None
        url = running.stdout.readline().strip()
        for line in running.stderr:
            if "Waiting" in line:
                break
        running.send_signal(signal.SIGINT)
        _, told = running.communicate(timeout=60)
    finally:
        running.kill()
    assert running.returncode == 130
    assert "stays open" in told
    device = AppDevice(city.clock)
    assert device.enrol(http, code_in(url)).status_code == 201
    assert device.id in told


def test_not_with_json(city: City) -> None:
    done = main_in_process(
        "devices", "invite", "x", "--role", "warden", "--wait", "--json", "--data", city.folder
    )
    assert (done.code, done.stdout) == (64, "")
