"""What the pages of zones and fees have in common: a change in words, its preview, making it and taking it back.

A change is looked at by GET, which alters nothing, and made by POST with the same fields. What the register says has
the last word: between looking and making somebody may have issued a permit.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final
from urllib.parse import quote

from litestar import Response, post
from sqlalchemy.orm import Session

from issuer.console.desk import Desk, acting_desk_of
from issuer.console.euros import shown
from issuer.console.moments import moment
from issuer.errors import IssuerRefusal
from issuer.rules.changes import (
    FeeChange,
    MadeChange,
    ZoneChange,
    made_changes,
    make_change,
    preview,
    undo_change,
)
from issuer.rules.reach import Reach, reach_of
from issuer.rules.touched import Preview
from issuer.staff.permissions import Role
from issuer.web.forms import FormData, text_of
from issuer.web.reader import AnyRequest
from keys.errors import Refusal
from keys.texts import Texts
from passes.display import day_text
from passes.periods import berlin_day, parse_date_iso

WRONG: Final = 422
CONFLICT: Final = 409
_SHOWN: Final = 10
_BACK: Final = {"zones": "/office/zones", "fees": "/office/fees"}


class Faults(dict[str, str]):
    """What is wrong with a form: sentences by field, in the order of the page."""

    def take(self, refusal: Refusal, field: str, language: str) -> None:
        """Put what ``refusal`` says at ``field``."""
        self.setdefault(field, refusal.sentence(language))


def day_of(text: str, faults: Faults, field: str, language: str) -> date | None:
    """The day of a field: as browsers send it, or as ``31.12.2027``; None notes a fault."""
    parts = text.split(".")
    if len(parts) == 3 and all(one.isascii() and one.isdigit() for one in parts):
        text = f"{parts[2]}-{parts[1]:0>2}-{parts[0]:0>2}"
    try:
        return parse_date_iso(text)
    except Refusal:
        faults.take(IssuerRefusal("RULE_DAY_FORMAT"), field, language)
        return None


def may_change(desk: Desk) -> bool:
    """Whether the person changes rules, or looks only."""
    return Role.SUPERVISOR in desk.staff.roles


def looked_at(desk: Desk, session: Session, change: ZoneChange | FeeChange) -> tuple[Preview, dict[str, Any]]:
    """What ``change`` would touch, and the same in words for the page. Raises as `issuer.rules.changes.preview`."""
    tenant = desk.application.tenant
    found = preview(session, tenant, change, desk.application.now())
    return found, _in_words(desk, found, reach_of(session, tenant, change))


def make(desk: Desk, change: ZoneChange | FeeChange, reason: str) -> None:
    """Make ``change``. Raises as `issuer.rules.changes.make_change`."""
    with desk.application.writing() as session:
        make_change(
            session,
            desk.application.tenant,
            change,
            desk.application.now(),
            desk.staff.actor,
            reason or None,
        )


def changes(desk: Desk, session: Session, subject: str, target: str | None = None) -> dict[str, Any]:
    """The changes of ``subject`` (zone or fee), of one target if given: ``coming``, soonest first, and ``past``."""
    language = desk.reader.language
    today = berlin_day(desk.application.now())
    made = [
        one
        for one in made_changes(session, desk.application.tenant, undone=True)
        if one.subject == subject and (target is None or one.target == target)
    ]

    def described(one: MadeChange) -> dict[str, Any]:
        return {
            "id": one.id,
            "day": day_text(one.valid_from, language),
            "text": in_words(desk.reader.say, one),
            "made": moment(one.made_at, language),
            "undone": moment(one.undone_at, language) if one.undone_at is not None else "",
        }

    coming = [one for one in made if one.valid_from > today and one.undone_at is None]
    past = [one for one in reversed(made) if one not in coming]
    return {"coming": [described(one) for one in coming], "past": [described(one) for one in past[:50]]}


def in_words(say: Texts, made: MadeChange) -> str:
    """What a change of a zone or a fee does, in one sentence."""
    told: Mapping[str, Any] = made.content
    if made.subject == "fee":
        facts = {"what": fee_name(say, told["tariff_class"], told["channel"], told["term_months"])}
        if told["cents"] is None:
            return say("RULES_CHANGE_FEE_NONE", **facts)
        return say("RULES_CHANGE_FEE", euros=shown(told["cents"], say.language), **facts)
    if told["merged_into"]:
        return say("RULES_CHANGE_MERGED", zone=made.target, successor=told["merged_into"])
    if told["ends"]:
        return say("RULES_CHANGE_ENDS", zone=made.target)
    parts = []
    if told["name"] is not None:
        parts.append(say("RULES_CHANGE_NAME", name=told["name"]))
    if told["tariff_class"] is not None:
        parts.append(say("RULES_CHANGE_CLASS", tariff_class=told["tariff_class"] or "–"))
    return say("RULES_CHANGE_ZONE", zone=made.target, parts=", ".join(parts))


def fee_name(say: Texts, tariff_class: str, channel: str, months: int) -> str:
    """What a row of the fee table is for: ``Klasse B, online, 12 Monate``."""
    of_class = say("RULES_CLASS_ONE", tariff_class=tariff_class) if tariff_class else say("RULES_CLASS_ALL")
    return ", ".join((of_class, channel_name(say, channel), say("RULES_MONTHS", months=months)))


def channel_name(say: Texts, channel: str) -> str:
    """A channel as people call it; the city's own ones are called what they are."""
    code = f"RULES_CHANNEL_{channel.upper()}"
    return say(code) if code in say else channel


