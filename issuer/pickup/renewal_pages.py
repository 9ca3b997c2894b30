"""A further term: offered from some days before the end, with what it costs and from when to when it runs.

The pass stays what it is. It is paid for before anything is issued; evidence is asked for only where the registers do
not say that nothing has changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Final

from litestar import Response, get, post
from sqlalchemy.orm import Session

from issuer import renewal
from issuer.cases import self_service, steps, store
from issuer.cases.city import CityCaseRules
from issuer.cases.facts import CaseKind, Channel
from issuer.cases.states import CaseState
from issuer.cases.store import Case, CaseActor
from issuer.errors import IssuerRefusal, RegisterRefusal
from issuer.models import PassRow
from issuer.payments.pages import euros
from issuer.pickup import own_cases
from issuer.pickup.guests import Guest, acting_guest_of, guest_of
from issuer.pickup.visits import ACTOR
from issuer.rules.quotes import Quote
from issuer.tariffs import TariffZone
from issuer.web.forms import Form, FormData
from issuer.web.reader import AnyRequest
from passes.model import PassStatus
from passes.periods import Period, berlin_day

PATH: Final = "/p/pass/renew"
_FIELDS: Final = ("term", "unchanged")
_CONFLICT: Final = 409
_WRONG: Final = 422


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


@get(PATH, sync_to_thread=True)
def show_offer(request: AnyRequest) -> Response[Any]:
    """What a further term costs and when it runs, with the form; or when and where it can be had."""
    guest = guest_of(request)
    return _page(guest, Form.of({}, *_FIELDS))


@post(PATH, status_code=303, sync_to_thread=True)
def send(request: AnyRequest, data: FormData) -> Response[Any]:
    """Ask for the further term, and go on to its payment, or to its page where evidence is missing."""
    guest = acting_guest_of(request, data)
    form = Form.of(data, *_FIELDS)
    if not form.values["unchanged"]:
        form.errors["unchanged"] = "HOLDER_RENEW_UNCHANGED_MISSING"
    try:
        with guest.application.writing() as session:
            guest.check(session)
            offer = offer_for(session, guest)
            if offer.stand is Stand.RUNNING:
                # The same form for the second time, or from another browser.
                return guest.reader.go(PATH)
            if offer.stand is Stand.OPEN and offer.zone is not None:
                months = {str(one.months): one.months for one in offer.terms}
                if form.values["term"] not in months:
                    form.errors["term"] = "HOLDER_RENEW_TERM_MISSING"
                if not form.errors:
                    return _handed_in(session, guest, offer.zone, months[form.values["term"]])
    except (IssuerRefusal, RegisterRefusal) as refusal:
        return own_cases.refused(guest.reader, refusal)
    return _page(guest, form, status=_WRONG if offer.stand is Stand.OPEN else _CONFLICT)


def offer_for(session: Session, guest: Guest) -> Offer:
    """How the pass of ``guest`` can be renewed now. Raises IssuerRefusal KIND_RULES."""
    application, held = guest.application, guest.held
    today, tenant = berlin_day(application.now()), application.tenant
    kind, last = own_cases.kind_of_pass(held), held.content.period.last
    rules = CityCaseRules.of(session, application, held.pass_type.id)
    if kind not in rules.rules.kinds.on(today):
        return Offer(Stand.ELSEWHERE)
    running = own_cases.under_way(session, application, guest.visit, CaseKind.RENEWAL)
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
    for months in rules.rules.terms(kind, code, Channel.ONLINE.value, today):
        quote = rules.rules.quote(code, Channel.ONLINE.value, months, today)
        if isinstance(quote, Quote):
            period = Period.of_months(own_cases.first_day_after(held), months)
            terms.append(Term(months, period.first, period.last, quote.cents))
    return Offer(Stand.OPEN if terms else Stand.ELSEWHERE, opens, zone, tuple(terms))


def _handed_in(session: Session, guest: Guest, zone: TariffZone, months: int) -> Response[Any]:
    """Begin and submit the case, and say where it goes on."""
    application, visit = guest.application, guest.visit
    tenant, actor = application.tenant, CaseActor(ACTOR, application.now())
    begun = store.begin(
        session, tenant, CaseKind.RENEWAL, visit.type_id, Channel.ONLINE, actor, pass_number=visit.number
    )
    record = session.get_one(PassRow, (tenant, visit.type_id, visit.number)).record
    facts = own_cases.facts_of_pass(guest.held, record, zone.zone.code, months)
    person = own_cases.holder_of_pass(session, application, visit)
    steps.save_draft(session, tenant, begun.id, actor, facts, person)
    rules = CityCaseRules.of(session, application, visit.type_id)
    case = self_service.hand_in(session, application, begun.id, actor, rules)
    if case.state is CaseState.ISSUED:
        return guest.reader.go("/p/pass", done="renewed")
    return own_cases.hand_over(session, guest, case)


def _page(guest: Guest, form: Form, *, status: int = 200) -> Response[Any]:
    with guest.application.reading() as session:
        offer = offer_for(session, guest)
        holder = own_cases.holder_of_pass(session, guest.application, guest.visit)
    zone = own_cases.zone_of_pass(guest.held)
    merged = offer.zone is not None and zone is not None and offer.zone.zone.code != zone.code
    return guest.page(
        "renew.html",
        status=status,
        form=form,
        offer=offer,
        address=", ".join(holder.recipient().lines[1:]),
        merged_into=offer.zone.zone if merged and offer.zone is not None else None,
        euros=euros,
    )


HANDLERS: Final = [show_offer, send]
