"""Sessions of the office: a random cookie, its hash in the register, an end after half an hour without use.

The cookie is drawn anew at each step of the log-in, so that one known beforehand opens nothing afterwards (session
fixation). A session ends when it is not used for `StaffConfig.idle_minutes`, after `StaffConfig.session_hours` in
any case, at log-out, and when the account is locked, reset or changes password or roles.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.models_staff import StaffAccountRow, StaffSessionRow
from issuer.staff.accounts import State, staff_actor
from issuer.staff.permissions import Role, Stage

PASSWORD, OIDC = "password", "oidc"

# How long the way from the password to the open session may take.
_ON_THE_WAY: Final = timedelta(minutes=10)
# The time of the last use is noted to the minute: not every page needs a writing transaction.
_NOTED: Final = timedelta(minutes=1)
_TOKEN_BYTES: Final = 16
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{22}")
_PURPOSE: Final = "staff-session"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of the office with a session at ``stage``; ``form_token`` has to come with every POST."""

    account_id: str
    login: str
    display_name: str
    roles: frozenset[Role]
    stage: Stage
    method: str
    handle: str
    token: str = field(repr=False)
    session_hash: str = field(repr=False)
    form_token: str = field(repr=False)

    @property
    def actor(self) -> str:
        """How the audit trail names them."""
        return staff_actor(self.account_id)

    def accepts(self, form_token: str) -> bool:
        """Whether a form that came with ``form_token`` is one of this session's pages."""
        return hmac.compare_digest(form_token.encode(), self.form_token.encode())


@dataclass(frozen=True, slots=True)
class ListedSession:
    """One of a person's sessions as they see it; times are aware."""

    handle: str
    agent: str
    method: str
    created_at: datetime
    seen_at: datetime
    is_this: bool


def start_session(
    session: Session,
    application: Application,
    account: StaffAccountRow,
    stage: Stage,
    *,
    method: str,
    agent: str,
    instead_of: str = "",
) -> Person:
    """A new session in the caller's writing transaction; the one with the stored hash ``instead_of`` ends."""
    _end(session, application, instead_of)
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    now = application.now()
    lifetime = timedelta(hours=application.config.staff.session_hours)
    row = StaffSessionRow(
        tenant=application.tenant,
        session_hash=application.hash_secret(_PURPOSE, token),
        handle=secrets.token_urlsafe(_TOKEN_BYTES),
        account_id=account.id,
        stage=stage.value,
        method=method,
        agent=agent,
        created_at=now,
        seen_at=now,
        expires_at=now + (lifetime if stage is Stage.OPEN else _ON_THE_WAY),
    )
    session.add(row)
    session.flush()
    return _person(application, token, row, account)


def find_person(session: Session, application: Application, token: str | None) -> Person | None:
    """Whose session the cookie stands for; None if there is none, or it is over."""
    if token is None or _TOKEN.fullmatch(token) is None:
        return None
    row = session.get(StaffSessionRow, (application.tenant, application.hash_secret(_PURPOSE, token)))
    if row is None or not _is_running(application, row):
        return None
    account = session.get(StaffAccountRow, (application.tenant, row.account_id))
    if account is None or account.state == State.LOCKED.value:
        return None
    return _person(application, token, row, account)


def note_use(application: Application, person: Person) -> None:
    """Note that the session is used, in a transaction of its own, where that was noted some time ago."""
    now = application.now()
    with application.reading() as session:
        row = session.get(StaffSessionRow, (application.tenant, person.session_hash))
        if row is None or now - row.seen_at < _NOTED:
            return
    with application.writing() as session:
        session.execute(
            update(StaffSessionRow)
            .where(
                StaffSessionRow.tenant == application.tenant,
                StaffSessionRow.session_hash == person.session_hash,
            )
            .values(seen_at=now)
        )


def sessions_of(session: Session, application: Application, person: Person) -> Sequence[ListedSession]:
    """The person's own running sessions, newest first."""
    rows = session.scalars(
        select(StaffSessionRow)
        .where(
            StaffSessionRow.tenant == application.tenant,
            StaffSessionRow.account_id == person.account_id,
            StaffSessionRow.stage == Stage.OPEN.value,
        )
        .order_by(StaffSessionRow.created_at.desc(), StaffSessionRow.handle)
    )
    return [
        ListedSession(
            row.handle, row.agent, row.method, row.created_at, row.seen_at, row.handle == person.handle
        )
        for row in rows
        if _is_running(application, row)
    ]


def end_session(session: Session, application: Application, person: Person, handle: str) -> None:
    """End one of the person's own sessions; another's is left alone."""
    session.execute(
        delete(StaffSessionRow).where(
            StaffSessionRow.tenant == application.tenant,
            StaffSessionRow.account_id == person.account_id,
            StaffSessionRow.handle == handle,
        )
    )


def agent_of(user_agent: str) -> str:
    """Browser and system in two words, such as ``Firefox, Windows``; all that is kept of the header."""
    text = user_agent[:500]
    browsers = {"Edg/": "Edge", "Firefox/": "Firefox", "Chrome/": "Chrome", "Safari/": "Safari"}
    systems = {
        "Windows": "Windows", "Android": "Android", "iPhone": "iPhone", "iPad": "iPad",
        "Mac OS X": "macOS", "Linux": "Linux",
    }  # fmt: skip
    found = [
        next((name for mark, name in marks.items() if mark in text), "") for marks in (browsers, systems)
    ]
    return ", ".join(filter(None, found))


def _is_running(application: Application, row: StaffSessionRow) -> bool:
    now = application.now()
    idle = timedelta(minutes=application.config.staff.idle_minutes)
    return row.expires_at > now and row.seen_at + idle > now


def _end(session: Session, application: Application, session_hash: str) -> None:
    session.execute(
        delete(StaffSessionRow).where(
            StaffSessionRow.tenant == application.tenant, StaffSessionRow.session_hash == session_hash
        )
    )


def _person(application: Application, token: str, row: StaffSessionRow, account: StaffAccountRow) -> Person:
    return Person(
        account_id=account.id,
        login=account.login,
        display_name=account.display_name,
        roles=frozenset(Role(role) for role in account.roles),
        stage=Stage(row.stage),
        method=row.method,
        handle=row.handle,
        token=token,
        session_hash=row.session_hash,
        form_token=application.derived("staff-form", token).hex()[:32],
    )
