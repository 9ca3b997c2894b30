"""Print runs: choosing what is printed, following a run, fetching its PDF, printing again what was spoiled.

The same pages stand twice: for clerks, whose runs have no library card, and for librarians, whose runs have nothing
else. A run of the other's is unknown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Self

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.console.desk import Desk, acting_desk_of, desk_of
from issuer.console.library.shared import CRUMB, page_of
from issuer.console.library.shared import PATH as LIBRARY_PATH
from issuer.console.moments import moment
from issuer.console.rule_pages import CONFLICT, WRONG, Faults
from issuer.errors import IssuerRefusal
from issuer.models_print import PrintItemRow, PrintRunRow
from issuer.printing import runs
from issuer.printing.making import file_of
from issuer.printing.selection import MOST, MOST_DAYS, Kind, Selection, chosen
from issuer.register import subject
from issuer.tariffs import zones
from issuer.web.forms import FormData, text_of
from issuer.web.reader import AnyRequest
from passes.display import day_text
from passes.periods import berlin_day

_OFFICE: Final = "/office/print"
_LIBRARY: Final = LIBRARY_PATH + "/print"
_RUN: Final = "/{run_id:str}"
_DONE: Final = ("spoiled", "posted", "begun")
_FIELDS: Final = ("kind", "zone", "days")
_ID: Final = re.compile(r"[0-9a-f]{32}")
_BADGES: Final = {"queued": "info", "running": "info", "done": "success", "failed": "danger"}


@dataclass(frozen=True, slots=True)
class _Area:
    """Whose runs a page is about: where they are, and the way there."""

    path: str
    library: bool

    @classmethod
    def of(cls, request: AnyRequest) -> Self:
        """That of the page that was asked for."""
        library = str(request.scope["path_template"]).startswith(_LIBRARY)
        return cls(_LIBRARY if library else _OFFICE, library)

    @property
    def crumbs(self) -> tuple[tuple[str, str], ...]:
        """The way to a page below the list."""
        return (
            (CRUMB, ("OFFICE_LIB_PRINT_RUNS", self.path))
            if self.library
            else (("OFFICE_MENU_PRINT", self.path),)
        )

    def check(self, session: Session, desk: Desk, run_id: str) -> str:
        """``run_id`` if the run is one of the area's. Raises IssuerRefusal PRINT_UNKNOWN."""
        runs.check_area(session, desk.application, _checked(run_id), library=self.library)
        return run_id


def show_runs(request: AnyRequest) -> Response[Any]:
    """The form for a run with, once it was sent, how many sheets it would have; and the runs of late."""
    desk, area = desk_of(request), _Area.of(request)
    application, today = desk.application, berlin_day(desk.application.now())
    values = {name: request.query_params.get(name, "")[:20].strip() for name in _FIELDS}
    asked, faults = bool(values["kind"]), Faults()
    selection = _selection(desk, area, values, faults) if asked else None
    count = 0
    with application.reading() as session:
        known = zones(session, application.tenant)
        rows = runs.runs(session, application, library=area.library)
        if selection is not None:
            count, _ = chosen(session, application, selection)
    return desk.under(*area.crumbs[:-1]).page(
        "print.html",
        area=area,
        status=WRONG if faults else 200,
        values=values if asked else {"kind": Kind.PERMITS.value, "zone": "", "days": "30"},
        faults=faults,
        looked=selection is not None,
        count=count,
        most=MOST,
        kinds=[(one.value, desk.reader.say(f"OFFICE_PRINT_{one.name}")) for one in Kind],
        # Permits of a merged zone run on under its code.
        zones=[
            (code, f"{code} – {one.on(today).zone.name}")
            for code, one in sorted(known.items())
            if one.valid_from is None or one.valid_from <= today
        ],
        runs=[_described(desk, one) for one in rows],
    )


def begin(request: AnyRequest, data: FormData) -> Response[Any]:
    """Begin the run."""
    desk, area = acting_desk_of(request, data), _Area.of(request)
    values, faults = {name: text_of(data, name) for name in _FIELDS}, Faults()
    selection = _selection(desk, area, values, faults)
    if selection is None:
        return _refused(desk, area, IssuerRefusal("PRINT_SELECTION"))
    try:
        with desk.application.writing() as session:
            run_id = runs.begin(session, desk.application, selection, actor=desk.staff.actor)
    except IssuerRefusal as refusal:
        return _refused(desk, area, refusal)
    return desk.go(f"{area.path}/{run_id}", done="begun")


