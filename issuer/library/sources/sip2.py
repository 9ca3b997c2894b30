"""The client for SIP2: one connection that is kept and made again, one question at a time on it.

Without TLS names, fees and the password go over the network as they are, so the configuration allows that only to
this machine or where the operator says so (`issuer.configuration`). No patron's password is ever sent.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from typing import Final

from issuer.configuration import LibraryConfig
from issuer.library.sources.credentials import first_line
from issuer.library.sources.patron import Patron, PatronUnknown, SourceMisbehaves, SourceUnavailable
from issuer.library.sources.sip2_answers import (
    PATRON_INFORMATION,
    check_login,
    messages_of,
    patron_of,
)
from issuer.library.sources.sip2_messages import END, LONGEST, Message, encode, parse
from passes.periods import BERLIN, berlin_day

_PIECE: Final = 4096
# How often one message is sent again because the library's system asks for it.
_RESENDS: Final = 2
# Language 000: as the system is set up. Four blanks: local time.
_LANGUAGE: Final = "000"
_WIDTH: Final = "080"


class Sip2Source:
    """Questions for one library's system. Safe for several threads, which wait for one another."""

    def __init__(self, config: LibraryConfig, folder: Path, now: Callable[[], datetime]) -> None:
        self._config = config
        self._folder = folder
        self._now = now
        self._lock = threading.Lock()
        self._line: _Line | None = None
        self._messages = PATRON_INFORMATION

    def patron(self, card_number: str, seconds: float) -> Patron:
        """As `PatronSource.patron`, over within ``seconds``."""
        end = time.monotonic() + seconds
        if not self._lock.acquire(timeout=seconds):
            raise SourceUnavailable("LIBRARY_TIMEOUT")
        try:
            answer, code = self._ask(card_number, end)
            return patron_of(answer, code, card_number, berlin_day(self._now()))
        except PatronUnknown:
            raise
        except BaseException:
            # What comes next on it could belong to this question.
            self._close()
            raise
        finally:
            self._lock.release()

    def close(self) -> None:
        """Let the connection go; the next question makes another one."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    def _ask(self, card_number: str, end: float) -> tuple[Message, str]:
        if self._line is None or self._line.is_stale():
            self._close()
            self._line = _Line(_connected(self._config, end), self._config)
            self._log_in(self._line, end)
        question, code = self._messages
        summary = " " * 10 if question == "63" else ""
        fields = (("AO", self._config.institution), ("AA", card_number), ("AC", ""), ("AD", ""))
        message = Message(question, f"{_LANGUAGE}{self._time()}{summary}", fields)
        return self._line.exchange(message, end), code

    def _log_in(self, line: _Line, end: float) -> None:
        config = self._config
        if config.user:
            password = first_line(self._folder / config.password_file)
            fields = (("CN", config.user), ("CO", password), ("CP", config.location))
            check_login(line.exchange(Message("93", "00", fields), end))
        self._messages = messages_of(line.exchange(Message("99", f"0{_WIDTH}2.00"), end))

    def _time(self) -> str:
        return self._now().astimezone(BERLIN).strftime("%Y%m%d    %H%M%S")


class _Line:
    """A connection on which questions and answers take turns."""

    def __init__(self, connection: socket.socket, config: LibraryConfig) -> None:
        self._socket = connection
        self._encoding = config.encoding
        self._checked = config.error_detection
        self._sequence = 9

    def close(self) -> None:
        self._socket.close()

    def is_stale(self) -> bool:
        """Whether the other side has closed it, or has said something that nobody asked for."""
        try:
            readable, *_ = select.select([self._socket], [], [], 0)
            if not readable:
                return False
            self._socket.settimeout(0.01)
            # Some end their lines with CR LF, and the LF may come late.
            return self._socket.recv(_PIECE) != b"\n"
        except (OSError, ValueError):
            return True

    def exchange(self, message: Message, end: float) -> Message:
        """Send ``message`` and read the answer to it until ``end`` (seconds of time.monotonic)."""
        self._sequence = (self._sequence + 1) % 10
        sequence = self._sequence if self._checked else None
        try:
            data = encode(message, sequence, self._encoding)
        except ValueError:
            # The configuration or a number holds what the library's character set does not have.
            raise SourceMisbehaves("LIBRARY_ENCODING") from None
        for _ in range(1 + _RESENDS):
            self._send(data, end)
            answer = parse(self._receive(end), sequence, self._encoding)
            if answer.code != "96":
                return answer
        raise SourceMisbehaves("LIBRARY_RESEND")

    def _send(self, data: bytes, end: float) -> None:
        try:
            self._socket.settimeout(_left(end))
            self._socket.sendall(data)
        except OSError as fault:
            raise _unavailable(fault) from fault

    def _receive(self, end: float) -> bytes:
        data = b""
        while END not in data:
            if len(data) > LONGEST:
                raise SourceMisbehaves("LIBRARY_TOO_LONG")
            try:
                self._socket.settimeout(_left(end))
                piece = self._socket.recv(_PIECE)
            except OSError as fault:
                raise _unavailable(fault) from fault
            if not piece:
                raise SourceUnavailable("LIBRARY_CLOSED")
            data = (data + piece).lstrip(b"\n") if not data else data + piece
        line, _, behind = data.partition(END)
        if behind.strip(b"\n"):
            raise SourceMisbehaves("LIBRARY_MESSAGE")
        return line


def _connected(config: LibraryConfig, end: float) -> socket.socket:
    """A connection, with TLS where that is set, made by ``end`` also where the name server says nothing."""
    made: Future[socket.socket] = Future()

    def run() -> None:
        try:
            made.set_result(_connect(config, end))
        except BaseException as fault:
            made.set_exception(fault)

    # No pool's thread: the end of the process would wait for a name server that says nothing.
    threading.Thread(target=run, name="library-connection", daemon=True).start()
    try:
        return made.result(_left(end))
    except OSError as fault:
        # TimeoutError is one: ours here or the network's there.
        made.add_done_callback(_let_go)
        raise _unavailable(fault) from fault


def _connect(config: LibraryConfig, end: float) -> socket.socket:
    connection = socket.create_connection((config.host, config.port), timeout=_left(end))
    try:
        if not config.tls:
            return connection
        context = ssl.create_default_context(cafile=config.ca_file or None)
        connection.settimeout(_left(end))
        return context.wrap_socket(connection, server_hostname=config.host)
    except BaseException:
        connection.close()
        raise


def _let_go(made: Future[socket.socket]) -> None:
    if made.exception() is None:
        made.result().close()


def _left(end: float) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _unavailable(fault: OSError) -> SourceUnavailable:
    if isinstance(fault, TimeoutError):
        return SourceUnavailable("LIBRARY_TIMEOUT")
    if isinstance(fault, ssl.SSLCertVerificationError):
        return SourceUnavailable("LIBRARY_CERTIFICATE")
    return SourceUnavailable("LIBRARY_UNREACHABLE")
