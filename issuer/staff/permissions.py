"""Who of the office may use which page: one table, by which the console's guard and its navigation go.

A route is named as ``METHOD /path/{parameter}``. A route of the console without an entry here keeps the service from
starting (`check_routes`), and so does an entry without a route: what is not decided is not reachable.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

PREFIX: Final = "/office"


class Role(StrEnum):
    """What somebody does in the office; a person may have several."""

    CLERK = "clerk"
    SUPERVISOR = "supervisor"
    LIBRARIAN = "librarian"
    REGISTRAR = "registrar"
    AUDITOR = "auditor"
    ADMIN = "admin"


class Stage(StrEnum):
    """How far a session is: the second factor is awaited, is being set up, or everything is open."""

    CODE = "code"
    ENROL = "enrol"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Permission:
    """Who may use a route.

    ``stages`` are those of a session that it is for; none: also for people who are not logged in. ``roles`` has
    one that the person needs; None: everybody. ``menu`` is the catalogue's code of its entry in the navigation.
    """

    stages: frozenset[Stage] = frozenset({Stage.OPEN})
    roles: frozenset[Role] | None = None
    menu: str = ""

    def allows(self, stage: Stage | None, roles: Iterable[Role]) -> bool:
        """Whether somebody with a session at ``stage`` (None: not logged in) and ``roles`` may use the route."""
        if not self.stages:
            return True
        return stage in self.stages and (self.roles is None or not self.roles.isdisjoint(roles))


def _roles(*roles: Role, menu: str = "") -> Permission:
    return Permission(roles=frozenset(roles), menu=menu)


# Who works on cases and passes.
_DESK: Final = (Role.CLERK, Role.SUPERVISOR)
_PUBLIC: Final = Permission(stages=frozenset())
_CODE: Final = Permission(stages=frozenset({Stage.CODE}))
_ENROL: Final = Permission(stages=frozenset({Stage.ENROL}))
_EVERYBODY: Final = Permission()
_ON_THE_WAY: Final = Permission(stages=frozenset(Stage))
_FIGURES: Final = (Role.CLERK, Role.SUPERVISOR, Role.AUDITOR, Role.ADMIN)

PERMISSIONS: Final[Mapping[str, Permission]] = {
    # The ways in and out.
    "GET /office/login": _PUBLIC,
    "POST /office/login": _PUBLIC,
    "GET /office/login/code": _CODE,
    "POST /office/login/code": _CODE,
    "GET /office/factor": _ENROL,
    "POST /office/factor": _ENROL,
    "GET /office/welcome/{token}": _PUBLIC,
    "POST /office/welcome/{token}": _PUBLIC,
    "GET /office/oidc/start": _PUBLIC,
    "GET /office/oidc/return": _PUBLIC,
    "POST /office/logout": _ON_THE_WAY,
    # Everybody's own.
    "GET /office": Permission(menu="OFFICE_MENU_START"),
    "GET /office/account": _EVERYBODY,
    "POST /office/account/password": _EVERYBODY,
    "GET /office/account/factor": _EVERYBODY,
    "POST /office/account/factor": _EVERYBODY,
    "POST /office/account/sessions/end": _EVERYBODY,
    # Cases.
    "GET /office/cases": _roles(*_DESK, menu="OFFICE_MENU_CASES"),
    "GET /office/cases/{case_id}": _roles(*_DESK),
    "GET /office/cases/{case_id}/evidence/{document_id}": _roles(*_DESK),
    "GET /office/cases/{case_id}/letters/{letter}": _roles(*_DESK),
    "POST /office/cases/{case_id}/accept": _roles(*_DESK),
    "POST /office/cases/{case_id}/approve": _roles(*_DESK),
    "POST /office/cases/{case_id}/propose": _roles(*_DESK),
    "GET /office/cases/{case_id}/documents": _roles(*_DESK),
    "POST /office/cases/{case_id}/documents": _roles(*_DESK),
    "POST /office/cases/{case_id}/received": _roles(*_DESK),
    "GET /office/cases/{case_id}/refuse": _roles(*_DESK),
    "POST /office/cases/{case_id}/refuse": _roles(*_DESK),
    "POST /office/cases/{case_id}/withdraw": _roles(*_DESK),
    "POST /office/cases/{case_id}/pay": _roles(*_DESK),
    "POST /office/cases/{case_id}/close": _roles(*_DESK),
    # What two decide, what takes money or a revocation back, and what settles it without a receipt: a lead.
    "POST /office/cases/{case_id}/second/approve": _roles(Role.SUPERVISOR),
    "POST /office/cases/{case_id}/second/return": _roles(Role.SUPERVISOR),
    "POST /office/cases/{case_id}/pay/undo": _roles(Role.SUPERVISOR),
    "POST /office/cases/{case_id}/settle": _roles(Role.SUPERVISOR),
    # The counter.
    "GET /office/counter": _roles(*_DESK, menu="OFFICE_MENU_COUNTER"),
    "POST /office/counter": _roles(*_DESK),
    "GET /office/counter/{case_id}/permit": _roles(*_DESK),
    "POST /office/counter/{case_id}/permit": _roles(*_DESK),
    "GET /office/counter/{case_id}/evidence": _roles(*_DESK),
    "POST /office/counter/{case_id}/evidence": _roles(*_DESK),
    "GET /office/counter/{case_id}/finish": _roles(*_DESK),
    # What somebody at the counter shows from their wallet. The way back shows nothing.
    "GET /office/wallet": _roles(*_DESK),
    "POST /office/wallet": _roles(*_DESK),
    "GET /office/wallet/{asked_id}": _roles(*_DESK),
    "POST /office/wallet/{asked_id}": _roles(*_DESK),
    "GET /office/wallet/{asked_id}/back": _PUBLIC,
    # Passes.
    "GET /office/passes": _roles(*_DESK, menu="OFFICE_MENU_PASSES"),
    "GET /office/passes/{type_id}/{number}": _roles(*_DESK),
    "GET /office/passes/{type_id}/{number}/print.pdf": _roles(*_DESK),
    "GET /office/passes/{type_id}/{number}/steps/{step}": _roles(*_DESK),
    "POST /office/passes/{type_id}/{number}/steps/{step}": _roles(*_DESK),
    "GET /office/passes/{type_id}/{number}/plate": _roles(*_DESK),
    "POST /office/passes/{type_id}/{number}/plate": _roles(*_DESK),
    "GET /office/passes/{type_id}/{number}/renew": _roles(*_DESK),
    "POST /office/passes/{type_id}/{number}/renew": _roles(*_DESK),
    "POST /office/passes/{type_id}/{number}/link": _roles(*_DESK),
    "POST /office/passes/{type_id}/{number}/letter": _roles(*_DESK),
    "POST /office/passes/{type_id}/{number}/eudi": _roles(*_DESK),
    "POST /office/passes/{type_id}/{number}/eudi-letter": _roles(*_DESK),
    "GET /office/passes/{type_id}/{number}/reinstate": _roles(Role.SUPERVISOR),
    "POST /office/passes/{type_id}/{number}/reinstate": _roles(Role.SUPERVISOR),
    # The library's cards, for librarians alone.
    "GET /office/library": _roles(Role.LIBRARIAN, menu="OFFICE_MENU_LIBRARY"),
    "GET /office/library/waiting": _roles(Role.LIBRARIAN),
    "GET /office/library/wallet": _roles(Role.LIBRARIAN),
    "POST /office/library/wallet": _roles(Role.LIBRARIAN),
    "GET /office/library/wallet/{asked_id}": _roles(Role.LIBRARIAN),
    "POST /office/library/wallet/{asked_id}": _roles(Role.LIBRARIAN),
    "GET /office/library/wallet/{asked_id}/back": _PUBLIC,
    "GET /office/library/new": _roles(Role.LIBRARIAN),
    "POST /office/library/new/card": _roles(Role.LIBRARIAN),
    "POST /office/library/new/person": _roles(Role.LIBRARIAN),
    "POST /office/library/new": _roles(Role.LIBRARIAN),
    "GET /office/library/members/{type_id}/{number}": _roles(Role.LIBRARIAN),
    "GET /office/library/members/{type_id}/{number}/system": _roles(Role.LIBRARIAN),
    "GET /office/library/members/{type_id}/{number}/print.pdf": _roles(Role.LIBRARIAN),
    "GET /office/library/members/{type_id}/{number}/steps/{step}": _roles(Role.LIBRARIAN),
    "POST /office/library/members/{type_id}/{number}/steps/{step}": _roles(Role.LIBRARIAN),
    "POST /office/library/members/{type_id}/{number}/link": _roles(Role.LIBRARIAN),
    "POST /office/library/members/{type_id}/{number}/family": _roles(Role.LIBRARIAN),
    "POST /office/library/members/{type_id}/{number}/eudi": _roles(Role.LIBRARIAN),
    "POST /office/library/members/{type_id}/{number}/eudi-letter": _roles(Role.LIBRARIAN),
    # Their print runs, with nothing but library cards.
    "GET /office/library/print": _roles(Role.LIBRARIAN),
    "POST /office/library/print": _roles(Role.LIBRARIAN),
    "GET /office/library/print/{run_id}": _roles(Role.LIBRARIAN),
    "GET /office/library/print/{run_id}/file": _roles(Role.LIBRARIAN),
    "POST /office/library/print/{run_id}/spoil": _roles(Role.LIBRARIAN),
    "POST /office/library/print/{run_id}/again": _roles(Role.LIBRARIAN),
    "POST /office/library/print/{run_id}/posted": _roles(Role.LIBRARIAN),
    # Certificates of residence, with addresses that nobody else needs (§ 51 BMG): for registrars alone.
    "GET /office/residence": _roles(Role.REGISTRAR, menu="OFFICE_MENU_RESIDENCE"),
    "POST /office/residence/look-up": _roles(Role.REGISTRAR),
    "POST /office/residence": _roles(Role.REGISTRAR),
    "GET /office/residence/{number}": _roles(Role.REGISTRAR),
    "GET /office/residence/{number}/print.pdf": _roles(Role.REGISTRAR),
    "POST /office/residence/{number}/link": _roles(Role.REGISTRAR),
    "POST /office/residence/{number}/eudi": _roles(Role.REGISTRAR),
    "GET /office/residence/{number}/revoke": _roles(Role.REGISTRAR),
    "POST /office/residence/{number}/revoke": _roles(Role.REGISTRAR),
    # Statements for the fine office.
    "GET /office/statements": _roles(
        Role.CLERK, Role.SUPERVISOR, Role.AUDITOR, menu="OFFICE_MENU_STATEMENTS"
    ),
    "POST /office/statements": _roles(Role.CLERK, Role.SUPERVISOR, Role.AUDITOR),
    "POST /office/statements/file": _roles(Role.CLERK, Role.SUPERVISOR, Role.AUDITOR),
    # Figures: counts, of no person and of nobody's work.
    "GET /office/figures": _roles(*_FIGURES, menu="OFFICE_MENU_FIGURES"),
    "GET /office/figures/adoption.csv": _roles(*_FIGURES),
    "GET /office/figures/ending.csv": _roles(*_FIGURES),
    "GET /office/figures/cases.csv": _roles(*_FIGURES),
    "GET /office/wishes": _roles(Role.CLERK, Role.SUPERVISOR, Role.LIBRARIAN, Role.REGISTRAR),
    # Imports of old registers.
    "GET /office/imports": _roles(Role.CLERK, Role.SUPERVISOR, menu="OFFICE_MENU_IMPORTS"),
    "GET /office/imports/new": _roles(Role.SUPERVISOR),
    "POST /office/imports/upload": _roles(Role.SUPERVISOR),
    "GET /office/imports/{run_id}": _roles(Role.CLERK, Role.SUPERVISOR),
    "GET /office/imports/{run_id}/problems.csv": _roles(Role.CLERK, Role.SUPERVISOR),
    "POST /office/imports/{run_id}/confirm": _roles(Role.SUPERVISOR),
    "POST /office/imports/{run_id}/cancel": _roles(Role.SUPERVISOR),
    "GET /office/imports/{run_id}/undo": _roles(Role.SUPERVISOR),
    "POST /office/imports/{run_id}/undo": _roles(Role.SUPERVISOR),
    # Zones, fees and the other rules: who decides looks, and the supervisor changes.
    "GET /office/zones": _roles(Role.CLERK, Role.SUPERVISOR, menu="OFFICE_MENU_ZONES"),
    "GET /office/zones/{zone}": _roles(Role.CLERK, Role.SUPERVISOR),
    "GET /office/zones/{zone}/change": _roles(Role.SUPERVISOR),
    "GET /office/new-zone": _roles(Role.SUPERVISOR),
    "POST /office/zones": _roles(Role.SUPERVISOR),
    "GET /office/fees": _roles(Role.CLERK, Role.SUPERVISOR, menu="OFFICE_MENU_FEES"),
    "GET /office/fees/change": _roles(Role.SUPERVISOR),
    "POST /office/fees": _roles(Role.SUPERVISOR),
    "GET /office/streets": _roles(Role.CLERK, Role.SUPERVISOR),
    "GET /office/kinds": _roles(Role.CLERK, Role.SUPERVISOR),
    "POST /office/rules/undo": _roles(Role.SUPERVISOR),
    # Print runs.
    "GET /office/print": _roles(Role.CLERK, Role.SUPERVISOR, menu="OFFICE_MENU_PRINT"),
    "POST /office/print": _roles(Role.CLERK, Role.SUPERVISOR),
    "GET /office/print/{run_id}": _roles(Role.CLERK, Role.SUPERVISOR),
    "GET /office/print/{run_id}/file": _roles(Role.CLERK, Role.SUPERVISOR),
    "POST /office/print/{run_id}/spoil": _roles(Role.CLERK, Role.SUPERVISOR),
    "POST /office/print/{run_id}/again": _roles(Role.CLERK, Role.SUPERVISOR),
    "POST /office/print/{run_id}/posted": _roles(Role.CLERK, Role.SUPERVISOR),
    # Devices of wardens and librarians.
    "GET /office/devices": _roles(Role.SUPERVISOR, Role.ADMIN, menu="OFFICE_MENU_DEVICES"),
    "GET /office/devices/new": _roles(Role.SUPERVISOR, Role.ADMIN),
    "POST /office/devices/new": _roles(Role.SUPERVISOR, Role.ADMIN),
    "GET /office/devices/{device_id}": _roles(Role.SUPERVISOR, Role.ADMIN),
    "POST /office/devices/{device_id}/confirm": _roles(Role.SUPERVISOR, Role.ADMIN),
    "POST /office/devices/{device_id}/name": _roles(Role.SUPERVISOR, Role.ADMIN),
    "POST /office/devices/{device_id}/lock": _roles(Role.SUPERVISOR, Role.ADMIN),
    "POST /office/devices/{device_id}/unlock": _roles(Role.SUPERVISOR, Role.ADMIN),
    # Keys and certificates, to look at.
    "GET /office/keys": _roles(Role.ADMIN, menu="OFFICE_MENU_KEYS"),
    # Who has looked at what.
    "GET /office/histories": _roles(Role.AUDITOR, menu="OFFICE_MENU_HISTORIES"),
    "GET /office/accesses": _roles(Role.AUDITOR, menu="OFFICE_MENU_ACCESSES"),
    "POST /office/accesses/person": _roles(Role.AUDITOR),
    "POST /office/accesses/export": _roles(Role.AUDITOR),
    "GET /office/audit": _roles(Role.AUDITOR, menu="OFFICE_MENU_AUDIT"),
    "POST /office/audit/check": _roles(Role.AUDITOR),
    # Data protection.
    "GET /office/data-protection": _roles(Role.AUDITOR, Role.ADMIN, menu="OFFICE_MENU_DATA_PROTECTION"),
    "GET /office/data-protection/record": _roles(Role.AUDITOR, Role.ADMIN),
    "GET /office/data-protection/record.json": _roles(Role.AUDITOR, Role.ADMIN),
    "GET /office/data-protection/dpia": _roles(Role.AUDITOR, Role.ADMIN),
    "GET /office/data-protection/deletions": _roles(Role.AUDITOR, Role.ADMIN),
    # A seal names a plate: for those who see passes, and for auditors.
    "GET /office/seal": _roles(Role.CLERK, Role.SUPERVISOR, Role.AUDITOR),
    "POST /office/seal": _roles(Role.CLERK, Role.SUPERVISOR, Role.AUDITOR),
    # What people wrote about barriers.
    "GET /office/barriers": _roles(Role.SUPERVISOR, Role.ADMIN, menu="OFFICE_MENU_BARRIERS"),
    "POST /office/barriers/done": _roles(Role.SUPERVISOR, Role.ADMIN),
    # Accounts.
    "GET /office/accounts": _roles(Role.ADMIN, menu="OFFICE_MENU_ACCOUNTS"),
    "GET /office/accounts/new": _roles(Role.ADMIN),
    "POST /office/accounts/new": _roles(Role.ADMIN),
    "GET /office/accounts/{account_id}": _roles(Role.ADMIN),
    "POST /office/accounts/{account_id}/roles": _roles(Role.ADMIN),
    "POST /office/accounts/{account_id}/lock": _roles(Role.ADMIN),
    "POST /office/accounts/{account_id}/unlock": _roles(Role.ADMIN),
    "POST /office/accounts/{account_id}/reset": _roles(Role.ADMIN),
}


def route_name(method: str, path: str) -> str:
    """The name of a route in the table; a HEAD is what its GET is."""
    return f"{'GET' if method == 'HEAD' else method} {path}"


def permission_of(method: str, path: str) -> Permission:
    """The entry for the route ``path`` (with its parameters' names in braces). Raises KeyError."""
    return PERMISSIONS[route_name(method, path)]


def check_routes(routes: Iterable[tuple[str, str]]) -> None:
    """Compare the console's routes, each as method and path, with the table; LookupError names what differs."""
    there = {route_name(method, path) for method, path in routes if method != "OPTIONS"}
    if there != PERMISSIONS.keys():
        raise LookupError(
            f"console routes without permission: {sorted(there - PERMISSIONS.keys())},"
            f" permissions without route: {sorted(PERMISSIONS.keys() - there)}"
        )


def menu_for(roles: Iterable[Role]) -> list[tuple[str, str]]:
    """The navigation of somebody with ``roles``: pairs of path and the catalogue's code, in the table's order."""
    held = set(roles)
    return [
        (name.partition(" ")[2], permission.menu)
        for name, permission in PERMISSIONS.items()
        if permission.menu and permission.allows(Stage.OPEN, held)
    ]
