"""A stand-in for a library's system that speaks SIP2 2.00, strict about what it takes, with faults on demand.

It takes messages apart on its own, after 3M Standard Interchange Protocol, document revision 2.12: order and length
of what is fixed, the fields of each message, sequence and checksum. What is wrong is noted in ``broken`` and answered
by hanging up.

    with Sip2Server({"123": Account("Muster, Erika")}) as server: ...
"""

from __future__ import annotations

import re
import socketserver
import ssl
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

USER, PASSWORD, LOCATION, INSTITUTION = "stadtpass", "geheim-4711", "rathaus", "MUSTER"
_DATE = re.compile(r"[0-9]{8}(    |   Z)[0-9]{6}")
_STAMP = "20261120    120000"
_NEEDED = {"23": ["AO", "AA", "AC", "AD"], "63": ["AO", "AA", "AC", "AD"], "93": ["CN", "CO", "CP"], "99": []}


@dataclass
class Account:
    """A patron as the library's system has them; ``flags`` are places in the patron status that say Y."""

    name: str
    flags: tuple[int, ...] = ()
    expires: str = ""
    owes: str = ""
    currency: str = "EUR"
    category: str = ""
    message: tuple[str, ...] = ()

    def status(self) -> str:
        return "".join("Y" if place in self.flags else " " for place in range(14))


@dataclass
class Fault:
    """What goes wrong with the next ``times`` answers to the message ``at`` (its code; empty: any)."""

    kind: str
    at: str = ""
    times: int = 1


@dataclass
class Sip2Server:
    """The library's system, in threads of its own. ``login`` says whether one must log in first."""

    accounts: dict[str, Account]
    login: bool = True
    messages: str = "YYYYYYYYYYYYYYYY"
    online: str = "Y"
    version: str = "2.00"
    encoding: str = "utf-8"
    error_detection: bool = True
    context: ssl.SSLContext | None = None
    end: bytes = b"\r"
    faults: list[Fault] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    connections: int = 0
    seconds: float = 3.0

    def __enter__(self) -> Self:
        state = self

        class Session(_Session):
            system: Sip2Server = state

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self.lock = threading.Lock()
        self.stopped = threading.Event()
        self._server = Server(("127.0.0.1", 0), Session)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def fail(self, kind: str, at: str = "", times: int = 1) -> None:
        self.faults.append(Fault(kind, at, times))

    def take_fault(self, code: str) -> str:
        with self.lock:
            for fault in self.faults:
                if fault.times > 0 and fault.at in ("", code):
                    fault.times -= 1
                    return fault.kind
        return ""


class _Broken(Exception):
    pass


