"""Renewing a pass before it ends: the same right under the same number, with a later last day.

The right has held from its first day and goes on without a gap, so the renewed revision's period runs from that
first day to the new last one. It must not begin with the new term: phones show the renewed pass at once, and a
warden who scans it before the old term has ended would see NOT_YET_VALID. The seal of the old term is not
superseded but good until its own last day, since paper behind a windscreen is exchanged only when the new print has
come. Whatever ends the right, or changes what it says, ends that older seal as well (`issuer.lifecycle`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from sqlalchemy.orm import Session

from issuer import attributes as stored_attributes
from issuer.audit import AuditEvent
from issuer.errors import IssuerRefusal, RegisterRefusal
from issuer.lifecycle import Actor, NextRevision, running, supersede
from issuer.outgoing import EventName
from issuer.register import SealFor, WalletIdentity, subject
from issuer.tariffs import fees, find_zone
from passes.model import PassContent
from passes.pass_types import PassType
from passes.periods import Period, berlin_day
from passes.zones import Zone

EARLIEST: Final = timedelta(days=60)
_ONE_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Renewal:
    """The further term in months, and what was paid for it where the city checks fees."""

    term_months: int
    channel: str | None = None
    fee_cents: int | None = None


def renew(
    session: Session,
    tenant: str,
    pass_type: PassType,
    number: str,
    renewal: Renewal,
    *,
    seal_for: SealFor,
    actor: Actor,
) -> PassContent:
    """Add a term that starts with the day after the last one (sections 187 (2), 188 (2) and (3) BGB).

    Possible from 60 days before the last day until that day. Raises RegisterRefusal NUMBER_UNKNOWN, the code of
    the state that forbids it, RENEWAL_TOO_EARLY; IssuerRefusal ZONE_UNKNOWN, ZONE_ENDED where the zone does not
    hold on the new term's first day, FEE_MISMATCH; PassRefusal TERM_INVALID, DATE_YEAR.
    """
    row, current = running(session, (tenant, pass_type.id, number), actor.at)
    opens = row.period_last - EARLIEST
    today = berlin_day(actor.at)
    if today < opens:
        raise RegisterRefusal("RENEWAL_TOO_EARLY", number=number, opens=opens.isoformat(), days=EARLIEST.days)
    term = Period.of_months(row.period_last + _ONE_DAY, renewal.term_months)
    attributes = stored_attributes.decode(pass_type, current.attributes)
    tariff_class = ""
    for value in attributes.values():
        if isinstance(value, Zone):
            tariff_class = find_zone(session, tenant, value.code, term.first).on(today).tariff_class
    _check_fee(session, tenant, tariff_class, renewal, today)
    before = row.period_last
    row.period_last = term.last
    known: dict[str, Any] = {
        "valid_to": term.last.isoformat(),
        "term_months": renewal.term_months,
        "channel": renewal.channel,
        "fee_cents": renewal.fee_cents,
    }
    row.record = row.record | {
        name: value for name, value in known.items() if name in row.record and value is not None
    }
    event = AuditEvent(
        "renew",
        subject(pass_type.id, number),
        {"valid_to": before.isoformat()},
        {
            "valid_to": term.last.isoformat(),
            "term_months": renewal.term_months,
            "fee_cents": renewal.fee_cents,
        },
        actor.reason,
    )
    following = NextRevision(
        attributes,
        event,
        WalletIdentity(current.serial, current.apple_token),
        EventName.RENEWED,
        older_stand=True,
    )
    return supersede(session, pass_type, row, current, following, seal_for=seal_for, actor=actor)


def _check_fee(session: Session, tenant: str, tariff_class: str, renewal: Renewal, day: date) -> None:
    """What was paid is what the table says; without a table, a channel or a fee there is nothing to compare."""
    if renewal.fee_cents is None or renewal.channel is None:
        return
    expected = fees(session, tenant).fee(tariff_class, renewal.channel, renewal.term_months, day)
    if expected is not None and expected != renewal.fee_cents:
        raise IssuerRefusal(
            "FEE_MISMATCH",
            expected=expected,
            channel=renewal.channel,
            months=renewal.term_months,
            found=renewal.fee_cents,
        )
