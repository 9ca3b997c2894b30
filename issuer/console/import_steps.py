"""What can be done with an import: upload a file, have it taken in, cancel, and undo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from litestar import Response, get, post
from litestar.concurrency import sync_to_thread
from litestar.params import FromPath

from issuer.application import Application
from issuer.console.desk import Desk, acting_desk_of, desk_of
from issuer.console.import_upload import LARGEST_FILE, LARGEST_UPLOAD, MIB, Received, receive
from issuer.console.imports import CRUMB, amount, import_page, type_name
from issuer.console.library.shared import page_of
from issuer.errors import IssuerRefusal
from issuer.importing import run_undo, runs
from issuer.importing.csv_file import MAX_ROWS
from issuer.importing.runs import Upload
from issuer.register import subject
from issuer.residence.certificates import names_person
from issuer.staff.accesses import Kind
from issuer.web.forms import Form, FormData, text_of
from issuer.web.reader import AnyRequest
from passes.errors import PassRefusal

ENCODINGS: Final = ("utf-8", "cp1252", "iso-8859-15", "latin-1")
SHOWN_TOUCHED: Final = 50
_FIELDS: Final = ("type", "encoding", "file")
_WRONG: Final = 422
_CONFLICT: Final = 409


@get("/office/imports/new", sync_to_thread=True)
def ask_file(request: AnyRequest) -> Response[Any]:
    """The form for a file."""
    desk = desk_of(request)
    with desk.application.reading() as session:
        busy = runs.at_work(session, desk.application) is not None
    refusal = IssuerRefusal("IMPORT_AT_WORK").sentence(desk.reader.language) if busy else ""
    return _form(desk, Form({"type": "", "encoding": "utf-8", "file": ""}), refusal=refusal)


@post("/office/imports/upload", status_code=303, request_max_body_size=LARGEST_UPLOAD)
async def upload(request: AnyRequest) -> Response[Any]:
    """Take the file in, and have it checked."""
    application: Application = request.app.state.application
    run_id = runs.new_id()
    path = await sync_to_thread(runs.file_of, application, run_id)

    def accept(fields: Mapping[str, str]) -> None:
        acting_desk_of(request, fields)

    received = await receive(request.stream(), request.headers.get("content-type", ""), path, accept)
    return await sync_to_thread(_begin, request, received, run_id)


@post("/office/imports/{run_id:str}/confirm", status_code=303, sync_to_thread=True)
def confirm(request: AnyRequest, run_id: FromPath[str], data: FormData) -> Response[Any]:
    """Have what was checked taken in."""
    desk = acting_desk_of(request, data)
    try:
        with desk.application.writing() as session:
            runs.confirm(session, desk.application, run_id, actor=desk.staff.actor)
    except IssuerRefusal as refusal:
        return _stands_in_the_way(desk, run_id, refusal)
    return desk.go(f"/office/imports/{run_id}", done="confirmed")


@post("/office/imports/{run_id:str}/cancel", status_code=303, sync_to_thread=True)
def cancel(request: AnyRequest, run_id: FromPath[str], data: FormData) -> Response[Any]:
    """Stop the import before its next piece, or give it up."""
    desk = acting_desk_of(request, data)
    try:
        with desk.application.writing() as session:
            runs.cancel(session, desk.application, run_id, actor=desk.staff.actor)
    except IssuerRefusal as refusal:
        return _stands_in_the_way(desk, run_id, refusal)
    runs.remove_file(desk.application, run_id)
    return desk.go(f"/office/imports/{run_id}", done="cancelled")


@get("/office/imports/{run_id:str}/undo", sync_to_thread=True)
def ask_undo(request: AnyRequest, run_id: FromPath[str]) -> Response[Any]:
    """What undoing would do, before it is done."""
    desk = desk_of(request)
    application = desk.application
    with application.reading() as session:
        row = runs.find(session, application, run_id)
        possible = runs.can_be_undone(application, row)
        found = run_undo.preview(session, row, SHOWN_TOUCHED) if possible else None
    if found is None:
        return _stands_in_the_way(desk, run_id, IssuerRefusal("IMPORT_NOT_UNDOABLE"))
    # Numbers of passes are no names, but they are somebody's.
    desk.note_access(*(subject(*key) for key in found.first), kind=Kind.LISTED)
    title = desk.reader.say("OFFICE_IMPORT_CRUMB")
    return desk.under(CRUMB, (title, f"/office/imports/{run_id}")).page(
        "import_undo.html",
        run_id=run_id,
        removed=amount(desk, found.made - found.touched),
        touched=found.touched,
        touched_text=amount(desk, found.touched),
        first=[(number, page_of(desk, type_id, number)) for type_id, number in found.first],
        more=found.touched > len(found.first),
    )


@post("/office/imports/{run_id:str}/undo", status_code=303, sync_to_thread=True)
def undo(request: AnyRequest, run_id: FromPath[str], data: FormData) -> Response[Any]:
    """Have everything undone that the import has made."""
    desk = acting_desk_of(request, data)
    try:
        with desk.application.writing() as session:
            runs.undo(
                session,
                desk.application,
                run_id,
                revoke_touched=text_of(data, "touched") == "revoke",
                actor=desk.staff.actor,
            )
    except IssuerRefusal as refusal:
        return _stands_in_the_way(desk, run_id, refusal)
    return desk.go(f"/office/imports/{run_id}")


def _begin(request: AnyRequest, received: Received, run_id: str) -> Response[Any]:
    desk = acting_desk_of(request, received.fields)
    application = desk.application
    form = Form.of(received.fields, *_FIELDS)
    form.values["encoding"] = form.values["encoding"] or "utf-8"
    try:
        # Who imports a register must not see who lives where: the command line takes certificates of residence.
        if names_person(application.pass_types[form.values["type"]]):
            form.errors["type"] = "IMPORT_TYPE_MISSING"
    except PassRefusal:
        form.errors["type"] = "IMPORT_TYPE_MISSING"
    if form.values["encoding"] not in ENCODINGS:
        form.errors["encoding"] = "IMPORT_ENCODING"
    if received.problem:
        form.errors["file"] = received.problem
    if form.errors:
        received.remove()
        return _form(desk, form, status=_WRONG)
    came = Upload(
        run_id,
        form.values["type"],
        received.file_name,
        form.values["encoding"],
        received.size,
        received.digest,
    )
    try:
        with application.writing() as session:
            runs.begin(session, application, came, actor=desk.staff.actor)
    except IssuerRefusal as refusal:
        received.remove()
        return _form(desk, form, status=_CONFLICT, refusal=refusal.sentence(desk.reader.language))
    except BaseException:
        received.remove()
        raise
    return desk.go(f"/office/imports/{run_id}", done="uploaded")


def _form(desk: Desk, form: Form, *, status: int = 200, refusal: str = "") -> Response[Any]:
    say = desk.reader.say
    return desk.under(CRUMB).page(
        "import_new.html",
        status=status,
        form=form,
        types=[
            (one.id, type_name(desk, one.id)) for one in desk.application.pass_types if not names_person(one)
        ],
        encodings=[
            (one, say(f"OFFICE_IMPORT_ENCODING_{one.upper().replace('-', '_')}")) for one in ENCODINGS
        ],
        most_megabytes=LARGEST_FILE // MIB,
        most_rows=amount(desk, MAX_ROWS),
        refusal=refusal,
    )


def _stands_in_the_way(desk: Desk, run_id: str, refusal: IssuerRefusal) -> Response[Any]:
    if refusal.code == "IMPORT_UNKNOWN":
        raise refusal
    return import_page(desk, run_id, refusal=refusal.sentence(desk.reader.language), status=_CONFLICT)


HANDLERS: Final = [ask_file, upload, confirm, cancel, ask_undo, undo]
