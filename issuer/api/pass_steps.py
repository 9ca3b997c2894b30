"""What can happen to a pass: approving, suspending, revoking, renewing, and bringing it to its holder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

from litestar import Response, post
from litestar.params import Body, FromPath
from litestar.types import ControllerRouterHandler
from sqlalchemy.orm import Session

from issuer import lifecycle
from issuer.api.auth import ApiRequest, application_of, require
from issuer.api.documentation import Success, documented
from issuer.api.idempotency import Answer, answer_once
from issuer.api.pass_answers import may_act, pass_answer, pass_type_of
from issuer.api.pass_examples import NUMBER, PASS, UNKNOWN, VERSIONED, body_example
from issuer.api.pass_schemas import (
    ApproveRequest,
    LetterCode,
    LinkAnswer,
    LinkRequest,
    PassAnswer,
    RenewRequest,
    StepRequest,
)
from issuer.api.scopes import Scope
from issuer.api.versions import IfMatch, check, required
from issuer.application import Application
from issuer.approval import approve
from issuer.delivery import mail
from issuer.errors import RegisterRefusal
from issuer.lifecycle import Actor, wrong_state
from issuer.pickup.codes import create_letter_code
from issuer.pickup.links import Channel, create_link
from issuer.renewal import EARLIEST, Renewal, renew
from issuer.revocation import revoke_logged
from issuer.revocation_log import RevocationLog
from issuer.web.problems import problem
from passes.model import PassStatus
from passes.pass_types import PassType
from passes.periods import berlin_day

_REASON: Final = body_example("reason", {"reason": "Phone lost"})
_DONE: Final = Success(200, PassAnswer, {"pass": PASS}, "The pass as it is from now on")
# (application, session, pass type, actor) -> nothing; it raises what keeps the step from being taken.
Step = Callable[[Application, Session, PassType, Actor], Any]


def _described(
    name: str, operation: str, scope: Scope, summary: str, description: str, *refusals: RegisterRefusal
) -> dict[str, Any]:
    """What the handlers of all steps have in common."""
    return {
        "path": f"/passes/{{type_id:str}}/{{number:str}}/{name}",
        "status_code": 200,
        "sync_to_thread": True,
        "guards": [require(scope)],
        "operation_id": operation,
        "tags": ["Passes"],
        "summary": summary,
        "description": description,
        "responses": documented(_DONE, *VERSIONED, *refusals),
    }


@post(
    **_described(
        "approve",
        "approvePass",
        Scope.PASSES_WRITE,
        "Approve a pass",
        "Issues a pass that was entered with status `pending_payment`.",
        RegisterRefusal("PASS_APPROVED", number=NUMBER),
    )
)
def approve_pass(
    request: ApiRequest,
    type_id: FromPath[str],
    number: FromPath[str],
    data: Annotated[ApproveRequest, Body(examples=body_example("no reason", {}))],
    version: IfMatch = None,  # noqa: ARG001 - for the description, here and below
) -> Response[bytes]:
    """Issue a pass whose payment has come."""

    def step(application: Application, session: Session, pass_type: PassType, actor: Actor) -> None:
        sealer = application.sealer(session, pass_type)
        approve(session, application.tenant, pass_type, number, seal_for=sealer, actor=actor)

    return _take(request, type_id, number, data, step)


@post(
    **_described(
        "suspend",
        "suspendPass",
        Scope.PASSES_REVOKE,
        "Suspend a pass",
        "The pass does not hold until it is resumed.",
        RegisterRefusal("PASS_SUSPENDED", number=NUMBER),
    )
)
def suspend_pass(
    request: ApiRequest,
    type_id: FromPath[str],
    number: FromPath[str],
    data: Annotated[StepRequest, Body(examples=_REASON)],
    version: IfMatch = None,  # noqa: ARG001
) -> Response[bytes]:
    """Put the right on hold."""

    def step(application: Application, session: Session, _: PassType, actor: Actor) -> None:
        lifecycle.suspend(session, application.tenant, type_id, number, actor=actor)

    return _take(request, type_id, number, data, step)


@post(
    **_described(
        "resume",
        "resumePass",
        Scope.PASSES_REVOKE,
        "Resume a suspended pass",
        "The pass holds again.",
        RegisterRefusal("PASS_NOT_SUSPENDED", number=NUMBER),
    )
)
def resume_pass(
    request: ApiRequest,
    type_id: FromPath[str],
    number: FromPath[str],
    data: Annotated[StepRequest, Body(examples=_REASON)],
    version: IfMatch = None,  # noqa: ARG001
) -> Response[bytes]:
    """Let a suspended right hold again."""

    def step(application: Application, session: Session, _: PassType, actor: Actor) -> None:
        lifecycle.resume(session, application.tenant, type_id, number, actor=actor)

    return _take(request, type_id, number, data, step)


@post(
    **_described(
        "revoke",
        "revokePass",
        Scope.PASSES_REVOKE,
        "Revoke a pass",
        "Ends the right for good. When this is answered, it stands in the log of revocations that survives a "
        "restored backup.",
        RegisterRefusal("PASS_REVOKED", number=NUMBER),
    )
)
def revoke_pass(
    request: ApiRequest,
    type_id: FromPath[str],
    number: FromPath[str],
    data: Annotated[StepRequest, Body(examples=_REASON)],
    version: IfMatch = None,  # noqa: ARG001
) -> Response[bytes]:
    """End the right for good."""

    def step(application: Application, session: Session, _: PassType, actor: Actor) -> None:
        log = RevocationLog(application.workspace.folder)
        revoke_logged(session, application.tenant, log, type_id, number, actor=actor)

    return _take(request, type_id, number, data, step)


@post(
    **_described(
        "reissue",
        "reissuePass",
        Scope.PASSES_WRITE,
        "Reissue a pass",
        "The same right with a new seal, and a new pass for wallets, as after a lost phone. The old one is void.",
        RegisterRefusal("PASS_SUSPENDED", number=NUMBER),
    )
)
def reissue_pass(
    request: ApiRequest,
    type_id: FromPath[str],
    number: FromPath[str],
    data: Annotated[StepRequest, Body(examples=_REASON)],
    version: IfMatch = None,  # noqa: ARG001
) -> Response[bytes]:
    """Give the right a new seal and the wallets a new pass."""

    def step(application: Application, session: Session, pass_type: PassType, actor: Actor) -> None:
        sealer = application.sealer(session, pass_type)
        lifecycle.reissue(session, application.tenant, pass_type, number, seal_for=sealer, actor=actor)
        # What hangs behind the windscreen is void from now on.
        mail.tell_holder(session, application, mail.CHANGED, type_id, number, {})

    return _take(request, type_id, number, data, step)


@post(
    **_described(
        "renew",
        "renewPass",
        Scope.PASSES_WRITE,
        "Renew a pass",
        f"Adds a term that starts with the day after the last one, from {EARLIEST.days} days before that day on, or "
        "as many as the rules of the permit kind have. A zone that has been merged by then is its successor. "
        "Number and right stay; the pass holds without a gap from its first day to the new last day. Prints of the "
        "term before stay good until its last day.",
        RegisterRefusal("CERTIFICATE_NOT_RENEWED", number="RC-2026-000042"),
        RegisterRefusal("RENEWAL_TOO_EARLY", number=NUMBER, opens="2027-10-01", days=EARLIEST.days),
        RegisterRefusal("PASS_ENDED", number=NUMBER, last="2026-11-30"),
    )
)
def renew_pass(
    request: ApiRequest,
    type_id: FromPath[str],
    number: FromPath[str],
    data: Annotated[
        RenewRequest,
        Body(examples=body_example("a year", {"term_months": 12, "channel": "online", "fee_cents": 2500})),
    ],
    version: IfMatch = None,  # noqa: ARG001
) -> Response[bytes]:
    """Let the right go on for a further term."""
    renewal = Renewal(data.term_months, data.channel, data.fee_cents)

    def step(application: Application, session: Session, pass_type: PassType, actor: Actor) -> None:
        sealer = application.sealer(session, pass_type)
        renew(session, application.tenant, pass_type, number, renewal, seal_for=sealer, actor=actor)
        # The print of the old term holds until its end: time enough to exchange it.
        mail.tell_holder(session, application, mail.RENEWED, type_id, number, {})

    return _take(request, type_id, number, data, step)


@post(
    "/passes/{type_id:str}/{number:str}/pickup-links",
    sync_to_thread=True,
    guards=[require(Scope.PASSES_WRITE)],
    operation_id="createPickupLink",
    tags=["Passes"],
    summary="Create a pick-up link",
    description=(
        "A link that opens the pass once, within the hour: with `desk` in the answer, for the screen at the counter; "
        "with `mail` it is sent to the holder."
    ),
    responses=documented(
        Success(
            201,
            LinkAnswer,
            {"desk": LinkAnswer("desk", "https://pass.example.org/p/l/AAAAAAAAAAAAAAAAAAAAAA")},
            "The link, or that it is on its way",
        ),
        UNKNOWN,
        RegisterRefusal("PASS_UNPAID", number=NUMBER),
        problem(409, "HOLDER_WITHOUT_MAIL", number=NUMBER),
    ),
)
def create_pickup_link(
    request: ApiRequest,
    type_id: FromPath[str],
    number: FromPath[str],
    data: Annotated[LinkRequest, Body(examples=body_example("desk", {"channel": "desk"}))],
) -> Response[bytes]:
    """A one-time link to the pass, or a mail with one."""
    application = application_of(request)
    may_act(request.user, pass_type_of(application, type_id))

    def effect(session: Session) -> Answer:
        _must_hold(application, session, type_id, number)
        if data.channel == "mail":
            if not mail.queue_mail(session, application, "pickup", type_id, number, {}):
                raise problem(409, "HOLDER_WITHOUT_MAIL", number=number)
            return Answer(201, LinkAnswer("mail"))
        url = create_link(session, application, type_id, number, Channel.DESK)
        return Answer(201, LinkAnswer("desk", url), secret=True)

    return answer_once(request, data, effect)


@post(
    "/passes/{type_id:str}/{number:str}/letter-codes",
    sync_to_thread=True,
    guards=[require(Scope.PASSES_WRITE)],
    operation_id="createLetterCode",
    tags=["Passes"],
    summary="Create a code for a letter",
    description="For holders without a mail address. A code made before opens nothing any more.",
    responses=documented(
        Success(201, LetterCode, {"code": LetterCode("ABCDEFGHJKMN")}, "The code, this once"),
        UNKNOWN,
        RegisterRefusal("PASS_UNPAID", number=NUMBER),
    ),
)
def create_code(request: ApiRequest, type_id: FromPath[str], number: FromPath[str]) -> Response[bytes]:
    """A code that opens the pass together with its last day."""
    application = application_of(request)
    may_act(request.user, pass_type_of(application, type_id))

    def effect(session: Session) -> Answer:
        _must_hold(application, session, type_id, number)
        code = create_letter_code(session, application, type_id, number)
        return Answer(201, LetterCode(code), secret=True)

    return answer_once(request, None, effect)


HANDLERS: list[ControllerRouterHandler] = [
    approve_pass,
    suspend_pass,
    resume_pass,
    revoke_pass,
    reissue_pass,
    renew_pass,
    create_pickup_link,
    create_code,
]


def _take(
    request: ApiRequest,
    type_id: str,
    number: str,
    data: ApproveRequest | StepRequest | RenewRequest,
    step: Step,
) -> Response[bytes]:
    application = application_of(request)
    pass_type = may_act(request.user, pass_type_of(application, type_id))
    wanted = required(request)
    actor = Actor(request.user.actor, application.now(), data.reason)

    def effect(session: Session) -> Answer:
        check(session, application.tenant, type_id, number, wanted)
        step(application, session, pass_type, actor)
        body, headers = pass_answer(application, session, request.user, (type_id, number))
        return Answer(200, body, headers)

    return answer_once(request, data, effect)


def _must_hold(
    application: Application, session: Session, type_id: FromPath[str], number: FromPath[str]
) -> None:
    """Only a right that holds, or will, is brought to anybody's phone."""
    pass_type = pass_type_of(application, type_id)
    row, _ = lifecycle.current_revision(session, application.tenant, pass_type.id, number)
    if row.status != PassStatus.ACTIVE:
        raise wrong_state(row)
    if row.period_last < berlin_day(application.now()):
        raise RegisterRefusal("PASS_ENDED", number=number, last=row.period_last.isoformat())