class _Session(socketserver.BaseRequestHandler):
    system: Sip2Server

    def handle(self) -> None:
        system = self.system
        system.connections += 1
        if system.context is not None:
            try:
                self.request = system.context.wrap_socket(self.request, server_side=True)
            except OSError:
                return
        self.logged_in = not system.login
        with suppress(OSError):
            try:
                while line := self._line():
                    if not self._answer(line):
                        return
            except _Broken as fault:
                system.broken.append(str(fault))
            finally:
                self.request.close()

    def _line(self) -> bytes:
        data = b""
        while not data.endswith(b"\r"):
            piece = self.request.recv(1)
            if not piece:
                return b""
            data += piece
            if len(data) > 1024:
                raise _Broken("line too long")
        return data[:-1]

    def _answer(self, line: bytes) -> bool:
        code, fixed, fields, sequence = self._taken_apart(line)
        system = self.system
        system.seen.append(code)
        fault = system.take_fault(code)
        if fault == "resend":
            self.request.sendall(_finished("96", None, system) + system.end)
            return True
        answer = self._told(code, fixed, fields, fault)
        return self._send(answer, sequence, fault)

    def _taken_apart(self, line: bytes) -> tuple[str, str, dict[str, str], int | None]:
        sequence = None
        if self.system.error_detection:
            if not re.search(rb"AY[0-9]AZ[0-9A-F]{4}\Z", line):
                raise _Broken("no error detection")
            if (sum(line[:-4]) + int(line[-4:], 16)) & 0xFFFF:
                raise _Broken("checksum")
            sequence, line = int(line[-7:-6]), line[:-9]
        text = line.decode(self.system.encoding)
        code = text[:2]
        length = {"23": 21, "63": 31, "93": 2, "99": 8}.get(code)
        if length is None:
            raise _Broken(f"message {code}")
        fixed, rest = text[2 : 2 + length], text[2 + length :]
        if rest and not rest.endswith("|"):
            raise _Broken("field without end")
        parts = [(part[:2], part[2:]) for part in rest.split("|")[:-1]]
        if [name for name, _ in parts] != _NEEDED[code]:
            raise _Broken(f"fields of {code}")
        if code == "99" and not re.fullmatch(r"[012][0-9]{3}2\.00", fixed):
            raise _Broken("99")
        if code in ("23", "63") and not (
            re.fullmatch("[0-9]{3}", fixed[:3]) and _DATE.fullmatch(fixed[3:21])
        ):
            raise _Broken("language or date")
        if code == "63" and fixed[21:] != " " * 10:
            raise _Broken("summary: nobody needs to know what is on loan")
        return code, fixed, dict(parts), sequence

    def _told(self, code: str, fixed: str, fields: dict[str, str], fault: str) -> str:
        system = self.system
        if code == "93":
            fine = (fields["CN"], fields["CO"], fields["CP"]) == (USER, PASSWORD, LOCATION) and fixed == "00"
            self.logged_in = self.logged_in or fine
            return f"94{int(fine)}"
        if not self.logged_in:
            raise _Broken("not logged in")
        if code == "99":
            state = f"98{system.online}NNNNN030003{_STAMP}{system.version}"
            return f"{state}AO{INSTITUTION}|AMStadtbücherei|BX{system.messages}|"
        if fields["AO"] != INSTITUTION:
            raise _Broken("institution")
        return self._patron(code, fields["AA"], fault)

    def _patron(self, code: str, number: str, fault: str) -> str:
        account = self.system.accounts.get(number)
        if fault == "lie":
            account = account or Account("")
        if fault == "lie with a name":
            account = account or Account("Muster, Erika")
        if fault == "other patron":
            number = "9" * 10
        head, counts = ("24", "") if code == "23" else ("64", "0000" * 6)
        if account is None:
            return f"{head}{'YYYY'.ljust(14)}000{_STAMP}{counts}AO{INSTITUTION}|AA{number}|AE|BLN|"
        flags = "?" * 14 if fault == "flags" else account.status()
        valid = "" if fault == "silent about validity" else f"BL{'maybe' if fault == 'valid?' else 'Y'}|"
        twice = f"AA{number}|" if fault == "twice" else ""
        owes = f"BH{account.currency}|BV{account.owes}|" if account.owes else ""
        more = "".join(
            f"{name}{value}|" for name, value in (("PA", account.expires), ("PC", account.category)) if value
        )
        texts = "".join(f"AF{text}|" for text in account.message)
        return (
            f"{head}{flags}000{_STAMP}{counts}AO{INSTITUTION}|AA{number}|{twice}AE{account.name}|"
            f"{valid}CQN|{owes}{more}{texts}"
        )

    def _send(self, text: str, sequence: int | None, fault: str) -> bool:
        system = self.system
        if fault == "close":
            return False
        if fault == "another message":
            text = "941"
        if fault == "no message":
            text = "HTTP/1.1 400 Bad Request"
        if fault == "sequence" and sequence is not None:
            sequence = (sequence + 5) % 10
        data = _finished(text, sequence, system, wrong_encoding=fault == "encoding")
        if fault == "checksum":
            data = data[:-4] + b"0000"
        if fault == "no checksum":
            data = data[:-9]
        if fault == "more":
            data += b"\r" + data
        if fault == "long":
            return self._drip(b"64" + b"x" * 1_000_000, 0, 4096)
        if fault == "stall":
            self.request.sendall(data[: len(data) // 2])
            system.stopped.wait(system.seconds)
            return False
        if fault == "drip":
            return self._drip(data, 0.1, 1)
        if fault == "half":
            self.request.sendall(data[: len(data) // 2])
            return False
        self.request.sendall(data + system.end)
        return fault != "close after"

    def _drip(self, data: bytes, seconds: float, size: int) -> bool:
        until = time.monotonic() + self.system.seconds
        for place in range(0, len(data), size):
            self.request.sendall(data[place : place + size])
            if time.monotonic() > until or self.system.stopped.wait(seconds):
                break
        return False


def _finished(text: str, sequence: int | None, system: Sip2Server, *, wrong_encoding: bool = False) -> bytes:
    data = text.encode("iso-8859-1" if wrong_encoding else system.encoding)
    if system.error_detection:
        if sequence is not None:
            data += f"AY{sequence}".encode()
        data += b"AZ"
        data += f"{-sum(data) & 0xFFFF:04X}".encode()
    return data
