"""The counter for a permit that there is: another plate, or a further term, for somebody who cannot do it online.

Both are cases like those of the holder's pages, by another channel: a draft here, then evidence, fee and print as for
a new permit (`counter_evidence`).
"""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath
from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.cases import steps, store
from issuer.cases.city import CityCaseRules
from issuer.cases.facts import CaseFacts, CaseKind, Channel, with_plates
from issuer.cases.states import CaseState
from issuer.cases.store import Case, CaseActor
from issuer.console.counter_evidence import PATH as COUNTER
from issuer.console.desk import Desk, acting_desk_of, desk_of
from issuer.console.fields import options, require
from issuer.models import PassRow
from issuer.models_cases import CaseRow
from issuer.payments.pages import euros
from issuer.pickup import own_cases
from issuer.pickup.renewal_offer import Offer, Stand, offer_for
from issuer.pickup.standing import HeldPass, held_pass
from issuer.plate_reading import PlateReading, read_plate, spelled
from issuer.web.forms import Form, FormData
from issuer.web.reader import AnyRequest
from passes.display import day_text
from passes.model import RegisteredPlate
from passes.periods import berlin_day

_ONE: Final = "/office/passes/{type_id:str}/{number:str}"
_PLATE: Final = ("place", "plate", "choice", "keeper")
_TERM: Final = ("term_months", "unchanged")
_KEEPERS: Final = ("holder", "other")
_WRONG: Final = 422
_CONFLICT: Final = 409
_NOT_FOUND: Final = 404


@get(_ONE + "/plate", sync_to_thread=True)
def ask_plate(request: AnyRequest, type_id: FromPath[str], number: FromPath[str]) -> Response[Any]:
    """Which plate goes, and which one comes."""
    desk = desk_of(request)
    with desk.application.reading() as session:
        held = _permit(session, desk.application, type_id, number)
        draft = _draft(session, desk.application, type_id, number, CaseKind.CHANGE)
    if held is None:
        return desk.problem(_NOT_FOUND, "NOT_FOUND")
    form = Form.of({}, *_PLATE)
    form.values["keeper"] = draft.facts.keeper if draft is not None else ""
    return _plate_page(desk, held, form, PlateReading())


@post(_ONE + "/plate", status_code=303, sync_to_thread=True)
def save_plate(
    request: AnyRequest, type_id: FromPath[str], number: FromPath[str], data: FormData
) -> Response[Any]:
    """Keep what was typed as a draft, if it can be a plate of this permit, and go on to the evidence."""
    desk = acting_desk_of(request, data)
    application, form = desk.application, Form.of(data, *_PLATE)
    case: Case | None = None
    with application.writing() as session:
        held = _permit(session, application, type_id, number)
        if held is None:
            return desk.problem(_NOT_FOUND, "NOT_FOUND")
        is_open = changes_plates(held) and _change_under_way(session, application, held) is None
        wanted, reading = _wanted(desk, held, form) if is_open else (None, PlateReading())
        if wanted is not None and not form.errors:
            facts = with_plates(CaseFacts(keeper=form.values["keeper"]), wanted)
            case = _save(session, desk, held, CaseKind.CHANGE, facts)
    if case is None:
        return _plate_page(desk, held, form, reading, status=_WRONG if is_open else _CONFLICT)
    return desk.go(f"{COUNTER}/{case.id}/evidence")


@get(_ONE + "/renew", sync_to_thread=True)
def ask_term(request: AnyRequest, type_id: FromPath[str], number: FromPath[str]) -> Response[Any]:
    """What a further term costs and when it runs; or why there is none."""
    desk = desk_of(request)
    with desk.application.reading() as session:
        held = _permit(session, desk.application, type_id, number)
        if held is None:
            return desk.problem(_NOT_FOUND, "NOT_FOUND")
        offer = offer_for(session, desk.application, held, Channel.COUNTER)
    return _term_page(desk, held, offer, Form.of({}, *_TERM))


