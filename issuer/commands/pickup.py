"""``pickup-link``: a way to a pass for its holder, made at the counter."""

from __future__ import annotations

import argparse

from issuer import audit, lifecycle
from issuer.application import Application
from issuer.audit import AuditEvent
from issuer.commands.common import actor, add_number_arguments, say, tell, tell_json
from issuer.models import PassRow
from issuer.pickup.codes import create_letter_code, grouped
from issuer.pickup.family import family_code, family_link
from issuer.pickup.links import Channel, create_link
from issuer.register import subject
from passes.display import day_text
from verifier.cli import Parser, chosen_time
from verifier.verdict import ExitCode


def add_commands(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add ``pickup-link`` to the command line."""
    link = commands.add_parser(
        "pickup-link", help="a one-time link to a pass, or a code for a letter, for its holder"
    )
    add_number_arguments(link)
    link.add_argument(
        "--letter",
        action="store_true",
        help="a code for a letter, good for 30 days (default: a link, 60 minutes)",
    )
    link.add_argument(
        "--family",
        action="store_true",
        help="to the cards of the children whose guardian the holder is as well",
    )
    link.add_argument("--json", action="store_true")
    link.set_defaults(run=run_link)


def run_link(arguments: argparse.Namespace) -> ExitCode:
    """Make a link or code, note that in the audit trail, and print it once."""
    at = chosen_time(arguments)
    with Application.open(arguments.data, lambda: at) as application, application.writing() as session:
        tenant, number = application.tenant, arguments.number
        type_id = lifecycle.find_type(session, tenant, number, arguments.type)
        row, _ = lifecycle.current_revision(session, tenant, type_id, number)
        event = AuditEvent("letter-code" if arguments.letter else "pickup-link", subject(type_id, number))
        audit.append(session, tenant, [event], at, actor())
        if arguments.letter:
            make_code = family_code if arguments.family else create_letter_code
            code = grouped(make_code(session, application, type_id, number))
            url = f"{application.settings(session).base_url}/p/code"
        else:
            make_link = family_link if arguments.family else create_link
            code, url = "", make_link(session, application, type_id, number, Channel.DESK)
    _tell(arguments, row, code, url)
    return ExitCode.GREEN


def _tell(arguments: argparse.Namespace, row: PassRow, code: str, url: str) -> None:
    if arguments.json:
        made = {"url": url} | ({"code": code, "last_day": row.period_last.isoformat()} if code else {})
        tell_json(made)
    elif code:
        last_day = day_text(row.period_last, arguments.lang)
        tell(say(arguments, "PICKUP_CODE_MADE", number=row.number, url=url, last_day=last_day))
        tell(code)
    else:
        tell(say(arguments, "PICKUP_LINK_MADE", number=row.number))
        tell(url)
