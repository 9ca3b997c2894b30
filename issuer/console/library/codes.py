"""What the desk hands over: the code for a member's phone, shown once, and the print."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath

from issuer.console.desk import Desk, acting_desk_of, desk_of
from issuer.console.handing_out import fresh_link, picture_of, print_answer
from issuer.console.library.shared import CONFLICT, MEMBER, Shown, find_member, full_name
from issuer.library.membership import consent_missing
from issuer.pickup.links import SCREEN_LIFETIME, Channel
from issuer.web.forms import FormData
from issuer.web.reader import AnyRequest
from passes.model import PassStatus
from passes.periods import berlin_day


@post(MEMBER + "/link", status_code=200, sync_to_thread=True)
def show_code(
    request: AnyRequest, type_id: FromPath[str], number: FromPath[str], data: FormData
) -> Response[Any]:
    """The code for the member's phone, shown this once."""
    desk = acting_desk_of(request, data)
    with desk.application.writing() as session:
        one = find_member(session, desk, type_id, number)
        if one is None:
            return desk.problem(404, "NOT_FOUND")
        refused = withheld(desk, one)
        if refused is not None:
            return refused
        address = fresh_link(desk, session, type_id, number, Channel.SCREEN)
    desk.note_access(one.subject)
    return code_page(desk, one, address)


def code_page(
    desk: Desk,
    one: Shown,
    address: str,
    *,
    issued: bool = False,
    fee: str = "",
    family: str = "",
    left_out: str = "",
) -> Response[Any]:
    """The page with the code for a phone, and the print.

    ``issued``: the card is new, and ``fee`` is to be taken for it. ``family`` names whose cards the code opens,
    ``left_out`` who of the family has none to fetch.
    """
    return desk.under(*one.crumbs).page(
        "library_code.html",
        one=one,
        path=one.path,
        card=one.row.card_key or one.row.number,
        name=full_name(one.holder),
        link=address,
        picture=picture_of(address),
        minutes=int(SCREEN_LIFETIME.total_seconds() // 60),
        issued=issued,
        fee=fee,
        family=family,
        left_out=left_out,
    )


@get(MEMBER + "/print.pdf", sync_to_thread=True)
def print_card(request: AnyRequest, type_id: FromPath[str], number: FromPath[str]) -> Response[Any]:
    """The print of the card."""
    desk = desk_of(request)
    with desk.application.reading() as session:
        one = find_member(session, desk, type_id, number)
    if one is None:
        return desk.problem(404, "NOT_FOUND")
    return withheld(desk, one) or print_answer(desk, type_id, number)


def withheld(desk: Desk, one: Shown) -> Response[Any] | None:
    """Why the card is not handed over, as a page: it does not hold, or nobody has consented; None where it can be."""
    if one.content.status is not PassStatus.ACTIVE:
        return desk.problem(CONFLICT, "PASS_NOT_RUNNING")
    age = consent_missing(one.pass_type, one.category, one.member, berlin_day(desk.application.now()))
    return desk.problem(CONFLICT, "CONSENT_NEEDED", age=age) if age else None


HANDLERS: Final = [show_code, print_card]
