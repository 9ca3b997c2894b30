"""``figures``: counts for the office, and what is published as open data, on the screen or as files."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from issuer.application import Application
from issuer.commands.common import add_data_argument, say, tell, tell_json, tell_table
from issuer.errors import IssuerRefusal
from issuer.figures import catalogue, office, open_data, words
from issuer.figures.office import AGE_BANDS, OPEN_STATES, Adoption, OpenCases, Wave
from issuer.figures.tables import FigureTable, csv_text
from issuer.files import write_atomically
from keys.texts import texts
from passes.pass_types import PassTypes
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
    found = _found(arguments)
    if arguments.json:
        tell_json(_plain(found))
        return ExitCode.GREEN
    for table in found.tables(arguments.lang).values():
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
            for name, table in _found(arguments).tables(arguments.lang).items()
        }
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        write_atomically(arguments.out / name, data)
    if arguments.json:
        tell_json({"files": [str(arguments.out / name) for name in files]})
    else:
        tell(say(arguments, "FIGURES_EXPORTED", count=len(files), folder=arguments.out))
    return ExitCode.GREEN


@dataclass(frozen=True, slots=True)
class _Found:
    """The office's figures, in one state of the register."""

    types: PassTypes
    adopted: list[Adoption]
    wave: Wave
    cases: OpenCases

    def tables(self, language: str) -> dict[str, FigureTable]:
        """The figures in words, by what their files are called."""
        told = texts("issuer", language)
        return {
            "adoption": words.adoption_table(told, self.types, self.adopted),
            "ending": words.wave_table(told, self.wave),
            "cases": words.cases_table(told, self.cases),
        }


def _found(arguments: argparse.Namespace) -> _Found:
    at = chosen_time(arguments)
    with Application.open(arguments.data, lambda: at) as application, application.reading() as session:
        return _Found(
            application.pass_types,
            office.adoption(session, application),
            office.wave(session, application),
            office.open_cases(session, application),
        )


def _plain(found: _Found) -> dict[str, Any]:
    """The figures for programs: keys that do not depend on the language."""
    last_days = [*(str(days) for days in AGE_BANDS), "older"]
    return {
        "adoption": [
            {
                "type": one.type_id,
                **{name.value: count for name, count in one.counts.items()},
                "total": one.total,
            }
            for one in found.adopted
        ],
        "ending": [
            {
                "week": week.isoformat(),
                "total": found.wave.of_week(week),
                "zones": {
                    zone: count for zone in found.wave.zones if (count := found.wave.of_week(week, zone))
                },
            }
            for week in found.wave.weeks
        ],
        "cases": [
            {
                "state": state.value,
                "days_up_to": dict(zip(last_days, counts := found.cases.of_state(state), strict=True)),
                "total": sum(counts),
            }
            for state in OPEN_STATES
        ],
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
