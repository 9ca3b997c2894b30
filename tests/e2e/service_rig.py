"""A whole service in processes of its own, with Apple's and Google's stand-ins and phones around it.

The service lives on the demo records' day and goes on from there; after a restart it goes on where the rig's clock
is, so that no clock jumps back.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select

from bench.issue import write_permits
from issuer import keyring
from issuer.application import Application
from issuer.models import RevisionRow
from issuer.models_delivery import WalletPassRow
from issuer.setup import DEMO_ROOT
from keys.lifecycle import Purpose
from passes.periods import BERLIN
from tests.apns_server import ApnsServer
from tests.google_server import GoogleServer

BEGIN = datetime(2026, 11, 20, 12, 0, tzinfo=BERLIN)
PERMIT = "resident-parking-permit"
Json = dict[str, Any]


def wait_for(what: Callable[[], bool], seconds: float, saying: Callable[[], object] = lambda: "") -> None:
    """Wait until ``what`` holds, and fail with ``saying`` if it takes too long."""
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, f"not within {seconds} s: {saying()}"
        time.sleep(0.05)


@dataclass
class Rig:
    """The city in ``folder``; ``database`` is the URL of its register, empty for SQLite in the folder."""

    folder: Path
    google: GoogleServer
    database: str = ""
    permits: int = 40
    began: float = field(default_factory=time.monotonic)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.apns: ApnsServer | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def now(self) -> datetime:
        """What the service's clock shows."""
        return BEGIN + timedelta(seconds=time.monotonic() - self.began)

    def set_up(self) -> None:
        """Make the city with made-up permits, a key for the API, and what the stand-ins must know of it."""
        write_permits(self.folder / "permits.csv", self.permits)
        self.command("init", "--demo", *(["--database-url", self.database] if self.database else []))
        self.command("issue", PERMIT, str(self.folder / "permits.csv"), "--carriers", "seal")
        scopes = ("passes:read", "passes:write", "passes:revoke", "jobs:write", "webhooks:write")
        given = [part for scope in scopes for part in ("--scope", scope)]
        self.key = json.loads(self.command("clients", "add", "rig", *given, "--json"))["secret"]
        with Application.open(self.data, self.now) as application, application.reading() as session:
            settings = application.settings(session)
            record = keyring.signing_record(session, application.tenant, Purpose.GOOGLE, self.now())
            self.topic = settings.apple_pass_type_identifier
            self.google.add_account(
                settings.google_service_account, record.public_key(), settings.google_issuer_id
            )

    def apns_root(self) -> bytes:
        """The authority of the demo city's pass certificate: what Apple's stand-in trusts."""
        return (self.data / DEMO_ROOT).read_bytes()

    def command(self, *arguments: str) -> str:
        """Run a command on the city's data; it must succeed."""
        at = self.now().isoformat(timespec="seconds")
        done = subprocess.run(
            [sys.executable, "-m", "issuer.cli", *arguments, "--data", str(self.data), "--at", at],
            capture_output=True, text=True, env=self.environment(), check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def environment(self) -> dict[str, str]:
        """Quick pace, stand-ins instead of Apple and Google, no limits on how often one address may call."""
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("STADTPASS_")},
            **(self.apns.environment() if self.apns is not None else {}),
            "STADTPASS_GOOGLE_ENABLED": "true",
            "STADTPASS_GOOGLE_API_URL": self.google.url,
            "STADTPASS_GOOGLE_TOKEN_URL": f"{self.google.url}/token",
            "STADTPASS_GOOGLE_KEYS_URL": f"{self.google.url}/gp/m/issuer/keys",
            "STADTPASS_GOOGLE_REQUESTS_PER_SECOND": "200",
            "STADTPASS_SERVICE_REQUESTS_PER_MINUTE": "0",
            "STADTPASS_SERVICE_TRUSTED_PROXIES": "127.0.0.1/32",
            "STADTPASS_BACKGROUND_POLLING_SECONDS": "0.1",
            "STADTPASS_BACKGROUND_HEARTBEAT_SECONDS": "0.5",
            "STADTPASS_BACKGROUND_DEAD_AFTER_SECONDS": "3",
            "STADTPASS_BACKGROUND_LONGEST_WAIT_SECONDS": "2",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }

    def start(self, name: str = "serve", *arguments: str) -> None:
        """Start ``serve``, or a worker called ``name``, and wait until a server answers."""
        at = self.now().isoformat(timespec="milliseconds")
        what = ["serve", "--port", str(self.port)] if name == "serve" else ["worker", "--executor", name]
        log = (self.folder / f"{name}.log").open("ab")
        self.processes[name] = subprocess.Popen(
            [sys.executable, "-m", "issuer.cli", *what, *arguments, "--data", str(self.data), "--at", at],
            env=self.environment(), stdout=log, stderr=log,
        )  # fmt: skip
        log.close()
        if name == "serve":
            wait_for(self._answers, 60, lambda: self.log("serve")[-3000:])

    def _answers(self) -> bool:
        assert self.processes["serve"].poll() is None, self.log("serve")[-3000:]
        try:
            return httpx.get(f"{self.url}/health", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def kill(self, name: str = "serve") -> None:
        """kill -9."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        """End all processes as an operator would."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            # One that was started this moment has not read a line of ours: the system ends it with the signal itself.
            assert process.wait(timeout=60) in (0, -signal.SIGTERM)
        self.processes.clear()

    def log(self, name: str) -> str:
        """What a process has written."""
        return (self.folder / f"{name}.log").read_text()

    def api(self) -> httpx.Client:
        """A client of the management API."""
        return httpx.Client(
            base_url=f"{self.url}/api/v1", headers={"Authorization": f"Bearer {self.key}"}, timeout=30
        )

    def browser(self) -> httpx.Client:
        """A browser on the city's public address, behind the reverse proxy that ends TLS."""
        return httpx.Client(transport=_Proxy(self.url), timeout=30)

    def wallets(self) -> dict[str, tuple[str, str]]:
        """Serial and token of each permit's current revision, by number."""
        with Application.open(self.data, self.now) as application, application.reading() as session:
            rows = session.execute(
                select(RevisionRow.number, RevisionRow.serial, RevisionRow.apple_token).where(
                    RevisionRow.tenant == application.tenant, RevisionRow.superseded_at.is_(None)
                )
            ).all()
        return {number: (serial, token) for number, serial, token in rows}

    def want_at_google(self, serials: list[str]) -> None:
        """As if the holders of these passes had saved them to Google Wallet."""
        with Application.open(self.data, self.now) as application, application.writing() as session:
            for serial in serials:
                row = session.get(WalletPassRow, (application.tenant, serial))
                assert row is not None
                row.google_wanted = True


class _Proxy(httpx.BaseTransport):
    """A reverse proxy: every https address is the service."""

    def __init__(self, url: str) -> None:
        self._url = httpx.URL(url)
        self._inner = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert request.url.scheme == "https", request.url
        inner = request.url.copy_with(scheme="http", host=self._url.host, port=self._url.port)
        headers = {**request.headers, "X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}
        return self._inner.handle_request(
            httpx.Request(request.method, inner, headers=headers, stream=request.stream)
        )

    def close(self) -> None:
        self._inner.close()


@dataclass
class QuickPhone:
    """A phone with one pass: it fetches when it is woken, again and again while nobody answers, as phones do."""

    rig: Rig
    number: str
    serial: str
    token: str
    device: str
    push_token: str
    seals: list[str] = field(default_factory=list)
    voided: bool = False

    def __post_init__(self) -> None:
        self._tag = ""
        self._modified = ""
        self._awake = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._live, name=f"phone-{self.number}", daemon=True)

    def register(self, client: httpx.Client) -> None:
        """Add the pass: fetch it and register."""
        self._fetch(client)
        answer = client.post(
            f"/apple/v1/devices/{self.device}/registrations/{self.rig.topic}/{self.serial}",
            json={"pushToken": self.push_token},
            headers={"Authorization": f"ApplePass {self.token}"},
        )
        assert answer.status_code == 201, answer.status_code
        self._thread.start()

    def wake(self) -> None:
        """A push has come."""
        self._awake.set()

    def end(self) -> None:
        """Switch the phone off."""
        self._over.set()
        self._awake.set()
        self._thread.join(timeout=30)

    def _live(self) -> None:
        with httpx.Client(base_url=self.rig.url, timeout=30) as client:
            while not self._over.is_set():
                self._awake.wait()
                self._awake.clear()
                while not self._over.is_set():
                    try:
                        self._update(client)
                        break
                    except (httpx.HTTPError, OSError):
                        self._over.wait(0.3)

    def _update(self, client: httpx.Client) -> None:
        path = f"/apple/v1/devices/{self.device}/registrations/{self.rig.topic}"
        answer = client.get(path, params={"passesUpdatedSince": self._tag} if self._tag else {})
        if answer.status_code == 204:
            return
        answer.raise_for_status()
        told = answer.json()
        assert type(told["lastUpdated"]) is str
        if self.serial in told["serialNumbers"]:
            self._fetch(client)
        # As iOS does: the tag counts once everything in the list was fetched.
        self._tag = told["lastUpdated"]

    def _fetch(self, client: httpx.Client) -> None:
        headers = {"Authorization": f"ApplePass {self.token}"}
        if self._modified:
            headers["If-Modified-Since"] = self._modified
        answer = client.get(f"/apple/v1/passes/{self.rig.topic}/{self.serial}", headers=headers)
        if answer.status_code == 304:
            return
        answer.raise_for_status()
        self._modified = answer.headers["Last-Modified"]
        with zipfile.ZipFile(BytesIO(answer.content)) as bundle:
            shown = json.loads(bundle.read("pass.json"))
        self.voided = bool(shown.get("voided"))
        self.seals.append(shown["barcodes"][0]["message"])


def hidden_fields(page: str, action: str) -> Json:
    """The hidden inputs of the form on ``page`` that posts to ``action``, with or without a query."""
    form = re.search(rf'<form[^>]*action="{re.escape(action)}[^"]*"[^>]*>(.*?)</form>', page, re.DOTALL)
    assert form is not None, page
    inputs = re.findall(r"<input[^>]*>", form[1])
    pairs = [(re.search(r'name="([^"]*)"', one), re.search(r'value="([^"]*)"', one)) for one in inputs]
    return {name[1]: value[1] if value else "" for name, value in pairs if name}
