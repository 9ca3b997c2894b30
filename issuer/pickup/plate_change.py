"""Another car: the holder changes a plate of the pass, which takes effect at once unless a person has to decide.

What was typed is kept as a draft of a case, so that the page to confirm shows what the register has read, and that a
confirmation counts once: whoever sends it again finds the draft handed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from litestar import Response, get, post
from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer.cases import self_service, steps, store
from issuer.cases.city import CityCaseRules
from issuer.cases.facts import CaseFacts, CaseKind, Channel, plates_of, with_plates
from issuer.cases.rules import CheckOutcome
from issuer.cases.states import CaseState
from issuer.cases.store import Case, CaseActor
from issuer.errors import IssuerRefusal, RegisterRefusal
from issuer.models_cases import CaseRow
from issuer.pickup import own_cases, proof
from issuer.pickup.guests import Guest, acting_guest_of, guest_of
from issuer.pickup.standing import held_pass
from issuer.pickup.visits import ACTOR
from issuer.plate_reading import PlateReading, read_plate, spelled
from issuer.web.forms import Form, FormData, text_of
from issuer.web.reader import AnyRequest
from passes.model import RegisteredPlate
from passes.periods import berlin_day

PATH: Final = "/p/pass/plate"
_FIELDS: Final = ("place", "plate", "choice", "keeper")
_KEEPERS: Final = ("holder", "other")
_CONFLICT: Final = 409
_WRONG: Final = 422


@get(PATH, sync_to_thread=True)
def show_form(request: AnyRequest) -> Response[Any]:
    """The plates of the pass, each with a place for another one beside it."""
    guest = guest_of(request)
    if not is_offered(guest):
        return guest.reader.problem(_CONFLICT, "NOT_OFFERED")
    with guest.application.reading() as session:
        running = own_cases.under_way(
            session, guest.application, guest.visit.type_id, guest.visit.number, CaseKind.CHANGE
        )
    if running:
        return guest.page("plate_waits.html", case=running[0])
    return _form_page(guest, Form.of({}, *_FIELDS), PlateReading())


@post(PATH + "/check", status_code=200, sync_to_thread=True)
def check_typed(request: AnyRequest, data: FormData) -> Response[Any]:
    """What the register reads in the field as it stands: the part of the page that a script asks for."""
    guest = acting_guest_of(request, data)
    form = Form.of(data, *_FIELDS)
    reading = (
        read_plate(form.values["plate"], form.values["choice"]) if form.values["plate"] else PlateReading()
    )
    return guest.page("plate_reading.html", reading=_shown(guest, reading))


@post(PATH, status_code=303, sync_to_thread=True)
def send_form(request: AnyRequest, data: FormData) -> Response[Any]:
    """Keep what was typed as a draft, and go on to confirm it; or say what is wrong with it."""
    guest = acting_guest_of(request, data)
    if not is_offered(guest):
        return guest.reader.problem(_CONFLICT, "NOT_OFFERED")
    form = Form.of(data, *_FIELDS)
    wanted, reading = _wanted(guest, form)
    if form.errors or wanted is None:
        return _form_page(guest, form, reading, status=_WRONG)
    facts = with_plates(CaseFacts(keeper=form.values["keeper"]), wanted)
    try:
        with guest.application.writing() as session:
            guest.check(session)
            _save(session, guest, facts)
    except IssuerRefusal as refusal:
        return own_cases.refused(guest.reader, refusal)
    return guest.reader.go(PATH + "/confirm")


@get(PATH + "/confirm", sync_to_thread=True)
def ask_to_confirm(request: AnyRequest) -> Response[Any]:
    """The old plate and the new one side by side, what the change does and from when, and the button."""
    guest = guest_of(request)
    with guest.application.reading() as session:
        draft = _draft(session, guest)
    if draft is None or not is_offered(guest):
        return guest.reader.go(PATH)
    return _confirm_page(guest, draft, Form.of({}, *proof.FIELDS))


@post(PATH + "/confirm", status_code=303, sync_to_thread=True)
def confirm(request: AnyRequest, data: FormData) -> Response[Any]:
    """Change the plate, once: at once, or by a clerk where the rules leave it to one."""
    guest = acting_guest_of(request, data)
    application = guest.application
    form = Form.of(data, *proof.FIELDS)
    try:
        with application.writing() as session:
            guest.check(session)
            case = _about(session, guest, text_of(data, "case"))
            if case is None:
                return guest.reader.go(PATH)
            if case.state is not CaseState.DRAFT:
                # The same form for the second time: what it asked for is done.
                return _done(session, guest, case)
            if text_of(data, "version") != str(case.version) or _swapped(session, guest, case) is None:
                return guest.reader.go(PATH + "/confirm")
            proof.check(session, guest, form)
            if not form.errors:
                actor = CaseActor(ACTOR, application.now(), case.version)
                rules = CityCaseRules.of(session, application, case.type_id)
                case = self_service.hand_in(session, application, case.id, actor, rules, decided_by=ACTOR)
                return _done(session, guest, case)
    except (IssuerRefusal, RegisterRefusal) as refusal:
        return own_cases.refused(guest.reader, refusal)
    return _confirm_page(guest, case, form, status=_WRONG)


def is_offered(guest: Guest) -> bool:
    """Whether the pass has a plate that its holder may change here."""
    return guest.held.is_offered and bool(own_cases.plates_of_pass(guest.held))


@dataclass(frozen=True, slots=True)
class Swap:
    """The plate that goes and the one that comes."""

    old: RegisteredPlate
    new: RegisteredPlate


def _wanted(guest: Guest, form: Form) -> tuple[tuple[RegisteredPlate, ...] | None, PlateReading]:
    """The plates that the pass would have, and how the typed one was read; errors stand in ``form``."""
    held = own_cases.plates_of_pass(guest.held)
    place = form.values["place"] or ("0" if len(held) == 1 else "")
    if place not in {str(one) for one in range(len(held))}:
        form.errors["place"] = "HOLDER_PLATE_PLACE"
    reading = PlateReading()
    if not form.values["plate"]:
        form.errors["plate"] = "HOLDER_PLATE_MISSING"
    else:
        reading = read_plate(form.values["plate"], form.values["choice"])
        if reading.choices:
            form.errors["choice"] = "HOLDER_PLATE_WHICH"
        elif reading.plate is None:
            form.errors["plate"] = "HOLDER_PLATE_NONE"
        elif _is_on(reading.plate, held, place):
            form.errors["plate"] = "HOLDER_PLATE_SAME"
    if form.values["keeper"] not in _KEEPERS:
        form.errors["keeper"] = "HOLDER_KEEPER_MISSING"
    if form.errors or reading.plate is None:
        return None, reading
    return (*held[: int(place)], reading.plate, *held[int(place) + 1 :]), reading


def _is_on(plate: RegisteredPlate, held: tuple[RegisteredPlate, ...], place: str) -> bool:
    """Whether the pass has this plate already; in its own place another season is another one."""
    return any(
        one == plate if str(other) == place else one.plate == plate.plate for other, one in enumerate(held)
    )


def _save(session: Session, guest: Guest, facts: CaseFacts) -> None:
    """Keep ``facts`` in the pass's one draft of a change."""
    application, visit = guest.application, guest.visit
    actor = CaseActor(ACTOR, application.now())
    case = _draft(session, guest)
    if case is None:
        case = store.begin(
            session,
            application.tenant,
            CaseKind.CHANGE,
            visit.type_id,
            Channel.ONLINE,
            actor,
            pass_number=visit.number,
        )
    person = own_cases.holder_of_pass(session, application, visit.type_id, visit.number)
    steps.save_draft(session, application.tenant, case.id, actor, facts, person)


