"""Imports of old registers in the console: one row a file, what was found in it, and what was made of it.

The file itself lies in the data folder for a day at most and in no backup. `ImportHolderRow` has what an import has
written over, for as long as it can be undone; it is in no backup either.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKeyConstraint, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from issuer.models import Base, of_tenant

# While one of these is on, no other import of the tenant works: whatever two browsers do at the same time.
AT_WORK = "state IN ('checking', 'importing', 'undoing')"


def _of_run() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["tenant", "run_id"], ["import_runs.tenant", "import_runs.id"], ondelete="CASCADE"
    )


class ImportRunRow(Base):
    """An import. ``state`` is one of `issuer.importing.runs.State`; ``work`` the mark of the task that works on it.

    ``total`` counts the rows of the file once all are checked; ``read_bytes`` of ``size`` says how far the check is.
    ``fresh``, ``same``, ``differing`` and ``refused`` are what the check came to; ``done`` rows of the file are
    entered, ``made`` of them as new passes. Undoing has ``removed``, ``revoked`` or ``kept`` them. ``audit_from`` is
    the newest entry of the audit trail before the first pass.
    """

    __tablename__ = "import_runs"
    __table_args__ = (
        of_tenant(),
        Index(None, "tenant", "uploaded_at"),
        Index(
            "uq_import_runs_at_work",
            "tenant",
            unique=True,
            sqlite_where=text(AT_WORK),
            postgresql_where=text(AT_WORK),
        ),
    )

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    id: Mapped[str] = mapped_column(String(22), primary_key=True)
    type_id: Mapped[str] = mapped_column(String(40))
    file_name: Mapped[str] = mapped_column(String(120))
    encoding: Mapped[str] = mapped_column(String(20))
    size: Mapped[int] = mapped_column(BigInteger)
    digest: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(12))
    work: Mapped[str] = mapped_column(String(16), default="", server_default="")
    uploaded_at: Mapped[datetime]
    uploaded_by: Mapped[str] = mapped_column(String(120))
    checked_at: Mapped[datetime | None]
    confirmed_at: Mapped[datetime | None]
    confirmed_by: Mapped[str | None] = mapped_column(String(120))
    ended_at: Mapped[datetime | None]
    undo_at: Mapped[datetime | None]
    undo_by: Mapped[str | None] = mapped_column(String(120))
    undone_at: Mapped[datetime | None]
    # Passes that somebody has touched since are revoked when the import is undone; else they stay.
    undo_revokes: Mapped[bool] = mapped_column(default=False, server_default="0")
    fees_checked: Mapped[bool] = mapped_column(default=True, server_default="1")
    read_bytes: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    total: Mapped[int] = mapped_column(default=0, server_default="0")
    fresh: Mapped[int] = mapped_column(default=0, server_default="0")
    same: Mapped[int] = mapped_column(default=0, server_default="0")
    differing: Mapped[int] = mapped_column(default=0, server_default="0")
    refused: Mapped[int] = mapped_column(default=0, server_default="0")
    done: Mapped[int] = mapped_column(default=0, server_default="0")
    made: Mapped[int] = mapped_column(default=0, server_default="0")
    removed: Mapped[int] = mapped_column(default=0, server_default="0")
    revoked: Mapped[int] = mapped_column(default=0, server_default="0")
    kept: Mapped[int] = mapped_column(default=0, server_default="0")
    audit_from: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")


class ImportFindingRow(Base):
    """One fault or warning, in the order of ``n``; filled into a sentence when it is read."""

    __tablename__ = "import_findings"
    __table_args__ = (_of_run(), Index(None, "tenant", "run_id", "code", "n"))

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    run_id: Mapped[str] = mapped_column(String(22), primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    row: Mapped[int | None]
    line: Mapped[int | None]
    field: Mapped[str | None] = mapped_column(String(200))
    severity: Mapped[str] = mapped_column(String(5))
    code: Mapped[str] = mapped_column(String(40))
    text: Mapped[str] = mapped_column(String(40))
    package: Mapped[str] = mapped_column(String(12))
    params: Mapped[dict[str, Any]]


class ImportPassRow(Base):
    """A pass that an import has made, from the row ``row`` of its file.

    ``outcome`` is what undoing came to: empty, removed, revoked or kept.
    """

    __tablename__ = "import_passes"
    __table_args__ = (
        _of_run(),
        Index(None, "tenant", "type_id", "number"),
        Index(None, "tenant", "run_id", "outcome", "row"),
    )

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    run_id: Mapped[str] = mapped_column(String(22), primary_key=True)
    row: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    type_id: Mapped[str] = mapped_column(String(40))
    number: Mapped[str] = mapped_column(String(40))
    outcome: Mapped[str] = mapped_column(String(8), default="", server_default="")


class ImportHolderRow(Base):
    """What the register said of a holder before an import said otherwise; ``at`` is when that last happened."""

    __tablename__ = "import_holders"
    __table_args__ = (_of_run(),)

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    run_id: Mapped[str] = mapped_column(String(22), primary_key=True)
    ref: Mapped[str] = mapped_column(String(120), primary_key=True)
    before: Mapped[dict[str, Any]]
    at: Mapped[datetime]
