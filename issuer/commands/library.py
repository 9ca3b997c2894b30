"""``library``: asking the library's own system about a card, and comparing all members with it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from issuer.application import Application
from issuer.commands.common import add_data_argument, say, tell, tell_json, tell_table
from issuer.errors import IssuerRefusal
from issuer.library import refresh, refresh_task
from issuer.library.refresh import Stopped
from issuer.library.sources import (
    PatronSource,
    PatronStanding,
    PatronUnknown,
    SourceMisbehaves,
    SourceUnavailable,
    ask,
    source_of,
)
from issuer.nightly.reports import Report
from passes.periods import berlin_day
from verifier.cli import Parser, chosen_time
from verifier.verdict import ExitCode


def add_commands(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add ``library`` to the command line."""
    parser = commands.add_parser(
        "library", help="the library's own system: ask about a card, compare members"
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    check = actions.add_parser("check", help="what the library's system says of a card; no names")
    check.add_argument("number", metavar="NUMBER", help="the card's number, exactly as printed")
    _finish(check, run_check)
    compare = actions.add_parser("refresh", help="compare all members with the library's system now")
    compare.add_argument("--dry-run", action="store_true", help="say what would be done; changes nothing")
    _finish(compare, run_refresh)


def run_check(arguments: argparse.Namespace) -> ExitCode:
    """Ask about one card: GREEN if it is in order, RED if not, GREY without an answer."""
    with _connected(arguments) as (_, source):
        try:
            patron = ask(source, arguments.number)
        except PatronUnknown as unknown:
            return _told(arguments, unknown, ExitCode.RED)
        except (SourceUnavailable, SourceMisbehaves) as fault:
            return _told(arguments, fault, ExitCode.GREY)
    facts = {
        "standing": patron.standing.value,
        "expires": patron.expires.isoformat() if patron.expires is not None else None,
        "open_fees_cents": patron.open_fees_cents,
        "category": patron.category,
    }
    if arguments.json:
        tell_json(facts)
    else:
        tell(say(arguments, f"LIBRARY_STANDING_{patron.standing.name}"))
        for name, value in facts.items():
            if value not in (None, ""):
                tell(f"{name}: {value}")
    return ExitCode.GREEN if patron.standing is PatronStanding.ACTIVE else ExitCode.RED


def run_refresh(arguments: argparse.Namespace) -> ExitCode:
    """Compare: GREEN when done, AMBER if it was or would be stopped, GREY without answers."""
    stopped: Stopped | None = None
    with _connected(arguments) as (application, source):
        report = Report(application, berlin_day(application.now()), refresh_task.REPORT)
        try:
            if arguments.dry_run:
                counts, is_too_much = refresh.dry_run(application, source)
                if is_too_much:
                    stopped = Stopped("LIBRARY_WOULD_STOP")
            else:
                refresh.run_now(application, source, report)
        except Stopped as stop:
            stopped, counts = stop, {}
            if not arguments.dry_run:
                refresh_task.note_stop(application, report, stop)
        except SourceUnavailable as fault:
            return _told(arguments, fault, ExitCode.GREY)
        if not arguments.dry_run:
            with application.reading() as session:
                counts = {what: count for what, count in report.counts(session).items() if count}
    if arguments.json:
        tell_json({"counts": counts, "stopped": stopped.code if stopped is not None else None})
    else:
        headers = [say(arguments, f"NIGHTLY_{name}") for name in ("WHAT", "COUNT")]
        tell_table(headers, [[what, str(count)] for what, count in counts.items()])
        done = "LIBRARY_COMPARED_DRY" if arguments.dry_run else "LIBRARY_COMPARED"
        tell(stopped.sentence(arguments.lang) if stopped is not None else say(arguments, done))
    return ExitCode.GREEN if stopped is None else ExitCode.AMBER


def _told(arguments: argparse.Namespace, refusal: IssuerRefusal, code: ExitCode) -> ExitCode:
    if arguments.json:
        tell_json({"code": refusal.code, "sentence": refusal.sentence(arguments.lang)})
    else:
        tell(refusal.sentence(arguments.lang))
    return code


def _finish(parser: argparse.ArgumentParser, run: object) -> None:
    parser.add_argument("--json", action="store_true")
    add_data_argument(parser)
    parser.set_defaults(run=run)


@contextmanager
def _connected(arguments: argparse.Namespace) -> Iterator[tuple[Application, PatronSource]]:
    at = chosen_time(arguments)
    with Application.open(arguments.data, lambda: at) as application:
        source = source_of(application)
        if source is None:
            raise IssuerRefusal("LIBRARY_OFF")
        yield application, source
