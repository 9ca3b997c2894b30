"""``nightly``: the night's work by hand, what it would do, and what it has done."""

from __future__ import annotations

import argparse
from datetime import datetime

from issuer.application import Application
from issuer.commands.common import add_data_argument, say, tell, tell_json, tell_table
from issuer.nightly import certificates, reports
from issuer.nightly.run import preview, run_night
from passes.periods import BERLIN, berlin_day
from verifier.cli import Parser, chosen_time
from verifier.verdict import ExitCode

_SHOWN = 60


def add_commands(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add ``nightly`` to the command line."""
    parser = commands.add_parser(
        "nightly", help="expiry, reminders, warnings and deletion runs: preview, run, proof"
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--preview", action="store_true", help="say what would be done now; changes nothing")
    what.add_argument("--run", action="store_true", dest="run_now", help="do it now")
    what.add_argument("--report", action="store_true", help="what the last nights have done")
    parser.add_argument("--json", action="store_true")
    add_data_argument(parser)
    parser.set_defaults(run=run_nightly)


def run_nightly(arguments: argparse.Namespace) -> ExitCode:
    """Preview, run or report."""
    at = chosen_time(arguments)
    with Application.open(arguments.data, lambda: at) as application:
        if arguments.report:
            return _report(arguments, application)
        if arguments.preview:
            parts = preview(application)
            done = "NIGHTLY_PREVIEWED"
        else:
            before = _of_today(application)
            run_night(application)
            parts = _difference(before, _of_today(application))
            done = "NIGHTLY_RAN"
        warned = certificates.warnings(application)
    if arguments.json:
        tell_json({"parts": parts, "warnings": [one.sentence(arguments.lang) for one in warned]})
        return ExitCode.GREEN
    rows = [[part, name, str(count)] for part, counts in parts.items() for name, count in counts.items()]
    if rows:
        tell_table([say(arguments, f"NIGHTLY_{name}") for name in ("PART", "WHAT", "COUNT")], rows)
    else:
        tell(say(arguments, "NIGHTLY_NOTHING"))
    for one in warned:
        tell(one.sentence(arguments.lang))
    tell(say(arguments, done))
    return ExitCode.GREEN


def _report(arguments: argparse.Namespace, application: Application) -> ExitCode:
    with application.reading() as session:
        rows = reports.newest(session, application.tenant, _SHOWN)
    if arguments.json:
        tell_json(
            [
                {
                    "day": row.day.isoformat(),
                    "part": row.name,
                    "started_at": _time(row.started_at),
                    "finished_at": _time(row.finished_at) or None,
                    "counts": row.report,
                }
                for row in rows
            ]
        )
        return ExitCode.GREEN
    headers = [say(arguments, f"NIGHTLY_{name}") for name in ("DAY", "PART", "STARTED", "FINISHED", "COUNT")]
    cells = [
        [
            row.day.isoformat(),
            row.name,
            _time(row.started_at),
            _time(row.finished_at),
            " ".join(f"{name}={count}" for name, count in row.report.items()),
        ]
        for row in rows
    ]
    tell_table(headers, cells)
    return ExitCode.GREEN


def _time(at: datetime | None) -> str:
    return at.astimezone(BERLIN).isoformat(timespec="seconds") if at is not None else ""


def _of_today(application: Application) -> dict[str, dict[str, int]]:
    today = berlin_day(application.now())
    with application.reading() as session:
        return {row.name: row.report for row in reports.of_day(session, application.tenant, today)}


def _difference(
    before: dict[str, dict[str, int]], after: dict[str, dict[str, int]]
) -> dict[str, dict[str, int]]:
    """What this run has added to the reports of the day, to which the worker's night belongs as well."""
    return {
        part: {
            name: count - before.get(part, {}).get(name, 0)
            for name, count in counts.items()
            if count != before.get(part, {}).get(name, 0)
        }
        for part, counts in after.items()
    }
