"""Card numbers that were replaced after a backup: its restore spends them again.

The register of the backup may still have such a number on a card. Which number that card has now it cannot know, so
its seals are superseded and the number never answers valid; it is void until the library gives it its present number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from issuer.library.card_numbers import in_use, spent
from issuer.models import PassRow, RevisionRow
from issuer.models_library import ReplacedCardRow
from issuer.restored_log import LoggedCard
from passes.model import PassStatus
from passes.status_list import Status

_OVER: Final = (PassStatus.REVOKED, PassStatus.SUPERSEDED)


def spend_again(
    session: Session, tenant: str, cards: Sequence[LoggedCard]
) -> tuple[int, list[tuple[str, str]]]:
    """Spend ``cards`` in the restored register: how many it did not know, and the passes that need another number.

    The passes are those (type id, number) that still have one of them and are not over. A second time changes nothing
    more, and names the same passes.
    """
    count, waiting = 0, []
    for type_id in sorted({one.type_id for one in cards}):
        logged = {one.card: one for one in cards if one.type_id == type_id}
        owners = in_use(session, tenant, type_id, logged)
        known = spent(session, tenant, type_id, logged)
        rows = [
            {
                "tenant": tenant,
                "type_id": type_id,
                "card_key": card,
                "number": owners.get(card),
                "replaced_at": one.at,
            }
            for card, one in sorted(logged.items())
            if card not in known
        ]
        if rows:
            session.execute(insert(ReplacedCardRow), rows)
        count += len(rows)
        for number in sorted(owners.values()):
            _void(session, tenant, type_id, number)
            if session.get_one(PassRow, (tenant, type_id, number)).status not in _OVER:
                waiting.append((type_id, number))
    return count, waiting


def _void(session: Session, tenant: str, type_id: str, number: str) -> None:
    session.execute(
        update(RevisionRow)
        .where(
            RevisionRow.tenant == tenant,
            RevisionRow.type_id == type_id,
            RevisionRow.number == number,
            RevisionRow.status_value.in_((int(Status.VALID), int(Status.SUSPENDED))),
        )
        .values(status_value=int(Status.SUPERSEDED))
    )
