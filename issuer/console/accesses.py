"""Who has looked at whose data, for auditors: by pass or case, by person with a reason, and as a file."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import date
from typing import Any, Final

from litestar import Response, get, post

from issuer.console.desk import Desk, acting_desk_of, desk_of
from issuer.console.moments import moment
from issuer.errors import IssuerRefusal
from issuer.safe_csv import table
from issuer.staff.accesses import (
    LONGEST_SUBJECT,
    Access,
    accesses_of_person,
    export_accesses,
    find_accesses,
)
from issuer.web.forms import Form, FormData, text_of
from issuer.web.reader import AnyRequest
from passes.periods import BERLIN

MOST: Final = 200
_WRONG: Final = 422
_DAY: Final = re.compile(r"([0-9]{1,2})\. ?([0-9]{1,2})\. ?([0-9]{4})")
_FIELD_OF: Final = {"ACCESS_REASON": "reason", "ACCESS_PERSON": "login"}
_EXPORT_FIELD_OF: Final = {"ACCESS_REASON": "why", "ACCESS_RANGE": "first", "ACCESS_TOO_MANY": "first"}
_HEADER: Final = ("at", "login", "name", "subject", "kind")


@get("/office/accesses", sync_to_thread=True)
def show_accesses(request: AnyRequest) -> Response[Any]:
    """The newest entries of the log, of one subject if asked for."""
    desk = desk_of(request)
    text = request.query_params.get("q", "")[:LONGEST_SUBJECT].strip()
    with desk.application.reading() as session:
        found = find_accesses(session, desk.application, text, most=MOST)
    return _page(desk, found, text=text)


@post("/office/accesses/person", status_code=200, sync_to_thread=True)
def of_person(request: AnyRequest, data: FormData) -> Response[Any]:
    """What one person of the office has seen, for a reason."""
    desk = acting_desk_of(request, data)
    form = Form.of(data, "login", "reason", "first", "last", "why")
    try:
        with desk.application.writing() as session:
            found = accesses_of_person(
                session,
                desk.application,
                form.values["login"],
                form.values["reason"],
                desk.staff.actor,
                most=MOST,
            )
    except IssuerRefusal as refusal:
        form.errors[_FIELD_OF[refusal.code]] = f"OFFICE_{refusal.code}"
        return _page(desk, (), form=form, status=_WRONG)
    return _page(desk, found, form=form)


@post("/office/accesses/export", status_code=200, sync_to_thread=True)
def export(request: AnyRequest, data: FormData) -> Response[Any]:
    """The entries of some days as a file, CSV or JSON."""
    desk = acting_desk_of(request, data)
    form = Form.of(data, "login", "reason", "first", "last", "why")
    first, last = _day(form, "first"), _day(form, "last")
    if first is None or last is None:
        return _page(desk, (), form=form, status=_WRONG)
    try:
        with desk.application.writing() as session:
            found = export_accesses(
                session,
                desk.application,
                first,
                last,
                form.values["why"],
                desk.staff.account_id,
                desk.staff.actor,
            )
    except IssuerRefusal as refusal:
        form.errors[_EXPORT_FIELD_OF[refusal.code]] = f"OFFICE_{refusal.code}"
        return _page(desk, (), form=form, status=_WRONG)
    name = f"zugriffe-{first.isoformat()}-{last.isoformat()}"
    rows = [(_time(one), one.login, one.name, one.subject, one.kind.value) for one in found]
    if text_of(data, "form") == "json":
        entries = [dict(zip(_HEADER, row, strict=True)) for row in rows]
        text = json.dumps(
            {"first": first.isoformat(), "last": last.isoformat(), "entries": entries}, indent=1
        )
        return desk.reader.file(text.encode(), "application/json", f"{name}.json")
    return desk.reader.file(table([_HEADER, *rows]), "text/csv; charset=utf-8", f"{name}.csv")


def _page(
    desk: Desk,
    found: Sequence[Access],
    *,
    text: str = "",
    form: Form | None = None,
    status: int = 200,
) -> Response[Any]:
    say, language = desk.reader.say, desk.reader.language
    return desk.page(
        "accesses_rows.html" if desk.reader.is_partial else "accesses.html",
        status=status,
        text=text,
        form=form or Form.of({}, "login", "reason", "first", "last", "why"),
        most=MOST,
        days=desk.application.config.retention.accesses,
        rows=[
            {
                "at": moment(one.at, language),
                "name": one.name,
                "login": one.login,
                "subject": one.subject,
                "kind": say(f"OFFICE_ACCESS_{one.kind.name}"),
            }
            for one in found
        ],
    )


def _day(form: Form, name: str) -> date | None:
    found = _DAY.fullmatch(form.values[name])
    try:
        if found is not None:
            return date(int(found[3]), int(found[2]), int(found[1]))
    except ValueError:
        pass
    form.errors[name] = "OFFICE_ACCESS_DAY"
    return None


def _time(one: Access) -> str:
    return one.at.astimezone(BERLIN).isoformat(timespec="seconds")


HANDLERS: Final = [show_accesses, of_person, export]
