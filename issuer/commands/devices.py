"""``devices``: the devices of wardens and librarians."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from issuer import device_enrolment, verifier_devices
from issuer.application import Application
from issuer.commands.common import actor, add_data_argument, say, tell, tell_json, tell_table, warn
from issuer.errors import IssuerRefusal
from issuer.models_access import VerifierDeviceRow
from issuer.verifier_devices import Role
from passes.periods import BERLIN
from verifier.cli import Parser, chosen_time
from verifier.verdict import ExitCode

_STEPS: dict[str, tuple[Callable[..., None], str, str]] = {
    "lock": (verifier_devices.lock_device, "DEVICE_LOCKED", "give a device no plate list any more"),
    "unlock": (verifier_devices.unlock_device, "DEVICE_UNLOCKED", "let a locked device fetch again"),
    "delete": (verifier_devices.delete_device, "DEVICE_DELETED", "forget a device for good"),
}


def add_commands(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add ``devices`` to the command line."""
    parser = commands.add_parser("devices", help="devices that fetch the plate list: add, list, lock")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    add = actions.add_parser("add", help="enrol a device; its token is shown once")
    add.add_argument("name", metavar="NAME", help="what the office calls it; no name of a person")
    add.add_argument("--role", choices=[one.value for one in Role], default=Role.WARDEN.value)
    add.add_argument(
        "--zone", action="append", default=[], metavar="Z", help="zone of a warden's device (default: all)"
    )
    add.add_argument("--json", action="store_true")
    add_data_argument(add)
    add.set_defaults(run=run_add)
    invited = actions.add_parser("invite", help="let one device enrol its own key within ten minutes")
    invited.add_argument("name", metavar="NAME", help="what the office calls it; no name of a person")
    invited.add_argument("--role", choices=[one.value for one in Role], default=Role.WARDEN.value)
    invited.add_argument("--zone", action="append", default=[], metavar="Z")
    invited.add_argument("--json", action="store_true")
    add_data_argument(invited)
    invited.set_defaults(run=run_invite)
    confirming = actions.add_parser("confirm", help="confirm an enrolled device by the code that it shows")
    confirming.add_argument("id", metavar="ID")
    confirming.add_argument("check_code", metavar="CHECK_CODE")
    add_data_argument(confirming)
    confirming.set_defaults(run=run_confirm)
    listing = actions.add_parser("list", help="list all devices, the locked ones too")
    listing.add_argument("--json", action="store_true")
    add_data_argument(listing)
    listing.set_defaults(run=run_list)
    rename = actions.add_parser("rename", help="call a device something else")
    rename.add_argument("id", metavar="ID")
    rename.add_argument("name", metavar="NAME")
    add_data_argument(rename)
    rename.set_defaults(run=run_rename)
    for name, (_, _, text) in _STEPS.items():
        step = actions.add_parser(name, help=text)
        step.add_argument("id", metavar="ID", help="id from 'devices list'")
        add_data_argument(step)
        step.set_defaults(run=run_step, step=name)


def run_add(arguments: argparse.Namespace) -> ExitCode:
    """Enrol a device and print its token."""
    with _application(arguments) as application, application.writing() as session:
        made = verifier_devices.add_device(
            session, application, arguments.name, Role(arguments.role), arguments.zone, actor=actor()
        )
    if arguments.json:
        tell_json({"id": made.id, "token": made.token})
        return ExitCode.GREEN
    # The token alone goes to standard output, so that it can be led into a file.
    tell(made.token)
    warn(say(arguments, "DEVICE_ADDED"))
    return ExitCode.GREEN


def run_invite(arguments: argparse.Namespace) -> ExitCode:
    """Invite a device and print the id it will have, and the code to enrol with."""
    with _application(arguments) as application, application.writing() as session:
        made = device_enrolment.invite(
            session, application, arguments.name, Role(arguments.role), arguments.zone, actor=actor()
        )
    if arguments.json:
        tell_json({"id": made.id, "code": made.code, "expires_at": _moment(made.expires_at)})
    else:
        tell(f"{made.id} {made.code}")
    return ExitCode.GREEN


def run_confirm(arguments: argparse.Namespace) -> ExitCode:
    """Confirm a device by its check code."""
    with _application(arguments) as application, application.writing() as session:
        fits = device_enrolment.confirm(
            session, application, arguments.id, arguments.check_code, actor=actor()
        )
    if not fits:
        raise IssuerRefusal("DEVICE_CHECK_CODE")
    tell(say(arguments, "DEVICE_CONFIRMED", id=arguments.id))
    return ExitCode.GREEN


def run_list(arguments: argparse.Namespace) -> ExitCode:
    """List the devices."""
    with _application(arguments) as application, application.reading() as session:
        rows = [_described(one) for one in verifier_devices.devices(session, application.tenant)]
    if arguments.json:
        tell_json(rows)
        return ExitCode.GREEN
    columns = ("id", "name", "role", "zones", "created_at", "last_sync_at", "locked_at")
    headers = [say(arguments, f"DEVICES_{column.upper()}") for column in columns]
    tell_table(headers, [[_cell(one[column]) for column in columns] for one in rows])
    return ExitCode.GREEN


def run_rename(arguments: argparse.Namespace) -> ExitCode:
    """Rename a device."""
    with _application(arguments) as application, application.writing() as session:
        verifier_devices.rename_device(session, application, arguments.id, arguments.name, actor=actor())
    tell(say(arguments, "DEVICE_RENAMED", id=arguments.id))
    return ExitCode.GREEN


def run_step(arguments: argparse.Namespace) -> ExitCode:
    """Lock, unlock or delete a device."""
    step, sentence, _ = _STEPS[arguments.step]
    with _application(arguments) as application, application.writing() as session:
        step(session, application, arguments.id, actor=actor())
    tell(say(arguments, sentence, id=arguments.id))
    return ExitCode.GREEN


@contextmanager
def _application(arguments: argparse.Namespace) -> Iterator[Application]:
    at = chosen_time(arguments)
    with Application.open(arguments.data, lambda: at) as application:
        yield application


def _described(row: VerifierDeviceRow) -> dict[str, object]:
    return {
        "id": row.id,
        "name": row.name,
        "role": row.role,
        "zones": row.zones,
        "created_at": _moment(row.created_at),
        "created_by": row.created_by,
        "last_sync_at": _moment(row.last_sync_at),
        "locked_at": _moment(row.locked_at),
    }


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(BERLIN).isoformat(timespec="seconds")


def _cell(value: object) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value or "")
