"""``clients``: the systems that may use the API."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from issuer.api.clients import KEY, OAUTH, Issued, add_client, clients, revoke_client, rotate_client
from issuer.api.scopes import DESCRIPTIONS, Scope
from issuer.application import Application
from issuer.commands.common import actor, add_data_argument, say, tell, tell_json, tell_table
from issuer.models_access import ApiClientRow
from passes.periods import BERLIN
from verifier.cli import Parser, chosen_time
from verifier.verdict import ExitCode


def add_commands(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add ``clients`` to the command line."""
    parser = commands.add_parser("clients", help="systems that may use the API: keys and OAuth clients")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    add = actions.add_parser("add", help="add a client; its secret is shown once")
    add.add_argument("name", metavar="NAME", help="name of the system, as the audit trail shows it")
    scopes = "; ".join(f"{scope.value}: {text}" for scope, text in DESCRIPTIONS.items())
    add.add_argument(
        "--scope",
        action="append",
        required=True,
        choices=[scope.value for scope in Scope],
        metavar="SCOPE",
        help=f"what it may do, several times if needed ({scopes})",
    )
    add.add_argument("--oauth", action="store_true", help="OAuth client credentials instead of an API key")
    add.add_argument("--expires-days", type=_days, metavar="N", help="ends after N days (default: never)")
    add.add_argument("--json", action="store_true")
    add_data_argument(add)
    add.set_defaults(run=run_add)
    show = actions.add_parser("list", help="list all clients, without secrets")
    show.add_argument("--json", action="store_true")
    add_data_argument(show)
    show.set_defaults(run=run_list)
    rotate = actions.add_parser("rotate", help="give a client a new secret")
    rotate.add_argument("id", metavar="ID")
    rotate.add_argument(
        "--overlap-hours",
        type=int,
        default=24,
        metavar="N",
        help="how long the old secret still holds, 0 to 720 (default: 24)",
    )
    rotate.add_argument("--json", action="store_true")
    add_data_argument(rotate)
    rotate.set_defaults(run=run_rotate)
    revoke = actions.add_parser("revoke", help="end a client at once and for good")
    revoke.add_argument("id", metavar="ID")
    add_data_argument(revoke)
    revoke.set_defaults(run=run_revoke)


def run_add(arguments: argparse.Namespace) -> ExitCode:
    """Add a client and print its secret."""
    with _application(arguments) as application:
        days = arguments.expires_days
        expires_at = None if days is None else application.now() + timedelta(days=days)
        with application.writing() as session:
            issued = add_client(
                session,
                application,
                arguments.name,
                [Scope(one) for one in arguments.scope],
                kind=OAUTH if arguments.oauth else KEY,
                actor=actor(),
                expires_at=expires_at,
            )
    _tell_secret(arguments, issued, "CLIENT_ADDED_OAUTH" if arguments.oauth else "CLIENT_ADDED_KEY")
    return ExitCode.GREEN


def run_list(arguments: argparse.Namespace) -> ExitCode:
    """List the clients."""
    with _application(arguments) as application, application.reading() as session:
        rows, at = clients(session, application.tenant), application.now()
    if arguments.json:
        tell_json([_described(row, at) for row in rows])
        return ExitCode.GREEN
    columns = ("id", "name", "kind", "state", "scopes", "expires_at", "last_used_on")
    headers = [say(arguments, f"CLIENTS_{column.upper()}") for column in columns]
    cells = [_described(row, at) for row in rows]
    tell_table(headers, [[_cell(one[column]) for column in columns] for one in cells])
    return ExitCode.GREEN


def run_rotate(arguments: argparse.Namespace) -> ExitCode:
    """Give a client a new secret and print it."""
    # A value that no overlap has is refused by `rotate_client`; a timedelta must only be able to hold it.
    overlap = timedelta(hours=max(-1, min(arguments.overlap_hours, 10_000)))
    with _application(arguments) as application, application.writing() as session:
        issued = rotate_client(session, application, arguments.id, overlap=overlap, actor=actor())
    _tell_secret(arguments, issued, "CLIENT_ROTATED", hours=arguments.overlap_hours)
    return ExitCode.GREEN


def run_revoke(arguments: argparse.Namespace) -> ExitCode:
    """Revoke a client."""
    with _application(arguments) as application, application.writing() as session:
        revoke_client(session, application, arguments.id, actor=actor())
    tell(say(arguments, "CLIENT_ENDED", id=arguments.id))
    return ExitCode.GREEN


@contextmanager
def _application(arguments: argparse.Namespace) -> Iterator[Application]:
    at = chosen_time(arguments)
    with Application.open(arguments.data, lambda: at) as application:
        yield application


def _tell_secret(arguments: argparse.Namespace, issued: Issued, code: str, **params: object) -> None:
    if arguments.json:
        tell_json({"id": issued.id, "secret": issued.secret})
        return
    tell(say(arguments, code, id=issued.id, **params))
    tell(issued.secret)


def _described(row: ApiClientRow, at: datetime) -> dict[str, object]:
    ended = row.expires_at is not None and row.expires_at <= at
    return {
        "id": row.id,
        "name": row.name,
        "kind": row.kind,
        "state": "revoked" if row.revoked_at else "expired" if ended else "active",
        "scopes": row.scopes,
        "created_at": row.created_at.astimezone(BERLIN).isoformat(),
        "expires_at": row.expires_at.astimezone(BERLIN).isoformat() if row.expires_at else None,
        "previous_until": row.previous_until.astimezone(BERLIN).isoformat() if row.previous_until else None,
        "last_used_on": row.last_used_on.isoformat() if row.last_used_on else None,
    }


def _cell(value: object) -> str:
    if isinstance(value, list):
        return " ".join(value)
    return "" if value is None else str(value)


def _days(text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= 3660:
        return int(text)
    raise argparse.ArgumentTypeError("1 to 3660")
