"""What the commands share: the data folder, who acts, progress bars, tables and JSON."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from issuer.workspace import Workspace
from keys.texts import texts
from verifier.cli import add_language_argument, add_time_arguments


def add_data_argument(parser: argparse.ArgumentParser) -> None:
    """``--data DIR`` and the arguments all commands on the register take."""
    parser.add_argument("--data", metavar="DIR", type=Path, required=True, help="data folder made by 'init'")
    add_time_arguments(parser)
    add_language_argument(parser)


def add_number_arguments(parser: argparse.ArgumentParser) -> None:
    """The number of a pass and ``--type`` where it is ambiguous."""
    parser.add_argument("number", metavar="NUMBER", help="number of the pass")
    parser.add_argument("--type", metavar="TYPE", help="pass type, where two passes have the number")
    add_data_argument(parser)


@contextmanager
def opened(arguments: argparse.Namespace) -> Iterator[Workspace]:
    """The data folder of the command, closed at its end."""
    workspace = Workspace.open(arguments.data)
    try:
        yield workspace
    finally:
        workspace.close()


def actor() -> str:
    """Who acts, for the audit trail: the account that runs the command."""
    try:
        return f"cli:{getpass.getuser()}"[:120]
    except (OSError, KeyError):
        return "cli"


def say(arguments: argparse.Namespace, code: str, **params: object) -> str:
    """A sentence of the issuer's catalogue in the language of the command."""
    return texts("issuer", arguments.lang)(code, **params)


def tell(text: str) -> None:
    """Print a line on standard output."""
    sys.stdout.write(text + "\n")


def tell_json(value: object) -> None:
    """Print one JSON object on one line."""
    tell(json.dumps(value, ensure_ascii=False, default=str))


def warn(text: str) -> None:
    """Print a line on standard error."""
    sys.stderr.write(text + "\n")


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on a terminal's standard error, nothing elsewhere; call it with (done, total)."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _done, _total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task(title, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


def tell_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table that reads well on a terminal; in a pipe, plain lines with tabs."""
    if not sys.stdout.isatty():
        for row in (headers, *rows):
            tell("\t".join(row))
        return
    table = Table(box=box.SIMPLE_HEAD)
    for header in headers:
        table.add_column(header)
    for row in rows:
        # As plain text: rich would read a square bracket in somebody's reason as markup.
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)
