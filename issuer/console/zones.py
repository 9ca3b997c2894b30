"""The city's zones: as they are today and will be, with their history; the supervisor changes them from a day on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath

from issuer.console import rule_pages
from issuer.console.desk import Desk, acting_desk_of, desk_of
from issuer.console.rule_pages import WRONG, Faults, zone_path
from issuer.errors import IssuerRefusal
from issuer.rules.changes import ZoneChange
from issuer.rules.issued import permits_in
from issuer.rules.zones import predecessors
from issuer.tariffs import TariffZone, zones
from issuer.web.forms import FormData, text_of
from issuer.web.reader import AnyRequest
from keys.errors import Refusal
from passes.display import day_text
from passes.periods import berlin_day
from passes.zones import normalise_zone_code

_LIST: Final = ("OFFICE_MENU_ZONES", "/office/zones")
_DONE: Final = ("changed", "undone")
_FIELDS: Final = ("code", "what", "name", "tariff_class", "merged_into", "valid_from", "reason")
_NEW, _EDIT, _END, _MERGE = _WAYS = ("new", "edit", "end", "merge")
_FIELD_OF: Final = {
    "ZONE_FORMAT": "code",
    "ZONE_SUCCESSOR": "merged_into",
    "RULE_ZONE_NAME": "name",
    "ZONE_NAME_MISSING": "name",
    "RULE_NOTHING_CHANGES": "name",
    "VALUE_FORMAT": "tariff_class",
}


@get("/office/zones", sync_to_thread=True)
def show_zones(request: AnyRequest) -> Response[Any]:
    """All zones on the day asked for, today if none is, and the changes that are coming."""
    desk = desk_of(request)
    today = berlin_day(desk.application.now())
    faults = Faults()
    asked = request.query_params.get("day", "")[:20].strip()
    day = rule_pages.day_of(asked, faults, "day", desk.reader.language) if asked else today
    with desk.application.reading() as session:
        known = zones(session, desk.application.tenant)
        made = rule_pages.changes(desk, session, "zone")
    done = request.query_params.get("done", "")
    return desk.page(
        "zones.html",
        status=WRONG if faults else 200,
        rows=[_row(desk, one, day or today) for _, one in sorted(known.items())],
        day=(day or today).isoformat(),
        shown_day=day_text(day or today, desk.reader.language),
        faults=faults,
        made=made,
        may_change=rule_pages.may_change(desk),
        done=done if done in _DONE else "",
    )


@get("/office/zones/{zone:str}", sync_to_thread=True)
def show_zone(request: AnyRequest, zone: FromPath[str]) -> Response[Any]:
    """One zone: what it is today, what it will be, what it was, and how many permits run in it."""
    desk = desk_of(request)
    today = berlin_day(desk.application.now())
    with desk.application.reading() as session:
        known = zones(session, desk.application.tenant)
        code = _code(zone, known)
        if code is None:
            return desk.problem(404, "NOT_FOUND")
        made = rule_pages.changes(desk, session, "zone", code)
        running = sum(1 for _ in permits_in(session, desk.application.tenant, [code], ending_from=today))
    done = request.query_params.get("done", "")
    return desk.under(_LIST).page(
        "zone_one.html",
        zone=_row(desk, known[code], today),
        merged=predecessors(known, code, today),
        running=running,
        made=made,
        may_change=rule_pages.may_change(desk) and not _is_over(known[code], today),
        done=done if done in _DONE else "",
        step=zone_path(code, "/change"),
    )


@get("/office/zones/{zone:str}/change", sync_to_thread=True)
def ask_change(request: AnyRequest, zone: FromPath[str]) -> Response[Any]:
    """The form for a change of a zone; with its fields filled in, what the change would touch."""
    desk = desk_of(request)
    query = {name: request.query_params.get(name, "")[:100].strip() for name in _FIELDS}
    with desk.application.reading() as session:
        known = zones(session, desk.application.tenant)
    code = _code(zone, known)
    if code is None:
        return desk.problem(404, "NOT_FOUND")
    query["code"] = code
    query["what"] = query["what"] if query["what"] in (_EDIT, _END, _MERGE) else _EDIT
    return _change_page(desk, known, query, asked="valid_from" in request.query_params)


@get("/office/new-zone", sync_to_thread=True)
def ask_new(request: AnyRequest) -> Response[Any]:
    """The form for a new zone; with its fields filled in, what it would mean."""
    desk = desk_of(request)
    query = {name: request.query_params.get(name, "")[:100].strip() for name in _FIELDS} | {"what": _NEW}
    with desk.application.reading() as session:
        known = zones(session, desk.application.tenant)
    return _change_page(desk, known, query, asked="valid_from" in request.query_params)


@post("/office/zones", status_code=303, sync_to_thread=True)
def make_change(request: AnyRequest, data: FormData) -> Response[Any]:
    """Make a change that was looked at."""
    desk = acting_desk_of(request, data)
    values = {name: text_of(data, name) for name in _FIELDS}
    with desk.application.reading() as session:
        known = zones(session, desk.application.tenant)
    if values["what"] not in _WAYS or (values["what"] != _NEW and _code(values["code"], known) is None):
        return desk.problem(404, "NOT_FOUND")
    change, faults = _read(desk, known, values)
    if change is None:
        return _change_page(desk, known, values, asked=True, faults=faults)
    try:
        rule_pages.make(desk, change, values["reason"])
    except Refusal as refusal:
        return rule_pages.refused_page(desk, refusal, "/office/zones")
    return desk.go(zone_path(normalise_zone_code(change.code)), done="changed")


def _change_page(
    desk: Desk,
    known: Mapping[str, TariffZone],
    values: dict[str, str],
    *,
    asked: bool,
    faults: Faults | None = None,
) -> Response[Any]:
    """The form with ``values``; once it was sent, with what is wrong with it or the preview."""
    faults, looked = faults or Faults(), None
    tomorrow = berlin_day(desk.application.now()) + timedelta(days=1)
    code, what = values["code"], values["what"]
    zone = known.get(code)
    if not asked:
        now = zone.on(tomorrow) if zone is not None else None
        values = values | {"valid_from": values["valid_from"] or tomorrow.isoformat()}
        if now is not None and what == _EDIT:
            values = values | {"name": now.zone.name, "tariff_class": now.tariff_class}
    elif not faults:
        change, faults = _read(desk, known, values)
        if change is not None:
            try:
                with desk.application.reading() as session:
                    _, looked = rule_pages.looked_at(desk, session, change)
            except Refusal as refusal:
                place = _FIELD_OF.get(refusal.code, "valid_from")
                faults.take(refusal, place if place in _fields(what) else "valid_from", desk.reader.language)
    if what == _NEW:
        crumbs, path = [_LIST], "/office/new-zone"
    else:
        crumbs, path = [_LIST, (code, zone_path(code))], zone_path(code, "/change")
    return desk.under(*crumbs).page(
        "zone_change.html",
        status=WRONG if faults else 200,
        what=what,
        values=values,
        faults=faults,
        looked=looked,
        path=path,
        others=[
            (one, known[one].on(tomorrow).zone.name)
            for one in sorted(known)
            if one != code and not _is_over(known[one], tomorrow)
        ],
        classes=sorted({one.tariff_class for one in known.values() if one.tariff_class}),
    )


def _fields(what: str) -> tuple[str, ...]:
    of_kind = {
        _NEW: ("code", "name", "tariff_class"),
        _EDIT: ("name", "tariff_class"),
        _MERGE: ("merged_into",),
    }
    return (*of_kind.get(what, ()), "valid_from", "reason")


def _read(
    desk: Desk, known: Mapping[str, TariffZone], values: Mapping[str, str]
) -> tuple[ZoneChange | None, Faults]:
    """The change that the form describes, or what is wrong with it."""
    faults, language, what = Faults(), desk.reader.language, values["what"]
    code = values["code"]
    day = rule_pages.day_of(values["valid_from"], faults, "valid_from", language)
    try:
        stored = normalise_zone_code(code)
    except Refusal as refusal:
        faults.take(refusal, "code", language)
        return None, faults
    if what == _NEW and stored in known:
        faults.take(IssuerRefusal("RULE_ZONE_THERE", zone=stored), "code", language)
    if what in (_NEW, _EDIT) and not values["name"]:
        faults.take(IssuerRefusal("RULE_NAME_MISSING"), "name", language)
    if what == _MERGE and not values["merged_into"]:
        faults.take(IssuerRefusal("RULE_SUCCESSOR_MISSING"), "merged_into", language)
    if faults or day is None:
        return None, faults
    if what in (_END, _MERGE):
        return ZoneChange(
            stored, day, ends=True, merged_into=values["merged_into"] or None if what == _MERGE else None
        ), faults
    now = known[stored].on(day) if stored in known else None
    name, of_class = values["name"], values["tariff_class"]
    return (
        ZoneChange(
            stored,
            day,
            None if now is not None and now.zone.name == name else name,
            None if now is not None and now.tariff_class == of_class else of_class,
        ),
        faults,
    )


def _code(text: str, known: Mapping[str, TariffZone]) -> str | None:
    try:
        code = normalise_zone_code(text)
    except Refusal:
        return None
    return code if code in known else None


def _is_over(zone: TariffZone, day: date) -> bool:
    return zone.valid_until is not None and zone.valid_until < day


def _row(desk: Desk, zone: TariffZone, day: date) -> dict[str, Any]:
    language = desk.reader.language
    now = zone.on(day)
    state = "holds" if now.holds_on(day) else "over" if _is_over(zone, day) else "coming"
    return {
        "code": now.zone.code,
        "path": zone_path(now.zone.code),
        "name": now.zone.name,
        "tariff_class": now.tariff_class,
        "first": day_text(now.valid_from, language) if now.valid_from else "",
        "last": day_text(now.valid_until, language) if now.valid_until else "",
        "merged_into": now.merged_into or "",
        "state": state,
    }


HANDLERS: Final = [show_zones, show_zone, ask_change, ask_new, make_change]