@post(_ONE + "/renew", status_code=303, sync_to_thread=True)
def save_term(
    request: AnyRequest, type_id: FromPath[str], number: FromPath[str], data: FormData
) -> Response[Any]:
    """Keep the term as a draft, and go on to the evidence."""
    desk = acting_desk_of(request, data)
    application, form = desk.application, Form.of(data, *_TERM)
    case: Case | None = None
    with application.writing() as session:
        held = _permit(session, application, type_id, number)
        if held is None:
            return desk.problem(_NOT_FOUND, "NOT_FOUND")
        offer = offer_for(session, application, held, Channel.COUNTER)
        is_open = offer.stand is Stand.OPEN and offer.zone is not None
        if is_open:
            require(desk, form, "unchanged")
            if form.values["term_months"] not in {str(one.months) for one in offer.terms}:
                form.errors["term_months"] = desk.reader.say("DESK_FIELD_MISSING")
        if is_open and offer.zone is not None and not form.errors:
            row = session.get_one(PassRow, (application.tenant, type_id, number))
            months = int(form.values["term_months"])
            facts = own_cases.facts_of_pass(held, row.record, offer.zone.zone.code, months)
            case = _save(session, desk, held, CaseKind.RENEWAL, facts)
    if case is None:
        return _term_page(desk, held, offer, form, status=_WRONG if is_open else _CONFLICT)
    return desk.go(f"{COUNTER}/{case.id}/evidence")


def changes_plates(held: HeldPass) -> bool:
    """Whether the permit has a plate that can be changed now."""
    return held.is_offered and bool(own_cases.plates_of_pass(held))


def _permit(session: Session, application: Application, type_id: str, number: str) -> HeldPass | None:
    """The permit; None for a card of another type, which has neither plates nor terms of the permit office."""
    held = held_pass(session, application, type_id, number)
    return held if held is not None and own_cases.kind_of_pass(held) else None


def _wanted(
    desk: Desk, held: HeldPass, form: Form
) -> tuple[tuple[RegisteredPlate, ...] | None, PlateReading]:
    """The plates that the permit would have, and how the typed one was read; errors stand in ``form``."""
    say, values = desk.reader.say, form.values
    before = own_cases.plates_of_pass(held)
    place = values["place"] or ("0" if len(before) == 1 else "")
    if place not in {str(one) for one in range(len(before))}:
        form.errors["place"] = say("DESK_FIELD_MISSING")
    require(desk, form, "plate", "keeper")
    reading = read_plate(values["plate"], values["choice"]) if values["plate"] else PlateReading()
    if reading.choices:
        form.errors["choice"] = say("DESK_PLATE_WHICH")
    elif reading.refusal is not None:
        form.errors["plate"] = reading.refusal.sentence(desk.reader.language)
    if values["keeper"] not in ("", *_KEEPERS):
        form.errors["keeper"] = say("DESK_FIELD_MISSING")
    if form.errors or reading.plate is None:
        return None, reading
    after = (*before[: int(place)], reading.plate, *before[int(place) + 1 :])
    if after == before or len({one.plate.key for one in after}) != len(after):
        form.errors["plate"] = say("DESK_PLATE_SAME")
    return after, reading


def _change_under_way(session: Session, application: Application, held: HeldPass) -> Case | None:
    running = own_cases.under_way(
        session, application, held.pass_type.id, held.content.number, CaseKind.CHANGE
    )
    return running[0] if running else None


def _draft(
    session: Session, application: Application, type_id: str, number: str, kind: CaseKind
) -> Case | None:
    """The draft of such a case about the permit that was begun at the counter, the newest."""
    row = session.scalars(
        select(CaseRow)
        .where(
            CaseRow.tenant == application.tenant,
            CaseRow.type_id == type_id,
            CaseRow.pass_number == number,
            CaseRow.kind == kind.value,
            CaseRow.channel == Channel.COUNTER.value,
            CaseRow.state == CaseState.DRAFT.value,
        )
        .order_by(CaseRow.created_at.desc(), CaseRow.id)
        .limit(1)
    ).one_or_none()
    return None if row is None else store.case_of(row)


