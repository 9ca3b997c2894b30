"""Firefox without a window, driven by WebDriver BiDi (https://www.w3.org/TR/webdriver-bidi/) over its own socket."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

PROGRAM = shutil.which("firefox-esr") or shutil.which("firefox")
needs_firefox = pytest.mark.skipif(PROGRAM is None, reason="needs Firefox (apt install firefox-esr)")
SECONDS = 30.0


class Firefox:
    """The first tab of a browser that runs."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._ids = socket, count(1)
        self.version = str(self._send("session.new", capabilities={})["capabilities"]["browserVersion"])
        self._tab = self._send("browsingContext.getTree")["contexts"][0]["context"]

    def _send(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of a command; what the browser tells meanwhile is passed over.

        Raises:
            AssertionError: with the browser's own error.
            TimeoutError: no answer within `SECONDS`.
        """
        sent = next(self._ids)
        self._socket.send(json.dumps({"id": sent, "method": method, "params": params}))
        until = time.monotonic() + SECONDS
        while True:
            answer = json.loads(self._socket.recv(timeout=max(0.0, until - time.monotonic())))
            if answer.get("id") == sent:
                assert answer["type"] == "success", f"{method}: {answer['error']}: {answer['message']}"
                return dict(answer["result"])

    def open(self, url: str) -> None:
        self._send("browsingContext.navigate", context=self._tab, url=url, wait="complete")

    def reload(self) -> None:
        self._send("browsingContext.reload", context=self._tab, wait="complete")

    def evaluate(self, expression: str) -> Any:
        """The value of ``expression`` in the page: a text, number, truth value or None."""
        answer = self._send(
            "script.evaluate", expression=expression, target={"context": self._tab}, awaitPromise=True
        )
        assert answer["type"] == "success", answer["exceptionDetails"]["text"]
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        """The value of ``expression`` as soon as it is a true one.

        Raises:
            AssertionError: it was not within `SECONDS`; with what the page shows.
        """
        until = time.monotonic() + SECONDS
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < until, f"{expression}\n{self.evaluate('document.body.innerText')}"
            time.sleep(0.1)
        return value

    def choose_file(self, selector: str, file: Path) -> None:
        """Give ``file`` to the file field at the CSS ``selector``, as if a person had chosen it."""
        found = self._send(
            "browsingContext.locateNodes", context=self._tab, locator={"type": "css", "value": selector}
        )["nodes"]
        assert len(found) == 1, f"{len(found)} nodes at {selector}"
        element = {"sharedId": found[0]["sharedId"]}
        self._send("input.setFiles", context=self._tab, element=element, files=[str(file)])


@contextmanager
def firefox(profile: Path) -> Iterator[Firefox]:
    """A new Firefox with the folder ``profile``, which it fills; ended afterwards."""
    assert PROGRAM is not None
    profile.mkdir(exist_ok=True)
    address = profile / "WebDriverBiDiServer.json"
    address.unlink(missing_ok=True)
    with (profile / "firefox.log").open("ab") as log:
        process = subprocess.Popen(
            [PROGRAM, "--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0"],
            env=os.environ | {"HOME": str(profile), "XDG_CACHE_HOME": str(profile)}, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        with connect(_address(address, process), proxy=None, open_timeout=SECONDS) as socket:
            yield Firefox(socket)
    finally:
        process.terminate()
        try:
            process.wait(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _address(file: Path, process: subprocess.Popen[bytes]) -> str:
    """Where the browser listens: it writes that into ``file``, not at once whole."""
    until = time.monotonic() + SECONDS
    while True:
        try:
            told = json.loads(file.read_text("utf-8"))
            return f"ws://{told['ws_host']}:{told['ws_port']}/session"
        except (FileNotFoundError, ValueError):
            assert process.poll() is None, "Firefox has ended by itself"
            assert time.monotonic() < until, "Firefox does not listen"
            time.sleep(0.1)
