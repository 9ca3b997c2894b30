"""Logging in: the password, then the code; the first visit; changing either.

Whoever does not exist, is locked or gives a wrong password gets the same answer after the same work. Passwords are
hashed outside of transactions, so that nobody waits for them with the register's lock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.errors import IssuerRefusal
from issuer.models_staff import StaffAccountRow
from issuer.staff import second_factor
from issuer.staff.accounts import (
    State,
    account_of,
    account_of_link,
    end_links,
    end_sessions,
    find_by_login,
    normalised_login,
    note,
    staff_actor,
    use_link,
)
from issuer.staff.guesses import Tries, forget_try, may_try, new_mark, tries_of
from issuer.staff.passwords import check_password, hash_password, is_outdated, is_password
from issuer.staff.permissions import Role, Stage
from issuer.staff.sessions import PASSWORD, Person, start_session

_LONGEST_KEY: Final = 100


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is at the other end: client network, the mark of a known browser, the browser's name."""

    network: str
    mark: str | None = field(repr=False)
    agent: str
    # The stored hash of the session that the browser has so far; it ends when a new one begins.
    session_hash: str = ""


@dataclass(frozen=True, slots=True)
class Opened:
    """An open session, the mark that makes the browser known, and how many wrong tries there were before."""

    person: Person
    mark: str = field(repr=False)
    failed_before: int


def log_in(application: Application, login: str, password: str, caller: Caller) -> Person:
    """A session that awaits the code, or one that has to set a second factor up.

    Raises IssuerRefusal STAFF_WRONG for whatever does not fit, STAFF_TOO_OFTEN, STAFF_USE_PROVIDER for people who
    may log in at the city's provider only.
    """
    name = normalised_login(login)
    with application.writing() as session:
        account = find_by_login(session, application, name) if name else None
        stored = account.password_hash if account is not None else None
        # Unknown names are counted like known ones, or the count would tell them apart.
        key = account.id if account is not None else f"?{name or login[:_LONGEST_KEY]}"
        tries = tries_of(application, caller.network, key, caller.mark)
        allowed = may_try(session, application, tries)
        if allowed and account is not None:
            account.failed_attempts += 1
    if not allowed:
        raise IssuerRefusal("STAFF_TOO_OFTEN")
    if not is_password(stored, password) or account is None or stored is None:
        raise IssuerRefusal("STAFF_WRONG")
    renewed = hash_password(password) if is_outdated(stored) else stored
    with application.writing() as session:
        row = account_of(session, application, account.id)
        if row.password_hash != stored or row.state == State.LOCKED.value:
            raise IssuerRefusal("STAFF_WRONG")
        if application.config.staff.local_accounts == "admins" and Role.ADMIN.value not in row.roles:
            raise IssuerRefusal("STAFF_USE_PROVIDER")
        row.password_hash = renewed
        row.failed_attempts -= 1
        forget_try(session, application, tries)
        stage = Stage.ENROL if row.totp_secret is None else Stage.CODE
        return start_session(
            session,
            application,
            row,
            stage,
            method=PASSWORD,
            agent=caller.agent,
            instead_of=caller.session_hash,
        )


def give_code(application: Application, person: Person, code: str, caller: Caller) -> Opened:
    """Open the session of somebody whose password was right. Raises IssuerRefusal STAFF_CODE, STAFF_TOO_OFTEN."""
    tries = tries_of(application, caller.network, f"{person.account_id}/code", caller.mark)
    with application.writing() as session:
        row = account_of(session, application, person.account_id)
        if not may_try(session, application, tries):
            raise IssuerRefusal("STAFF_TOO_OFTEN")
        right = _use_code(application, row, code)
        if right:
            forget_try(session, application, tries)
            return _open(session, application, row, person, caller)
        row.failed_attempts += 1
    raise IssuerRefusal("STAFF_CODE")


def new_secret(application: Application, person: Person) -> bytes:
    """The secret that this session offers for a new second factor: the same each time its page is shown."""
    return application.derived("staff-totp-new", person.token)[: second_factor.SECRET_BYTES]


def set_factor(application: Application, person: Person, code: str, caller: Caller) -> Opened:
    """End the first visit: keep the offered secret if ``code`` is one of its codes.

    Raises IssuerRefusal STAFF_CODE.
    """
    with application.writing() as session:
        row = account_of(session, application, person.account_id)
        if row.totp_secret is not None:
            raise IssuerRefusal("STAFF_WRONG")
        _keep_factor(session, application, row, person, code)
        row.state = State.ACTIVE.value
        end_links(session, application, row.id)
        return _open(session, application, row, person, caller)


