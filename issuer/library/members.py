"""A library's members: new cards at the desk, blocking, replacing numbers, and families.

Each step is one in the caller's writing transaction, with its audit entry; wallets hear of what changes a card.
Every step raises IssuerRefusal NOT_A_MEMBERSHIP for a pass type without members.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer import attributes as stored_attributes
from issuer import audit, lifecycle
from issuer.audit import AuditEvent, Facts
from issuer.errors import IssuerRefusal, RegisterRefusal
from issuer.holders import holder_of
from issuer.importing.check_file import check_rows
from issuer.importing.findings import Finding, Severity
from issuer.importing.record import digest
from issuer.importing.rows import RowFile, SourceRow
from issuer.library.fees import membership_fees
from issuer.library.holds import forget_noted
from issuer.library.membership import check_category, consent_needed, fee_due, is_of_age, rules_of
from issuer.lifecycle import Actor, Changes
from issuer.models import HolderRow, PassRow, RevisionRow
from issuer.models_library import BlockReason, MemberRow
from issuer.numbering import next_number
from issuer.register import SealFor, insert_passes, load_contents, subject
from issuer.settings import record_key
from keys.texts import texts
from passes.card_numbers import CardNumber
from passes.model import PassContent, PassStatus
from passes.names import FieldKind, normalise
from passes.pass_types import PassType
from passes.periods import Period, berlin_day
from passes.type_file import MembershipSpec

LONGEST_NAME: Final = 200
# A pass that has ended for good stands in for nobody.
_GONE: Final = (PassStatus.REVOKED, PassStatus.SUPERSEDED)
# The libraries' own words for it in the register's file.
COLUMN_WORDS: Final = {
    BlockReason.LOST: "card_lost",
    BlockReason.FEES: "fees",
    BlockReason.RETURNED: "returned",
    BlockReason.OTHER: "other",
}


@dataclass(frozen=True, slots=True)
class NewMember:
    """Somebody who is given a card at the desk.

    ``number`` is the library's own for the member; empty, the next free one. ``consent_name`` is the parent who
    consented. The birth date is stored only while it decides something.
    """

    family_name: str
    card: CardNumber
    category: str
    period: Period
    given_name: str = ""
    birth_date: date | None = None
    number: str = ""
    branch: str = ""
    email: str = ""
    language: str = "de"
    guardian_number: str = ""
    consent_name: str = ""


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


class MemberRefused(IssuerRefusal):
    """A new card that the register does not take: the first fault that an import would report."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.code, **finding.params)
        self.finding = finding

    def sentence(self, language: str = "de") -> str:
        """The fault as one sentence with its remedy."""
        return self.finding.sentence(language)


def enrol(
    session: Session,
    tenant: str,
    pass_type: PassType,
    new: NewMember,
    *,
    seal_for: SealFor,
    actor: Actor,
) -> PassContent:
    """Give a new member a card.

    Raises IssuerRefusal as `membership.check_category` does, CONSENT_MISSING, GUARDIAN_UNKNOWN, GUARDIAN_NOT_ADULT,
    GUARDIAN_AGE_UNKNOWN, MEMBERSHIP_FEE_MISSING; MemberRefused for what the register's checks find (DUPLICATE_CARD,
    DUPLICATE_ID, CARD_FORMAT, FIELD_TOO_LONG ...); RegisterRefusal CARD_JUST_TAKEN if somebody was quicker.
    """
    rules, today = rules_of(pass_type), berlin_day(actor.at)
    check_category(rules, new.category, new.birth_date, today)
    name = _parent(new.consent_name) if new.consent_name else ""
    if consent_needed(rules, new.category, new.birth_date, today) and not name:
        raise IssuerRefusal("CONSENT_MISSING", age=rules.consent_under)
    if new.guardian_number:
        _check_guardian(session, (tenant, pass_type.id, new.guardian_number), rules, new.number, today)
    number = new.number or next_number(session, tenant, pass_type.id, actor.at)
    fees = membership_fees(session, tenant, pass_type.id)
    fee = fee_due(rules, fees, new.category, new.birth_date, today) if fees else None
    row = _source_row(pass_type, new, number, consented=bool(name), fee=fee)
    checked = check_rows(session, tenant, pass_type, row, actor.at)
    fault = next((one for one in checked.findings if one.severity is Severity.ERROR), None)
    if fault is not None:
        raise MemberRefused(fault)
    if checked.unchanged:
        raise RegisterRefusal("NUMBER_TAKEN", number=number)
    insert_passes(session, tenant, checked.accepted, seal_for, at=actor.at, actor=actor.name, action="create")
    member = session.get(MemberRow, (tenant, pass_type.id, number))
    if member is not None and name:
        member.consent_name = name
        session.flush()
    (content,) = load_contents(session, tenant, pass_type, [number])
    return content


