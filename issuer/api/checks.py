"""Checking a plate for the system that deals with fines: yes or no, and nothing is kept.

The plate stands in no audit entry and no log. The POST form is the one to use: query strings end up in the logs of
proxies that are not ours.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Final, Literal

import msgspec
from litestar import Response, get, post
from litestar.openapi.spec import Example
from litestar.params import Body, QueryParameter
from litestar.types import ControllerRouterHandler

from issuer.api.auth import ApiRequest, application_of, require
from issuer.api.documentation import Success, documented
from issuer.api.scopes import Scope
from issuer.plate_register import Finding, PlateFinding, find_plate
from issuer.tariffs import zones
from issuer.web.problems import ProblemRefusal, misplaced, problem
from keys.errors import Refusal
from passes.errors import PassRefusal
from passes.periods import BERLIN, parse_time
from passes.plates import Plate, PlateAmbiguous, correct_lookalikes, parse_with_season
from verifier.common import same_zone

_LONGEST_PLATE: Final = 40
_LONGEST_ZONE: Final = 48
_LONGEST_TIME: Final = 40

PlateText = Annotated[str, msgspec.Meta(min_length=1, max_length=_LONGEST_PLATE)]
ZoneText = Annotated[str, msgspec.Meta(min_length=1, max_length=_LONGEST_ZONE)]
TimeText = Annotated[str, msgspec.Meta(min_length=1, max_length=_LONGEST_TIME)]


class PlateQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A plate as a person writes it; without ``zone`` any zone will do, without ``at`` it is now (RFC 3339)."""

    plate: PlateText
    zone: ZoneText | None = None
    at: TimeText | None = None


class PlateAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whether ``plate`` (as it was read) has a permit; ``suggestions`` are equal plates with another suffix."""

    valid: bool
    reason: Literal[
        "VALID",
        "OUT_OF_SEASON",
        "OTHER_ZONE",
        "SUSPENDED",
        "NOT_YET_VALID",
        "EXPIRED",
        "REVOKED",
        "SUPERSEDED",
        "SUFFIX_DIFFERS",
        "NOT_LISTED",
    ]
    plate: str
    at: datetime
    valid_until: date | None = None
    suggestions: list[str] = msgspec.field(default_factory=list)


_AT: Final = datetime.fromisoformat("2026-11-20T12:00:00+01:00")
_RESPONSES: Final = documented(
    Success(
        200,
        PlateAnswer,
        {
            "permit": PlateAnswer(True, "VALID", "D-AB 123", _AT, date(2027, 6, 30)),
            "none": PlateAnswer(False, "NOT_LISTED", "D-AB 123", _AT),
            "suffix": PlateAnswer(False, "SUFFIX_DIFFERS", "D-AB 123", _AT, None, ["D-AB 123E"]),
        },
        "Yes or no",
    ),
    ProblemRefusal(422, "PLATE_SEVERAL", suggestions=["C-EE 1234", "CE-E 1234"]),
    misplaced(PassRefusal("PLATE_SPECIAL"), pointer="#/plate"),
)
_ABOUT: Final = (
    "Changing vehicles and car sharing have permits without a plate: a `false` says that the register has none for "
    "this plate, not that nothing lies behind the windscreen. A plate that can be read in two ways is refused with "
    "`PLATE_SEVERAL` and `suggestions`, never guessed. Nothing of the question is stored."
)


@post(
    "/checks/plate",
    status_code=200,
    sync_to_thread=True,
    guards=[require(Scope.CHECKS_READ)],
    opt={"idempotent": False},
    operation_id="checkPlate",
    tags=["Checks"],
    summary="Check a plate",
    description=_ABOUT,
    responses=_RESPONSES,
)
def check_plate(
    request: ApiRequest,
    data: Annotated[
        PlateQuestion,
        Body(
            examples=[
                Example(
                    id="plate",
                    summary="A plate in a zone",
                    value={"plate": "D-AB 123", "zone": "HO", "at": "2026-11-20T12:00:00+01:00"},
                )
            ]
        ),
    ],
) -> Response[bytes]:
    """Whether a plate has a permit; the plate is in the body."""
    return _answer(request, data, in_body=True)


@get(
    "/checks/plate",
    sync_to_thread=True,
    guards=[require(Scope.CHECKS_READ)],
    operation_id="checkPlateByQuery",
    tags=["Checks"],
    summary="Check a plate in the query string",
    description=_ABOUT + " Prefer the POST form: query strings end up in the logs of proxies.",
    responses=_RESPONSES,
)
def check_plate_by_query(
    request: ApiRequest,
    plate: Annotated[str, QueryParameter(min_length=1, max_length=_LONGEST_PLATE)],
    zone: Annotated[str | None, QueryParameter(max_length=_LONGEST_ZONE)] = None,
    at: Annotated[str | None, QueryParameter(max_length=_LONGEST_TIME)] = None,
) -> Response[bytes]:
    """Whether a plate has a permit; the plate is in the query string."""
    return _answer(request, PlateQuestion(plate, zone, at), in_body=False)


HANDLERS: list[ControllerRouterHandler] = [check_plate, check_plate_by_query]


def _answer(request: ApiRequest, question: PlateQuestion, *, in_body: bool) -> Response[bytes]:
    application = application_of(request)
    plate = _read(question, in_body)
    try:
        at = application.now() if question.at is None else parse_time(question.at)
    except PassRefusal as refusal:
        raise _misplaced(refusal, "at", in_body) from None
    with application.reading() as session:
        if question.zone is not None:
            known = zones(session, application.tenant)
            # A mistyped zone must not turn into "no permit"; one that has ended may be asked about.
            if not any(same_zone(question.zone.strip(" "), code) for code in known):
                raise _misplaced(problem(422, "ZONE_NOT_KNOWN"), "zone", in_body)
        zone = None if question.zone is None else question.zone.strip(" ")
        found = find_plate(session, application.tenant, plate, zone, at)
    body = msgspec.json.encode(_described(plate, found, at))
    return Response(body, media_type="application/json", headers={"Cache-Control": "no-store"})


def _read(question: PlateQuestion, in_body: bool) -> Plate:
    try:
        spelling, _ = correct_lookalikes(question.plate)
        return parse_with_season(spelling)[0]
    except PlateAmbiguous as ambiguous:
        suggestions = sorted(one.canonical for one in ambiguous.suggestions)
        raise problem(422, "PLATE_SEVERAL", suggestions=suggestions) from None
    except Refusal as refusal:
        raise _misplaced(refusal, "plate", in_body) from None


def _misplaced(refusal: Refusal, name: str, in_body: bool) -> ProblemRefusal:
    return misplaced(refusal, pointer=f"#/{name}") if in_body else misplaced(refusal, parameter=name)


def _described(plate: Plate, found: PlateFinding, at: datetime) -> PlateAnswer:
    return PlateAnswer(
        valid=found.finding is Finding.VALID,
        reason=found.finding.value,
        plate=plate.canonical,
        at=at.astimezone(BERLIN),
        valid_until=found.valid_until,
        suggestions=[one.canonical for one in found.others],
    )
