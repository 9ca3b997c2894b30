"""Statements about a plate for the fine office: asked in a form, answered once, downloaded signed.

A statement is not kept. The page of the answer holds the signed text in its forms; whoever downloads sends it back,
and gets a file only of what carries this city's signature.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final

from litestar import Response, get, post

from issuer import keyring
from issuer.console.desk import Desk, acting_desk_of, desk_of
from issuer.errors import IssuerRefusal
from issuer.statements import pdf
from issuer.statements.answer import Made, state
from issuer.statements.document import MEDIA_TYPE, Question, SignedStatement, read
from issuer.statements.question import read_plate, read_zone, readings
from issuer.trust_bundle import p256
from issuer.web.forms import Form, FormData, text_of
from issuer.web.reader import AnyRequest
from keys.errors import Refusal
from keys.lifecycle import KeyState, Purpose
from passes.errors import PassRefusal
from passes.periods import parse_time
from passes.plates import Plate, PlateAmbiguous

_WRONG: Final = 422
_FIELDS: Final = ("plate", "zone", "day", "time", "meant", "which")
_DAY: Final = re.compile(r"([0-9]{1,2})\. ?([0-9]{1,2})\. ?([0-9]{4})|([0-9]{4})-([0-9]{2})-([0-9]{2})")
_TIME: Final = re.compile(r"([0-9]{1,2})[:.]([0-9]{2})(?: ?Uhr)?")
_LARGEST: Final = 15 * 1024


@get("/office/statements", sync_to_thread=True)
def ask(request: AnyRequest) -> Response[Any]:
    """The form."""
    return _form(desk_of(request), Form.of({}, *_FIELDS))


@post("/office/statements", status_code=200, sync_to_thread=True)
def make(request: AnyRequest, data: FormData) -> Response[Any]:
    """The answer, or the form again with what is to be put right."""
    desk = acting_desk_of(request, data)
    form = Form.of(data, *_FIELDS)
    meant: list[Plate] = []
    moments: list[datetime] = []
    plate = _plate(form, meant)
    zone = _zone(desk, form)
    at = _moment(desk, form, moments)
    if plate is None or at is None or form.errors:
        return _form(desk, form, meant=meant, twice=bool(moments), status=_WRONG)
    try:
        made = state(desk.application, plate, Question(plate.canonical, zone, at), desk.staff.actor)
    except IssuerRefusal as refusal:
        if refusal.code != "NO_SIGNING_KEY":
            raise
        return desk.problem(503, "STATEMENT_NO_KEY")
    desk.note_access(*made.subjects)
    return _answer(desk, made)


@post("/office/statements/file", status_code=200, sync_to_thread=True)
def download(request: AnyRequest, data: FormData) -> Response[Any]:
    """The signed file, or the PDF with it; of nothing but what this city has signed."""
    desk = acting_desk_of(request, data)
    text = data.get("jws", "")
    try:
        signed = read(text.encode() if isinstance(text, str) and len(text) <= _LARGEST else b"")
        _verify(desk, signed)
    except IssuerRefusal:
        return desk.problem(_WRONG, "UNREADABLE")
    name = f"auskunft-{signed.statement.id}"
    if text_of(data, "form") == "jws":
        return desk.reader.file(text.encode(), MEDIA_TYPE, f"{name}.jws")
    made = pdf.render(signed.statement, text, desk.reader.language)
    return desk.reader.file(made, "application/pdf", f"{name}.pdf")


HANDLERS: Final = [ask, make, download]


def _form(
    desk: Desk, form: Form, *, meant: list[Plate] | None = None, twice: bool = False, status: int = 200
) -> Response[Any]:
    return desk.page(
        "statement_ask.html",
        status=status,
        form=form,
        meant=[(text, text) for text in sorted(one.canonical for one in meant or ())],
        twice=twice,
    )


def _answer(desk: Desk, made: Made) -> Response[Any]:
    say, statement = desk.reader.say, made.statement
    return desk.under(("OFFICE_MENU_STATEMENTS", "/office/statements")).page(
        "statement.html",
        kind={"permit": "success", "no-permit": "danger", "not-held": "warning"}[statement.answer],
        answer=pdf.answer_text(statement, say),
        notes=pdf.notes(statement, say),
        facts=pdf.question_facts(statement, say),
        permits=[
            {"number": one.number, "facts": pdf.permit_facts(one, say), "steps": pdf.step_texts(one, say)}
            for one in statement.permits
        ],
        published=pdf.published_text(statement, say),
        jws=made.jws,
    )


def _plate(form: Form, meant: list[Plate]) -> Plate | None:
    text = form.values["plate"]
    try:
        return read_plate(text)
    except PlateAmbiguous as ambiguous:
        chosen = [one for one in ambiguous.suggestions if one.canonical == form.values["meant"]]
        if chosen:
            return chosen[0]
        meant.extend(ambiguous.suggestions)
        form.errors["meant"] = "OFFICE_STATEMENT_SEVERAL"
    except Refusal:
        form.errors["plate"] = "OFFICE_STATEMENT_PLATE_WRONG" if text else "STATEMENT_PLATE"
    return None


def _zone(desk: Desk, form: Form) -> str | None:
    with desk.application.reading() as session:
        try:
            return read_zone(session, desk.application.tenant, form.values["zone"])
        except Refusal:
            form.errors["zone"] = "STATEMENT_ZONE"
            return None


def _moment(desk: Desk, form: Form, moments: list[datetime]) -> datetime | None:
    """The moment in UTC; ``moments`` gets both where clocks showed the time twice and nobody has said which."""
    day, time = _day(form.values["day"]), _TIME.fullmatch(form.values["time"])
    if day is None:
        form.errors["day"] = "OFFICE_STATEMENT_DAY_WRONG"
        return None
    try:
        at = parse_time(f"{day.isoformat()}T{int(time[1]):02d}:{time[2]}" if time else "")
    except PassRefusal:
        form.errors["time"] = "OFFICE_STATEMENT_TIME_WRONG"
        return None
    both = readings(at)
    which = {"first": both[0], "second": both[1]}.get(form.values["which"])
    if both[0] != both[1] and which is None:
        moments.extend(both)
        form.errors["which"] = "OFFICE_STATEMENT_TWICE"
        return None
    at = which if both[0] != both[1] and which is not None else at
    if at > desk.application.now():
        form.errors["day"] = "OFFICE_STATEMENT_FUTURE"
        return None
    return at


def _day(text: str) -> date | None:
    found = _DAY.fullmatch(text)
    if found is None:
        return None
    day, month, year = (found[1], found[2], found[3]) if found[1] else (found[6], found[5], found[4])
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


def _verify(desk: Desk, signed: SignedStatement) -> None:
    """Whether the city's own key, unless it was revoked, has signed it. Raises IssuerRefusal."""
    application = desk.application
    with application.reading() as session:
        records = keyring.records(session, application.tenant, Purpose.STATEMENT)
    keys: Mapping[bytes, Any] = {one.kid: p256(one) for one in records if one.state is not KeyState.REVOKED}
    if signed.kid not in keys or signed.statement.tenant != application.tenant:
        raise IssuerRefusal("STATEMENT_KEY", kid=signed.kid.hex())
    signed.verify(keys[signed.kid])
