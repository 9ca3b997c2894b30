"""What an import has found: stored beside it, and read back in pages as sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Select, delete, func, insert, select, tuple_
from sqlalchemy.orm import Session

from issuer.importing.findings import Finding, Severity
from issuer.importing.suggestions import suggestion
from issuer.models_imports import ImportFindingRow, ImportRunRow
from issuer.status_allocation import chunks
from keys.texts import texts

_AT_ONCE: Final = 500
_FIELD: Final = 200
_LONGEST_TEXT: Final = 400


@dataclass(frozen=True, slots=True)
class Problem:
    """A finding in words; ``suggestion`` is what to write or do instead, empty where nobody can know."""

    row: int | None
    line: int | None
    field: str
    severity: Severity
    code: str
    sentence: str
    suggestion: str


def add(session: Session, tenant: str, run_id: str, findings: Sequence[Finding]) -> None:
    """Store ``findings`` behind those that are there."""
    last = session.scalar(
        select(func.max(ImportFindingRow.n)).where(
            ImportFindingRow.tenant == tenant, ImportFindingRow.run_id == run_id
        )
    )
    rows = [
        {
            "tenant": tenant,
            "run_id": run_id,
            "n": n,
            "row": one.row,
            "line": one.line,
            "field": one.field[:_FIELD] if one.field else None,
            "severity": one.severity.value,
            "code": one.code,
            "text": one.text or one.code,
            "package": one.package,
            "params": {name: _plain(value) for name, value in one.params.items()},
        }
        for n, one in enumerate(findings, start=(last or 0) + 1)
    ]
    for chunk in chunks(rows, _AT_ONCE):
        session.execute(insert(ImportFindingRow), chunk)


def noted(
    session: Session, tenant: str, run_id: str, first_row: int, last_row: int
) -> set[tuple[int | None, str]]:
    """Which codes are stored for which of the rows from ``first_row`` to ``last_row``."""
    rows = session.execute(
        select(ImportFindingRow.row, ImportFindingRow.code).where(
            ImportFindingRow.tenant == tenant,
            ImportFindingRow.run_id == run_id,
            ImportFindingRow.row.between(first_row, last_row),
        )
    )
    return {(row, code) for row, code in rows}


def add_new_errors(
    session: Session, run: ImportRunRow, findings: Sequence[Finding], done: int, last_row: int
) -> None:
    """Note what is wrong now and was not when the file was checked: the register has gone on in between."""
    known = noted(session, run.tenant, run.id, done + 1, last_row)
    new = [
        one
        for one in findings
        if one.severity is Severity.ERROR
        and one.row is not None
        and done < one.row <= last_row
        and (one.row, one.code) not in known
    ]
    add(session, run.tenant, run.id, new)


def remove_some(session: Session, tenant: str, run_id: str) -> int:
    """Delete some findings of an import; says how many, 0 when none are left."""
    key = (ImportFindingRow.tenant, ImportFindingRow.run_id, ImportFindingRow.n)
    chosen = session.execute(
        select(*key)
        .where(ImportFindingRow.tenant == tenant, ImportFindingRow.run_id == run_id)
        .limit(_AT_ONCE * 4)
    ).all()
    for chunk in chunks([tuple(one) for one in chosen], _AT_ONCE):
        session.execute(delete(ImportFindingRow).where(tuple_(*key).in_(chunk)))
    return len(chosen)


def codes(session: Session, tenant: str, run_id: str) -> list[tuple[str, int]]:
    """The codes found, each with how often, the most frequent first."""
    count = func.count()
    rows = session.execute(
        select(ImportFindingRow.code, count)
        .where(ImportFindingRow.tenant == tenant, ImportFindingRow.run_id == run_id)
        .group_by(ImportFindingRow.code)
        .order_by(count.desc(), ImportFindingRow.code)
    )
    return [(code, found) for code, found in rows]


def problems(
    session: Session,
    tenant: str,
    run_id: str,
    language: str,
    *,
    code: str = "",
    skip: int = 0,
    most: int,
) -> list[Problem]:
    """Up to ``most`` findings after the first ``skip``; of one ``code`` if given."""
    query = _stored(tenant, run_id, code).offset(skip).limit(most)
    return [_in_words(one, language) for one in session.scalars(query)]


def all_problems(
    reading: Callable[[], AbstractContextManager[Session]],
    tenant: str,
    run_id: str,
    language: str,
    *,
    code: str = "",
) -> Iterator[Problem]:
    """As `problems`, all of them, read a few at a time: whoever takes them may be slow."""
    after = 0
    while True:
        with reading() as session:
            query = _stored(tenant, run_id, code).where(ImportFindingRow.n > after).limit(_AT_ONCE)
            found = session.scalars(query).all()
        if not found:
            return
        after = found[-1].n
        for one in found:
            yield _in_words(one, language)


def _stored(tenant: str, run_id: str, code: str) -> Select[ImportFindingRow]:
    query = select(ImportFindingRow).where(
        ImportFindingRow.tenant == tenant, ImportFindingRow.run_id == run_id
    )
    return (query.where(ImportFindingRow.code == code) if code else query).order_by(ImportFindingRow.n)


def _in_words(one: ImportFindingRow, language: str) -> Problem:
    places = {"row": one.row, "line": one.line, "field": one.field}
    known = {name: value for name, value in places.items() if value is not None}
    facts: dict[str, Any] = {**places, **one.params, **known}
    return Problem(
        one.row,
        one.line,
        one.field or "",
        Severity(one.severity),
        one.code,
        texts(one.package, language)(one.text, **facts),
        suggestion(one.text, facts, language),
    )


def _plain(value: object) -> object:
    """A param as JSON; a long text is what somebody has put into a cell and is told by its beginning."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return str(value)[:_LONGEST_TEXT]
