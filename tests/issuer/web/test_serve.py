"""The running service as a process: starts, answers, stops."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from issuer.application import Application
from issuer.cli import main
from issuer.errors import IssuerRefusal
from issuer.web import logging_setup, server
from issuer.web.security_headers import content_security_policy
from issuer.web.server import executor_lock, executor_name, offset_clock, take_port
from issuer.workspace import CONFIG
from tests.eudi_issuing_wallet import WalletProvider
from tests.issuer.web.raw_requests import PROTECTED
from tests.service import TODAY, City

STARTED = "Strg+C"
# What is said before the register is asked, and whatever it answers.
ON_ONE_DATABASE = pytest.mark.parametrize("city", ["sqlite"], indirect=True)


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "issuer.cli", *(str(one) for one in arguments)]


class Running:
    """A process of ours and what it has printed."""

    def __init__(self, *arguments: object, script: str = "", **environment: str) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("STADTPASS_")}
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, *map(str, arguments)] if script else command(*arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**clean, **environment},
        )
        self.output = ""

    def wait_for(self, word: str) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line
            if word in line:
                return self.output
        raise AssertionError(self.output + self.process.communicate()[1])

    @property
    def url(self) -> str:
        return next(word.strip(",.") for word in self.output.split() if word.startswith("http://127.0.0.1:"))

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Ask it to stop; its exit code and its log."""
        self.process.send_signal(number)
        log = self.process.communicate(timeout=60)[1]
        return self.process.returncode, log


@contextlib.contextmanager
def running(*arguments: object, script: str = "", **environment: str) -> Iterator[Running]:
    made = Running(*arguments, script=script, **environment)
    try:
        yield made
    finally:
        if made.process.poll() is None:
            made.process.kill()
            made.process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_answers_and_stops(city: City, number: signal.Signals) -> None:
    with running("serve", "--data", city.folder, "--port", 0) as service:
        said = service.wait_for(STARTED)
        for path in ("/p", "/api/docs", "/ready"):
            assert service.url + path in said
        answer = httpx.get(service.url + "/health")
        assert answer.json() == {"status": "ok"}
        assert "server" not in answer.headers
        code, log = service.stop(number)
        assert code == 0, log
        assert '"service stopped"' in log
        assert "Traceback" not in log


