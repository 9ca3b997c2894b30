"""Handlers of the console: who asks, what they may, a form of their session where something changes.

`guard` stands before every route of the console and goes by the table in `issuer.staff.permissions`; handlers do not
ask for roles themselves. They take what they need from `desk_of`, and from `acting_desk_of` where something changes.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from litestar import Response
from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler

from issuer.application import Application
from issuer.staff.accesses import Kind, note_access
from issuer.staff.permissions import Stage, menu_for, permission_of
from issuer.staff.sessions import Person, agent_of, find_person, note_use
from issuer.staff.sign_in import Caller
from issuer.web.forms import text_of
from issuer.web.reader import AnyRequest, Reader

_SESSION: Final = "staff"
_KNOWN: Final = "staff-known"
_JOURNEY: Final = "staff-oidc"
_KNOWN_SECONDS: Final = 180 * 24 * 3600
_JOURNEY_SECONDS: Final = 600
_NEXT: Final = re.compile(r"/office(/[A-Za-z0-9_~-][A-Za-z0-9_.~-]{0,59}){0,6}")
_log = logging.getLogger("stadtpass.office")


class NotLoggedIn(HTTPException):
    """There is no session, or it is at another stage than the route is for."""

    status_code = 403

    def __init__(self, stage: Stage | None) -> None:
        super().__init__()
        self.stage = stage


class NotAllowed(HTTPException):
    """The person has none of the roles that the route is for."""

    status_code = 403


class ForeignForm(HTTPException):
    """A form that did not come from a page of this session."""

    status_code = 403


@dataclass(frozen=True, slots=True)
class Crumb:
    """A step on the way to the page: its name, and its path."""

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Desk:
    """A request of the console. ``person`` is None where nobody is logged in."""

    application: Application
    reader: Reader
    person: Person | None
    crumbs: tuple[Crumb, ...] = field(default=())

    @property
    def staff(self) -> Person:
        """Who is logged in. Raises NotLoggedIn, which the guard has ruled out for all routes but public ones."""
        if self.person is None:
            raise NotLoggedIn(None)
        return self.person

    @property
    def form_token(self) -> str:
        """What every form of this session has to bring along, as the field ``form_token``."""
        return self.person.form_token if self.person is not None else ""

    @property
    def caller(self) -> Caller:
        """What log-ins are counted by."""
        request = self.reader.request
        return Caller(
            network=self.reader.network,
            mark=self.reader.cookie(_KNOWN),
            agent=agent_of(request.headers.get("user-agent", "")),
            session_hash=self.person.session_hash if self.person is not None else "",
        )

    @property
    def journey(self) -> str | None:
        """The cookie of a log-in at the city's provider."""
        return self.reader.cookie(_JOURNEY)

    def under(self, *crumbs: tuple[str, str]) -> Desk:
        """The desk of a page below others, each as the catalogue's code or a name, and the path."""
        say = self.reader.say
        return replace(
            self, crumbs=tuple(Crumb(say(code) if code in say else code, path) for code, path in crumbs)
        )

    def page(self, template: str, *, status: int = 200, **values: object) -> Response[Any]:
        """The page ``console/<template>`` with navigation, breadcrumb and form token."""
        person = self.person
        is_open = person is not None and person.stage is Stage.OPEN
        menu = menu_for(person.roles) if person is not None and is_open else []
        return self.reader.shown(
            f"console/{template}",
            status=status,
            person=person,
            is_open=is_open,
            menu=[(path, self.reader.say(code)) for path, code in menu],
            here=self.reader.request.scope["path"].rstrip("/") or "/",
            crumbs=self.crumbs,
            form_token=self.form_token,
            **values,
        )

    def problem(self, status: int, code: str, *, retry_after: int = 0, **values: object) -> Response[Any]:
        """A page that says why something did not work: ``OFFICE_<code>`` and ``OFFICE_<code>_TEXT``."""
        say = self.reader.say
        made = self.page(
            "problem.html",
            status=status,
            title=say(f"OFFICE_{code}"),
            text=say(f"OFFICE_{code}_TEXT", **values),
        )
        if retry_after:
            made.headers["Retry-After"] = str(retry_after)
        return made

    def go(self, path: str, **query: str) -> Response[Any]:
        """On to another page of the console, by GET."""
        return self.reader.go(path, **query)

    def note_access(self, *subjects: str, kind: Kind = Kind.OPENED, every: bool = False) -> None:
        """Note that the person sees data about ``subjects``; to be called before anything is shown.

        ``every`` as in `issuer.staff.accesses.note_access`.
        """
        with self.application.writing() as session:
            for subject in subjects:
                note_access(session, self.application, self.staff.account_id, subject, kind, every=every)

    def with_session(self, response: Response[Any], person: Person | None) -> Response[Any]:
        """``response`` with the cookie of the person's session, or with none any more."""
        token = person.token if person is not None else None
        return self.reader.with_cookie(response, _SESSION, token, max_age=None, strict=True)

    def with_mark(self, response: Response[Any], mark: str) -> Response[Any]:
        """``response`` with the cookie by which the browser is known to the account."""
        return self.reader.with_cookie(response, _KNOWN, mark, max_age=_KNOWN_SECONDS, strict=True)

    def with_journey(self, response: Response[Any], cookie: str | None) -> Response[Any]:
        """``response`` with the cookie of a log-in at the provider, who sends the browser back: so it is Lax."""
        return self.reader.with_cookie(response, _JOURNEY, cookie, max_age=_JOURNEY_SECONDS)


