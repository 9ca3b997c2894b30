"""A stand-in for Apple's push service: HTTP/2 over TLS, strict about the protocol, with faults on demand.

It asks for a client certificate under the root that it is given, or for a signed token, and answers what Apple
documents ("Sending notification requests to APNs", "Handling notification responses from APNs"). What Apple would
never have to see from a correct provider is written down in `violations`, and tests assert that it is empty.

Also a program, for tests that kill processes: ``python -m tests.apns_server --client-root PEM --folder DIR`` prints
its address and CA file on the first line and appends every accepted device token to ``DIR/pushed.log``.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import re
import ssl
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

MAX_STREAMS = 1000
_PATH = re.compile(r"/3/device/((?:[0-9a-f]{2}){4,100})")
_NO_CHECK_TIME = 0x200000


@dataclass(frozen=True)
class ServerCertificate:
    """A certificate for localhost under an authority of its own, in files."""

    ca_file: Path
    chain_file: Path

    @classmethod
    def new(cls, folder: Path) -> Self:
        ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Stand-in authority")])
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        now = datetime.now(UTC)

        def builder(subject: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
            return (
                x509.CertificateBuilder()
                .subject_name(subject)
                .issuer_name(ca_name)
                .public_key(public_key)
                .serial_number(x509.random_serial_number())
                .not_valid_before(now - timedelta(days=1))
                .not_valid_after(now + timedelta(days=30))
                .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
                .add_extension(
                    x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
                )
            )

        constraints = x509.BasicConstraints(ca=True, path_length=0)
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        ca = builder(ca_name, ca_key.public_key()).add_extension(constraints, critical=True)
        ca_signed = ca.add_extension(usage, critical=True).sign(ca_key, hashes.SHA256())
        names = x509.SubjectAlternativeName(
            [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
        )
        leaf = (
            builder(name, key.public_key()).add_extension(names, critical=False).sign(ca_key, hashes.SHA256())
        )
        ca_file, chain_file = folder / "apns-ca.pem", folder / "apns-server.pem"
        ca_file.write_bytes(ca_signed.public_bytes(Encoding.PEM))
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        chain_file.write_bytes(pem + leaf.public_bytes(Encoding.PEM))
        return cls(ca_file, chain_file)

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.chain_file)
        return context


@dataclass(frozen=True)
class Fault:
    """What becomes of a push instead of a 200.

    ``status`` and ``reason`` are answered, with ``retry_after`` (seconds) and ``timestamp`` (aware) if given.
    ``seconds`` delays the answer. ``drop`` closes the connection, ``goaway`` announces its end and answers none of
    the streams in it; ``times`` is how often, None for ever.
    """

    status: int = 200
    reason: str = ""
    retry_after: int | None = None
    timestamp: datetime | None = None
    seconds: float = 0.0
    drop: bool = False
    goaway: bool = False
    times: int | None = None


@dataclass
class _Stream:
    headers: dict[str, str]
    data: bytes = b""


@dataclass(frozen=True)
class TokenKey:
    """A key that providers may sign their tokens with."""

    team: str
    public_key: ec.EllipticCurvePublicKey


@dataclass
class ApnsServer:
    """The stand-in; it serves inside ``with``. ``url`` and ``ca_file`` are what a provider is configured with.

    Without ``client_root`` no certificate is asked for, and every request needs a token of one of ``token_keys``
    for ``topics``. ``faults`` by device token wins over ``fault``, which is asked with (token, how many pushes there
    were before). ``on_push`` is called with every accepted token, in a thread.
    """

    folder: Path
    client_root: bytes | None = None
    token_keys: Mapping[str, TokenKey] = field(default_factory=dict)
    topics: tuple[str, ...] = ()
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    fault: Callable[[str, int], Fault | None] = lambda token, count: None
    on_push: Callable[[str], None] | None = None
    port: int = 0
    faults: dict[str, Fault] = field(default_factory=dict)
    pushes: list[str] = field(default_factory=list)
    answers: list[tuple[str, int]] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    connections: int = 0
    requests: int = 0
    most_streams: int = 0

    def __enter__(self) -> Self:
        self._certificate = ServerCertificate.new(self.folder)
        self._lock = threading.Lock()
        self._given: dict[int, int] = {}
        self._callbacks = ThreadPoolExecutor(4)
        self._loop = asyncio.new_event_loop()
        self._open: set[_Connection] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="apns-stand-in")
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._callbacks.shutdown()

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def ca_file(self) -> Path:
        return self._certificate.ca_file

    def environment(self) -> dict[str, str]:
        """The settings that make a service push here."""
        return {"STADTPASS_APPLE_PUSH_URL": self.url, "STADTPASS_APPLE_PUSH_CA_FILE": str(self.ca_file)}

    def drop_all(self) -> None:
        """Close every connection without a word, as a firewall or a restart does."""

        async def drop() -> None:
            for one in list(self._open):
                one.abort()

        asyncio.run_coroutine_threadsafe(drop(), self._loop).result(5)

    async def _listen(self) -> asyncio.Server:
        context = self._certificate.context()
        context.set_alpn_protocols(["h2"])
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.client_root is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            # Services under test live on a day of their own.
            context.verify_flags |= _NO_CHECK_TIME
            context.load_verify_locations(cadata=self.client_root.decode())
        loop = asyncio.get_running_loop()
        return await loop.create_server(lambda: _Connection(self), "127.0.0.1", self.port, ssl=context)

    async def _stop(self) -> None:
        self._server.close()
        for one in list(self._open):
            one.abort()
        await asyncio.sleep(0.01)
        pending = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)

    def _take_fault(self, token: str) -> Fault | None:
        with self._lock:
            found = self.faults.get(token) or self.fault(token, self.requests)
            self.requests += 1
            if found is None or found.times is None:
                return found
            given = self._given.get(id(found), 0)
            self._given[id(found)] = given + 1
            return found if given < found.times else None

    def _violated(self, text: str) -> None:
        with self._lock:
            self.violations.append(text)

    def _accepted(self, token: str) -> None:
        with self._lock:
            self.pushes.append(token)
        if self.on_push is not None:
            self._callbacks.submit(self.on_push, token)


class _Connection(asyncio.Protocol):
    def __init__(self, server: ApnsServer) -> None:
        self._server = server
        self._h2 = h2.connection.H2Connection(config=h2.config.H2Configuration(client_side=False))
        self._streams: dict[int, _Stream] = {}
        self._topic: str | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        tls = transport.get_extra_info("ssl_object")
        if tls.selected_alpn_protocol() != "h2":
            self._server._violated("no HTTP/2")
            transport.abort()
            return
        if self._server.client_root is not None:
            shown = x509.load_der_x509_certificate(tls.getpeercert(binary_form=True))
            self._topic = str(shown.subject.get_attributes_for_oid(NameOID.USER_ID)[0].value)
        self._server.connections += 1
        self._server._open.add(self)
        self._h2.initiate_connection()
        self._h2.update_settings({h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: MAX_STREAMS})
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone = True
        self._server._open.discard(self)

    def abort(self) -> None:
        self._gone = True
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        try:
            events = self._h2.receive_data(data)
        except h2.exceptions.ProtocolError as fault:
            self._server._violated(f"HTTP/2: {type(fault).__name__}")
            self._flush()
            self._transport.close()
            return
        for event in events:
            if isinstance(event, h2.events.RequestReceived):
                headers = {name.decode(): value.decode("latin-1") for name, value in event.headers or ()}
                self._streams[event.stream_id] = _Stream(headers)
                self._server.most_streams = max(self._server.most_streams, len(self._streams))
            elif isinstance(event, h2.events.DataReceived):
                if event.stream_id in self._streams:
                    self._streams[event.stream_id].data += event.data or b""
                self._h2.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                task = asyncio.get_running_loop().create_task(self._answer(event.stream_id))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            elif isinstance(event, h2.events.StreamReset):
                self._streams.pop(event.stream_id, None)
            elif isinstance(event, h2.events.ConnectionTerminated):
                self._transport.close()
        self._flush()

    async def _answer(self, stream_id: int) -> None:
        stream = self._streams[stream_id]
        status, reason = self._check(stream)
        found = _PATH.fullmatch(stream.headers[":path"])
        token = found[1] if found else ""
        fault = self._server._take_fault(token) if status == 200 else None
        body: dict[str, Any] = {"reason": reason}
        headers = [("apns-id", "EC1BF194-B3B2-424A-89F9-5A918A6F6A2D")]
        if fault is not None:
            if fault.seconds:
                await asyncio.sleep(fault.seconds)
            if fault.drop:
                self.abort()
                return
            if fault.goaway:
                self._h2.close_connection(h2.errors.ErrorCodes.NO_ERROR, last_stream_id=0)
                self._flush()
                self._gone = True
                self._transport.close()
                return
            status, body["reason"] = fault.status, fault.reason
            if fault.timestamp is not None:
                body["timestamp"] = int(fault.timestamp.timestamp() * 1000)
            if fault.retry_after is not None:
                headers.append(("retry-after", str(fault.retry_after)))
        if self._gone or self._streams.pop(stream_id, None) is None:
            return
        self._server.answers.append((token, status))
        if status == 200:
            self._h2.send_headers(stream_id, [(":status", "200"), *headers], end_stream=True)
            self._server._accepted(token)
        else:
            self._h2.send_headers(stream_id, [(":status", str(status)), *headers])
            self._h2.send_data(stream_id, json.dumps(body).encode(), end_stream=True)
        self._flush()

    def _check(self, stream: _Stream) -> tuple[int, str]:
        """What Apple would answer to a request that is not as it should be; (200, "") for a good one."""
        headers = stream.headers
        wrong: list[tuple[bool, int, str]] = [
            (headers[":method"] != "POST", 405, "MethodNotAllowed"),
            (not headers[":path"].startswith("/3/device/"), 404, "BadPath"),
            (_PATH.fullmatch(headers[":path"]) is None, 400, "BadDeviceToken"),
            ("apns-topic" not in headers, 400, "MissingTopic"),
            (headers.get("apns-push-type") != "background", 400, "InvalidPushType"),
            (headers.get("apns-priority") != "5", 400, "BadPriority"),
            (stream.data == b"", 400, "PayloadEmpty"),
            # A pass is told nothing but that there is news.
            (stream.data != b"{}", 400, "BadPayload"),
        ]
        topic = headers.get("apns-topic", "")
        if self._topic is not None:
            wrong.append((topic != self._topic, 400, "TopicDisallowed"))
            wrong.append(("authorization" in headers, 403, "InvalidProviderToken"))
        else:
            refused = self._token_fault(headers.get("authorization", ""))
            wrong.append((bool(refused), 403, refused))
            wrong.append((topic not in self._server.topics, 400, "TopicDisallowed"))
        for is_wrong, status, reason in wrong:
            if is_wrong:
                self._server._violated(reason)
                return status, reason
        return 200, ""

    def _token_fault(self, authorization: str) -> str:
        scheme, _, token = authorization.partition(" ")
        if scheme != "bearer" or token.count(".") != 2:
            return "MissingProviderToken"
        try:
            head, claims, signature = (
                base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in token.split(".")
            )
            header, said = json.loads(head), json.loads(claims)
            key = self._server.token_keys[header["kid"]]
            numbers = (int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
            signed = token.rpartition(".")[0].encode()
            key.public_key.verify(encode_dss_signature(*numbers), signed, ec.ECDSA(hashes.SHA256()))
        except (ValueError, KeyError, InvalidSignature):
            return "InvalidProviderToken"
        if header["alg"] != "ES256" or said["iss"] != key.team or type(said["iat"]) is not int:
            return "InvalidProviderToken"
        if not -60 <= self._server.now().timestamp() - said["iat"] <= 3600:
            return "ExpiredProviderToken"
        if token not in self._server.tokens:
            self._server.tokens.append(token)
        return ""

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data and not self._transport.is_closing():
            self._transport.write(data)


def main() -> int:
    """Serve until standard input is closed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--client-root", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0.0, help="delay of every answer")
    parser.add_argument("--forward", default="", help="URL that gets a POST with the token of every push")
    told = parser.parse_args()
    told.folder.mkdir(parents=True, exist_ok=True)
    lock = threading.Lock()

    def pushed(token: str) -> None:
        with lock, (told.folder / "pushed.log").open("a") as file:
            file.write(f"{time.time():.3f} {token}\n")
        if told.forward:
            import httpx

            with contextlib.suppress(httpx.HTTPError):
                httpx.post(told.forward, content=token, timeout=10)

    slow = Fault(seconds=told.seconds) if told.seconds else None
    root = told.client_root.read_bytes()
    with ApnsServer(told.folder, root, port=told.port, on_push=pushed, fault=lambda *_: slow) as server:
        sys.stdout.write(json.dumps({"url": server.url, "ca_file": str(server.ca_file)}) + "\n")
        sys.stdout.flush()
        sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
