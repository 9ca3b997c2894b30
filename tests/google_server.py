"""A stand-in for Google: token endpoint, Wallet REST interface and root keys, strict about what it takes.

It checks assertions by the account's public key and bodies against Google's discovery document, counts requests per
sliding second and notifications per day, patches and replaces as Google does, and fails on demand.

    with GoogleServer(clock=city.clock) as google: ...
    python -m tests.google_server --account MAIL=ISSUER=KEY.pem [--port N]     (prints {"url": ...}; state at /_state)
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import re
import secrets
import socket
import ssl
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from tests.google_callbacks import CallbackSigner
from tests.passes.google_schema import faults as schema_faults

Json = dict[str, Any]
SCOPE = "https://www.googleapis.com/auth/wallet_object.issuer"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_ID = re.compile(r"([0-9]{1,20})\.[A-Za-z0-9._-]+")
_PATH = re.compile(r"/walletobjects/v1/(genericClass|genericObject)(?:/([^/]+))?(/addMessage)?")
_SCHEMAS = {"genericClass": "GenericClass", "genericObject": "GenericObject"}
_REQUIRED = {"genericClass": ("id",), "genericObject": ("id", "classId", "cardTitle", "header")}
_DAY = timedelta(hours=24)


@dataclass
class Fault:
    """What to do with the next ``times`` API requests whose method and path contain ``match``."""

    kind: str
    times: int = 1
    match: str = ""
    retry_after: str = ""
    seconds: float = 0.0
    # Work off the request, and only then fail: the caller cannot know.
    after: bool = False


@dataclass(frozen=True)
class Seen:
    """One API request; ``at`` is a moment of time.monotonic."""

    at: float
    method: str
    path: str
    status: int
    body: Json | None


@dataclass
class _Refusal(Exception):
    status: int
    reason: str
    word: str = "INVALID_ARGUMENT"
    text: str = ""


_FAULTS = {
    "429": _Refusal(429, "rateLimitExceeded", "RESOURCE_EXHAUSTED"),
    "500": _Refusal(500, "backendError", "INTERNAL"),
    "503": _Refusal(503, "backendError", "UNAVAILABLE"),
    "401": _Refusal(401, "authError", "UNAUTHENTICATED"),
    "400": _Refusal(400, "invalid", "INVALID_ARGUMENT"),
    "quotaExceeded": _Refusal(403, "quotaExceeded", "PERMISSION_DENIED"),
    "permissionDenied": _Refusal(403, "forbidden", "PERMISSION_DENIED"),
}


@dataclass
class GoogleServer:
    """Google for tests, in a thread of its own; see the module."""

    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    limit: int = 20
    port: int = 0
    # (certificate, key) in PEM files: then it speaks https.
    tls: tuple[Path, Path] | None = None
    classes: dict[str, Json] = field(default_factory=dict)
    objects: dict[str, Json] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    tokens_given: int = 0
    token_life: int = 3599
    signer: CallbackSigner = field(default_factory=CallbackSigner)
    keys_document: bytes = b""
    keys_fetched: int = 0
    # Called with (method, path) before a request is worked off, outside the lock; a test may make it wait.
    before: Callable[[str, str], None] = lambda method, path: None
    latency: float = 0.0

    def __post_init__(self) -> None:
        self.lock = threading.Lock()
        self.faults: list[Fault] = []
        self._accounts: dict[str, list[tuple[rsa.RSAPublicKey, frozenset[str]]]] = {}
        self._tokens: dict[str, tuple[frozenset[str], datetime]] = {}
        self._window: deque[float] = deque()
        self._rang: dict[str, list[datetime]] = {}

    def __enter__(self) -> Self:
        google = self

        class Handler(_Handler):
            server_of_google = google

        self._http = _Server(("127.0.0.1", self.port), Handler)
        if self.tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.tls)
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        if not self.keys_document:
            self.keys_document = self.signer.published(self.clock() + timedelta(days=30))
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self._http.server_address[1]}"

    def add_account(self, email: str, key: Any, *issuers: str) -> None:
        """A key of a service account that may work for ``issuers``; an account may have several."""
        self._accounts.setdefault(email, []).append((key, frozenset(issuers)))

    def fail(self, kind: str, **how: Any) -> None:
        """Have coming requests fail: a key of ``_FAULTS``, ``drop`` or ``slow``."""
        self.faults.append(Fault(kind, **how))

    def revoke_tokens(self) -> None:
        self._tokens.clear()

    def most_in_a_second(self) -> int:
        """The most API requests that came in within any one second, taken or not."""
        times = sorted(one.at for one in self.seen)
        return max((sum(1 for other in times if at <= other < at + 1) for at in times), default=0)

    def statuses(self) -> Counter[int]:
        return Counter(one.status for one in self.seen)

    def calls(self, method: str = "", match: str = "") -> list[Seen]:
        return [one for one in self.seen if method in ("", one.method) and match in one.path]

    # What follows runs in the server's threads.

    def token(self, form: dict[str, list[str]]) -> Json:
        """RFC 7523, section 3, as strictly as Google."""
        if form.get("grant_type") != [_GRANT] or len(form.get("assertion", [])) != 1:
            raise _Refusal(400, "unsupported_grant_type")
        try:
            header, claims, signature = form["assertion"][0].split(".")
            told, head = json.loads(_unbase64(claims)), json.loads(_unbase64(header))
            signed, made = f"{header}.{claims}".encode(), _unbase64(signature)
            issuers = next(one for key, one in self._accounts[told["iss"]] if _is_signed(key, made, signed))
        except (KeyError, ValueError, StopIteration) as fault:
            raise _Refusal(400, "invalid_grant") from fault
        now = self.clock().timestamp()
        if (
            head != {"alg": "RS256", "typ": "JWT"}
            or told["scope"] != SCOPE
            or told["aud"] != f"{self.url}/token"
        ):
            raise _Refusal(400, "invalid_grant")
        if any(type(told[name]) is not int for name in ("iat", "exp")):
            raise _Refusal(400, "invalid_grant")
        if not (told["iat"] - 60 <= now < told["exp"] <= told["iat"] + 3600):
            raise _Refusal(400, "invalid_grant")
        text = "ya29." + secrets.token_urlsafe(40)
        with self.lock:
            self.tokens_given += 1
            self._tokens[text] = (issuers, self.clock() + timedelta(seconds=self.token_life))
        return {"access_token": text, "expires_in": self.token_life, "token_type": "Bearer"}

    def take_fault(self, what: str, *, after: bool) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.match in what and fault.after is after and fault.times > 0:
                    fault.times -= 1
                    return fault
        return None

    def answer(self, method: str, path: str, authorization: str, body: Json | None) -> Json:
        """Work off one API request. Raises _Refusal."""
        with self.lock:
            self._count()
            issuers = self._issuers(authorization)
            found = _PATH.fullmatch(path)
            if found is None:
                raise _Refusal(404, "notFound", "NOT_FOUND")
            collection, identity, verb = found[1], unquote(found[2] or ""), found[3]
            store = self.classes if collection == "genericClass" else self.objects
            if verb:
                return self._add_message(store, identity, body or {}, issuers)
            if method == "POST" and not identity:
                return self._insert(collection, store, body or {}, issuers)
            self._check_owner(identity, issuers)
            if identity not in store:
                raise _Refusal(404, "resourceNotFound", "NOT_FOUND")
            if method in ("PATCH", "PUT"):
                kept = store[identity] if method == "PATCH" else {}
                return self._store(
                    collection, store, _merged(kept, body or {}), body or {}, identity, issuers
                )
            if method != "GET":
                raise _Refusal(405, "methodNotAllowed")
            return store[identity]

    def _count(self) -> None:
        now = time.monotonic()
        while self._window and self._window[0] <= now - 1:
            self._window.popleft()
        if len(self._window) >= self.limit:
            raise _FAULTS["429"]
        self._window.append(now)

    def _issuers(self, authorization: str) -> frozenset[str]:
        issuers, until = self._tokens.get(authorization.removeprefix("Bearer "), (frozenset(), self.clock()))
        if until <= self.clock():
            raise _FAULTS["401"]
        return issuers

    def _check_owner(self, identity: str, issuers: frozenset[str]) -> None:
        found = _ID.fullmatch(identity)
        if found is None:
            raise _Refusal(400, "invalidResource", text=f"Invalid resource ID: {identity}")
        if found[1] not in issuers:
            raise _FAULTS["permissionDenied"]

    def _insert(self, collection: str, store: dict[str, Json], body: Json, issuers: frozenset[str]) -> Json:
        identity = str(body.get("id", ""))
        self._check_owner(identity, issuers)
        if identity in store:
            raise _Refusal(409, "existingResource", "ALREADY_EXISTS")
        return self._store(collection, store, body, body, identity, issuers)

    def _store(
        self,
        collection: str,
        store: dict[str, Json],
        whole: Json,
        sent: Json,
        identity: str,
        issuers: frozenset[str],
    ) -> Json:
        if found := schema_faults(_SCHEMAS[collection], sent):
            raise _Refusal(400, "invalid", text=found[0])
        if "reviewStatus" in sent and sent["reviewStatus"] not in ("UNDER_REVIEW", "DRAFT"):
            raise _Refusal(400, "invalidReviewStatus")
        missing = [name for name in _REQUIRED[collection] if name not in whole]
        if missing or whole["id"] != identity:
            raise _Refusal(400, "invalid", text=f"missing {missing}")
        if plain := [one for one in _uris(sent) if not one.startswith("https://")]:
            raise _Refusal(400, "invalid", text=plain[0])
        if collection == "genericObject":
            self._check_owner(whole["classId"], issuers)
            if whole["classId"] not in self.classes:
                raise _Refusal(404, "classNotFound", "NOT_FOUND")
        store[identity] = json.loads(json.dumps(whole))
        return store[identity]

    def _add_message(
        self, store: dict[str, Json], identity: str, body: Json, issuers: frozenset[str]
    ) -> Json:
        self._check_owner(identity, issuers)
        if identity not in store:
            raise _Refusal(404, "resourceNotFound", "NOT_FOUND")
        if found := schema_faults("AddMessageRequest", body):
            raise _Refusal(400, "invalid", text=found[0])
        message = body["message"]
        if message.get("messageType") == "TEXT_AND_NOTIFY":
            rang = [at for at in self._rang.get(identity, []) if at > self.clock() - _DAY]
            if len(rang) >= 3:
                raise _FAULTS["quotaExceeded"]
            self._rang[identity] = [*rang, self.clock()]
        store[identity].setdefault("messages", []).append(message)
        return {"resource": store[identity]}

    def state(self) -> Json:
        return {
            "classes": self.classes,
            "objects": self.objects,
            "tokens_given": self.tokens_given,
            "most_in_a_second": self.most_in_a_second(),
            "statuses": {str(status): count for status, count in self.statuses().items()},
        }


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A connection that breaks is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    """One connection; what is right and wrong is decided by `GoogleServer`."""

    protocol_version = "HTTP/1.1"
    server_of_google: GoogleServer

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""

    def _serve(self) -> None:
        google, path = self.server_of_google, urlsplit(self.path).path
        data = self.rfile.read(int(self.headers.get("content-length") or 0))
        if path == "/_state":
            with google.lock:
                self._send(200, google.state())
        elif path == "/_fail":
            google.fail(**json.loads(data))
            self._send(200, {})
        elif path == "/gp/m/issuer/keys":
            google.keys_fetched += 1
            fault = google.take_fault("keys", after=False)
            if fault is None or self._is_slow(fault):
                self._send(200, google.keys_document)
            else:
                self._fail(fault)
        elif path == "/token":
            self._token(data)
        else:
            self._api(path, data)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815

    def _token(self, data: bytes) -> None:
        google = self.server_of_google
        fault = google.take_fault("token", after=False)
        if fault is not None and not self._is_slow(fault):
            self._fail(fault)
            return
        try:
            self._send(200, google.token(parse_qs(data.decode())))
        except _Refusal as refusal:
            self._send(refusal.status, {"error": refusal.reason})

    def _api(self, path: str, data: bytes) -> None:
        google, at = self.server_of_google, time.monotonic()
        body, status, told, retry_after = None, 200, {}, ""
        what = f"{self.command} {path}"
        time.sleep(google.latency)
        google.before(self.command, path)
        fault = google.take_fault(what, after=False)
        try:
            body = json.loads(data) if data else None
            if fault is not None and not self._is_slow(fault):
                retry_after = fault.retry_after
                raise _FAULTS.get(fault.kind, _Refusal(0, fault.kind))
            told = google.answer(self.command, path, self.headers.get("authorization", ""), body)
            fault = google.take_fault(what, after=True)
            if fault is not None and not self._is_slow(fault):
                retry_after = fault.retry_after
                raise _FAULTS.get(fault.kind, _Refusal(0, fault.kind))
        except ValueError:
            status, told = 400, {}
        except _Refusal as refusal:
            status = refusal.status
            told = {
                "error": {
                    "code": status,
                    "message": refusal.text,
                    "errors": [
                        {"message": refusal.text, "domain": "walletobjects", "reason": refusal.reason}
                    ],
                    "status": refusal.word,
                }
            }
        with google.lock:
            google.seen.append(Seen(at, self.command, path, status, body))
        if status == 0:
            self._drop()
            return
        self._send(status, told, retry_after)

    def _is_slow(self, fault: Fault) -> bool:
        if fault.kind == "slow":
            time.sleep(fault.seconds)
        return fault.kind == "slow"

    def _fail(self, fault: Fault) -> None:
        if fault.kind == "drop":
            self._drop()
        else:
            self._send(_FAULTS[fault.kind].status, {"error": fault.kind}, fault.retry_after)

    def _drop(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _send(self, status: int, told: Json | bytes, retry_after: str = "") -> None:
        data = told if isinstance(told, bytes) else json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(data)))
        if retry_after:
            self.send_header("Retry-After", retry_after)
        self.end_headers()
        self.wfile.write(data)


def _merged(kept: Json, sent: Json) -> Json:
    """Patch semantics: objects are merged, lists replaced whole."""
    made = dict(kept)
    for name, value in sent.items():
        old = made.get(name)
        made[name] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return made


def _uris(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["uri"]] if isinstance(value.get("uri"), str) else []
        return own + [uri for member in value.values() for uri in _uris(member)]
    return [uri for member in value for uri in _uris(member)] if isinstance(value, list) else []


def _is_signed(key: rsa.RSAPublicKey, signature: bytes, data: bytes) -> bool:
    try:
        key.verify(signature, data, padding.PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True


def _unbase64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--account", action="append", default=[], help="MAIL=ISSUER=PUBLIC-KEY.pem")
    told = parser.parse_args()
    with GoogleServer(port=told.port) as google:
        for one in told.account:
            email, issuer, file = one.split("=", 2)
            google.add_account(email, load_pem_public_key(Path(file).read_bytes()), issuer)
        sys.stdout.write(json.dumps({"url": google.url}) + "\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main()
