"""``init`` and ``config``: setting up an installation and its tables and settings."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from issuer import audit, outgoing
from issuer.audit import AuditEvent
from issuer.commands import config_rules
from issuer.commands.common import actor, add_data_argument, opened, say, tell, tell_json
from issuer.database import reading, writing
from issuer.errors import IssuerRefusal
from issuer.library.fees import library_type, reload_membership_fees
from issuer.rules.directory import streets_from_csv
from issuer.rules.reload import RELOADS, Difference, refuse_history
from issuer.settings import SHOWN_ON_PASSES, Settings, load_settings, save_settings
from issuer.setup import DEMO_ROOT, initialise
from passes.model import DisplayMode, MainCode
from passes.pass_types import PassTypes
from passes.periods import berlin_day
from verifier.cli import Parser, chosen_time
from verifier.verdict import ExitCode


def add_commands(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add ``init`` and ``config`` to the command line."""
    init = commands.add_parser("init", help="set up a data folder with register and keys")
    add_data_argument(init)
    init.add_argument(
        "--demo", action="store_true", help="the demo city: TEST on everything, own Apple-shaped CA"
    )
    init.add_argument(
        "--tenant", default="stadt", metavar="NAME", help="short name of the city (a-z, 0-9, -)"
    )
    init.add_argument(
        "--database-url",
        default="",
        metavar="URL",
        help="register elsewhere, e.g. postgresql+psycopg://stadtpass@/stadtpass (default: SQLite in DIR)",
    )
    init.add_argument("--city", default="Musterstadt", metavar="NAME", help="name of the city on every pass")
    init.add_argument(
        "--display-mode",
        choices=[mode.value for mode in DisplayMode],
        default=DisplayMode.PAPER_REQUIRED.value,
        help="whether the print must lie in the car",
    )
    init.set_defaults(run=run_init)
    config = commands.add_parser("config", help="zones, streets, fees, rules and settings")
    actions = config.add_subparsers(required=True, metavar="ACTION")
    load = actions.add_parser(
        "import", help="load zones, fees, streets, membership fees (CSV) or rules (TOML)"
    )
    load.add_argument("table", choices=("zones", "fees", "streets", "membership-fees", "rules"))
    load.add_argument("file", type=Path, metavar="FILE")
    load.add_argument(
        "--dry-run",
        action="store_true",
        help="load nothing; for zones and fees show what would differ",
    )
    load.add_argument("--type", metavar="TYPE", help="of membership fees: the library's pass type")
    load.add_argument("--encoding", metavar="NAME", help="encoding of a file that is not UTF-8, e.g. cp1252")
    add_data_argument(load)
    load.set_defaults(run=run_import)
    show = actions.add_parser("show", help="show all settings, or a table")
    show.add_argument("table", nargs="?", choices=("zones", "fees", "streets", "membership-fees", "rules"))
    show.add_argument("--type", metavar="TYPE", help="of membership fees: the library's pass type")
    show.add_argument("--json", action="store_true")
    add_data_argument(show)
    show.set_defaults(run=run_show)
    change = actions.add_parser("set", help="change one setting")
    change.add_argument("key", metavar="KEY")
    change.add_argument("value", metavar="VALUE", help="as JSON, or plain text")
    add_data_argument(change)
    change.set_defaults(run=run_set)
    config_rules.add_actions(actions)


def run_init(arguments: argparse.Namespace) -> ExitCode:
    """Set up a new data folder."""
    settings = Settings(city_name=arguments.city, display_mode=DisplayMode(arguments.display_mode))
    at = chosen_time(arguments)
    initialise(
        arguments.data,
        at,
        tenant=arguments.tenant,
        settings=settings,
        demo=arguments.demo,
        database_url=arguments.database_url,
    )
    if arguments.demo:
        tell(say(arguments, "INIT_DEMO", folder=arguments.data, root=arguments.data / DEMO_ROOT))
    else:
        tell(say(arguments, "INIT_DONE", folder=arguments.data))
    return ExitCode.GREEN