def block(
    session: Session,
    tenant: str,
    pass_type: PassType,
    number: str,
    why: BlockReason,
    *,
    actor: Actor,
    open_fees_cents: int | None = None,
) -> None:
    """Hold a card back; phones show that it does not hold, and never why.

    For a card that is held back already the new reason counts from now on: one that was lost stays so when what was
    owed for it is paid. ``open_fees_cents`` None leaves what is known of fees. Why stands in `MemberRow` while the
    block lasts and nowhere else: the trail says only that the library has done it. Raises RegisterRefusal as
    `lifecycle.suspend` does, PASS_SUSPENDED if the card is held back for this very reason.
    """
    rules_of(pass_type)
    said = replace(actor, reason=texts("issuer")("BLOCK_REASON"))
    forget_noted(session, tenant, pass_type.id, number)
    member = member_of(session, tenant, pass_type.id, number)
    row = session.get_one(
        PassRow, (tenant, pass_type.id, number), with_for_update=True, populate_existing=True
    )
    before = member.block_reason
    if row.status == PassStatus.SUSPENDED and before != why:
        event = AuditEvent(
            "suspend", subject(pass_type.id, number), None, {"status": row.status}, lifecycle.reason_of(said)
        )
        audit.append(session, tenant, [event], actor.at, actor.name)
    else:
        lifecycle.suspend(session, tenant, pass_type.id, number, actor=said)
    member.block_reason, member.blocked_at = why.value, actor.at
    _note_columns(session, member, COLUMN_WORDS[why], open_fees_cents)


def unblock(
    session: Session,
    tenant: str,
    pass_type: PassType,
    number: str,
    *,
    actor: Actor,
    open_fees_cents: int | None = None,
) -> None:
    """Let a card that was held back hold again; the trail says nothing of why.

    Raises RegisterRefusal as `lifecycle.resume` does.
    """
    rules_of(pass_type)
    said = replace(actor, reason=texts("issuer")("UNBLOCK_REASON"))
    lifecycle.resume(session, tenant, pass_type.id, number, actor=said)
    forget_noted(session, tenant, pass_type.id, number)
    member = member_of(session, tenant, pass_type.id, number)
    _note_columns(session, member, None, open_fees_cents)


def replace_card(
    session: Session,
    tenant: str,
    pass_type: PassType,
    number: str,
    new: CardNumber,
    *,
    seal_for: SealFor,
    actor: Actor,
) -> PassContent:
    """Another card number on the same pass; the old one never holds again and is never given out again.

    A card that is blocked because it was lost holds again with it; one that is for another reason stays blocked since
    it was. Raises RegisterRefusal as `lifecycle.change` does, NOTHING_CHANGES for the number of a card that was lost,
    CARD_TAKEN, CARD_SPENT, CARD_JUST_TAKEN.
    """
    rules_of(pass_type)
    member = member_of(session, tenant, pass_type.id, number)
    reason, since = member.block_reason, member.blocked_at
    if reason is not None:
        if session.get_one(PassRow, (tenant, pass_type.id, number)).card_key == new.text:
            raise RegisterRefusal("NOTHING_CHANGES", number=number)
        # Only what holds gets a new seal; nobody outside sees that it does within the transaction.
        unblock(session, tenant, pass_type, number, actor=actor)
    forget_noted(session, tenant, pass_type.id, number)
    changes = Changes(card_number=new)
    content = lifecycle.change(session, tenant, pass_type, number, changes, seal_for=seal_for, actor=actor)
    if reason is None or reason == BlockReason.LOST:
        return content
    block(session, tenant, pass_type, number, BlockReason(reason), actor=actor)
    member.blocked_at = since
    session.flush()
    return replace(content, status=PassStatus.SUSPENDED)


def children_of(
    session: Session, tenant: str, pass_type: PassType, number: str, day: date
) -> tuple[FamilyCard, ...]:
    """The cards that the member ``number`` answers for on ``day``: those of children under age, by number.

    A member whose own card was revoked or superseded answers for nobody.
    """
    row = session.get(PassRow, (tenant, pass_type.id, number))
    gone = row is None or row.status in _GONE
    return () if gone else _children(session, tenant, pass_type, number, day)


def _children(
    session: Session, tenant: str, pass_type: PassType, number: str, day: date
) -> tuple[FamilyCard, ...]:
    rules = rules_of(pass_type)
    found = session.scalars(
        select(MemberRow)
        .where(
            MemberRow.tenant == tenant,
            MemberRow.type_id == pass_type.id,
            MemberRow.guardian_number == number,
        )
        .order_by(MemberRow.number)
    ).all()
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

    For the library's staff. What a holder may be shown is `children_of`: a child's card leads to no other.
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


