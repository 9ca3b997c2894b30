"""The command line ``stadtpass``: one parser, and commands that load what they need when they run.

`verify` and `check-plate` come from the verifier and work without the issuer's libraries.
"""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec

import verifier.cli
from keys.errors import Refusal
from verifier.cli import Parser, run_safely

_MODULES = (
    "issuer.commands.setup",
    "issuer.commands.issue",
    "issuer.commands.passes",
    "issuer.commands.publish",
    "issuer.commands.keys",
    "issuer.commands.serve",
    "issuer.commands.backup",
    "issuer.commands.migrate",
    "issuer.commands.clients",
    "issuer.commands.devices",
    "issuer.commands.staff",
    "issuer.commands.pickup",
    "issuer.commands.nightly",
    "issuer.commands.letters",
    "issuer.commands.payments",
    "issuer.commands.statement",
    "issuer.commands.data_protection",
    "issuer.commands.figures",
    "issuer.commands.library",
)
# Which module holds a command, so that a run loads only that one.
_HOME = {
    "init": _MODULES[0],
    "config": _MODULES[0],
    "issue": _MODULES[1],
    "change": _MODULES[2],
    "revoke": _MODULES[2],
    "suspend": _MODULES[2],
    "resume": _MODULES[2],
    "reissue": _MODULES[2],
    "show": _MODULES[2],
    "publish": _MODULES[3],
    "audit": _MODULES[3],
    "keys": _MODULES[4],
    "serve": "issuer.commands.serve",
    "worker": "issuer.commands.serve",
    "backup": "issuer.commands.backup",
    "restore": "issuer.commands.backup",
    "migrate": "issuer.commands.migrate",
    "clients": "issuer.commands.clients",
    "devices": "issuer.commands.devices",
    "staff": "issuer.commands.staff",
    "pickup-link": "issuer.commands.pickup",
    "nightly": "issuer.commands.nightly",
    "letters": "issuer.commands.letters",
    "payments": "issuer.commands.payments",
    "statement": "issuer.commands.statement",
    "data-protection": "issuer.commands.data_protection",
    "figures": "issuer.commands.figures",
    "library": "issuer.commands.library",
}


class FilesRefused(Refusal):
    """The file system does not let a file be read or written."""

    package = "issuer"


def build_parser(command: str | None = None) -> Parser:
    """The parser; with ``command`` only as much of it as that command needs."""
    parser = Parser(
        prog="stadtpass",
        description="City permits and library cards: issued to wallets and paper, checked without network.",
        epilog="Every command has its own --help.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    if command in ("verify", "check-plate", "sync"):
        verifier.cli.add_commands(commands)
        return parser
    if find_spec("sqlalchemy") is None:
        parser.epilog = (
            "This installation checks only. For the issuer's commands: pip install 'stadtpass[issuer]'"
        )
        verifier.cli.add_commands(commands)
        return parser
    chosen = (_HOME[command],) if command in _HOME else _MODULES
    for name in chosen:
        import_module(name).add_commands(commands)
    if command not in _HOME:
        verifier.cli.add_commands(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``stadtpass``. The exit code is the contract's."""
    given = list(sys.argv[1:] if argv is None else argv)
    arguments = build_parser(given[0] if given else None).parse_args(given)
    arguments.run = partial(_run, arguments.run)
    return run_safely(arguments)


def _run(command: Callable[[Namespace], int], arguments: Namespace) -> int:
    """Run a command; what the file system refuses becomes a sentence with the place."""
    try:
        return command(arguments)
    except BrokenPipeError:
        raise
    except OSError as fault:
        if fault.errno is None:
            raise
        reason = os.strerror(fault.errno)
        if fault.filename is None:
            raise FilesRefused("FILES_FAULT", fault=reason) from fault
        raise FilesRefused("FILE_FAULT", file=os.fsdecode(fault.filename), fault=reason) from fault


if __name__ == "__main__":
    sys.exit(main())
