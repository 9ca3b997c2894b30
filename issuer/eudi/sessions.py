"""Issuance sessions: the right of one wallet to credentials of one revision of a pass, and its tokens.

Refresh tokens rotate, and one that comes again is noticed (RFC 9700, 4.14.2). An answer that got lost on the way
must not lose the session though: tokens stand in generations. As long as nothing of the newest one was used, the
wallet may ask for it again with a token of the one before, some seconds later. After that an older token is one that
somebody has copied together with the wallet's key, and the session ends.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import delete, select
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
# Nobody who waits for an answer asks again sooner.
RETRY_AFTER: Final = timedelta(seconds=2)

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
    if row is None or row.kind != kind or row.expires_at <= application.now():
        return None
    return row


def rotate(session: Session, application: Application, row: IssuanceSessionRow, token: EudiTokenRow) -> bool:
    """Go on to the next generation with a refresh token of ``row``, in a writing transaction.

    A token of the generation before goes on to the newest one again, unless something of that was used: then False.
    Raises Refused slow_down (RFC 8628, 3.5) for one that comes with another at the same moment: of these one counts.
    """
    now = application.now()
    if token.generation == row.generation:
        row.generation += 1
    elif token.generation != row.generation - 1 or row.generation_used >= row.generation:
        return False
    elif now < _last_refresh(session, application, row.id) + RETRY_AFTER:
        headers = {"Retry-After": str(int(RETRY_AFTER.total_seconds()))}
        raise Refused("slow_down", "REFRESH_SOON", headers=headers)
    row.generation_used = max(row.generation_used, token.generation)
    token.used_at = now
    return True


def note_use(row: IssuanceSessionRow, token: EudiTokenRow) -> None:
    """Note that an access token was used: the wallet has got the answer that it came in, and those before."""
    row.generation_used = max(row.generation_used, token.generation)


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


def _last_refresh(session: Session, application: Application, session_id: str) -> datetime:
    last = session.scalar(
        select(EudiTokenRow.used_at)
        .where(
            EudiTokenRow.tenant == application.tenant,
            EudiTokenRow.session_id == session_id,
            EudiTokenRow.used_at.is_not(None),
        )
        .order_by(EudiTokenRow.used_at.desc())
        .limit(1)
    )
    return last or datetime.min.replace(tzinfo=UTC)


def _hash(application: Application, token: str) -> str:
    return application.hash_secret(_TOKEN, token)
