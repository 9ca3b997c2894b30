"""The cases of one pass as its holder's pages see them: which run, what they begin with, and the way to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

from litestar import Response, post
from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.cases import access, case_payments, store
from issuer.cases.facts import CaseFacts, CaseKind, with_plates
from issuer.cases.states import CaseState
from issuer.cases.store import Case
from issuer.errors import IssuerRefusal
from issuer.holders import Holder, holder_of
from issuer.models import HolderRow, PassRow
from issuer.models_cases import CaseRow
from issuer.payments.service import start_path
from issuer.pickup.guests import Guest, NoVisit, acting_guest_of
from issuer.pickup.standing import HeldPass
from issuer.pickup.visits import ACTOR
from issuer.rules.zones import zone_on
from issuer.tariffs import TariffZone
from issuer.web.forms import FormData, text_of
from issuer.web.reader import AnyRequest, Reader
from keys.errors import Refusal
from passes.model import RegisteredPlate
from passes.zones import Zone

CASE_PAGE: Final = "/apply/case"
# A step that cannot be taken is the holder's to know; any other refusal is the operator's to solve.
_HOLDERS_OWN: Final = (
    "CASE_", "PERMIT_", "PASS_", "PLATE", "ZONE_", "RENEWAL_", "PAYMENT_", "PAYMENTS_", "NOTHING_CHANGES",
    "FEE_MISMATCH", "KIND_UNKNOWN", "SECOND_LOOK_NEEDED",
)  # fmt: skip
_CONFLICT: Final = 409
_ONE_DAY: Final = timedelta(days=1)
_RUNNING: Final = tuple(
    one.value
    for one in (
        CaseState.SUBMITTED,
        CaseState.DOCUMENTS,
        CaseState.SECOND_LOOK,
        CaseState.AWAITING_PAYMENT,
    )
)


@post("/p/pass/case", status_code=303, sync_to_thread=True)
def open_case(request: AnyRequest, data: FormData) -> Response[Any]:
    """On to a case about this pass: to its page, or to the payment that it waits for."""
    guest = acting_guest_of(request, data)
    application = guest.application
    try:
        with application.writing() as session:
            guest.check(session)
            visit = guest.visit
            running = {one.id: one for one in under_way(session, application, visit.type_id, visit.number)}
            case = running.get(text_of(data, "case"))
            if case is None:
                return guest.reader.problem(_CONFLICT, "NOT_OFFERED")
            return hand_over(session, guest, case)
    except IssuerRefusal as refusal:
        return refused(guest.reader, refusal)


def under_way(
    session: Session, application: Application, type_id: str, number: str, kind: CaseKind | None = None
) -> Sequence[Case]:
    """The cases about the pass ``number`` that wait for anybody, the oldest first; of ``kind`` if given."""
    rows = session.scalars(
        select(CaseRow)
        .where(
            CaseRow.tenant == application.tenant,
            CaseRow.type_id == type_id,
            CaseRow.pass_number == number,
            CaseRow.state.in_(_RUNNING),
            *(() if kind is None else (CaseRow.kind == kind.value,)),
        )
        .order_by(CaseRow.created_at, CaseRow.id)
    )
    return [store.case_of(row) for row in rows]


def hand_over(session: Session, guest: Guest, case: Case) -> Response[Any]:
    """The way to the page of ``case``, or to its payment, with a visit to it, in a writing transaction.

    Raises what `case_payments.begin_for_case` raises.
    """
    application = guest.application
    path = CASE_PAGE
    if case.state is CaseState.AWAITING_PAYMENT:
        path = start_path(case_payments.begin_for_case(session, application, case, actor=ACTOR).id)
    visit = access.start_visit(session, application, case.id)
    response = guest.reader.go(path)
    seconds = int(access.VISIT_LIFETIME.total_seconds())
    return guest.reader.with_cookie(response, access.COOKIE, visit.token, max_age=seconds)


def holder_of_pass(session: Session, application: Application, type_id: str, number: str) -> Holder:
    """Whose the pass is. Raises NoVisit if it has been deleted meanwhile."""
    row = session.get(PassRow, (application.tenant, type_id, number))
    found = session.get(HolderRow, (application.tenant, row.holder_ref)) if row is not None else None
    if found is None:
        raise NoVisit
    return holder_of(found)


def plates_of_pass(held: HeldPass) -> tuple[RegisteredPlate, ...]:
    """The plates that the pass carries; none for a type or kind that has none."""
    plates = held.content.attributes.get("plates")
    return plates if isinstance(plates, tuple) else ()


def kind_of_pass(held: HeldPass) -> str:
    """The permit kind of the pass; empty for a type that has none."""
    return str(held.content.attributes.get("permit_kind") or "")


def zone_of_pass(held: HeldPass) -> Zone | None:
    """The zone that the pass is for."""
    zone = held.content.attributes.get("zone")
    return zone if isinstance(zone, Zone) else None


def first_day_after(held: HeldPass) -> date:
    """The first day of a further term: the day after the last one."""
    return held.content.period.last + _ONE_DAY


def zone_of_next_term(held: HeldPass, known: Mapping[str, TariffZone]) -> TariffZone | None:
    """The zone of a further term: that of the pass, or what it has been merged into by then."""
    zone = zone_of_pass(held)
    return None if zone is None else zone_on(known, zone.code, first_day_after(held))


def facts_of_pass(held: HeldPass, record: Mapping[str, Any], zone: str, term_months: int) -> CaseFacts:
    """What a renewal asks for: all that the pass says, in ``zone``, for a term that follows the last one.

    ``record`` are the columns of the register, which know whether the holder keeps the car; without it, they do.
    """
    organisation = held.content.attributes.get("organisation")
    facts = CaseFacts(
        permit_kind=kind_of_pass(held),
        zone=zone,
        organisation=organisation if isinstance(organisation, str) else "",
        term_months=term_months,
        first_day=first_day_after(held),
        keeper="other" if record.get("keeper_is_holder") is False else "holder",
    )
    return with_plates(facts, plates_of_pass(held))


def refused(reader: Reader, refusal: Refusal) -> Response[Any]:
    """A page that says why a step cannot be taken. Raises ``refusal`` where that is not the holder's to know."""
    if not refusal.code.startswith(_HOLDERS_OWN):
        raise refusal
    say = reader.say
    text = refusal.sentence(reader.language)
    reason = f"ELIGIBILITY_{refusal.params.get('reason', '')}"
    if refusal.code == "CASE_REFUSED" and reason in say:
        text = say(reason)
    if refusal.code.startswith("PAYMENTS_"):
        text = say("HOLDER_NO_PAYMENT")
    return reader.page(
        "problem.html",
        status=_CONFLICT,
        title=say("HOLDER_REFUSED"),
        text=f"{text} {say('HOLDER_REFUSED_HELP')}",
        has_visit=True,
    )


HANDLERS: Final = [open_case]
