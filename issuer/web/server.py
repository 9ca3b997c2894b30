"""Running the service: the web server, the worker beside it, and how both stop.

One process, one city. The port is taken before anything starts, so that a taken one is said and changes nothing. On
SIGTERM or SIGINT the port closes first, requests under way are answered, then the worker finishes what it has in
hand; what does not end in time is taken up again at the next start, since nothing is lost that is not acknowledged.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import hashlib
import logging
import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any, Final

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from issuer.application import Application, Clock, system_clock
from issuer.errors import IssuerRefusal
from issuer.web import logging_setup
from issuer.web.security_headers import POLICY, completed
from issuer.web.stopping import Stop

_EXECUTOR: Final = re.compile(r"\A[A-Za-z0-9._-]{1,60}\Z")
_LARGEST_HEAD: Final = 16 * 1024
_HEAD_SECONDS: Final = 20.0
_KEEP_ALIVE_SECONDS: Final = 15
_MOST_CONNECTIONS: Final = 1000
_BACKLOG: Final = 1024
# After everything has been stopped: how long a thread may still hold the process up.
_LAST_SECONDS: Final = 5.0
_log = logging.getLogger("stadtpass.service")


def offset_clock(start: datetime | None) -> Clock:
    """A clock that shows the aware time ``start`` now and goes on from there; the system's without it."""
    if start is None:
        return system_clock
    ahead = start.astimezone(UTC) - datetime.now(UTC)
    began, at = monotonic(), datetime.now(UTC) + ahead
    return lambda: at + timedelta(seconds=monotonic() - began)


def executor_name(folder: Path, configured: str = "") -> str:
    """The name of this installation's worker: ``configured``, or one that every start on this machine gives again."""
    if configured:
        return configured
    digest = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:10]
    host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())[:48] or "host"
    return f"{host}-{digest}"


@contextmanager
def executor_lock(folder: Path, executor: str) -> Iterator[None]:
    """Hold the name ``executor`` for as long as the worker runs: two with one name would do the same work twice.

    Raises IssuerRefusal EXECUTOR_NAME, EXECUTOR_RUNS.
    """
    if not _EXECUTOR.fullmatch(executor):
        raise IssuerRefusal("EXECUTOR_NAME", executor=executor[:80])
    handle = os.open(folder / f".worker-{executor}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise IssuerRefusal("EXECUTOR_RUNS", executor=executor, folder=folder) from None
        yield
    finally:
        os.close(handle)


def take_port(host: str, port: int) -> socket.socket:
    """A socket that listens on ``host`` and ``port``; port 0 takes a free one.

    Raises IssuerRefusal PORT_TAKEN, PORT_FORBIDDEN, HOST_UNKNOWN.
    """
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        taken = socket.socket(family, kind, protocol)
    except OSError:
        raise IssuerRefusal("HOST_UNKNOWN", host=host) from None
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(place)
        taken.listen(_BACKLOG)
    except OSError as fault:
        taken.close()
        codes = {errno.EADDRINUSE: "PORT_TAKEN", errno.EACCES: "PORT_FORBIDDEN"}
        raise IssuerRefusal(codes.get(fault.errno or 0, "HOST_UNKNOWN"), host=host, port=port) from None
    taken.set_inheritable(False)
    return taken


def serve(
    application: Application,
    port: socket.socket,
    stop: Stop,
    executor: str | None,
    started: Callable[[], None] = lambda: None,
) -> None:
    """Answer on ``port`` until ``stop``; with a worker called ``executor`` in this process, unless None.

    ``started`` is called once when requests are answered.
    """
    from issuer.web.app import create_app  # noqa: PLC0415 - loaded after a taken port was said

    if stop.asked:
        return
    seconds = application.config.service.stop_seconds
    with _worker(application, executor) as worker:
        server = _Server(_server_config(create_app(application, worker), seconds), started)
        stop.tell(server)
        _log.info("service started", extra={"port": port.getsockname()[1], "worker": executor or "none"})
        asyncio.run(server.serve(sockets=[port]))
    _log.info("service stopped")


def work(application: Application, stop: Stop, executor: str) -> None:
    """Run a worker alone until ``stop``."""
    if stop.asked:
        return
    with _worker(application, executor):
        _log.info("worker started", extra={"worker": executor})
        stop.wait()
    _log.info("worker stopped")


def leave_soon() -> None:
    """End the process even if a task that was not done in time still holds a thread: it is taken up again."""
    last = threading.Timer(_LAST_SECONDS, os._exit, (0,))
    last.daemon = True
    last.start()


@contextmanager
def _worker(application: Application, executor: str | None) -> Iterator[Any]:
    if executor is None:
        from issuer.background.engine import prepare  # noqa: PLC0415

        # After an upgrade this process may be the first: what it queues must fit the engine's tables.
        prepare(application.workspace.database_url)
        yield None
        return
    from issuer.background.worker import Worker  # noqa: PLC0415 - loads the task engine

    with executor_lock(application.workspace.folder, executor):
        worker = Worker(application, executor)
        worker.start()
        logging_setup.tame()
        try:
            yield worker
        finally:
            worker.stop(application.config.service.stop_seconds)


def _server_config(app: Any, stop_seconds: float) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="asyncio",
        http=_Protocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        # Who is calling is found out by `client_address`, with the networks of the configuration.
        proxy_headers=False,
        limit_concurrency=_MOST_CONNECTIONS,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, round(stop_seconds)),
        h11_max_incomplete_event_size=_LARGEST_HEAD,
    )


class _Server(uvicorn.Server):
    """A server that leaves signals to `Stop`, and says when it answers."""

    def __init__(self, config: uvicorn.Config, started_hook: Callable[[], None]) -> None:
        super().__init__(config)
        self._started_hook = started_hook

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            self._started_hook()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Connection(h11.Connection):
    """Where every response leaves, also those that the server gives without asking the application."""

    def send(self, event: Any) -> Any:
        """The bytes of ``event``; a response has the headers that protect a browser."""
        if isinstance(event, h11.Response) and all(name != POLICY for name, _ in event.headers):
            headers = completed([(name, value) for name, value in event.headers], event.status_code)
            event = h11.Response(status_code=event.status_code, headers=headers, reason=event.reason)
        return super().send(event)


class _Protocol(H11Protocol):
    """HTTP/1.1 that also gives up on a caller who never finishes the head of a request."""

    _head_timer: asyncio.TimerHandle | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn = _Connection(h11.SERVER, _LARGEST_HEAD)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._time_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._time_head()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
        super().connection_lost(exc)

    def _time_head(self) -> None:
        waits = self.conn.their_state is h11.IDLE
        if waits and self._head_timer is None:
            self._head_timer = self.loop.call_later(_HEAD_SECONDS, self._give_up)
        elif not waits and self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        self._head_timer = None
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self.transport.close()
