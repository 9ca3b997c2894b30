"""Charged-back cases whose pass has ended: nobody pays for it any more, and the case can end as well.

Without that, whoever asked, their evidence and their letters would be kept for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from issuer.cases.states import CaseState, CaseStep
from issuer.cases.store import Case, CaseActor, case_of, move, take
from issuer.errors import IssuerRefusal
from issuer.models import PassRow
from issuer.models_cases import CaseRow
from issuer.reinstatement import LONGEST
from passes.model import PassStatus
from passes.periods import berlin_day

_OVER: Final = (PassStatus.REVOKED.value, PassStatus.SUPERSEDED.value, PassStatus.EXPIRED.value)
_HOLDS_AGAIN: Final = (PassStatus.ACTIVE.value, PassStatus.SUSPENDED.value)


def is_payable(session: Session, case: Case, tenant: str) -> bool:
    """Whether money still brings something about: the pass holds, or will again."""
    found = _pass(session, case, tenant)
    return found is not None and found.status in _HOLDS_AGAIN


def is_over(session: Session, case: Case, tenant: str, day: date) -> bool:
    """Whether the case is charged back and its pass was revoked, has ended before ``day``, or is deleted."""
    if case.state is not CaseState.CHARGED_BACK:
        return False
    found = _pass(session, case, tenant)
    return found is None or found.status in _OVER or found.period_last < day


def close(session: Session, tenant: str, case_id: str, actor: CaseActor) -> Case:
    """End a charged-back case whose pass has ended, in a writing transaction.

    Raises IssuerRefusal CASE_UNKNOWN, CASE_MOVED, CASE_STEP; CASE_PASS_RUNS while the pass has not ended.
    """
    row = take(session, tenant, case_id, actor.version)
    if row.state == CaseState.CHARGED_BACK and not is_over(
        session, case_of(row), tenant, berlin_day(actor.at)
    ):
        raise IssuerRefusal("CASE_PASS_RUNS", number=row.pass_number or "")
    move(session, row, CaseStep.CLOSE, actor)
    return case_of(row)


def left_over(session: Session, tenant: str, at: datetime, limit: int) -> Sequence[str]:
    """The ids of up to ``limit`` cases that the night closes at ``at``."""
    return session.scalars(
        select(CaseRow.id)
        .outerjoin(PassRow, _OF_CASE)
        .where(*_left_over(tenant, at))
        .order_by(CaseRow.deadline, CaseRow.id)
        .limit(limit)
    ).all()


def count_left_over(session: Session, tenant: str, at: datetime) -> int:
    """How many cases the night would close at ``at``."""
    query = select(func.count(CaseRow.id)).outerjoin(PassRow, _OF_CASE).where(*_left_over(tenant, at))
    return session.scalar(query) or 0


_OF_CASE: Final = and_(
    PassRow.tenant == CaseRow.tenant,
    PassRow.type_id == CaseRow.type_id,
    PassRow.number == CaseRow.pass_number,
)


def _left_over(tenant: str, at: datetime) -> tuple[ColumnElement[bool], ...]:
    """What the office has let its deadline pass with; a revocation may still be taken back for a while."""
    day = berlin_day(at)
    return (
        CaseRow.tenant == tenant,
        CaseRow.state == CaseState.CHARGED_BACK.value,
        CaseRow.deadline < day,
        or_(
            PassRow.number.is_(None),
            PassRow.period_last < day,
            PassRow.status.in_([one for one in _OVER if one != PassStatus.REVOKED.value]),
            and_(PassRow.status == PassStatus.REVOKED.value, PassRow.updated_at < at - LONGEST),
        ),
    )


def _pass(session: Session, case: Case, tenant: str) -> PassRow | None:
    return session.get(PassRow, (tenant, case.type_id, case.pass_number or ""), populate_existing=True)
