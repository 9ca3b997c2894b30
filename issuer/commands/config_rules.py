"""``config`` for the permit office's rules: showing them, trying them out, changing them from a day on."""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from issuer.commands.common import actor, add_data_argument, opened, say, tell, tell_json, tell_table
from issuer.database import reading, writing
from issuer.errors import IssuerRefusal
from issuer.library.fees import library_type, membership_fees
from issuer.library.membership import MembershipFees
from issuer.models import ALWAYS
from issuer.rules.addresses import Address, StreetEntry, ZoneFound
from issuer.rules.changes import (
    Change,
    EvidenceChange,
    FeeChange,
    KindChange,
    ZoneChange,
    made_changes,
    make_change,
    preview,
    shown,
    undo_change,
)
from issuer.rules.city_rules import CityRules, load_rules
from issuer.rules.directory import directory, directory_size, find_address
from issuer.rules.house_numbers import Side
from issuer.rules.kinds import EvidenceType
from issuer.rules.quotes import Quote
from issuer.rules.touched import Preview
from passes.periods import berlin_day, parse_date_iso
from verifier.cli import Parser, chosen_time
from verifier.verdict import ExitCode

PERMIT = "resident-parking-permit"
_LARGEST = 1024 * 1024


def add_actions(actions: argparse._SubParsersAction[Parser]) -> None:
    """Add the actions of ``config`` that are about rules."""
    quote = actions.add_parser("quote", help="what a term costs in a zone")
    quote.add_argument("zone", metavar="ZONE")
    quote.add_argument("channel", metavar="CHANNEL", help="for example online or counter")
    quote.add_argument("months", metavar="MONTHS", type=int)
    quote.set_defaults(run=run_quote)
    address = actions.add_parser("address", help="which zone an address lies in")
    address.add_argument("street", metavar="STREET")
    address.add_argument("number", metavar="NUMBER", nargs="?", default="")
    address.add_argument("--postal-code", default="", metavar="CODE")
    address.set_defaults(run=run_address)
    zone = actions.add_parser("change-zone", help="rename, end or merge a zone from a day on, or begin one")
    zone.add_argument("code", metavar="CODE")
    zone.add_argument("--name", metavar="NAME")
    zone.add_argument("--tariff-class", metavar="CLASS")
    zone.add_argument("--end", action="store_true", help="the zone ends on the day before")
    zone.add_argument("--merge-into", metavar="CODE", help="the zone ends, its area belongs to this one")
    zone.set_defaults(run=run_change_zone)
    fee = actions.add_parser("change-fee", help="another fee from a day on")
    fee.add_argument("channel", metavar="CHANNEL")
    fee.add_argument("months", metavar="MONTHS", type=int)
    fee.add_argument("cents", metavar="CENTS", help="in cents, or none: no longer offered")
    fee.add_argument(
        "--tariff-class", default="", metavar="CLASS", help="of one class; without, of all others"
    )
    fee.set_defaults(run=run_change_fee)
    for one in (zone, fee):
        one.add_argument("--from", dest="valid_from", required=True, metavar="DAY", help="e.g. 2027-01-01")
        one.add_argument("--reason", metavar="TEXT")
        one.add_argument("--dry-run", action="store_true", help="only show what it touches")
    changes = actions.add_parser("changes", help="the changes that were made to rules")
    changes.set_defaults(run=run_changes)
    undo = actions.add_parser("undo", help="take a change back")
    undo.add_argument("change", metavar="ID")
    undo.add_argument("--reason", metavar="TEXT")
    undo.set_defaults(run=run_undo)
    for one in (quote, address, zone, fee, changes):
        one.add_argument("--json", action="store_true")
    for one in (quote, address, zone, fee, changes, undo):
        add_data_argument(one)


def run_quote(arguments: argparse.Namespace) -> ExitCode:
    """Say what a term costs."""
    with opened(arguments) as workspace, reading(workspace.engine) as session:
        rules = load_rules(session, workspace.tenant, PERMIT)
    found = rules.quote(arguments.zone, arguments.channel, arguments.months, _today(arguments))
    if arguments.json:
        tell_json(msgspec.to_builtins(found))
    elif isinstance(found, Quote):
        euros = f"{found.cents // 100},{found.cents % 100:02d}"
        tell(
            say(arguments, "CONFIG_QUOTE", months=found.term_months, zone=found.zone_code, channel=found.channel,
                euros=euros if arguments.lang == "de" else euros.replace(",", "."))
        )  # fmt: skip
    else:
        tell(found.sentence(arguments.lang))
    return ExitCode.GREEN if isinstance(found, Quote) else ExitCode.RED


def run_address(arguments: argparse.Namespace) -> ExitCode:
    """Say which zone an address lies in."""
    address = Address(arguments.street, arguments.number, arguments.postal_code)
    with opened(arguments) as workspace, reading(workspace.engine) as session:
        found = find_address(session, workspace.tenant, address, _today(arguments))
    if arguments.json:
        facts = {
            name: value if isinstance(value, str) else str(value) for name, value in found.facts().items()
        }
        tell_json({"code": found.code, **facts, "sentence": found.sentence(arguments.lang)})
    else:
        tell(found.sentence(arguments.lang))
    return ExitCode.GREEN if isinstance(found, ZoneFound) else ExitCode.RED