def zone_path(code: str, step: str = "") -> str:
    """The page of a zone, whose code may have umlauts and blanks."""
    return f"/office/zones/{quote(code, safe='')}{step}"


def _in_words(desk: Desk, found: Preview, reach: Reach) -> dict[str, Any]:
    say, language = desk.reader.say, desk.reader.language

    def amount(cents: int | None) -> str:
        return say("RULES_NOT_OFFERED") if cents is None else shown(cents, language)

    hindering = list(found.hindering)
    return {
        "day": day_text(found.valid_from, language),
        "count": found.count,
        "numbers": list(found.numbers[:_SHOWN]),
        "first": "" if found.first_renewal is None else day_text(found.first_renewal, language),
        "hindering": hindering[:_SHOWN],
        "hindering_count": len(hindering),
        "earliest": "" if found.earliest is None else day_text(found.earliest, language),
        "earliest_iso": "" if found.earliest is None else found.earliest.isoformat(),
        "cases": list(reach.cases),
        "case_count": reach.case_count,
        "streets": list(reach.streets),
        "street_count": reach.street_count,
        "zones": list(reach.zones),
        "fees": [
            {
                "name": fee_name(say, one.tariff_class, one.channel, one.term_months),
                "before": amount(one.before),
                "after": amount(one.after),
            }
            for one in reach.fees
        ],
    }


@post("/office/rules/undo", status_code=303, sync_to_thread=True)
def undo(request: AnyRequest, data: FormData) -> Response[Any]:
    """Take back a change that has not begun."""
    desk = acting_desk_of(request, data)
    change, back = text_of(data, "change"), _BACK.get(text_of(data, "back"), "/office/zones")
    now = desk.application.now()
    try:
        with desk.application.writing() as session:
            made = {one.id: one for one in made_changes(session, desk.application.tenant)}
            if change in made and made[change].valid_from <= berlin_day(now):
                raise IssuerRefusal("RULE_CHANGE_BEGUN")
            undo_change(session, desk.application.tenant, change, now, desk.staff.actor)
    except IssuerRefusal as refusal:
        return refused_page(desk, refusal, back)
    return desk.go(back, done="undone")


def refused_page(desk: Desk, refusal: Refusal, back: str) -> Response[Any]:
    """A page that says why a change was not made or taken back, and leads back."""
    return desk.page(
        "rule_refused.html", status=CONFLICT, text=refusal.sentence(desk.reader.language), back=back
    )


HANDLERS: Final = [undo]
