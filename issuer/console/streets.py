"""Which zone an address lies in, and what each kind of permit demands: rules that are only looked up."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get

from issuer.console import rule_pages
from issuer.console.desk import desk_of
from issuer.console.rule_pages import WRONG, Faults, channel_name, zone_path
from issuer.rules.addresses import Address, SeveralStreets, StreetUnknown, ZoneFound
from issuer.rules.city_rules import load_rules
from issuer.rules.directory import directory_size, find_address
from issuer.rules.kinds import EvidenceType, KindRules
from issuer.web.reader import AnyRequest
from keys.texts import Texts
from passes.display import day_text
from passes.periods import berlin_day

PERMIT: Final = "resident-parking-permit"
_FIELDS: Final = ("street", "number", "postal_code")
_LIST: Final = ("OFFICE_MENU_ZONES", "/office/zones")


@get("/office/streets", sync_to_thread=True)
def find_street(request: AnyRequest) -> Response[Any]:
    """The zone of an address on a day, or why that cannot be said. Nothing of the question is kept."""
    desk = desk_of(request)
    language = desk.reader.language
    values = {name: request.query_params.get(name, "")[:100].strip() for name in _FIELDS}
    today = berlin_day(desk.application.now())
    faults, day = Faults(), today
    asked = request.query_params.get("day", "")[:20].strip()
    if asked:
        day = rule_pages.day_of(asked, faults, "day", language) or today
    answer: dict[str, Any] | None = None
    with desk.application.reading() as session:
        streets, rows = directory_size(session, desk.application.tenant)
        if values["street"] and not faults:
            address = Address(values["street"], values["number"], values["postal_code"])
            found = find_address(session, desk.application.tenant, address, day)
            is_found = isinstance(found, ZoneFound)
            answer = {
                "kind": "success" if is_found else "warning",
                "text": found.sentence(language),
                "path": zone_path(found.zone.zone.code) if isinstance(found, ZoneFound) else "",
                "zone": found.zone.zone.code if isinstance(found, ZoneFound) else "",
                "streets": found.streets
                if isinstance(found, SeveralStreets)
                else found.suggestions
                if isinstance(found, StreetUnknown)
                else (),
            }
    return desk.under(_LIST).page(
        "streets.html",
        status=WRONG if faults else 200,
        values=values,
        day=day.isoformat(),
        shown_day=day_text(day, language),
        faults=faults,
        answer=answer,
        streets=streets,
        rows=rows,
    )


@get("/office/kinds", sync_to_thread=True)
def show_kinds(request: AnyRequest) -> Response[Any]:
    """The permit kinds as they are today, in plain words."""
    desk = desk_of(request)
    say = desk.reader.say
    today = berlin_day(desk.application.now())
    with desk.application.reading() as session:
        table = load_rules(session, desk.application.tenant, PERMIT).kinds
    shown = [
        {
            "name": say(f"KIND_{one.id.upper()}"),
            "facts": _facts(say, one),
            "checks": _checks(say, one, table.evidence),
        }
        for one in table.on(today).values()
    ]
    return desk.under(_LIST).page("kinds.html", kinds=shown, shown_day=day_text(today, desk.reader.language))


def _facts(say: Texts, kind: KindRules) -> list[tuple[str, str]]:
    if kind.organisation:
        plates = say("RULES_KIND_ORGANISATION")
    else:
        plates = say("RULES_KIND_NO_PLATE") if not kind.plates else str(kind.plates)
    changes = kind.plate_changes_per_year
    return [
        (say("RULES_KIND_PLATES"), plates),
        (say("RULES_KIND_TERMS"), say("RULES_MONTHS", months=", ".join(map(str, kind.terms)))),
        (say("RULES_KIND_CHANNELS"), ", ".join(channel_name(say, one) for one in kind.channels)),
        (say("RULES_KIND_DECISION"), say("RULES_KIND_TWO" if kind.second_person else "RULES_KIND_ONE")),
        (say("RULES_KIND_RESIDENCE"), say(f"RULES_KIND_{kind.residence.upper()}")),
        (
            say("RULES_KIND_CHANGES"),
            say("RULES_KIND_CHANGES_YEAR", count=changes) if changes else say("RULES_KIND_CHANGES_NONE"),
        ),
        (say("RULES_KIND_RENEWAL"), say("RULES_KIND_DAYS_BEFORE", days=kind.renewal_opens_days)),
    ]


def _checks(say: Texts, kind: KindRules, evidence: Any) -> list[dict[str, Any]]:
    known: dict[str, EvidenceType] = dict(evidence)
    return [
        {
            "name": say(f"CHECK_{check.name}"),
            "evidence": [known[one].label(say.language) for one in accepted if one in known],
        }
        for check, accepted in kind.checks.items()
    ]


HANDLERS: Final = [find_street, show_kinds]
