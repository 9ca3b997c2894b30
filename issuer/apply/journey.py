"""The pages of an application in their order, and which of them are done: what is missing decides where to go on."""

from __future__ import annotations

from enum import StrEnum

from issuer.cases.facts import CaseFacts
from issuer.holders import Holder
from issuer.rules.kinds import KindRules


class Page(StrEnum):
    """A page with one group of questions; the value is its path below /apply."""

    ADDRESS = "address"
    PERSON = "person"
    KIND = "kind"
    PLATES = "plates"
    CAR = "car"
    TERM = "term"
    DOCUMENTS = "documents"
    SUMMARY = "summary"

    @property
    def path(self) -> str:
        """The path of the page."""
        return f"/apply/{self.value}"


def pages(rules: KindRules | None) -> list[Page]:
    """The pages of an application for the kind with ``rules`` (None: not chosen yet)."""
    if rules is not None and not rules.plates and not rules.organisation:
        return [one for one in Page if one is not Page.PLATES]
    return list(Page)


def is_done(page: Page, facts: CaseFacts, person: Holder | None, rules: KindRules | None) -> bool:
    """Whether everything that ``page`` asks has been answered; documents can always follow."""
    match page:
        case Page.ADDRESS:
            return bool(facts.zone and person is not None and person.street)
        case Page.PERSON:
            return person is not None and bool(person.family_name)
        case Page.KIND:
            return rules is not None
        case Page.PLATES:
            if rules is None:
                return False
            return bool(facts.organisation) if rules.organisation else len(facts.plates) == rules.plates
        case Page.CAR:
            return bool(facts.keeper and facts.residence)
        case Page.TERM:
            return bool(facts.term_months and facts.first_day)
        case Page.DOCUMENTS:
            return True
        case Page.SUMMARY:
            return False


def first_open(facts: CaseFacts, person: Holder | None, rules: KindRules | None) -> Page:
    """Where to go on: the first page with something missing, at the end the summary."""
    return next(one for one in pages(rules) if not is_done(one, facts, person, rules))


def after(page: Page, rules: KindRules | None) -> Page:
    """The page behind ``page``."""
    there = pages(rules)
    return there[there.index(page) + 1]


def before(page: Page, rules: KindRules | None) -> Page | None:
    """The page in front of ``page``; None for the first."""
    there = pages(rules)
    place = there.index(page)
    return there[place - 1] if place else None
