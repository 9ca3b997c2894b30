"""Renewing a pass before it ends: the same right under the same number, with a later last day.

The right has held from its first day and goes on without a gap, so the renewed revision's period runs from that
first day to the new last one. It must not begin with the new term: phones show the renewed pass at once, and a
warden who scans it before the old term has ended would see NOT_YET_VALID. The seal of the old term is not
superseded but good until its own last day, since paper behind a windscreen is exchanged only when the new print has
come. Whatever ends the right, or changes what it says, ends that older seal as well (`issuer.lifecycle`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from sqlalchemy.orm import Session

from issuer import attributes as stored_attributes
from issuer.audit import AuditEvent
from issuer.errors import IssuerRefusal, RegisterRefusal
from issuer.importing.record import attribute_columns
from issuer.lifecycle import Actor, NextRevision, running, supersede
from issuer.outgoing import EventName
from issuer.register import SealFor, WalletIdentity, subject
from issuer.residence.certificates import names_person
from issuer.rules.kinds import kind_table
from issuer.rules.zones import zone_on
from issuer.tariffs import TariffZone, fees, find_zone, zones
from passes.model import Attribute, PassContent
from passes.pass_types import PassType
from passes.periods import Period, berlin_day
from passes.zones import Zone

EARLIEST: Final = timedelta(days=60)
_ONE_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Renewal:
    """The further term in months, and what was paid for it where the city checks fees.

    ``applied_on`` is the day (Europe/Berlin) whose fees hold, if it was applied for before today.
    """

    term_months: int
    channel: str | None = None
    fee_cents: int | None = None
    applied_on: date | None = None


def opens_on(
    session: Session,
    tenant: str,
    pass_type: PassType,
    attributes: Mapping[str, Attribute],
    last: date,
    today: date,
) -> date:
    """The first day on which a pass that says ``attributes`` and ends on ``last`` can be renewed.

    The permit kind has a number of days for it; whatever has no kind is renewed within `EARLIEST`. Raises
    IssuerRefusal KIND_RULES for an override that cannot be used.
    """
    kind = kind_table(session, tenant, pass_type.id).on(today).get(str(attributes.get("permit_kind")))
    return last - (EARLIEST if kind is None else timedelta(days=kind.renewal_opens_days))


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

    Possible from the day that `opens_on` says until the last day. The zone is the one that holds today: a zone that
    will be merged keeps its code until then, and after that it holds in its successor. Raises RegisterRefusal
    NUMBER_UNKNOWN, the code of the state that forbids it, CERTIFICATE_NOT_RENEWED, RENEWAL_TOO_EARLY; IssuerRefusal
    ZONE_UNKNOWN, ZONE_ENDED where neither the zone nor one that it was merged into holds on the new term's first day,
    FEE_MISMATCH; PassRefusal TERM_INVALID, DATE_YEAR.
    """
    row, current = running(session, (tenant, pass_type.id, number), actor.at)
    if names_person(pass_type):
        # It says what was so on the day of its issue: whoever needs one later gets a new one.
        raise RegisterRefusal("CERTIFICATE_NOT_RENEWED", number=number)
    today = berlin_day(actor.at)
    before = stored_attributes.decode(pass_type, current.attributes)
    opens = opens_on(session, tenant, pass_type, before, row.period_last, today)
    if today < opens:
        days = (row.period_last - opens).days
        raise RegisterRefusal("RENEWAL_TOO_EARLY", number=number, opens=opens.isoformat(), days=days)
    term = Period.of_months(row.period_last + _ONE_DAY, renewal.term_months)
    attributes = dict(before)
    tariff_class = ""
    for name, value in before.items():
        if isinstance(value, Zone):
            zone, of_term = _zones_of_term(session, tenant, value, term.first, today)
            tariff_class = of_term.on(renewal.applied_on or today).tariff_class
            attributes[name] = value if zone.code == value.code else zone
    _check_fee(session, tenant, tariff_class, renewal, renewal.applied_on or today)
    last = row.period_last
    row.period_last = term.last
    known: dict[str, Any] = {
        "valid_to": term.last.isoformat(),
        "term_months": renewal.term_months,
        "channel": renewal.channel,
        "fee_cents": renewal.fee_cents,
    }
    columns = attribute_columns(pass_type.spec.register.columns, attributes)
    row.record = row.record | {
        name: value
        for name, value in {**columns, **known}.items()
        if name in row.record and (value is not None or name in columns)
    }
    facts_before, facts_after = stored_attributes.facts(before), stored_attributes.facts(attributes)
    different = [name for name in facts_after if facts_before.get(name) != facts_after[name]]
    event = AuditEvent(
        "renew",
        subject(pass_type.id, number),
        {"valid_to": last.isoformat(), **{name: facts_before.get(name) for name in different}},
        {
            "valid_to": term.last.isoformat(),
            "term_months": renewal.term_months,
            "fee_cents": renewal.fee_cents,
            **{name: facts_after[name] for name in different},
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


def _zones_of_term(
    session: Session, tenant: str, zone: Zone, first: date, today: date
) -> tuple[Zone, TariffZone]:
    """The zone that the pass has from ``today`` on, and the one that its area belongs to on ``first``."""
    known = zones(session, tenant)
    found, now = zone_on(known, zone.code, first), zone_on(known, zone.code, today)
    of_term = found if found is not None else find_zone(session, tenant, zone.code, first)
    return (zone if now is None else now.zone), of_term


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
