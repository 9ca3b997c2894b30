"""Steps that the tests of Google Wallet share."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from issuer import lifecycle
from issuer.application import Application
from issuer.delivery import google_objects
from issuer.lifecycle import Actor, Changes
from issuer.models import RevisionRow
from issuer.models_delivery import WalletPassRow
from tests.service import PERMIT

ISSUER = "3388000000000000000"


def actor(application: Application) -> Actor:
    return Actor("test", application.now(), "a reason")


def serial_of(application: Application, number: str, type_id: str = PERMIT) -> str:
    with application.reading() as session:
        return session.scalars(
            select(RevisionRow.serial).where(
                RevisionRow.tenant == application.tenant,
                RevisionRow.type_id == type_id,
                RevisionRow.number == number,
                RevisionRow.superseded_at.is_(None),
            )
        ).one()


def wallet_row(application: Application, serial: str) -> WalletPassRow:
    with application.reading() as session:
        return session.get_one(WalletPassRow, (application.tenant, serial))


def want(application: Application, *serials: str) -> None:
    with application.writing() as session:
        for serial in serials:
            session.get_one(WalletPassRow, (application.tenant, serial)).google_wanted = True


def deliver(application: Application, *serials: str) -> None:
    google_objects.run(application, {"serials": list(serials)})


def step(application: Application, name: str, number: str) -> None:
    with application.writing() as session:
        getattr(lifecycle, name)(session, application.tenant, PERMIT, number, actor=actor(application))


def reissue(application: Application, number: str) -> str:
    """The serial that takes over."""
    pass_type = application.pass_types[PERMIT]
    with application.writing() as session:
        made = lifecycle.reissue(
            session,
            application.tenant,
            pass_type,
            number,
            seal_for=application.sealer(session, pass_type),
            actor=actor(application),
        )
    return made.serial


def change_zone(application: Application, number: str, zone: str) -> None:
    pass_type = application.pass_types[PERMIT]
    with application.writing() as session:
        lifecycle.change(
            session,
            application.tenant,
            pass_type,
            number,
            Changes(zone_code=zone),
            seal_for=application.sealer(session, pass_type),
            actor=actor(application),
        )


def texts_of(made: dict[str, Any]) -> str:
    return str([module["localizedBody"] for module in made["textModulesData"]])
