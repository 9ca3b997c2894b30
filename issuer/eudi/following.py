"""What a change of a pass does to its EUDI credentials, in the same transaction as the change.

Whatever a pass says anew, its credentials say no longer: they become invalid for good, and the wallet fetches new
ones with the refresh token that its key binds, or by a new offer (ARF 3.0, VCR_04, VCR_09, ISSU_65). Where the right
ends, is on hold or goes to another phone, codes and tokens end with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, delete, or_, select, tuple_, union, update
from sqlalchemy.orm import Session

from issuer.eudi import status_lists
from issuer.models import RevisionRow
from issuer.models_eudi import (
    AuthorizationRequestRow,
    EudiBatchRow,
    EudiCredentialRow,
    EudiTokenRow,
    EudiTransactionCodeRow,
    IssuanceSessionRow,
)
from issuer.status_allocation import chunks

REFRESH: Final = "refresh"
_CHUNK: Final = 500


def invalidate(session: Session, tenant: str, type_id: str, number: str, at: datetime) -> int:
    """Make every credential of the pass invalid for good and end its offers, codes and tokens.

    In a writing transaction; ``at`` is aware. Returns how many credentials that were.
    """
    end_sessions(session, tenant, type_id, number, at)
    return _mark_invalid(session, tenant, type_id, number, at)


def change(session: Session, tenant: str, type_id: str, number: str, at: datetime, *, says_else: bool) -> int:
    """The pass has a new revision, or its holder another name: wallets fetch new credentials by refresh token.

    In a writing transaction, after the revision was stored; ``at`` is aware. Offers, codes, access tokens and what
    waits to be signed end. With ``says_else`` the credentials until now become invalid for good; without it they say
    what is so until their own end. Returns how many became invalid.
    """
    kept = _refreshable(session, tenant, type_id, number, at)
    end_sessions(session, tenant, type_id, number, at, but=kept)
    if kept:
        session.execute(
            delete(EudiTokenRow).where(
                EudiTokenRow.tenant == tenant,
                EudiTokenRow.session_id.in_(kept),
                EudiTokenRow.kind != REFRESH,
            )
        )
        session.execute(
            delete(EudiBatchRow).where(
                EudiBatchRow.tenant == tenant,
                EudiBatchRow.session_id.in_(kept),
                EudiBatchRow.issued_at.is_(None),
            )
        )
        current = session.scalar(
            select(RevisionRow.n).where(
                RevisionRow.tenant == tenant,
                RevisionRow.type_id == type_id,
                RevisionRow.number == number,
                RevisionRow.superseded_at.is_(None),
            )
        )
        session.execute(
            update(IssuanceSessionRow)
            .where(IssuanceSessionRow.tenant == tenant, IssuanceSessionRow.id.in_(kept))
            .values(n=current)
        )
    return _mark_invalid(session, tenant, type_id, number, at) if says_else else 0


def held(session: Session, tenant: str, passes: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those of ``passes`` (type id, number) that have an open session, or a credential that is not invalid."""
    found: set[tuple[str, str]] = set()
    for chunk in chunks(passes, _CHUNK):
        sessions = select(IssuanceSessionRow.type_id, IssuanceSessionRow.number).where(
            IssuanceSessionRow.tenant == tenant,
            IssuanceSessionRow.ended_at.is_(None),
            tuple_(IssuanceSessionRow.type_id, IssuanceSessionRow.number).in_(chunk),
        )
        credentials = select(EudiCredentialRow.type_id, EudiCredentialRow.number).where(
            EudiCredentialRow.tenant == tenant,
            tuple_(EudiCredentialRow.type_id, EudiCredentialRow.number).in_(chunk),
            or_(
                EudiCredentialRow.status_value != status_lists.INVALID,
                EudiCredentialRow.superseded_at.is_(None),
            ),
        )
        found |= {(type_id, number) for type_id, number in session.execute(union(sessions, credentials))}
    return found


