"""The counter: a permit for somebody without phone or mail, from the first word to the print in their hand.

The same case, facts and checks as online, by another channel. Evidence is seen, not kept: a clerk ticks its type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any, Final

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath
from sqlalchemy.orm import Session

from issuer.cases import steps
from issuer.cases.city import CityCaseRules
from issuer.cases.facts import CaseFacts, CaseKind, Channel, PlateFact, missing, plates_of, with_plates
from issuer.cases.store import Case, CaseActor, applicant, begin, case_of, take
from issuer.console import case_words as words
from issuer.console.counter_evidence import PATH, counter_draft, must_be_ours
from issuer.console.desk import Desk, acting_desk_of, desk_of
from issuer.console.fields import day_of, note_refusal, options, require, version_of
from issuer.errors import IssuerRefusal
from issuer.holders import Holder
from issuer.payments.pages import euros
from issuer.presentations.asking import can_ask
from issuer.presentations.wishes import Wish
from issuer.rules.addresses import Address, NoZoneHere, ZoneFound
from issuer.rules.directory import find_address
from issuer.rules.kinds import kind_table
from issuer.tariffs import TariffZone, zones
from issuer.web.forms import Form, FormData
from issuer.web.reader import AnyRequest
from keys.errors import Refusal
from passes.names import FieldKind, normalise
from passes.periods import berlin_day

_CRUMB: Final = ("OFFICE_MENU_COUNTER", PATH)
_WRONG: Final = 422
_PERSON: Final = (
    "given_name", "family_name", "doctoral_degree", "street", "house_number", "postal_code", "city", "email",
    "language", "zone",
)  # fmt: skip
_PERMIT: Final = (
    "permit_kind", "plate_1", "season_1", "plate_2", "season_2", "organisation", "keeper", "residence",
    "term_months", "first_day", "first_month", "first_year",
)  # fmt: skip
_NAMES: Final = ("given_name", "family_name", "doctoral_degree")
_KEEPERS: Final = ("holder", "other")
_RESIDENCES: Final = ("main", "secondary")
# How many days ahead a permit may begin.
_AHEAD: Final = 60


@get(PATH, sync_to_thread=True)
def ask_person(request: AnyRequest) -> Response[Any]:
    """Who stands at the counter, and where they live."""
    form = Form.of({}, *_PERSON)
    form.values["language"] = "de"
    return _person_page(desk_of(request), form)


@post(PATH, status_code=303, sync_to_thread=True)
def begin_case(request: AnyRequest, data: FormData) -> Response[Any]:
    """Begin the case: the address says which zone."""
    desk = acting_desk_of(request, data)
    application, form = desk.application, Form.of(data, *_PERSON)
    require(desk, form, "given_name", "family_name", "street", "house_number", "postal_code", "city")
    if form.values["language"] not in ("de", "en"):
        form.values["language"] = "de"
    person = _person(desk, form)
    if form.errors:
        return _person_page(desk, form, status=_WRONG)
    with application.writing() as session:
        known = zones(session, application.tenant)
        person, zone = _zone(desk, session, form, person, known)
        type_id = _permit_type(desk, session)
        if form.errors or type_id is None:
            return _person_page(desk, form, status=_WRONG)
        by = CaseActor(desk.staff.actor, application.now())
        case = begin(session, application.tenant, CaseKind.NEW, type_id, Channel.COUNTER, by)
        steps.save_draft(session, application.tenant, case.id, by, CaseFacts(zone=zone), person)
    return desk.go(f"{PATH}/{case.id}/permit")


@get(PATH + "/{case_id:str}/permit", sync_to_thread=True)
def ask_permit(request: AnyRequest, case_id: FromPath[str]) -> Response[Any]:
    """Which permit, for which car, from when and how long."""
    desk = desk_of(request)
    case = _draft(desk, case_id)
    if case is None:
        return desk.go(f"/office/cases/{case_id}")
    return _permit_page(desk, case, _form_of(case.facts, desk))


@post(PATH + "/{case_id:str}/permit", status_code=303, sync_to_thread=True)
def save_permit(request: AnyRequest, case_id: FromPath[str], data: FormData) -> Response[Any]:
    """Keep what was said, if it can be a permit."""
    desk = acting_desk_of(request, data)
    application, form = desk.application, Form.of(data, *_PERMIT)
    case = _draft(desk, case_id)
    if case is None:
        return desk.go(f"/office/cases/{case_id}")
    facts = _facts(desk, form, case.facts)
    if not form.errors:
        try:
            with application.writing() as session:
                rules = CityCaseRules.of(session, application, case.type_id)
                day = berlin_day(application.now())
                _fits(desk, form, rules, facts, day)
                rules.fee_cents(case.kind, facts, case.channel, day)
                by = CaseActor(desk.staff.actor, application.now(), version_of(data))
                if not form.errors:
                    must_be_ours(case_of(take(session, application.tenant, case_id, by.version)))
                    steps.save_draft(session, application.tenant, case_id, by, facts)
        except IssuerRefusal as refusal:
            if refusal.code in ("CASE_MOVED", "CASE_STEP"):
                return desk.go(f"{PATH}/{case_id}/permit")
            note_refusal(desk, form, "term_months" if refusal.code == "CASE_FEE" else "permit_kind", refusal)
    if form.errors:
        return _permit_page(desk, case, form, status=_WRONG)
    return desk.go(f"{PATH}/{case_id}/evidence")


def _person(desk: Desk, form: Form) -> Holder:
    values = {name: form.values[name] for name in _PERSON if name != "zone"}
    for name, text in values.items():
        kind = FieldKind.NAME if name in _NAMES else FieldKind.ADDRESS
        if name in ("email", "language") or not text:
            continue
        try:
            values[name] = normalise(text, kind)
        except Refusal as refusal:
            note_refusal(desk, form, name, refusal)
    if values["email"] and "@" not in values["email"]:
        form.errors["email"] = desk.reader.say("DESK_MAIL_WRONG")
    if values["postal_code"] and not (values["postal_code"].isdecimal() and len(values["postal_code"]) == 5):
        form.errors["postal_code"] = desk.reader.say("POSTAL_CODE_FORMAT")
    return Holder(ref="", **values)


def _zone(
    desk: Desk, session: Session, form: Form, person: Holder, known: Mapping[str, TariffZone]
) -> tuple[Holder, str]:
    """The person with the directory's spelling of their address, and its zone; noted in ``form`` if there is none.

    What the directory does not know may still be an address: then the clerk says the zone, and evidence is asked for.
    """
    address = Address(person.street, person.house_number, person.postal_code)
    today = berlin_day(desk.application.now())
    found = find_address(session, desk.application.tenant, address, today, known)
    if isinstance(found, ZoneFound):
        spelled = replace(
            person, street=found.street, house_number=found.house_number, postal_code=found.postal_code
        )
        return spelled, found.zone.zone.code
    if form.values["zone"] in known and not isinstance(found, NoZoneHere):
        return person, form.values["zone"]
    form.errors["street"] = found.sentence(desk.reader.language)
    return person, ""


def _permit_type(desk: Desk, session: Session) -> str | None:
    """The pass type that has permit kinds."""
    application = desk.application
    there = (one.id for one in application.pass_types)
    return next((one for one in there if kind_table(session, application.tenant, one).shipped), None)


def _draft(desk: Desk, case_id: str) -> Case | None:
    """The draft of a new permit that the flow is about; None where the case is none any more."""
    case = counter_draft(desk, case_id)
    return case if case is not None and case.kind is CaseKind.NEW else None


def _form_of(facts: CaseFacts, desk: Desk) -> Form:
    first = facts.first_day or berlin_day(desk.application.now())
    values = dict.fromkeys(_PERMIT, "") | {
        "permit_kind": facts.permit_kind,
        "organisation": facts.organisation,
        "keeper": facts.keeper,
        "residence": facts.residence,
        "term_months": str(facts.term_months or ""),
        "first_day": str(first.day),
        "first_month": str(first.month),
        "first_year": str(first.year),
    }
    for place, one in enumerate(facts.plates, start=1):
        values |= {f"plate_{place}": one.plate, f"season_{place}": one.season or ""}
    return Form(values)


def _facts(desk: Desk, form: Form, before: CaseFacts) -> CaseFacts:
    """What the form says; faults are noted in it."""
    say, values = desk.reader.say, form.values
    require(desk, form, "permit_kind", "keeper", "residence", "term_months")
    first = day_of(desk, form, "first")
    today = berlin_day(desk.application.now())
    if first is not None and not 0 <= (first - today).days <= _AHEAD:
        form.errors["first_day"] = say("DESK_DAY_RANGE", days=_AHEAD)
    if values["keeper"] not in ("", *_KEEPERS) or values["residence"] not in ("", *_RESIDENCES):
        raise IssuerRefusal("CASE_INCOMPLETE", fields="keeper, residence")
    months = values["term_months"]
    facts = CaseFacts(
        zone=before.zone,
        permit_kind=values["permit_kind"][:40],
        organisation=values["organisation"],
        keeper=values["keeper"],
        residence=values["residence"],
        term_months=int(months) if months.isascii() and months.isdecimal() and len(months) < 4 else 0,
        first_day=first,
    )
    plates: list[PlateFact] = []
    for place in (1, 2):
        if not values[f"plate_{place}"]:
            continue
        one = PlateFact(values[f"plate_{place}"][:40], values[f"season_{place}"][:40] or None)
        try:
            plates_of(msgspec.structs.replace(facts, plates=(one,)))
            plates.append(one)
        except Refusal as refusal:
            note_refusal(desk, form, f"plate_{place}", refusal)
    if form.errors:
        return facts
    facts = msgspec.structs.replace(facts, plates=tuple(plates))
    try:
        facts = with_plates(facts, plates_of(facts))
    except Refusal as refusal:
        note_refusal(desk, form, "plate_2", refusal)
    for name in missing(CaseKind.NEW, facts):
        form.errors["plate_1" if name == "plates" else name] = say("DESK_FIELD_MISSING")
    return facts


def _fits(desk: Desk, form: Form, rules: CityCaseRules, facts: CaseFacts, day: date) -> None:
    """Note what the kind of permit does not go with. Raises IssuerRefusal KIND_UNKNOWN."""
    say, kind = desk.reader.say, rules.rules.kind(facts.permit_kind, day)
    if len(facts.plates) != kind.plates:
        field = "plate_2" if len(facts.plates) else "plate_1"
        form.errors[field] = say("DESK_PLATES_NUMBER", count=kind.plates)
    if facts.term_months not in rules.rules.terms(kind.id, facts.zone, Channel.COUNTER.value, day):
        form.errors["term_months"] = say("DESK_TERM_OF_KIND")


def _person_page(desk: Desk, form: Form, *, status: int = 200) -> Response[Any]:
    with desk.application.reading() as session:
        known = zones(session, desk.application.tenant)
        has_wallet = can_ask(session, desk.application, Wish.RESIDENCE_CERTIFICATE)
    places = {"": desk.reader.say("DESK_ZONE_BY_ADDRESS")}
    places |= {code: f"{code} {one.zone.name}" for code, one in sorted(known.items())}
    say = desk.reader.say
    languages = {"de": say("DESK_LANGUAGE_DE"), "en": say("DESK_LANGUAGE_EN")}
    return desk.page(
        "counter_person.html",
        status=status,
        form=form,
        places=options(places, form.values["zone"]),
        languages=options(languages, form.values["language"]),
        has_wallet=has_wallet,
    )


def _permit_page(desk: Desk, case: Case, form: Form, *, status: int = 200) -> Response[Any]:
    application, say, language = desk.application, desk.reader.say, desk.reader.language
    today = berlin_day(application.now())
    with application.reading() as session:
        rules = CityCaseRules.of(session, application, case.type_id).rules
        person = applicant(session, application.tenant, case.id)
    known = {name: one for name, one in rules.kinds.on(today).items() if case.channel.value in one.channels}
    kinds = {name: words.kind_label(application, case.type_id, name, language) for name in known}
    offered = {
        months for name in known for months in rules.terms(name, case.facts.zone, case.channel.value, today)
    }
    terms = {}
    for months in sorted(offered):
        price = rules.fees.fee(_tariff_class(rules.zones, case.facts.zone), case.channel.value, months, today)
        text = say("DESK_MONTHS", months=months)
        terms[str(months)] = text if price is None else f"{text}, {euros(price)}"
    return desk.under(_CRUMB).page(
        "counter_permit.html",
        status=status,
        case=case,
        seen=0,
        form=form,
        asks=words.person_lines(person, say),
        zone=case.facts.zone,
        kinds=options(kinds, form.values["permit_kind"]),
        terms=options(terms, form.values["term_months"]),
        keepers=options({one: say(f"DESK_KEEPER_{one.upper()}") for one in _KEEPERS}, form.values["keeper"]),
        residences=options(
            {one: say(f"DESK_RESIDENCE_{one.upper()}") for one in _RESIDENCES}, form.values["residence"]
        ),
    )


def _tariff_class(known: Mapping[str, TariffZone], code: str) -> str:
    return known[code].tariff_class if code in known else ""


HANDLERS: Final = [ask_person, begin_case, ask_permit, save_permit]
