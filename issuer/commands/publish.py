"""``publish`` and ``audit verify``: what the outside gets, and whether the trail is whole."""

from __future__ import annotations

import argparse
from pathlib import Path

from issuer import audit
from issuer.commands.common import add_data_argument, opened, progress_bar, say, tell, tell_json, warn
from issuer.database import reading
from issuer.errors import IssuerRefusal
from issuer.publish import publish
from verifier.cli import Parser, chosen_time
from verifier.verdict import ExitCode


def add_commands(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add ``publish`` and ``audit`` to the command line."""
    out = commands.add_parser("publish", help="write root key, trust bundle, status lists and plate list")
    add_data_argument(out)
    out.add_argument("--out", metavar="DIR", type=Path, required=True, help="folder for the published files")
    out.add_argument("--json", action="store_true")
    out.set_defaults(run=run_publish)
    trail = commands.add_parser("audit", help="the audit trail")
    actions = trail.add_subparsers(required=True, metavar="ACTION")
    verify = actions.add_parser("verify", help="check the chain of hashes from first to last entry")
    add_data_argument(verify)
    verify.add_argument("--noted", metavar="NUMBER:HASH", help="an entry written down earlier, outside")
    verify.add_argument("--json", action="store_true")
    verify.set_defaults(run=run_audit_verify)


def run_publish(arguments: argparse.Namespace) -> ExitCode:
    """Publish everything."""
    at = chosen_time(arguments)
    with opened(arguments) as workspace, progress_bar(say(arguments, "PROGRESS_PUBLISH")) as bar:
        done = publish(workspace, arguments.out, at, lambda count, total, _name: bar(count, total))
    if done.root_missing:
        warn(say(arguments, "PUBLISHED_OLD_BUNDLE"))
    if arguments.json:
        counts = {"status_lists": done.status_lists, "plates": done.plates}
        tell_json({"bundle": done.bundle_sequence, **counts, "root_missing": done.root_missing})
    else:
        tell(say(arguments, "PUBLISHED", folder=arguments.out, lists=done.status_lists, plates=done.plates))
    return ExitCode.GREEN


def run_audit_verify(arguments: argparse.Namespace) -> ExitCode:
    """Check the audit trail: exit code 0 for a whole chain, 1 for a broken one."""
    noted = None
    if arguments.noted is not None:
        number, _, digest = arguments.noted.partition(":")
        if not (number.isascii() and number.isdigit() and len(digest) == 64):
            raise IssuerRefusal("AUDIT_NOTED", text=arguments.noted)
        noted = int(number), digest
    with opened(arguments) as workspace, reading(workspace.engine) as session:
        report = audit.verify(session, workspace.tenant, noted)
    if arguments.json:
        tell_json(
            {"entries": report.entries, "head": report.head, "fault": report.fault, "at": report.broken_at}
        )
    elif report.fault is None:
        tell(say(arguments, "AUDIT_WHOLE", entries=report.entries, head=report.head))
    if report.fault is not None:
        warn(say(arguments, report.fault, entry=report.broken_at))
        return ExitCode.RED
    return ExitCode.GREEN
