"""Accounts of the office, for administrators: invite, roles, lock, reset."""

from __future__ import annotations

import re
from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath

from issuer.console.desk import Desk, acting_desk_of, choices_of, desk_of
from issuer.console.moments import moment
from issuer.errors import IssuerRefusal
from issuer.models_staff import StaffAccountRow
from issuer.staff import accounts as staff
from issuer.staff.permissions import Role
from issuer.web.forms import Form, FormData
from issuer.web.reader import AnyRequest

_WRONG: Final = 422
_CONFLICT: Final = 409
_DONE: Final = ("roles", "locked", "unlocked")
_LIST: Final = ("OFFICE_MENU_ACCOUNTS", "/office/accounts")
_ID: Final = re.compile(r"[A-Za-z0-9_-]{22}")
_FIELD_OF: Final = {
    "STAFF_LOGIN": "login",
    "STAFF_LOGIN_TAKEN": "login",
    "STAFF_NAME": "display_name",
    "STAFF_ROLES": "roles",
}


@get("/office/accounts", sync_to_thread=True)
def show_accounts(request: AnyRequest) -> Response[Any]:
    """All accounts."""
    desk = desk_of(request)
    with desk.application.reading() as session:
        rows = staff.accounts(session, desk.application)
    return desk.page("accounts.html", rows=[_described(desk, row) for row in rows])


@get("/office/accounts/new", sync_to_thread=True)
def ask_new(request: AnyRequest) -> Response[Any]:
    """The form for a new account."""
    return _new_page(desk_of(request), Form.of({}, "login", "display_name"), set())


@post("/office/accounts/new", status_code=303, sync_to_thread=True)
def invite(request: AnyRequest, data: FormData) -> Response[Any]:
    """Make the account and show its link, this once."""
    desk = acting_desk_of(request, data)
    form = Form.of(data, "login", "display_name")
    chosen = choices_of(data, "roles") & set(Role)
    try:
        with desk.application.writing() as session:
            _, link = staff.invite(
                session,
                desk.application,
                form.values["login"],
                form.values["display_name"],
                map(Role, chosen),
                actor=desk.staff.actor,
            )
    except IssuerRefusal as refusal:
        if refusal.code not in _FIELD_OF:
            raise
        form.errors[_FIELD_OF[refusal.code]] = refusal.code
        return _new_page(desk, form, chosen, status=_WRONG)
    return _link_page(desk, link, form.values["display_name"])


@get("/office/accounts/{account_id:str}", sync_to_thread=True)
def show_account(request: AnyRequest, account_id: FromPath[str]) -> Response[Any]:
    """One account with what can be done to it."""
    desk = desk_of(request)
    return _account_page(desk, account_id, done=request.query_params.get("done", ""))


@post("/office/accounts/{account_id:str}/roles", status_code=303, sync_to_thread=True)
def set_roles(request: AnyRequest, account_id: FromPath[str], data: FormData) -> Response[Any]:
    """Give the account other roles."""
    desk = acting_desk_of(request, data)
    chosen = choices_of(data, "roles") & set(Role)
    try:
        with desk.application.writing() as session:
            staff.set_roles(
                session, desk.application, _checked(account_id), map(Role, chosen), actor=desk.staff.actor
            )
    except IssuerRefusal as refusal:
        return _account_page(desk, account_id, refusal=refusal)
    return desk.go(f"/office/accounts/{account_id}", done="roles")


@post("/office/accounts/{account_id:str}/lock", status_code=303, sync_to_thread=True)
def lock(request: AnyRequest, account_id: FromPath[str], data: FormData) -> Response[Any]:
    """Lock the account; its sessions end."""
    desk = acting_desk_of(request, data)
    try:
        with desk.application.writing() as session:
            staff.lock(session, desk.application, _checked(account_id), actor=desk.staff.actor)
    except IssuerRefusal as refusal:
        return _account_page(desk, account_id, refusal=refusal)
    return desk.go(f"/office/accounts/{account_id}", done="locked")


@post("/office/accounts/{account_id:str}/unlock", status_code=303, sync_to_thread=True)
def unlock(request: AnyRequest, account_id: FromPath[str], data: FormData) -> Response[Any]:
    """Let a locked account in again."""
    desk = acting_desk_of(request, data)
    with desk.application.writing() as session:
        staff.unlock(session, desk.application, _checked(account_id), actor=desk.staff.actor)
    return desk.go(f"/office/accounts/{account_id}", done="unlocked")


@post("/office/accounts/{account_id:str}/reset", status_code=303, sync_to_thread=True)
def reset(request: AnyRequest, account_id: FromPath[str], data: FormData) -> Response[Any]:
    """Forget password and second factor, and show a new link, this once."""
    desk = acting_desk_of(request, data)
    try:
        with desk.application.writing() as session:
            link = staff.reset(session, desk.application, _checked(account_id), actor=desk.staff.actor)
            name = staff.account_of(session, desk.application, account_id).display_name
    except IssuerRefusal as refusal:
        return _account_page(desk, account_id, refusal=refusal)
    return _link_page(desk, link, name)


def _checked(account_id: str) -> str:
    if _ID.fullmatch(account_id) is None:
        raise IssuerRefusal("STAFF_UNKNOWN")
    return account_id


def _new_page(desk: Desk, form: Form, chosen: set[str], *, status: int = 200) -> Response[Any]:
    return desk.under(_LIST).page(
        "account_new.html", status=status, form=form, roles=_role_boxes(desk, chosen)
    )


def _link_page(desk: Desk, link: str, name: str) -> Response[Any]:
    return desk.under(_LIST).page("account_link.html", link=link, name=name)


def _account_page(
    desk: Desk, account_id: str, *, done: str = "", refusal: IssuerRefusal | None = None
) -> Response[Any]:
    if refusal is not None and refusal.code == "STAFF_UNKNOWN":
        raise refusal
    with desk.application.reading() as session:
        row = staff.account_of(session, desk.application, _checked(account_id))
    return desk.under(_LIST).page(
        "account_one.html",
        status=_CONFLICT if refusal is not None else 200,
        account=_described(desk, row),
        roles=_role_boxes(desk, set(row.roles)),
        done=done if done in _DONE else "",
        refusal=refusal.sentence(desk.reader.language) if refusal is not None else "",
        is_own=row.id == desk.staff.account_id,
        by_provider=row.oidc_subject is not None,
    )


def _role_boxes(desk: Desk, chosen: set[str]) -> list[dict[str, object]]:
    say = desk.reader.say
    return [
        {
            "value": role.value,
            "label": say(f"OFFICE_ROLE_{role.name}"),
            "hint": say(f"OFFICE_ROLE_{role.name}_TEXT"),
            "checked": role.value in chosen,
        }
        for role in Role
    ]


def _described(desk: Desk, row: StaffAccountRow) -> dict[str, Any]:
    say = desk.reader.say
    return {
        "id": row.id,
        "login": row.login,
        "name": row.display_name,
        "state": row.state,
        "state_text": say(f"OFFICE_STATE_{row.state.upper()}"),
        "roles": [say(f"OFFICE_ROLE_{role.upper()}") for role in row.roles],
        "last": moment(row.last_login_at, desk.reader.language) if row.last_login_at else "",
        "failed": row.failed_attempts,
        "method": say("OFFICE_METHOD_OIDC" if row.oidc_subject else "OFFICE_METHOD_PASSWORD"),
    }


HANDLERS: Final = [show_accounts, ask_new, invite, show_account, set_roles, lock, unlock, reset]
