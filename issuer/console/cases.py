"""The work list: cases by state and age, each with its one next step; and the search for a case."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get

from issuer.cases.facts import CaseKind
from issuer.cases.search import OFFICE, CaseLine, CaseQuery, counts, find_cases
from issuer.cases.states import ENDED, CaseState
from issuer.cases.store import subject
from issuer.console.case_words import deadline_text, state_kind
from issuer.console.desk import Desk, desk_of
from issuer.console.moments import moment
from issuer.search import LONGEST
from issuer.staff.accesses import Kind
from issuer.tariffs import zones
from issuer.web.reader import AnyRequest
from passes.periods import berlin_day

MOST: Final = 25
PATH: Final = "/office/cases"
_ALL: Final = "all"


@get(PATH, sync_to_thread=True)
def list_cases(request: AnyRequest) -> Response[Any]:
    """The cases that wait for the office, oldest first, or those that the filters and the search ask for."""
    desk = desk_of(request)
    application, asked = desk.application, request.query_params
    text = asked.get("q", "")[:LONGEST].strip()
    # Whoever searches looks everywhere unless they say where.
    state = asked.get("state", "") or (_ALL if text else OFFICE)
    with application.reading() as session:
        known = zones(session, application.tenant)
        query = CaseQuery(
            state=state if state == OFFICE or state in set(CaseState) else "",
            kind=_one_of(asked.get("kind", ""), {one.value for one in CaseKind}),
            zone=_one_of(asked.get("zone", ""), set(known)),
            text=text,
        )
        lines = find_cases(session, application.tenant, query, asked.get("after", "")[:80], MOST + 1)
        by_state = counts(session, application.tenant, query, "state")
        by_kind = counts(session, application.tenant, query, "kind")
        by_zone = counts(session, application.tenant, query, "zone")
    more, lines = len(lines) > MOST, lines[:MOST]
    # Whoever sees a name in a list has seen who asks for what.
    desk.note_access(*(subject(one.number) for one in lines if one.name), kind=Kind.LISTED)
    say = desk.reader.say
    waiting = sum(by_state.get(one.value, 0) for one in _WAITING)
    states = {OFFICE: f"{say('DESK_FILTER_OFFICE')} ({waiting})", _ALL: say("DESK_FILTER_ALL")}
    states |= {
        one.value: f"{say(f'DESK_STATE_{one.name}')} ({by_state.get(one.value, 0)})" for one in CaseState
    }
    kinds = {"": say("DESK_FILTER_ALL")}
    kinds |= {one.value: f"{say(f'DESK_KIND_{one.name}')} ({by_kind.get(one.value, 0)})" for one in CaseKind}
    places = {"": say("DESK_FILTER_ALL")}
    places |= {code: f"{code} {known[code].zone.name} ({by_zone.get(code, 0)})" for code in sorted(known)}
    chosen = {"state": query.state or _ALL, "kind": query.kind, "zone": query.zone}
    following = {name: value for name, value in {**chosen, "q": text}.items() if value}
    return desk.page(
        "cases.html",
        text=text,
        chosen=chosen,
        filters=(("state", states), ("kind", kinds), ("zone", places)),
        rows=[_row(desk, one) for one in lines],
        following=desk.reader.url(PATH, **following, after=lines[-1].cursor) if more else "",
        first=desk.reader.url(PATH, **following) if asked.get("after") else "",
    )


_WAITING: Final = (CaseState.SUBMITTED, CaseState.SECOND_LOOK, CaseState.CHARGED_BACK)


def _one_of(text: str, known: set[str]) -> str:
    return text if text in known else ""


def _row(desk: Desk, line: CaseLine) -> dict[str, Any]:
    say, today = desk.reader.say, berlin_day(desk.application.now())
    return {
        "path": f"{PATH}/{line.id}",
        "number": line.number,
        "kind": say(f"DESK_KIND_{line.kind.upper()}"),
        "name": line.name or say("DESK_NAME_GONE"),
        "zone": line.zone,
        "pass": line.pass_number,
        "state": say(f"DESK_STATE_{line.state.name}"),
        "state_kind": state_kind(line.state),
        "next": say(f"DESK_NEXT_{line.state.name}"),
        "is_own": line.proposed_by == desk.staff.actor and line.state is CaseState.SECOND_LOOK,
        "since": moment(line.since, desk.reader.language),
        "deadline": "" if line.state in ENDED else deadline_text(line.deadline, today, say),
        "is_overdue": line.is_overdue(today),
    }


HANDLERS: Final = [list_cases]
