"""A stand-in for a payment service that speaks XBezahldienste 1.0, strict about what it takes, with faults on demand.

Paths, fields, lengths and character sets are those of https://docs.fitko.de/xbezahldienste/APIDoku/versionen/v1.0.0/;
the token endpoint is OAuth's client credentials grant (RFC 6749, 4.4).

    with PaymentServer() as server: ...
"""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

Json = dict[str, Any]
ORIGINATOR, END_POINT = "stadtpass", "05111000"
CLIENT, SECRET = "client-1", "s3cret-of-the-client"
_ID = re.compile(r"[\w\d-]{1,36}", re.ASCII)
_PURPOSE = re.compile(r"[\w\d\s-]{0,27}", re.ASCII)
_DESCRIPTION = re.compile(r"[A-Za-z0-9_\s,.\u00C0-\u017F-]{0,250}")
_PATH = re.compile(r"/x/paymenttransaction/([^/]+)/([^/]+)(?:/([^/]+))?")
_AMOUNTS = ("totalNetAmount", "totalTaxAmount", "singleNetAmount", "singleTaxAmount", "taxRate")


@dataclass
class Fault:
    """What becomes of the next ``times`` calls: a status as text, or ``slow``, ``malformed``, ``huge``, ``drop``,
    ``elsewhere`` (a page on a strange host), ``other`` (another transaction), ``amount``; ``after`` it was done.
    """

    kind: str
    times: int = 1
    after: bool = False


