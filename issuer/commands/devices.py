"""``devices``: the devices of wardens and librarians."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

from issuer import device_enrolment, verifier_devices
from issuer.application import Application
from issuer.commands.common import actor, add_data_argument, say, tell, tell_json, tell_table, warn
from issuer.commands.device_waiting import running_clock, wait_and_confirm
from issuer.models_access import VerifierDeviceRow
from issuer.verifier_devices import Role
from keys.private_files import create_private
from passes.periods import BERLIN
from passes.qr import QUIET_ZONE, link_matrix, link_png
from verifier.cli import Parser, chosen_time
from verifier.verdict import ExitCode

_STEPS: dict[str, tuple[Callable[..., None], str, str]] = {
    "lock": (verifier_devices.lock_device, "DEVICE_NOW_LOCKED", "give a device no plate list any more"),
    "unlock": (verifier_devices.unlock_device, "DEVICE_UNLOCKED", "let a locked device fetch again"),
    "delete": (verifier_devices.delete_device, "DEVICE_DELETED", "forget a device for good"),
}


def add_commands(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add ``devices`` to the command line."""
    parser = commands.add_parser("devices", help="devices of wardens and librarians: invite, list, lock")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    add = actions.add_parser("add", help="enrol a device that syncs a folder; its token is shown once")
    add.add_argument("name", metavar="NAME", help="what the office calls it; no name of a person")
    add.add_argument("--role", choices=[one.value for one in Role], default=Role.WARDEN.value)
    add.add_argument(
        "--zone", action="append", default=[], metavar="Z", help="zone of a warden's device (default: all)"
    )
    add.add_argument("--json", action="store_true")
    add_data_argument(add)
    add.set_defaults(run=run_add)
    invite = actions.add_parser("invite", help="a QR code for a device to open the verifier's app with")
    invite.add_argument("name", metavar="NAME", help="what the office calls it; no name of a person")
    invite.add_argument("--role", choices=[one.value for one in Role], required=True)
    invite.add_argument(
        "--zone", action="append", default=[], metavar="Z", help="zone of a warden's device (default: all)"
    )
    invite.add_argument("--png", metavar="FILE", type=Path, help="write the QR code into a new file")
    way = invite.add_mutually_exclusive_group()
    way.add_argument("--json", action="store_true")
    way.add_argument(
        "--wait", action="store_true", help="stay for the device, ask for its digits and confirm it"
    )
    add_data_argument(invite)
    invite.set_defaults(run=run_invite)
    confirm = actions.add_parser("confirm", help="let in a device that has been invited")
    confirm.add_argument("id", metavar="ID", help="id from 'devices invite' or 'devices list'")
    confirm.add_argument("check_code", metavar="CHECK_CODE", nargs="+", help="six digits that it shows")
    add_data_argument(confirm)
    confirm.set_defaults(run=run_confirm)
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
    """Invite a device: its address as text, as a QR code in the terminal, and on demand as a picture."""
    with Application.open(arguments.data, running_clock(chosen_time(arguments))) as application:
        with application.writing() as session:
            made = device_enrolment.invite_device(
                session, application, arguments.name, Role(arguments.role), arguments.zone, actor=actor()
            )
            if arguments.png is not None:
                # Readable by its owner alone, and before the invitation counts.
                create_private(arguments.png, link_png(made.url))
        if arguments.json:
            tell_json(
                {"id": made.id, "url": made.url, "code": made.code, "expires_at": _moment(made.expires_at)}
            )
            return ExitCode.GREEN
        # The address alone goes to standard output, so that it can be led elsewhere.
        tell(made.url)
        sys.stdout.flush()
        warn(_drawn(made.url))
        if arguments.wait:
            warn(say(arguments, "DEVICE_INVITED_HERE"))
            wait_and_confirm(application, made, partial(say, arguments), arguments.lang)
            warn(say(arguments, "DEVICE_CONFIRMED", id=made.id))
        else:
            until = made.expires_at.astimezone(BERLIN).strftime("%H:%M")
            warn(say(arguments, "DEVICE_INVITED", id=made.id, until=until))
    return ExitCode.GREEN


def run_confirm(arguments: argparse.Namespace) -> ExitCode:
    """Let in a device."""
    digits = "".join(arguments.check_code)
    with _application(arguments) as application:
        device_enrolment.confirm_device(application, arguments.id, digits, actor=actor())
    tell(say(arguments, "DEVICE_CONFIRMED", id=arguments.id))
    return ExitCode.GREEN


def run_list(arguments: argparse.Namespace) -> ExitCode:
    """List the devices."""
    with _application(arguments) as application, application.reading() as session:
        rows = [
            _described(one)
            for one in verifier_devices.devices(session, application.tenant, application.now())
        ]
    if arguments.json:
        tell_json(rows)
        return ExitCode.GREEN
    columns = ("id", "name", "role", "zones", "state", "created_at", "last_sync_at", "lease_until")
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
        row = verifier_devices.find_device(session, application.tenant, arguments.id, application.now())
        lease_until = row.lease_until
        step(session, application, arguments.id, actor=actor())
        readable = lease_until is not None and lease_until > application.now()
    tell(say(arguments, sentence, id=arguments.id))
    if lease_until is not None and readable and arguments.step != "unlock":
        until = lease_until.astimezone(BERLIN).strftime("%d.%m.%Y %H:%M")
        tell(say(arguments, "DEVICE_READABLE_UNTIL", until=until))
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
        "state": verifier_devices.state_of(row).value,
        "created_at": _moment(row.created_at),
        "created_by": row.created_by,
        "last_sync_at": _moment(row.last_sync_at),
        "locked_at": _moment(row.locked_at),
        "lease_until": _moment(row.lease_until),
        "expires_at": _moment(row.expires_at),
    }


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(BERLIN).isoformat(timespec="seconds")


def _drawn(address: str) -> str:
    """``address`` as a QR code of half blocks, light on dark as terminals mostly are, with its quiet zone."""
    rows = link_matrix(address).rows
    side = bytes(QUIET_ZONE)
    empty = bytes(len(rows[0]) + 2 * QUIET_ZONE)
    framed = [*[empty] * QUIET_ZONE, *(side + row + side for row in rows), *[empty] * QUIET_ZONE]
    if len(framed) % 2:
        framed.append(empty)
    blocks = {(0, 0): "█", (0, 1): "▀", (1, 0): "▄", (1, 1): " "}
    pairs = zip(framed[::2], framed[1::2], strict=True)
    return "\n".join("".join(blocks[one] for one in zip(*pair, strict=True)) for pair in pairs)


def _cell(value: object) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value or "")