def answer_to(port: int, sent: bytes) -> bytes:
    """Everything that comes back, until the other side is done."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as caller:
        caller.sendall(sent)
        return b"".join(iter(lambda: caller.recv(4096), b""))


@pytest.mark.slow
@ON_ONE_DATABASE
def test_what_the_server_answers_by_itself_has_the_headers_as_well(city: City) -> None:
    """No HTTP at all, a head without an end, and one caller too many never reach the application."""
    script = (
        "import sys; from issuer.web import server; server._MOST_CONNECTIONS = 2; "
        "from issuer.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    with running("serve", "--data", city.folder, "--port", 0, "--no-worker", script=script) as service:
        service.wait_for(STARTED)
        port = int(service.url.rsplit(":", 1)[1])
        usual = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        answers = {b"200": answer_to(port, usual), b"400": answer_to(port, b"\x16\x03\x01 hello\r\n\r\n")}
        assert answer_to(port, b"GET / HTTP/1.1\r\nX: " + b"a" * 40_000).startswith(b"HTTP/1.1 400")
        with contextlib.ExitStack() as others:
            for _ in range(2):
                others.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            answers[b"503"] = answer_to(port, usual)
        for status, answer in answers.items():
            assert answer.startswith(b"HTTP/1.1 " + status), answer
            head = answer.partition(b"\r\n\r\n")[0].lower()
            for name in (b"content-security-policy: default-src 'none'", b"x-content-type-options: nosniff"):
                assert head.count(name) == 1, answer
            assert b"referrer-policy: no-referrer" in head
            assert b"server:" not in head


@pytest.mark.slow
@ON_ONE_DATABASE
def test_malformed_requests_are_refused_with_every_header(city: City) -> None:
    with running("serve", "--data", city.folder, "--port", 0, "--no-worker") as service:
        service.wait_for(STARTED)
        for sent in (
            b"no http at all\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nBad Name: x\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        ):
            head = answer_to(int(service.url.rsplit(":", 1)[1]), sent).partition(b"\r\n\r\n")[0].decode()
            status, *lines = head.split("\r\n")
            assert status.startswith("HTTP/1.1 400 "), (sent, head)
            headers = dict(line.lower().split(": ", 1) for line in lines)
            assert len(headers) == len(lines), (sent, head)
            expected = {name: value.lower() for name, value in PROTECTED.items()} | {
                "content-security-policy": content_security_policy("/"),
                "cross-origin-resource-policy": "same-origin",
                "cache-control": "no-store",
            }
            assert expected.items() <= headers.items(), (sent, head)
            assert "camera=()" in headers["permissions-policy"]
            # Whether there is TLS in front, only a proxy knows.
            assert not {"server", "strict-transport-security"} & headers.keys()
        assert httpx.get(service.url + "/health").status_code == 200


@pytest.mark.slow
def test_a_stop_before_it_has_started(city: City) -> None:
    for wait in (0.6, 1.2, 2.0):
        with running("serve", "--data", city.folder, "--port", 0) as service:
            time.sleep(wait)
            code, log = service.stop()
            # Before Python has read a line of ours, only the system can answer; it does so with the signal itself.
            assert code in (0, -signal.SIGTERM), log
            assert "Traceback" not in log


@pytest.mark.slow
def test_a_worker_alone_and_a_name_only_once(city: City) -> None:
    with running("worker", "--data", city.folder, "--executor", "w-1") as worker:
        worker.wait_for(STARTED)
        second = subprocess.run(
            command("worker", "--data", city.folder, "--executor", "w-1"),
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert second.returncode == 64
        assert "w-1" in second.stderr
        with running("serve", "--data", city.folder, "--port", 0, "--no-worker") as service:
            said = service.wait_for(STARTED)
            assert "stadtpass worker" in said
            reasons = httpx.get(service.url + "/ready").json()["reasons"]
            assert not [one for one in reasons if one.startswith("worker")]
            assert service.stop()[0] == 0
        assert worker.stop()[0] == 0
    # Its name is free again.
    with executor_lock(city.folder, "w-1"):
        pass


@pytest.mark.slow
@ON_ONE_DATABASE
def test_a_request_under_way_is_answered_and_slow_callers_are_let_go(city: City) -> None:
    with running("serve", "--data", city.folder, "--port", 0, "--no-worker") as service:
        service.wait_for(STARTED)
        host, port = service.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(b"POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab")
            time.sleep(0.3)
            service.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            connection.sendall(b"cd")
            connection.settimeout(10)
            assert connection.recv(100).startswith(b"HTTP/1.1 40")
        service.process.communicate(timeout=60)
        assert service.process.returncode == 0


@pytest.mark.slow
@ON_ONE_DATABASE
def test_the_clock_goes_on_from_where_it_was_set(city: City) -> None:
    place = ("--data", city.folder, "--port", 0, "--no-worker", "--at", "2027-01-01T00:00:00Z")
    with running("serve", *place, STADTPASS_SERVICE_SECURITY_CONTACT="mailto:x@example.org") as service:
        service.wait_for(STARTED)
        # 180 days after the set day.
        assert "2027-06-30" in httpx.get(service.url + "/.well-known/security.txt").text
        assert service.stop()[0] == 0


def test_a_port_that_is_taken(city: City, capsys: pytest.CaptureFixture[str]) -> None:
    with take_port("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        before = {one.name for one in city.folder.iterdir()}
        assert main(["serve", "--data", str(city.folder), "--port", str(port)]) == 64
        assert str(port) in capsys.readouterr().err
        assert {one.name for one in city.folder.iterdir()} - before <= {"service.key"}


@pytest.mark.parametrize(
    "arguments",
    [("--port", "70000"), ("--port", "x"), ("--host", "203.0.113.250"), ("--host", "no.such.host.invalid")],
)
def test_places_where_nobody_can_listen(
    city: City, arguments: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(["serve", "--data", str(city.folder), *arguments])
    except SystemExit as left:
        code = int(left.code or 0)
    assert code == 64
    assert arguments[1] in capsys.readouterr().err


@ON_ONE_DATABASE
@pytest.mark.parametrize("is_told", [True, False])
def test_haip_for_this_process_alone(city: City, monkeypatch: pytest.MonkeyPatch, is_told: bool) -> None:
    """``--haip`` is what ``eudi.haip`` is, and is checked like it."""
    served: list[bool] = []

    def serve(application: Application, *_: object) -> None:
        served.append(application.config.eudi.haip)

    # What the command sets stays in this process, as it may in one that only serves.
    monkeypatch.setenv("STADTPASS_EUDI_HAIP", "false")
    monkeypatch.setattr(server, "serve", serve)
    monkeypatch.setattr(server, "leave_soon", lambda: None)
    monkeypatch.setattr(logging_setup, "configure", lambda _: None)
    monkeypatch.setattr(logging_setup, "switch_on_signal", lambda _: None)
    provider = city.folder / "provider.pem"
    provider.write_bytes(WalletProvider(TODAY).anchor_pem)
    with (city.folder / CONFIG).open("a") as config:
        config.write('\n[eudi]\nenabled = true\nwallet_providers = ["provider.pem"]\n')
    told = ["--haip"] if is_told else []
    arguments = ["serve", "--data", str(city.folder), "--port", "0", "--no-worker", *told]
    assert (main(arguments), served) == (0, [is_told])


@ON_ONE_DATABASE
def test_haip_without_providers_of_wallets(
    city: City, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STADTPASS_EUDI_HAIP", "false")
    monkeypatch.setattr(server, "serve", lambda *_: pytest.fail("served"))
    with (city.folder / CONFIG).open("a") as config:
        config.write("\n[eudi]\nenabled = true\n")
    assert main(["serve", "--data", str(city.folder), "--port", "0", "--no-worker", "--haip"]) == 64
    assert "eudi.haip: without wallet_providers" in capsys.readouterr().err


def test_no_installation_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--data", str(tmp_path / "nothing")]) == 64
    assert "stadtpass init" in capsys.readouterr().err


def test_names_of_workers(tmp_path: Path) -> None:
    assert executor_name(tmp_path) == executor_name(tmp_path) != executor_name(tmp_path / "other")
    assert executor_name(tmp_path, "mine") == "mine"
    for name in ("", "a/b", "ä", "x" * 61, "../x"):
        with pytest.raises(IssuerRefusal), executor_lock(tmp_path, name):
            pass
    with (
        executor_lock(tmp_path, executor_name(tmp_path)),
        pytest.raises(IssuerRefusal),
        executor_lock(tmp_path, executor_name(tmp_path)),
    ):
        pass


def test_the_offset_clock_runs() -> None:
    start = datetime(2027, 3, 1, tzinfo=UTC)
    clock = offset_clock(start)
    first = clock()
    assert timedelta(0) <= first - start < timedelta(seconds=5)
    time.sleep(0.01)
    assert clock() > first
    assert abs(offset_clock(None)() - datetime.now(UTC)) < timedelta(seconds=5)
