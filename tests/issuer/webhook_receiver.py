"""A stand-in for a specialist system that receives webhooks: over TLS, strict about the protocol, faults on demand.

It checks signatures by its own code, written from the specification of Standard Webhooks.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass
class Received:
    """One request: its headers in small letters and its body."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    def signatures_of(self, secret: str) -> int:
        """How many of the signatures are made with ``secret``; anything out of form is an AssertionError."""
        assert self.headers["content-type"] == "application/json"
        message_id, timestamp = self.headers["webhook-id"], self.headers["webhook-timestamp"]
        assert "." not in message_id and timestamp.isdigit()
        kind, _, encoded = secret.partition("_")
        assert kind == "whsec"
        key = base64.b64decode(encoded, validate=True)
        assert 24 <= len(key) <= 64
        wanted = hmac.new(
            key, b".".join([message_id.encode(), timestamp.encode(), self.body]), hashlib.sha256
        )
        expected = base64.b64encode(wanted.digest()).decode()
        given = [one.split(",") for one in self.headers["webhook-signature"].split(" ")]
        assert all(len(one) == 2 and one[0] == "v1" for one in given)
        return sum(one[1] == expected for one in given)


@dataclass
class Receiver:
    """Answers with the next of ``answers`` (status and headers), with 204 when there is none left."""

    port: int
    ca_file: Path
    received: list[Received] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    pause: float = 0.0
    # Seconds over which the head of the answer drips in, byte by byte.
    drip: float = 0.0
    # Bytes of an endless answer that nobody should read.
    flood: bool = False

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}/events?from=stadtpass"


@contextmanager
def receiver(folder: Path) -> Iterator[Receiver]:
    """A receiver on this machine, under the name localhost with a certificate of its own authority."""
    certificate, key = tls_files(folder)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            headers = {name.lower(): value for name, value in self.headers.items()}
            made.received.append(Received(self.path, headers, self.rfile.read(length)))
            time.sleep(made.pause)
            status, more = made.answers.pop(0) if made.answers else (204, {})
            try:
                self.send_response(status)
                self.drip()
                for name, value in more.items():
                    self.send_header(name, value)
                if made.flood:
                    self.send_header("content-length", str(10**12))
                    self.end_headers()
                    while True:
                        self.wfile.write(b"x" * 65536)
                if status != 204:
                    self.send_header("content-length", "0")
                self.end_headers()
            except OSError:
                self.close_connection = True

        def drip(self) -> None:
            until = time.monotonic() + made.drip
            if made.drip:
                self.flush_headers()
                self.wfile.write(b"x-more: ")
            while time.monotonic() < until:
                self.wfile.write(b"x")
                time.sleep(0.05)
            if made.drip:
                self.wfile.write(b"\r\n")

        def log_message(self, *_: object) -> None:
            return

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            return

    server = Server(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    made = Receiver(server.server_address[1], folder / "ca.pem")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def dripping_handshake(seconds: float) -> Iterator[int]:
    """The port of a server that begins a TLS handshake and sends it byte by byte for ``seconds``, then hangs up."""

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            until = time.monotonic() + seconds
            with suppress(OSError):
                # The head of a record of 16 KiB; what is in it is looked at when it is whole.
                self.request.sendall(b"\x16\x03\x03\x40\x00")
                while time.monotonic() < until:
                    self.request.sendall(b"\x02")
                    time.sleep(0.05)

    class Server(ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def tls_files(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost and its key in ``folder``, under the authority ``ca.pem`` there."""
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver CA")])
    # The certificate names the host and not its address: whoever connects to the address must still ask for the name.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver")])
    now = datetime.now(UTC)

    def begun(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(ca_name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
        )

    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    ca = (
        begun(ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(True, 0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    leaf = (
        begun(name, key.public_key())
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(authority, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    (folder / "leaf.pem").write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    (folder / "leaf.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder / "leaf.pem", folder / "leaf.key"
