"""Lists in pages by key: rows that come in or go meanwhile neither repeat nor hide others.

A cursor is opaque: the key of the last row seen, tied to the list and its filter by a keyed hash, so that nobody
can make one up.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Generic, TypeVar

import msgspec
from litestar.params import QueryParameter
from sqlalchemy import ColumnElement, Select, literal, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from issuer.application import Application
from issuer.models import UtcDateTime
from issuer.web.problems import ProblemRefusal, problem

LARGEST_PAGE: Final = 200
USUAL_PAGE: Final = 50
LONGEST_CURSOR: Final = 600

Limit = Annotated[
    int, QueryParameter(ge=1, le=LARGEST_PAGE, description=f"Rows on a page, at most {LARGEST_PAGE}")
]
Cursor = Annotated[
    str | None,
    QueryParameter(
        max_length=LONGEST_CURSOR, description="The `next` of the page before; absent for the first page"
    ),
]

_TAG_BYTES = 16
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Rows(Generic[Row]):
    """A page of rows and the cursor of the next one, None after the last."""

    items: Sequence[Row]
    next: str | None


def page_of(
    application: Application,
    session: Session,
    query: Select[Any],
    key: Sequence[InstrumentedAttribute[Any]],
    *,
    name: str,
    limit: int,
    cursor: str | None,
    descending: bool = False,
) -> Rows[Any]:
    """The rows of ``query`` after ``cursor``, in the order of ``key``, whose columns must be unique together.

    ``name`` says which list this is, with whatever filters it: a cursor of one list is refused in another. The
    query selects one entity or column; its own order is replaced. Raises the problem 400 CURSOR_INVALID.
    """
    if cursor is not None:
        after = tuple_(*_values(application, name, key, cursor))
        columns = tuple_(*key)
        query = query.where(columns < after if descending else columns > after)
    order = [one.desc() if descending else one.asc() for one in key]
    found = session.scalars(query.order_by(None).order_by(*order).limit(limit + 1)).all()
    rows = found[:limit]
    if len(found) <= limit:
        return Rows(rows, None)
    last = [getattr(rows[-1], one.key) for one in key]
    return Rows(rows, _sealed(application, name, last))


def _sealed(application: Application, name: str, values: list[Any]) -> str:
    data = msgspec.json.encode(values)
    return base64.urlsafe_b64encode(_tag(application, name, data) + data).decode().rstrip("=")


def _values(
    application: Application, name: str, key: Sequence[InstrumentedAttribute[Any]], cursor: str
) -> list[ColumnElement[Any]]:
    if len(cursor) > LONGEST_CURSOR:
        raise _invalid()
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _invalid() from None
    tag, data = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
    if not hmac.compare_digest(tag, _tag(application, name, data)):
        raise _invalid()
    values = msgspec.json.decode(data)
    return [
        literal(
            msgspec.convert(
                value, datetime if isinstance(column.type, UtcDateTime) else column.type.python_type
            ),
            column.type,
        )
        for value, column in zip(values, key, strict=True)
    ]


def _tag(application: Application, name: str, data: bytes) -> bytes:
    return hmac.digest(application.derived("cursor", name), data, "sha256")[:_TAG_BYTES]


def _invalid() -> ProblemRefusal:
    return problem(400, "CURSOR_INVALID")
