"""Giving a pass back: the holder ends their right, for good."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get, post

from issuer.cases import steps
from issuer.cases.states import CaseStep
from issuer.cases.store import CaseActor
from issuer.errors import RegisterRefusal
from issuer.lifecycle import Actor
from issuer.pickup import own_cases, proof
from issuer.pickup.guests import acting_guest_of, guest_of
from issuer.pickup.visits import ACTOR, note
from issuer.revocation import revoke_logged
from issuer.revocation_log import RevocationLog
from issuer.web.forms import Form, FormData
from issuer.web.reader import AnyRequest

PATH: Final = "/p/pass/give-back"
_REASON: Final = "given back by the holder"
_FIELDS: Final = ("sure", *proof.FIELDS)
_CONFLICT: Final = 409
_WRONG: Final = 422


@get(PATH, sync_to_thread=True)
def ask(request: AnyRequest) -> Response[Any]:
    """What giving the pass back means, with the form."""
    guest = guest_of(request)
    if not guest.held.is_offered:
        return guest.reader.problem(_CONFLICT, "NOT_OFFERED")
    return guest.page("give_back.html", form=Form.of({}, *_FIELDS), needs_proof=proof.is_needed(guest))


@post(PATH, status_code=303, sync_to_thread=True)
def give_back(request: AnyRequest, data: FormData) -> Response[Any]:
    """End the right, and whatever was asked for about it."""
    guest = acting_guest_of(request, data)
    application, visit = guest.application, guest.visit
    if not guest.held.is_offered:
        return guest.reader.problem(_CONFLICT, "NOT_OFFERED")
    form = Form.of(data, *_FIELDS)
    if not form.values["sure"]:
        form.errors["sure"] = "HOLDER_GIVE_BACK_SURE_MISSING"
    try:
        with application.writing() as session:
            guest.check(session)
            proof.check(session, guest, form)
            if not form.errors:
                at = application.now()
                for case in own_cases.under_way(session, application, visit.type_id, visit.number):
                    steps.end(session, application.tenant, case.id, CaseActor(ACTOR, at), CaseStep.WITHDRAW)
                note(session, application, visit.key, "give-back")
                # Last: its entry in the log outside the database is on disk before anything is committed.
                revoke_logged(
                    session,
                    application.tenant,
                    RevocationLog(application.workspace.folder),
                    visit.type_id,
                    visit.number,
                    actor=Actor(ACTOR, at, _REASON),
                )
    except RegisterRefusal:
        # Somebody has ended it meanwhile.
        return guest.reader.go("/p/pass")
    if form.errors:
        return guest.page("give_back.html", status=_WRONG, form=form, needs_proof=proof.is_needed(guest))
    return guest.reader.go("/p/pass", done="given-back")


HANDLERS: Final = [ask, give_back]
