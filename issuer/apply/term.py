"""How long and from when, with what it costs: before anything is paid, and before anything is handed in."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get, post
from msgspec.structs import replace

from issuer.apply.answers import Answers
from issuer.apply.asking import amount, ask, changing_of, fees_of, go_on, kind_of, rules_of
from issuer.apply.forms import PageForm
from issuer.apply.guests import Guest, drafting_guest_of
from issuer.apply.journey import Page
from issuer.apply.zone_answer import FARTHEST
from issuer.cases.facts import CaseFacts
from issuer.holders import Holder
from issuer.rules.addresses import Address, ZoneFound
from issuer.rules.directory import find_address
from issuer.rules.kinds import KindRules
from issuer.web.reader import AnyRequest
from passes.display import day_text

_FIELDS: Final = ("term_months", "day", "month", "year", "change")


@get("/apply/term", sync_to_thread=True)
def term(request: AnyRequest) -> Response[Any]:
    """The form, with what is known; as first day today, if nothing else has been said."""
    guest = drafting_guest_of(request)
    facts = guest.case.facts
    first = max(facts.first_day or guest.today, guest.today)
    known = {
        "term_months": str(facts.term_months or ""),
        "day": str(first.day), "month": str(first.month), "year": str(first.year),
    }  # fmt: skip
    return _page(guest, Answers.of(known, guest.reader.say, *_FIELDS))


@post("/apply/term", status_code=303, sync_to_thread=True)
def save_term(request: AnyRequest, data: PageForm) -> Response[Any]:
    """Keep both; the zone is that of the first day, since an area may belong to another one by then."""
    guest = drafting_guest_of(request, data)
    answers = Answers.of(data, guest.reader.say, *_FIELDS)
    kind, fees = _offered(guest)
    if kind is None or guest.person is None:
        return guest.reader.go(Page.KIND.path)
    months = answers.choice("term_months", tuple(map(str, fees)), "APPLY_CHOOSE_TERM")
    first = answers.day()
    if first is not None and not guest.today <= first <= guest.today + FARTHEST:
        last = day_text(guest.today + FARTHEST, answers.say.language)
        answers.wrong("day", "APPLY_DAY_RANGE", first=day_text(guest.today, answers.say.language), last=last)
    zone = guest.case.facts.zone
    if first is not None and not answers.errors:
        with guest.application.reading() as session:
            asks = guest.person
            place = Address(asks.street, asks.house_number, asks.postal_code)
            there = find_address(session, guest.tenant, place, first, rules_of(session, guest).zones)
        if isinstance(there, ZoneFound):
            zone = there.zone.zone.code
        else:
            answers.errors.setdefault("day", there.sentence(answers.say.language))
    if answers.errors:
        return _page(guest, answers)

    def change(facts: CaseFacts, person: Holder | None) -> tuple[CaseFacts, Holder | None]:
        return replace(facts, term_months=int(months), first_day=first, zone=zone), person

    return go_on(guest, Page.TERM, guest.save(change), changing_of(data))


def _offered(guest: Guest) -> tuple[KindRules | None, dict[int, int]]:
    with guest.application.reading() as session:
        rules = rules_of(session, guest)
        kind = kind_of(guest, rules)
        return kind, fees_of(guest, rules, kind) if kind is not None else {}


def _page(guest: Guest, answers: Answers) -> Response[Any]:
    kind, fees = _offered(guest)
    if kind is None:
        return guest.reader.go(Page.KIND.path)
    terms = [(months, amount(cents, guest.reader.language)) for months, cents in fees.items()]
    return ask(guest, Page.TERM, answers, kind, terms=terms, zone=guest.case.facts.zone)


HANDLERS: Final = [term, save_term]
