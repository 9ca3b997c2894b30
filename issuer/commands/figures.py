"""``figures``: counts for the office, and what is published as open data, on the screen or as files."""

from __future__ import annotations

import argparse
from pathlib import Path

from issuer.application import Application
from issuer.commands.common import add_data_argument, say, tell, tell_json, tell_table
from issuer.errors import IssuerRefusal
from issuer.figures import catalogue, office, open_data, words
from issuer.figures.tables import FigureTable, csv_text
from issuer.files import write_atomically
from keys.texts import texts
from verifier.cli import Parser, chosen_time
from verifier.verdict import ExitCode


def add_commands(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add ``figures`` to the command line."""
    parser = commands.add_parser("figures", help="counts for the office, and the open data")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    show = actions.add_parser("show", help="adoption by carrier, permits that end, open cases")
    show.add_argument("--json", action="store_true")
    add_data_argument(show)
    show.set_defaults(run=run_show)
    export = actions.add_parser("export", help="write them, or the open data, as files")
    export.add_argument("--out", metavar="DIR", type=Path, required=True, help="folder for the files")
    export.add_argument(
        "--open-data", action="store_true", help="what /open-data serves, instead of the office's figures"
    )
    export.add_argument("--json", action="store_true")
    add_data_argument(export)
    export.set_defaults(run=run_export)


def run_show(arguments: argparse.Namespace) -> ExitCode:
    """Show the office's figures as tables."""
    tables = _tables(arguments)
    if arguments.json:
        tell_json(
            {
                name: [dict(zip(table.columns, row, strict=True)) for row in table.rows]
                for name, table in tables.items()
            }
        )
        return ExitCode.GREEN
    for table in tables.values():
        tell(table.caption)
        tell_table(table.columns, [[str(cell) for cell in row] for row in table.rows])
    return ExitCode.GREEN


def run_export(arguments: argparse.Namespace) -> ExitCode:
    """Write the figures into a folder, replacing files of the same names."""
    if arguments.open_data:
        files = _open_data(arguments)
    else:
        files = {
            f"{name}.csv": csv_text(table.columns, table.rows, ";").encode("utf-8-sig")
            for name, table in _tables(arguments).items()
        }
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        write_atomically(arguments.out / name, data)
    if arguments.json:
        tell_json({"files": [str(arguments.out / name) for name in files]})
    else:
        tell(say(arguments, "FIGURES_EXPORTED", count=len(files), folder=arguments.out))
    return ExitCode.GREEN


def _tables(arguments: argparse.Namespace) -> dict[str, FigureTable]:
    at, words_of = chosen_time(arguments), texts("issuer", arguments.lang)
    with Application.open(arguments.data, lambda: at) as application, application.reading() as session:
        adopted = office.adoption(session, application)
        return {
            "adoption": words.adoption_table(words_of, application.pass_types, adopted),
            "ending": words.wave_table(words_of, office.wave(session, application)),
            "cases": words.cases_table(words_of, office.open_cases(session, application)),
        }


def _open_data(arguments: argparse.Namespace) -> dict[str, bytes]:
    """The files of ``/open-data``. Raises IssuerRefusal FIGURES_OPEN_DATA_OFF where the city has it off."""
    at = chosen_time(arguments)
    with Application.open(arguments.data, lambda: at) as application, application.reading() as session:
        settings = application.settings(session)
        if not settings.open_data:
            raise IssuerRefusal("FIGURES_OPEN_DATA_OFF")
        found = open_data.published(session, application)
    files = {"permits.csv": open_data.as_csv(found), "permits.json": open_data.as_json(found, settings)}
    if catalogue.is_complete(settings):
        files["catalogue.jsonld"] = catalogue.as_json_ld(found, settings)
    return files
