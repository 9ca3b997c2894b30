"""The entries of the plate list: all of them, or those before with what has changed since.

Reading every permit of a large city takes seconds, and most changes concern one. The lines of a plate list do not
say whose they are, so the unit of change is the plate: the audit trail names the passes that have changed, their
revisions the plates that they have or had, and of each of these plates all lines are made anew. Whatever else the
trail tells leads to reading everything, and so does the age of the list.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer import search_terms
from issuer.models import AuditEntryRow, PassTermRow, RevisionRow
from issuer.register import plate_lines
from issuer.settings import Settings
from issuer.status_allocation import chunks
from passes.pass_types import PassType, PassTypes
from passes.plate_list import PlateList, changed_table, key_of, table_of

_MOST_PASSES: Final = 2000
_CHUNK: Final = 500
# Audit entries that tell of nothing that has a plate.
_HARMLESS: Final = ("device/", "client/", "webhook/", "print/")


@dataclass(frozen=True, slots=True)
class PlateTable:
    """The lines of a plate list and when (seconds) it expires: it holds every permit valid before that."""

    lines: bytes
    expires: int


def whole_table(session: Session, tenant: str, settings: Settings, at: datetime) -> PlateTable:
    """Every plate with a permit that is valid at any moment from ``at`` to the list's expiry."""
    expires = int(at.timestamp()) + int(settings.plate_list_expiry.total_seconds())
    return PlateTable(table_of(plate_lines(session, tenant, *_window(at, expires))), expires)


def table_since(
    session: Session, tenant: str, pass_types: PassTypes, before: PlateList, audit_sequence: int, at: datetime
) -> PlateTable | None:
    """What ``before``, which held every change up to ``audit_sequence``, has to say now; None: read everything.

    It expires when ``before`` does, since later permits were not looked for.
    """
    passes = _changed_passes(session, tenant, pass_types, audit_sequence)
    keys = None if passes is None else _plates_ever(session, tenant, passes)
    if keys is None:
        return None
    wanted = {one.encode() for one in keys}
    fresh = (
        line
        for line in _lines_of(session, tenant, keys, _window(at, before.frame.expires))
        if key_of(line) in wanted
    )
    lines = changed_table(before.table, wanted, fresh) if keys else before.table
    return PlateTable(lines, before.frame.expires)


def _window(at: datetime, expires: int) -> tuple[datetime, datetime]:
    # A permit that starts at the moment of expiry is none of this list's.
    return at, datetime.fromtimestamp(expires, at.tzinfo) - timedelta(microseconds=1)


def _changed_passes(
    session: Session, tenant: str, pass_types: PassTypes, audit_sequence: int
) -> dict[str, list[str]] | None:
    """The passes with audit entries after ``audit_sequence``, by type; None if there is more to it."""
    with_plates = {one.id: _has_plates(one) for one in pass_types}
    # Types without plates are left out at once: an import of library cards has many entries.
    quiet = [f"{name}/" for name, has in with_plates.items() if not has] + list(_HARMLESS)
    subjects = session.scalars(
        select(AuditEntryRow.subject)
        .where(
            AuditEntryRow.tenant == tenant,
            AuditEntryRow.sequence > audit_sequence,
            *(~AuditEntryRow.subject.startswith(one, autoescape=True) for one in quiet),
        )
        .distinct()
        .limit(_MOST_PASSES + 1)
    ).all()
    if len(subjects) > _MOST_PASSES:
        return None
    passes: dict[str, list[str]] = {}
    for subject in subjects:
        type_id, slash, number = subject.partition("/")
        if not slash or type_id not in with_plates:
            return None
        passes.setdefault(type_id, []).append(number)
    return passes


def _has_plates(pass_type: PassType) -> bool:
    return any(one.kind == "plates" for one in pass_type.spec.attributes)


def _plates_ever(session: Session, tenant: str, passes: Mapping[str, list[str]]) -> set[str] | None:
    """The compare keys of the plates that any revision of ``passes`` has; None if one of them is gone."""
    keys: set[str] = set()
    for type_id, numbers in passes.items():
        for chunk in chunks(numbers, _CHUNK):
            rows = session.execute(
                select(RevisionRow.number, RevisionRow.attributes).where(
                    RevisionRow.tenant == tenant,
                    RevisionRow.type_id == type_id,
                    RevisionRow.number.in_(chunk),
                )
            ).all()
            if len({number for number, _ in rows}) < len(chunk):
                return None
            keys.update(key for _, attributes in rows for key, _ in attributes.get("plates") or ())
    return keys


def _lines_of(
    session: Session, tenant: str, keys: Iterable[str], window: tuple[datetime, datetime]
) -> Iterator[bytes]:
    """The lines of all passes that have one of the plates ``keys``; also those of their other plates."""
    passes: dict[str, set[str]] = {}
    for chunk in chunks(sorted(keys), _CHUNK):
        rows = session.execute(
            select(PassTermRow.type_id, PassTermRow.number).where(
                PassTermRow.tenant == tenant,
                PassTermRow.kind == search_terms.PLATE,
                PassTermRow.value.in_(chunk),
            )
        )
        for type_id, number in rows:
            passes.setdefault(type_id, set()).add(number)
    for type_id, numbers in passes.items():
        for chunk in chunks(sorted(numbers), _CHUNK):
            yield from plate_lines(session, tenant, *window, only=(type_id, chunk))
