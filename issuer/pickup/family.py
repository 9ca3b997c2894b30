"""The cards of a family: a guardian's own, and those of the children, as the guardian may fetch them now.

Who belongs to a family is asked anew with every request, and once more in the transaction that notes a fetch: a child
that has grown up, or has another guardian, is out of a visit that began before. Children have no phone as a rule, so
the guardian's holds their cards (`passes.apple_bundle`, `passes.google_link`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.delivery import mail
from issuer.errors import IssuerRefusal
from issuer.library.families import GONE, wards
from issuer.library.membership import is_of_age
from issuer.models import HolderRow, PassRow
from issuer.pickup.codes import create_letter_code
from issuer.pickup.links import Channel, PassKey, create_link
from issuer.pickup.standing import HeldPass, Standing, held_pass
from passes.model import PassStatus
from passes.periods import berlin_day


class LeftOut(StrEnum):
    """Why a card of the family cannot be fetched."""

    BLOCKED = "blocked"
    ENDED = "ended"
    REVOKED = "revoked"
    UNPAID = "unpaid"
    CONSENT = "consent"


_OF_STANDING: Final = {
    Standing.SUSPENDED: LeftOut.BLOCKED,
    Standing.ENDED: LeftOut.ENDED,
    Standing.REVOKED: LeftOut.REVOKED,
    Standing.SUPERSEDED: LeftOut.REVOKED,
    Standing.UNPAID: LeftOut.UNPAID,
}


@dataclass(frozen=True, slots=True)
class CardOfFamily:
    """A card, whether it is the guardian's own, and why it cannot be fetched, if so."""

    held: HeldPass
    is_own: bool
    left_out: LeftOut | None

    @property
    def number(self) -> str:
        """The member's number."""
        return self.held.content.number


@dataclass(frozen=True, slots=True)
class Family:
    """All cards of a family as they are now, the guardian's own first."""

    cards: tuple[CardOfFamily, ...]

    @property
    def offered(self) -> tuple[CardOfFamily, ...]:
        """The cards that can be fetched."""
        return tuple(one for one in self.cards if one.left_out is None)

    @property
    def left_out(self) -> tuple[CardOfFamily, ...]:
        """The cards that cannot, each with its reason."""
        return tuple(one for one in self.cards if one.left_out is not None)

    def find(self, number: str) -> CardOfFamily | None:
        """The card of the family with ``number``; None for a number of anybody else."""
        return next((one for one in self.cards if one.number == number), None)


def is_guardian(session: Session, application: Application, type_id: str, number: str) -> bool:
    """Whether the holder of the card can stand for a family: it has not been revoked, replaced or deleted."""
    row = session.get(PassRow, (application.tenant, type_id, number))
    return row is not None and PassStatus(row.status) not in GONE


def family_now(session: Session, application: Application, type_id: str, number: str) -> Family | None:
    """The family of the guardian with the card ``number``; None if the card stands for nobody any more."""
    own = held_pass(session, application, type_id, number)
    if own is None or not is_guardian(session, application, type_id, number):
        return None
    cards = [CardOfFamily(own, is_own=True, left_out=_left_out(own))]
    rules, today = own.pass_type.spec.membership, berlin_day(application.now())
    if rules is None:
        return Family(tuple(cards))
    for member in wards(session, application.tenant, type_id, number):
        held = held_pass(session, application, type_id, member.number)
        if held is None:
            continue
        category = str(held.content.attributes.get("category", ""))
        # Of age one decides alone who holds the card; where that is not known, nobody else gets it.
        if is_of_age(rules, category, member.birth_date, today) is False:
            cards.append(CardOfFamily(held, is_own=False, left_out=_left_out(held)))
    return Family(tuple(cards))


def given_names(session: Session, application: Application, family: Family) -> dict[str, str]:
    """The given names of those whose cards can be fetched, by the cards' numbers; institutions have none.

    A guardian cannot tell the children's cards apart by their numbers.
    """
    own = family.cards[0].held.pass_type.id
    rows = session.execute(
        select(PassRow.number, HolderRow.given_name)
        .join(HolderRow, (HolderRow.tenant == PassRow.tenant) & (HolderRow.ref == PassRow.holder_ref))
        .where(
            PassRow.tenant == application.tenant,
            PassRow.type_id == own,
            PassRow.number.in_([one.number for one in family.offered]),
        )
    )
    return {number: name for number, name in rows if name}


def has_children(session: Session, application: Application, type_id: str, number: str) -> bool:
    """Whether the holder of the card is guardian of anybody now."""
    if not wards(session, application.tenant, type_id, number):
        return False
    found = family_now(session, application, type_id, number)
    return found is not None and len(found.cards) > 1


def family_link(
    session: Session,
    application: Application,
    type_id: str,
    guardian_number: str,
    channel: str | Channel,
) -> str:
    """A one-time link to the family's cards, in the caller's writing transaction; the whole URL, which is a secret.

    As `issuer.pickup.links.create_link`; who made it is the caller's to note in the audit trail. Raises IssuerRefusal
    FAMILY_NONE if the number is nobody's who stands for a child.
    """
    _must_have_children(session, application, type_id, guardian_number)
    return create_link(session, application, type_id, guardian_number, channel, family=True)


def family_code(session: Session, application: Application, type_id: str, guardian_number: str) -> str:
    """A code to the family's cards, asked together with the last day of the guardian's own, as `family_link`.

    As `issuer.pickup.codes.create_letter_code`. Raises IssuerRefusal FAMILY_NONE.
    """
    _must_have_children(session, application, type_id, guardian_number)
    return create_letter_code(session, application, type_id, guardian_number, family=True)


def tell_family(session: Session, application: Application, type_id: str, guardian_number: str) -> str:
    """Send the guardian a family link by mail, or have a letter printed; says which: ``mail`` or ``letter``.

    In the caller's writing transaction. Raises IssuerRefusal FAMILY_NONE as `family_link`.
    """
    _must_have_children(session, application, type_id, guardian_number)
    return mail.tell_holder(session, application, mail.FAMILY, type_id, guardian_number, {})


def may_visit(session: Session, application: Application, key: PassKey) -> bool:
    """Whether a link or code for ``key`` still leads anywhere; one to a single pass always does."""
    return not key.family or is_guardian(session, application, key.type_id, key.number)


def _must_have_children(session: Session, application: Application, type_id: str, number: str) -> None:
    if not has_children(session, application, type_id, number):
        raise IssuerRefusal("FAMILY_NONE", number=number)


def _left_out(held: HeldPass) -> LeftOut | None:
    if held.is_offered:
        return None
    if held.consent_under and held.standing in (Standing.VALID, Standing.NOT_YET):
        return LeftOut.CONSENT
    return _OF_STANDING.get(held.standing, LeftOut.BLOCKED)
