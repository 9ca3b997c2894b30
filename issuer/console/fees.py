"""The fee table: zone class, channel and term, as it is on a day, with what is coming and what was.

Amounts are typed in euros, ``30,70``, and kept in whole cents.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Final

from litestar import Response, get, post

from issuer.console import rule_pages
from issuer.console.desk import Desk, acting_desk_of, desk_of
from issuer.console.euros import cents_of, shown, typed
from issuer.console.rule_pages import WRONG, Faults, channel_name, fee_name
from issuer.errors import IssuerRefusal
from issuer.models import ALWAYS
from issuer.rules.changes import MOST_MONTHS, FeeChange
from issuer.tariffs import FeeTable, fees, zones
from issuer.web.forms import FormData, text_of
from issuer.web.reader import AnyRequest
from keys.errors import Refusal
from passes.display import day_text
from passes.periods import berlin_day

_LIST: Final = ("OFFICE_MENU_FEES", "/office/fees")
_DONE: Final = ("changed", "undone")
_FIELDS: Final = ("tariff_class", "channel", "term_months", "offer", "euros", "valid_from", "reason")
_CHANNELS: Final = ("online", "counter")
_FIELD_OF: Final = {
    "RULE_NOTHING_CHANGES": "euros",
    "INTEGER_FORMAT": "euros",
    "VALUE_FORMAT": "tariff_class",
}


@get("/office/fees", sync_to_thread=True)
def show_fees(request: AnyRequest) -> Response[Any]:
    """The fees on the day asked for, today if none is, with each row's days, and the changes that are coming."""
    desk = desk_of(request)
    today = berlin_day(desk.application.now())
    faults = Faults()
    asked = request.query_params.get("day", "")[:20].strip()
    day = rule_pages.day_of(asked, faults, "day", desk.reader.language) if asked else today
    with desk.application.reading() as session:
        table = fees(session, desk.application.tenant)
        known = zones(session, desk.application.tenant)
        made = rule_pages.changes(desk, session, "fee")
    of_class: dict[str, list[str]] = {}
    for code, zone in sorted(known.items()):
        if zone.holds_on(day or today):
            of_class.setdefault(zone.on(day or today).tariff_class, []).append(code)
    done = request.query_params.get("done", "")
    return desk.page(
        "fees.html",
        status=WRONG if faults else 200,
        rows=_rows(desk, table, day or today),
        classes=sorted(of_class.items()),
        day=(day or today).isoformat(),
        shown_day=day_text(day or today, desk.reader.language),
        faults=faults,
        made=made,
        may_change=rule_pages.may_change(desk),
        done=done if done in _DONE else "",
    )


@get("/office/fees/change", sync_to_thread=True)
def ask_change(request: AnyRequest) -> Response[Any]:
    """The form for another fee from a day on; with its fields filled in, what that would touch."""
    desk = desk_of(request)
    values = {name: request.query_params.get(name, "")[:100].strip() for name in _FIELDS}
    return _change_page(desk, values, asked="valid_from" in request.query_params)


@post("/office/fees", status_code=303, sync_to_thread=True)
def make_change(request: AnyRequest, data: FormData) -> Response[Any]:
    """Make a change that was looked at."""
    desk = acting_desk_of(request, data)
    values = {name: text_of(data, name) for name in _FIELDS}
    change, faults = _read(desk, values)
    if change is None:
        return _change_page(desk, values, asked=True, faults=faults)
    try:
        rule_pages.make(desk, change, values["reason"])
    except Refusal as refusal:
        return rule_pages.refused_page(desk, refusal, "/office/fees")
    return desk.go("/office/fees", done="changed")


def _change_page(
    desk: Desk, values: dict[str, str], *, asked: bool, faults: Faults | None = None
) -> Response[Any]:
    faults, looked = faults or Faults(), None
    say, language = desk.reader.say, desk.reader.language
    tomorrow = berlin_day(desk.application.now()) + timedelta(days=1)
    with desk.application.reading() as session:
        table = fees(session, desk.application.tenant)
        classes = {one.tariff_class for one in zones(session, desk.application.tenant).values()}
        if not asked:
            values = values | {"valid_from": tomorrow.isoformat(), "offer": "yes"}
            months = _months(values["term_months"])
            now = (
                None
                if months is None
                else table.fee(values["tariff_class"], values["channel"], months, tomorrow)
            )
            values["euros"] = "" if now is None else typed(now)
        elif not faults:
            change, faults = _read(desk, values)
            if change is not None:
                try:
                    _, looked = rule_pages.looked_at(desk, session, change)
                except Refusal as refusal:
                    faults.take(refusal, _FIELD_OF.get(refusal.code, "valid_from"), language)
    channels = {*_CHANNELS, *(one for _, one, _ in table.rows)}
    classes |= {one for one, _, _ in table.rows} - {""}
    return desk.under(_LIST).page(
        "fee_change.html",
        status=WRONG if faults else 200,
        values=values,
        faults=faults,
        looked=looked,
        channels=[(one, channel_name(say, one)) for one in sorted(channels)],
        classes=[("", say("RULES_CLASS_ALL"))]
        + [(one, say("RULES_CLASS_ONE", tariff_class=one)) for one in sorted(classes - {""})],
    )


def _read(desk: Desk, values: dict[str, str]) -> tuple[FeeChange | None, Faults]:
    faults, language = Faults(), desk.reader.language
    months = _months(values["term_months"])
    if months is None:
        faults.take(IssuerRefusal("RULE_MONTHS_FORMAT"), "term_months", language)
    cents: int | None = None
    if values["offer"] != "no":
        try:
            cents = cents_of(values["euros"])
        except IssuerRefusal as refusal:
            faults.take(refusal, "euros", language)
    day = rule_pages.day_of(values["valid_from"], faults, "valid_from", language)
    if faults or months is None or day is None:
        return None, faults
    return FeeChange(values["tariff_class"], values["channel"], months, day, cents), faults


def _months(text: str) -> int | None:
    fits = text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= MOST_MONTHS
    return int(text) if fits else None


def _rows(desk: Desk, table: FeeTable, day: date) -> list[dict[str, Any]]:
    """The rows of the table with the fee of ``day``, the day from which it holds, and what follows."""
    say, language = desk.reader.say, desk.reader.language

    def amount(cents: int | None) -> str:
        return say("RULES_NOT_OFFERED") if cents is None else shown(cents, language)

    rows = []
    for (of_class, channel, months), steps in sorted(table.rows.items()):
        ordered = sorted(steps, key=lambda step: step[0])
        begun = [one for one in ordered if one[0] <= day]
        rows.append(
            {
                "tariff_class": of_class,
                "channel": channel,
                "months": months,
                "name": fee_name(say, of_class, channel, months),
                "class_name": of_class or say("RULES_CLASS_ALL"),
                "channel_name": channel_name(say, channel),
                "fee": amount(begun[-1][1]) if begun else "–",
                "since": day_text(begun[-1][0], language) if begun and begun[-1][0] != ALWAYS else "",
                "following": [
                    {"day": day_text(first, language), "fee": amount(cents)}
                    for first, cents in ordered
                    if first > day
                ],
                "before": [
                    {"day": day_text(first, language) if first != ALWAYS else "", "fee": amount(cents)}
                    for first, cents in begun[:-1]
                ],
            }
        )
    return rows


HANDLERS: Final = [show_fees, ask_change, make_change]
