"""``change``, ``revoke``, ``suspend``, ``resume``, ``reissue``, ``show``: one pass and its life."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy.orm import Session

from issuer import attributes as stored_attributes
from issuer import lifecycle, pass_view
from issuer.application import Application
from issuer.carriers import Found, carriers_of, files_in, found_in
from issuer.commands.common import actor, add_number_arguments, opened, say, tell, tell_json, tell_table
from issuer.database import reading, writing
from issuer.delivery import mail
from issuer.errors import IssuerRefusal, RegisterRefusal
from issuer.files import write_atomically
from issuer.issue import usable_carriers
from issuer.library import members
from issuer.lifecycle import Actor, Changes
from issuer.pass_view import PassView
from issuer.production import carrier_maker
from issuer.register import load_contents
from issuer.revocation import revoke_logged
from issuer.revocation_log import RevocationLog
from issuer.sealing import RegisterSealer, sealer_for
from issuer.service_secret import service_secret
from issuer.workspace import Workspace
from passes.card_numbers import CardNumber
from passes.display import day_text
from passes.model import PassContent, RegisteredPlate
from passes.pass_types import PassType
from passes.periods import BERLIN
from passes.plates import check_season_length, parse_with_season
from passes.seasons import Season
from verifier.cli import Parser, chosen_time
from verifier.verdict import ExitCode

_STEPS: dict[str, Callable[..., None]] = {
    "suspend": lifecycle.suspend,
    "resume": lifecycle.resume,
}


def add_commands(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the commands on one pass to the command line."""
    change = commands.add_parser(
        "change", help="other plates, zone or card number: a new revision with a new seal"
    )
    add_number_arguments(change)
    change.add_argument("--plate", action=_Plate, metavar="P", help="new plate; twice for a permit with two")
    change.add_argument("--season", action=_Season, metavar="04-10", help="season of the plate named before")
    change.add_argument("--zone", metavar="Z", help="new zone code")
    change.add_argument("--card-number", metavar="N", help="new card number")
    _add_out(change)
    change.set_defaults(run=run_change)
    for name, text in (
        ("revoke", "end a pass for good"),
        ("suspend", "put a pass on hold"),
        ("resume", "let a suspended pass hold again"),
    ):
        step = commands.add_parser(name, help=text)
        add_number_arguments(step)
        step.add_argument("--reason", metavar="TEXT", required=True, help="why, for the audit trail")
        step.set_defaults(run=run_step, step=name)
    reissue = commands.add_parser("reissue", help="new seal and token for the same right: a lost phone")
    add_number_arguments(reissue)
    reissue.add_argument("--reason", metavar="TEXT", required=True, help="why, for the audit trail")
    _add_out(reissue)
    reissue.set_defaults(run=run_reissue)
    show = commands.add_parser("show", help="a pass with its revisions and history")
    add_number_arguments(show)
    show.add_argument("--json", action="store_true")
    show.set_defaults(run=run_show)


def _add_out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", metavar="DIR", type=Path, help="folder for the new passes (default DATA/out)"
    )


class _Plate(argparse.Action):
    """Collects ``--plate``, each with the season that may follow it."""

    def __call__(
        self, _parser: argparse.ArgumentParser, namespace: argparse.Namespace, *given: object
    ) -> None:
        plates = list(getattr(namespace, "plate", None) or [])
        plates.append((str(given[0]), None))
        namespace.plate = plates


