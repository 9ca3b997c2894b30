"""``issue``: from a register's CSV file to passes, with a report of what was wrong."""

from __future__ import annotations

import argparse
from enum import IntEnum
from pathlib import Path

from issuer.carriers import ALL_CARRIERS, parse_carriers
from issuer.commands.common import actor, add_data_argument, opened, progress_bar, say, tell, tell_json, warn
from issuer.importing.findings import FileRefused, Severity
from issuer.importing.report import write_report
from issuer.issue import IssueRequest, IssueResult, issue
from verifier.cli import Parser, chosen_time

# These say something about the command, not about a file: exit code 64, and no report of a file.
_NO_FILE_FAULTS = ("ENCODING_UNKNOWN", "FILE_UNREADABLE")


class IssueExit(IntEnum):
    """Exit codes of `issue`."""

    ACCEPTED = 0
    FILE_REFUSED = 2
    ROWS_REFUSED = 3


def add_commands(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add ``issue`` to the command line."""
    parser = commands.add_parser(
        "issue",
        help="issue the records of a CSV file",
        description="Issues the records of a CSV file. Exit code: 0 all accepted, 3 some rows refused, "
        "2 file refused. Rows that are in the register already change nothing.",
    )
    parser.add_argument("type", metavar="TYPE", help="pass type, for example resident-parking-permit")
    parser.add_argument(
        "file", metavar="FILE", type=Path, help="CSV file: own columns or the legacy register's"
    )
    add_data_argument(parser)
    parser.add_argument(
        "--out", metavar="DIR", type=Path, help="folder for passes and report (default DATA/out)"
    )
    parser.add_argument("--dry-run", action="store_true", help="check and report only")
    parser.add_argument(
        "--encoding", metavar="NAME", help="encoding of a file that is not UTF-8, e.g. cp1252"
    )
    parser.add_argument(
        "--carriers", metavar="LIST", help=f"some of {','.join(ALL_CARRIERS)} (default: all that have keys)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object as the result")
    parser.set_defaults(run=run_issue)


def run_issue(arguments: argparse.Namespace) -> int:
    """Issue a file."""
    carriers = None if arguments.carriers is None else parse_carriers(arguments.carriers)
    out: Path = arguments.out or arguments.data / "out"
    with opened(arguments) as workspace:
        request = IssueRequest(
            type_id=arguments.type,
            file=arguments.file,
            out=out,
            at=chosen_time(arguments),
            actor=actor(),
            encoding=arguments.encoding,
            carriers=carriers,
            dry_run=arguments.dry_run,
        )
        try:
            with progress_bar(say(arguments, "PROGRESS_ISSUE")) as bar:
                result = issue(workspace, request, bar)
        except FileRefused as refused:
            if refused.code in _NO_FILE_FAULTS:
                raise
            report = out / "report.csv"
            write_report(report, [refused.finding()], arguments.lang)
            warn(say(arguments, "FILE_REFUSED", sentence=refused.sentence(arguments.lang)))
            if arguments.json:
                tell_json({"refused": refused.code, "report": str(report)})
            return IssueExit.FILE_REFUSED
    report = out / "report.csv"
    write_report(report, result.findings, arguments.lang)
    _tell(arguments, result, out, report)
    # A row that entered the register but lacks a carrier is no success either.
    faulty = any(finding.severity is Severity.ERROR for finding in result.findings)
    return IssueExit.ROWS_REFUSED if result.refused or faulty else IssueExit.ACCEPTED


def _tell(arguments: argparse.Namespace, result: IssueResult, out: Path, report: Path) -> None:
    counts = {
        "accepted": result.accepted,
        "unchanged": result.unchanged,
        "refused": result.refused,
        "made": result.made,
    }
    if not result.fees_checked:
        warn(say(arguments, "ISSUE_NO_FEES"))
    if result.unsealed:
        warn(say(arguments, "ISSUE_UNSEALED"))
    if result.left_out:
        warn(say(arguments, "ISSUE_LEFT_OUT", carriers=", ".join(result.left_out)))
    if arguments.json:
        more = {"report": str(report), "out": str(out), "fees_checked": result.fees_checked}
        tell_json({**counts, **more, "dry_run": arguments.dry_run, "findings": len(result.findings)})
        return
    tell(say(arguments, "ISSUE_DRY" if arguments.dry_run else "ISSUED", folder=out, **counts))
    if result.findings:
        tell(say(arguments, "ISSUE_REPORT", file=report))
