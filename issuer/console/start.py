"""The start page: for every role what it has to do. Other parts add slots to `SLOTS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from litestar import Response, get
from sqlalchemy.orm import Session

from issuer.accessibility.feedback import count_open
from issuer.cases.search import work
from issuer.console import wallet_checks
from issuer.console.desk import Desk, desk_of
from issuer.console.library.waiting import SOON, counts
from issuer.importing import runs
from issuer.nightly import certificates
from issuer.staff.accounts import State, accounts
from issuer.staff.permissions import Role
from issuer.web.reader import AnyRequest
from passes.periods import berlin_day


@dataclass(frozen=True, slots=True)
class Slot:
    """A card of the start page for people with one of ``roles``.

    ``title`` and ``text`` are codes of the catalogue, ``path`` is where its button leads (label: ``<title>_LINK``).
    ``load`` gives the values for the text, in one reading transaction; None leaves the card out.
    """

    title: str
    path: str
    roles: frozenset[Role]
    load: Callable[[Desk, Session], dict[str, object] | None]


def _always(_: Desk, __: Session) -> dict[str, object]:
    return {}


def _invited(desk: Desk, session: Session) -> dict[str, object]:
    rows = accounts(session, desk.application)
    return {
        "active": sum(row.state == State.ACTIVE.value for row in rows),
        "invited": sum(row.state == State.INVITED.value for row in rows),
    }


def _cases(desk: Desk, session: Session) -> dict[str, object]:
    found = work(session, desk.application.tenant, berlin_day(desk.application.now()))
    return {"waiting": found.waiting, "second": found.second_looks, "overdue": found.overdue}


def _barriers(desk: Desk, session: Session) -> dict[str, object] | None:
    waiting = count_open(session, desk.application.tenant)
    return {"count": waiting} if waiting else None


def _imports(desk: Desk, session: Session) -> dict[str, object] | None:
    waiting = runs.waiting(session, desk.application)
    return {"count": waiting} if waiting else None


def _ending(desk: Desk, _: Session) -> dict[str, object] | None:
    """Nothing where no key or certificate ends soon: then there is nothing to do."""
    found = certificates.warnings(desk.application)
    return {"count": len(found), "days": min(one.days_left for one in found)} if found else None


def _library(desk: Desk, session: Session) -> dict[str, object] | None:
    found = counts(session, desk.application)
    if found.is_empty:
        return None
    blocked = found.blocked.total()
    return {"consents": found.consents, "fees": found.fees, "blocked": blocked, "days": SOON.days}


def _wallet(desk: Desk, session: Session) -> dict[str, object] | None:
    return {} if wallet_checks.can_ask(desk, session, wallet_checks.COUNTER) else None


def _library_wallet(desk: Desk, session: Session) -> dict[str, object] | None:
    return {} if wallet_checks.can_ask(desk, session, wallet_checks.LIBRARY) else None


SLOTS: list[Slot] = [
    Slot("OFFICE_SLOT_CASES", "/office/cases", frozenset({Role.CLERK, Role.SUPERVISOR}), _cases),
    Slot("OFFICE_SLOT_COUNTER", "/office/counter", frozenset({Role.CLERK, Role.SUPERVISOR}), _always),
    Slot("OFFICE_SLOT_WALLET", wallet_checks.COUNTER_PATH, frozenset({Role.CLERK, Role.SUPERVISOR}), _wallet),
    Slot("OFFICE_SLOT_PASSES", "/office/passes", frozenset({Role.CLERK, Role.SUPERVISOR}), _always),
    Slot("OFFICE_SLOT_LIBRARY", "/office/library", frozenset({Role.LIBRARIAN}), _always),
    Slot("OFFICE_SLOT_LIBRARY_WALLET", wallet_checks.CARD_PATH, frozenset({Role.LIBRARIAN}), _library_wallet),
    Slot("OFFICE_SLOT_LIBRARY_NEW", "/office/library/new", frozenset({Role.LIBRARIAN}), _always),
    Slot("OFFICE_SLOT_LIBRARY_WAITING", "/office/library/waiting", frozenset({Role.LIBRARIAN}), _library),
    Slot("OFFICE_SLOT_RESIDENCE", "/office/residence", frozenset({Role.REGISTRAR}), _always),
    Slot("OFFICE_SLOT_HISTORIES", "/office/histories", frozenset({Role.AUDITOR}), _always),
    Slot(
        "OFFICE_SLOT_STATEMENTS",
        "/office/statements",
        frozenset({Role.CLERK, Role.SUPERVISOR, Role.AUDITOR}),
        _always,
    ),
    Slot(
        "OFFICE_SLOT_FIGURES",
        "/office/figures",
        frozenset({Role.CLERK, Role.SUPERVISOR, Role.AUDITOR, Role.ADMIN}),
        _always,
    ),
    Slot(
        "OFFICE_SLOT_WISHES",
        "/office/wishes",
        frozenset({Role.CLERK, Role.SUPERVISOR, Role.LIBRARIAN, Role.REGISTRAR}),
        _always,
    ),
    Slot("OFFICE_SLOT_IMPORTS", "/office/imports", frozenset({Role.SUPERVISOR}), _imports),
    Slot("OFFICE_SLOT_ENDING", "/office/keys", frozenset({Role.ADMIN}), _ending),
    Slot("OFFICE_SLOT_ACCESSES", "/office/accesses", frozenset({Role.AUDITOR}), _always),
    Slot("OFFICE_SLOT_BARRIERS", "/office/barriers", frozenset({Role.SUPERVISOR, Role.ADMIN}), _barriers),
    Slot("OFFICE_SLOT_ACCOUNTS", "/office/accounts", frozenset({Role.ADMIN}), _invited),
]


@get("/office", sync_to_thread=True)
def start(request: AnyRequest) -> Response[Any]:
    """The start page."""
    desk = desk_of(request)
    say = desk.reader.say
    cards = []
    with desk.application.reading() as session:
        for slot in SLOTS:
            if slot.roles.isdisjoint(desk.staff.roles):
                continue
            values = slot.load(desk, session)
            if values is not None:
                cards.append(
                    {
                        "title": say(slot.title),
                        "text": say(f"{slot.title}_TEXT", **values),
                        "link": say(f"{slot.title}_LINK"),
                        "path": slot.path,
                    }
                )
    failed = request.query_params.get("failed", "")
    return desk.page(
        "start.html", cards=cards, failed=failed if failed.isdecimal() and len(failed) < 6 else ""
    )


HANDLERS: Final = [start]
