"""The ways in: the start page, the link from a mail, the code from a letter, and asking for a new link."""

from __future__ import annotations

from typing import Any, Final

from litestar import HttpMethod, Response, get, post, route
from litestar.params import FromPath
from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.delivery import mail
from issuer.models import PassRow
from issuer.pickup import family, family_pages
from issuer.pickup.codes import grouped, read_code, redeem_code
from issuer.pickup.guests import with_visit
from issuer.pickup.links import PassKey, is_open, pass_of, redeem_link
from issuer.pickup.visits import Visit, start_visit
from issuer.web import rates
from issuer.web.forms import Form, FormData
from issuer.web.reader import AnyRequest, Reader, reader_of

_READS: Final = [HttpMethod.GET, HttpMethod.HEAD]
_LONGEST_NUMBER: Final = 40
_MINUTE: Final = 60


@route("/", http_method=_READS, sync_to_thread=True)
def front(request: AnyRequest) -> Response[Any]:
    """The same as `start`, for those who type the city's address."""
    return reader_of(request)[1].page("start.html")


@route("/p", http_method=_READS, sync_to_thread=True)
def start(request: AnyRequest) -> Response[Any]:
    """What this is, and the ways in."""
    return reader_of(request)[1].page("start.html")


@route("/p/l/{token:str}", http_method=_READS, sync_to_thread=True)
def link(request: AnyRequest, token: FromPath[str]) -> Response[Any]:
    """The page of a link: one button, and nothing that a visit of a mail scanner could use up."""
    application, reader = reader_of(request)
    with application.reading() as session:
        key = pass_of(session, application, token) if is_open(session, application, token) else None
        if key is not None and family.may_visit(session, application, key):
            return reader.page("link.html", token=token, family=key.family)
    return reader.page("link_gone.html", status=410, token=token)


@post("/p/l/{token:str}", status_code=303, sync_to_thread=True)
def use_link(request: AnyRequest, token: FromPath[str]) -> Response[Any]:
    """Use the link up and begin a visit."""
    application, reader = reader_of(request)
    if not reader.is_from_here():
        return reader.problem(403, "FOREIGN_FORM")
    with application.writing() as session:
        key = redeem_link(session, application, token)
        visit = _visit(session, application, key)
    if visit is None:
        return reader.page("link_gone.html", status=410, token=token)
    return _welcome(reader, visit)


@route("/p/l/{token:str}/new", http_method=_READS, sync_to_thread=True)
def back_to_link(request: AnyRequest, token: FromPath[str]) -> Response[Any]:  # noqa: ARG001 - part of the path
    """Where somebody ends who loads the answer to the button again."""
    _, reader = reader_of(request)
    return reader.go("/p/new")


@post("/p/l/{token:str}/new", status_code=303, sync_to_thread=True)
def renew_link(request: AnyRequest, token: FromPath[str]) -> Response[Any]:
    """Send a new link to where the old one went; the answer is the same whether there is an address or not."""
    application, reader = reader_of(request)
    if not reader.is_from_here():
        return reader.problem(403, "FOREIGN_FORM")
    with application.writing() as session:
        if not rates.take(session, application, rates.LINKS_OF_CLIENT, reader.network):
            return _too_often(reader, rates.LINKS_OF_CLIENT)
        key = pass_of(session, application, token)
        if key is not None:
            _send_link(session, application, key.type_id, key.number, to_family=key.family)
    return reader.go("/p/new/sent")


@get("/p/new", sync_to_thread=True)
def ask_for_link(request: AnyRequest) -> Response[Any]:
    """The form that asks for a new link by mail."""
    _, reader = reader_of(request)
    return reader.page("new_link.html", form=Form.of({}, "number", "day", "month", "year"))


