"""Logging in with a password and a code, and logging out."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get, post

from issuer.console.desk import Desk, acting_desk_of, desk_of, password_of, wanted_path
from issuer.errors import IssuerRefusal
from issuer.staff import oidc
from issuer.staff.permissions import Stage
from issuer.staff.sessions import end_session
from issuer.staff.sign_in import Opened, give_code, log_in
from issuer.web.forms import Form, FormData, text_of
from issuer.web.reader import AnyRequest

_TOO_MANY: Final = 429
_WRONG: Final = 422


@get("/office/login", sync_to_thread=True)
def login(request: AnyRequest) -> Response[Any]:
    """The form for log-in name and password, and the way to the city's provider."""
    desk = desk_of(request)
    wanted = wanted_path(request.query_params.get("next", "")[:500])
    if desk.person is not None and desk.person.stage is Stage.OPEN:
        return desk.go(wanted)
    return _login_page(desk, Form.of({}, "login"), wanted, request.query_params.get("said", ""))


@post("/office/login", status_code=303, sync_to_thread=True)
def give_password(request: AnyRequest, data: FormData) -> Response[Any]:
    """The first half of the log-in."""
    desk = desk_of(request)
    # The page may be older than the session; no token is asked for, since nobody is logged in by it.
    if not desk.reader.is_from_here():
        return desk.problem(403, "FOREIGN_FORM")
    wanted = wanted_path(text_of(data, "next"))
    form = Form.of(data, "login")
    password = password_of(data, "password")
    if not form.values["login"]:
        form.errors["login"] = "OFFICE_LOGIN_MISSING"
    if not password:
        form.errors["password"] = "OFFICE_PASSWORD_MISSING"  # noqa: S105 - a code of the catalogue
    if form.errors:
        return _login_page(desk, form, wanted, status=_WRONG)
    try:
        person = log_in(desk.application, form.values["login"], password, desk.caller)
    except IssuerRefusal as refusal:
        form.errors["login"] = refusal.code
        return _login_page(
            desk, form, wanted, status=_TOO_MANY if refusal.code == "STAFF_TOO_OFTEN" else _WRONG
        )
    path = "/office/factor" if person.stage is Stage.ENROL else "/office/login/code"
    query = {"next": wanted} if wanted != "/office" else {}
    return desk.with_session(desk.go(path, **query), person)


@get("/office/login/code", sync_to_thread=True)
def ask_code(request: AnyRequest) -> Response[Any]:
    """The form for the code of the second factor."""
    wanted = wanted_path(request.query_params.get("next", "")[:500])
    return desk_of(request).page("code.html", form=Form.of({}, "code"), wanted=wanted)


@post("/office/login/code", status_code=303, sync_to_thread=True)
def check_code(request: AnyRequest, data: FormData) -> Response[Any]:
    """The second half of the log-in."""
    desk = acting_desk_of(request, data)
    wanted = wanted_path(text_of(data, "next"))
    form = Form.of(data, "code")
    try:
        opened = give_code(desk.application, desk.staff, form.values["code"], desk.caller)
    except IssuerRefusal as refusal:
        form.errors["code"] = refusal.code
        form.values["code"] = ""
        status = _TOO_MANY if refusal.code == "STAFF_TOO_OFTEN" else _WRONG
        return desk.page("code.html", status=status, form=form, wanted=wanted)
    return welcome(desk, opened, wanted)


@post("/office/logout", status_code=303, sync_to_thread=True)
def log_out(request: AnyRequest, data: FormData) -> Response[Any]:
    """End the session."""
    desk = acting_desk_of(request, data)
    with desk.application.writing() as session:
        end_session(session, desk.application, desk.staff, desk.staff.handle)
    return desk.with_session(desk.go("/office/login", said="out"), None)


def welcome(desk: Desk, opened: Opened, wanted: str = "/office") -> Response[Any]:
    """On into the console with a session that has just been opened."""
    query = {"failed": str(opened.failed_before)} if opened.failed_before and wanted == "/office" else {}
    response = desk.with_session(desk.go(wanted, **query), opened.person)
    return desk.with_mark(response, opened.mark)


def _login_page(desk: Desk, form: Form, wanted: str, said: str = "", *, status: int = 200) -> Response[Any]:
    config = desk.application.config
    return desk.page(
        "login.html",
        status=status,
        form=form,
        wanted=wanted,
        said=said if said in ("out", "password") else "",
        provider=config.oidc.name if oidc.is_offered(desk.application) else "",
        admins_only=config.staff.local_accounts == "admins",
    )


HANDLERS: Final = [login, give_password, ask_code, check_code, log_out]