def _save(session: Session, desk: Desk, held: HeldPass, kind: CaseKind, facts: CaseFacts) -> Case:
    """Keep ``facts`` in the one draft of this kind about the permit."""
    application = desk.application
    tenant, type_id, number = application.tenant, held.pass_type.id, held.content.number
    by = CaseActor(desk.staff.actor, application.now())
    case = _draft(session, application, type_id, number, kind)
    if case is None:
        case = store.begin(session, tenant, kind, type_id, Channel.COUNTER, by, pass_number=number)
    person = own_cases.holder_of_pass(session, application, type_id, number)
    return steps.save_draft(session, tenant, case.id, by, facts, person)


def _plate_page(
    desk: Desk, held: HeldPass, form: Form, reading: PlateReading, *, status: int = 200
) -> Response[Any]:
    application, say = desk.application, desk.reader.say
    type_id, number = held.pass_type.id, held.content.number
    with application.reading() as session:
        running = _change_under_way(session, application, held)
        rules = CityCaseRules.of(session, application, type_id)
        left = rules.plate_changes_left(type_id, number, berlin_day(application.now()))
    plates = [spelled(one) for one in own_cases.plates_of_pass(held)]
    keepers = {one: say(f"DESK_KEEPER_{one.upper()}") for one in _KEEPERS}
    return _page(
        desk,
        held,
        "counter_plate.html",
        status=status,
        form=form,
        can_change=changes_plates(held) and running is None,
        running=running,
        plates=plates,
        places=options({str(place): one for place, one in enumerate(plates)}, form.values["place"]),
        choices=options({spelled(one): spelled(one) for one in reading.choices}, form.values["choice"]),
        keepers=options(keepers, form.values["keeper"]),
        left=left,
    )


def _term_page(desk: Desk, held: HeldPass, offer: Offer, form: Form, *, status: int = 200) -> Response[Any]:
    say, language = desk.reader.say, desk.reader.language
    terms = {
        str(one.months): say(
            "DESK_RENEW_TERM",
            months=one.months,
            first=day_text(one.first, language),
            last=day_text(one.last, language),
            fee=euros(one.cents),
        )
        for one in offer.terms
    }
    zone = own_cases.zone_of_pass(held)
    merged = offer.zone is not None and zone is not None and offer.zone.zone.code != zone.code
    return _page(
        desk,
        held,
        "counter_renew.html",
        status=status,
        form=form,
        stand=offer.stand.name,
        running=offer.case,
        opens=day_text(offer.opens, language) if offer.opens is not None else "",
        terms=options(terms, form.values["term_months"]),
        merged_into=offer.zone.zone if merged and offer.zone is not None else None,
    )


def _page(desk: Desk, held: HeldPass, template: str, *, status: int, **values: Any) -> Response[Any]:
    """A page about the permit, with what it says and whose it is; the look at it is noted."""
    type_id, number = held.pass_type.id, held.content.number
    with desk.application.reading() as session:
        person = own_cases.holder_of_pass(session, desk.application, type_id, number)
    desk.note_access(f"{type_id}/{number}")
    path = f"/office/passes/{type_id}/{number}"
    language = desk.reader.language
    address = ", ".join(person.recipient().lines[1:])
    return desk.under(("OFFICE_MENU_PASSES", "/office/passes"), (number, path)).page(
        template,
        status=status,
        path=path,
        facts=[
            (desk.reader.say("OFFICE_PASS_HOLDER"), person.name),
            *([(desk.reader.say("DESK_ADDRESS"), address)] if address else []),
            *((one.label, one.text) for one in held.fields(language)),
        ],
        **values,
    )


HANDLERS: Final = [ask_plate, save_plate, ask_term, save_term]
