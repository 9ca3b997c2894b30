"""What everybody does with their own account: password, second factor, running sessions."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get, post

from issuer.console.desk import Desk, acting_desk_of, desk_of, password_of
from issuer.console.first_visit import factor_page, typed_twice
from issuer.console.moments import moment
from issuer.errors import IssuerRefusal
from issuer.staff.passwords import LONGEST, SHORTEST
from issuer.staff.sessions import PASSWORD, end_session, sessions_of
from issuer.staff.sign_in import change_factor, change_password
from issuer.web.forms import Form, FormData, text_of
from issuer.web.reader import AnyRequest

_WRONG: Final = 422
_TOO_MANY: Final = 429
_DONE: Final = ("password", "factor", "ended")
_CRUMB: Final = ("OFFICE_ACCOUNT_TITLE", "/office/account")


@get("/office/account", sync_to_thread=True)
def account(request: AnyRequest) -> Response[Any]:
    """The person's own account."""
    return _page(desk_of(request), Form.of({}), done=request.query_params.get("done", ""))


@post("/office/account/password", status_code=303, sync_to_thread=True)
def set_own_password(request: AnyRequest, data: FormData) -> Response[Any]:
    """Change the password; all other sessions end."""
    desk = acting_desk_of(request, data)
    form = Form.of({})
    new = typed_twice(data, form)
    old = password_of(data, "old")
    if not old:
        form.errors = {"old": "OFFICE_PASSWORD_MISSING", **form.errors}
    if form.errors:
        return _page(desk, form, status=_WRONG)
    try:
        person = change_password(desk.application, desk.staff, old, new, desk.caller)
    except IssuerRefusal as refusal:
        old_is_wrong = refusal.code in ("STAFF_PASSWORD_WRONG", "STAFF_TOO_OFTEN")
        form.errors["old" if old_is_wrong else "new"] = refusal.code
        return _page(desk, form, status=_status(refusal))
    return desk.with_session(desk.go("/office/account", done="password"), person)


@get("/office/account/factor", sync_to_thread=True)
def ask_own_factor(request: AnyRequest) -> Response[Any]:
    """The QR code of a new second factor."""
    desk = desk_of(request).under(_CRUMB)
    if desk.staff.method != PASSWORD:
        return desk.problem(404, "NOT_FOUND")
    return factor_page(desk, "own_factor.html", Form.of({}, "code"))


@post("/office/account/factor", status_code=303, sync_to_thread=True)
def set_own_factor(request: AnyRequest, data: FormData) -> Response[Any]:
    """Replace the second factor; all other sessions end."""
    desk = acting_desk_of(request, data).under(_CRUMB)
    form = Form.of(data, "code")
    password = password_of(data, "password")
    if not password:
        form.errors["password"] = "OFFICE_PASSWORD_MISSING"  # noqa: S105 - a code of the catalogue
        return factor_page(desk, "own_factor.html", form, status=_WRONG)
    try:
        change_factor(desk.application, desk.staff, password, form.values["code"], desk.caller)
    except IssuerRefusal as refusal:
        form.errors["code" if refusal.code == "STAFF_CODE" else "password"] = refusal.code
        form.values["code"] = ""
        return factor_page(desk, "own_factor.html", form, status=_status(refusal))
    return desk.go("/office/account", done="factor")


@post("/office/account/sessions/end", status_code=303, sync_to_thread=True)
def end_own_session(request: AnyRequest, data: FormData) -> Response[Any]:
    """End one of the person's own sessions."""
    desk = acting_desk_of(request, data)
    handle = text_of(data, "session")
    with desk.application.writing() as session:
        end_session(session, desk.application, desk.staff, handle)
    if handle == desk.staff.handle:
        return desk.with_session(desk.go("/office/login", said="out"), None)
    return desk.go("/office/account", done="ended")


def _page(desk: Desk, form: Form, *, status: int = 200, done: str = "") -> Response[Any]:
    with desk.application.reading() as session:
        rows = sessions_of(session, desk.application, desk.staff)
    say, language = desk.reader.say, desk.reader.language
    return desk.page(
        "account.html",
        status=status,
        form=form,
        done=done if done in _DONE else "",
        local=desk.staff.method == PASSWORD,
        roles=[say(f"OFFICE_ROLE_{role.value.upper()}") for role in sorted(desk.staff.roles)],
        sessions=[
            {
                "handle": one.handle,
                "agent": one.agent or say("OFFICE_SESSION_UNKNOWN"),
                "since": moment(one.created_at, language),
                "seen": moment(one.seen_at, language),
                "is_this": one.is_this,
            }
            for one in rows
        ],
        least=SHORTEST,
        longest=LONGEST,
    )


def _status(refusal: IssuerRefusal) -> int:
    return _TOO_MANY if refusal.code == "STAFF_TOO_OFTEN" else _WRONG


HANDLERS: Final = [account, set_own_password, ask_own_factor, set_own_factor, end_own_session]
