"""Numbers for passes that come without one: initials of the type, year and a running number, ``RPP-2026-000042``.

Initials are the first letters of the words of the type's id, the year is that of the day of issue in Berlin, and the
running number starts at 1 for each type and year of a tenant. Such a number is easy to read out and to guess; nothing
is opened by a number alone.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer.models import PassRow, SequenceRow
from issuer.models_library import MemberRow
from passes.periods import berlin_day

DIGITS: Final = 6


def next_number(session: Session, tenant: str, type_id: str, at: datetime) -> str:
    """A number that no pass of the type has, and that is nobody's guardian.

    It is taken for good when the caller's writing transaction commits.
    """
    year = berlin_day(at).year
    initials = "".join(word[0] for word in type_id.split("-") if word).upper()
    key = (tenant, f"number/{type_id}/{year}")
    row = session.get(SequenceRow, key, with_for_update=True, populate_existing=True)
    if row is None:
        row = SequenceRow(tenant=tenant, name=key[1], last_value=0)
        session.add(row)
    while True:
        row.last_value += 1
        number = f"{initials}-{year}-{row.last_value:0{DIGITS}d}"
        # A city's own system may have counted the same way before. A number that stands as somebody's guardian would
        # make a stranger the one who answers for the child.
        if session.get(PassRow, (tenant, type_id, number)) is None and not _is_guardian(
            session, tenant, type_id, number
        ):
            session.flush()
            return number


def _is_guardian(session: Session, tenant: str, type_id: str, number: str) -> bool:
    children = (
        select(MemberRow.number)
        .where(MemberRow.tenant == tenant, MemberRow.type_id == type_id, MemberRow.guardian_number == number)
        .limit(1)
    )
    return session.scalar(children) is not None
