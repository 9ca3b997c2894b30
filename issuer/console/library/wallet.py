"""A library card into an EUDI Wallet at the desk: an offer with a transaction code, or a code by letter."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, post
from litestar.params import FromPath

from issuer.console.desk import Desk, acting_desk_of
from issuer.console.library.codes import withheld
from issuer.console.library.shared import CONFLICT, MEMBER, Shown, find_member
from issuer.console.pass_wallet import is_offered, letter_answer, offer_page
from issuer.web.forms import FormData
from issuer.web.reader import AnyRequest


@post(MEMBER + "/eudi", status_code=200, sync_to_thread=True)
def new_offer(
    request: AnyRequest, type_id: FromPath[str], number: FromPath[str], data: FormData
) -> Response[Any]:
    """An offer to scan, shown this once, with the code that the librarian tells the member."""
    desk = acting_desk_of(request, data)
    with desk.application.reading() as session:
        one = find_member(session, desk, type_id, number)
    if one is None:
        return desk.problem(404, "NOT_FOUND")
    refused = _refused(desk, one)
    if refused is not None:
        return refused
    desk.note_access(one.subject)
    return offer_page(desk, type_id, number, one.crumbs)


@post(MEMBER + "/eudi-letter", status_code=200, sync_to_thread=True)
def new_letter(
    request: AnyRequest, type_id: FromPath[str], number: FromPath[str], data: FormData
) -> Response[Any]:
    """The letter with a new transaction code, as PDF."""
    desk = acting_desk_of(request, data)
    with desk.application.reading() as session:
        one = find_member(session, desk, type_id, number)
    if one is None:
        return desk.problem(404, "NOT_FOUND")
    return _refused(desk, one) or letter_answer(desk, type_id, number)


def _refused(desk: Desk, one: Shown) -> Response[Any] | None:
    # A number that was replaced before a restore goes into no wallet any more.
    if not is_offered(desk, one.row.type_id) or one.has_replaced_number:
        return desk.problem(CONFLICT, "PASS_NOT_RUNNING")
    return withheld(desk, one)


HANDLERS: Final = [new_offer, new_letter]
