"""Which card numbers are taken: by a card that is in use, or for good by one that was replaced.

A card in use has its number in ``passes.card_key``, which is unique. A replaced number stands in ``replaced_cards``,
whose key is unique too. Between the two tables `check_unspent` decides, after the caller's own row is written and
the audit trail's head is locked: of two transactions that want one number, the second then sees the first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Final

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from issuer.errors import RegisterRefusal
from issuer.models import PassRow
from issuer.models_library import ReplacedCardRow
from issuer.status_allocation import chunks

# Shown in place of an owner that is gone.
NOBODY: Final = "–"
_CHUNK: Final = 500


def spent(session: Session, tenant: str, type_id: str, texts: Iterable[str]) -> dict[str, str]:
    """Those of ``texts`` that were replaced, each with the number of the pass that had it (`NOBODY` if deleted)."""
    found: dict[str, str] = {}
    for chunk in chunks(sorted(set(texts)), _CHUNK):
        rows = session.execute(
            select(ReplacedCardRow.card_key, ReplacedCardRow.number).where(
                ReplacedCardRow.tenant == tenant,
                ReplacedCardRow.type_id == type_id,
                ReplacedCardRow.card_key.in_(chunk),
            )
        )
        found.update({card: number or NOBODY for card, number in rows})
    return found


def in_use(session: Session, tenant: str, type_id: str, texts: Iterable[str]) -> dict[str, str]:
    """Those of ``texts`` that a card has, each with the number of its pass."""
    found: dict[str, str] = {}
    for chunk in chunks(sorted(set(texts)), _CHUNK):
        rows = session.execute(
            select(PassRow.card_key, PassRow.number).where(
                PassRow.tenant == tenant, PassRow.type_id == type_id, PassRow.card_key.in_(chunk)
            )
        )
        found.update({card: number for card, number in rows if card is not None})
    return found


def has_spent_number(session: Session, row: PassRow) -> bool:
    """Whether the number that this very card has was replaced: that is so only after a restore."""
    return row.card_key is not None and bool(spent(session, row.tenant, row.type_id, [row.card_key]))


def check_unspent(session: Session, tenant: str, type_id: str, texts: Collection[str]) -> None:
    """That none of the numbers given out in this transaction was replaced, by it or another.

    Raises RegisterRefusal CARD_SPENT; the caller rolls back.
    """
    for text, owner in sorted(spent(session, tenant, type_id, texts).items()):
        raise RegisterRefusal("CARD_SPENT", card=text, owner=owner)


def spend(session: Session, tenant: str, type_id: str, cards: dict[str, str], at: datetime) -> None:
    """Note card numbers as replaced, each with the pass that had it; one that was noted before stays as it is.

    Raises RegisterRefusal CARD_TAKEN for a number that a card has.
    """
    for _, owner in sorted(in_use(session, tenant, type_id, cards).items()):
        raise RegisterRefusal("CARD_TAKEN", owner=owner)
    noted = spent(session, tenant, type_id, cards)
    rows = [
        {"tenant": tenant, "type_id": type_id, "card_key": card, "number": number, "replaced_at": at}
        for card, number in sorted(cards.items())
        if card not in noted
    ]
    if rows:
        session.execute(insert(ReplacedCardRow), rows)


def take_card(session: Session, row: PassRow, text: str, at: datetime) -> None:
    """Give the pass another card number; the one that it had is spent for good.

    Both are unique keys of the database: a process that wants the same number waits for this one, and then fails.
    Raises RegisterRefusal CARD_TAKEN, CARD_SPENT, CARD_JUST_TAKEN.
    """
    owner = in_use(session, row.tenant, row.type_id, [text]).get(text)
    if owner is not None:
        raise RegisterRefusal("CARD_TAKEN", owner=owner)
    check_unspent(session, row.tenant, row.type_id, [text])
    old = row.card_key
    row.card_key = text
    try:
        session.flush()
    except IntegrityError as fault:
        raise RegisterRefusal("CARD_JUST_TAKEN", card=text) from fault
    if old is not None:
        spend(session, row.tenant, row.type_id, {old: row.number}, at)