def suspend(session: Session, tenant: str, type_id: str, number: str, at: datetime) -> int:
    """Put the credentials of the pass on hold and end its offers, codes and tokens. Returns how many."""
    end_sessions(session, tenant, type_id, number, at)
    return status_lists.mark(
        session, tenant, _of_pass(type_id, number), status_lists.SUSPENDED, only=(status_lists.VALID,)
    )


def resume(session: Session, tenant: str, type_id: str, number: str) -> int:
    """Let the credentials that were on hold count again; what is invalid stays so. Returns how many."""
    return status_lists.mark(
        session, tenant, _of_pass(type_id, number), status_lists.VALID, only=(status_lists.SUSPENDED,)
    )


def end_sessions(
    session: Session, tenant: str, type_id: str, number: str, at: datetime, *, but: Sequence[str] = ()
) -> None:
    """End every session of a pass ``but`` those, and every request that a holder has answered with it."""
    of_pass = (
        IssuanceSessionRow.tenant == tenant,
        IssuanceSessionRow.type_id == type_id,
        IssuanceSessionRow.number == number,
        IssuanceSessionRow.ended_at.is_(None),
        IssuanceSessionRow.id.not_in(but),
    )
    ids = session.scalars(select(IssuanceSessionRow.id).where(*of_pass)).all()
    if not ids:
        return
    for table in (EudiTokenRow, AuthorizationRequestRow):
        session.execute(delete(table).where(table.tenant == tenant, table.session_id.in_(ids)))
    session.execute(update(IssuanceSessionRow).where(*of_pass).values(ended_at=at))


def forget(session: Session, tenant: str, passes: Sequence[tuple[str, str]], at: datetime) -> None:
    """Before ``passes`` (type id, number) are deleted: nothing here names them any more, their places stay taken."""
    for type_id, number in passes:
        invalidate(session, tenant, type_id, number, at)
    for chunk in chunks(passes, _CHUNK):
        session.execute(
            update(EudiCredentialRow)
            .where(
                EudiCredentialRow.tenant == tenant,
                tuple_(EudiCredentialRow.type_id, EudiCredentialRow.number).in_(chunk),
            )
            .values(number="")
        )
        for table in (IssuanceSessionRow, EudiTransactionCodeRow):
            session.execute(
                delete(table).where(table.tenant == tenant, tuple_(table.type_id, table.number).in_(chunk))
            )


def _refreshable(session: Session, tenant: str, type_id: str, number: str, at: datetime) -> Sequence[str]:
    """The sessions of a pass whose wallet holds a refresh token that can still be used."""
    return session.scalars(
        select(EudiTokenRow.session_id)
        .join(
            IssuanceSessionRow,
            (IssuanceSessionRow.tenant == EudiTokenRow.tenant)
            & (IssuanceSessionRow.id == EudiTokenRow.session_id),
        )
        .where(
            EudiTokenRow.tenant == tenant,
            EudiTokenRow.kind == REFRESH,
            EudiTokenRow.used_at.is_(None),
            EudiTokenRow.expires_at > at,
            IssuanceSessionRow.type_id == type_id,
            IssuanceSessionRow.number == number,
            IssuanceSessionRow.ended_at.is_(None),
        )
        .distinct()
    ).all()


def _mark_invalid(session: Session, tenant: str, type_id: str, number: str, at: datetime) -> int:
    of_pass = _of_pass(type_id, number)
    count = status_lists.mark(
        session,
        tenant,
        of_pass,
        status_lists.INVALID,
        only=(status_lists.VALID, status_lists.SUSPENDED),
    )
    session.execute(
        update(EudiCredentialRow)
        .where(EudiCredentialRow.tenant == tenant, *of_pass, EudiCredentialRow.superseded_at.is_(None))
        .values(superseded_at=at)
    )
    return count


def _of_pass(type_id: str, number: str) -> tuple[ColumnElement[bool], ...]:
    return (EudiCredentialRow.type_id == type_id, EudiCredentialRow.number == number)
