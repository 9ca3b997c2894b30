"""The pages on the way to a certificate of residence, and reading their forms."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

from litestar import Response

from issuer.console.desk import Desk
from issuer.console.fields import options, require
from issuer.console.residence_one import CRUMB
from issuer.residence.issuing import LANGUAGES, Asked, certificate_period, certificate_type
from issuer.rules.sources.protocols import Home, Residence, Resident
from issuer.web.forms import Form
from passes.display import day_text
from passes.periods import berlin_day

ASKED: Final = (
    "given_names", "family_name", "birth_day", "birth_month", "birth_year", "street", "house_number", "postal_code",
    "email", "language",
)  # fmt: skip
_PLACES: Final = ("main", "secondary", "further")
_PARTS: Final = ("street", "house_number", "postal_code", "city")
_WORDS: Final = ("usual_given_name", "former_names", "doctoral_degree", "artistic_name")
# Beside what was asked, where the register of residents is away.
TYPED: Final = (
    "typed", "all_given_names", *_WORDS, *(f"{place}_{part}" for place in _PLACES for part in _PARTS), "compared",
)  # fmt: skip
_OLDEST: Final = 1880


def asked_of(desk: Desk, form: Form) -> Asked | None:
    """Who asks, as the form says; None notes what is wrong with it."""
    say, values = desk.reader.say, form.values
    require(desk, form, "given_names", "family_name", "street", "house_number")
    born = _birth_date(desk, form)
    if values["email"] and "@" not in values["email"]:
        form.errors["email"] = say("DESK_MAIL_WRONG")
    if values["language"] not in LANGUAGES:
        values["language"] = LANGUAGES[0]
    if born is None or form.errors:
        return None
    return Asked(
        values["family_name"],
        values["given_names"],
        born,
        values["street"],
        values["house_number"],
        values["postal_code"],
    )


def typed_of(desk: Desk, form: Form, asked: Asked) -> Resident | None:
    """What a registrar has typed from the register of residents; None notes what is missing."""
    say, values = desk.reader.say, form.values
    require(desk, form, "all_given_names", *(f"main_{part}" for part in _PARTS))
    if not values["compared"]:
        form.errors["compared"] = say("OFFICE_RES_CONFIRM_MISSING")
    homes = []
    for place in _PLACES:
        parts = [values[f"{place}_{part}"] for part in _PARTS]
        if not any(parts):
            continue
        if not all(parts) and place != "main":
            form.errors[f"{place}_street"] = say("OFFICE_RES_TYPED_WHOLE")
        homes.append(Home(Residence.MAIN if place == "main" else Residence.SECONDARY, *parts))
    if form.errors:
        return None
    words = {name: values[name] for name in _WORDS}
    return Resident(asked.family_name, values["all_given_names"], asked.birth_date, tuple(homes), **words)


def ask_page(desk: Desk, form: Form, *, status: int = 200, at_office: bool = False) -> Response[Any]:
    """Who wants a certificate; ``at_office``: there is none by machine for what was asked."""
    say = desk.reader.say
    languages = {"de": say("DESK_LANGUAGE_DE"), "en": say("DESK_LANGUAGE_EN")}
    return desk.page(
        "residence.html",
        status=status,
        form=form,
        at_office=at_office,
        languages=options(languages, form.values["language"]),
    )


def check_page(desk: Desk, form: Form, resident: Resident) -> Response[Any]:
    """What the certificate will say."""
    return desk.under(CRUMB).page(
        "residence_check.html", facts=_facts(desk, resident), carried=_carried(form, ASKED)
    )


def typed_page(desk: Desk, form: Form, *, status: int = 200) -> Response[Any]:
    """Everything that a certificate says, to be typed; the address that was asked for stands there already."""
    form = Form(dict.fromkeys(TYPED, "") | form.values, form.errors)
    say, born = desk.reader.say, _birth_date(desk, form)
    facts = [(say("OFFICE_RES_FAMILY_NAME"), form.values["family_name"])]
    facts += [(say("OFFICE_RES_BIRTH"), day_text(born, desk.reader.language))] if born is not None else []
    values = form.values
    if not values["typed"]:
        values["all_given_names"] = values["given_names"]
        values |= {f"main_{part}": values[part] for part in _PARTS if part in values}
    return desk.under(CRUMB).page(
        "residence_typed.html",
        status=status,
        form=form,
        facts=facts,
        carried=_carried(form, ASKED),
        places=[(place, say(f"OFFICE_RES_{place.upper()}")) for place in _PLACES],
        words=[
            (name, say(f"OFFICE_RES_TYPED_{code}"))
            for name, code in zip(_WORDS, ("USUAL", "FORMER", "DEGREE", "ARTISTIC"), strict=True)
        ],
    )


def _facts(desk: Desk, resident: Resident) -> list[tuple[str, str]]:
    say, language = desk.reader.say, desk.reader.language
    pass_type = certificate_type(desk.application)
    if pass_type is None:
        return []
    labels = pass_type.words(language).labels
    facts = [(labels["family_name"], resident.family_name), (labels["given_names"], resident.given_names)]
    facts += [(labels[name], getattr(resident, name)) for name in _WORDS]
    facts.append((labels["birth_date"], day_text(resident.birth_date, language)))
    for place, home in zip(_PLACES, resident.homes, strict=False):
        street, town = f"{home.street} {home.house_number}", f"{home.postal_code} {home.city}".strip()
        facts.append((say(f"OFFICE_RES_{place.upper()}"), f"{street}, {town}"))
    period = certificate_period(pass_type, berlin_day(desk.application.now()))
    facts.append((say("OFFICE_RES_UNTIL"), day_text(period.last, language)))
    return [(label, text) for label, text in facts if text]


def _carried(form: Form, names: Sequence[str]) -> list[tuple[str, str]]:
    return [(name, form.values[name]) for name in names if form.values.get(name)]


def _birth_date(desk: Desk, form: Form) -> date | None:
    parts = [form.values[f"birth_{name}"] for name in ("day", "month", "year")]
    try:
        if all(part.isascii() and part.isdecimal() and len(part) <= 4 for part in parts):
            born = date(int(parts[2]), int(parts[1]), int(parts[0]))
            if born.year >= _OLDEST and born <= berlin_day(desk.application.now()):
                return born
    except ValueError:
        pass
    form.errors["birth_day"] = desk.reader.say("OFFICE_RES_BIRTH_WRONG")
    return None
