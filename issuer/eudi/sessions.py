"""Issuance sessions: the right of one wallet to credentials of one revision of a pass, and its tokens.

Whatever a session has given out stands in the register as a keyed hash. Functions that use something up want a
writing transaction: of two requests at the same time one gets it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import CursorResult, delete, update
from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.errors import RegisterRefusal
from issuer.eudi import following
from issuer.eudi.errors import Refused
from issuer.lifecycle import running
from issuer.models_eudi import EudiTokenRow, IssuanceSessionRow

ACCESS: Final = "access"
REFRESH: Final = following.REFRESH
ACCESS_LIFETIME: Final = timedelta(minutes=15)
TRIES: Final = 5

_TOKEN_BYTES: Final = 32
_TOKEN: Final = "eudi-token"  # noqa: S105 - what its hashes are keyed with


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose pass a session is for."""

    type_id: str
    number: str
    n: int
    channel: str


def begin(
    session: Session,
    application: Application,
    holder: Holder,
    configurations: list[str],
    until: datetime,
    **values: Any,
) -> IssuanceSessionRow:
    """A new session that ends at ``until`` (aware), in a writing transaction; ``values`` are further columns."""
    row = IssuanceSessionRow(
        tenant=application.tenant,
        id=secrets.token_hex(16),
        type_id=holder.type_id,
        number=holder.number,
        n=holder.n,
        configurations=configurations,
        channel=holder.channel,
        tries_left=TRIES,
        created_at=application.now(),
        expires_at=until,
        **values,
    )
    session.add(row)
    session.flush()
    return row


def is_open(session: Session, application: Application, row: IssuanceSessionRow) -> bool:
    """Whether the session still gives something: not ended, and its pass holds and is the same revision."""
    if row.ended_at is not None:
        return False
    try:
        _, current = running(session, (application.tenant, row.type_id, row.number), application.now())
    except RegisterRefusal:
        return False
    return current.n == row.n


def new_tokens(session: Session, application: Application, row: IssuanceSessionRow) -> dict[str, Any]:
    """An access token for ``row``, and a refresh token if a key of the wallet binds it; those before end.

    Returns the members of the token response (RFC 6749, 5.1).
    """
    now, config = application.now(), application.config.eudi
    drop_tokens(session, application, row.id, ACCESS)
    answer: dict[str, Any] = {
        "access_token": _token(session, application, row, ACCESS, now + ACCESS_LIFETIME),
        "token_type": "DPoP" if row.dpop_jkt is not None else "Bearer",
        "expires_in": int(ACCESS_LIFETIME.total_seconds()),
    }
    until = now + ACCESS_LIFETIME
    if row.dpop_jkt is not None:
        # Whoever copies a refresh token that nothing binds could fetch credentials for half a year.
        until = now + timedelta(days=config.refresh_days)
        answer["refresh_token"] = _token(session, application, row, REFRESH, until)
    row.expires_at = until
    session.flush()
    return answer


def find_token(session: Session, application: Application, token: str, kind: str) -> EudiTokenRow | None:
    """The row of a token that can be used now."""
    row = session.get(EudiTokenRow, (application.tenant, _hash(application, token)), populate_existing=True)
    if row is None or row.kind != kind or row.used_at is not None or row.expires_at <= application.now():
        return None
    return row


def use_refresh_token(session: Session, application: Application, row: EudiTokenRow) -> bool:
    """Use a refresh token up, in a writing transaction; False if somebody else has."""
    now = application.now()
    used: CursorResult[Any] = session.connection().execute(
        update(EudiTokenRow)
        .where(
            EudiTokenRow.tenant == application.tenant,
            EudiTokenRow.token_hash == row.token_hash,
            EudiTokenRow.used_at.is_(None),
            EudiTokenRow.expires_at > now,
        )
        .values(used_at=now)
    )
    return used.rowcount == 1


def session_of(session: Session, application: Application, session_id: str) -> IssuanceSessionRow | None:
    """The session with this id, however old."""
    return session.get(IssuanceSessionRow, (application.tenant, session_id), populate_existing=True)


def end(session: Session, application: Application, row: IssuanceSessionRow) -> None:
    """End the session: no code and no token of it works any more. Its credentials stay as they are."""
    row.ended_at = application.now()
    drop_tokens(session, application, row.id)
    session.flush()


def drop_tokens(session: Session, application: Application, session_id: str, kind: str | None = None) -> None:
    """Forget the tokens of a session, in a writing transaction; of one kind if that is given."""
    query = delete(EudiTokenRow).where(
        EudiTokenRow.tenant == application.tenant, EudiTokenRow.session_id == session_id
    )
    if kind is not None:
        query = query.where(EudiTokenRow.kind == kind)
    session.execute(query)


def invalid_grant(reason: str) -> Refused:
    """The refusal of a code or token (RFC 6749, 5.2)."""
    return Refused("invalid_grant", reason)


def _token(
    session: Session, application: Application, row: IssuanceSessionRow, kind: str, until: datetime
) -> str:
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    session.add(
        EudiTokenRow(
            tenant=application.tenant,
            token_hash=_hash(application, token),
            kind=kind,
            session_id=row.id,
            generation=row.generation,
            expires_at=until,
            used_at=None,
        )
    )
    return token


def _hash(application: Application, token: str) -> str:
    return application.hash_secret(_TOKEN, token)
