"""The demo city with its whole service in a process of its own: people apply, pay and come back, clerks decide.

`PermitCity.move_to` lets months pass by stopping the service and starting it at a later time.
"""

from __future__ import annotations

import base64
import json
import re
import signal
import socket
import subprocess
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import BrowserContext, Page

from issuer.staff import second_factor
from passes.periods import BERLIN
from tests.e2e import commandline

BEGIN = datetime(2027, 2, 20, 12, 0, tzinfo=BERLIN)
PASSWORD = "drei Ampeln hinter Kaarst"


@dataclass
class PermitCity:
    """The city in ``folder``; `set_up`, then `start`."""

    folder: Path
    database: str = ""
    at: datetime = BEGIN
    process: subprocess.Popen[bytes] | None = None
    began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def url(self) -> str:
        # Secure without TLS, as browsers see it.
        return f"http://localhost:{self.port}"

    def now(self) -> datetime:
        """What the service's clock shows."""
        return self.at + timedelta(seconds=time.monotonic() - self.began)

    def command(self, *arguments: object) -> str:
        """Run a command on the city's data; it must succeed."""
        at = self.now().isoformat(timespec="milliseconds")
        done = commandline.main_in_process(*arguments, "--data", self.data, "--at", at)
        assert done.code == 0, done.stdout + done.stderr
        return done.stdout

    def set_up(self) -> PermitCity:
        """Make the city, reachable under this machine's address."""
        self.command("init", "--demo", *(["--database-url", self.database] if self.database else []))
        self.command("config", "set", "base_url", self.url)
        return self

    def start(self) -> None:
        """Start the service and wait until it answers."""
        environment = {
            "STADTPASS_SERVICE_REQUESTS_PER_MINUTE": "0",
            "STADTPASS_BACKGROUND_POLLING_SECONDS": "0.2",
        }
        at = self.now().isoformat(timespec="milliseconds")
        with (self.folder / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(
                commandline.command("serve", "--port", self.port, "--data", self.data, "--at", at),
                env=commandline.clean_environment(environment), stdout=log, stderr=log,
            )  # fmt: skip
        self.wait(self._answers)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log()
        try:
            return httpx.get(f"{self.url}/lists/index.cwt", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def move_to(self, at: datetime) -> None:
        """Let time pass until the aware time ``at``; the service is not running meanwhile."""
        self.stop()
        assert at > self.now()
        self.at, self.began = at, time.monotonic()
        self.start()

    def stop(self) -> None:
        """End the service as an operator does."""
        if self.process is not None:
            self.process.terminate()
            assert self.process.wait(timeout=90) in (0, -signal.SIGTERM)
            self.process = None

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def log(self) -> str:
        """The end of what the service has written."""
        return (self.folder / "serve.log").read_text()[-4000:]

    def wait(self, what: Any, seconds: float = 120) -> Any:
        """Wait until ``what()`` gives something, and give it."""
        until = time.monotonic() + seconds
        while not (found := what()):
            assert time.monotonic() < until, self.log()
            # What is asked costs the service time that it needs to get there.
            time.sleep(0.25)
        return found

    def mails(self, to: str) -> dict[str, str]:
        """Subject and text of the mails to an address that are still there, by file, oldest first."""
        folder = self.data / "mail"
        files = sorted(folder.glob("*.eml")) if folder.is_dir() else []
        made = {one.name: message_from_bytes(one.read_bytes(), policy=SMTP) for one in files}
        return {
            name: f"{one['subject']}\n{one.get_content()}"
            for name, one in made.items()
            if isinstance(one, EmailMessage) and to in str(one["to"])
        }

    def mail(self, to: str, word: str, known: Collection[str] = ()) -> str:
        """The newest mail to an address with ``word`` in it, besides the files ``known``, once it is there."""

        def newest() -> str:
            found = [text for name, text in self.mails(to).items() if word in text and name not in known]
            return found[-1] if found else ""

        return str(self.wait(newest))

    def link(self, text: str) -> str:
        """The one-time link in the text of a mail."""
        (found,) = set(re.findall(re.escape(self.url) + r"/\w+/l/\S+", text))
        return str(found)

    def verdict(self, seal: str) -> tuple[str, str]:
        """What a warden's device says of a seal, offline with the lists of now."""
        folder = self.folder / "trust"
        (folder / "status").mkdir(parents=True, exist_ok=True)
        for name in ("root.pub", "bundle.cwt", "index.cwt"):
            (folder / name).write_bytes(httpx.get(f"{self.url}/lists/{name}").raise_for_status().content)
        number = 1
        while (answer := httpx.get(f"{self.url}/status/{number}")).status_code == 200:
            (folder / "status" / f"{number}.cwt").write_bytes(answer.content)
            number += 1
        at = self.now().isoformat(timespec="seconds")
        state = ["--state", self.folder / "state.json"]
        done = commandline.main_in_process("verify", seal, "--trust", folder, "--json", "--at", at, *state)
        told = json.loads(done.stdout)
        return told["verdict"], told["reason"]

    def becomes(self, seal: str, verdict: tuple[str, str]) -> None:
        """Wait until the published lists lead to ``verdict``."""
        self.wait(lambda: self.verdict(seal) == verdict, 60)


@dataclass
class Clerk:
    """Somebody of the office at a desk: an account with roles, a browser, and an app for codes."""

    city: PermitCity
    login: str
    page: Page
    secret: bytes = b""
    used: int = -1

    @classmethod
    def invited(cls, city: PermitCity, context: BrowserContext, login: str, *roles: str) -> Clerk:
        """A new account, with password and second factor set in the browser."""
        given = [part for role in roles for part in ("--role", role)]
        told = city.command("staff", "invite", login, *given, "--json")
        clerk = cls(city, login, context.new_page())
        page = clerk.page
        page.goto(json.loads(told)["link"])
        page.fill("#new", PASSWORD)
        page.fill("#again", PASSWORD)
        page.locator("main button[type=submit]").click()
        page.wait_for_url("**/office/factor")
        text = page.locator(".secret code").inner_text().replace(" ", "")
        clerk.secret = base64.b32decode(text + "=" * (-len(text) % 8))
        page.fill("#code", clerk.code())
        page.locator("main button[type=submit]").click()
        page.wait_for_url("**/office")
        return clerk

    def code(self) -> str:
        """A code that has not been used; each counts once."""
        while (step := second_factor.step_of(self.city.now())) <= self.used:
            time.sleep(0.5)
        self.used = step
        return second_factor.code_at(self.secret, step)

    def log_in(self) -> None:
        """Log in again, after time has passed."""
        page = self.page
        page.goto(f"{self.city.url}/office/login")
        page.fill("#login", self.login)
        page.fill("#password", PASSWORD)
        page.locator("main button[type=submit]").click()
        page.wait_for_url("**/office/login/code")
        page.fill("#code", self.code())
        page.locator("main button[type=submit]").click()
        page.wait_for_url("**/office")