def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Whether the request's session may use the route. Raises NotLoggedIn, NotAllowed.

    Somebody without a role learns nothing but that: the handler never runs.
    """
    request: AnyRequest = AnyRequest(connection.scope)
    if request.method == "OPTIONS":
        # The framework's own answer: which methods there are, and nothing of ours.
        return
    application: Application = request.app.state.application
    with application.reading() as session:
        reader = Reader.of(request, application.settings(session), application.tenant)
        person = find_person(session, application, reader.cookie(_SESSION))
    connection.scope["state"]["desk"] = person
    method, path = request.method, connection.scope["path_template"]
    permission = permission_of(method, path)
    stage = person.stage if person is not None else None
    if not permission.allows(stage, person.roles if person is not None else ()):
        if person is None or (stage not in permission.stages):
            raise NotLoggedIn(stage)
        _log.warning(
            "refused",
            extra={"route": f"{method} {path}", "account": person.account_id, "roles": sorted(person.roles)},
        )
        raise NotAllowed
    if person is not None and stage is Stage.OPEN:
        note_use(application, person)


def desk_of(request: AnyRequest) -> Desk:
    """The desk of a request that has passed the guard, or that the guard has refused."""
    application: Application = request.app.state.application
    with application.reading() as session:
        reader = Reader.of(request, application.settings(session), application.tenant)
    return Desk(application, reader, request.scope.get("state", {}).get("desk"))


def acting_desk_of(request: AnyRequest, data: Mapping[str, Any]) -> Desk:
    """The desk of somebody who has sent the form ``data`` from a page of this session. Raises ForeignForm.

    Where nobody is logged in there is no form token; then what the browser says of the form's origin decides.
    """
    desk = desk_of(request)
    if not desk.reader.is_from_here():
        raise ForeignForm
    if desk.person is not None and not desk.person.accepts(text_of(data, "form_token")):
        raise ForeignForm
    return desk


def wanted_path(text: str) -> str:
    """Where somebody wanted to go before they logged in; the start page for anything that is no page of ours."""
    return text if _NEXT.fullmatch(text) else "/office"


def password_of(data: Mapping[str, Any], name: str) -> str:
    """A password as it was typed, blanks and all; empty if it is missing, repeated or absurdly long."""
    value = data.get(name, "")
    return value if isinstance(value, str) and len(value) <= 1000 else ""


def choices_of(data: Mapping[str, Any], name: str) -> set[str]:
    """The ticked boxes of one name."""
    value = data.get(name, [])
    found = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return {one for one in found[:50] if isinstance(one, str)}
