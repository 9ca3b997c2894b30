"""Passes and holders as tests of the holder's pages want them, and what these have done to the register."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

from httpx import Response
from litestar import Litestar
from litestar.testing import TestClient
from msgspec.structs import replace
from sqlalchemy import select

from issuer.application import Application
from issuer.lifecycle import Actor, Changes, change
from issuer.models import HolderRow, PassRow, RevisionRow
from issuer.models_cases import CaseRow
from issuer.register import load_contents
from issuer.settings import load_settings, save_settings
from passes.card_numbers import CardNumber
from passes.model import MainCode, PassContent, RegisteredPlate
from passes.plates import Plate
from tests.issuer.pickup.browser import form_token, last_day
from tests.service import CARD, PERMIT, running_numbers


def standard(application: Application, kind: str = "standard") -> str:
    """The number of a permit of ``kind`` that holds today and whose holder has an address."""
    for number in running_numbers(application):
        found = content(application, number)
        if found.attributes["permit_kind"] == kind and not any(
            one.season
            for one in found.attributes.get("plates", ())  # type: ignore[union-attr]
        ):
            return number
    raise LookupError(kind)


def two_plates(application: Application) -> str:
    """The number of a permit that has got a second plate."""
    number = standard(application)
    [first] = plates(application, number)
    both = (RegisteredPlate(Plate.parse(first)), RegisteredPlate(Plate.parse("D-ZZ 1")))
    with application.writing() as session:
        pass_type = application.pass_types[PERMIT]
        change(
            session,
            application.tenant,
            pass_type,
            number,
            Changes(plates=both),
            seal_for=application.sealer(session, pass_type),
            actor=Actor("t", application.now()),
        )
    return number


def with_card(application: Application, card: CardNumber, place: int = 0) -> str:
    """The number of a library card that holds today and has got the number ``card``."""
    number = running_numbers(application, CARD)[place]
    with application.writing() as session:
        pass_type = application.pass_types[CARD]
        change(
            session,
            application.tenant,
            pass_type,
            number,
            Changes(card_number=card),
            seal_for=application.sealer(session, pass_type),
            actor=Actor("t", application.now()),
        )
    return number


def shows_first(application: Application, code: MainCode) -> None:
    """Have the library show ``code`` in the wallets."""
    with application.writing() as session:
        settings = load_settings(session, application.tenant)
        save_settings(session, application.tenant, replace(settings, library_main_code=code))


def content(application: Application, number: str) -> PassContent:
    with application.reading() as session:
        [found] = load_contents(session, application.tenant, application.pass_types[PERMIT], [number])
    return found


def held_plates(application: Application, number: str) -> tuple[RegisteredPlate, ...]:
    held = content(application, number).attributes.get("plates", ())
    assert isinstance(held, tuple)
    return held


def plates(application: Application, number: str) -> list[str]:
    return [one.plate.canonical for one in held_plates(application, number)]


def revisions(application: Application, number: str) -> list[RevisionRow]:
    with application.reading() as session:
        return list(
            session.scalars(
                select(RevisionRow)
                .where(RevisionRow.tenant == application.tenant, RevisionRow.number == number)
                .order_by(RevisionRow.n)
            )
        )


def cases(application: Application, number: str) -> list[CaseRow]:
    with application.reading() as session:
        return list(
            session.scalars(
                select(CaseRow)
                .where(CaseRow.tenant == application.tenant, CaseRow.pass_number == number)
                .order_by(CaseRow.created_at, CaseRow.number)
            )
        )


def ends(application: Application, number: str, last: date) -> None:
    """Have the pass end on ``last``, as if its term had been so."""
    with application.writing() as session:
        row = session.get_one(PassRow, (application.tenant, PERMIT, number))
        row.period_first, row.period_last = min(row.period_first, last), last


def lives(application: Application, number: str, **values: str) -> None:
    """Change what is stored about the holder."""
    with application.writing() as session:
        row = session.get_one(PassRow, (application.tenant, PERMIT, number))
        holder = session.get_one(HolderRow, (application.tenant, row.holder_ref))
        for name, value in values.items():
            setattr(holder, name, value)


def type_plate(client: TestClient[Litestar], plate: str, **more: Any) -> Response:
    """Send the form with a new plate."""
    token = form_token(client.get("/p/pass/plate"))
    fields = {"form_token": token, "plate": plate, "keeper": "holder", **more}
    return client.post("/p/pass/plate", data=fields)


def confirmation(client: TestClient[Litestar], application: Application, number: str) -> dict[str, str]:
    """The fields of the page that asks to confirm, with the proof."""
    page = client.get("/p/pass/plate/confirm")
    assert page.status_code == 200, page.headers
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text))
    return {**hidden, **last_day(application, number)}


def change_plate(
    client: TestClient[Litestar], application: Application, number: str, plate: str, **more: Any
) -> Response:
    """From the form to the end of the change."""
    typed = type_plate(client, plate, **more)
    assert typed.headers.get("location") == "/p/pass/plate/confirm", typed.text
    return client.post("/p/pass/plate/confirm", data=confirmation(client, application, number))