@post("/p/new", status_code=303, sync_to_thread=True)
def send_link(request: AnyRequest, data: FormData) -> Response[Any]:
    """Send a link to the holder of a pass; the answer says nothing about whether there is one, or an address."""
    application, reader = reader_of(request)
    if not reader.is_from_here():
        return reader.problem(403, "FOREIGN_FORM")
    form = Form.of(data, "number", "day", "month", "year")
    if not 0 < len(form.values["number"]) <= _LONGEST_NUMBER:
        form.errors["number"] = "PICKUP_NUMBER_MISSING"
    last_day = form.last_day()
    if form.errors:
        return reader.page("new_link.html", status=422, form=form)
    with application.writing() as session:
        if not rates.take(session, application, rates.LINKS_OF_CLIENT, reader.network):
            return _too_often(reader, rates.LINKS_OF_CLIENT)
        found = session.execute(
            select(PassRow.type_id, PassRow.number).where(
                PassRow.tenant == application.tenant,
                PassRow.number == form.values["number"].upper(),
                PassRow.period_last == last_day,
            )
        ).all()
        for type_id, number in found:
            to_family = family.has_children(session, application, type_id, number)
            _send_link(session, application, type_id, number, to_family=to_family)
    return reader.go("/p/new/sent")


@get("/p/new/sent", sync_to_thread=True)
def link_sent(request: AnyRequest) -> Response[Any]:
    """What happens now, if there is an address."""
    _, reader = reader_of(request)
    return reader.page("new_link_sent.html")


@get("/p/code", sync_to_thread=True)
def ask_for_code(request: AnyRequest) -> Response[Any]:
    """The form for the code from a letter."""
    _, reader = reader_of(request)
    return reader.page("code.html", form=Form.of({}, "code", "day", "month", "year"))


@post("/p/code", status_code=303, sync_to_thread=True)
def use_code(request: AnyRequest, data: FormData) -> Response[Any]:
    """Use the code up and begin a visit; whatever does not fit gets the same answer."""
    application, reader = reader_of(request)
    if not reader.is_from_here():
        return reader.problem(403, "FOREIGN_FORM")
    form = Form.of(data, "code", "day", "month", "year")
    code = read_code(form.values["code"])
    if not code:
        form.errors["code"] = "PICKUP_CODE_FORM"
    else:
        # What was read as 0 or 1 is shown as such, so that people see what they are asked about.
        form.values["code"] = grouped(code)
    last_day = form.last_day()
    if form.errors or last_day is None:
        return reader.page("code.html", status=422, form=form)
    with application.writing() as session:
        if not rates.is_free(session, application, rates.GUESSES, reader.network):
            return _too_often(reader, rates.GUESSES)
        visit = _visit(session, application, redeem_code(session, application, code, last_day))
        if visit is None:
            rates.take(session, application, rates.GUESSES, reader.network)
            form.errors["code"] = "PICKUP_CODE_WRONG"
    return reader.page("code.html", status=422, form=form) if visit is None else _welcome(reader, visit)


def _visit(session: Session, application: Application, key: PassKey | None) -> Visit | None:
    """The visit that a link or code has opened; None for none, and for the family of a guardian who is none now."""
    if key is None or not family.may_visit(session, application, key):
        return None
    return start_visit(session, application, key)


def _welcome(reader: Reader, visit: Visit) -> Response[Any]:
    return with_visit(reader, reader.go(family_pages.PATH if visit.key.family else "/p/pass"), visit)


def _too_often(reader: Reader, rate: rates.Rate) -> Response[Any]:
    minutes = max(1, rate.seconds * 2 // _MINUTE)
    return reader.problem(429, "TOO_OFTEN", retry_after=rate.seconds, minutes=minutes)


def _send_link(
    session: Session, application: Application, type_id: str, number: str, *, to_family: bool
) -> None:
    key = f"{type_id}/{number}"
    if rates.take(session, application, rates.LINKS_OF_PASS, key):
        kind = mail.FAMILY if to_family else mail.PICKUP
        mail.queue_mail(session, application, kind, type_id, number, {})


HANDLERS: Final = [
    front,
    start,
    link,
    use_link,
    back_to_link,
    renew_link,
    ask_for_link,
    send_link,
    link_sent,
    ask_for_code,
    use_code,
]
