"""Sequence numbers of signed lists: they only grow, even if an older database is restored."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from issuer.models import SequenceRow


def next_sequence(session: Session, tenant: str, name: str, at: datetime) -> int:
    """The next number of the list ``name``: the stored one plus one, or ``at`` in milliseconds, if greater.

    The number is used up when the caller's writing transaction commits.
    """
    milliseconds = int(at.timestamp() * 1000)
    row = session.get(SequenceRow, (tenant, name), with_for_update=True, populate_existing=True)
    if row is None:
        session.add(SequenceRow(tenant=tenant, name=name, last_value=milliseconds))
        session.flush()
        return milliseconds
    row.last_value = max(row.last_value + 1, milliseconds)
    session.flush()
    return row.last_value
