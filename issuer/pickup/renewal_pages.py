"""A further term: offered from some days before the end, with what it costs and from when to when it runs.

The pass stays what it is. It is paid for before anything is issued; evidence is asked for only where the registers do
not say that nothing has changed.
"""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get, post
from sqlalchemy.orm import Session

from issuer.cases import self_service, steps, store
from issuer.cases.city import CityCaseRules
from issuer.cases.facts import CaseKind, Channel
from issuer.cases.states import CaseState
from issuer.cases.store import CaseActor
from issuer.errors import IssuerRefusal, RegisterRefusal
from issuer.models import PassRow
from issuer.payments.pages import euros
from issuer.pickup import own_cases
from issuer.pickup.guests import Guest, acting_guest_of, guest_of
from issuer.pickup.renewal_offer import Stand, offer_for
from issuer.pickup.visits import ACTOR
from issuer.tariffs import TariffZone
from issuer.web.forms import Form, FormData
from issuer.web.reader import AnyRequest

PATH: Final = "/p/pass/renew"
_FIELDS: Final = ("term", "unchanged")
_CONFLICT: Final = 409
_WRONG: Final = 422


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
            offer = offer_for(session, guest.application, guest.held, Channel.ONLINE)
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


def _handed_in(session: Session, guest: Guest, zone: TariffZone, months: int) -> Response[Any]:
    """Begin and submit the case, and say where it goes on."""
    application, visit = guest.application, guest.visit
    tenant, actor = application.tenant, CaseActor(ACTOR, application.now())
    begun = store.begin(
        session, tenant, CaseKind.RENEWAL, visit.type_id, Channel.ONLINE, actor, pass_number=visit.number
    )
    record = session.get_one(PassRow, (tenant, visit.type_id, visit.number)).record
    facts = own_cases.facts_of_pass(guest.held, record, zone.zone.code, months)
    person = own_cases.holder_of_pass(session, application, visit.type_id, visit.number)
    steps.save_draft(session, tenant, begun.id, actor, facts, person)
    rules = CityCaseRules.of(session, application, visit.type_id)
    case = self_service.hand_in(session, application, begun.id, actor, rules)
    if case.state is CaseState.ISSUED:
        return guest.reader.go("/p/pass", done="renewed")
    return own_cases.hand_over(session, guest, case)


def _page(guest: Guest, form: Form, *, status: int = 200) -> Response[Any]:
    with guest.application.reading() as session:
        offer = offer_for(session, guest.application, guest.held, Channel.ONLINE)
        holder = own_cases.holder_of_pass(session, guest.application, guest.visit.type_id, guest.visit.number)
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
