"""``serve`` and ``worker``: the running service."""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from typing import TYPE_CHECKING

from issuer.commands.common import add_data_argument, say, tell
from issuer.errors import IssuerRefusal
from issuer.web.stopping import Stop
from verifier.cli import Parser, chosen_time
from verifier.verdict import ExitCode

if TYPE_CHECKING:
    from issuer.application import Clock


def add_commands(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add ``serve`` and ``worker`` to the command line."""
    serve = commands.add_parser("serve", help="run the service: pick-up pages, wallets, API, published lists")
    add_data_argument(serve)
    serve.add_argument("--host", metavar="ADDRESS", help="listen on this address (default: service.host)")
    serve.add_argument("--port", metavar="N", type=_port, help="listen on this port (default: service.port)")
    serve.add_argument("--executor", metavar="NAME", help="name of the worker (default: of this machine)")
    serve.add_argument("--no-worker", action="store_true", help="no background work in this process")
    serve.add_argument(
        "--haip", action="store_true", help="demand what HAIP 1.0 demands of EUDI Wallets (eudi.haip)"
    )
    serve.set_defaults(run=run_serve)
    worker = commands.add_parser("worker", help="run background work alone, beside 'serve'")
    add_data_argument(worker)
    worker.add_argument("--executor", metavar="NAME", required=True, help="name of this worker: each its own")
    worker.set_defaults(run=run_worker)


def run_serve(arguments: argparse.Namespace) -> ExitCode:
    """Serve until somebody stops it."""
    stop = Stop()
    from issuer.application import Application  # noqa: PLC0415 - takes a moment, in which a signal may come
    from issuer.web import logging_setup, server  # noqa: PLC0415

    if arguments.haip:
        # As somebody would who sets it for this process alone; it is checked with everything else that is set.
        os.environ["STADTPASS_EUDI_HAIP"] = "true"
    with Application.open(arguments.data, _clock(arguments)) as application:
        service = application.config.service
        host, wanted = arguments.host or service.host, arguments.port
        executor = None
        if not arguments.no_worker:
            executor = server.executor_name(arguments.data, arguments.executor or service.executor)
        elif arguments.executor:
            raise IssuerRefusal("EXECUTOR_UNUSED")
        with server.take_port(host, service.port if wanted is None else wanted) as port:
            # Opened before anything is promised: migrations run here, and a newer register is refused.
            with application.reading() as session:
                base_url = application.settings(session).base_url
            logging_setup.configure(service.log_level)
            logging_setup.switch_on_signal(service.log_level)
            place = port.getsockname()
            greet = partial(_greet, arguments, place, base_url, executor)
            server.serve(application, port, stop, executor, greet)
    server.leave_soon()
    return ExitCode.GREEN


def run_worker(arguments: argparse.Namespace) -> ExitCode:
    """Work until somebody stops it."""
    stop = Stop()
    from issuer.application import Application  # noqa: PLC0415
    from issuer.web import logging_setup, server  # noqa: PLC0415

    with Application.open(arguments.data, _clock(arguments)) as application:
        service = application.config.service
        _ = application.engine
        logging_setup.configure(service.log_level)
        logging_setup.switch_on_signal(service.log_level)
        tell(say(arguments, "WORKER_STARTED", executor=arguments.executor, folder=arguments.data))
        sys.stdout.flush()
        server.work(application, stop, arguments.executor)
    server.leave_soon()
    return ExitCode.GREEN


def _greet(
    arguments: argparse.Namespace, place: tuple[str, int], base_url: str, executor: str | None
) -> None:
    host = f"[{place[0]}]" if ":" in place[0] else place[0]
    address = f"http://{host}:{place[1]}"
    tell(say(arguments, "SERVE_STARTED", address=address, base_url=base_url))
    for code, path in (("SERVE_PICKUP", "/p"), ("SERVE_DOCS", "/api/docs"), ("SERVE_READY", "/ready")):
        tell(f"  {say(arguments, code):<24} {address}{path}")
    tell(say(arguments, "SERVE_WORKER", executor=executor) if executor else say(arguments, "SERVE_NO_WORKER"))
    if not base_url.startswith("https://"):
        tell(say(arguments, "SERVE_NOT_HTTPS", base_url=base_url))
    tell(say(arguments, "SERVE_STOP"))
    # Whoever reads this through a pipe waits for it.
    sys.stdout.flush()


def _clock(arguments: argparse.Namespace) -> Clock:
    from issuer.web.server import offset_clock  # noqa: PLC0415

    given = arguments.at is not None or arguments.today is not None
    return offset_clock(chosen_time(arguments) if given else None)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text[:20]} is no port (0 to 65535)")
    return int(text)
