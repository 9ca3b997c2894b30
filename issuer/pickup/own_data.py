"""What holders may ask for about their data: deletion at once of what may go, and correction or objection."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get, post

from issuer.pickup import proof
from issuer.pickup.erasure import Erasable, erasable, erase, kept
from issuer.pickup.guests import Guest, acting_guest_of, guest_of
from issuer.pickup.visits import note
from issuer.web.forms import Form, FormData, text_of
from issuer.web.reader import AnyRequest

PATH: Final = "/p/pass/data/rights"
# What the office has to look at; the audit trail has it, in the pass's own history.
_REQUESTS: Final = ("correction", "objection", "restriction")
# What the audit trail calls them.
ACTIONS: Final = frozenset(f"ask-{one}" for one in _REQUESTS)
_WRONG: Final = 422
_FIELDS: Final = (*Erasable, "request", *proof.FIELDS)
# Whoever has found a link must not cut the holder off from mail, nor throw away an application that they have begun.
_TO_PROVE: Final = frozenset({Erasable.MAIL, Erasable.CASES})


@get(PATH, sync_to_thread=True)
def show_rights(request: AnyRequest) -> Response[Any]:
    """What can be deleted at once, what is kept and until which day, and how to have something corrected."""
    return _page(guest_of(request), Form.of({}, *_FIELDS))


@post(PATH + "/erase", status_code=303, sync_to_thread=True)
def send_erasure(request: AnyRequest, data: FormData) -> Response[Any]:
    """Delete what was ticked, with a second proof where the holder would miss it."""
    guest = acting_guest_of(request, data)
    form = Form.of(data, *_FIELDS)
    wanted = {one for one in Erasable if form.values[one]}
    if not wanted:
        form.errors["erase"] = "HOLDER_ERASE_NOTHING"
        return _page(guest, form, status=_WRONG)
    with guest.application.writing() as session:
        guest.check(session)
        if wanted & _TO_PROVE:
            proof.check(session, guest, form)
        if not form.errors:
            erase(session, guest.application, guest.visit, wanted)
    if form.errors:
        return _page(guest, form, status=_WRONG)
    return guest.reader.go(PATH, done="erased")


@post(PATH + "/ask", status_code=303, sync_to_thread=True)
def send_request(request: AnyRequest, data: FormData) -> Response[Any]:
    """Note that the holder asks for a correction, a restriction, or objects; the office answers."""
    guest = acting_guest_of(request, data)
    wanted = text_of(data, "request")
    if wanted not in _REQUESTS:
        form = Form.of(data, *_FIELDS)
        form.errors["request"] = "HOLDER_ASK_NOTHING"
        return _page(guest, form, status=_WRONG)
    with guest.application.writing() as session:
        guest.check(session)
        note(session, guest.application, guest.visit.key, f"ask-{wanted}")
    return guest.reader.go(PATH, done="asked")


def _page(guest: Guest, form: Form, *, status: int = 200) -> Response[Any]:
    application = guest.application
    with application.reading() as session:
        there = erasable(session, application, guest.visit)
        stays = kept(session, application, guest.visit)
    done = guest.reader.request.query_params.get("done", "")
    return guest.page(
        "rights.html",
        status=status,
        form=form,
        there={one.value: count for one, count in there.items()},
        needs_proof=proof.is_needed(guest) and not _TO_PROVE.isdisjoint(there),
        stays=stays,
        requests=_REQUESTS,
        done=done if done in ("erased", "asked") else "",
    )


HANDLERS: Final = [show_rights, send_erasure, send_request]
