"""Whose car it is, and whether somebody lives here mainly: what decides which evidence there has to be."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get, post
from msgspec.structs import replace

from issuer.apply.answers import Answers
from issuer.apply.asking import ask, changing_of, go_on, kind_of, rules_of
from issuer.apply.forms import PageForm
from issuer.apply.guests import Guest, drafting_guest_of
from issuer.apply.journey import Page
from issuer.cases.facts import CaseFacts
from issuer.holders import Holder
from issuer.rules.kinds import KindRules
from issuer.web.reader import AnyRequest

_FIELDS: Final = ("keeper", "residence", "change")
_KEEPERS: Final = ("holder", "other")
_RESIDENCES: Final = ("main", "secondary")


@get("/apply/car", sync_to_thread=True)
def car(request: AnyRequest) -> Response[Any]:
    """The form, with what is known."""
    guest = drafting_guest_of(request)
    facts = guest.case.facts
    known = {"keeper": facts.keeper, "residence": facts.residence}
    return _page(guest, Answers.of(known, guest.reader.say, *_FIELDS), _kind(guest))


@post("/apply/car", status_code=303, sync_to_thread=True)
def save_car(request: AnyRequest, data: PageForm) -> Response[Any]:
    """Keep both answers."""
    guest = drafting_guest_of(request, data)
    answers, kind = Answers.of(data, guest.reader.say, *_FIELDS), _kind(guest)
    if kind is None:
        return guest.reader.go(Page.KIND.path)
    # A permit without a plate is for vehicles that somebody else keeps: an employer, an organisation.
    keeper = answers.choice("keeper", _KEEPERS, "APPLY_CHOOSE_KEEPER") if kind.plates else "other"
    residence = answers.choice("residence", _RESIDENCES, "APPLY_CHOOSE_RESIDENCE")
    if residence == "secondary" and kind.residence == "main":
        answers.wrong("residence", "ELIGIBILITY_SECONDARY_RESIDENCE")
    if answers.errors:
        return _page(guest, answers, kind)

    def change(facts: CaseFacts, person: Holder | None) -> tuple[CaseFacts, Holder | None]:
        return replace(facts, keeper=keeper, residence=residence), person

    return go_on(guest, Page.CAR, guest.save(change), changing_of(data))


def _kind(guest: Guest) -> KindRules | None:
    with guest.application.reading() as session:
        return kind_of(guest, rules_of(session, guest))


def _page(guest: Guest, answers: Answers, kind: KindRules | None) -> Response[Any]:
    if kind is None:
        return guest.reader.go(Page.KIND.path)
    return ask(guest, Page.CAR, answers, kind, asks_keeper=bool(kind.plates))


HANDLERS: Final = [car, save_car]
