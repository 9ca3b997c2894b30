"""A stand-in for a city's SMTP server: strict about the protocol (RFC 5321, 3207, 4954), with faults on demand."""

from __future__ import annotations

import base64
import email
import ipaddress
import socketserver
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LONGEST_LINE = 1000


@dataclass
class Fault:
    """What the server answers at a stage, ``times`` times: a reply, or "drop" to hang up, or seconds of silence."""

    stage: str
    reply: str
    times: int = 1


@dataclass
class Received:
    """A mail that the server has taken."""

    sender: str
    recipients: list[str]
    message: EmailMessage
    encrypted: bool
    user: str | None


@dataclass
class SmtpServer:
    """The server's side: what it got, what it is to do wrong, and every rule that a client has broken."""

    port: int
    ca_file: Path
    mails: list[Received] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    connections: int = 0
    # Where set, nothing goes without it.
    login: tuple[str, str] | None = None
    starttls: bool = True
    # Called before a mail is taken, as by somebody who looks at the register at that moment.
    before_taking: Any = None

    def fault(self, stage: str) -> str | None:
        for one in self.faults:
            if one.stage == stage and one.times > 0:
                one.times -= 1
                return one.reply
        return None


class _Session(socketserver.StreamRequestHandler):
    server: _Server
    timeout = 20

    def handle(self) -> None:
        state = self.server.state
        state.connections += 1
        self.encrypted = self.server.implicit_tls
        self.greeted = False
        self.user: str | None = None
        self._reset()
        try:
            if self.encrypted:
                self._encrypt()
            if self._answer("connect", "220 mail.test ESMTP"):
                while self._command():
                    pass
        except (OSError, EOFError):
            pass

    def finish(self) -> None:
        with suppress(OSError):
            super().finish()
        self.connection.close()

    def _reset(self) -> None:
        self.sender: str | None = None
        self.recipients: list[str] = []

    def _encrypt(self) -> None:
        self.connection = self.server.context.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", 0)
        self.encrypted = True

    def _answer(self, stage: str, reply: str) -> bool:
        """Reply, or do what a fault says instead; False if that ends the session."""
        wrong = self.server.state.fault(stage)
        if wrong == "drop":
            return False
        if wrong is not None and wrong.startswith("silence"):
            time.sleep(float(wrong.split()[1]))
        elif wrong is not None:
            reply = wrong
        self.wfile.write(reply.encode() + b"\r\n")
        return not reply.startswith(("221", "421"))

    def _line(self) -> bytes:
        line = self.rfile.readline(LONGEST_LINE + 1)
        if not line:
            raise EOFError
        if not line.endswith(b"\r\n"):
            self.server.state.broken.append(f"line without CRLF or too long: {line[:40]!r}")
        return line[:-2]

    def _command(self) -> bool:
        state = self.server.state
        verb, _, rest = self._line().decode("ascii").partition(" ")
        match verb.upper():
            case "EHLO":
                self.greeted = True
                features = ["mail.test"]
                if state.starttls and not self.encrypted:
                    features.append("STARTTLS")
                if self.encrypted or not state.starttls:
                    features.append("AUTH PLAIN")
                features.append("SIZE 1000000")
                lines = [f"250-{one}" for one in features[:-1]] + [f"250 {features[-1]}"]
                return self._answer("ehlo", "\r\n".join(lines))
            case "STARTTLS":
                if not self._answer("starttls", "220 go ahead"):
                    return False
                self.greeted = False
                self._encrypt()
                return True
            case "AUTH":
                kind, _, blob = rest.partition(" ")
                _, user, password = base64.b64decode(blob).decode().split("\0")
                if kind != "PLAIN" or not self.encrypted:
                    state.broken.append("a password over an open line")
                if (user, password) != state.login:
                    return self._answer("auth", "535 5.7.8 no")
                self.user = user
                return self._answer("auth", "235 2.7.0 yes")
            case "MAIL":
                if not self.greeted:
                    state.broken.append("MAIL before EHLO")
                if state.login is not None and self.user is None:
                    return self._answer("mail", "530 5.7.0 log in")
                self.sender = rest.partition("<")[2].partition(">")[0]
                return self._answer("mail", "250 2.1.0 ok")
            case "RCPT":
                recipient = rest.partition("<")[2].partition(">")[0]
                refusal = state.fault("rcpt")
                if refusal is not None:
                    self.wfile.write(f"{refusal} <{recipient}>\r\n".encode())
                    return True
                self.recipients.append(recipient)
                return self._answer("rcpt-ok", "250 2.1.5 ok")
            case "DATA":
                if self.sender is None or not self.recipients:
                    state.broken.append("DATA without MAIL and RCPT")
                refusal = state.fault("data")
                if refusal is not None:
                    self.wfile.write(f"{refusal}\r\n".encode())
                    return True
                return self._answer("data-ok", "354 go on") and self._take()
            case "RSET":
                self._reset()
                return self._answer("rset", "250 ok")
            case "QUIT":
                return self._answer("quit", "221 bye")
            case _:
                state.broken.append(f"unknown command {verb}")
                return self._answer("unknown", "500 what")

    def _take(self) -> bool:
        state, lines = self.server.state, []
        while (line := self._line()) != b".":
            lines.append(line[1:] if line.startswith(b".") else line)
        refusal = state.fault("dot")
        if refusal == "drop":
            return False
        if refusal is None or refusal == "drop after":
            if state.before_taking is not None:
                state.before_taking()
            message = email.message_from_bytes(b"\r\n".join(lines) + b"\r\n", policy=SMTP)
            assert isinstance(message, EmailMessage)
            assert self.sender is not None
            state.mails.append(
                Received(self.sender, list(self.recipients), message, self.encrypted, self.user)
            )
            if refusal == "drop after":
                return False
            refusal = "250 2.0.0 taken"
        self._reset()
        self.wfile.write(f"{refusal}\r\n".encode())
        return True


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    state: SmtpServer
    context: ssl.SSLContext
    implicit_tls: bool

    def handle_error(self, request: Any, client_address: Any) -> None:
        self.state.broken.append("the server failed")


@contextmanager
def smtp_server(
    folder: Path, *, implicit_tls: bool = False, host_name: str = "localhost"
) -> Iterator[SmtpServer]:
    """A server on a free port of localhost with a certificate for ``host_name`` of the authority in ``ca_file``."""
    ca_file, chain = _certificate(folder, host_name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    with _Server(("127.0.0.1", 0), _Session) as server:
        server.context, server.implicit_tls = context, implicit_tls
        server.state = SmtpServer(server.server_address[1], ca_file)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server.state
        finally:
            server.shutdown()
            thread.join()


def _certificate(folder: Path, host_name: str) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host_name)])
    names: list[x509.GeneralName] = [x509.DNSName(host_name)]
    if host_name == "localhost":
        names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    ca_file, chain = folder / "smtp-ca.pem", folder / "smtp-chain.pem"
    ca_file.write_bytes(pem)
    chain.write_bytes(private + pem)
    return ca_file, chain
