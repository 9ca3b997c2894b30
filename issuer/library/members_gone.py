"""What else names a pass that is deleted: children that its holder answered for, and card numbers it had."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import tuple_, update
from sqlalchemy.orm import Session

from issuer.models_library import MemberRow, ReplacedCardRow


def let_go(session: Session, tenant: str, keys: Sequence[tuple[str, str]]) -> None:
    """Take the passes ``keys`` (type id, number) out of what stays; their numbers may come to mean somebody else.

    Card numbers that were replaced stay spent, as nobody's.
    """
    session.execute(
        update(MemberRow)
        .where(MemberRow.tenant == tenant, tuple_(MemberRow.type_id, MemberRow.guardian_number).in_(keys))
        .values(guardian_number=None)
    )
    session.execute(
        update(ReplacedCardRow)
        .where(
            ReplacedCardRow.tenant == tenant,
            tuple_(ReplacedCardRow.type_id, ReplacedCardRow.number).in_(keys),
        )
        .values(number=None)
    )
