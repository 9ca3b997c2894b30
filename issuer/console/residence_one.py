"""A certificate of residence that was issued: what it says, handing it over, revoking it. Each look is noted."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath
from sqlalchemy.orm import Session

from issuer.console.case_words import staff_names
from issuer.console.desk import Desk, acting_desk_of, desk_of
from issuer.console.fields import options
from issuer.console.handing_out import fresh_link, picture_of, print_answer
from issuer.console.pass_wallet import is_offered, offer_page
from issuer.console.passes import KINDS, pass_history
from issuer.errors import IssuerRefusal, RegisterRefusal
from issuer.holder_changes import RESIDENCE
from issuer.lifecycle import Actor
from issuer.models import PassRow
from issuer.pass_view import PassView, show
from issuer.pickup.links import Channel
from issuer.pickup.standing import standing_of
from issuer.register import subject
from issuer.residence.issuing import certificate_type
from issuer.revocation import revoke_logged
from issuer.revocation_log import RevocationLog
from issuer.web.forms import Form, FormData, text_of
from issuer.web.reader import AnyRequest
from keys.texts import texts
from passes.display import day_text, shown_fields
from passes.model import PassStatus
from passes.periods import berlin_day

PATH: Final = "/office/residence"
CRUMB: Final = ("OFFICE_MENU_RESIDENCE", PATH)
_ONE: Final = PATH + "/{number:str}"
_CONFLICT: Final = 409
_WRONG: Final = 422
_REASONS: Final = ("wrong", "requested", "misuse")
_SENTENCES: Final = ("display_hint", "valid_until", "standing", "rules", "contact", "privacy")


@get(_ONE, sync_to_thread=True)
def show_certificate(request: AnyRequest, number: FromPath[str]) -> Response[Any]:
    """One certificate: what it says, how it stands, and what was done with it."""
    return certificate_page(desk_of(request), number)


@get(_ONE + "/print.pdf", sync_to_thread=True)
def print_certificate(request: AnyRequest, number: FromPath[str]) -> Response[Any]:
    """The print of a certificate that holds."""
    desk = desk_of(request)
    with desk.application.reading() as session:
        status = _status(desk, session, number)
    if status is not PassStatus.ACTIVE:
        return (
            desk.problem(404, "NOT_FOUND") if status is None else desk.problem(_CONFLICT, "PASS_NOT_RUNNING")
        )
    return print_answer(desk, RESIDENCE, number)


@post(_ONE + "/link", status_code=200, sync_to_thread=True)
def new_link(request: AnyRequest, number: FromPath[str], data: FormData) -> Response[Any]:
    """A one-time link as a code, shown this once; links of before open nothing any more."""
    desk = acting_desk_of(request, data)
    with desk.application.writing() as session:
        if _status(desk, session, number) is not PassStatus.ACTIVE:
            return desk.problem(_CONFLICT, "PASS_NOT_RUNNING")
        address = fresh_link(desk, session, RESIDENCE, number, Channel.DESK)
    return desk.under(CRUMB, (number, f"{PATH}/{number}")).page(
        "pass_link.html", number=number, link=address, picture=picture_of(address)
    )


@post(_ONE + "/eudi", status_code=200, sync_to_thread=True)
def new_offer(request: AnyRequest, number: FromPath[str], data: FormData) -> Response[Any]:
    """An offer to scan, with the code that the registrar tells the holder."""
    desk = acting_desk_of(request, data)
    if not is_offered(desk, RESIDENCE):
        return desk.problem(_CONFLICT, "PASS_NOT_RUNNING")
    return offer_page(desk, RESIDENCE, number, (CRUMB, (number, f"{PATH}/{number}")))


@get(_ONE + "/revoke", sync_to_thread=True)
def ask_revoke(request: AnyRequest, number: FromPath[str]) -> Response[Any]:
    """What revoking does, and for which reason."""
    return _revoke_page(desk_of(request), number)


@post(_ONE + "/revoke", status_code=303, sync_to_thread=True)
def revoke(request: AnyRequest, number: FromPath[str], data: FormData) -> Response[Any]:
    """Revoke it for good."""
    desk = acting_desk_of(request, data)
    application, reason = desk.application, text_of(data, "reason")
    if reason not in _REASONS:
        return _revoke_page(desk, number, fault=desk.reader.say("DESK_REASON_MISSING"))
    # In German whoever clicks: the trail is the city's, and its holder reads it too.
    said = texts("issuer", "de")(f"OFFICE_RES_REVOKE_{reason.upper()}")
    by = Actor(desk.staff.actor, application.now(), said)
    try:
        with application.writing() as session:
            log = RevocationLog(application.workspace.folder)
            revoke_logged(session, application.tenant, log, RESIDENCE, number, actor=by)
    except RegisterRefusal as refusal:
        return _revoke_page(desk, number, fault=refusal.sentence(desk.reader.language), status=_CONFLICT)
    return desk.go(f"{PATH}/{number}", done="revoked")


def certificate_page(desk: Desk, number: str, *, issued: bool = False) -> Response[Any]:
    """The page of a certificate, noted in the log of accesses before anything is shown."""
    application, say, language = desk.application, desk.reader.say, desk.reader.language
    pass_type = certificate_type(application)
    with application.reading() as session:
        view = _view(desk, session, number)
        city = application.settings(session).city(application.tenant)
        names = staff_names(session, application)
    if view is None or pass_type is None:
        return desk.problem(404, "NOT_FOUND")
    desk.note_access(subject(RESIDENCE, number))
    standing = standing_of(view.content, berlin_day(application.now()))
    fields = shown_fields(pass_type, view.content, city, language)
    return desk.under(CRUMB).page(
        "residence_one.html",
        number=number,
        path=f"{PATH}/{number}",
        issued=issued,
        revoked=desk.reader.request.query_params.get("done", "") == "revoked",
        is_running=view.content.status is PassStatus.ACTIVE,
        has_eudi=is_offered(desk, RESIDENCE),
        type_name=pass_type.words(language).name,
        standing=say(f"PICKUP_STANDING_{standing.name}"),
        standing_kind=KINDS.get(standing, "danger"),
        fields=[
            *((one.label, one.text) for key, one in fields.items() if key not in _SENTENCES),
            (say("OFFICE_RES_UNTIL"), day_text(view.content.period.last, language)),
        ],
        history=pass_history(view.history, say, pass_type, names),
    )


def _view(desk: Desk, session: Session, number: str) -> PassView | None:
    pass_type = certificate_type(desk.application)
    try:
        return show(session, desk.application.tenant, pass_type, number) if pass_type is not None else None
    except IssuerRefusal:
        return None


def _status(desk: Desk, session: Session, number: str) -> PassStatus | None:
    row = session.get(PassRow, (desk.application.tenant, RESIDENCE, number))
    return PassStatus(row.status) if row is not None else None


def _revoke_page(desk: Desk, number: str, *, fault: str = "", status: int = _WRONG) -> Response[Any]:
    say = desk.reader.say
    with desk.application.reading() as session:
        if _status(desk, session, number) is None:
            return desk.problem(404, "NOT_FOUND")
    path = f"{PATH}/{number}"
    return desk.under(CRUMB, (number, path)).page(
        "pass_step.html",
        status=status if fault else 200,
        number=number,
        path=path,
        action=f"{path}/revoke",
        title=say("OFFICE_RES_REVOKE_TITLE"),
        effects=[say(f"OFFICE_RES_REVOKE_EFFECT_{n}") for n in (1, 2, 3)],
        button=say("OFFICE_RES_REVOKE"),
        is_final=True,
        reasons=options({one: say(f"OFFICE_RES_REVOKE_{one.upper()}") for one in _REASONS}),
        form=Form({"reason": ""}, {"reason": fault} if fault else {}),
    )


HANDLERS: Final = [show_certificate, print_certificate, new_link, new_offer, ask_revoke, revoke]
