"""The pass into an EUDI Wallet: a fresh offer as a code to scan and as a link, for the holder on a visit."""

from __future__ import annotations

import base64
from typing import Any, Final

from litestar import Response, get, post
from sqlalchemy.orm import Session

from issuer.eudi import identity, making, offers
from issuer.eudi.offers import LetterCode
from issuer.pickup.guests import Guest, acting_guest_of, guest_of
from issuer.web import rates
from issuer.web.forms import FormData
from issuer.web.reader import AnyRequest
from keys.errors import Refusal
from passes.qr import link_png

_CONFLICT: Final = 409


def is_offered(session: Session, guest: Guest) -> bool:
    """Whether the pass of the visit can go into an EUDI Wallet now."""
    if not guest.held.is_offered or guest.held.is_withdrawn:
        return False
    if not making.of_type(guest.application, guest.visit.type_id):
        return False
    return identity.is_set_up(session, guest.application)


@get("/p/pass/eudi", sync_to_thread=True)
def ask_for_offer(request: AnyRequest) -> Response[Any]:
    """What the code is, with the button that makes one, where one can be made."""
    guest = guest_of(request)
    with guest.application.reading() as session:
        letter = offers.letter_code(session, guest.application, guest.visit.type_id, guest.visit.number)
    return guest.page("eudi.html", offer=None, picture="", needs_letter=letter is LetterCode.OVER)


@post("/p/pass/eudi", status_code=200, sync_to_thread=True)
def make_offer(request: AnyRequest, data: FormData) -> Response[Any]:
    """A fresh offer; the one before ends. It asks for the transaction code where one went out by letter.

    After that one only another letter, or the desk, opens the way again: a link alone, which somebody else may have,
    must not do for less than before.
    """
    guest = acting_guest_of(request, data)
    application, visit = guest.application, guest.visit
    with application.writing() as session:
        guest.check(session)
        if not is_offered(session, guest):
            return guest.reader.problem(_CONFLICT, "NOT_OFFERED")
        if not rates.take(session, application, rates.LINKS_OF_VISIT, visit.token):
            seconds = rates.LINKS_OF_VISIT.seconds
            return guest.reader.problem(429, "TOO_OFTEN", retry_after=seconds, minutes=1)
        letter = offers.letter_code(session, application, visit.type_id, visit.number)
        if letter is LetterCode.OVER:
            return guest.reader.problem(_CONFLICT, "EUDI_LETTER_OVER")
        try:
            offer = offers.create_offer(
                session,
                application,
                visit.type_id,
                visit.number,
                tx_code=letter is LetterCode.WAITING,
                channel=visit.key.channel.value,
            )
        except Refusal:
            return guest.reader.problem(_CONFLICT, "NOT_OFFERED")
    picture = base64.b64encode(link_png(offer.link)).decode()
    return guest.page("eudi.html", offer=offer, picture=picture, needs_letter=False)


HANDLERS: Final = [ask_for_offer, make_offer]
