"""What a row of a library's register says of a member besides the card, as it is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from issuer.models_library import BlockReason
from passes.model import PassStatus

# The libraries' own words in the column block_reason.
_BLOCK_WORDS: Final[Mapping[str, BlockReason]] = {
    "card_lost": BlockReason.LOST,
    "lost": BlockReason.LOST,
    "fees": BlockReason.FEES,
    "returned": BlockReason.RETURNED,
}


@dataclass(frozen=True, slots=True)
class MemberFacts:
    """One member; ``birth_date`` only while it decides something, ``block_reason`` only of one that is blocked."""

    birth_date: date | None = None
    guardian_number: str | None = None
    consented: bool = False
    block_reason: BlockReason | None = None
    open_fees_cents: int | None = None

    def row(self, key: tuple[str, str, str], at: datetime, actor: str) -> dict[str, Any]:
        """The member as a row of the table, under the pass ``key`` (tenant, type id, number)."""
        return {
            "tenant": key[0],
            "type_id": key[1],
            "number": key[2],
            "birth_date": self.birth_date,
            "guardian_number": self.guardian_number,
            "consent_name": None,
            "consent_at": at if self.consented else None,
            "consent_by": actor if self.consented else None,
            "block_reason": self.block_reason.value if self.block_reason is not None else None,
            "blocked_at": at if self.block_reason is not None else None,
            "open_fees_cents": self.open_fees_cents,
            "checked_at": None,
        }


def block_reason_of(word: str, status: PassStatus) -> BlockReason | None:
    """Why a row is blocked: what no word of ours means is another reason."""
    if status is not PassStatus.SUSPENDED:
        return None
    return _BLOCK_WORDS.get(word.casefold(), BlockReason.OTHER)
