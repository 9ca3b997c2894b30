"""``data-protection record|dpia|deletions``: what the data protection officer asks for."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from issuer.application import Application
from issuer.commands.common import add_data_argument, say, tell, tell_json, tell_table
from issuer.data_protection.deletions import coming, proofs
from issuer.data_protection.dpia import make_dpia
from issuer.data_protection.record import as_json, make_record
from keys.texts import texts
from passes.periods import BERLIN
from verifier.cli import Parser, chosen_time
from verifier.verdict import ExitCode

_SHOWN = 90


def add_commands(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add ``data-protection`` to the command line."""
    parser = commands.add_parser(
        "data-protection", help="record of processing (Art. 30), impact assessment (Art. 35), deletion runs"
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    record = actions.add_parser("record", help="the record of processing, from the real configuration")
    record.add_argument("--json", action="store_true")
    add_data_argument(record)
    record.set_defaults(run=run_record)
    dpia = actions.add_parser(
        "dpia", help="draft of the impact assessment with its facts filled in (Markdown)"
    )
    add_data_argument(dpia)
    dpia.set_defaults(run=run_dpia)
    deletions = actions.add_parser("deletions", help="what deletion runs have deleted")
    deletions.add_argument("--preview", action="store_true", help="what would be deleted now")
    deletions.add_argument("--json", action="store_true")
    add_data_argument(deletions)
    deletions.set_defaults(run=run_deletions)


def run_record(arguments: argparse.Namespace) -> ExitCode:
    """Print the record."""
    words = texts("issuer", arguments.lang)
    with _application(arguments) as application, application.reading() as session:
        told = as_json(make_record(session, application), words)
    if arguments.json:
        tell_json(told)
        return ExitCode.GREEN
    tell(f"{words('RECORD_TITLE')}: {told['controller']}")
    tell(words("RECORD_LEAD"))
    for one in told["activities"]:
        tell("")
        tell(f"## {one['name']}")
        for code, name in (("PURPOSE", "purpose"), ("BASIS", "legal_basis"), ("PEOPLE", "people")):
            tell(f"{words(f'RECORD_{code}')}: {one[name]}")
        tell(f"{words('RECORD_RECIPIENTS')}: {'; '.join(one['recipients'])}")
        for table in one["tables"]:
            tell(f"- {table['name']} ({', '.join(table['fields'])}): {table['deleted']}")
    tell("")
    tell(f"## {words('RECORD_MEASURES')}")
    for one in told["measures"]:
        state = words("RECORD_IN_FORCE" if one["in_force"] else "RECORD_NOT_IN_FORCE")
        tell(f"- [{state}] {one['text']}")
    return ExitCode.GREEN


def run_dpia(arguments: argparse.Namespace) -> ExitCode:
    """Print the draft."""
    with _application(arguments) as application, application.reading() as session:
        tell(make_dpia(session, application))
    return ExitCode.GREEN


def run_deletions(arguments: argparse.Namespace) -> ExitCode:
    """Print what would be deleted, or what was."""
    with _application(arguments) as application, application.reading() as session:
        rows: list[dict[str, Any]]
        if arguments.preview:
            rows = [
                {
                    "what": one.name,
                    "count": one.count,
                    "oldest": one.oldest.isoformat() if one.oldest else None,
                }
                for one in coming(session, application)
            ]
        else:
            rows = [
                {
                    "day": one.day.isoformat(),
                    "finished_at": one.finished_at.astimezone(BERLIN).isoformat(timespec="seconds")
                    if one.finished_at
                    else None,
                    "counts": one.counts,
                }
                for one in proofs(session, application.tenant, _SHOWN)
            ]
    if arguments.json:
        tell_json(rows)
        return ExitCode.GREEN
    if not rows:
        tell(say(arguments, "OFFICE_DELETIONS_NOTHING" if arguments.preview else "OFFICE_DELETIONS_NONE"))
        return ExitCode.GREEN
    if arguments.preview:
        codes = ("WHAT", "COUNT", "OLDEST")
        cells = [[str(one["what"]), str(one["count"]), str(one["oldest"] or "")] for one in rows]
    else:
        codes = ("DAY", "ENDED", "COUNT")
        cells = [[str(one["day"]), str(one["finished_at"] or ""), _counts(one["counts"])] for one in rows]
    tell_table([say(arguments, f"OFFICE_DELETIONS_{one}") for one in codes], cells)
    return ExitCode.GREEN


def _counts(counts: object) -> str:
    told = counts if isinstance(counts, dict) else {}
    return " ".join(f"{name}={count}" for name, count in told.items()) or "0"


@contextmanager
def _application(arguments: argparse.Namespace) -> Iterator[Application]:
    at = chosen_time(arguments)
    with Application.open(arguments.data, lambda: at) as application:
        yield application
