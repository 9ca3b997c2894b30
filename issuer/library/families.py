"""Families of a library: who answers for which child, and the cards of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer import attributes as stored_attributes
from issuer.errors import IssuerRefusal
from issuer.holders import holder_of
from issuer.importing.record import digest
from issuer.library.member_rows import member_of, note_record, note_step, was_cleared
from issuer.library.membership import is_of_age, is_surely_adult, rules_of
from issuer.lifecycle import Actor
from issuer.models import HolderRow, PassRow, RevisionRow
from issuer.models_library import BlockReason, MemberRow
from issuer.settings import record_key
from passes.card_numbers import CardNumber
from passes.model import PassStatus
from passes.pass_types import PassType
from passes.periods import Period, berlin_day
from passes.type_file import MembershipSpec

# A guardian's own card may be blocked or have ended; taken back or replaced, it stands for nobody.
GONE: Final = (PassStatus.REVOKED, PassStatus.SUPERSEDED)


@dataclass(frozen=True, slots=True)
class FamilyCard:
    """A card of a family, as the desk needs it."""

    type_id: str
    number: str
    is_guardian: bool
    name: str
    category: str
    card: CardNumber | None
    period: Period
    status: PassStatus
    block_reason: BlockReason | None


def wards(session: Session, tenant: str, type_id: str, number: str) -> Sequence[MemberRow]:
    """Whoever has the member ``number`` as guardian, of any age, in the order of their numbers."""
    return session.scalars(
        select(MemberRow)
        .where(
            MemberRow.tenant == tenant,
            MemberRow.type_id == type_id,
            MemberRow.guardian_number == number,
            MemberRow.number != number,
        )
        .order_by(MemberRow.number)
    ).all()


def _children(
    session: Session, tenant: str, pass_type: PassType, number: str, day: date
) -> tuple[FamilyCard, ...]:
    rules = rules_of(pass_type)
    found = wards(session, tenant, pass_type.id, number)
    cards = ((one, _card(session, pass_type, tenant, one.number)) for one in found)
    return tuple(
        card
        for one, card in cards
        if card is not None and is_of_age(rules, card.category, one.birth_date, day) is not True
    )


def family_of(
    session: Session, tenant: str, pass_type: PassType, number: str, day: date
) -> tuple[FamilyCard, ...]:
    """The cards of a family: the guardian's first, then the children's; for a member without family, their own.

    For the library's staff. What a holder may fetch is `issuer.pickup.family`: a child's card leads to no other.
    """
    member = session.get(MemberRow, (tenant, pass_type.id, number))
    head = number
    if member is not None and member.guardian_number:
        children = _children(session, tenant, pass_type, member.guardian_number, day)
        if any(one.number == number for one in children):
            head = member.guardian_number
    first = _card(session, pass_type, tenant, head)
    children = _children(session, tenant, pass_type, head, day)
    return (*(() if first is None else (replace(first, is_guardian=bool(children)),)), *children)


def set_guardian(
    session: Session,
    tenant: str,
    pass_type: PassType,
    number: str,
    guardian_number: str | None,
    *,
    actor: Actor,
) -> None:
    """Say who answers for a child, or with None that nobody does any more.

    Raises IssuerRefusal NUMBER_UNKNOWN, MEMBER_OF_AGE, GUARDIAN_UNKNOWN, GUARDIAN_NOT_ADULT, GUARDIAN_AGE_UNKNOWN,
    GUARDIAN_ENDED.
    """
    rules, today = rules_of(pass_type), berlin_day(actor.at)
    member = member_of(session, tenant, pass_type.id, number)
    if guardian_number:
        refuse_adult(session, (tenant, pass_type.id, number), rules, today)
        check_guardian(session, (tenant, pass_type.id, guardian_number), rules, number, today)
    member.guardian_number = guardian_number or None
    key = record_key(session, tenant)
    known = digest(key, "guardian_member_id", guardian_number) if guardian_number else None
    note_record(session, member, {"guardian_member_id": known})
    note_step(session, member, "guardian", {"guardian": guardian_number or None}, actor)


def check_guardian(
    session: Session, key: tuple[str, str, str], rules: MembershipSpec, of: str, day: date
) -> None:
    """See that the pass ``key`` is of somebody who can answer for the child ``of`` on ``day``.

    Raises IssuerRefusal GUARDIAN_UNKNOWN, GUARDIAN_ENDED, GUARDIAN_AGE_UNKNOWN, GUARDIAN_NOT_ADULT.
    """
    number = key[2]
    row = session.get(PassRow, key)
    if row is None or number == of:
        raise IssuerRefusal("GUARDIAN_UNKNOWN", guardian=number)
    if row.status in GONE:
        raise IssuerRefusal("GUARDIAN_ENDED", guardian=number)
    category, born, cleared = _age_facts(session, key)
    of_age = cleared or is_of_age(rules, category, born, day)
    if of_age is None:
        raise IssuerRefusal("GUARDIAN_AGE_UNKNOWN", guardian=number)
    if not of_age:
        raise IssuerRefusal("GUARDIAN_NOT_ADULT", guardian=number)


def refuse_adult(session: Session, key: tuple[str, str, str], rules: MembershipSpec, day: date) -> None:
    """See that the member with the pass ``key`` can have consent and guardian: raises IssuerRefusal MEMBER_OF_AGE."""
    category, born, cleared = _age_facts(session, key)
    if cleared or is_surely_adult(rules, category, born, day):
        raise IssuerRefusal("MEMBER_OF_AGE", number=key[2])


def _age_facts(session: Session, key: tuple[str, str, str]) -> tuple[str, date | None, bool]:
    """Category and birth date of a member, and whether there was one that decides nothing any more."""
    tenant, type_id, number = key
    row, member = session.get(PassRow, key), session.get(MemberRow, key)
    attributes = session.scalar(
        select(RevisionRow.attributes).where(
            RevisionRow.tenant == tenant,
            RevisionRow.type_id == type_id,
            RevisionRow.number == number,
            RevisionRow.superseded_at.is_(None),
        )
    )
    born = member.birth_date if member is not None else None
    return (attributes or {}).get("category") or "", born, row is not None and was_cleared(row, member)


def _card(session: Session, pass_type: PassType, tenant: str, number: str) -> FamilyCard | None:
    found = session.execute(
        select(PassRow, RevisionRow, HolderRow, MemberRow)
        .join(
            RevisionRow,
            (RevisionRow.tenant == PassRow.tenant)
            & (RevisionRow.type_id == PassRow.type_id)
            & (RevisionRow.number == PassRow.number),
        )
        .join(HolderRow, (HolderRow.tenant == PassRow.tenant) & (HolderRow.ref == PassRow.holder_ref))
        .outerjoin(
            MemberRow,
            (MemberRow.tenant == PassRow.tenant)
            & (MemberRow.type_id == PassRow.type_id)
            & (MemberRow.number == PassRow.number),
        )
        .where(
            PassRow.tenant == tenant,
            PassRow.type_id == pass_type.id,
            PassRow.number == number,
            RevisionRow.superseded_at.is_(None),
        )
    ).first()
    if found is None:
        return None
    row, revision, holder, member = found
    attributes = stored_attributes.decode(pass_type, revision.attributes)
    card = attributes.get("card_number")
    why = member.block_reason if member is not None else None
    return FamilyCard(
        type_id=pass_type.id,
        number=number,
        is_guardian=False,
        name=holder_of(holder).name,
        category=str(attributes.get("category") or ""),
        card=card if isinstance(card, CardNumber) else None,
        period=Period(row.period_first, row.period_last),
        status=PassStatus(row.status),
        block_reason=BlockReason(why) if why else None,
    )
