"""Accounts of the office: inviting, roles, locking, resetting; each with its entry in the audit trail.

The audit trail names a person as ``staff:<account id>``; neither name nor log-in name stands in it. An account is
locked and never deleted, so that the id keeps its meaning. One active administrator is always left.
"""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from issuer import audit
from issuer.application import Application
from issuer.audit import AuditEvent, Fact
from issuer.errors import IssuerRefusal
from issuer.models_staff import StaffAccountRow, StaffLinkRow, StaffSessionRow
from issuer.one_time_links import OneTimeLinks, new_token
from issuer.staff.permissions import Role

LINK_LIFETIME: Final = timedelta(hours=24)
LINK_PATH: Final = "/office/welcome/"
LONGEST_LOGIN: Final = 100
LONGEST_NAME: Final = 100

_ID_BYTES: Final = 16
_LINKS: Final = OneTimeLinks(StaffLinkRow, "staff-link")
_LOGIN: Final = re.compile(r"[^\W_][\w.+@-]*")


class State(StrEnum):
    """Where an account stands."""

    INVITED = "invited"
    ACTIVE = "active"
    LOCKED = "locked"


def normalised_login(text: str) -> str:
    """A log-in name as it is stored and compared: NFKC, case folded. Empty for what can be nobody's."""
    if len(text) > LONGEST_LOGIN:
        return ""
    login = unicodedata.normalize("NFKC", text.strip()).casefold()
    return login if len(login) <= LONGEST_LOGIN and _LOGIN.fullmatch(login) else ""


def staff_actor(account_id: str) -> str:
    """How the audit trail names a person of the office."""
    return f"staff:{account_id}"


def invite(
    session: Session,
    application: Application,
    login: str,
    display_name: str,
    roles: Iterable[Role],
    *,
    actor: str,
) -> tuple[str, str]:
    """A new account in the caller's writing transaction; returns its id and the link, which is a secret.

    Raises IssuerRefusal STAFF_LOGIN, STAFF_LOGIN_TAKEN, STAFF_NAME, STAFF_ROLES for none.
    """
    row = add_account(session, application, login, display_name, roles)
    facts: dict[str, Fact] = {"roles": list(row.roles)}
    note(session, application, row.id, "invite-staff", actor, after=facts)
    return row.id, new_link(session, application, row.id)


def add_account(
    session: Session, application: Application, login: str, display_name: str, roles: Iterable[Role]
) -> StaffAccountRow:
    """The row of a new invited account, without audit entry or link. Raises as `invite` does."""
    name = normalised_login(login)
    if not name:
        raise IssuerRefusal("STAFF_LOGIN", limit=LONGEST_LOGIN)
    if find_by_login(session, application, name) is not None:
        raise IssuerRefusal("STAFF_LOGIN_TAKEN", login=name)
    row = StaffAccountRow(
        tenant=application.tenant,
        id=secrets.token_urlsafe(_ID_BYTES),
        login=name,
        display_name=_checked_name(display_name),
        roles=_checked_roles(roles),
        state=State.INVITED.value,
        failed_attempts=0,
        created_at=application.now(),
    )
    session.add(row)
    session.flush()
    return row


def accounts(session: Session, application: Application) -> Sequence[StaffAccountRow]:
    """All accounts, by log-in name."""
    return session.scalars(
        select(StaffAccountRow)
        .where(StaffAccountRow.tenant == application.tenant)
        .order_by(StaffAccountRow.login)
    ).all()


def find_by_login(session: Session, application: Application, login: str) -> StaffAccountRow | None:
    """The account with the normalised log-in name."""
    return session.scalar(
        select(StaffAccountRow).where(
            StaffAccountRow.tenant == application.tenant, StaffAccountRow.login == login
        )
    )


def account_of(session: Session, application: Application, account_id: str) -> StaffAccountRow:
    """The account, read anew. Raises IssuerRefusal STAFF_UNKNOWN."""
    row = session.get(StaffAccountRow, (application.tenant, account_id), populate_existing=True)
    if row is None:
        raise IssuerRefusal("STAFF_UNKNOWN")
    return row


def set_roles(
    session: Session, application: Application, account_id: str, roles: Iterable[Role], *, actor: str
) -> None:
    """Give the account other roles; its sessions end.

    Raises IssuerRefusal STAFF_UNKNOWN, STAFF_ROLES, STAFF_OWN_ROLES for one's own account, STAFF_LAST_ADMIN.
    """
    row = account_of(session, application, account_id)
    if actor == staff_actor(account_id):
        raise IssuerRefusal("STAFF_OWN_ROLES")
    wanted = _checked_roles(roles)
    before = list(row.roles)
    if wanted == before:
        return
    if Role.ADMIN.value not in wanted:
        _check_not_last_admin(session, application, row)
    row.roles = wanted
    session.flush()
    end_sessions(session, application, account_id)
    note(
        session,
        application,
        account_id,
        "change-staff-roles",
        actor,
        before={"roles": before},
        after={"roles": wanted},
    )


