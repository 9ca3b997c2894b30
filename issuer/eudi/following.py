"""What a change of a pass does to its EUDI credentials, in the same transaction as the change.

Whatever a pass says anew, its credentials say no longer: they become invalid for good, and the wallet gets new ones
by a new offer (ARF 3.0, VCR_04 and VCR_09). A suspension puts them on hold and takes their codes and tokens away.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, delete, select, tuple_, update
from sqlalchemy.orm import Session

from issuer.eudi import status_lists
from issuer.models_eudi import (
    AuthorizationRequestRow,
    EudiCredentialRow,
    EudiTokenRow,
    EudiTransactionCodeRow,
    IssuanceSessionRow,
)
from issuer.status_allocation import chunks

_CHUNK: Final = 500


def invalidate(session: Session, tenant: str, type_id: str, number: str, at: datetime) -> int:
    """Make every credential of the pass invalid for good and end its offers, codes and tokens.

    In a writing transaction; ``at`` is aware. Returns how many credentials that were.
    """
    end_sessions(session, tenant, type_id, number, at)
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


def end_sessions(session: Session, tenant: str, type_id: str, number: str, at: datetime) -> None:
    """End every session of a pass, and every request that a holder has answered with it."""
    of_pass = (
        IssuanceSessionRow.tenant == tenant,
        IssuanceSessionRow.type_id == type_id,
        IssuanceSessionRow.number == number,
        IssuanceSessionRow.ended_at.is_(None),
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


def _of_pass(type_id: str, number: str) -> tuple[ColumnElement[bool], ...]:
    return (EudiCredentialRow.type_id == type_id, EudiCredentialRow.number == number)
