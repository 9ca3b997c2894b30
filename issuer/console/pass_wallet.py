"""A pass into an EUDI Wallet at the counter: an offer with a transaction code on the screen, or a code by letter."""

from __future__ import annotations

import base64
from typing import Any, Final

from litestar import Response, post
from litestar.params import FromPath

from issuer.console.desk import Desk, acting_desk_of
from issuer.console.kept_apart import kept_apart
from issuer.errors import IssuerRefusal
from issuer.eudi import identity, making
from issuer.eudi.letters import transaction_code_letter
from issuer.eudi.offers import create_offer
from issuer.pickup.links import Channel
from issuer.register import subject
from issuer.web.forms import FormData
from issuer.web.reader import AnyRequest
from keys.errors import Refusal
from passes.qr import link_png

_CONFLICT: Final = 409
_ONE: Final = "/office/passes/{type_id:str}/{number:str}"
_CRUMB: Final = ("OFFICE_MENU_PASSES", "/office/passes")


def is_offered(desk: Desk, type_id: str) -> bool:
    """Whether passes of the type can go into EUDI Wallets now."""
    with desk.application.reading() as session:
        return bool(making.of_type(desk.application, type_id)) and identity.is_set_up(
            session, desk.application
        )


@post(_ONE + "/eudi", status_code=200, sync_to_thread=True)
def new_offer(
    request: AnyRequest, type_id: FromPath[str], number: FromPath[str], data: FormData
) -> Response[Any]:
    """An offer to scan, shown this once, with the code that the clerk tells the holder."""
    desk = acting_desk_of(request, data)
    application = desk.application
    if type_id in kept_apart(application) or not is_offered(desk, type_id):
        return desk.problem(_CONFLICT, "PASS_NOT_RUNNING")
    return offer_page(desk, type_id, number, (_CRUMB, (number, f"/office/passes/{type_id}/{number}")))


def offer_page(desk: Desk, type_id: str, number: str, crumbs: tuple[tuple[str, str], ...]) -> Response[Any]:
    """The page with a fresh offer and its code, under ``crumbs``; a problem where the pass does not hold."""
    application = desk.application
    try:
        with application.writing() as session:
            offer = create_offer(
                session,
                application,
                type_id,
                number,
                tx_code=True,
                channel=Channel.DESK.value,
                actor=desk.staff.actor,
            )
    except Refusal:
        return desk.problem(_CONFLICT, "PASS_NOT_RUNNING")
    return desk.under(*crumbs).page(
        "pass_eudi.html",
        number=number,
        tx_code=offer.tx_code,
        picture=base64.b64encode(link_png(offer.link)).decode(),
    )


@post(_ONE + "/eudi-letter", status_code=200, sync_to_thread=True)
def new_letter(
    request: AnyRequest, type_id: FromPath[str], number: FromPath[str], data: FormData
) -> Response[Any]:
    """The letter with a new transaction code, as PDF."""
    desk = acting_desk_of(request, data)
    if type_id in kept_apart(desk.application) or not is_offered(desk, type_id):
        return desk.problem(_CONFLICT, "PASS_NOT_RUNNING")
    return letter_answer(desk, type_id, number)


def letter_answer(desk: Desk, type_id: str, number: str) -> Response[Any]:
    """The letter with a new transaction code; a problem where there is nowhere to send it. The access is noted."""
    desk.note_access(subject(type_id, number))
    try:
        made = transaction_code_letter(desk.application, type_id, number, actor=desk.staff.actor)
    except IssuerRefusal as refusal:
        if refusal.code != "LETTER_NO_ADDRESS":
            raise
        return desk.problem(_CONFLICT, "NO_ADDRESS")
    return desk.reader.file(made, "application/pdf", f"{number}-wallet-letter.pdf")


HANDLERS: Final = [new_offer, new_letter]