def show_run(request: AnyRequest, run_id: FromPath[str]) -> Response[Any]:
    """How far a run has come, and its list. A script asks for the progress alone."""
    return _run_page(desk_of(request), _Area.of(request), run_id, done=request.query_params.get("done", ""))


def fetch(request: AnyRequest, run_id: FromPath[str]) -> Response[Any]:
    """The PDF for the printer. Whoever fetches it sees names and addresses, and that is noted."""
    desk, area = desk_of(request), _Area.of(request)
    application = desk.application
    try:
        with application.reading() as session:
            run = runs.run_of(session, application, area.check(session, desk, run_id))
            items = runs.items_of(session, application, run.id)
        if run.state != runs.DONE:
            raise IssuerRefusal("PRINT_UNFINISHED")
    except IssuerRefusal as refusal:
        return _refused(desk, area, refusal, run_id)
    desk.note_access(*(subject(one.type_id, one.number) for one in items if one.state != runs.FAULTY))
    try:
        with application.reading() as session:
            data = file_of(session, application, run_id)
    except IssuerRefusal as refusal:
        return _refused(desk, area, refusal, run_id)
    day = berlin_day(run.created_at).isoformat()
    return desk.reader.file(data, "application/pdf", f"druck-{day}-{run_id[:6]}.pdf")


def spoil(request: AnyRequest, run_id: FromPath[str], data: FormData) -> Response[Any]:
    """Note sheets as spoiled."""
    desk, area = acting_desk_of(request, data), _Area.of(request)
    values = {name: text_of(data, name) for name in ("first", "last")}
    first, last = (_number(values[name]) for name in ("first", "last"))
    try:
        with desk.application.writing() as session:
            area.check(session, desk, run_id)
            runs.spoil(session, desk.application, run_id, first, last or first, actor=desk.staff.actor)
    except IssuerRefusal as refusal:
        if refusal.code != "PRINT_POSITIONS":
            return _refused(desk, area, refusal, run_id)
        faults = Faults()
        faults.take(refusal, "first", desk.reader.language)
        return _run_page(desk, area, run_id, faults=faults, values=values)
    return desk.go(f"{area.path}/{run_id}", done="spoiled")


def again(request: AnyRequest, run_id: FromPath[str], data: FormData) -> Response[Any]:
    """Print once more what was spoiled, or everything, in a run of its own."""
    desk, area = acting_desk_of(request, data), _Area.of(request)
    try:
        with desk.application.writing() as session:
            made = runs.again(
                session, desk.application, area.check(session, desk, run_id), actor=desk.staff.actor
            )
    except IssuerRefusal as refusal:
        return _refused(desk, area, refusal, run_id)
    return desk.go(f"{area.path}/{made}", done="begun")


def mark_posted(request: AnyRequest, run_id: FromPath[str], data: FormData) -> Response[Any]:
    """Take the letters of the run off the list of those waiting."""
    desk, area = acting_desk_of(request, data), _Area.of(request)
    try:
        with desk.application.writing() as session:
            runs.posted(session, desk.application, area.check(session, desk, run_id), actor=desk.staff.actor)
    except IssuerRefusal as refusal:
        return _refused(desk, area, refusal, run_id)
    return desk.go(f"{area.path}/{run_id}", done="posted")


def _checked(run_id: str) -> str:
    if _ID.fullmatch(run_id) is None:
        raise IssuerRefusal("PRINT_UNKNOWN")
    return run_id


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 5 else 0


def _selection(desk: Desk, area: _Area, values: dict[str, str], faults: Faults) -> Selection | None:
    days = _number(values["days"])
    kind = next((one for one in Kind if one.value == values["kind"]), None)
    if kind is Kind.ENDING and not 1 <= days <= MOST_DAYS:
        faults.take(IssuerRefusal("PRINT_DAYS", most=MOST_DAYS), "days", desk.reader.language)
    if kind is None:
        faults.take(IssuerRefusal("PRINT_SELECTION"), "kind", desk.reader.language)
    if kind is None or faults:
        return None
    return Selection(kind, "" if area.library else values["zone"][:12], days, area.library)


