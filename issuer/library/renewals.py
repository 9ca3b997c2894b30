"""A further year of membership: at the desk, before its end or after it, with the group that fits the age by then.

A membership that goes on without a gap keeps its first day, and its seal of before holds until its own last day
(`issuer.renewal` says why). One that has ended begins again on the day of the renewal.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from sqlalchemy.orm import Session

from issuer import attributes as stored_attributes
from issuer.audit import AuditEvent
from issuer.errors import IssuerRefusal, RegisterRefusal
from issuer.importing.record import attribute_columns
from issuer.library.fees import membership_fees
from issuer.library.holds import forget_noted
from issuer.library.member_rows import was_cleared
from issuer.library.membership import category_for, consent_needed, fee_due, rules_of
from issuer.lifecycle import Actor, NextRevision, current_revision, reason_of, supersede, wrong_state
from issuer.models import PassRow, RevisionRow
from issuer.models_library import MemberRow
from issuer.outgoing import EventName
from issuer.register import SealFor, WalletIdentity, subject
from issuer.renewal import EARLIEST
from passes.model import PassStatus
from passes.pass_types import PassType
from passes.periods import Period, berlin_day
from passes.type_file import MembershipSpec

TERM_MONTHS: Final = 12
_ONE_DAY: Final = timedelta(days=1)
_RENEWABLE: Final = (PassStatus.ACTIVE, PassStatus.EXPIRED)


@dataclass(frozen=True, slots=True)
class Offer:
    """A further year: its days (Europe/Berlin, inclusive), the category by then, and what it costs.

    ``fee_cents`` is None where the city has not said. ``has_gap``: the membership had ended.
    """

    first: date
    last: date
    category: str
    fee_cents: int | None
    has_gap: bool


def yearly_fee(
    session: Session, tenant: str, pass_type: PassType, category: str, born: date | None, day: date
) -> int | None:
    """What a year that begins on ``day`` costs, in cents; None where the city's table does not say.

    ``born`` is the birth date where it still decides something. Raises IssuerRefusal NOT_A_MEMBERSHIP,
    CATEGORY_UNKNOWN.
    """
    fees = membership_fees(session, tenant, pass_type.id)
    try:
        return fee_due(rules_of(pass_type), fees, category, born, day)
    except IssuerRefusal as refusal:
        if refusal.code != "MEMBERSHIP_FEE_MISSING":
            raise
        return None


def opens_on(row: PassRow) -> date:
    """The first day on which the membership can be renewed (Europe/Berlin)."""
    return row.period_last - EARLIEST


def offer(session: Session, tenant: str, pass_type: PassType, number: str, today: date) -> Offer:
    """What a further year of the membership ``number`` would be on the day ``today``.

    Raises IssuerRefusal NOT_A_MEMBERSHIP, CONSENT_MISSING for a child whose parent has not consented,
    BIRTH_DATE_MISSING where nothing says which category fits; RegisterRefusal NUMBER_UNKNOWN, PASS_SUSPENDED and
    other codes of the state that forbids it, RENEWAL_TOO_EARLY more than 60 days before the end.
    """
    row, current = current_revision(session, tenant, pass_type.id, number)
    return _offer(session, pass_type, row, current, today)


def renew_membership(
    session: Session, tenant: str, pass_type: PassType, number: str, *, seal_for: SealFor, actor: Actor
) -> Offer:
    """Add the year that `offer` says, in a writing transaction; ``actor`` gives a reason.

    Raises what that raises, and RegisterRefusal REASON_MISSING.
    """
    reason = reason_of(actor)
    row, current = current_revision(session, tenant, pass_type.id, number)
    year = _offer(session, pass_type, row, current, berlin_day(actor.at))
    before = stored_attributes.decode(pass_type, current.attributes)
    attributes = {**before, "category": year.category}
    last, status = row.period_last, row.status
    row.period_last, row.status = year.last, PassStatus.ACTIVE.value
    columns = attribute_columns(pass_type.spec.register.columns, attributes)
    known = {**columns, "valid_to": year.last.isoformat(), "fee_cents": year.fee_cents}
    row.record = row.record | {
        name: value for name, value in known.items() if name in row.record and value is not None
    }
    changed = before.get("category") != year.category
    was = {"category": before["category"]} if changed and "category" in before else {}
    event = AuditEvent(
        "renew",
        subject(pass_type.id, number),
        {"valid_to": last.isoformat(), "status": status, **stored_attributes.facts(was)},
        {
            "valid_to": year.last.isoformat(),
            "status": row.status,
            "term_months": TERM_MONTHS,
            "fee_cents": year.fee_cents,
            **({"category": year.category} if changed else {}),
        },
        reason,
    )
    following = NextRevision(
        attributes,
        event,
        WalletIdentity(current.serial, current.apple_token),
        EventName.RENEWED,
        older_stand=not changed,
    )
    supersede(session, pass_type, row, current, following, seal_for=seal_for, actor=actor)
    forget_noted(session, tenant, pass_type.id, number)
    return year


def _offer(session: Session, pass_type: PassType, row: PassRow, current: RevisionRow, today: date) -> Offer:
    if PassStatus(row.status) not in _RENEWABLE:
        raise wrong_state(row)
    opens = opens_on(row)
    if today < opens:
        raise RegisterRefusal(
            "RENEWAL_TOO_EARLY", number=row.number, opens=opens.isoformat(), days=EARLIEST.days
        )
    has_gap = row.period_last < today
    term = Period.of_months(today if has_gap else row.period_last + _ONE_DAY, TERM_MONTHS)
    member = session.get(MemberRow, (row.tenant, row.type_id, row.number))
    born = member.birth_date if member is not None else None
    category = str(stored_attributes.decode(pass_type, current.attributes).get("category", ""))
    rules = rules_of(pass_type)
    category = _category(rules, category, born, term.first, is_cleared=was_cleared(row, member))
    consented = member is not None and member.consent_at is not None
    if not consented and consent_needed(rules, category, born, term.first):
        raise IssuerRefusal("CONSENT_MISSING", age=rules.consent_under)
    fee = yearly_fee(session, row.tenant, pass_type, category, born, term.first)
    return Offer(term.first, term.last, category, fee, has_gap)


def _category(rules: MembershipSpec, category: str, born: date | None, day: date, *, is_cleared: bool) -> str:
    """The category on ``day``: one of an age that somebody has outgrown gives way to the next.

    Without a birth date a child stays a child. Whose date is cleared (``is_cleared``) is old enough for all ages
    (`keeps_birth_date`). Raises IssuerRefusal BIRTH_DATE_MISSING where nothing says how old somebody is.
    """
    now = rules.category(category)
    if now is None or (now.from_age, now.below_age) == (None, None):
        return category
    if born is not None:
        return category_for(rules, born, day) or category
    if now.below_age is None or now.below_age <= rules.consent_under:
        return category
    if not is_cleared:
        raise IssuerRefusal("BIRTH_DATE_MISSING", category=category)
    oldest = [one.name for one in rules.categories if one.from_age is not None and one.below_age is None]
    return oldest[0] if oldest else category
