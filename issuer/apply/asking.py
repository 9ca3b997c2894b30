"""What the pages with questions share: the city's rules for a draft, the frame of a page, and where to go next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from litestar import Response
from sqlalchemy.orm import Session

from issuer.apply import journey
from issuer.apply.answers import Answers, line_of
from issuer.apply.guests import Guest
from issuer.apply.journey import Page
from issuer.cases.city import CityCaseRules
from issuer.cases.facts import Channel
from issuer.cases.rules import Check
from issuer.cases.store import Case, applicant
from issuer.payments.pages import euros
from issuer.rules.city_rules import CityRules, load_rules
from issuer.rules.kinds import KindRules
from issuer.rules.quotes import Quote
from issuer.web import rates

CHANNEL: Final = Channel.ONLINE.value


def rules_of(session: Session, guest: Guest) -> CityRules:
    """The city's rules for what the case is about."""
    return load_rules(session, guest.tenant, guest.case.type_id)


def kind_of(guest: Guest, rules: CityRules) -> KindRules | None:
    """The rules of the chosen kind; None where none is chosen, or the city has it no longer."""
    return online_kinds(guest, rules).get(guest.case.facts.permit_kind)


def online_kinds(guest: Guest, rules: CityRules) -> dict[str, KindRules]:
    """The kinds that can be applied for here, by id."""
    return {name: one for name, one in rules.kinds.on(guest.today).items() if CHANNEL in one.channels}


def fees_of(guest: Guest, rules: CityRules, kind: KindRules) -> dict[int, int]:
    """What each term of ``kind`` costs in the draft's zone, in cents by months; terms without a fee are left out."""
    quotes = {
        months: rules.quote(guest.case.facts.zone, CHANNEL, months, guest.today) for months in kind.terms
    }
    return {months: one.cents for months, one in quotes.items() if isinstance(one, Quote)}


def amount(cents: int, language: str) -> str:
    """An amount as people write it: ``25,00 €``, in English ``€25.00``."""
    return f"€{cents / 100:.2f}" if language == "en" else euros(cents)


def checks_of(guest: Guest) -> Sequence[Check]:
    """What registers and rules say of the draft as it is.

    Whoever types a name and an address could learn from the answer whether somebody lives there, so it is counted
    how often that changes.
    Raises TooOften; IssuerRefusal KIND_UNKNOWN; PassRefusal for a plate that is none.
    """
    if guest.person is None:
        return []
    asked = repr((guest.case.id, guest.case.facts, guest.person))
    with guest.application.writing() as session:
        if rates.take(session, guest.application, rates.CHECKS_SAME, asked):
            guest.limit(session, rates.CHECKS_OF_CASE)
            guest.limit(session, rates.CHECKS_OF_CLIENT, guest.reader.network)
    with guest.application.reading() as session:
        rules = CityCaseRules.of(session, guest.application, guest.case.type_id)
        return rules.checks(guest.case.facts, guest.person, guest.today)


def ask(
    guest: Guest, page: Page, answers: Answers, kind: KindRules | None, **values: object
) -> Response[Any]:
    """The page with ``answers``; with errors it answers 422."""
    there = journey.pages(kind)
    back = journey.before(page, kind)
    return guest.page(
        f"{page.value}.html",
        status=422 if answers.errors else 200,
        form=answers,
        place=there.index(page) + 1,
        count=len(there),
        back=back.path if back is not None else "/apply",
        changing="1" if is_changing(guest, answers) else "",
        **values,
    )


def is_changing(guest: Guest, answers: Answers) -> bool:
    """Whether somebody has come from the summary to change one thing."""
    return bool(answers.values.get("change") or guest.reader.request.query_params.get("change"))


def go_on(guest: Guest, page: Page, saved: Case, changing: bool, **query: str) -> Response[Any]:
    """On to the next page; whoever changes one thing goes back to the summary, unless that has opened another."""
    with guest.application.reading() as session:
        rules = load_rules(session, guest.tenant, saved.type_id)
        kind = online_kinds(guest, rules).get(saved.facts.permit_kind)
        person = applicant(session, guest.tenant, saved.id)
    following = journey.first_open(saved.facts, person, kind) if changing else journey.after(page, kind)
    return guest.reader.go(following.path, **query)


def changing_of(data: dict[str, Any]) -> bool:
    """Whether the form was that of somebody who changes one thing."""
    return line_of(data, "change") == "1"
