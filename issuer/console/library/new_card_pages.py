"""The pages of the three steps to a new card: what each asks, and what it carries along from those before."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from litestar import Response
from sqlalchemy.orm import Session

from issuer.console.desk import Desk
from issuer.console.fields import options
from issuer.console.library.shared import (
    CRUMB,
    birthday,
    category_label,
    library_type,
    library_types,
    symbology_labels,
)
from issuer.console.library.step_pages import fee_text
from issuer.library.membership import age_on, category_for
from issuer.library.renewals import TERM_MONTHS, yearly_fee
from issuer.web.forms import Form
from passes.display import day_text
from passes.pass_types import PassType
from passes.periods import Period, berlin_day
from passes.type_file import MembershipSpec

CARD: Final = ("type_id", "card_number", "symbology", "for_guardian")
PERSON: Final = (
    "kind", "given_name", "family_name", "birth_day", "birth_month", "birth_year", "email", "language", "branch",
)  # fmt: skip
LAST: Final = ("category", "consent", "consent_name", "guardian", "receipt")
KINDS: Final = ("person", "institution")
_TEMPLATES: Final = ("library_new_card.html", "library_new_person.html", "library_new_check.html")


def card_page(desk: Desk, form: Form, *, status: int = 200) -> Response[Any]:
    """Which number the card has."""
    say, language = desk.reader.say, desk.reader.language
    types = {one.id: one.words(language).name for one in library_types(desk.application)}
    return _page(
        desk,
        1,
        form,
        status=status,
        types=options(types, form.values["type_id"]),
        symbologies=options(symbology_labels(say), form.values["symbology"]),
    )


def person_page(
    desk: Desk, form: Form, *, status: int = 200, notes: list[str] | None = None
) -> Response[Any]:
    """Whose card it is; ``notes`` are sentences of what the library's system said."""
    say = desk.reader.say
    pass_type = library_type(desk.application, form.values["type_id"])
    rules = pass_type.spec.membership if pass_type is not None else None
    languages = {"de": say("DESK_LANGUAGE_DE"), "en": say("DESK_LANGUAGE_EN")}
    kinds = {one: say(f"OFFICE_LIB_KIND_{one.upper()}") for one in KINDS}
    return _page(
        desk,
        2,
        form,
        status=status,
        notes=notes or [],
        kinds=options(kinds, form.values["kind"]),
        languages=options(languages, form.values["language"]),
        kept_until=rules.free_until if rules is not None else 0,
        has_branch=pass_type is not None and "branch" in pass_type.attributes,
    )


def fees(desk: Desk, session: Session, pass_type: PassType, born: date | None) -> dict[str, int | None]:
    """What a year costs today, by category; None where the city has not said."""
    application, rules = desk.application, pass_type.spec.membership
    today = berlin_day(application.now())
    if rules is None:
        return {}
    return {
        one: yearly_fee(session, application.tenant, pass_type, one, born, today)
        for one in categories(rules, born, today)
    }


def check_page(desk: Desk, form: Form, pass_type: PassType, *, status: int = 200) -> Response[Any]:
    """What follows from what was said: group, fee, period, consent."""
    say, language, rules = desk.reader.say, desk.reader.language, pass_type.spec.membership
    today = berlin_day(desk.application.now())
    born = birth_date(desk, form)
    if rules is None:
        return desk.problem(404, "NOT_FOUND")
    with desk.application.reading() as session:
        prices = fees(desk, session, pass_type, born)
    labels = {}
    for one, cents in prices.items():
        spec = rules.category(one)
        code = "OFFICE_LIB_CATEGORY_PROOF" if spec is not None and spec.proof else "OFFICE_LIB_CATEGORY_FEE"
        labels[one] = say(code, category=category_label(pass_type, one, language), fee=fee_text(desk, cents))
    starts = birthday(born, rules.free_until) if born is not None else None
    proposed = category_for(rules, born, today) if born is not None else next(iter(labels), "")
    period = Period.of_months(today, TERM_MONTHS)
    return _page(
        desk,
        3,
        form,
        status=status,
        facts=[
            (say("OFFICE_LIB_CARD_NUMBER"), form.values["plain_number"]),
            (say("OFFICE_NAME"), f"{form.values['given_name']} {form.values['family_name']}".strip()),
            *([(say("OFFICE_LIB_BIRTH"), day_text(born, language))] if born is not None else []),
            (
                say("OFFICE_LIB_VALID"),
                say(
                    "OFFICE_LIB_VALID_RANGE",
                    first=day_text(period.first, language),
                    last=day_text(period.last, language),
                ),
            ),
        ],
        categories=options(labels, form.values["category"] or proposed),
        fee_starts=(
            say("OFFICE_LIB_FEE_STARTS", day=day_text(starts, language), age=rules.free_until)
            if starts is not None and starts > today
            else ""
        ),
        needs_consent=born is not None and age_on(born, today) < rules.consent_under,
        consent_under=rules.consent_under,
        asks_receipt=any(prices.values()),
    )


def _page(desk: Desk, step: int, form: Form, *, status: int, **values: object) -> Response[Any]:
    carried = [*CARD] if step == 2 else [*CARD, *PERSON] if step == 3 else [*PERSON, "for_guardian"]
    return desk.under(CRUMB).page(
        _TEMPLATES[step - 1],
        status=status,
        form=form,
        carried=[(name, form.values[name]) for name in carried if form.values.get(name)],
        **values,
    )


def birth_date(desk: Desk, form: Form) -> date | None:
    """The birth date in its three fields; None where they are empty, or notes that it is none."""
    parts = [form.values[f"birth_{name}"] for name in ("day", "month", "year")]
    if not any(parts):
        return None
    today = berlin_day(desk.application.now())
    try:
        if all(part.isascii() and part.isdecimal() and len(part) <= 4 for part in parts):
            born = date(int(parts[2]), int(parts[1]), int(parts[0]))
            if born <= today and age_on(born, today) < 120:
                return born
    except ValueError:
        pass
    form.errors["birth_day"] = desk.reader.say("OFFICE_LIB_BIRTH_WRONG")
    return None


def categories(rules: MembershipSpec, born: date | None, day: date) -> list[str]:
    """The categories that somebody can be given on ``day``; ``born`` is None for an institution."""
    if born is None:
        return [one.name for one in rules.categories if one.birth_date == "none"]
    age = age_on(born, day)
    return [one.name for one in rules.categories if one.birth_date != "none" and one.fits(age)]
