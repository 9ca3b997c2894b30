"""The pages of the data protection officer: record of processing, deletion runs, impact assessment, and seals."""

from __future__ import annotations

import json
from typing import Any, Final

from litestar import Response, get, post
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from issuer import google_wallet
from issuer.application import Application
from issuer.console.desk import Desk, acting_desk_of, desk_of
from issuer.console.moments import moment
from issuer.data_protection.deletions import coming, proofs
from issuer.data_protection.dpia import make_dpia
from issuer.data_protection.record import as_json, make_record
from issuer.delivery import google_objects
from issuer.models import RevisionRow
from issuer.models_delivery import WalletPassRow
from issuer.register import subject
from issuer.seal_contents import SealContents, contents_of
from issuer.web.forms import Form, FormData
from issuer.web.reader import AnyRequest
from keys.texts import Texts
from passes.display import day_text
from passes.errors import PassRefusal
from passes.seal import MAX_TEXT

_WRONG: Final = 422
_PATH: Final = "/office/data-protection"
_CRUMB: Final = ("OFFICE_MENU_DATA_PROTECTION", _PATH)
_NIGHTS: Final = 60
_LONGEST_SEAL: Final = MAX_TEXT + 64


@get(_PATH, sync_to_thread=True)
def overview(request: AnyRequest) -> Response[Any]:
    """What there is to see, and how it stands with Google."""
    desk = desk_of(request)
    with desk.application.reading() as session:
        google = _google(desk, session)
        google_is_on = google_wallet.is_on(desk.application, session)
    return desk.page(
        "data_protection.html", google=google, google_is_on=google_is_on, may_see_seals=_may_see_seals(desk)
    )


@get(f"{_PATH}/record", sync_to_thread=True)
def show_record(request: AnyRequest) -> Response[Any]:
    """The record of processing, to be read and printed."""
    desk = desk_of(request)
    with desk.application.reading() as session:
        record = make_record(session, desk.application)
    told = as_json(record, desk.reader.say)
    return desk.under(_CRUMB).page(
        "record.html", record=told, made=moment(record.made_at, desk.reader.language)
    )


@get(f"{_PATH}/record.json", sync_to_thread=True)
def record_file(request: AnyRequest) -> Response[Any]:
    """The record as a file."""
    desk = desk_of(request)
    with desk.application.reading() as session:
        told = as_json(make_record(session, desk.application), desk.reader.say)
    data = json.dumps(told, ensure_ascii=False, indent=1).encode()
    return desk.reader.file(data, "application/json", f"record-{told['made_at'][:10]}.json")


@get(f"{_PATH}/dpia", sync_to_thread=True)
def dpia_file(request: AnyRequest) -> Response[Any]:
    """The draft of the impact assessment, as Markdown."""
    desk = desk_of(request)
    with desk.application.reading() as session:
        text = make_dpia(session, desk.application)
    return desk.reader.file(text.encode(), "text/markdown; charset=utf-8", "folgenabschaetzung.md")


@get(f"{_PATH}/deletions", sync_to_thread=True)
def show_deletions(request: AnyRequest) -> Response[Any]:
    """What the night would delete, and what past nights have."""
    desk = desk_of(request)
    application, say, language = desk.application, desk.reader.say, desk.reader.language
    with application.reading() as session:
        due = coming(session, application)
        past = proofs(session, application.tenant, _NIGHTS)
    return desk.under(_CRUMB).page(
        "deletions.html",
        due=[
            {
                "what": _kind(one.name, say),
                "count": one.count,
                "oldest": day_text(one.oldest, language) if one.oldest else "–",
            }
            for one in due
        ],
        past=[
            {
                "day": day_text(one.day, language),
                "ended": moment(one.finished_at, language)
                if one.finished_at
                else say("OFFICE_DELETIONS_RUNNING"),
                "counts": sorted((_kind(name, say), count) for name, count in one.counts.items()),
            }
            for one in past
        ],
    )


@get("/office/seal", sync_to_thread=True)
def ask_seal(request: AnyRequest) -> Response[Any]:
    """The form for the text of a seal, or the number of a pass."""
    return _seal_page(desk_of(request), Form.of({}, "seal"))


@post("/office/seal", status_code=200, sync_to_thread=True)
def show_seal(request: AnyRequest, data: FormData) -> Response[Any]:
    """A seal taken apart. Sent as a form, since what is in an address ends up in logs."""
    desk = acting_desk_of(request, data)
    value = data.get("seal", "")
    text = value.strip() if isinstance(value, str) and len(value) <= _LONGEST_SEAL else ""
    form = Form({"seal": text})
    try:
        seal = text if text.startswith("SP1") else _seal_of_pass(desk, text)
        with desk.application.reading() as session:
            found = contents_of(
                session, desk.application.tenant, seal, desk.application.pass_types, desk.reader.say
            )
    except PassRefusal:
        form.errors["seal"] = "OFFICE_SEAL_WRONG"
        return _seal_page(desk, form, status=_WRONG)
    return _seal_page(desk, form, found=found)


HANDLERS: Final = [
    overview,
    show_record,
    record_file,
    dpia_file,
    show_deletions,
    ask_seal,
    show_seal,
]


def _seal_page(
    desk: Desk, form: Form, *, found: SealContents | None = None, status: int = 200
) -> Response[Any]:
    return desk.page("seal.html", status=status, form=form, contents=found)


def _seal_of_pass(desk: Desk, number: str) -> str:
    """The current seal of the pass with this number, which is noted; empty if there is none."""
    application = desk.application
    if not number or not number.isprintable():
        return ""
    with application.reading() as session:
        row = session.execute(
            select(RevisionRow.type_id, RevisionRow.seal)
            .where(
                RevisionRow.tenant == application.tenant,
                RevisionRow.number == number.upper()[:40],
                RevisionRow.superseded_at.is_(None),
                RevisionRow.seal.is_not(None),
            )
            .order_by(RevisionRow.type_id)
            .limit(1)
        ).first()
    if row is None:
        return ""
    desk.note_access(subject(row.type_id, number.upper()))
    return row.seal or ""


def _kind(name: str, say: Texts) -> str:
    """A kind of deletion in words; another part's, that has none, by its name."""
    code = f"DELETION_{name.upper()}"
    return say(code) if code in say else name


def _google(desk: Desk, session: Session) -> str:
    """How it stands with Google, as a sentence."""
    application, say = desk.application, desk.reader.say
    wanted = _wanted(session, application)
    if google_wallet.is_on(application, session):
        outstanding = google_objects.counts(session, application.tenant)["outstanding"]
        return say("OFFICE_PROTECTION_GOOGLE_ON", wanted=wanted, outstanding=outstanding)
    if not wanted:
        return say("OFFICE_PROTECTION_GOOGLE_OFF")
    code = "ENDING" if application.config.google.enabled else "STUCK"
    return say(f"OFFICE_PROTECTION_GOOGLE_{code}", wanted=wanted)


def _wanted(session: Session, application: Application) -> int:
    query = select(func.count()).where(
        WalletPassRow.tenant == application.tenant, WalletPassRow.google_wanted.is_(True)
    )
    return session.scalar(query) or 0


def _may_see_seals(desk: Desk) -> bool:
    from issuer.staff.permissions import Stage, permission_of  # noqa: PLC0415 - the one table

    return permission_of("GET", "/office/seal").allows(Stage.OPEN, desk.staff.roles)