def run_change_zone(arguments: argparse.Namespace) -> ExitCode:
    """Change a zone, or show what that would touch."""
    change = ZoneChange(
        arguments.code,
        parse_date_iso(arguments.valid_from),
        arguments.name,
        arguments.tariff_class,
        arguments.end,
        arguments.merge_into,
    )
    return _change(arguments, change)


def run_change_fee(arguments: argparse.Namespace) -> ExitCode:
    """Change a fee, or show what that would touch."""
    text = arguments.cents
    if text != "none" and not (text.isascii() and text.isdigit() and len(text) < 10):
        raise IssuerRefusal("INTEGER_FORMAT", field="fee_cents", minimum=0, maximum=10_000_000)
    cents = None if text == "none" else int(text)
    day = parse_date_iso(arguments.valid_from)
    change = FeeChange(arguments.tariff_class, arguments.channel, arguments.months, day, cents)
    return _change(arguments, change)


def _change(arguments: argparse.Namespace, change: Change) -> ExitCode:
    at = chosen_time(arguments)
    with opened(arguments) as workspace, writing(workspace.engine) as session:
        found = preview(session, workspace.tenant, change, at)
        made = None
        if not arguments.dry_run:
            made = make_change(session, workspace.tenant, change, at, actor(), arguments.reason)
    if arguments.json:
        tell_json({**msgspec.to_builtins(found), "change": made})
    else:
        _tell_preview(arguments, found)
        if made is not None:
            tell(say(arguments, "CONFIG_CHANGED", change=made))
    return ExitCode.RED if found.hindering else ExitCode.GREEN


def _tell_preview(arguments: argparse.Namespace, found: Preview) -> None:
    day = found.valid_from.isoformat()
    if found.first_renewal is None:
        tell(say(arguments, "CONFIG_PREVIEW_NONE", day=day))
    else:
        first, numbers = found.first_renewal.isoformat(), shown(found.numbers)
        tell(say(arguments, "CONFIG_PREVIEW", day=day, count=found.count, numbers=numbers, first=first))
    if found.hindering and found.earliest is not None:
        numbers, earliest = shown(found.hindering), found.earliest.isoformat()
        count = len(found.hindering)
        tell(say(arguments, "CONFIG_PREVIEW_HINDERED", count=count, numbers=numbers, earliest=earliest))


def run_changes(arguments: argparse.Namespace) -> ExitCode:
    """List the changes that hold."""
    with opened(arguments) as workspace, reading(workspace.engine) as session:
        made = made_changes(session, workspace.tenant)
    if arguments.json:
        tell_json([msgspec.to_builtins(one) for one in made])
        return ExitCode.GREEN
    heads = [
        say(arguments, name) for name in ("CONFIG_CHANGE", "CONFIG_FROM", "CONFIG_WHAT", "CONFIG_CONTENT")
    ]
    rows = [
        (
            one.id,
            one.valid_from.isoformat(),
            f"{one.subject} {one.target}",
            msgspec.json.encode(one.content).decode(),
        )
        for one in made
    ]
    tell_table(heads, rows)
    return ExitCode.GREEN


def run_undo(arguments: argparse.Namespace) -> ExitCode:
    """Take a change back."""
    with opened(arguments) as workspace, writing(workspace.engine) as session:
        undo_change(
            session, workspace.tenant, arguments.change, chosen_time(arguments), actor(), arguments.reason
        )
    tell(say(arguments, "CONFIG_UNDONE", change=arguments.change))
    return ExitCode.GREEN


class _RulesFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A city's own table: values of kinds with the day they begin, and evidence types of its own."""

    valid_from: date
    kinds: dict[str, dict[str, Any]] = {}
    evidence: dict[str, EvidenceType] = {}


def import_rules(arguments: argparse.Namespace) -> ExitCode:
    """Enter a city's own table of permit kinds as changes."""
    file: Path = arguments.file
    try:
        with file.open("rb") as opened_file:
            data = opened_file.read(_LARGEST)
        told = msgspec.convert(tomllib.loads(data.decode("utf-8")), _RulesFile)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as fault:
        raise IssuerRefusal("RULES_FILE", file=file, fault=str(fault)) from fault
    changes = list(_changes_of(told))
    at = chosen_time(arguments)
    with opened(arguments) as workspace, writing(workspace.engine) as session:
        for change in changes:
            make_change(session, workspace.tenant, change, at, actor())
    tell(say(arguments, "CONFIG_RULES_LOADED", count=len(changes), file=file))
    return ExitCode.GREEN


