"""What a library's desk is told of one plain card number: a verdict with its reason, and nothing about the person.

The register is asked first, for every way in which the number can be read; the library's schemes only decide on those
that nobody has. What the register knows to be not valid stays so; a number that was replaced never holds again.
Of everything else the library's own system has the last word, where one is connected: it knows of fees and of cards
that were never issued here. But it makes no card valid that was not paid, or whose seal has an unknown newer one.
It is given a second and a half, because somebody stands at the desk; a later answer is dropped. Nothing is stored or
logged, whatever the answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from enum import Enum
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.library.schemes import known_schemes
from issuer.library.sources import (
    Patron,
    PatronSource,
    PatronStanding,
    PatronUnknown,
    SourceMisbehaves,
    SourceUnavailable,
    ask,
)
from issuer.models import PassRow, RevisionRow
from issuer.models_library import BlockReason, MemberRow, ReplacedCardRow
from passes.model import PassStatus
from passes.periods import berlin_day
from passes.scanned_cards import ScannedCard
from passes.status_list import Status
from verifier.verdict import Colour

PATIENCE_SECONDS: Final = 1.5
# A system that stalls holds this many threads at most; who comes then is told that it does not answer.
_ASKING: Final = ThreadPoolExecutor(4, "library-system")
# Of several ways to read a number the library's system is asked about so many.
_MOST_ASKED: Final = 3


class CardReason(Enum):
    """Why a card number is answered as it is, with the usual colour; those of seals mean the same as there."""

    CARD_MISREAD = Colour.GREY, 1
    SUPERSEDED = Colour.RED, 2
    REVOKED = Colour.RED, 3
    SUSPENDED = Colour.RED, 4
    EXPIRED = Colour.RED, 5
    NOT_YET_VALID = Colour.RED, 6
    #: Grey where only the register was asked; red where the library's system does not know it either.
    CARD_UNKNOWN = Colour.GREY, 7
    ASK_LIBRARY = Colour.GREY, 8
    VALID = Colour.GREEN, 9

    @property
    def colour(self) -> Colour:
        """The colour that this reason usually has."""
        return self.value[0]


@dataclass(frozen=True, slots=True)
class CardAnswer:
    """The answer about one number. ``valid_from`` only for a card not valid yet; days are Berlin's, inclusive.

    ``cause`` says why a card is blocked where that may be read at a desk (``lost``, ``returned``), or why nothing can
    be said (``silent``: the library's system does not answer; ``several``: the number can be read as two cards).
    ``unknown`` counts the numbers tried that neither the register nor the library's system has. ASK_LIBRARY names no
    type and no category.
    """

    reason: CardReason
    card_number: str | None = None
    colour: Colour | None = None
    valid_from: date | None = None
    valid_until: date | None = None
    type_id: str | None = None
    category: str | None = None  # a choice of the type
    cause: str | None = None
    unknown: int = 0

    @property
    def verdict(self) -> Colour:
        """The colour."""
        return self.colour or self.reason.colour


_OF_STATUS: Final = {
    PassStatus.ACTIVE: CardReason.VALID,
    PassStatus.EXPIRED: CardReason.EXPIRED,
    PassStatus.SUSPENDED: CardReason.SUSPENDED,
    PassStatus.REVOKED: CardReason.REVOKED,
    PassStatus.SUPERSEDED: CardReason.SUPERSEDED,
}
_HARMLESS: Final = frozenset({BlockReason.LOST, BlockReason.RETURNED})
# That somebody owes fees is told to nobody but the library.
_OF_STANDING: Final = {
    PatronStanding.ACTIVE: CardReason.VALID,
    PatronStanding.INACTIVE: CardReason.SUSPENDED,
    PatronStanding.OWES_FEES: CardReason.SUSPENDED,
    PatronStanding.EXPIRED: CardReason.EXPIRED,
    PatronStanding.EXPIRED_OWES_FEES: CardReason.EXPIRED,
}
# Of an unpaid card, and of one whose seal no longer holds, the library's system may say that it does not hold either.
_LIBRARY_DECIDES: Final = frozenset({CardReason.VALID, CardReason.EXPIRED, CardReason.ASK_LIBRARY})


def look_up(
    application: Application, cards: Iterable[ScannedCard], source: PatronSource | None
) -> CardAnswer:
    """The answer about what was read once, in all the ways in which it can be read.

    ``source`` is the library's own system, None where none is connected.
    """
    day = berlin_day(application.now())
    delivered = list(cards)
    read = _numbers(delivered)
    with application.reading() as session:
        schemes = application.settings(session).library_card_schemes
        replaced = _replaced(session, application.tenant, read) if read else []
        known = _in_register(session, application.tenant, read, day) if read else []
    # A card of a restored register may still have a number that was replaced since: then that counts.
    gone = {(one.type_id, one.card_number) for one in replaced}
    known = [one for one in known if (one.type_id, one.card_number) not in gone] + replaced
    rules = known_schemes(application)
    # A check digit says nothing of a number that a card has.
    numbers = _numbers([one.of_schemes(schemes, rules) for one in delivered])
    if len({one.card_number for one in known}) > 1:
        known = [one for one in known if one.card_number in numbers] or known
    answer = _answer(known, numbers, source, day)
    if answer.reason is CardReason.ASK_LIBRARY:
        answer = replace(answer, type_id=None, category=None, valid_until=None)
    return replace(answer, unknown=_unknown(read, known, answer))


def _numbers(cards: Iterable[ScannedCard]) -> list[str]:
    return list(dict.fromkeys(one.text for card in cards for one in card.spellings))


def _answer(
    known: Sequence[CardAnswer], numbers: Sequence[str], source: PatronSource | None, day: date
) -> CardAnswer:
    if len({one.card_number for one in known}) > 1:
        return CardAnswer(CardReason.ASK_LIBRARY, known[0].card_number, cause="several")
    # The same number in two libraries of a city: the better card counts, as with plates.
    best = max(known, key=lambda one: one.reason.value[1], default=None)
    if best is not None and best.reason not in _LIBRARY_DECIDES:
        return best
    if best is None and not numbers:
        return CardAnswer(CardReason.CARD_MISREAD)
    if source is None:
        return best or CardAnswer(CardReason.CARD_UNKNOWN, numbers[0])
    return _by_source(source, best, numbers, day)


def _unknown(read: Sequence[str], known: Sequence[CardAnswer], answer: CardAnswer) -> int:
    """How many numbers were tried that nobody has; the same one in small letters or with blanks is no other."""
    had = {str(one.card_number) for one in known}
    if answer.reason not in (CardReason.CARD_UNKNOWN, CardReason.ASK_LIBRARY, CardReason.CARD_MISREAD):
        had.add(str(answer.card_number))
    tried, found = ({one.upper().replace(" ", "") for one in some} for some in (read, had))
    return len(tried - found)


def _in_register(session: Session, tenant: str, numbers: Sequence[str], day: date) -> list[CardAnswer]:
    same = (MemberRow.tenant == PassRow.tenant) & (MemberRow.type_id == PassRow.type_id)
    passes = (
        select(PassRow, RevisionRow.attributes, RevisionRow.status_value, MemberRow.block_reason)
        .outerjoin(MemberRow, same & (MemberRow.number == PassRow.number))
        .where(
            PassRow.tenant == tenant,
            PassRow.card_key.in_(numbers),
            RevisionRow.tenant == PassRow.tenant,
            RevisionRow.type_id == PassRow.type_id,
            RevisionRow.number == PassRow.number,
            RevisionRow.superseded_at.is_(None),
        )
    )
    return [
        _of_pass(row, attributes, Status(value), block, day)
        for row, attributes, value, block in session.execute(passes)
    ]


def _replaced(session: Session, tenant: str, numbers: Sequence[str]) -> list[CardAnswer]:
    replaced = select(ReplacedCardRow.card_key, ReplacedCardRow.type_id).where(
        ReplacedCardRow.tenant == tenant, ReplacedCardRow.card_key.in_(numbers)
    )
    return [
        CardAnswer(CardReason.SUPERSEDED, card, type_id=type_id)
        for card, type_id in session.execute(replaced)
    ]


def _of_pass(
    row: PassRow, attributes: Mapping[str, object], seal: Status, block: str | None, day: date
) -> CardAnswer:
    reason = _OF_STATUS.get(PassStatus(row.status), CardReason.ASK_LIBRARY)
    if reason is CardReason.VALID and row.period_first > day:
        reason = CardReason.NOT_YET_VALID
    elif reason is CardReason.VALID and row.period_last < day:
        reason = CardReason.EXPIRED
    if (
        reason in (CardReason.VALID, CardReason.NOT_YET_VALID, CardReason.EXPIRED)
        and seal is not Status.VALID
    ):
        # After a restore: there is a newer card, perhaps with another number, which the register does not know.
        reason = CardReason.ASK_LIBRARY
    category = attributes.get("category")
    return CardAnswer(
        reason,
        row.card_key,
        valid_from=row.period_first if reason is CardReason.NOT_YET_VALID else None,
        valid_until=row.period_last,
        type_id=row.type_id,
        category=category if isinstance(category, str) else None,
        cause=block if reason is CardReason.SUSPENDED and block in _HARMLESS else None,
    )


def _by_source(
    source: PatronSource, known: CardAnswer | None, numbers: Sequence[str], day: date
) -> CardAnswer:
    found = known or CardAnswer(CardReason.ASK_LIBRARY, numbers[0])
    try:
        patron = _patron(source, numbers if known is None else [str(known.card_number)])
    except PatronUnknown:
        return replace(found, reason=CardReason.CARD_UNKNOWN, colour=Colour.RED, valid_until=None)
    except (SourceUnavailable, SourceMisbehaves):
        # What the register says against a card needs no confirmation.
        if known is not None and known.reason is CardReason.EXPIRED:
            return known
        return replace(found, reason=CardReason.ASK_LIBRARY, valid_until=None, cause="silent")
    until = patron.expires or found.valid_until
    reason = _OF_STANDING[patron.standing]
    if reason is CardReason.VALID and known is not None and known.reason is CardReason.ASK_LIBRARY:
        return known
    if reason is CardReason.VALID and until is not None and until < day:
        reason = CardReason.EXPIRED
    return replace(found, reason=reason, card_number=patron.card_number, valid_until=until)


def _patron(source: PatronSource, numbers: Sequence[str]) -> Patron:
    """The first of ``numbers`` that the library's system knows. Raises as `PatronSource.patron` does, in time."""

    def asked() -> Patron:
        *others, last = numbers[:_MOST_ASKED]
        for one in others:
            with suppress(PatronUnknown):
                return _own(ask(source, one), one)
        return _own(ask(source, last), last)

    asking = _ASKING.submit(asked)
    try:
        return asking.result(PATIENCE_SECONDS)
    except TimeoutError:
        asking.cancel()
        raise SourceUnavailable("LIBRARY_TIMEOUT") from None


def _own(patron: Patron, number: str) -> Patron:
    if patron.card_number != number:
        raise SourceMisbehaves("LIBRARY_OTHER_PATRON")
    return patron