@dataclass
class PaymentServer:
    """The service, in a thread of its own."""

    transactions: dict[str, Json] = field(default_factory=dict)
    seen: list[tuple[str, str, Json | None]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    tokens_given: int = 0
    seconds: float = 1.5

    def __enter__(self) -> Self:
        server = self

        class Handler(_Handler):
            service = server

        self.lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def fail(self, kind: str, **how: Any) -> None:
        self.faults.append(Fault(kind, **how))

    def pay(self, transaction_id: str, status: str = "PAYED") -> None:
        """What a person does on the payment page."""
        self.transactions[transaction_id]["status"] = status

    def take_fault(self, *, after: bool) -> str:
        with self.lock:
            for fault in self.faults:
                if fault.times > 0 and fault.after is after:
                    fault.times -= 1
                    return fault.kind
        return ""

    def create(self, body: Json) -> tuple[int, Json]:
        fault = _faults(body)
        if fault:
            return 400, _problem("VALIDATION_ERROR", fault)
        total = sum(
            Decimal(str(one["totalNetAmount"])) + Decimal(str(one["totalTaxAmount"])) for one in body["items"]
        )
        if total != Decimal(str(body["grosAmount"])):
            return 400, _problem("CALCULATION_ERROR", "grosAmount")
        with self.lock:
            if any(one["request"]["requestId"] == body["requestId"] for one in self.transactions.values()):
                return 400, _problem("PAYMENT_EXISTS", "requestId")
            identity = secrets.token_hex(8)
            self.transactions[identity] = {"request": body, "status": "INITIAL"}
        return 200, self.told(identity)

    def told(self, identity: str) -> Json:
        known = self.transactions[identity]
        information: Json = {
            "transactionUrl": f"{self.url}/x/paymenttransaction/{ORIGINATOR}/{END_POINT}/{identity}",
            "transactionId": identity,
            "status": known["status"],
        }
        if known["status"] == "INITIAL":
            information["transactionRedirectUrl"] = f"{self.url}/page/{identity}"
        return {"paymentInformation": information, "paymentRequest": known["request"]}


def _problem(code: str, text: str) -> Json:
    return {"errorCode": code, "status": 400, "title": "Bad Request", "functionalText": text}


def _faults(body: Json) -> str:
    required = ("requestId", "requestTimestamp", "currency", "grosAmount", "redirectUrl", "items")
    if missing := [name for name in required if name not in body]:
        return missing[0]
    known = {*required, "purpose", "description", "requestor"}
    if unknown := body.keys() - known:
        return sorted(unknown)[0]
    checks = (
        ("requestId", _ID.fullmatch(body["requestId"])),
        ("currency", body["currency"] == "EUR"),
        ("purpose", _PURPOSE.fullmatch(body.get("purpose", ""))),
        ("description", _DESCRIPTION.fullmatch(body.get("description", ""))),
        ("redirectUrl", 0 < len(body["redirectUrl"]) <= 2082),
        ("items", 1 <= len(body["items"]) <= 99),
        ("requestTimestamp", re.fullmatch(r"[0-9-]{10}T[0-9:]{8}(Z|\+00:00)", body["requestTimestamp"])),
    )
    for name, fine in checks:
        if not fine:
            return name
    for item in body["items"]:
        if not (_ID.fullmatch(item["id"]) and _ID.fullmatch(item["reference"])):
            return "items.id"
        if item["quantity"] != 1 or any(isinstance(item[name], str) for name in _AMOUNTS):
            return "items.amount"
    return ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service: PaymentServer

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers.get("content-length") or 0))
        if urlsplit(self.path).path == "/token":
            self._token(data)
            return
        self._api(json.loads(data, parse_float=Decimal))

    def do_GET(self) -> None:
        self._api(None)

    def _token(self, data: bytes) -> None:
        form = {key: value[0] for key, value in parse_qs(data.decode()).items()}
        wanted = {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": SECRET}
        if form != wanted:
            self._send(401, {"error": "invalid_client"})
            return
        token = secrets.token_hex(16)
        self.service.tokens.add(token)
        self.service.tokens_given += 1
        self._send(200, {"access_token": token, "token_type": "Bearer", "expires_in": 3600})

    def _api(self, body: Json | None) -> None:
        service = self.service
        service.seen.append((self.command, self.path, body))
        fault = service.take_fault(after=False)
        if fault == "slow":
            # Byte by byte, so that no single read takes long.
            self.send_response(200)
            self.end_headers()
            until = time.monotonic() + service.seconds
            while time.monotonic() < until:
                try:
                    self.wfile.write(b" ")
                except OSError:
                    return
                time.sleep(0.05)
            self.close_connection = True
            return
        if fault.isdigit():
            self._send(int(fault), {})
            return
        if self.headers.get("authorization", "").removeprefix("Bearer ") not in service.tokens:
            self._send(401, {})
            return
        status, told = self._told(body)
        fault = fault or service.take_fault(after=True)
        if fault == "malformed":
            self._raw(200, b'{"paymentInformation": {"transactionId"')
        elif fault == "huge":
            self._raw(200, b'{"x": "' + b"x" * 600_000 + b'"}')
        elif fault == "drop":
            self.close_connection = True
            self.connection.close()
        elif fault.isdigit():
            self._send(int(fault), {})
        else:
            if fault == "elsewhere":
                told["paymentInformation"]["transactionRedirectUrl"] = "https://evil.example/pay"
            if fault == "other":
                told["paymentInformation"]["transactionId"] = "f" * 16
            if fault == "amount":
                told["paymentRequest"] = {**told["paymentRequest"], "grosAmount": Decimal("1.00")}
            self._send(status, told)

    def _told(self, body: Json | None) -> tuple[int, Json]:
        found = _PATH.fullmatch(urlsplit(self.path).path)
        if found is None or (found[1], found[2]) != (ORIGINATOR, END_POINT):
            return 404, _problem("NO_VALID_ORIGINATOR_OR_ENDPOINT", "path")
        if body is not None:
            return self.service.create(body)
        if found[3] not in self.service.transactions:
            return 404, {}
        return 200, self.service.told(found[3])

    def _send(self, status: int, body: Json) -> None:
        self._raw(status, json.dumps(body, default=float).encode())

    def _raw(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(data)
