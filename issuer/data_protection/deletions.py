"""Deletion runs: what the coming night would delete, and what each night has deleted.

The proof is the night's own report (`issuer.nightly.reports`): counts, written in the transaction that deleted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from issuer.nightly import retention
from issuer.nightly.reports import of_part

if TYPE_CHECKING:
    from issuer.application import Application


@dataclass(frozen=True, slots=True)
class Proof:
    """What one night deleted, by kind; ``finished_at`` (UTC) is None for one that has not come to its end."""

    day: date
    finished_at: datetime | None
    counts: dict[str, int]


def coming(session: Session, application: Application) -> list[retention.Due]:
    """What the night would delete if it came now: kinds with something to delete, with the oldest day."""
    return retention.due(application, session)


def proofs(session: Session, tenant: str, limit: int) -> Sequence[Proof]:
    """The newest runs, newest first."""
    rows = of_part(session, tenant, retention.NAME, limit)
    return [Proof(row.day, row.finished_at, dict(row.report)) for row in rows]
