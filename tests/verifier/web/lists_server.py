"""A service for devices in tests: the app's files, a city's lists with ETags, and faults on demand."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.trust_factory import NOW, City, seconds
from tests.web_pages import POLICY, WEB

TYPES = {".js": "text/javascript", ".json": "application/json", ".html": "text/html"}


class ListsServer(ThreadingHTTPServer):
    """``faults`` by path: a status, "drop", "cut", bytes to send instead, or an Event to wait for before answering.

    ``answers`` by path are what the device's own requests get, or make it of the body; ``signed`` are their headers.
    """

    daemon_threads = True

    def __init__(self, city: City) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.city = city
        self.now = seconds(NOW)
        self.faults: dict[str, Any] = {}
        self.sent: list[tuple[str, int]] = []
        self.plates_refused: str | None = None
        self.signed: list[dict[str, str]] = []
        self.posted: list[tuple[str, bytes]] = []
        self.answers: dict[str, Any] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: ListsServer

    def do_GET(self) -> None:
        if self.path == "/check/empty.html":
            self._send(200, b"<!doctype html><title>Test</title>", "text/html")
        elif self.path in self.server.answers:
            self._answer()
        elif self.path.startswith("/check/"):
            file = WEB / self.path.removeprefix("/check/")
            if file.is_file():
                self._send(200, file.read_bytes(), TYPES.get(file.suffix, "application/octet-stream"))
            else:
                self._send(404, b"", "text/plain")
        elif self.path.startswith(("/lists/", "/status/")):
            self._list()
        else:
            self._send(404, b"", "text/plain")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.server.posted.append((self.path, body))
        self._answer(body)

    def _answer(self, body: bytes = b"") -> None:
        answer = self.server.answers.get(self.path, (404, {}))
        status, told = answer(body) if callable(answer) else answer
        self._note()
        self._send(status, json.dumps(told).encode(), "application/json")

    def _note(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.signed.append({**headers, "@method": self.command, "@path": self.path})

    def _list(self) -> None:
        fault = self.server.faults.get(self.path)
        if isinstance(fault, threading.Event):
            fault.wait(20)
        if fault == "drop":
            self.close_connection = True
            return
        if isinstance(fault, int):
            self._send(fault, b"", "text/plain")
            return
        if self.path == "/lists/plates.cwt":
            self._note()
            if self.server.plates_refused is not None:
                told = json.dumps({"code": self.server.plates_refused}).encode()
                self._send(401, told, "application/problem+json")
                return
        name = (
            self.path.removeprefix("/lists/") if self.path.startswith("/lists/") else self.path[1:] + ".cwt"
        )
        data = fault if isinstance(fault, bytes) else (self.server.city.folder / name).read_bytes()
        tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
        if self.headers.get("If-None-Match") == tag:
            self._send(304, b"", "application/cwt", {"ETag": tag})
            return
        sent = data[: len(data) // 2] if fault == "cut" else data
        self._send(200, sent, "application/cwt", {"ETag": tag})

    def _send(self, status: int, data: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self.server.sent.append((self.path, status))
        self.send_response_only(status)
        self.send_header("Date", formatdate(self.server.now, usegmt=True))
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Security-Policy", POLICY.format(webassembly=" 'wasm-unsafe-eval'"))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_arguments: object) -> None:
        return


@contextmanager
def lists_server(folder: Path) -> Iterator[ListsServer]:
    """A city published at `NOW`, served."""
    city = City(folder)
    city.list_plate()
    city.publish()
    server = ListsServer(city)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


def wait_for(holds: Callable[[], bool], seconds_at_most: float = 20) -> None:
    """Wait until ``holds()``; fails when it does not come true."""
    until = time.monotonic() + seconds_at_most
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)
