"""Passes whose money was called back: nothing lets them hold again but settling the case that they came from."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer.cases.states import CaseState
from issuer.errors import RegisterRefusal
from issuer.models_cases import CaseRow


def check_no_debt(session: Session, tenant: str, type_id: str, number: str) -> None:
    """Raises RegisterRefusal PASS_IN_DEBT while a case of the pass is charged back."""
    case = session.scalar(
        select(CaseRow.number)
        .where(
            CaseRow.tenant == tenant,
            CaseRow.type_id == type_id,
            CaseRow.pass_number == number,
            CaseRow.state == CaseState.CHARGED_BACK.value,
        )
        .limit(1)
    )
    if case is not None:
        raise RegisterRefusal("PASS_IN_DEBT", number=number, case=case)
