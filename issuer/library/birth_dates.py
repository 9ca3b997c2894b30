"""A birth date that is entered or corrected later, with what follows from it: group, consent, guardian.

It is stored only while it decides something; of one that decides nothing any more the register keeps that there was
one (`member_rows.was_cleared`), so that nobody is asked for it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from sqlalchemy.orm import Session

from issuer import attributes as stored_attributes
from issuer.audit import AuditEvent
from issuer.errors import IssuerRefusal
from issuer.importing.record import attribute_columns, digest
from issuer.library.families import wards
from issuer.library.member_rows import member_of, note_step
from issuer.library.members import give_consent
from issuer.library.membership import (
    age_on,
    category_for,
    category_of,
    consent_needed,
    has_fitted,
    keeps_birth_date,
    rules_of,
)
from issuer.lifecycle import Actor, NextRevision, current_revision, supersede
from issuer.models import PassRow, RevisionRow
from issuer.register import SealFor, WalletIdentity, subject
from issuer.settings import record_key
from passes.model import PassStatus
from passes.pass_types import PassType
from passes.periods import berlin_day
from passes.type_file import MembershipSpec

_HOLDS: Final = (PassStatus.ACTIVE, PassStatus.SUSPENDED)


@dataclass(frozen=True, slots=True)
class BirthDateNoted:
    """What came of it: whether the date is stored, and the category of the member from now on."""

    is_stored: bool
    category: str


def set_birth_date(
    session: Session,
    tenant: str,
    pass_type: PassType,
    number: str,
    born: date,
    *,
    seal_for: SealFor,
    actor: Actor,
    consent_name: str = "",
) -> BirthDateNoted:
    """Note the birth date ``born`` of a member, in the caller's writing transaction.

    A category of an age that does not fit gives way to the one that does, with a new seal; that of a card that
    does not hold follows with its renewal. Of an adult the family ties go. ``consent_name`` is the parent who
    consents, for who is under the age of consent.

    Raises IssuerRefusal NOT_A_MEMBERSHIP, CATEGORY_UNKNOWN, BIRTH_DATE_NOT_WANTED, DATE_IN_FUTURE, CONSENT_MISSING,
    CONSENT_NAME, MEMBER_OF_AGE for a consent of an adult's parent, WARDS_NEED_ADULT for a minor who answers for
    somebody; RegisterRefusal NUMBER_UNKNOWN, CARD_REPLACED.
    """
    rules, today = rules_of(pass_type), berlin_day(actor.at)
    member = member_of(session, tenant, pass_type.id, number)
    row, current = current_revision(session, tenant, pass_type.id, number)
    attributes = stored_attributes.decode(pass_type, current.attributes)
    before = str(attributes.get("category", ""))
    if category_of(rules, before).birth_date == "none":
        raise IssuerRefusal("BIRTH_DATE_NOT_WANTED", category=before)
    if born > today:
        raise IssuerRefusal("DATE_IN_FUTURE", today=today.isoformat())
    is_adult = age_on(born, today) >= rules.full_age
    if not is_adult and wards(session, tenant, pass_type.id, number):
        raise IssuerRefusal("WARDS_NEED_ADULT", number=number)
    after = _category(rules, row, before, born, today)
    needed = consent_needed(rules, after, born, today)
    if needed and member.consent_at is None and not consent_name:
        raise IssuerRefusal("CONSENT_MISSING", age=rules.consent_under)
    member.birth_date = born if keeps_birth_date(rules, born, today) else None
    if is_adult:
        member.guardian_number = member.consent_name = member.consent_at = member.consent_by = None
    # Also where the column was in no file yet: what is stored here is what the next one is compared with.
    row.record = row.record | {
        "birth_date": digest(record_key(session, tenant), "birth_date", born.isoformat())
    }
    if after == before:
        note_step(session, member, "birth-date", {"birth_date": True}, actor)
    else:
        event = AuditEvent(
            "birth-date", subject(pass_type.id, number), {"category": before}, {"category": after}
        )
        _move(session, pass_type, (row, current), event, after, seal_for=seal_for, actor=actor)
    if consent_name:
        give_consent(session, tenant, pass_type, number, consent_name, actor=actor)
    return BirthDateNoted(member.birth_date is not None, after)


def _category(rules: MembershipSpec, row: PassRow, category: str, born: date, today: date) -> str:
    """The category that somebody born on ``born`` has: they keep one of an age through a birthday."""
    wanted = category_of(rules, category)
    holds = row.status in _HOLDS and row.period_last >= today
    if not holds or has_fitted(wanted, born, min(row.period_first, today), today):
        return category
    return category_for(rules, born, today) or category


def _move(
    session: Session,
    pass_type: PassType,
    rows: tuple[PassRow, RevisionRow],
    event: AuditEvent,
    category: str,
    *,
    seal_for: SealFor,
    actor: Actor,
) -> None:
    row, current = rows
    attributes = stored_attributes.decode(pass_type, current.attributes) | {"category": category}
    columns = attribute_columns(pass_type.spec.register.columns, attributes)
    row.record = row.record | {name: value for name, value in columns.items() if name in row.record}
    following = NextRevision(attributes, event, WalletIdentity(current.serial, current.apple_token))
    supersede(session, pass_type, row, current, following, seal_for=seal_for, actor=actor)
