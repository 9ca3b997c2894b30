"""Renewing a pass before it ends: the same right under the same number, with a later last day.

The right has held from its first day and goes on without a gap, so the renewed revision's period runs from that
first day to the new last one. It must not begin with the new term: phones show the renewed pass at once, and a
warden who scans it before the old term has ended would see NOT_YET_VALID. The seal of the old term is not
superseded but good until its own last day, since paper behind a windscreen is exchanged only when the new print has
come. Whatever ends the right, or changes what it says, ends that older seal as well (`issuer.lifecycle`).

Where the zone is merged by the first day of the new term, the right goes on in the successor, at its fee. The pass
is moved there once the merge has happened. Before that it keeps its zone: it must be right where the car stands
today, it holds in the successor anyway (`issuer.rules.zones.area_of`), and a merge that is undone in time leaves no
pass behind in a zone that is not its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from sqlalchemy.orm import Session

from issuer import attributes as stored_attributes
from issuer.audit import AuditEvent
from issuer.errors import IssuerRefusal, RegisterRefusal
from issuer.importing.record import attribute_columns
from issuer.lifecycle import Actor, NextRevision, running, supersede
from issuer.models import PassRow
from issuer.outgoing import EventName
from issuer.register import SealFor, WalletIdentity, subject
from issuer.rules.kinds import kind_table
from issuer.rules.zones import zone_on
from issuer.tariffs import fees, known_codes, zones
from passes.model import PassContent
from passes.pass_types import PassType
from passes.periods import Period, berlin_day
from passes.zones import Zone

# For passes without a permit kind; the others have theirs in the city's table (`issuer.rules.kinds`).
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

    Possible until the last day, from as many days before it as the permit kind says (`opens_before`). Raises
    RegisterRefusal NUMBER_UNKNOWN, the code of the state that forbids it, RENEWAL_TOO_EARLY; IssuerRefusal
    ZONE_UNKNOWN, ZONE_ENDED where neither the zone nor one that it was merged into holds on the new term's first day,
    FEE_MISMATCH; PassRefusal TERM_INVALID, DATE_YEAR.
    """
    row, current = running(session, (tenant, pass_type.id, number), actor.at)
    today = berlin_day(actor.at)
    ahead = opens_before(session, row, today)
    opens = row.period_last - ahead
    if today < opens:
        raise RegisterRefusal("RENEWAL_TOO_EARLY", number=number, opens=opens.isoformat(), days=ahead.days)
    term = Period.of_months(row.period_last + _ONE_DAY, renewal.term_months)
    attributes = dict(stored_attributes.decode(pass_type, current.attributes))
    tariff_class, moved = "", dict[str, tuple[str, str]]()
    for name, value in attributes.items():
        if isinstance(value, Zone):
            zone, tariff_class = _zone_of_term(session, tenant, value, term.first, today)
            if zone.code != value.code:
                attributes[name], moved[name] = zone, (value.code, zone.code)
    _check_fee(session, tenant, tariff_class, renewal, today)
    before = row.period_last
    row.period_last = term.last
    known: dict[str, Any] = {
        **(attribute_columns(pass_type.spec.register.columns, attributes) if moved else {}),
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
        {"valid_to": before.isoformat(), **{name: old for name, (old, _) in moved.items()}},
        {
            **{name: new for name, (_, new) in moved.items()},
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


def opens_before(session: Session, row: PassRow, day: date) -> timedelta:
    """How long before its last day the pass can be renewed, by the rules of its kind on ``day``."""
    kinds = kind_table(session, row.tenant, row.type_id).on(day)
    kind = kinds.get(str(row.record.get("permit_kind")))
    return EARLIEST if kind is None else timedelta(days=kind.renewal_opens_days)


def _zone_of_term(session: Session, tenant: str, zone: Zone, first: date, today: date) -> tuple[Zone, str]:
    """The zone that the pass has from ``today`` on, and the class on that day of the zone it has on ``first``."""
    known, code = zones(session, tenant), zone.code
    found, now = zone_on(known, code, first), zone_on(known, code, today)
    if found is None:
        raise IssuerRefusal(
            "ZONE_ENDED" if code in known else "ZONE_UNKNOWN",
            zone=code,
            day=first.isoformat(),
            known=known_codes(known, first),
        )
    shown = zone if now is None else now.zone
    return shown, known[found.zone.code].on(today).tariff_class


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
