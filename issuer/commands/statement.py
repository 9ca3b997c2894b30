"""``statement make|verify``: signed statements about a plate at a past moment, and checking them without network."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Final

import msgspec

from issuer.application import Application
from issuer.commands.common import actor, add_data_argument, say, tell, tell_json, warn
from issuer.errors import IssuerRefusal
from issuer.files import write_atomically
from issuer.statements import pdf
from issuer.statements.answer import state
from issuer.statements.check import check
from issuer.statements.document import Statement
from issuer.statements.question import read_question
from issuer.trust_bundle import BUNDLE_FILE
from keys.bundle import MAX_BYTES as LARGEST_BUNDLE
from keys.bundle import root_from_pem
from keys.identity import kid_of
from keys.texts import texts
from verifier.cli import Parser, add_language_argument, add_time_arguments, chosen_time, printable
from verifier.verdict import ExitCode

_ROOT: Final = "root.pub"
_LARGEST: Final = 16 * 1024 * 1024 + 1


def add_commands(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add ``statement`` to the command line."""
    parser = commands.add_parser(
        "statement", help="signed statements: had a plate a permit at a past moment?"
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    make = actions.add_parser("make", help="make a statement, as a signed file or as a PDF with it attached")
    make.add_argument("plate", metavar="PLATE", help="number plate, for example 'D-AB 123'")
    make.add_argument(
        "moment", metavar="MOMENT", help="RFC 3339; without offset Europe/Berlin, e.g. 2026-11-03T14:00"
    )
    make.add_argument("--zone", metavar="Z", default="", help="zone code (default: any zone)")
    make.add_argument("--out", metavar="FILE", type=Path, help="file to write: .pdf or .jws")
    make.add_argument("--json", action="store_true", help="the statement and its JWS as JSON")
    add_data_argument(make)
    make.set_defaults(run=run_make)
    verify = actions.add_parser("verify", help="check a statement without network (.jws or PDF)")
    verify.add_argument("file", metavar="FILE", type=Path)
    verify.add_argument(
        "--trust", metavar="DIR", type=Path, required=True, help="folder with root.pub and bundle.cwt"
    )
    verify.add_argument("--root", metavar="FILE", type=Path, help="trust only this root key (root.pub)")
    verify.add_argument("--json", action="store_true")
    add_time_arguments(verify)
    add_language_argument(verify)
    verify.set_defaults(run=run_verify)


def run_make(arguments: argparse.Namespace) -> ExitCode:
    """Make a statement."""
    at = chosen_time(arguments)
    with Application.open(arguments.data, lambda: at) as application:
        with application.reading() as session:
            plate, question = read_question(
                session, application.tenant, arguments.plate, arguments.zone, arguments.moment, at
            )
        made = state(application, plate, question, actor())
    if arguments.out is not None:
        is_pdf = arguments.out.suffix.lower() == ".pdf"
        data = pdf.render(made.statement, made.jws, arguments.lang) if is_pdf else made.jws.encode()
        write_atomically(arguments.out, data, mode=0o600)
    if arguments.json:
        tell_json({"jws": made.jws, "statement": msgspec.to_builtins(made.statement)})
        return ExitCode.GREEN
    _tell(arguments, made.statement)
    if arguments.out is not None:
        tell(say(arguments, "STATEMENT_WRITTEN", file=arguments.out))
    else:
        tell(made.jws)
    return ExitCode.GREEN


def run_verify(arguments: argparse.Namespace) -> ExitCode:
    """Check a statement: exit code 0 for a genuine one, 1 otherwise."""
    at = chosen_time(arguments)
    root_file = arguments.root or arguments.trust / _ROOT
    for file in (root_file, arguments.trust / BUNDLE_FILE):
        if not file.is_file():
            raise IssuerRefusal("STATEMENT_BUNDLE_MISSING", folder=file.parent, file=file.name)
    root = root_from_pem(_read(root_file, 20_000))
    bundle = _read(arguments.trust / BUNDLE_FILE, LARGEST_BUNDLE + 1)
    try:
        found = check(_read(arguments.file, _LARGEST), bundle, root, at)
    except IssuerRefusal as refusal:
        if arguments.json:
            tell_json({"genuine": False, "code": refusal.code})
        warn(refusal.sentence(arguments.lang))
        return ExitCode.RED
    if arguments.json:
        tell_json(
            {
                "genuine": True,
                "issuer": found.issuer,
                "test": found.test,
                "key": found.kid.hex(),
                "root": kid_of(root).hex(),
                "bundle_old": found.bundle_old,
                "statement": msgspec.to_builtins(found.statement),
            }
        )
        return ExitCode.GREEN
    tell(say(arguments, "STATEMENT_GENUINE", issuer=printable(found.issuer), kid=found.kid.hex()))
    tell(say(arguments, "STATEMENT_ROOT", kid=kid_of(root).hex()))
    if found.test:
        tell(say(arguments, "STATEMENT_GENUINE_TEST"))
    if found.bundle_old:
        warn(say(arguments, "STATEMENT_BUNDLE_OLD"))
    _tell(arguments, found.statement)
    return ExitCode.GREEN


def _tell(arguments: argparse.Namespace, statement: Statement) -> None:
    words = texts("issuer", arguments.lang)
    facts = [*pdf.question_facts(statement, words)]
    tell(pdf.answer_text(statement, words))
    for line in pdf.notes(statement, words):
        tell(line)
    for one in statement.permits:
        facts.append(("", words("STATEMENT_PERMIT", number=one.number)))
        facts += pdf.permit_facts(one, words)
        facts += [("", line) for line in pdf.step_texts(one, words)]
    facts.append((words("STATEMENT_PUBLISHED"), pdf.published_text(statement, words)))
    for label, text in facts:
        tell(printable(f"  {label}: {text}" if label else f"  {text}"))


def _read(file: Path, limit: int) -> bytes:
    """Up to ``limit`` bytes of ``file``; more is refused by whoever reads them. Raises OSError."""
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as opened:
        return opened.read(limit)
