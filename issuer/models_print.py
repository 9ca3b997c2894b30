"""Print runs: what the office had printed for people without mail and wallet, and the files for the printer."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from issuer.models import Base, of_tenant


def _of_run() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["tenant", "run_id"], ["print_runs.tenant", "print_runs.id"], ondelete="CASCADE"
    )


class PrintRunRow(Base):
    """A run: ``kind`` is permits, ending or letters, ``selection`` what was asked for in its words.

    ``state`` is queued, running, done or failed. ``done`` counts the items that have been seen to, faulty ones too.
    """

    __tablename__ = "print_runs"
    __table_args__ = (
        of_tenant(),
        CheckConstraint("state IN ('queued', 'running', 'done', 'failed')", name="state"),
        Index(None, "tenant", "created_at"),
    )

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    kind: Mapped[str] = mapped_column(String(10))
    selection: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(10))
    actor: Mapped[str] = mapped_column(Text)
    total: Mapped[int]
    done: Mapped[int]
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    # Letters of it that were taken off the list of those waiting.
    posted_at: Mapped[datetime | None]


class PrintItemRow(Base):
    """A pass in a run, in the order of the sheets. ``n`` is the revision that was printed.

    ``state`` is waiting, made, faulty (with the ``code`` of what is wrong) or spoiled. ``letter_id`` names the
    waiting letter that it is, or is empty.
    """

    __tablename__ = "print_items"
    __table_args__ = (
        _of_run(),
        CheckConstraint("state IN ('waiting', 'made', 'faulty', 'spoiled')", name="state"),
        Index(None, "tenant", "type_id", "number"),
    )

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    run_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    type_id: Mapped[str] = mapped_column(String(40))
    number: Mapped[str] = mapped_column(String(40))
    n: Mapped[int]
    letter_id: Mapped[str] = mapped_column(String(32))
    state: Mapped[str] = mapped_column(String(10))
    code: Mapped[str] = mapped_column(String(40))


class PrintFileRow(Base):
    """A piece of a run's PDF, encrypted; part 0 is the whole once the run is done."""

    __tablename__ = "print_files"
    __table_args__ = (_of_run(),)

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    run_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    part: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    data: Mapped[bytes] = mapped_column(LargeBinary)
