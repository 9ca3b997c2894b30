"""The ways in to a pass and to its cases: links, letter codes, visits; all shut when the pass is issued anew.

Whoever found a lost phone may hold any of them: with the right issued anew, none may lead to the new pass.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from issuer.models_access import LetterCodeRow, PickupLinkRow, VisitRow
from issuer.models_cases import CaseLinkRow, CaseRow, CaseVisitRow


def close_doors(
    session: Session, tenant: str, type_id: str, number: str, at: datetime, *, keep_visit: str = ""
) -> None:
    """Use up every open link to the pass, forget its letter codes, and end its visits, in a writing transaction.

    ``at`` (aware) is when; ``keep_visit`` is the stored hash of the one visit that goes on.
    """
    session.execute(
        update(PickupLinkRow)
        .where(
            PickupLinkRow.tenant == tenant,
            PickupLinkRow.type_id == type_id,
            PickupLinkRow.number == number,
            PickupLinkRow.used_at.is_(None),
        )
        .values(used_at=at)
    )
    close_codes(session, tenant, type_id, number)
    session.execute(
        delete(VisitRow).where(
            VisitRow.tenant == tenant,
            VisitRow.type_id == type_id,
            VisitRow.number == number,
            VisitRow.visit_hash != keep_visit,
        )
    )
    # From the page of a case one goes on to the pass that it came to.
    cases = select(CaseRow.id).where(
        CaseRow.tenant == tenant, CaseRow.type_id == type_id, CaseRow.pass_number == number
    )
    for table in (CaseLinkRow, CaseVisitRow):
        session.execute(delete(table).where(table.tenant == tenant, table.case_id.in_(cases)))


def close_codes(
    session: Session, tenant: str, type_id: str, number: str, *, family: bool | None = None
) -> None:
    """Forget the letter codes of the pass, in a writing transaction: all, or only those (not) for its family."""
    codes = delete(LetterCodeRow).where(
        LetterCodeRow.tenant == tenant,
        LetterCodeRow.type_id == type_id,
        LetterCodeRow.number == number,
    )
    session.execute(codes if family is None else codes.where(LetterCodeRow.family.is_(family)))
