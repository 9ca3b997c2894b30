"""``staff``: the accounts of the people of the office; the first one is made here."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.commands.common import actor, add_data_argument, say, tell, tell_json, tell_table
from issuer.errors import IssuerRefusal
from issuer.models_staff import StaffAccountRow
from issuer.staff import accounts
from issuer.staff.permissions import Role
from passes.periods import BERLIN
from verifier.cli import Parser, chosen_time
from verifier.verdict import ExitCode

_COLUMNS = ("login", "name", "roles", "state", "last_login_at", "id")


def add_commands(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add ``staff`` to the command line."""
    parser = commands.add_parser("staff", help="accounts of the office: invite, list, lock, roles, reset")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    invite = actions.add_parser("invite", help="make an account; its one-time link is shown once")
    invite.add_argument("login", metavar="NAME", help="log-in name: mail address, or a name without blanks")
    invite.add_argument("--name", metavar="NAME", help="name that people read (default: the log-in name)")
    _add_roles(invite)
    invite.add_argument("--json", action="store_true")
    add_data_argument(invite)
    invite.set_defaults(run=run_invite)
    show = actions.add_parser("list", help="list all accounts")
    show.add_argument("--json", action="store_true")
    add_data_argument(show)
    show.set_defaults(run=run_list)
    roles = actions.add_parser("roles", help="give an account other roles; its sessions end")
    roles.add_argument("login", metavar="NAME")
    _add_roles(roles)
    add_data_argument(roles)
    roles.set_defaults(run=run_roles)
    for name, run, text in (
        ("lock", run_lock, "lock an account; its sessions end"),
        ("unlock", run_unlock, "let a locked account in again"),
    ):
        step = actions.add_parser(name, help=text)
        step.add_argument("login", metavar="NAME")
        add_data_argument(step)
        step.set_defaults(run=run)
    reset = actions.add_parser("reset", help="forget password and second factor; shows a new link once")
    reset.add_argument("login", metavar="NAME")
    reset.add_argument("--json", action="store_true")
    add_data_argument(reset)
    reset.set_defaults(run=run_reset)


def run_invite(arguments: argparse.Namespace) -> ExitCode:
    """Make an account and print its link."""
    with _application(arguments) as application, application.writing() as session:
        account_id, link = accounts.invite(
            session,
            application,
            arguments.login,
            arguments.name or arguments.login,
            map(Role, arguments.role),
            actor=actor(),
        )
    _tell_link(arguments, "STAFF_INVITED", account_id, link)
    return ExitCode.GREEN


def run_list(arguments: argparse.Namespace) -> ExitCode:
    """List the accounts."""
    with _application(arguments) as application, application.reading() as session:
        rows = [_described(row) for row in accounts.accounts(session, application)]
    if arguments.json:
        tell_json(rows)
        return ExitCode.GREEN
    headers = [say(arguments, f"STAFF_COLUMN_{column.upper()}") for column in _COLUMNS]
    tell_table(headers, [[_cell(row[column]) for column in _COLUMNS] for row in rows])
    return ExitCode.GREEN


def run_roles(arguments: argparse.Namespace) -> ExitCode:
    """Give an account other roles."""
    roles = [Role(one) for one in arguments.role]
    _step(
        arguments,
        lambda session, application, row: accounts.set_roles(
            session, application, row.id, roles, actor=actor()
        ),
    )
    told = " ".join(sorted(roles))
    tell(say(arguments, "STAFF_ROLES_SET", login=arguments.login, roles=told))
    return ExitCode.GREEN


def run_lock(arguments: argparse.Namespace) -> ExitCode:
    """Lock an account."""
    _step(
        arguments,
        lambda session, application, row: accounts.lock(session, application, row.id, actor=actor()),
    )
    tell(say(arguments, "STAFF_NOW_LOCKED", login=arguments.login))
    return ExitCode.GREEN


def run_unlock(arguments: argparse.Namespace) -> ExitCode:
    """Let a locked account in again."""
    _step(
        arguments,
        lambda session, application, row: accounts.unlock(session, application, row.id, actor=actor()),
    )
    tell(say(arguments, "STAFF_UNLOCKED", login=arguments.login))
    return ExitCode.GREEN


def run_reset(arguments: argparse.Namespace) -> ExitCode:
    """Forget an account's password and second factor, and print a new link."""
    with _application(arguments) as application, application.writing() as session:
        row = _named(session, application, arguments.login)
        link = accounts.reset(session, application, row.id, actor=actor())
    _tell_link(arguments, "STAFF_RESET_DONE", row.id, link)
    return ExitCode.GREEN


def _add_roles(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--role",
        action="append",
        required=True,
        choices=[role.value for role in Role],
        help="what the person may do; several times if needed",
    )


def _step(
    arguments: argparse.Namespace, step: Callable[[Session, Application, StaffAccountRow], None]
) -> None:
    with _application(arguments) as application, application.writing() as session:
        step(session, application, _named(session, application, arguments.login))


def _named(session: Session, application: Application, login: str) -> StaffAccountRow:
    row = accounts.find_by_login(session, application, accounts.normalised_login(login))
    if row is None:
        raise IssuerRefusal("STAFF_UNKNOWN")
    return row


@contextmanager
def _application(arguments: argparse.Namespace) -> Iterator[Application]:
    at = chosen_time(arguments)
    with Application.open(arguments.data, lambda: at) as application:
        yield application


def _tell_link(arguments: argparse.Namespace, code: str, account_id: str, link: str) -> None:
    if arguments.json:
        tell_json({"id": account_id, "link": link})
        return
    tell(say(arguments, code, login=arguments.login))
    tell(link)


def _described(row: StaffAccountRow) -> dict[str, object]:
    return {
        "id": row.id,
        "login": row.login,
        "name": row.display_name,
        "roles": row.roles,
        "state": row.state,
        "last_login_at": row.last_login_at.astimezone(BERLIN).isoformat() if row.last_login_at else None,
    }


def _cell(value: object) -> str:
    if isinstance(value, list):
        return " ".join(value)
    return "" if value is None else str(value)
