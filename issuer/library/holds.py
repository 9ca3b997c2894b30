"""What the comparison with the library's system has noted of a card and not done yet."""

from __future__ import annotations

from sqlalchemy import delete
from sqlalchemy.orm import Session

from issuer.models_library_checks import LibraryHoldRow


def forget_noted(session: Session, tenant: str, type_id: str, number: str) -> None:
    """Let nothing come of what was noted of the card: somebody has done something with it since, and that counts."""
    session.execute(
        delete(LibraryHoldRow).where(
            LibraryHoldRow.tenant == tenant,
            LibraryHoldRow.type_id == type_id,
            LibraryHoldRow.number == number,
            LibraryHoldRow.held_at.is_(None),
        )
    )
