"""A library's members: new cards at the desk, blocking, replacing numbers, consent.

Each step is one in the caller's writing transaction, with its audit entry; wallets hear of what changes a card.
Every step raises IssuerRefusal NOT_A_MEMBERSHIP for a pass type without members.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from sqlalchemy.orm import Session

from issuer import audit, lifecycle
from issuer.audit import AuditEvent
from issuer.errors import IssuerRefusal, RegisterRefusal
from issuer.importing.check_file import check_rows
from issuer.importing.findings import Finding, Severity
from issuer.importing.record import RecordValue, digest
from issuer.importing.rows import RowFile, SourceRow
from issuer.library.families import check_guardian, refuse_adult
from issuer.library.fees import membership_fees
from issuer.library.holds import forget_noted
from issuer.library.member_rows import member_of, note_record, note_step
from issuer.library.membership import check_category, consent_needed, fee_due, is_surely_adult, rules_of
from issuer.lifecycle import Actor, Changes
from issuer.models import PassRow
from issuer.models_library import BlockReason, MemberRow
from issuer.numbering import next_number
from issuer.register import SealFor, insert_passes, load_contents, subject
from issuer.revocation_log import ReplacedCard, RevocationLog
from issuer.settings import record_key
from keys.texts import texts
from passes.card_numbers import CardNumber
from passes.model import PassContent, PassStatus
from passes.names import FieldKind, normalise
from passes.pass_types import PassType
from passes.periods import Period, berlin_day

LONGEST_NAME: Final = 200
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

    Raises IssuerRefusal as `membership.check_category` does, CONSENT_MISSING, MEMBER_OF_AGE for a consent or guardian
    of an adult, GUARDIAN_UNKNOWN, GUARDIAN_NOT_ADULT, GUARDIAN_AGE_UNKNOWN, MEMBERSHIP_FEE_MISSING; MemberRefused for
    what the register's checks find (DUPLICATE_CARD, DUPLICATE_ID, CARD_FORMAT, FIELD_TOO_LONG ...); RegisterRefusal
    CARD_JUST_TAKEN if somebody was quicker.
    """
    rules, today = rules_of(pass_type), berlin_day(actor.at)
    check_category(rules, new.category, new.birth_date, today)
    name = _parent(new.consent_name) if new.consent_name else ""
    if consent_needed(rules, new.category, new.birth_date, today) and not name:
        raise IssuerRefusal("CONSENT_MISSING", age=rules.consent_under)
    if (name or new.guardian_number) and is_surely_adult(rules, new.category, new.birth_date, today):
        raise IssuerRefusal("MEMBER_OF_AGE", number=new.number or new.card.text)
    if new.guardian_number:
        check_guardian(session, (tenant, pass_type.id, new.guardian_number), rules, new.number, today)
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
    log: RevocationLog,
) -> PassContent:
    """Another card number on the same pass; the old one never holds again and is never given out again.

    To be called last in the writing transaction; OSError where ``log`` cannot be written.

    A card that is blocked because it was lost holds again with it; one that is for another reason stays blocked since
    it was. Raises RegisterRefusal as `lifecycle.change` does, NOTHING_CHANGES for the number of a card that was lost,
    CARD_TAKEN, CARD_SPENT, CARD_JUST_TAKEN.
    """
    rules_of(pass_type)
    member = member_of(session, tenant, pass_type.id, number)
    reason, since = member.block_reason, member.blocked_at
    row, current = lifecycle.current_revision(session, tenant, pass_type.id, number)
    old_card, place = row.card_key, lifecycle.place_of(current)
    if reason is not None:
        if old_card == new.text:
            raise RegisterRefusal("NOTHING_CHANGES", number=number)
        # Only what holds gets a new seal; nobody outside sees that it does within the transaction.
        unblock(session, tenant, pass_type, number, actor=actor)
    forget_noted(session, tenant, pass_type.id, number)
    changes = Changes(card_number=new)
    content = lifecycle.change(session, tenant, pass_type, number, changes, seal_for=seal_for, actor=actor)
    if reason is not None and reason != BlockReason.LOST:
        block(session, tenant, pass_type, number, BlockReason(reason), actor=actor)
        member.blocked_at = since
        session.flush()
        content = replace(content, status=PassStatus.SUSPENDED)
    # Last: what may still be refused must not stand in the log as replaced.
    if old_card is not None and old_card != new.text:
        log.cards(tenant, [ReplacedCard(pass_type.id, old_card, place)], actor.at)
    return content


def give_consent(
    session: Session, tenant: str, pass_type: PassType, number: str, name: str, *, actor: Actor
) -> None:
    """Note that the parent ``name`` has consented.

    Raises IssuerRefusal CONSENT_NAME, MEMBER_OF_AGE for an adult; RegisterRefusal NUMBER_UNKNOWN.
    """
    rules = rules_of(pass_type)
    member = member_of(session, tenant, pass_type.id, number)
    refuse_adult(session, (tenant, pass_type.id, number), rules, berlin_day(actor.at))
    member.consent_name, member.consent_at, member.consent_by = _parent(name), actor.at, actor.name
    note_record(session, member, {"guardian_consent": True})
    note_step(session, member, "consent", {"consent": True}, actor)


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


def _note_columns(session: Session, member: MemberRow, word: str | None, open_fees_cents: int | None) -> None:
    """What a file of the register is compared with from now on."""
    key = record_key(session, member.tenant)
    known: dict[str, RecordValue] = {
        "block_reason": None if word is None else digest(key, "block_reason", word)
    }
    if open_fees_cents is not None:
        member.open_fees_cents = open_fees_cents
        known["open_fees_cents"] = open_fees_cents
    note_record(session, member, known)
