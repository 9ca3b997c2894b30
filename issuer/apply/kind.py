"""Which kind of permit: what the city offers online, each with what it is for."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get, post
from msgspec.structs import replace

from issuer.apply.answers import Answers
from issuer.apply.asking import ask, changing_of, go_on, online_kinds, rules_of
from issuer.apply.forms import PageForm
from issuer.apply.guests import Guest, drafting_guest_of
from issuer.apply.journey import Page
from issuer.cases.facts import CaseFacts
from issuer.holders import Holder
from issuer.rules.kinds import KindRules
from issuer.web.reader import AnyRequest

_FIELDS: Final = ("permit_kind", "change")


@get("/apply/kind", sync_to_thread=True)
def kind(request: AnyRequest) -> Response[Any]:
    """The form, with what is known."""
    guest = drafting_guest_of(request)
    answers = Answers.of({"permit_kind": guest.case.facts.permit_kind}, guest.reader.say, *_FIELDS)
    return _page(guest, answers, _kinds(guest))


@post("/apply/kind", status_code=303, sync_to_thread=True)
def save_kind(request: AnyRequest, data: PageForm) -> Response[Any]:
    """Keep the kind; what another kind does not have is forgotten."""
    guest = drafting_guest_of(request, data)
    answers, kinds = Answers.of(data, guest.reader.say, *_FIELDS), _kinds(guest)
    chosen = answers.choice("permit_kind", tuple(kinds), "APPLY_CHOOSE_KIND")
    if answers.errors:
        return _page(guest, answers, kinds)
    rules = kinds[chosen]

    def change(facts: CaseFacts, person: Holder | None) -> tuple[CaseFacts, Holder | None]:
        return fitted(facts, rules), person

    return go_on(guest, Page.KIND, guest.save(change), changing_of(data))


def fitted(facts: CaseFacts, rules: KindRules) -> CaseFacts:
    """``facts`` for the kind with ``rules``: without plates, organisation or term that it does not have."""
    if facts.permit_kind == rules.id:
        return facts
    return replace(
        facts,
        permit_kind=rules.id,
        plates=facts.plates[: rules.plates],
        organisation=facts.organisation if rules.organisation else "",
        term_months=facts.term_months if facts.term_months in rules.terms else 0,
        # Who keeps a vehicle is asked only where there is one of the holder's.
        keeper=facts.keeper if rules.plates else "",
    )


def _kinds(guest: Guest) -> dict[str, KindRules]:
    with guest.application.reading() as session:
        return online_kinds(guest, rules_of(session, guest))


def _page(guest: Guest, answers: Answers, kinds: dict[str, KindRules]) -> Response[Any]:
    chosen = kinds.get(guest.case.facts.permit_kind)
    return ask(guest, Page.KIND, answers, chosen, kinds=kinds)


HANDLERS: Final = [kind, save_kind]
