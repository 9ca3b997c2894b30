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


_PUBLIC: Final = Permission(stages=frozenset())
_CODE: Final = Permission(stages=frozenset({Stage.CODE}))
_ENROL: Final = Permission(stages=frozenset({Stage.ENROL}))
_EVERYBODY: Final = Permission()
_ON_THE_WAY: Final = Permission(stages=frozenset(Stage))

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
    # Passes.
    "GET /office/passes": _roles(Role.CLERK, Role.SUPERVISOR, menu="OFFICE_MENU_PASSES"),
    "GET /office/passes/{type_id}/{number}": _roles(Role.CLERK, Role.SUPERVISOR),
    "GET /office/wishes": _roles(Role.CLERK, Role.SUPERVISOR),
    # Who has looked at what.
    "GET /office/accesses": _roles(Role.AUDITOR, menu="OFFICE_MENU_ACCESSES"),
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
