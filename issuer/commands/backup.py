"""``backup`` and ``restore``."""

from __future__ import annotations

import argparse
import getpass
import os
from pathlib import Path

from issuer import backup, restore
from issuer.backup_file import is_encrypted
from issuer.commands.common import actor, add_data_argument, opened, say, tell, warn
from issuer.errors import IssuerRefusal
from issuer.restore import RestoreReport, RestoreRequest
from issuer.workspace import KEY_FILE
from keys.store import KeyFile, Passphrase, Unlock
from passes.periods import BERLIN
from verifier.cli import Parser, chosen_time
from verifier.verdict import ExitCode

PASSPHRASE_VARIABLE = "STADTPASS_BACKUP_PASSPHRASE"  # noqa: S105 - the name of a variable
KEY_FILE_VARIABLE = "STADTPASS_BACKUP_KEY_FILE"


def add_commands(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add ``backup`` and ``restore`` to the command line."""
    make = commands.add_parser("backup", help="back up register, keys and settings while the service runs")
    make.add_argument("--out", metavar="FILE", type=Path, required=True, help="new file for the backup")
    make.add_argument("--plain", action="store_true", help="do not encrypt: everybody who has it can read it")
    add_data_argument(make)
    make.set_defaults(run=run_backup)
    back = commands.add_parser("restore", help="restore a backup into an empty folder (and database)")
    back.add_argument("--from", dest="file", metavar="FILE", type=Path, required=True, help="the backup")
    back.add_argument(
        "--database-url", default="", metavar="URL", help="restore the register to this database"
    )
    back.add_argument(
        "--revocations",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="the newest revocations.log, once for each machine (the one in DIR is read anyway)",
    )
    back.add_argument(
        "--accept-backup-log",
        action="store_true",
        help="nothing was revoked since the backup, or it does not matter: what was holds again",
    )
    back.add_argument(
        "--published", metavar="DIR", type=Path, help="folder with the status lists published last"
    )
    back.add_argument(
        "--keep-credentials",
        action="store_true",
        help="no API client, verifier device or webhook was locked since the backup: leave them as they were",
    )
    add_data_argument(back)
    back.set_defaults(run=run_restore)


def run_backup(arguments: argparse.Namespace) -> ExitCode:
    """Write a backup."""
    secret = None
    if arguments.plain:
        warn(say(arguments, "BACKUP_PLAIN", file=arguments.out))
    else:
        secret = _secret(confirm=True)
    with opened(arguments) as workspace:
        report = backup.back_up(workspace, arguments.out, chosen_time(arguments), secret)
        without_key_file = (arguments.data / KEY_FILE).is_file()
    size = f"{report.size / 1_000_000:.1f}"
    tell(say(arguments, "BACKUP_DONE", file=arguments.out, rows=report.rows, files=report.files, size=size))
    if without_key_file:
        warn(say(arguments, "BACKUP_KEY_FILE", file=arguments.data / KEY_FILE))
    return ExitCode.GREEN


def run_restore(arguments: argparse.Namespace) -> ExitCode:
    """Restore a backup and say what has come of it."""
    with arguments.file.open("rb") as file:
        secret = _secret(confirm=False) if is_encrypted(file) else None
    report = restore.restore(
        RestoreRequest(
            folder=arguments.data,
            file=arguments.file,
            at=chosen_time(arguments),
            actor=actor(),
            secret=secret,
            database_url=arguments.database_url,
            revocations=tuple(arguments.revocations),
            accept_backup_log=arguments.accept_backup_log,
            published=arguments.published,
            keep_credentials=arguments.keep_credentials,
        )
    )
    _tell_report(arguments, report)
    return ExitCode.GREEN


def _tell_report(arguments: argparse.Namespace, report: RestoreReport) -> None:
    done = report.reconciled
    when = report.created_at.astimezone(BERLIN).strftime("%d.%m.%Y %H:%M")
    tell(say(arguments, "RESTORED", folder=arguments.data, when=when, rows=report.rows, files=report.files))
    tell(
        say(
            arguments,
            "RESTORED_REVOKED",
            passes=done.passes,
            keys=done.keys,
            suspended=done.suspended,
            places=done.places,
        )
    )
    if done.superseded:
        tell(say(arguments, "RESTORED_SUPERSEDED", count=done.superseded))
    if done.cards:
        tell(say(arguments, "RESTORED_CARDS", count=done.cards))
    for type_id, number in done.renumber:
        warn(say(arguments, "RESTORED_RENUMBER", number=number, type=type_id))
    for type_id, number in done.reissue:
        warn(say(arguments, "RESTORED_REISSUE", number=number, type=type_id))
    if arguments.keep_credentials:
        warn(say(arguments, "RESTORED_OPEN"))
    else:
        locked = {"clients": done.clients, "devices": done.devices, "webhooks": done.webhooks}
        warn(say(arguments, "RESTORED_LOCKED", **locked))
    warn(say(arguments, "RESTORED_CHECK"))


def _secret(*, confirm: bool) -> Unlock:
    if chosen := os.environ.get(KEY_FILE_VARIABLE):
        return KeyFile(Path(chosen))
    if passphrase := os.environ.get(PASSPHRASE_VARIABLE):
        return Passphrase(passphrase)
    if not os.isatty(0):
        raise IssuerRefusal("BACKUP_NO_SECRET", variable=PASSPHRASE_VARIABLE, key_file=KEY_FILE_VARIABLE)
    entered = getpass.getpass("Passphrase: ")
    if confirm and getpass.getpass("Passphrase (again): ") != entered:
        raise IssuerRefusal("PASSPHRASE_DIFFERS")
    return Passphrase(entered)
