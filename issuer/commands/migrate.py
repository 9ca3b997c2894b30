"""``migrate``: the register's schema, up and down, with a look at the SQL first."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine

from issuer.commands.common import add_data_argument, say, tell, tell_json, tell_table
from issuer.database import connect_register, version_of, writing
from issuer.errors import IssuerRefusal, RegisterRefusal
from issuer.workspace import Workspace
from verifier.cli import Parser
from verifier.verdict import ExitCode


def add_commands(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add ``migrate`` to the command line."""
    migrate = commands.add_parser("migrate", help="bring the register's schema up or down")
    actions = migrate.add_subparsers(required=True, metavar="ACTION")
    status = actions.add_parser("status", help="show all steps and which the register has")
    status.add_argument("--json", action="store_true")
    add_data_argument(status)
    status.set_defaults(run=run_status)
    for name, text, revision in (
        ("up", "bring the schema up", "(default: the newest)"),
        ("down", "take the schema back, for an older version of the program: newer data is lost", ""),
    ):
        step = actions.add_parser(name, help=text)
        nargs = "?" if name == "up" else None
        step.add_argument("revision", metavar="REVISION", nargs=nargs, help=f"id of a step {revision}")
        step.add_argument("--dry-run", action="store_true", help="print the SQL, change nothing")
        add_data_argument(step)
        step.set_defaults(run=run_step, direction=name)


def run_status(arguments: argparse.Namespace) -> ExitCode:
    """Show the steps."""
    from issuer.migrations.upgrade import steps  # noqa: PLC0415 - Alembic is loaded only where it is needed

    with _register(arguments) as engine, engine.connect() as connection:
        found = version_of(connection)
    known = steps()
    done = _position(found)
    if arguments.json:
        tell_json({"register": found, "program": known[-1][0], "steps": dict(known)})
        return ExitCode.GREEN
    headers = [say(arguments, code) for code in ("MIGRATE_STEP", "MIGRATE_DONE", "MIGRATE_WHAT")]
    rows = [
        (revision, say(arguments, "MIGRATE_YES" if n <= done else "MIGRATE_NO"), text)
        for n, (revision, text) in enumerate(known, start=1)
    ]
    tell_table(headers, rows)
    return ExitCode.GREEN


def run_step(arguments: argparse.Namespace) -> ExitCode:
    """Go up or down, or print how."""
    from issuer.migrations import upgrade as migrations  # noqa: PLC0415

    down = arguments.direction == "down"
    target = arguments.revision or migrations.steps()[-1][0]
    known = [revision for revision, _ in migrations.steps()]
    # Below the first step there is no register any more: that is not what anybody wants of a command.
    if target not in known:
        raise IssuerRefusal("MIGRATE_UNKNOWN", revision=target[:40], known=", ".join(known))
    with _register(arguments) as engine:
        with engine.connect() as connection:
            found = version_of(connection)
        if _position(found) == _position(target):
            tell(say(arguments, "MIGRATE_NOTHING", revision=target))
            return ExitCode.GREEN
        if (_position(found) > _position(target)) != down:
            raise IssuerRefusal("MIGRATE_DIRECTION", register=found or "-", revision=target)
        if arguments.dry_run:
            tell(migrations.sql(engine.dialect.name, found, target, down=down))
            return ExitCode.GREEN
        with writing(engine) as session:
            go = migrations.downgrade if down else migrations.upgrade
            go(session.connection(), target)
    tell(say(arguments, "MIGRATED", revision=target))
    return ExitCode.GREEN


@contextmanager
def _register(arguments: argparse.Namespace) -> Iterator[Engine]:
    """The register as it is, without the migrations that opening it would run."""
    engine = connect_register(Workspace.open(arguments.data).database_url)
    try:
        yield engine
    finally:
        engine.dispose()


def _position(version: str | None) -> int:
    """How many steps lead to ``version``; 0 for an empty database. Raises RegisterRefusal REGISTER_NEWER."""
    from issuer.migrations.upgrade import steps  # noqa: PLC0415

    if version is None:
        return 0
    known = [revision for revision, _ in steps()]
    if version not in known:
        raise RegisterRefusal("REGISTER_NEWER", version=version)
    return known.index(version) + 1