def _refused(desk: Desk, area: _Area, refusal: IssuerRefusal, run_id: str = "") -> Response[Any]:
    if refusal.code == "PRINT_UNKNOWN":
        return desk.problem(404, "NOT_FOUND")
    back = f"{area.path}/{run_id}" if run_id else area.path
    return desk.page(
        "rule_refused.html", status=CONFLICT, text=refusal.sentence(desk.reader.language), back=back
    )


def _run_page(
    desk: Desk,
    area: _Area,
    run_id: str,
    *,
    done: str = "",
    faults: Faults | None = None,
    values: dict[str, str] | None = None,
) -> Response[Any]:
    application = desk.application
    try:
        with application.reading() as session:
            run = runs.run_of(session, application, area.check(session, desk, run_id))
            items = runs.items_of(session, application, run.id)
            has_file = runs.has_file(session, application, run.id)
    except IssuerRefusal as refusal:
        return _refused(desk, area, refusal)
    is_letters = run.kind == Kind.LETTERS.value
    made = desk.under(*area.crumbs).page(
        "print_progress.html" if desk.reader.is_partial else "print_run.html",
        area=area,
        status=WRONG if faults else 200,
        run=_described(desk, run),
        items=[_item(desk, application, one) for one in items],
        made=sum(one.state in (runs.MADE, runs.SPOILED) for one in items),
        faulty=sum(one.state == runs.FAULTY for one in items),
        spoiled=sum(one.state == runs.SPOILED for one in items),
        has_file=has_file,
        deleted=day_text(
            berlin_day(run.created_at) + timedelta(days=application.config.retention.print_files),
            desk.reader.language,
        ),
        can_post=is_letters and run.state == runs.DONE and run.posted_at is None,
        faults=faults or Faults(),
        values=values or {"first": "", "last": ""},
        done=done if done in _DONE else "",
    )
    if desk.reader.is_partial and run.state not in (runs.QUEUED, runs.RUNNING):
        # What can be done with it stands around the part that was asked for.
        made.headers["HX-Refresh"] = "true"
    return made


def _item(desk: Desk, application: Application, one: PrintItemRow) -> dict[str, Any]:
    say = desk.reader.say
    code = one.code or ""
    known = code if code in say and "{" not in say.sentences[code] else "PRINT_FAULTY"
    return {
        "position": one.position,
        "number": one.number,
        "path": page_of(desk, one.type_id, one.number),
        "type": application.pass_types[one.type_id].words(desk.reader.language).name
        if one.type_id in {kind.id for kind in application.pass_types}
        else one.type_id,
        "state": say(f"OFFICE_PRINT_ITEM_{one.state.upper()}"),
        "fault": say(known) if code else "",
    }


def _described(desk: Desk, run: PrintRunRow) -> dict[str, Any]:
    say, language = desk.reader.say, desk.reader.language
    zone, days = run.selection.get("zone"), run.selection.get("days")
    parts = [say(f"OFFICE_PRINT_{run.kind.upper()}")]
    if days:
        parts.append(say("OFFICE_PRINT_IN_DAYS", days=days))
    if zone:
        parts.append(say("OFFICE_PRINT_IN_ZONE", zone=zone))
    if run.selection.get("again"):
        parts.append(say("OFFICE_PRINT_ONCE_MORE"))
    return {
        "id": run.id,
        "what": ", ".join(parts),
        "state": run.state,
        "state_text": say(f"OFFICE_PRINT_STATE_{run.state.upper()}"),
        "badge": _BADGES[run.state],
        "total": run.total,
        "done": run.done,
        "created": moment(run.created_at, language),
        "posted": moment(run.posted_at, language) if run.posted_at else "",
        "is_open": run.state in ("queued", "running"),
    }


def _routes(area: str) -> list[HTTPRouteHandler]:
    run = area + _RUN
    return [
        get(area, sync_to_thread=True)(show_runs),
        post(area, status_code=303, sync_to_thread=True)(begin),
        get(run, sync_to_thread=True)(show_run),
        get(run + "/file", sync_to_thread=True)(fetch),
        post(run + "/spoil", status_code=303, sync_to_thread=True)(spoil),
        post(run + "/again", status_code=303, sync_to_thread=True)(again),
        post(run + "/posted", status_code=303, sync_to_thread=True)(mark_posted),
    ]


# A handler of its own for each address: one with two would be wrapped for its thread twice.
HANDLERS: Final = [*_routes(_OFFICE), *_routes(_LIBRARY)]
