"""The command line for checking: ``verify`` and ``check-plate``, with exit codes for programs."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from keys.errors import Refusal
from keys.texts import texts
from passes.periods import parse_time
from passes.zones import normalise_zone_code
from verifier.inputs import UsageError, as_file, verdicts_of
from verifier.plate_check import check_plate
from verifier.seal_check import CheckSettings
from verifier.state import StateFileError, load_state, save_state
from verifier.trust import Trust, load_trust
from verifier.verdict import Colour, ExitCode, Verdict, day_text, exit_code, severity

_EXIT_CODES = "Exit code: 0 GREEN, 1 RED, 2 AMBER, 3 GREY, of several the worst; 64 usage, 70 internal error."
_COLOURS = {Colour.GREEN: "42;30", Colour.AMBER: "43;30", Colour.RED: "41;97", Colour.GREY: "47;30"}


class Parser(argparse.ArgumentParser):
    """An argument parser whose usage errors have exit code 64: 2 would mean AMBER."""

    def error(self, message: str) -> NoReturn:
        """Print usage and the fault, exit 64."""
        self.print_usage(sys.stderr)
        self.exit(ExitCode.USAGE, f"{self.prog}: {printable(message)}\n")


def add_time_arguments(parser: argparse.ArgumentParser) -> None:
    """``--at`` and ``--today``, which replace the clock for everything."""
    when = parser.add_mutually_exclusive_group()
    when.add_argument(
        "--at", metavar="TIME", help="time of the check (RFC 3339; without offset Europe/Berlin)"
    )
    when.add_argument("--today", metavar="DATE", help="the same as --at DATET12:00")


def add_language_argument(parser: argparse.ArgumentParser) -> None:
    """``--lang``, the language of sentences."""
    parser.add_argument("--lang", choices=("de", "en"), default="de", help="language of sentences")


def chosen_time(arguments: argparse.Namespace) -> datetime:
    """The aware time of the run. Raises PassRefusal for a text that is no time."""
    if arguments.today is not None:
        return parse_time(f"{arguments.today}T12:00")
    if arguments.at is not None:
        return parse_time(arguments.at)
    return datetime.now(UTC)


def add_commands(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add ``verify``, ``check-plate`` and ``sync`` to a command line."""
    verify = commands.add_parser(
        "verify",
        help="check seals: pictures, texts, files, or - for lines of standard input",
        description=f"Checks seals without network. {_EXIT_CODES}",
    )
    verify.add_argument(
        "inputs", nargs="+", metavar="IMAGE|TEXT|-", help="picture, text of a code, text file, or -"
    )
    verify.add_argument("--type", metavar="TYPE", help="accept only this pass type")
    _add_common(verify)
    verify.set_defaults(run=run_verify)
    plate = commands.add_parser(
        "check-plate",
        help="look a plate up in the signed plate list",
        description=f"Checks plates without network. {_EXIT_CODES}",
    )
    plate.add_argument("plates", nargs="+", metavar="PLATE", help="number plate, for example 'D-AB 123'")
    _add_common(plate)
    plate.set_defaults(run=run_check_plate, type=None)
    fetch = commands.add_parser("sync", help="fetch the lists from the city's service into the trust folder")
    fetch.add_argument(
        "--from", metavar="URL", dest="address", required=True, help="the service's https address"
    )
    fetch.add_argument("--trust", metavar="DIR", type=Path, required=True, help="folder for the lists")
    fetch.add_argument("--root", metavar="FILE", type=Path, help="trust only this root key (root.pub)")
    fetch.add_argument("--state", metavar="FILE", type=Path, help="memory (default: .state.json in DIR)")
    fetch.add_argument(
        "--token-file",
        metavar="FILE",
        type=Path,
        help="token of an enrolled device: fetches the plate list too",
    )
    add_language_argument(fetch)
    fetch.set_defaults(run=run_sync)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--trust", metavar="DIR", type=Path, required=True, help="folder written by 'publish'"
    )
    parser.add_argument("--root", metavar="FILE", type=Path, help="trust only this root key (root.pub)")
    parser.add_argument("--state", metavar="FILE", type=Path, help="memory (default: .state.json in DIR)")
    parser.add_argument(
        "--zone",
        action="append",
        default=[],
        metavar="Z",
        help="zone code of the place of the check; again for each zone that was merged into it",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per input")
    add_time_arguments(parser)
    add_language_argument(parser)


def run_verify(arguments: argparse.Namespace) -> ExitCode:
    """Check every input; the exit code is the worst verdict's."""
    at = chosen_time(arguments)
    settings = _settings(arguments, arguments.type)
    # What cannot be checked at all is said before the first verdict: no half of a list of verdicts.
    for item in arguments.inputs:
        if item != "-":
            as_file(item)
    trust = _open_trust(arguments)
    if trust.bundle is not None and arguments.type is not None:
        known = sorted(one.id for one in trust.bundle.types.values())
        if arguments.type not in known:
            raise UsageError("TYPE_NOT_KNOWN", type=arguments.type, known=", ".join(known))
    verdicts = (verdict for item in arguments.inputs for verdict in verdicts_of(item, trust, at, settings))
    return _report(verdicts, trust, arguments)


def run_check_plate(arguments: argparse.Namespace) -> ExitCode:
    """Look every plate up; the exit code is the worst verdict's."""
    at = chosen_time(arguments)
    settings = _settings(arguments)
    trust = _open_trust(arguments)
    verdicts = (check_plate(plate, trust, at, settings, arguments.lang) for plate in arguments.plates)
    return _report(verdicts, trust, arguments)


def run_sync(arguments: argparse.Namespace) -> ExitCode:
    """Fetch the lists; nothing is replaced by what a check would not accept."""
    from verifier.sync import SyncRefused, read_token, sync  # noqa: PLC0415 - checks need no network

    token = None
    try:
        if arguments.token_file is not None:
            token = read_token(arguments.token_file)
        arguments.trust.mkdir(parents=True, exist_ok=True)
        state = load_state(_state_file(arguments))
        done = sync(arguments.address, arguments.trust, state, arguments.root, token)
        save_state(_state_file(arguments), state)
    except StateFileError as fault:
        raise UsageError("STATE_DAMAGED", file=fault) from None
    except OSError as fault:
        raise UsageError("FILE_UNREADABLE", file=fault.filename or arguments.trust) from None
    if not done.enrolled:
        raise SyncRefused("SYNC_NOT_ENROLLED")
    _print(texts("verifier", arguments.lang)("SYNC_DONE", fetched=done.fetched, unchanged=done.unchanged))
    return ExitCode.GREEN


def _settings(arguments: argparse.Namespace, type_id: str | None = None) -> CheckSettings:
    zones = [normalise_zone_code(one) for one in arguments.zone]
    return CheckSettings(zones[0] if zones else None, tuple(zones[1:]), type_id)


def _open_trust(arguments: argparse.Namespace) -> Trust:
    folder: Path = arguments.trust
    if not folder.is_dir():
        raise UsageError("TRUST_MISSING", folder=folder)
    try:
        state = load_state(_state_file(arguments))
        return load_trust(folder, state, arguments.root)
    except StateFileError as fault:
        raise UsageError("STATE_DAMAGED", file=fault) from None
    except OSError as fault:
        raise UsageError("FILE_UNREADABLE", file=fault.filename or arguments.root) from None


def _state_file(arguments: argparse.Namespace) -> Path:
    chosen: Path | None = arguments.state
    folder: Path = arguments.trust
    return chosen or folder / ".state.json"


def _report(verdicts: Iterable[Verdict], trust: Trust, arguments: argparse.Namespace) -> ExitCode:
    worst: Verdict | None = None
    try:
        for verdict in verdicts:
            if worst is None or severity(verdict) > severity(worst):
                worst = verdict
            if arguments.json:
                _print_json(verdict.as_json(arguments.lang))
            else:
                _print(_for_people(verdict, arguments.lang))
    finally:
        # What was seen counts, even where a later input could not be read.
        _remember(trust, arguments)
    if worst is None:
        raise UsageError("NO_INPUT")
    return exit_code(worst)


def _remember(trust: Trust, arguments: argparse.Namespace) -> None:
    if not trust.state.changed:
        return
    try:
        save_state(_state_file(arguments), trust.state)
    except OSError:
        _warn("STATE_READ_ONLY", arguments)
    except StateFileError:
        _warn("STATE_DAMAGED", arguments)


def _warn(code: str, arguments: argparse.Namespace) -> None:
    warning = texts("verifier", arguments.lang)(code, file=_state_file(arguments))
    sys.stderr.write(printable(warning) + "\n")


def _for_people(verdict: Verdict, language: str) -> str:
    say = texts("verifier", language)
    word = f"{say('WORD_' + verdict.verdict.name)} ({verdict.verdict.value} {verdict.reason.name})"
    if sys.stdout.isatty():
        word = f"\033[{_COLOURS[verdict.verdict]};1m {word} \033[0m"
    lines = [f"{word}  {printable(verdict.message(language))}"]
    person = verdict.person
    facts = [
        (say("FACT_PERSON"), person.full_name if person else None),
        (say("FACT_BIRTH_DATE"), day_text(person.birth_date) if person else None),
        (say("FACT_ADDRESS"), ", ".join(person.address) if person else None),
        (say("FACT_PLATES"), ", ".join(verdict.plates or ())),
        (say("FACT_ORGANISATION"), verdict.organisation),
        (say("FACT_CARD_NUMBER"), verdict.card_number),
        (say("FACT_ZONE"), verdict.zone),
        (say("FACT_NUMBER"), verdict.number),
        (say("FACT_TYPE"), verdict.type_id),
    ]
    lines.extend(f"    {label}: {printable(value)}" for label, value in facts if value)
    return "\n".join(lines)


def printable(text: str) -> str:
    """``text`` for a terminal: what is no character, or would move or turn the rest of the line, is U+FFFD.

    File names and foreign codes hold what others chose, escape sequences included.
    """
    hidden = ("Cc", "Cf", "Cs", "Zl", "Zp")
    return "".join("\ufffd" if unicodedata.category(one) in hidden else one for one in text)


def _never_fail_on_characters() -> None:
    """Let streams whose encoding lacks a character write a question mark instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")


def _print_json(content: dict[str, object]) -> None:
    text = json.dumps(content, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        # A program gets every character, escaped where the encoding lacks it.
        text = json.dumps(content)
    _print(text)


def build_parser() -> Parser:
    """The parser of ``stadtpass-verify``, for devices that hold nothing but the verifier."""
    parser = Parser(prog="stadtpass-verify", description="Checks seals and plates without network.")
    add_commands(parser.add_subparsers(required=True, metavar="COMMAND"))
    return parser


def run_safely(arguments: argparse.Namespace) -> int:
    """Run the chosen command; every fault becomes a sentence and exit code 64 or 70, never 0 to 3."""
    _never_fail_on_characters()
    try:
        return int(arguments.run(arguments))
    except Refusal as refusal:
        sys.stderr.write(printable(refusal.sentence(getattr(arguments, "lang", "de"))) + "\n")
        return ExitCode.USAGE
    except BrokenPipeError:
        return ExitCode.INTERNAL
    except KeyboardInterrupt:
        return 130
    except Exception as fault:
        if os.environ.get("STADTPASS_DEBUG"):
            raise
        say = texts("verifier", getattr(arguments, "lang", "de"))
        sys.stderr.write(say("INTERNAL", fault=type(fault).__name__) + "\n")
        return ExitCode.INTERNAL


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``stadtpass-verify``."""
    return run_safely(build_parser().parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
