"""Imports of old registers: their list, one with how far it is, and what was found in its file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from litestar import Response, get
from litestar.params import FromPath
from litestar.response import Stream
from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.console.desk import Desk, desk_of
from issuer.console.moments import moment
from issuer.importing import run_findings, runs
from issuer.importing.findings import Severity
from issuer.importing.run_findings import Problem
from issuer.importing.runs import State
from issuer.models_imports import ImportRunRow
from issuer.safe_csv import cell
from issuer.staff.accounts import accounts, staff_actor
from issuer.staff.permissions import Role
from issuer.web.reader import AnyRequest
from passes.errors import PassRefusal

MOST: Final = 50
PROBLEMS: Final = 50
CRUMB: Final = ("OFFICE_MENU_IMPORTS", "/office/imports")
_CODE: Final = re.compile(r"[A-Z0-9_]{1,40}")
_MOST_PAGES: Final = 100_000
_COLUMNS: Final = ("row", "line", "field", "severity", "code", "sentence", "suggestion")
_KINDS: Final = {
    State.CHECKED: "warning",
    State.IMPORTED: "success",
    State.CANCELLED: "warning",
    State.EXPIRED: "warning",
    State.REFUSED: "danger",
    State.FAILED: "danger",
}
# What has come to its end, by what the page was called with: a reload later says nothing that is no longer so.
_DONE: Final = {
    "uploaded": State.CHECKED,
    "confirmed": State.IMPORTED,
    "cancelled": State.CANCELLED,
}


@get("/office/imports", sync_to_thread=True)
def show_imports(request: AnyRequest) -> Response[Any]:
    """All imports, newest first."""
    desk = desk_of(request)
    with desk.application.reading() as session:
        names = staff_names(session, desk.application)
        rows = [_described(desk, row, names) for row in runs.newest(session, desk.application, MOST)]
    return desk.page("imports.html", rows=rows, may_import=may_import(desk))


@get("/office/imports/{run_id:str}", sync_to_thread=True)
def show_import(request: AnyRequest, run_id: FromPath[str]) -> Response[Any]:
    """One import. A script asks for its progress alone, and for the whole page once it stands still."""
    desk = desk_of(request)
    if desk.reader.is_partial:
        return _progress(desk, run_id)
    done = request.query_params.get("done", "")
    return import_page(
        desk,
        run_id,
        code=request.query_params.get("code", ""),
        page=request.query_params.get("page", ""),
        done=done,
    )


@get("/office/imports/{run_id:str}/problems.csv", sync_to_thread=True)
def download_problems(request: AnyRequest, run_id: FromPath[str]) -> Response[Any]:
    """Everything that was found, or all of one code, as a file for a spreadsheet."""
    desk = desk_of(request)
    application, language = desk.application, desk.reader.language
    code = _code(request.query_params.get("code", ""))
    with application.reading() as session:
        row = runs.find(session, application, run_id)
    found = run_findings.all_problems(application.reading, row.tenant, row.id, language, code=code)
    headers = {
        "Content-Disposition": f'attachment; filename="import-{row.uploaded_at:%Y%m%d-%H%M}.csv"',
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
    }
    return Stream(_csv(found), media_type="text/csv; charset=utf-8", headers=headers)


def import_page(
    desk: Desk,
    run_id: str,
    *,
    code: str = "",
    page: str = "",
    done: str = "",
    refusal: str = "",
    status: int = 200,
) -> Response[Any]:
    """The page of an import, with the problems of one ``code`` if it is one, from the page ``page`` on."""
    application = desk.application
    chosen = _code(code)
    number = int(page) if page.isdecimal() and 0 < len(page) < 6 and int(page) <= _MOST_PAGES else 1
    number = max(1, number)
    with application.reading() as session:
        row = runs.find(session, application, run_id)
        names = staff_names(session, application)
        codes = run_findings.codes(session, row.tenant, row.id)
        problems = run_findings.problems(
            session,
            row.tenant,
            row.id,
            desk.reader.language,
            code=chosen,
            skip=(number - 1) * PROBLEMS,
            most=PROBLEMS,
        )
        earlier = runs.with_same_file(session, application, row)
    say = desk.reader.say
    counts = dict(codes)
    total = counts.get(chosen, 0) if chosen else sum(counts.values())
    pages = -(-total // PROBLEMS)
    return desk.under(CRUMB).page(
        "import_one.html",
        status=status,
        run=_described(desk, row, names),
        facts=_facts(desk, row, names),
        may_import=may_import(desk),
        can_cancel=row.state in (State.CHECKING, State.IMPORTING),
        waits=row.state == State.CHECKED,
        can_confirm=row.state == State.CHECKED and row.fresh > 0,
        can_undo=runs.can_be_undone(application, row),
        earlier=_described(desk, earlier, names) if earlier is not None else None,
        fees_checked=row.fees_checked,
        problems=[(problem, _kind(problem)) for problem in problems],
        codes=[(one, amount(desk, count)) for one, count in codes],
        code=chosen,
        total=total,
        total_text=amount(desk, total),
        number=number,
        pages=pages,
        done=say(f"OFFICE_IMPORT_DONE_{done.upper()}") if _DONE.get(done) == row.state else "",
        refusal=refusal,
    )


def _progress(desk: Desk, run_id: str) -> Response[Any]:
    with desk.application.reading() as session:
        row = runs.find(session, desk.application, run_id)
    response = desk.page("import_progress.html", run=_described(desk, row, {}))
    if row.state not in runs.AT_WORK:
        response.headers["HX-Refresh"] = "true"
    return response


def may_import(desk: Desk) -> bool:
    """Whether the person may do more than look; the guard of each route decides, this is for what a page offers."""
    return Role.SUPERVISOR in desk.staff.roles


def staff_names(session: Session, application: Application) -> dict[str, str]:
    """The names of the people of the office by how the audit trail has them."""
    return {staff_actor(one.id): one.display_name for one in accounts(session, application)}


def amount(desk: Desk, number: int) -> str:
    """A number as people read it: ``12.345`` in German, ``12,345`` in English."""
    text = f"{number:,}"
    return text.replace(",", ".") if desk.reader.language == "de" else text


def type_name(desk: Desk, type_id: str) -> str:
    """What a kind of pass is called; its id if the city has taken it away."""
    try:
        return desk.application.pass_types[type_id].words(desk.reader.language).name
    except PassRefusal:
        return type_id


def _described(desk: Desk, row: ImportRunRow, names: dict[str, str]) -> dict[str, Any]:
    say, language = desk.reader.say, desk.reader.language
    until = runs.undo_until(row)
    return {
        "id": row.id,
        "path": f"/office/imports/{row.id}",
        "title": say("OFFICE_IMPORT_TITLE", at=moment(row.uploaded_at, language)),
        "file_name": row.file_name,
        "type": type_name(desk, row.type_id),
        "state": row.state,
        "kind": _KINDS.get(State(row.state), "info"),
        "state_text": say(f"OFFICE_IMPORT_STATE_{row.state.upper()}"),
        "state_note": say(f"OFFICE_IMPORT_NOTE_{row.state.upper()}"),
        "at_work": row.state in runs.AT_WORK,
        "percent": _percent(row),
        "progress": say(
            f"OFFICE_IMPORT_PROGRESS_{row.state.upper()}", percent=_percent(row), **_counts(desk, row)
        )
        if row.state in runs.AT_WORK
        else "",
        "by": names.get(row.uploaded_by, row.uploaded_by),
        "line": say("OFFICE_IMPORT_LINE", **_counts(desk, row)),
        "undo_until": moment(until, language)
        if until is not None and runs.can_be_undone(desk.application, row)
        else "",
        **{name: getattr(row, name) for name in ("fresh", "same", "differing", "refused", "made", "total")},
        **{f"{name}_text": text for name, text in _counts(desk, row).items()},
    }


def _counts(desk: Desk, row: ImportRunRow) -> dict[str, str]:
    names = ("total", "fresh", "same", "differing", "refused", "done", "made", "removed", "revoked", "kept")
    undone = row.removed + row.revoked + row.kept
    return {name: amount(desk, getattr(row, name)) for name in names} | {"undone": amount(desk, undone)}


def _percent(row: ImportRunRow) -> int:
    """How far the work is, in whole percent; a hundred only when it is over."""
    match row.state:
        case State.CHECKING:
            part, whole = row.read_bytes, row.size
        case State.IMPORTING:
            part, whole = row.done, row.total
        case State.UNDOING:
            part, whole = row.removed + row.revoked + row.kept, row.made
        case _:
            return 100
    return min(99, part * 100 // whole) if whole else 0


def _facts(desk: Desk, row: ImportRunRow, names: dict[str, str]) -> list[tuple[str, str]]:
    say, language = desk.reader.say, desk.reader.language

    def when(at: Any, by: str | None) -> str:
        return say("OFFICE_IMPORT_WHEN", at=moment(at, language), by=names.get(by or "", by or "–"))

    facts = [
        (say("OFFICE_IMPORT_FILE"), row.file_name),
        (say("OFFICE_IMPORT_TYPE"), type_name(desk, row.type_id)),
        (say("OFFICE_IMPORT_ENCODING"), row.encoding),
        (say("OFFICE_IMPORT_UPLOADED"), when(row.uploaded_at, row.uploaded_by)),
    ]
    if row.confirmed_at is not None:
        facts.append((say("OFFICE_IMPORT_CONFIRMED"), when(row.confirmed_at, row.confirmed_by)))
    if row.undo_at is not None:
        facts.append((say("OFFICE_IMPORT_UNDONE"), when(row.undo_at, row.undo_by)))
    counts = _counts(desk, row)
    if row.state != State.CHECKING:
        facts += [
            (say(f"OFFICE_IMPORT_COUNT_{name.upper()}"), counts[name])
            for name in ("total", "fresh", "same", "differing", "refused")
        ]
    if row.confirmed_at is not None:
        facts.append((say("OFFICE_IMPORT_COUNT_MADE"), counts["made"]))
    if row.undo_at is not None:
        facts += [
            (say(f"OFFICE_IMPORT_COUNT_{name.upper()}"), counts[name])
            for name in ("removed", "revoked", "kept")
        ]
    return facts


def _kind(problem: Problem) -> str:
    return "danger" if problem.severity is Severity.ERROR else "warning"


def _code(text: str) -> str:
    return text if _CODE.fullmatch(text) else ""


def _csv(problems: Iterator[Problem]) -> Iterator[bytes]:
    # The mark by which spreadsheets know UTF-8.
    yield b"\xef\xbb\xbf" + f"{';'.join(_COLUMNS)}\r\n".encode()
    for one in problems:
        places = ("" if value is None else str(value) for value in (one.row, one.line))
        texts = (one.field, one.severity.value, one.code, one.sentence, one.suggestion)
        yield f"{';'.join((*places, *map(cell, texts)))}\r\n".encode()


HANDLERS: Final = [show_imports, show_import, download_problems]
