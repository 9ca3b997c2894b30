"""Signed statements for the system that deals with fines: what a plate had at a past moment.

Each answer is noted in the audit trail, by its digest and without the plate.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Final

import msgspec
from litestar import Response, post
from litestar.openapi.spec import Example
from litestar.params import Body
from litestar.types import ControllerRouterHandler

from issuer.api.auth import ApiRequest, application_of, require
from issuer.api.checks import PlateText, TimeText, ZoneText
from issuer.api.documentation import Success, documented
from issuer.api.scopes import Scope
from issuer.errors import IssuerRefusal
from issuer.statements.answer import state
from issuer.statements.document import Permit, Place, Published, Question, Statement, Step
from issuer.statements.question import read_moment, read_plate, read_zone
from issuer.web.problems import ProblemRefusal, misplaced, problem
from keys.errors import Refusal
from passes.errors import PassRefusal
from passes.plates import Plate, PlateAmbiguous


class StatementQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A plate as a person writes it; without ``zone`` any zone; ``at`` is a past moment (RFC 3339)."""

    plate: PlateText
    at: TimeText
    zone: ZoneText | None = None


class StatementAnswer(msgspec.Struct, frozen=True):
    """``jws`` is the signed statement (RFC 7515, compact, ES256), ``statement`` what its payload says."""

    jws: str
    statement: Statement


_AT: Final = datetime(2026, 11, 3, 13, 0, tzinfo=UTC)
_EXAMPLE: Final = StatementAnswer(
    "eyJhbGciOiJFUzI1NiIs…",
    Statement(
        version=1,
        id="xT3m4Q0n9cEJm7u1Yb2gWg",
        issuer="Musterstadt",
        tenant="musterstadt",
        test=False,
        made_at=datetime(2026, 11, 20, 11, 0, tzinfo=UTC),
        question=Question("D-AB 123", "HO", _AT),
        answer="permit",
        reason="VALID",
        permits=[
            Permit(
                type="resident-parking-permit",
                number="BPA-2026-100001",
                plate="D-AB 123",
                finding="VALID",
                status="active",
                first_day=date(2026, 7, 1),
                last_day=date(2027, 6, 30),
                zone="HO",
                season=None,
                binding=1,
                binding_since=datetime(2026, 6, 20, 8, 0, tzinfo=UTC),
                binding_until=None,
                entered_at=datetime(2026, 6, 20, 8, 0, tzinfo=UTC),
                status_list=Place(3, 4711),
                steps=[Step(datetime(2026, 6, 20, 8, 0, tzinfo=UTC), "create", "active")],
            )
        ],
        other_plates=[],
        published=[Published("plates.cwt", 1793000000000, datetime(2026, 11, 3, 12, 0, tzinfo=UTC))],
        register_since=datetime(2026, 1, 2, 8, 0, tzinfo=UTC),
        audit_sequence=912,
        audit_hash="0" * 64,
    ),
)


@post(
    "/statements/plate",
    status_code=200,
    sync_to_thread=True,
    guards=[require(Scope.STATEMENTS_READ)],
    opt={"idempotent": False},
    operation_id="statePlate",
    tags=["Checks"],
    summary="Signed statement about a plate",
    description=(
        "What the register says of a plate at a past moment, signed for the file: the permits that named it then, "
        "their state, period and changes. `answer` is `permit`, `no-permit` or `not-held`; the last where passes of "
        "that time have been deleted, so that nothing follows from finding none. No name and no address. The key is "
        "in the trust bundle. That the statement was made is noted by its digest, without the plate."
    ),
    responses=documented(
        Success(200, StatementAnswer, {"permit": _EXAMPLE}, "The statement"),
        ProblemRefusal(422, "PLATE_SEVERAL", suggestions=["C-EE 1234", "CE-E 1234"]),
        misplaced(PassRefusal("PLATE_SPECIAL"), pointer="#/plate"),
        misplaced(IssuerRefusal("STATEMENT_FUTURE"), pointer="#/at"),
    ),
)
def state_plate(
    request: ApiRequest,
    data: Annotated[
        StatementQuestion,
        Body(
            examples=[
                Example(
                    id="plate",
                    summary="A plate in a zone",
                    value={"plate": "D-AB 123", "zone": "HO", "at": "2026-11-03T14:00:00+01:00"},
                )
            ]
        ),
    ],
) -> Response[bytes]:
    """The signed answer."""
    application = application_of(request)
    plate = _plate(data.plate)
    try:
        at = read_moment(data.at, application.now())
    except Refusal as refusal:
        raise misplaced(refusal, pointer="#/at") from None
    with application.reading() as session:
        try:
            zone = read_zone(session, application.tenant, data.zone or "")
        except Refusal as refusal:
            raise misplaced(refusal, pointer="#/zone") from None
    made = state(application, plate, Question(plate.canonical, zone, at), request.user.actor)
    body = msgspec.json.encode(StatementAnswer(made.jws, made.statement))
    return Response(body, media_type="application/json", headers={"Cache-Control": "no-store"})


HANDLERS: list[ControllerRouterHandler] = [state_plate]


def _plate(text: str) -> Plate:
    try:
        return read_plate(text)
    except PlateAmbiguous as ambiguous:
        suggestions = sorted(one.canonical for one in ambiguous.suggestions)
        raise problem(422, "PLATE_SEVERAL", suggestions=suggestions) from None
    except Refusal as refusal:
        raise misplaced(refusal, pointer="#/plate") from None
