"""``payments``: what was paid, what is open, and what somebody has to settle."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import select

from issuer import lifecycle
from issuer.application import Application
from issuer.commands.common import (
    actor,
    add_data_argument,
    add_number_arguments,
    say,
    tell,
    tell_json,
    tell_table,
)
from issuer.errors import IssuerRefusal
from issuer.models import PassRow
from issuer.models_payments import PaymentRow
from issuer.payments.pass_payments import begin_for_pass
from issuer.payments.provider import ProviderRefused, ProviderUnavailable
from issuer.payments.reconcile import check
from issuer.payments.service import events_of, find_payment, settle, start_path
from issuer.payments.states import State
from verifier.cli import Parser, chosen_time
from verifier.verdict import ExitCode

_MOST = 500


def add_commands(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add ``payments`` to the command line."""
    parser = commands.add_parser("payments", help="payments: list, show, ask the provider, settle")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    listing = actions.add_parser("list", help=f"the newest payments, at most {_MOST}")
    listing.add_argument("--state", choices=[one.value for one in State], help="only those in this state")
    listing.add_argument("--to-settle", action="store_true", help="only those that somebody has to look at")
    _finish(listing, run_list)
    show = actions.add_parser("show", help="one payment, with everything its provider said")
    show.add_argument("id", metavar="ID")
    _finish(show, run_show)
    ask = actions.add_parser("check", help="ask the provider now how a payment stands")
    ask.add_argument("id", metavar="ID")
    _finish(ask, run_check)
    done = actions.add_parser("settle", help="note that what was to settle is settled")
    done.add_argument("id", metavar="ID")
    done.add_argument("--reason", metavar="TEXT", required=True, help="what was done; no names")
    _finish(done, run_settle)
    link = actions.add_parser("link", help="the address where an unpaid pass is paid for")
    link.add_argument("--cents", metavar="N", type=int, help="the fee, where the register does not know it")
    link.add_argument("--json", action="store_true")
    add_number_arguments(link)
    link.set_defaults(run=run_link)


def run_list(arguments: argparse.Namespace) -> ExitCode:
    """List payments, newest first."""
    with _application(arguments) as application, application.reading() as session:
        query = select(PaymentRow).where(PaymentRow.tenant == application.tenant)
        if arguments.state:
            query = query.where(PaymentRow.state == arguments.state)
        if arguments.to_settle:
            query = query.where(PaymentRow.attention != "")
        newest = query.order_by(PaymentRow.created_at.desc(), PaymentRow.id).limit(_MOST)
        found = session.scalars(newest).all()
    if arguments.json:
        tell_json([_facts(one) for one in found])
    elif not found:
        tell(say(arguments, "PAYMENTS_NONE"))
    else:
        names = ("ID", "FOR", "CENTS", "STATE", "ATTENTION", "SINCE")
        tell_table(
            [say(arguments, f"PAYMENTS_{name}") for name in names],
            [
                [
                    one.id,
                    f"{one.kind} {one.ref}",
                    str(one.amount_cents),
                    one.state,
                    one.attention,
                    one.created_at.isoformat(timespec="seconds"),
                ]
                for one in found
            ],
        )
    return ExitCode.GREEN


def run_show(arguments: argparse.Namespace) -> ExitCode:
    """Show one payment."""
    with _application(arguments) as application, application.reading() as session:
        row = find_payment(session, application.tenant, arguments.id)
        if row is None:
            raise IssuerRefusal("PAYMENT_UNKNOWN")
        events = events_of(session, application.tenant, row.id)
    told = [
        {
            "at": one.at.isoformat(),
            "source": one.source,
            "status": one.status,
            "outcome": one.outcome,
            "state": one.state,
        }
        for one in events
    ]
    if arguments.json:
        tell_json(_facts(row) | {"events": told})
        return ExitCode.GREEN
    for name, value in (
        ("ID", row.id),
        ("FOR", f"{row.kind} {row.ref}"),
        ("CENTS", row.amount_cents),
        ("RECEIVED", row.received_cents),
        ("STATE", row.state),
        ("ATTENTION", row.attention),
        ("PROVIDER", f"{row.provider} {row.provider_id or ''}"),
        ("SINCE", row.created_at.isoformat(timespec="seconds")),
    ):
        tell(f"{say(arguments, f'PAYMENTS_{name}'):<24} {value}")
    if told:
        names = ("AT", "SOURCE", "SAID", "OUTCOME", "STATE")
        tell_table(
            [say(arguments, f"PAYMENTS_{name}") for name in names], [list(one.values()) for one in told]
        )
    return ExitCode.GREEN


def run_check(arguments: argparse.Namespace) -> ExitCode:
    """Ask the provider. GREY if it does not answer."""
    with _application(arguments) as application:
        try:
            state = check(application, arguments.id)
        except (ProviderUnavailable, ProviderRefused) as fault:
            tell(say(arguments, "PAYMENT_NOT_ASKED", id=arguments.id, reason=fault.reason))
            return ExitCode.GREY
    if state is None:
        raise IssuerRefusal("PAYMENT_UNKNOWN")
    if arguments.json:
        tell_json({"id": arguments.id, "state": state.value})
    else:
        tell(say(arguments, "PAYMENTS_CHECKED", id=arguments.id, state=state.value))
    return ExitCode.GREEN


def run_settle(arguments: argparse.Namespace) -> ExitCode:
    """Take a payment off the list of what is to settle."""
    with _application(arguments) as application, application.writing() as session:
        settle(session, application, arguments.id, actor=actor(), reason=arguments.reason)
    if arguments.json:
        tell_json({"id": arguments.id, "settled": True})
    else:
        tell(say(arguments, "PAYMENTS_SETTLED_DONE", id=arguments.id))
    return ExitCode.GREEN


def run_link(arguments: argparse.Namespace) -> ExitCode:
    """Begin the payment of a pass, or find the open one."""
    with _application(arguments) as application, application.writing() as session:
        tenant = application.tenant
        type_id = lifecycle.find_type(session, tenant, arguments.number, arguments.type)
        cents = arguments.cents
        if cents is None:
            row = session.get(PassRow, (tenant, type_id, arguments.number))
            fee = row.record.get("fee_cents") if row is not None else None
            cents = int(fee) if isinstance(fee, int | str) and str(fee).isdigit() else 0
        if cents <= 0:
            raise IssuerRefusal("PAYMENT_AMOUNT_MISSING")
        pass_type = application.pass_types[type_id]
        begun = begin_for_pass(session, application, pass_type, arguments.number, cents, actor=actor())
        url = application.settings(session).base_url.rstrip("/") + start_path(begun.id)
    if arguments.json:
        tell_json({"id": begun.id, "url": url})
    else:
        tell(url)
    return ExitCode.GREEN


def _facts(row: PaymentRow) -> dict[str, object]:
    return {
        "id": row.id,
        "kind": row.kind,
        "ref": row.ref,
        "amount_cents": row.amount_cents,
        "received_cents": row.received_cents,
        "state": row.state,
        "attention": row.attention,
        "provider": row.provider,
        "provider_id": row.provider_id,
        "created_at": row.created_at.isoformat(),
        "expires_at": row.expires_at.isoformat(),
        "paid_at": row.paid_at.isoformat() if row.paid_at else None,
    }


def _finish(parser: argparse.ArgumentParser, run: object) -> None:
    parser.add_argument("--json", action="store_true")
    add_data_argument(parser)
    parser.set_defaults(run=run)


@contextmanager
def _application(arguments: argparse.Namespace) -> Iterator[Application]:
    at = chosen_time(arguments)
    with Application.open(arguments.data, lambda: at) as application:
        yield application
