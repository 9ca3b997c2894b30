"""Handlers of a visit: a valid cookie, a form of this visit where something changes, and the pass as it is now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from litestar import Response
from litestar.exceptions import HTTPException
from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.pickup.standing import HeldPass, held_pass
from issuer.pickup.visits import LIFETIME, Visit, find_visit
from issuer.web.forms import text_of
from issuer.web.reader import VISIT_COOKIE, AnyRequest, Reader, reader_of


class NoVisit(HTTPException):
    """The cookie stands for no visit, or for one that is over."""

    status_code = 403


class NoFamily(HTTPException):
    """The visit is to one pass, and the page is one of a family's."""

    status_code = 403


class ForeignForm(HTTPException):
    """A form that did not come from a page of this visit."""

    status_code = 403


@dataclass(frozen=True, slots=True)
class Guest:
    """Somebody with a visit, and the pass that it is for."""

    application: Application
    reader: Reader
    visit: Visit
    held: HeldPass

    def check(self, session: Session) -> None:
        """In a writing transaction: the pass may have been issued anew since the cookie was looked at.

        Raises NoVisit if the visit has ended.
        """
        if find_visit(session, self.application, self.visit.token) is None:
            raise NoVisit

    def page(self, template: str, *, status: int = 200, **values: object) -> Response[Any]:
        """A page of the visit: as `Reader.page`, with what all of them need."""
        return self.reader.page(
            template,
            status=status,
            visit=self.visit,
            form_token=self.visit.form_token,
            held=self.held,
            **values,
        )


def guest_of(request: AnyRequest) -> Guest:
    """Who is on a visit. Raises NoVisit."""
    application, reader = reader_of(request)
    with application.reading() as session:
        visit = find_visit(session, application, reader.cookie(VISIT_COOKIE))
        held = held_pass(session, application, visit.type_id, visit.number) if visit is not None else None
    if visit is None or held is None:
        raise NoVisit
    return Guest(application, reader, visit, held)


def acting_guest_of(request: AnyRequest, data: Mapping[str, Any]) -> Guest:
    """Who is on a visit and has sent the form ``data`` from one of its pages. Raises NoVisit, ForeignForm."""
    guest = guest_of(request)
    if not guest.reader.is_from_here() or not guest.visit.accepts(text_of(data, "form_token")):
        raise ForeignForm
    return guest


def with_visit(reader: Reader, response: Response[Any], visit: Visit | None) -> Response[Any]:
    """``response`` with the cookie of ``visit``, or with none any more."""
    token = visit.token if visit is not None else None
    return reader.with_cookie(response, VISIT_COOKIE, token, max_age=int(LIFETIME.total_seconds()))
