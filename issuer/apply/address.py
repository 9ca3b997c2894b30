"""The first question: where somebody lives, which decides the zone. A part of the page answers while one types."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from litestar import Response, get, post
from msgspec.structs import replace as with_facts

from issuer.apply.answers import Answers
from issuer.apply.asking import ask, changing_of, go_on, kind_of, rules_of
from issuer.apply.forms import PageForm
from issuer.apply.guests import Guest, acting_guest_of, drafting_guest_of
from issuer.apply.journey import Page
from issuer.apply.zone_answer import ZoneAnswer, answer_for
from issuer.cases.facts import CaseFacts
from issuer.holders import Holder
from issuer.rules.addresses import Address, ZoneFound
from issuer.rules.kinds import KindRules
from issuer.web.reader import AnyRequest
from passes.names import FieldKind

_FIELDS: Final = ("street", "house_number", "postal_code", "street_choice", "postal_code_choice", "change")


@get("/apply/address", sync_to_thread=True)
def address(request: AnyRequest) -> Response[Any]:
    """The form, with what is known."""
    guest = drafting_guest_of(request)
    person = guest.person
    known = (
        {"street": person.street, "house_number": person.house_number, "postal_code": person.postal_code}
        if person is not None
        else {}
    )
    answers = Answers.of(known, guest.reader.say, *_FIELDS)
    with guest.application.reading() as session:
        rules = rules_of(session, guest)
        kind = kind_of(guest, rules)
        told = _told(guest, answers)[0] if answers.values["street"] else None
    return _page(guest, answers, kind, told)


@post("/apply/address/zone", status_code=200, sync_to_thread=True)
def zone(request: AnyRequest, data: PageForm) -> Response[Any]:
    """What the directory says to what has been typed so far: the part of the page that answers it."""
    guest = acting_guest_of(request, data)
    answers = Answers.of(data, guest.reader.say, *_FIELDS)
    told = _told(guest, answers)[0] if answers.values["street"] else None
    return guest.page("address_answer.html", form=answers, **_shown(guest, told))


@post("/apply/address", status_code=303, sync_to_thread=True)
def save_address(request: AnyRequest, data: PageForm) -> Response[Any]:
    """Keep the address in the directory's spelling with its zone; without a zone say why, and what to do."""
    guest = drafting_guest_of(request, data)
    answers = Answers.of(data, guest.reader.say, *_FIELDS)
    told, kind = _told(guest, answers)
    found = told.found if told is not None else None
    if told is None or found is None:
        if told is not None:
            answers.errors.setdefault(told.field, told.sentence(answers.say))
        return _page(guest, answers, kind, told)
    from_day = told.from_day

    def change(facts: CaseFacts, person: Holder | None) -> tuple[CaseFacts, Holder | None]:
        asks = person or Holder("", "", language=guest.reader.language)
        first_day = from_day if from_day is not None else facts.first_day
        return with_facts(facts, zone=found.zone.zone.code, first_day=first_day), _at(asks, found, guest)

    saved = guest.save(change)
    return go_on(guest, Page.ADDRESS, saved, changing_of(data))


def _told(guest: Guest, answers: Answers) -> tuple[ZoneAnswer | None, KindRules | None]:
    """What the directory says to the fields; None, and noted, where they hold what no address can."""
    values = answers.values
    # What was chosen from the suggestions counts, whatever stands in the field above.
    values["street"] = values["street_choice"] or values["street"]
    values["postal_code"] = values["postal_code_choice"] or values["postal_code"]
    if not values["street"]:
        answers.wrong("street", "APPLY_STREET_MISSING")
    if values["postal_code"] and not (
        values["postal_code"].isascii()
        and values["postal_code"].isdigit()
        and len(values["postal_code"]) == 5
    ):
        answers.wrong("postal_code", "POSTAL_CODE_FORMAT")
    street = answers.tidy("street", FieldKind.ADDRESS)
    number = answers.tidy("house_number", FieldKind.ADDRESS)
    with guest.application.reading() as session:
        rules = rules_of(session, guest)
        kind = kind_of(guest, rules)
        if answers.errors:
            return None, kind
        asked = Address(street, number, values["postal_code"])
        # Whoever has chosen a first day and then another address gets the zone of that day.
        begins = max(guest.case.facts.first_day or guest.today, guest.today)
        return answer_for(session, guest.tenant, rules, asked, begins, guest.today), kind


def _at(person: Holder, found: ZoneFound, guest: Guest) -> Holder:
    return replace(
        person,
        street=found.street,
        house_number=found.house_number,
        postal_code=found.postal_code,
        city=guest.reader.settings.city_name,
    )


def _page(guest: Guest, answers: Answers, kind: KindRules | None, told: ZoneAnswer | None) -> Response[Any]:
    return ask(guest, Page.ADDRESS, answers, kind, **_shown(guest, told))


def _shown(guest: Guest, told: ZoneAnswer | None) -> dict[str, Any]:
    settings = guest.reader.settings
    contact = settings.contact or settings.city_name
    return {
        "answer": told,
        "sentence": told.sentence(guest.reader.say) if told is not None else "",
        "advice": told.advice(guest.reader.say, contact) if told is not None else [],
    }


HANDLERS: Final = [address, zone, save_address]