def _changes_of(told: _RulesFile) -> Iterator[Change]:
    for name, label in told.evidence.items():
        yield EvidenceChange(PERMIT, name, told.valid_from, label)
    for name, values in told.kinds.items():
        yield KindChange(PERMIT, name, told.valid_from, values)


def show_table(arguments: argparse.Namespace) -> ExitCode:
    """Show zones, fees, streets or rules as they are on the day."""
    day = _today(arguments)
    with opened(arguments) as workspace, reading(workspace.engine) as session:
        rules = load_rules(session, workspace.tenant, PERMIT)
        entries = directory(session, workspace.tenant) if arguments.table == "streets" else []
        size = directory_size(session, workspace.tenant)
        members: MembershipFees | None = None
        if arguments.table == "membership-fees":
            library = library_type(workspace.pass_types, arguments.type)
            members = membership_fees(session, workspace.tenant, library.id)
    if members is not None:
        heads, rows = _membership_rows(members)
        return _tell_rows(arguments, heads, rows)
    match arguments.table:
        case "zones":
            heads, rows = _zone_rows(rules, day)
        case "fees":
            heads, rows = _fee_rows(rules, arguments)
        case "streets":
            if not arguments.json:
                tell(say(arguments, "CONFIG_DIRECTORY", streets=size[0], count=size[1]))
            heads, rows = _street_rows(entries, arguments)
        case _:
            kinds = msgspec.to_builtins(rules.kinds.on(day))
            if arguments.json:
                tell_json({"kinds": kinds, "evidence": msgspec.to_builtins(dict(rules.kinds.evidence))})
            else:
                for name, values in kinds.items():
                    tell(f"{name}: {say(arguments, f'KIND_{name.upper()}')}")
                    for key, value in values.items():
                        tell(f"  {key} = {msgspec.json.encode(value).decode()}")
            return ExitCode.GREEN
    return _tell_rows(arguments, heads, rows)


def _tell_rows(arguments: argparse.Namespace, heads: list[str], rows: list[tuple[str, ...]]) -> ExitCode:
    if arguments.json:
        tell_json(
            [
                dict(zip((head.removeprefix("CONFIG_").lower() for head in heads), row, strict=True))
                for row in rows
            ]
        )
    else:
        tell_table([say(arguments, head) for head in heads], rows)
    return ExitCode.GREEN


_Rows = tuple[list[str], list[tuple[str, ...]]]


def _membership_rows(fees: MembershipFees) -> _Rows:
    return ["CONFIG_CATEGORY", "CONFIG_FROM", "CONFIG_FEE"], [
        (category, "" if first == ALWAYS else first.isoformat(), str(cents))
        for category, rows in sorted(fees.rows.items())
        for first, cents in rows
    ]


def _zone_rows(rules: CityRules, day: date) -> _Rows:
    heads = ["CONFIG_ZONE", "CONFIG_NAME", "CONFIG_CLASS", "CONFIG_FROM", "CONFIG_UNTIL", "CONFIG_MERGED"]
    found = [one.on(day) for _, one in sorted(rules.zones.items())]
    return heads, [
        (
            one.zone.code,
            one.zone.name,
            one.tariff_class,
            one.valid_from.isoformat() if one.valid_from else "",
            one.valid_until.isoformat() if one.valid_until else "",
            one.merged_into or "",
        )
        for one in found
    ]


def _fee_rows(rules: CityRules, arguments: argparse.Namespace) -> _Rows:
    heads = ["CONFIG_CLASS", "CONFIG_CHANNEL", "CONFIG_MONTHS", "CONFIG_FROM", "CONFIG_FEE"]
    none = "" if arguments.json else say(arguments, "CONFIG_NOT_OFFERED")
    return heads, [
        (
            of_class,
            channel,
            str(months),
            "" if first == ALWAYS else first.isoformat(),
            none if cents is None else str(cents),
        )
        for (of_class, channel, months), steps in sorted(rules.fees.rows.items())
        for first, cents in sorted(steps, key=lambda step: step[0])
    ]


def _street_rows(entries: list[StreetEntry], arguments: argparse.Namespace) -> _Rows:
    heads = ["CONFIG_STREET", "CONFIG_POSTAL_CODE", "CONFIG_NUMBERS", "CONFIG_ZONE", "CONFIG_NOTE"]
    return heads, [
        (one.street, one.postal_code, _numbers(one, arguments), one.zone_code, one.note) for one in entries
    ]


def _numbers(entry: StreetEntry, arguments: argparse.Namespace) -> str:
    numbers = entry.numbers
    if numbers.whole_street:
        return say(arguments, "CONFIG_NUMBERS_ALL")
    said = str(numbers.first) if numbers.first == numbers.last else f"{numbers.first}-{numbers.last}"
    if numbers.side is Side.ALL:
        return said
    return f"{said} {say(arguments, 'CONFIG_SIDE_ODD' if numbers.side is Side.ODD else 'CONFIG_SIDE_EVEN')}"


def _today(arguments: argparse.Namespace) -> date:
    return berlin_day(chosen_time(arguments))