def give_consent(
    session: Session, tenant: str, pass_type: PassType, number: str, name: str, *, actor: Actor
) -> None:
    """Note that the parent ``name`` has consented. Raises IssuerRefusal CONSENT_NAME, NUMBER_UNKNOWN."""
    rules_of(pass_type)
    member = member_of(session, tenant, pass_type.id, number)
    member.consent_name, member.consent_at, member.consent_by = _parent(name), actor.at, actor.name
    _note_record(session, member, {"guardian_consent": True})
    _audit(session, member, "consent", {"consent": True}, actor)


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

    Raises IssuerRefusal NUMBER_UNKNOWN, GUARDIAN_UNKNOWN, GUARDIAN_NOT_ADULT, GUARDIAN_AGE_UNKNOWN,
    GUARDIAN_ENDED.
    """
    rules, today = rules_of(pass_type), berlin_day(actor.at)
    member = member_of(session, tenant, pass_type.id, number)
    if guardian_number:
        _check_guardian(session, (tenant, pass_type.id, guardian_number), rules, number, today)
    member.guardian_number = guardian_number or None
    key = record_key(session, tenant)
    known = digest(key, "guardian_member_id", guardian_number) if guardian_number else None
    _note_record(session, member, {"guardian_member_id": known})
    _audit(session, member, "guardian", {"guardian": guardian_number or None}, actor)


def member_of(session: Session, tenant: str, type_id: str, number: str) -> MemberRow:
    """What is known of a member, made empty where there is nothing yet. Raises RegisterRefusal NUMBER_UNKNOWN."""
    member = session.get(MemberRow, (tenant, type_id, number), with_for_update=True, populate_existing=True)
    if member is None:
        if session.get(PassRow, (tenant, type_id, number)) is None:
            raise RegisterRefusal("NUMBER_UNKNOWN", number=number)
        member = MemberRow(tenant=tenant, type_id=type_id, number=number)
        session.add(member)
        session.flush()
    return member


def _check_guardian(
    session: Session, key: tuple[str, str, str], rules: MembershipSpec, of: str, day: date
) -> None:
    """That the pass ``key`` is of somebody who can answer for the child ``of`` on ``day``."""
    tenant, type_id, number = key
    row = session.get(PassRow, key)
    if row is None or number == of:
        raise IssuerRefusal("GUARDIAN_UNKNOWN", guardian=number)
    if row.status in _GONE:
        raise IssuerRefusal("GUARDIAN_ENDED", guardian=number)
    category = session.scalar(
        select(RevisionRow.attributes).where(
            RevisionRow.tenant == tenant,
            RevisionRow.type_id == type_id,
            RevisionRow.number == number,
            RevisionRow.superseded_at.is_(None),
        )
    )
    member = session.get(MemberRow, key)
    born = member.birth_date if member is not None else None
    of_age = is_of_age(rules, (category or {}).get("category") or "", born, day)
    if of_age is None:
        raise IssuerRefusal("GUARDIAN_AGE_UNKNOWN", guardian=number)
    if not of_age:
        raise IssuerRefusal("GUARDIAN_NOT_ADULT", guardian=number)


def _parent(name: str) -> str:
    said = normalise(name, FieldKind.NAME)
    if not said or len(said) > LONGEST_NAME:
        raise IssuerRefusal("CONSENT_NAME", limit=LONGEST_NAME)
    return said


def _source_row(
    pass_type: PassType, new: NewMember, number: str, *, consented: bool, fee: int | None
) -> RowFile:
    """The member as a row of the register's file, so that the same checks look at it."""
    scheme = new.card.scheme or ""
    if scheme in pass_type.card_schemes and not pass_type.card_schemes[scheme].check(new.card.text):
        # Read off the card itself: what is printed counts, and its check digit is not that of the scheme.
        scheme = ""
    cells = {
        "member_id": number,
        "card_number": new.card.text,
        "card_scheme": scheme,
        "symbology": str(new.card.symbology or ""),
        "given_name": new.given_name,
        "family_name": new.family_name,
        "birth_date": new.birth_date.isoformat() if new.birth_date is not None else "",
        "category": new.category,
        "guardian_member_id": new.guardian_number,
        "guardian_consent": "yes" if consented else "",
        "branch": new.branch,
        "email": new.email,
        "language": new.language,
        "valid_from": new.period.first.isoformat(),
        "valid_to": new.period.last.isoformat(),
        "fee_cents": "" if fee is None else str(fee),
        "status": PassStatus.ACTIVE.value,
        "block_reason": "",
        "open_fees_cents": "0",
        "replaces_card_number": "",
    }
    columns = [spec.name for spec in pass_type.spec.register.columns if spec.name in cells]
    cells = {name: cells[name] for name in columns}
    return RowFile(pass_type.id, tuple(columns), {one: one for one in columns}, [SourceRow(1, 1, cells)], ())


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


def _note_columns(session: Session, member: MemberRow, word: str | None, open_fees_cents: int | None) -> None:
    """What a file of the register is compared with from now on."""
    key = record_key(session, member.tenant)
    known: dict[str, str | int | bool | None] = {
        "block_reason": None if word is None else digest(key, "block_reason", word)
    }
    if open_fees_cents is not None:
        member.open_fees_cents = open_fees_cents
        known["open_fees_cents"] = open_fees_cents
    _note_record(session, member, known)


def _note_record(session: Session, member: MemberRow, known: dict[str, str | int | bool | None]) -> None:
    row = session.get_one(PassRow, (member.tenant, member.type_id, member.number))
    row.record = row.record | {name: value for name, value in known.items() if name in row.record}
    session.flush()


def _audit(session: Session, member: MemberRow, action: str, after: Facts, actor: Actor) -> None:
    session.flush()
    event = AuditEvent(action, subject(member.type_id, member.number), after=after, reason=actor.reason)
    audit.append(session, member.tenant, [event], actor.at, actor.name)