def run_import(arguments: argparse.Namespace) -> ExitCode:
    """Load a table."""
    if arguments.table == "rules":
        return config_rules.import_rules(arguments)
    at = chosen_time(arguments)
    differences: list[Difference] = []
    with opened(arguments) as workspace, writing(workspace.engine) as session:
        tenant, file, encoding = workspace.tenant, arguments.file, arguments.encoding
        if arguments.table == "streets":
            count = streets_from_csv(session, tenant, file, encoding)
        elif arguments.table == "membership-fees":
            library = library_type(workspace.pass_types, arguments.type)
            count, differences = reload_membership_fees(
                session, tenant, library, file, berlin_day(at), encoding
            )
        else:
            reload = RELOADS[arguments.table]
            count, differences = reload(session, tenant, file, berlin_day(at), encoding)
        if arguments.dry_run:
            session.rollback()
        else:
            refuse_history(arguments.table, differences)
            event = AuditEvent(f"import-{arguments.table}", arguments.table, after={"rows": count})
            audit.append(session, tenant, [event], at, actor())
    if not arguments.dry_run:
        tell(say(arguments, "TABLE_LOADED", count=count, file=arguments.file))
        return ExitCode.GREEN
    for one in differences:
        tell(f"{say(arguments, 'TABLE_FIXED') if one.fixed else ' '} {one}")
    tell(say(arguments, "TABLE_DRY", count=count, differences=len(differences)))
    return ExitCode.RED if any(one.fixed for one in differences) else ExitCode.GREEN


def run_show(arguments: argparse.Namespace) -> ExitCode:
    """Show the settings, or a table of rules."""
    if arguments.table is not None:
        return config_rules.show_table(arguments)
    with opened(arguments) as workspace, reading(workspace.engine) as session:
        settings = msgspec.to_builtins(load_settings(session, workspace.tenant))
    if arguments.json:
        tell_json(settings)
    else:
        for key, value in settings.items():
            tell(f"{key} = {msgspec.json.encode(value).decode()}")
    return ExitCode.GREEN


def _types_showing(key: str, pass_types: PassTypes) -> tuple[str, ...] | None:
    """The types on whose passes the setting ``key`` stands; None for all."""
    if key != "library_main_code":
        return None
    return tuple(one.id for one in pass_types if one.has_number_code)


def _check_schemes(settings: Settings, pass_types: PassTypes) -> None:
    """Refuse a scheme of card numbers that is neither built in nor in the city's own folder of types."""
    if not set(settings.library_card_schemes) <= _known_schemes(pass_types):
        raise _schemes_refused(pass_types)


def _schemes_refused(pass_types: PassTypes) -> IssuerRefusal:
    known = ", ".join(sorted(_known_schemes(pass_types)))
    return IssuerRefusal("SETTING_SCHEMES", key="library_card_schemes", known=known)


def _known_schemes(pass_types: PassTypes) -> set[str]:
    return {name for one in pass_types for name in one.card_schemes}


def run_set(arguments: argparse.Namespace) -> ExitCode:
    """Change one setting, checked as a whole."""
    try:
        value = msgspec.json.decode(arguments.value)
    except msgspec.DecodeError:
        value = arguments.value
    with opened(arguments) as workspace, writing(workspace.engine) as session:
        before_settings = load_settings(session, workspace.tenant)
        before = msgspec.to_builtins(before_settings)
        if arguments.key not in before:
            raise IssuerRefusal("SETTING_UNKNOWN", key=arguments.key, known=", ".join(sorted(before)))
        if arguments.key == "test":
            raise IssuerRefusal("SETTING_FIXED", key=arguments.key)
        try:
            after = msgspec.convert(before | {arguments.key: value}, Settings)
            if arguments.key == "library_card_schemes":
                _check_schemes(after, workspace.pass_types)
        except msgspec.ValidationError as fault:
            if arguments.key == "library_card_schemes":
                raise _schemes_refused(workspace.pass_types) from fault
            if arguments.key == "library_main_code":
                known = ", ".join(MainCode)
                raise IssuerRefusal("SETTING_CHOICE", key=arguments.key, known=known) from fault
            raise IssuerRefusal("SETTING_VALUE", key=arguments.key, fault=str(fault)) from fault
        save_settings(session, workspace.tenant, after)
        event = AuditEvent(
            "change-setting",
            f"setting/{arguments.key}",
            before={"value": str(before[arguments.key])},
            after={"value": str(value)},
        )
        at = chosen_time(arguments)
        audit.append(session, workspace.tenant, [event], at, actor())
        if arguments.key in SHOWN_ON_PASSES and after != before_settings:
            outgoing.everything_moved(
                session, workspace.tenant, at, _types_showing(arguments.key, workspace.pass_types)
            )
        if before_settings.google_offered and not after.google_offered:
            outgoing.google_switched(session, workspace.tenant, at)
    tell(say(arguments, "SETTING_SAVED", key=arguments.key))
    return ExitCode.GREEN
