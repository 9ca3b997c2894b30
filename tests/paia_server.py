"""A stand-in for a library's system that speaks PAIA 1.4 (core: patron, fees; auth: login), with faults on demand.

Strict about what https://gbv.github.io/paia/ asks of clients: methods, headers, bearer tokens with their scopes and
their end, form-encoded log-ins. What is wrong is noted in ``broken``.

    with PaiaServer({"123": {"name": "Erika Muster", "status": 0}}) as server: ...
"""

from __future__ import annotations

import base64
import gzip
import json
import secrets
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

Json = dict[str, Any]
USER, PASSWORD = "stadtpass", "geheim:mit%Zeichen ä"
_STATUS = {
    "invalid_grant": 401,
    "insufficient_scope": 403,
    "access_denied": 403,
    "not_found": 404,
    "invalid_request": 405,
    "internal_error": 500,
    "not_implemented": 501,
    "service_unavailable": 503,
}


@dataclass
class Fault:
    """What goes wrong with the next ``times`` answers of the method ``at`` (login, patron, fees; empty: any)."""

    kind: str
    at: str = "patron"
    times: int = 1


@dataclass
class Token:
    """A token that was given out; ``patron`` if it is for one alone."""

    scope: str
    patron: str | None


@dataclass
class PaiaServer:
    """The library's system, in threads of its own."""

    patrons: dict[str, Json]
    fees: dict[str, Json] = field(default_factory=dict)
    # What the client may do at most.
    scope: str = "read_patron read_fees"
    expires_in: float | None = 3600
    # Whether a log-in for a patron that is not there is refused, as some systems do.
    denies_unknown: bool = False
    context: ssl.SSLContext | None = None
    tokens: dict[str, Token] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    seen: list[tuple[str, str]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    seconds: float = 3.0

    def __enter__(self) -> Self:
        state = self

        class Handler(_Handler):
            system: PaiaServer = state

        self.lock = threading.Lock()
        self.stopped = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        if self.context is not None:
            self._http.socket = self.context.wrap_socket(
                self._http.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @property
    def url(self) -> str:
        scheme = "http" if self.context is None else "https"
        return f"{scheme}://localhost:{self._http.server_address[1]}"

    def fail(self, kind: str, at: str = "patron", times: int = 1) -> None:
        self.faults.append(Fault(kind, at, times))

    def take_fault(self, method: str) -> str:
        with self.lock:
            for fault in self.faults:
                if fault.times > 0 and fault.at in ("", method):
                    fault.times -= 1
                    return fault.kind
        return ""

    def asked(self, method: str) -> int:
        return sum(1 for one, _ in self.seen if one == method)


class _Handler(BaseHTTPRequestHandler):
    system: PaiaServer

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.headers.get("content-type") != "application/x-www-form-urlencoded":
            self.system.broken.append("content type of the log-in")
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        path = urlsplit(self.path).path
        self.system.seen.append(("login", path))
        if path != "/auth/login":
            self._error("not_found")
            return
        self._with_fault("login", lambda: self._login(form))

    def do_GET(self) -> None:
        where = urlsplit(self.path)
        core, _, rest = where.path.removeprefix("/").partition("/")
        patron, _, method = rest.partition("/")
        method = method or "patron"
        self.system.seen.append((method, where.path))
        if where.query or self.headers.get("accept") != "application/json":
            self.system.broken.append("query or Accept header")
        if core != "core" or method not in ("patron", "fees"):
            self._error("not_found")
            return
        self._with_fault(method, lambda: self._core(unquote(patron), method))

    def _with_fault(self, method: str, answer: Any) -> None:
        system = self.system
        fault = system.take_fault(method)
        if fault in _STATUS:
            self._error(fault)
        elif fault == "429":
            self._raw(429, b"slow down", "text/plain")
        elif fault == "elsewhere":
            self.send_response(302)
            self.send_header("location", f"{system.url}/elsewhere/steals/tokens")
            self.end_headers()
        elif fault == "no such page":
            self._raw(404, b"<h1>Not Found</h1>", "text/html")
        elif fault == "drop":
            self.close_connection = True
            self.connection.close()
        elif fault in ("stall", "drip"):
            self._slowly(fault)
        elif fault == "huge":
            self._raw(200, b'{"name": "' + b"x" * 3_000_000 + b'", "status": 0}')
        elif fault == "packed":
            self._raw(200, gzip.compress(b'{"name": "' + b" " * 50_000_000 + b'", "status": 0}'), packed=True)
        elif fault == "deep":
            self._raw(200, b'{"name": ' + b"[" * 30_000 + b"]" * 30_000 + b', "status": 0}')
        elif fault == "page":
            self._raw(200, b"<html>log in first</html>", "text/html")
        elif fault == "malformed":
            self._raw(200, b'{"name": "Erika')
        elif fault == "encoding":
            self._raw(200, '{"name": "Müller", "status": 0}'.encode("iso-8859-1"))
        elif fault.startswith("{"):
            self._raw(200, fault.encode())
        else:
            answer()

    def _login(self, form: dict[str, str]) -> None:
        system = self.system
        if form.get("grant_type") == "password":
            given = (form.get("username"), form.get("password"))
        else:
            kind, _, pair = self.headers.get("authorization", "").partition(" ")
            name, _, secret = base64.b64decode(pair).decode().partition(":")
            given = (unquote(name), unquote(secret)) if kind == "Basic" else (None, None)
            if {"username", "password"} & form.keys():
                system.broken.append("password in the form")
        if given != (USER, PASSWORD):
            self._error("access_denied")
            return
        if system.denies_unknown and form.get("patron", "") not in ("", *system.patrons):
            self._error("access_denied")
            return
        granted = " ".join(one for one in form.get("scope", "").split() if one in system.scope.split())
        text = secrets.token_urlsafe(16)
        system.tokens[text] = Token(granted, form.get("patron"))
        body: Json = {
            "access_token": text,
            "token_type": "Bearer",
            "patron": form.get("patron", "service"),
            "scope": granted,
        }
        if system.expires_in is not None:
            body["expires_in"] = system.expires_in
        self._json(200, body)

    def _core(self, patron: str, method: str) -> None:
        system = self.system
        kind, _, text = self.headers.get("authorization", "").partition(" ")
        token = system.tokens.get(text)
        if kind != "Bearer" or token is None:
            self._error("invalid_grant")
        elif f"read_{method}" not in token.scope.split() or token.patron not in (None, patron):
            self._error("insufficient_scope")
        elif patron not in system.patrons:
            self._error("not_found")
        else:
            self._json(200, (system.patrons if method == "patron" else system.fees).get(patron, {}))

    def _slowly(self, fault: str) -> None:
        """Half an answer and then nothing, or one byte after the other, so that no single read takes long."""
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", "1000")
        self.end_headers()
        until = 1 if fault == "stall" else int(self.system.seconds / 0.05)
        for _ in range(until):
            try:
                self.wfile.write(b" ")
            except OSError:
                return
            if self.system.stopped.wait(self.system.seconds if fault == "stall" else 0.05):
                break
        self.close_connection = True

    def _error(self, word: str) -> None:
        self._json(_STATUS[word], {"error": word, "error_description": "Erika Muster owes 10 EUR"})

    def _json(self, status: int, body: Json) -> None:
        self._raw(status, json.dumps(body).encode())

    def _raw(
        self,
        status: int,
        data: bytes,
        kind: str = "application/json; charset=utf-8",
        *,
        packed: bool = False,
    ) -> None:
        self.send_response(status)
        if packed:
            self.send_header("content-encoding", "gzip")
        self.send_header("content-type", kind)
        self.send_header("x-paia-version", "1.4.0")
        if status == 401:
            self.send_header("www-authenticate", "Bearer")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
