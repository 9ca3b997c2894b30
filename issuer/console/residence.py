"""Certificates of residence at the counter: look into the register of residents, issue, hand over (§ 18 BMG).

For registrars alone. Nothing of a person is kept before a certificate is issued: what was typed goes along in the
form, and what the register says is asked again when it is issued.
"""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get, post
from sqlalchemy import select

from issuer.console.desk import Desk, acting_desk_of, desk_of
from issuer.console.fields import note_refusal
from issuer.console.residence_one import PATH, certificate_page
from issuer.console.residence_pages import (
    ASKED,
    TYPED,
    ask_page,
    asked_of,
    check_page,
    typed_of,
    typed_page,
)
from issuer.errors import IssuerRefusal
from issuer.holder_changes import RESIDENCE
from issuer.models import PassRow
from issuer.register import subject
from issuer.residence.issuing import Asked, certificate_type, issue, look_up
from issuer.rules.sources.protocols import Resident, SourceAway
from issuer.staff.accesses import RESIDENTS, note_access
from issuer.web import rates
from issuer.web.forms import Form, FormData
from issuer.web.reader import AnyRequest
from keys.errors import Refusal

_WRONG: Final = 422
_CONFLICT: Final = 409
_TOO_OFTEN: Final = 429
_LONGEST_NUMBER: Final = 40


@get(PATH, sync_to_thread=True)
def ask_person(request: AnyRequest) -> Response[Any]:
    """Who wants a certificate; with ``number``, on to one that was issued."""
    desk = desk_of(request)
    form = Form.of({}, *ASKED, "number")
    if certificate_type(desk.application) is None:
        return desk.problem(404, "NOT_FOUND")
    number = request.query_params.get("number", "")[:_LONGEST_NUMBER].strip().upper()
    if number and number.isprintable():
        with desk.application.reading() as session:
            query = select(PassRow.number).where(
                PassRow.tenant == desk.application.tenant,
                PassRow.type_id == RESIDENCE,
                PassRow.number == number,
            )
            if session.scalar(query) is not None:
                return desk.go(f"{PATH}/{number}")
        form.values["number"] = number
        form.errors["number"] = desk.reader.say("OFFICE_RES_FIND_NONE")
    form.values["language"] = "de"
    return ask_page(desk, form, status=_WRONG if form.errors else 200)


@post(PATH + "/look-up", status_code=200, sync_to_thread=True)
def look(request: AnyRequest, data: FormData) -> Response[Any]:
    """What the register of residents says; without one, everything is typed."""
    desk, form = acting_desk_of(request, data), Form.of(data, *ASKED, "number")
    asked = asked_of(desk, form)
    if asked is None:
        return ask_page(desk, form, status=_WRONG)
    if not _may_look(desk):
        return _too_often(desk)
    found = _looked_up(desk, asked)
    if found is None:
        return ask_page(desk, form, status=_CONFLICT, at_office=True)
    if isinstance(found, SourceAway):
        return typed_page(desk, form)
    return check_page(desk, form, found)


@post(PATH, status_code=200, sync_to_thread=True)
def give(request: AnyRequest, data: FormData) -> Response[Any]:
    """Issue: what the register says now, or, where it is away, what was typed and compared with it."""
    desk, form = acting_desk_of(request, data), Form.of(data, *ASKED, *TYPED, "number")
    application = desk.application
    asked = asked_of(desk, form)
    if asked is None:
        return ask_page(desk, form, status=_WRONG)
    if not _may_look(desk):
        return _too_often(desk)
    found = _looked_up(desk, asked)
    if found is None:
        return ask_page(desk, form, status=_CONFLICT, at_office=True)
    resident = typed_of(desk, form, asked) if isinstance(found, SourceAway) else found
    if resident is None:
        return typed_page(desk, form, status=_WRONG)
    try:
        with application.writing() as session:
            made = issue(
                session,
                application,
                resident,
                actor=desk.staff.actor,
                email=form.values["email"],
                language=form.values["language"],
            )
    except Refusal as refusal:
        note_refusal(desk, form, "family_name", refusal)
        if isinstance(found, SourceAway):
            return typed_page(desk, form, status=_CONFLICT)
        return ask_page(desk, form, status=_CONFLICT)
    desk.note_access(subject(RESIDENCE, made.number))
    return certificate_page(desk, made.number, issued=True)


def _may_look(desk: Desk) -> bool:
    """Note that somebody looks into the register, not at whom; False where they have looked too often."""
    application, staff = desk.application, desk.staff.account_id
    with application.writing() as session:
        if not rates.take(session, application, rates.RESIDENTS_OF_STAFF, staff):
            return False
        return note_access(session, application, staff, RESIDENTS, every=True)


def _too_often(desk: Desk) -> Response[Any]:
    return desk.problem(_TOO_OFTEN, "RES_TOO_OFTEN", retry_after=rates.RESIDENTS_OF_STAFF.seconds)


def _looked_up(desk: Desk, asked: Asked) -> Resident | SourceAway | None:
    """What the register says; None where there is no certificate by machine."""
    try:
        return look_up(desk.application, asked)
    except IssuerRefusal:
        return None


HANDLERS: Final = [ask_person, look, give]