class _Season(argparse.Action):
    """Puts ``--season`` to the plate before it."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, *given: object
    ) -> None:
        plates = list(getattr(namespace, "plate", None) or [])
        if not plates or plates[-1][1] is not None:
            parser.error("--season belongs behind a --plate")
        plates[-1] = (plates[-1][0], str(given[0]))
        namespace.plate = plates


def run_change(arguments: argparse.Namespace) -> ExitCode:
    """Change what a pass says."""
    plates = _plates(arguments.plate) if arguments.plate else None

    def change(session: Session, sealing: _Sealing) -> PassContent:
        card = None
        if arguments.card_number is not None:
            view = pass_view.show(session, sealing.tenant, sealing.pass_type, arguments.number)
            card = _card_number(arguments.card_number, view, sealing.pass_type)
        by, log = Actor(actor(), sealing.at), RevocationLog(sealing.application.workspace.folder)
        place = (session, sealing.tenant, sealing.pass_type, arguments.number)
        alone = plates is None and arguments.zone is None
        if card is not None and alone and sealing.pass_type.spec.membership is not None:
            # As at the library's desk: a card that was lost holds again with its new number.
            content = members.replace_card(*place, card, seal_for=sealing.seal_for, actor=by, log=log)
        else:
            changes = Changes(plates, arguments.zone, card)
            content = lifecycle.change(*place, changes, seal_for=sealing.seal_for, actor=by, log=log)
        if plates is not None:
            # The print in the car is void from now on. Without an address the office posts the PDF made here.
            mail.queue_mail(session, sealing.application, mail.CHANGED, content.type_id, content.number, {})
        return content

    return _renew(arguments, change, "PASS_CHANGED")


def run_reissue(arguments: argparse.Namespace) -> ExitCode:
    """Give a pass a new seal and token."""

    def reissue(session: Session, sealing: _Sealing) -> PassContent:
        return lifecycle.reissue(
            session, sealing.tenant, sealing.pass_type, arguments.number,
            seal_for=sealing.seal_for, actor=Actor(actor(), sealing.at, arguments.reason),
        )  # fmt: skip

    return _renew(arguments, reissue, "PASS_REISSUED")


def run_step(arguments: argparse.Namespace) -> ExitCode:
    """Revoke, suspend or resume a pass."""
    at = chosen_time(arguments)
    with opened(arguments) as workspace, writing(workspace.engine) as session:
        type_id = lifecycle.find_type(session, workspace.tenant, arguments.number, arguments.type)
        by = Actor(actor(), at, arguments.reason)
        if arguments.step == "revoke":
            log = RevocationLog(workspace.folder)
            revoke_logged(session, workspace.tenant, log, type_id, arguments.number, actor=by)
        else:
            _STEPS[arguments.step](session, workspace.tenant, type_id, arguments.number, actor=by)
    tell(say(arguments, f"PASS_{arguments.step.upper()}", number=arguments.number))
    return ExitCode.GREEN


def run_show(arguments: argparse.Namespace) -> ExitCode:
    """Show a pass."""
    with opened(arguments) as workspace, reading(workspace.engine) as session:
        type_id = lifecycle.find_type(session, workspace.tenant, arguments.number, arguments.type)
        view = pass_view.show(session, workspace.tenant, workspace.pass_types[type_id], arguments.number)
        if arguments.json:
            tell_json(_as_json(view))
        else:
            _tell_view(arguments, workspace, view)
    return ExitCode.GREEN


@dataclass(frozen=True, slots=True)
class _Sealing:
    """What a step that makes a new revision needs besides its own values."""

    tenant: str
    pass_type: PassType
    seal_for: RegisterSealer
    at: datetime
    application: Application


def _renew(
    arguments: argparse.Namespace, step: Callable[[Session, _Sealing], PassContent], done: str
) -> ExitCode:
    at = chosen_time(arguments)
    out: Path = arguments.out or arguments.data / "out"
    with opened(arguments) as workspace, workspace.keys() as manager:
        tenant = workspace.tenant
        with reading(workspace.engine) as session:
            type_id = lifecycle.find_type(session, tenant, arguments.number, arguments.type)
            pass_type = workspace.pass_types[type_id]
            carriers, _ = usable_carriers(session, tenant, pass_type, None)
        # Prepared before anything changes: a missing key must not leave a revision without carriers.
        maker = carrier_maker(workspace, manager, type_id, carriers, at)
        application = Application(workspace, manager, service_secret(workspace.folder), lambda: at)
        out.mkdir(parents=True, exist_ok=True)
        _probe(out)
        try:
            with writing(workspace.engine) as session:
                sealer = sealer_for(session, tenant, pass_type, manager, at)
                content = step(session, _Sealing(tenant, pass_type, sealer, at, application))
        except RegisterRefusal as refusal:
            # The same change again, after a run that was killed before it could write the files, finishes it.
            if refusal.code != "NOTHING_CHANGES":
                raise
            with reading(workspace.engine) as session:
                (content,) = load_contents(session, tenant, pass_type, [arguments.number])
            if found_in(pass_type, content, out, files_in(out)) is not Found.ANOTHER_REVISION:
                raise
        maker.write(content, carriers_of(content.status, carriers), out)
    tell(say(arguments, done, number=arguments.number, folder=out))
    return ExitCode.GREEN


def _probe(out: Path) -> None:
    """Write to ``out`` and take it back: what cannot be written must be known before the register changes."""
    probe = out / f".probe-{os.getpid()}"
    write_atomically(probe, b"", sync=False)
    probe.unlink()


def _plates(given: list[tuple[str, str | None]]) -> tuple[RegisteredPlate, ...]:
    plates = []
    for text, season_text in given:
        plate, season = parse_with_season(text)
        if season_text is not None:
            named, season = season, Season.parse(season_text)
            if named not in (None, season):
                raise IssuerRefusal("SEASON_CONFLICT", plate=plate.canonical)
        if season is not None:
            check_season_length(plate)
        plates.append(RegisteredPlate(plate, season))
    return tuple(plates)


def _card_number(text: str, view: PassView, pass_type: PassType) -> CardNumber:
    """The new number under the check scheme and symbology of the old one."""
    old = next((one for one in view.content.attributes.values() if isinstance(one, CardNumber)), None)
    if old is None:
        return pass_type.card_number(text)
    return pass_type.card_number(text, old.scheme or "", old.symbology or "")


def _as_json(view: PassView) -> dict[str, object]:
    content = view.content
    return {
        "number": content.number,
        "type": content.type_id,
        "status": content.status.value,
        "valid_from": content.period.first.isoformat(),
        "valid_until": content.period.last.isoformat(),
        "attributes": stored_attributes.facts(content.attributes),
        "seal": content.seal or None,
        "serial": content.serial,
        "replaces": view.replaces,
        "revisions": [
            {
                "revision": one.n,
                "issued_at": _moment(one.issued_at),
                "superseded_at": _moment(one.superseded_at),
                "kid": one.kid,
                "status_list": None if one.place is None else one.place[0],
                "status_index": None if one.place is None else one.place[1],
                "status": int(one.status),
            }
            for one in view.revisions
        ],
        "history": [
            {"at": _moment(one.at), "actor": one.actor, "action": one.action, "reason": one.reason}
            for one in view.history
        ],
    }


def _tell_view(arguments: argparse.Namespace, workspace: Workspace, view: PassView) -> None:
    content = view.content
    pass_type = workspace.pass_types[content.type_id]
    words = pass_type.words(arguments.lang)
    tell(f"{words.name} {content.number}: {say(arguments, 'STATUS_' + content.status.name)}")
    first, last = (day_text(day, arguments.lang) for day in (content.period.first, content.period.last))
    tell(f"  {say(arguments, 'SHOW_PERIOD')}: {first} – {last}")
    for name, value in stored_attributes.facts(content.attributes).items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        shown = words.choices.get(name, {}).get(shown, shown)
        if shown:
            tell(f"  {words.labels.get(name, name)}: {shown}")
    tell("")
    tell_table(
        [say(arguments, f"SHOW_{name}") for name in ("REVISION", "ISSUED", "SUPERSEDED", "PLACE", "VALUE")],
        [
            [
                str(one.n),
                _moment(one.issued_at) or "",
                _moment(one.superseded_at) or "",
                "" if one.place is None else f"{one.place[0]}/{one.place[1]}",
                one.status.name.lower(),
            ]
            for one in view.revisions
        ],
    )
    tell("")
    tell_table(
        [say(arguments, f"SHOW_{name}") for name in ("AT", "ACTOR", "ACTION", "REASON")],
        [[_moment(one.at) or "", one.actor, one.action, one.reason or ""] for one in view.history],
    )


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(BERLIN).isoformat(timespec="seconds")