def _draft(session: Session, guest: Guest) -> Case | None:
    """The draft of a change of this pass, if there is one."""
    visit = guest.visit
    row = session.scalars(
        select(CaseRow)
        .where(
            CaseRow.tenant == guest.application.tenant,
            CaseRow.type_id == visit.type_id,
            CaseRow.pass_number == visit.number,
            CaseRow.kind == CaseKind.CHANGE.value,
            CaseRow.channel == Channel.ONLINE.value,
            CaseRow.state == CaseState.DRAFT.value,
        )
        .order_by(CaseRow.created_at.desc(), CaseRow.id)
        .limit(1)
    ).one_or_none()
    return None if row is None else store.case_of(row)


def _about(session: Session, guest: Guest, case_id: str) -> Case | None:
    """The change with ``case_id`` if it is about this pass."""
    try:
        case = store.find(session, guest.application.tenant, case_id)
    except IssuerRefusal:
        return None
    visit = guest.visit
    is_ours = (case.type_id, case.pass_number, case.kind) == (visit.type_id, visit.number, CaseKind.CHANGE)
    return case if is_ours else None


def _swapped(session: Session, guest: Guest, case: Case) -> Swap | None:
    """The one plate that ``case`` changes of the pass as it is now; None if that is not what it does any more."""
    held = held_pass(session, guest.application, guest.visit.type_id, guest.visit.number)
    before = own_cases.plates_of_pass(held) if held is not None else ()
    after = plates_of(case.facts)
    if len(before) != len(after):
        return None
    different = [Swap(old, new) for old, new in zip(before, after, strict=True) if old != new]
    return different[0] if len(different) == 1 else None


