"""Whether and how a pass can be renewed: from when, in which zone, for which terms, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from sqlalchemy.orm import Session

from issuer import renewal
from issuer.application import Application
from issuer.cases.city import CityCaseRules
from issuer.cases.facts import CaseKind, Channel
from issuer.cases.store import Case
from issuer.pickup import own_cases
from issuer.pickup.standing import HeldPass
from issuer.rules.quotes import Quote
from issuer.tariffs import TariffZone
from passes.model import PassStatus
from passes.periods import Period, berlin_day


class Stand(StrEnum):
    """Whether a pass can be renewed here, and if not, why."""

    OPEN = "open"
    # Later, from the day that the page names.
    EARLY = "early"
    RUNNING = "running"
    ENDED = "ended"
    # Suspended, revoked, not paid.
    BARRED = "barred"
    # A type or kind that the city renews elsewhere, or a zone that has ended.
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True)
class Term:
    """A term that can be had: months, its first and last day (Europe/Berlin), and what it costs in cents."""

    months: int
    first: date
    last: date
    cents: int


@dataclass(frozen=True, slots=True)
class Offer:
    """How a pass can be renewed on ``today``; ``opens`` is the first day for it, ``zone`` that of the new term."""

    stand: Stand
    opens: date | None = None
    zone: TariffZone | None = None
    terms: tuple[Term, ...] = ()
    case: Case | None = None


def offer_for(session: Session, application: Application, held: HeldPass, channel: Channel) -> Offer:
    """How the pass ``held`` can be renewed now through ``channel``. Raises IssuerRefusal KIND_RULES."""
    today, tenant = berlin_day(application.now()), application.tenant
    type_id, number = held.pass_type.id, held.content.number
    kind, last = own_cases.kind_of_pass(held), held.content.period.last
    rules = CityCaseRules.of(session, application, type_id)
    if kind not in rules.rules.kinds.on(today):
        return Offer(Stand.ELSEWHERE)
    running = own_cases.under_way(session, application, type_id, number, CaseKind.RENEWAL)
    if running:
        return Offer(Stand.RUNNING, case=running[0])
    if held.content.status is PassStatus.EXPIRED or last < today:
        return Offer(Stand.ENDED)
    if not held.is_offered:
        return Offer(Stand.BARRED)
    opens = renewal.opens_on(session, tenant, held.pass_type, held.content.attributes, last, today)
    if today < opens:
        return Offer(Stand.EARLY, opens)
    zone = own_cases.zone_of_next_term(held, rules.rules.zones)
    if zone is None:
        return Offer(Stand.ELSEWHERE, opens)
    code = zone.zone.code
    terms = []
    for months in rules.rules.terms(kind, code, channel.value, today):
        quote = rules.rules.quote(code, channel.value, months, today)
        if isinstance(quote, Quote):
            period = Period.of_months(own_cases.first_day_after(held), months)
            terms.append(Term(months, period.first, period.last, quote.cents))
    return Offer(Stand.OPEN if terms else Stand.ELSEWHERE, opens, zone, tuple(terms))