def change_factor(application: Application, person: Person, password: str, code: str, caller: Caller) -> None:
    """Replace the second factor of an open session by the offered one; other sessions end.

    Raises IssuerRefusal STAFF_PASSWORD_WRONG, STAFF_TOO_OFTEN, STAFF_CODE.
    """
    stored, tries = _confirmed(application, person, password, caller)
    with application.writing() as session:
        row = _unchanged(session, application, person, stored)
        _keep_factor(session, application, row, person, code)
        forget_try(session, application, tries)
        end_sessions(session, application, row.id, keep=person.session_hash)


def set_first_password(application: Application, token: str, password: str, caller: Caller) -> Person:
    """Use a one-time link up: the password is set, and the session has to set a second factor up.

    Raises IssuerRefusal STAFF_LINK_GONE, and what `check_password` raises: then the link stays good.
    """
    with application.reading() as session:
        account = account_of_link(session, application, token)
    if account is None:
        raise IssuerRefusal("STAFF_LINK_GONE")
    check_password(password, account.login, account.display_name)
    stored = hash_password(password)
    with application.writing() as session:
        row = use_link(session, application, token)
        if row is None:
            raise IssuerRefusal("STAFF_LINK_GONE")
        row.password_hash = stored
        session.flush()
        end_sessions(session, application, row.id)
        note(session, application, row.id, "set-staff-password", staff_actor(row.id))
        return start_session(
            session,
            application,
            row,
            Stage.ENROL,
            method=PASSWORD,
            agent=caller.agent,
            instead_of=caller.session_hash,
        )


def change_password(application: Application, person: Person, old: str, new: str, caller: Caller) -> Person:
    """Another password: all sessions end, and this browser gets a new one.

    Raises IssuerRefusal STAFF_PASSWORD_WRONG, STAFF_TOO_OFTEN, and what `check_password` raises.
    """
    check_password(new, person.login, person.display_name)
    stored, tries = _confirmed(application, person, old, caller)
    renewed = hash_password(new)
    with application.writing() as session:
        row = _unchanged(session, application, person, stored)
        row.password_hash = renewed
        session.flush()
        forget_try(session, application, tries)
        end_sessions(session, application, row.id)
        note(session, application, row.id, "set-staff-password", person.actor)
        return start_session(session, application, row, Stage.OPEN, method=person.method, agent=caller.agent)


def _open(
    session: Session, application: Application, row: StaffAccountRow, person: Person, caller: Caller
) -> Opened:
    failed = row.failed_attempts
    row.failed_attempts, row.last_login_at = 0, application.now()
    opened = start_session(
        session,
        application,
        row,
        Stage.OPEN,
        method=person.method,
        agent=caller.agent,
        instead_of=person.session_hash,
    )
    return Opened(opened, new_mark(application, row.id), failed)


def _use_code(application: Application, row: StaffAccountRow, code: str) -> bool:
    if row.state == State.LOCKED.value or row.totp_secret is None:
        return False
    secret = second_factor.opened(application, row.id, row.totp_secret)
    if secret is None:
        return False
    step = second_factor.accepted_step(secret, code, application.now(), row.totp_step)
    if step is None:
        return False
    row.totp_step = step
    return True


def _keep_factor(
    session: Session, application: Application, row: StaffAccountRow, person: Person, code: str
) -> None:
    secret = new_secret(application, person)
    step = second_factor.accepted_step(secret, code, application.now(), None)
    if step is None or row.state == State.LOCKED.value:
        raise IssuerRefusal("STAFF_CODE")
    row.totp_secret, row.totp_step = second_factor.sealed(application, row.id, secret), step
    session.flush()
    note(session, application, row.id, "set-staff-factor", person.actor)


def _confirmed(application: Application, person: Person, password: str, caller: Caller) -> tuple[str, Tries]:
    """The stored hash of the person's own password, typed once more."""
    tries = tries_of(application, caller.network, person.account_id, caller.mark)
    with application.writing() as session:
        stored = account_of(session, application, person.account_id).password_hash
        if not may_try(session, application, tries):
            raise IssuerRefusal("STAFF_TOO_OFTEN")
    if stored is None or not is_password(stored, password):
        raise IssuerRefusal("STAFF_PASSWORD_WRONG")
    return stored, tries


def _unchanged(session: Session, application: Application, person: Person, stored: str) -> StaffAccountRow:
    row = account_of(session, application, person.account_id)
    if row.password_hash != stored or row.state == State.LOCKED.value:
        raise IssuerRefusal("STAFF_PASSWORD_WRONG")
    return row