def _done(session: Session, guest: Guest, case: Case) -> Response[Any]:
    """Where a change leads that was handed in."""
    if case.state is CaseState.ISSUED:
        return guest.reader.go("/p/pass", done="plate")
    return own_cases.hand_over(session, guest, case)


def _form_page(guest: Guest, form: Form, reading: PlateReading, *, status: int = 200) -> Response[Any]:
    with guest.application.reading() as session:
        rules = CityCaseRules.of(session, guest.application, guest.visit.type_id)
        day = berlin_day(guest.application.now())
        left = rules.plate_changes_left(guest.visit.type_id, guest.visit.number, day)
    return guest.page(
        "plate.html",
        status=status,
        form=form,
        plates=[spelled(one) for one in own_cases.plates_of_pass(guest.held)],
        reading=_shown(guest, reading),
        left=left,
    )


def _confirm_page(guest: Guest, case: Case, form: Form, *, status: int = 200) -> Response[Any]:
    application, visit = guest.application, guest.visit
    with application.reading() as session:
        swap = _swapped(session, guest, case)
        if swap is None:
            return guest.reader.go(PATH)
        rules = CityCaseRules.of(session, application, case.type_id)
        day = berlin_day(application.now())
        left = rules.plate_changes_left(visit.type_id, visit.number, day)
        person = own_cases.holder_of_pass(session, application, visit.type_id, visit.number)
        checks = rules.change_checks(visit.type_id, visit.number, case.facts, person, day)
    return guest.page(
        "plate_confirm.html",
        status=status,
        form=form,
        case=case,
        old=spelled(swap.old),
        new=spelled(swap.new),
        left=left,
        needs_evidence=any(one.outcome is not CheckOutcome.CONFIRMED for one in checks),
        needs_proof=proof.is_needed(guest),
    )


def _shown(guest: Guest, reading: PlateReading) -> dict[str, Any]:
    """A reading in words for the templates."""
    return {
        "plate": spelled(reading.plate) if reading.plate is not None else "",
        "choices": [spelled(one) for one in reading.choices],
        "refusal": reading.refusal.sentence(guest.reader.language) if reading.refusal is not None else "",
    }


HANDLERS: Final = [show_form, check_typed, send_form, ask_to_confirm, confirm]
