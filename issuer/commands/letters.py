"""``letters``: the letters that somebody has to print and post."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from issuer import waiting_letters
from issuer.application import Application
from issuer.commands.common import add_data_argument, say, tell, tell_json, tell_table
from issuer.errors import IssuerRefusal
from passes.periods import berlin_day
from verifier.cli import Parser, chosen_time
from verifier.verdict import ExitCode


def add_commands(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add ``letters`` to the command line."""
    parser = commands.add_parser("letters", help="letters to holders without e-mail: list, print, take off")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    show = actions.add_parser("list", help="the letters to be printed")
    show.add_argument("--json", action="store_true")
    add_data_argument(show)
    show.set_defaults(run=run_list)
    make = actions.add_parser("print", help="write a PDF for each of them; the list stays as it is")
    make.add_argument("--out", metavar="DIR", type=Path, required=True, help="folder for the PDFs")
    make.add_argument("--json", action="store_true")
    add_data_argument(make)
    make.set_defaults(run=run_print)
    done = actions.add_parser("done", help="take posted letters off the list")
    done.add_argument("ids", metavar="ID", nargs="*", help="single letters, as 'list' shows them")
    done.add_argument("--out", metavar="DIR", type=Path, help="all letters whose PDFs are in this folder")
    done.add_argument("--json", action="store_true")
    add_data_argument(done)
    done.set_defaults(run=run_done)


def run_list(arguments: argparse.Namespace) -> ExitCode:
    """List what is to be printed."""
    with _application(arguments) as application, application.reading() as session:
        found = waiting_letters.waiting(session, application)
    if arguments.json:
        tell_json(
            [
                {
                    "id": one.id,
                    "kind": one.kind,
                    "type": one.type_id,
                    "number": one.number,
                    "created_on": berlin_day(one.created_at).isoformat(),
                    "can_be_posted": one.can_be_posted,
                }
                for one in found
            ]
        )
        return ExitCode.GREEN
    if not found:
        tell(say(arguments, "LETTERS_NONE"))
        return ExitCode.GREEN
    headers = [
        say(arguments, f"LETTERS_{name}") for name in ("ID", "KIND", "TYPE", "NUMBER", "CREATED", "ADDRESS")
    ]
    tell_table(
        headers,
        [
            [
                one.id,
                one.kind,
                one.type_id,
                one.number,
                berlin_day(one.created_at).isoformat(),
                say(arguments, "LETTERS_YES" if one.can_be_posted else "LETTERS_NO"),
            ]
            for one in found
        ],
    )
    return ExitCode.GREEN


def run_print(arguments: argparse.Namespace) -> ExitCode:
    """Write the PDFs. GREY if some could not be made."""
    with _application(arguments) as application:
        printed = waiting_letters.print_letters(application, arguments.out)
    ended = ExitCode.GREY if printed.faulty else ExitCode.GREEN
    if arguments.json:
        tell_json(
            {
                "files": printed.files,
                "dropped": printed.dropped,
                "without_address": printed.without_address,
                "faulty": [
                    {"id": one.id, "type": one.type_id, "number": one.number, "code": one.refusal.code}
                    for one in printed.faulty
                ],
            }
        )
        return ended
    if printed.files:
        tell(say(arguments, "LETTERS_PRINTED", files=printed.files, folder=arguments.out))
    elif not printed.faulty:
        tell(say(arguments, "LETTERS_NONE"))
    if printed.dropped:
        tell(say(arguments, "LETTERS_DROPPED", count=printed.dropped))
    if printed.without_address:
        tell(say(arguments, "LETTERS_WITHOUT_ADDRESS", count=printed.without_address))
    # Two letters of one pass have the same fault.
    for sentence in dict.fromkeys(one.refusal.sentence(arguments.lang) for one in printed.faulty):
        tell(sentence)
    return ended


def run_done(arguments: argparse.Namespace) -> ExitCode:
    """Take letters off the list."""
    ids = [*arguments.ids, *(waiting_letters.ids_in(arguments.out) if arguments.out else ())]
    if not arguments.ids and arguments.out is None:
        raise IssuerRefusal("LETTERS_WHICH")
    with _application(arguments) as application:
        count = waiting_letters.mark_posted(application, ids)
    if arguments.json:
        tell_json({"done": count})
    else:
        tell(say(arguments, "LETTERS_DONE", count=count))
    return ExitCode.GREEN


@contextmanager
def _application(arguments: argparse.Namespace) -> Iterator[Application]:
    at = chosen_time(arguments)
    with Application.open(arguments.data, lambda: at) as application:
        yield application
