"""What the office does with a pass: end, suspend, resume, issue anew, take a revocation back; link and print."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath
from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer import lifecycle
from issuer.console.desk import Desk, acting_desk_of, desk_of
from issuer.console.fields import options
from issuer.console.handing_out import fresh_link, picture_of, print_answer
from issuer.console.kept_apart import kept_apart
from issuer.delivery import mail
from issuer.errors import IssuerRefusal, RegisterRefusal
from issuer.letters import pickup_letter
from issuer.lifecycle import Actor
from issuer.models import PassRow
from issuer.pickup.links import Channel
from issuer.register import subject
from issuer.reinstatement import LONGEST, reinstate
from issuer.revocation import revoke_logged
from issuer.revocation_log import RevocationLog
from issuer.web.forms import Form, FormData, text_of
from issuer.web.reader import AnyRequest
from keys.errors import Refusal
from keys.texts import texts
from passes.errors import PassRefusal
from passes.model import PassStatus

_WRONG: Final = 422
_CONFLICT: Final = 409
_ONE: Final = "/office/passes/{type_id:str}/{number:str}"
_CRUMB: Final = ("OFFICE_MENU_PASSES", "/office/passes")
_UNDO: Final = "reinstate"


@dataclass(frozen=True, slots=True)
class _Step:
    """A step with its reasons (codes of the catalogue) and the states of a pass in which it is offered."""

    reasons: tuple[str, ...]
    states: tuple[PassStatus, ...]


STEPS: Final = {
    "revoke": _Step(
        ("moved_away", "no_vehicle", "requested", "wrongly_issued", "misuse", "unpaid"),
        (PassStatus.ACTIVE, PassStatus.SUSPENDED, PassStatus.PENDING_PAYMENT),
    ),
    "suspend": _Step(("review", "unpaid", "lost", "requested"), (PassStatus.ACTIVE,)),
    "resume": _Step(("settled", "found", "mistake"), (PassStatus.SUSPENDED,)),
    "reissue": _Step(("lost_phone", "lost_print", "copied", "requested"), (PassStatus.ACTIVE,)),
}
_RUNNING: Final = (PassStatus.ACTIVE,)


def offered(status: PassStatus) -> list[str]:
    """The steps that a pass in ``status`` allows."""
    return [name for name, step in STEPS.items() if status in step.states]


@get(_ONE + "/steps/{step:str}", sync_to_thread=True)
def ask_step(
    request: AnyRequest, type_id: FromPath[str], number: FromPath[str], step: FromPath[str]
) -> Response[Any]:
    """What the step does, and for which reason."""
    return _step_page(desk_of(request), type_id, number, step)


@post(_ONE + "/steps/{step:str}", status_code=303, sync_to_thread=True)
def take_step(
    request: AnyRequest, type_id: FromPath[str], number: FromPath[str], step: FromPath[str], data: FormData
) -> Response[Any]:
    """Take the step."""
    desk = acting_desk_of(request, data)
    reason = text_of(data, "reason")
    if step not in STEPS or type_id in kept_apart(desk.application):
        return desk.problem(404, "NOT_FOUND")
    if reason not in STEPS[step].reasons:
        return _step_page(desk, type_id, number, step, fault=desk.reader.say("DESK_REASON_MISSING"))
    try:
        with desk.application.writing() as session:
            # In German whoever clicks: the trail is the city's, and its holder reads it too.
            said = texts("issuer", "de")(f"DESK_{step.upper()}_{reason.upper()}")
            _take(desk, session, type_id, number, step, said)
    except RegisterRefusal as refusal:
        return _step_page(desk, type_id, number, step, fault=_said(desk, refusal), status=_CONFLICT)
    return desk.go(f"/office/passes/{type_id}/{number}", done=step)


@get(_ONE + "/reinstate", sync_to_thread=True)
def ask_reinstate(request: AnyRequest, type_id: FromPath[str], number: FromPath[str]) -> Response[Any]:
    """What taking a revocation back does."""
    return _step_page(desk_of(request), type_id, number, _UNDO)


@post(_ONE + "/reinstate", status_code=303, sync_to_thread=True)
def take_back(
    request: AnyRequest, type_id: FromPath[str], number: FromPath[str], data: FormData
) -> Response[Any]:
    """Take a wrong revocation back, with a note."""
    desk = acting_desk_of(request, data)
    application, note = desk.application, text_of(data, "note")
    if type_id in kept_apart(application):
        return desk.problem(404, "NOT_FOUND")
    try:
        pass_type = application.pass_types[type_id]
        with application.writing() as session:
            by = Actor(desk.staff.actor, application.now(), note)
            seal_for = application.sealer(session, pass_type)
            reinstate(session, application.tenant, pass_type, number, seal_for=seal_for, actor=by)
            # What lies in the car does not hold any more: only the holder can print it again.
            mail.tell_holder(session, application, mail.RESEALED, type_id, number, {})
    except RegisterRefusal as refusal:
        return _step_page(desk, type_id, number, _UNDO, fault=_said(desk, refusal), status=_CONFLICT)
    except PassRefusal:
        return desk.problem(404, "NOT_FOUND")
    return desk.go(f"/office/passes/{type_id}/{number}", done=_UNDO)


@post(_ONE + "/link", status_code=200, sync_to_thread=True)
def new_link(
    request: AnyRequest, type_id: FromPath[str], number: FromPath[str], data: FormData
) -> Response[Any]:
    """A one-time link to the pass, shown this once; links of before open nothing any more."""
    desk = acting_desk_of(request, data)
    application = desk.application
    with application.writing() as session:
        if _status(desk, session, type_id, number) not in _RUNNING:
            return desk.problem(_CONFLICT, "PASS_NOT_RUNNING")
        address = fresh_link(desk, session, type_id, number, Channel.DESK)
    return desk.under(_CRUMB, (number, f"/office/passes/{type_id}/{number}")).page(
        "pass_link.html",
        number=number,
        link=address,
        picture=picture_of(address),
    )


@post(_ONE + "/letter", status_code=200, sync_to_thread=True)
def new_letter(
    request: AnyRequest, type_id: FromPath[str], number: FromPath[str], data: FormData
) -> Response[Any]:
    """The letter with a new code, as PDF."""
    desk = acting_desk_of(request, data)
    application = desk.application
    with application.reading() as session:
        status = _status(desk, session, type_id, number)
    if status not in _RUNNING:
        return desk.problem(_CONFLICT, "PASS_NOT_RUNNING")
    desk.note_access(subject(type_id, number))
    try:
        made = pickup_letter(application, type_id, number, actor=desk.staff.actor)
    except IssuerRefusal as refusal:
        if refusal.code != "LETTER_NO_ADDRESS":
            raise
        return desk.problem(_CONFLICT, "NO_ADDRESS")
    return desk.reader.file(made, "application/pdf", f"{number}-letter.pdf")


@get(_ONE + "/print.pdf", sync_to_thread=True)
def print_pass(request: AnyRequest, type_id: FromPath[str], number: FromPath[str]) -> Response[Any]:
    """The print of the pass, for who stands at the counter."""
    desk = desk_of(request)
    application = desk.application
    with application.reading() as session:
        if _status(desk, session, type_id, number) not in _RUNNING:
            return desk.problem(_CONFLICT, "PASS_NOT_RUNNING")
    return print_answer(desk, type_id, number)


def _take(desk: Desk, session: Session, type_id: str, number: str, step: str, said: str) -> None:
    application = desk.application
    tenant, by = application.tenant, Actor(desk.staff.actor, application.now(), said)
    match step:
        case "revoke":
            log = RevocationLog(application.workspace.folder)
            revoke_logged(session, tenant, log, type_id, number, actor=by)
        case "suspend":
            lifecycle.suspend(session, tenant, type_id, number, actor=by)
        case "resume":
            lifecycle.resume(session, tenant, type_id, number, actor=by)
        case "reissue":
            pass_type = application.pass_types[type_id]
            seal_for = application.sealer(session, pass_type)
            lifecycle.reissue(session, tenant, pass_type, number, seal_for=seal_for, actor=by)
            mail.tell_holder(session, application, mail.PICKUP, type_id, number, {})


def _step_page(
    desk: Desk,
    type_id: str,
    number: str,
    step: str,
    *,
    fault: str = "",
    status: int = _WRONG,
) -> Response[Any]:
    say = desk.reader.say
    if step not in (*STEPS, _UNDO):
        return desk.problem(404, "NOT_FOUND")
    with desk.application.reading() as session:
        if _status(desk, session, type_id, number) is None:
            return desk.problem(404, "NOT_FOUND")
    name = step.upper()
    reasons = STEPS[step].reasons if step in STEPS else ()
    path = f"/office/passes/{type_id}/{number}"
    return desk.under(_CRUMB, (number, path)).page(
        "pass_step.html",
        status=status if fault else 200,
        number=number,
        path=path,
        action=f"{path}/{_UNDO}" if step == _UNDO else f"{path}/steps/{step}",
        title=say(f"DESK_PASS_{name}"),
        effects=[say(f"DESK_PASS_{name}_EFFECT_{n}", days=LONGEST.days) for n in (1, 2, 3)],
        button=say(f"DESK_PASS_{name}_BUTTON"),
        is_final=step in ("revoke", "reissue"),
        reasons=options({one: say(f"DESK_{name}_{one.upper()}") for one in reasons}),
        form=Form({"note": "", "reason": ""}, {"reason" if reasons else "note": fault} if fault else {}),
    )


def _said(desk: Desk, refusal: Refusal) -> str:
    return refusal.sentence(desk.reader.language)


def _status(desk: Desk, session: Session, type_id: str, number: str) -> PassStatus | None:
    """The status of the pass; None where there is none, also for what `kept_apart` names."""
    if type_id in kept_apart(desk.application):
        return None
    found = session.scalar(
        select(PassRow.status).where(
            PassRow.tenant == desk.application.tenant, PassRow.type_id == type_id, PassRow.number == number
        )
    )
    return None if found is None else PassStatus(found)


HANDLERS: Final = [
    ask_step, take_step, ask_reinstate, take_back, new_link, new_letter, print_pass,
]  # fmt: skip