def lock(session: Session, application: Application, account_id: str, *, actor: str) -> None:
    """Nobody logs in to the account any more, its sessions and links end.

    Raises IssuerRefusal STAFF_UNKNOWN, STAFF_OWN_LOCK for one's own account, STAFF_LAST_ADMIN.
    """
    row = account_of(session, application, account_id)
    if actor == staff_actor(account_id):
        raise IssuerRefusal("STAFF_OWN_LOCK")
    if row.state == State.LOCKED.value:
        return
    _check_not_last_admin(session, application, row)
    before = row.state
    row.state = State.LOCKED.value
    session.flush()
    end_sessions(session, application, account_id)
    end_links(session, application, account_id)
    note(
        session,
        application,
        account_id,
        "lock-staff",
        actor,
        before={"state": before},
        after={"state": row.state},
    )


def unlock(session: Session, application: Application, account_id: str, *, actor: str) -> None:
    """Let the person in again; one who had never set a second factor needs a new link (`reset`).

    Raises IssuerRefusal STAFF_UNKNOWN.
    """
    row = account_of(session, application, account_id)
    if row.state != State.LOCKED.value:
        return
    complete = row.oidc_subject is not None or (row.password_hash is not None and row.totp_secret is not None)
    row.state = (State.ACTIVE if complete else State.INVITED).value
    row.failed_attempts = 0
    session.flush()
    note(session, application, account_id, "unlock-staff", actor, after={"state": row.state})


def reset(session: Session, application: Application, account_id: str, *, actor: str) -> str:
    """Forget password and second factor; returns a new link with which the person sets both, a secret.

    Raises IssuerRefusal STAFF_UNKNOWN, STAFF_LOCKED, STAFF_OWN_RESET for one's own account.
    """
    row = account_of(session, application, account_id)
    if actor == staff_actor(account_id):
        raise IssuerRefusal("STAFF_OWN_RESET")
    if row.state == State.LOCKED.value:
        raise IssuerRefusal("STAFF_LOCKED")
    row.password_hash = row.totp_secret = row.totp_step = None
    row.state, row.failed_attempts = State.INVITED.value, 0
    session.flush()
    end_sessions(session, application, account_id)
    end_links(session, application, account_id)
    note(session, application, account_id, "reset-staff", actor)
    return new_link(session, application, account_id)


def new_link(session: Session, application: Application, account_id: str) -> str:
    """The whole URL of a one-time link, good for a day: a secret."""
    token = new_token()
    now = application.now()
    session.add(
        StaffLinkRow(
            tenant=application.tenant,
            token_hash=_LINKS.hash_of(application, token),
            account_id=account_id,
            created_at=now,
            expires_at=now + LINK_LIFETIME,
            used_at=None,
        )
    )
    session.flush()
    return f"{application.settings(session).base_url}{LINK_PATH}{token}"


def account_of_link(session: Session, application: Application, token: str) -> StaffAccountRow | None:
    """Whose link ``token`` is, as long as it can be used."""
    row = _LINKS.opened(session, application, token)
    if row is None:
        return None
    account = account_of(session, application, row.account_id)
    return account if account.state == State.INVITED.value else None


def use_link(session: Session, application: Application, token: str) -> StaffAccountRow | None:
    """Use the link up in a writing transaction: of two calls at the same time one gets the account."""
    account = account_of_link(session, application, token)
    if account is None:
        return None
    return account if _LINKS.use(session, application, token) is not None else None


def end_sessions(session: Session, application: Application, account_id: str, *, keep: str = "") -> None:
    """End the account's sessions, but for the one with the stored hash ``keep``."""
    session.execute(
        delete(StaffSessionRow).where(
            StaffSessionRow.tenant == application.tenant,
            StaffSessionRow.account_id == account_id,
            StaffSessionRow.session_hash != keep,
        )
    )


def end_links(session: Session, application: Application, account_id: str) -> None:
    """Use up every link of the account."""
    session.execute(
        update(StaffLinkRow)
        .where(
            StaffLinkRow.tenant == application.tenant,
            StaffLinkRow.account_id == account_id,
            StaffLinkRow.used_at.is_(None),
        )
        .values(used_at=application.now())
    )


def note(
    session: Session,
    application: Application,
    account_id: str,
    action: str,
    actor: str,
    *,
    before: audit.Facts | None = None,
    after: audit.Facts | None = None,
) -> None:
    """An entry in the audit trail about the account."""
    event = AuditEvent(action, f"staff/{account_id}", before=before, after=after)
    audit.append(session, application.tenant, [event], application.now(), actor)


def _check_not_last_admin(session: Session, application: Application, row: StaffAccountRow) -> None:
    if row.state != State.ACTIVE.value or Role.ADMIN.value not in row.roles:
        return
    others = (
        one
        for one in accounts(session, application)
        if one.id != row.id and one.state == State.ACTIVE.value and Role.ADMIN.value in one.roles
    )
    if next(others, None) is None:
        raise IssuerRefusal("STAFF_LAST_ADMIN")


def _checked_name(text: str) -> str:
    name = unicodedata.normalize("NFC", text.strip())
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise IssuerRefusal("STAFF_NAME", limit=LONGEST_NAME)
    return name


def _checked_roles(roles: Iterable[Role]) -> list[str]:
    wanted = sorted({role.value for role in roles})
    if not wanted:
        raise IssuerRefusal("STAFF_ROLES")
    return wanted
