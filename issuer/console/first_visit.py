"""The first visit: a one-time link, a password of one's own, and the second factor."""

from __future__ import annotations

import base64
from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath

from issuer.console.desk import Desk, acting_desk_of, desk_of, password_of
from issuer.console.entry import welcome
from issuer.errors import IssuerRefusal
from issuer.staff import second_factor
from issuer.staff.accounts import account_of_link
from issuer.staff.passwords import LONGEST, SHORTEST
from issuer.staff.sign_in import new_secret, set_factor, set_first_password
from issuer.web.forms import Form, FormData
from issuer.web.reader import AnyRequest
from passes.qr import link_png

_WRONG: Final = 422
_GONE: Final = 410
_GROUP: Final = 4


@get("/office/welcome/{token:str}", sync_to_thread=True)
def ask_password(request: AnyRequest, token: FromPath[str]) -> Response[Any]:
    """The form for the first password; looking at it uses nothing up."""
    desk = desk_of(request)
    with desk.application.reading() as session:
        account = account_of_link(session, desk.application, token)
    if account is None:
        return desk.problem(_GONE, "LINK_GONE")
    return _password_page(desk, token, account.login, Form.of({}))


@post("/office/welcome/{token:str}", status_code=303, sync_to_thread=True)
def set_password(request: AnyRequest, token: FromPath[str], data: FormData) -> Response[Any]:
    """Set the first password; then the link is used up."""
    desk = desk_of(request)
    if not desk.reader.is_from_here():
        return desk.problem(403, "FOREIGN_FORM")
    form = Form.of({})
    password = typed_twice(data, form)
    if not form.errors:
        try:
            person = set_first_password(desk.application, token, password, desk.caller)
            return desk.with_session(desk.go("/office/factor"), person)
        except IssuerRefusal as refusal:
            if refusal.code == "STAFF_LINK_GONE":
                return desk.problem(_GONE, "LINK_GONE")
            form.errors["new"] = refusal.code
    with desk.application.reading() as session:
        account = account_of_link(session, desk.application, token)
    if account is None:
        return desk.problem(_GONE, "LINK_GONE")
    return _password_page(desk, token, account.login, form, status=_WRONG)


@get("/office/factor", sync_to_thread=True)
def ask_factor(request: AnyRequest) -> Response[Any]:
    """The QR code for the app, and the form for the first code."""
    return factor_page(desk_of(request), "factor.html", Form.of({}, "code"))


@post("/office/factor", status_code=303, sync_to_thread=True)
def keep_factor(request: AnyRequest, data: FormData) -> Response[Any]:
    """Set the second factor; the session is open from then on."""
    desk = acting_desk_of(request, data)
    form = Form.of(data, "code")
    try:
        opened = set_factor(desk.application, desk.staff, form.values["code"], desk.caller)
    except IssuerRefusal as refusal:
        form.errors["code"] = refusal.code
        form.values["code"] = ""
        return factor_page(desk, "factor.html", form, status=_WRONG)
    return welcome(desk, opened)


def factor_page(
    desk: Desk, template: str, form: Form, *, status: int = 200, **values: object
) -> Response[Any]:
    """A page that offers the session's new secret, as a picture and to be typed."""
    secret = new_secret(desk.application, desk.staff)
    uri = second_factor.setup_uri(f"Stadtpass {desk.reader.settings.city_name}", desk.staff.login, secret)
    text = second_factor.as_text(secret)
    return desk.page(
        template,
        status=status,
        form=form,
        picture=base64.b64encode(link_png(uri)).decode(),
        secret=" ".join(text[start : start + _GROUP] for start in range(0, len(text), _GROUP)),
        **values,
    )


def typed_twice(data: FormData, form: Form) -> str:
    """A new password from the fields ``new`` and ``again``; errors are noted in ``form``."""
    password = password_of(data, "new")
    if not password:
        form.errors["new"] = "OFFICE_NEW_PASSWORD_MISSING"
    elif password != password_of(data, "again"):
        form.errors["again"] = "OFFICE_PASSWORDS_DIFFER"
    return password


def _password_page(desk: Desk, token: str, login: str, form: Form, *, status: int = 200) -> Response[Any]:
    return desk.page(
        "welcome.html",
        status=status,
        form=form,
        token=token,
        login=login,
        least=SHORTEST,
        longest=LONGEST,
    )


HANDLERS: Final = [ask_password, set_password, ask_factor, keep_factor]
