"""Passes: issuing, reading and changing them. What else can happen to one is in `pass_steps` and `pass_files`."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from litestar import Response, get, patch, post
from litestar.params import Body, FromPath
from litestar.types import ControllerRouterHandler
from sqlalchemy.orm import Session

from issuer import audit, lifecycle, pass_view
from issuer.api import pass_files, pass_steps, search
from issuer.api.auth import ApiRequest, application_of, require
from issuer.api.documentation import Success, documented
from issuer.api.idempotency import Answer, answer_once
from issuer.api.pass_answers import may_act, pass_answer, pass_type_of, respond
from issuer.api.pass_examples import HISTORY, NEW_PASS, NUMBER, PASS, UNKNOWN, VERSIONED, body_example
from issuer.api.pass_rows import PassRequestRow, row_of
from issuer.api.pass_schemas import (
    CardInput,
    History,
    HistoryEntry,
    NewPass,
    PassAnswer,
    PassChange,
    PlateInput,
    Warning,
)
from issuer.api.scopes import Scope
from issuer.api.versions import IfMatch, check, required
from issuer.application import Application
from issuer.delivery import mail
from issuer.errors import IssuerRefusal, RegisterRefusal
from issuer.importing.check_file import check_rows
from issuer.lifecycle import Actor, Changes
from issuer.numbering import next_number
from issuer.register import insert_passes, subject
from issuer.residence.certificates import names_person
from issuer.revocation_log import RevocationLog
from issuer.rules.sources.protocols import Person
from issuer.web.problems import Fault, ProblemRefusal, language_of, misplaced, problem
from keys.errors import Refusal
from passes.card_numbers import CardNumber
from passes.model import RegisteredPlate
from passes.pass_types import PassType
from passes.periods import berlin_day
from passes.plates import check_season_length, parse_with_season
from passes.seasons import Season

_UNPROCESSABLE: Final = 422
_PLACE_OF_CODE: Final = {
    "ZONE_UNKNOWN": "#/zone",
    "ZONE_ENDED": "#/zone",
    "ZONE_FORMAT": "#/zone",
    "PLATE_COUNT": "#/plates",
    "PLATES_NOT_OF_KIND": "#/plates",
}


@post(
    "/passes",
    sync_to_thread=True,
    guards=[require(Scope.PASSES_WRITE)],
    operation_id="createPass",
    tags=["Passes"],
    summary="Issue a pass",
    description=(
        "The values are normalised and checked like a row of an import; `errors` names every fault with its place. "
        "With status `pending_payment` nothing is issued until the pass is approved. Without a number it gets one: "
        "initials of the type, year and a running number. A last day follows from `term_months` if it is left out. "
        "Certificates of residence need the scope `residence:write` as well; `POST /residence-certificates` asks the "
        "register of residents instead of taking what is sent."
    ),
    responses=documented(
        Success(201, PassAnswer, {"pass": PASS}, "The pass; `Location` says where it is"),
        problem(409, "NUMBER_TAKEN", number=NUMBER),
        problem(
            _UNPROCESSABLE,
            "REQUEST_INVALID",
            faults=[
                Fault("PLATE_SPECIAL", {}, "#/attributes/plates/0/plate", package="passes"),
                Fault("ZONE_UNKNOWN", {"zone": "XX", "known": "BÖ, HO"}, "#/attributes/zone"),
            ],
        ),
    ),
)
def create_pass(
    request: ApiRequest, data: Annotated[NewPass, Body(examples=body_example("permit", NEW_PASS))]
) -> Response[bytes]:
    """Enter a pass into the register and issue it, unless it waits for its payment."""
    application = application_of(request)
    try:
        pass_type = application.pass_types[data.type]
    except Refusal as refusal:
        raise misplaced(refusal, pointer="#/type") from None
    may_act(request.user, pass_type)
    if names_person(pass_type):
        # Read before the transaction if it has changed: nobody waits to write for a large file.
        application.sources.residents.may_certify(Person("-"), berlin_day(application.now()))

    def effect(session: Session) -> Answer:
        number = data.number or next_number(session, application.tenant, pass_type.id, application.now())
        row = row_of(pass_type, data, number)
        warnings = _enter(request, session, pass_type, row, number)
        body, headers = pass_answer(application, session, request.user, (pass_type.id, number), warnings)
        return Answer(201, body, {**headers, "Location": f"/api/v1/passes/{pass_type.id}/{number}"})

    return answer_once(request, data, effect)


@get(
    "/passes/{type_id:str}/{number:str}",
    sync_to_thread=True,
    guards=[require(Scope.PASSES_READ)],
    operation_id="getPass",
    tags=["Passes"],
    summary="Read a pass",
    description="The ETag names the version, for `If-Match`. `holder` is there with the scope `holders:read` only.",
    responses=documented(Success(200, PassAnswer, {"pass": PASS}, "The pass"), UNKNOWN),
)
def get_pass(request: ApiRequest, type_id: FromPath[str], number: FromPath[str]) -> Response[bytes]:
    """A pass as it is now."""
    application = application_of(request)
    with application.reading() as session:
        return respond(*pass_answer(application, session, request.user, (type_id, number)))


@patch(
    "/passes/{type_id:str}/{number:str}",
    sync_to_thread=True,
    guards=[require(Scope.PASSES_WRITE)],
    operation_id="changePass",
    tags=["Passes"],
    summary="Change plates, zone or card number",
    description=(
        "Makes a new revision with a new seal; older prints are superseded, passes on phones are updated. `plates` "
        "replaces all plates. A card number that was replaced never holds again and is never given out again."
    ),
    responses=documented(
        Success(200, PassAnswer, {"pass": PASS}, "The pass as it is from now on"),
        *VERSIONED,
        RegisterRefusal("NOTHING_CHANGES", number=NUMBER),
        RegisterRefusal("PASS_REVOKED", number=NUMBER),
        RegisterRefusal("CARD_TAKEN", owner="M500020"),
        RegisterRefusal("CARD_SPENT", card="24711300000134", owner="M500020"),
    ),
)
def change_pass(
    request: ApiRequest,
    type_id: FromPath[str],
    number: FromPath[str],
    data: Annotated[
        PassChange, Body(examples=body_example("plate", {"plates": [{"plate": "D-AB 123E", "season": None}]}))
    ],
    version: IfMatch = None,  # noqa: ARG001 - for the description; read from the header itself
) -> Response[bytes]:
    """Give a pass other plates, another zone or another card number."""
    application = application_of(request)
    wanted = required(request)
    pass_type = may_act(request.user, pass_type_of(application, type_id))
    plates = None if data.plates is None else _plates(data.plates)
    actor = Actor(request.user.actor, application.now(), data.reason)
    with application.writing() as session:
        check(session, application.tenant, type_id, number, wanted)
        card = _card(application, session, pass_type, number, data.card_number)
        try:
            lifecycle.change(
                session,
                application.tenant,
                pass_type,
                number,
                Changes(plates, data.zone, card),
                seal_for=application.sealer(session, pass_type),
                actor=actor,
                log=RevocationLog(application.workspace.folder),
            )
        except Refusal as refusal:
            if refusal.code in _PLACE_OF_CODE:
                raise misplaced(refusal, pointer=_PLACE_OF_CODE[refusal.code]) from None
            raise
        if plates is not None:
            # The print in the car is void from now on, and only the holder can exchange it.
            mail.tell_holder(session, application, mail.CHANGED, type_id, number, {})
        return respond(*pass_answer(application, session, request.user, (type_id, number)))


@get(
    "/passes/{type_id:str}/{number:str}/history",
    sync_to_thread=True,
    guards=[require(Scope.PASSES_READ)],
    operation_id="getPassHistory",
    tags=["Passes"],
    summary="Read the history of a pass",
    description="What the audit trail says of the pass, oldest first. It holds no names and addresses.",
    responses=documented(Success(200, History, {"history": HISTORY}, "The entries"), UNKNOWN),
)
def get_history(request: ApiRequest, type_id: FromPath[str], number: FromPath[str]) -> Response[bytes]:
    """All audit entries about a pass."""
    application = application_of(request)
    pass_type_of(application, type_id)
    with application.reading() as session:
        pass_answer(application, session, request.user, (type_id, number))
        entries = audit.history(session, application.tenant, subject(type_id, number))
    fields = [one.name for one in msgspec.structs.fields(HistoryEntry)]
    return respond(History([HistoryEntry(*(getattr(one, name) for name in fields)) for one in entries]))


HANDLERS: list[ControllerRouterHandler] = [
    create_pass,
    get_pass,
    change_pass,
    get_history,
    *search.HANDLERS,
    *pass_steps.HANDLERS,
    *pass_files.HANDLERS,
]


def _enter(
    request: ApiRequest, session: Session, pass_type: PassType, row: PassRequestRow, number: str
) -> list[Warning]:
    application = application_of(request)
    at = application.now()
    residents = application.sources.residents
    checked = check_rows(session, application.tenant, pass_type, row.file(), at, residents=residents)
    known = any(one.code == "DUPLICATE_ID" for one in checked.findings)
    if checked.unchanged or known:
        raise problem(
            409, "NUMBER_TAKEN", number=number, faults=[Fault("NUMBER_TAKEN", {"number": number}, "#/number")]
        )
    places = {one.pointer for one in row.faults}
    faults = row.faults + [one for one in row.faults_of(checked.findings) if one.pointer not in places]
    if faults:
        raise ProblemRefusal(_UNPROCESSABLE, "REQUEST_INVALID", faults=faults)
    insert_passes(
        session,
        application.tenant,
        checked.accepted,
        application.sealer(session, pass_type),
        at=at,
        actor=request.user.actor,
        log=RevocationLog(application.workspace.folder),
        action="create",
    )
    return row.warnings_of(checked.findings, language_of(request))


def _plates(given: list[PlateInput]) -> tuple[RegisteredPlate, ...]:
    plates: list[RegisteredPlate] = []
    faults: list[Fault] = []
    for place, one in enumerate(given):
        pointer = f"#/plates/{place}/plate"
        try:
            plate, season = parse_with_season(one.plate)
            if one.season is not None:
                pointer = f"#/plates/{place}/season"
                named, season = season, Season.parse(one.season)
                if named not in (None, season):
                    raise IssuerRefusal("SEASON_CONFLICT", plate=plate.canonical)
            if season is not None:
                check_season_length(plate)
        except Refusal as refusal:
            faults.append(Fault(refusal.code, refusal.params, pointer, package=refusal.package))
        else:
            plates.append(RegisteredPlate(plate, season))
    if faults:
        raise ProblemRefusal(_UNPROCESSABLE, "REQUEST_INVALID", faults=faults)
    return tuple(plates)


def _card(
    application: Application, session: Session, pass_type: PassType, number: str, given: CardInput | None
) -> CardNumber | None:
    """The new card number; scheme and symbology are those of the old one unless they are given."""
    if given is None:
        return None
    view = pass_view.show(session, application.tenant, pass_type, number)
    old = next((one for one in view.content.attributes.values() if isinstance(one, CardNumber)), None)
    scheme = given.scheme if given.scheme is not None else (old.scheme if old else None)
    symbology = given.symbology if given.symbology is not None else (old.symbology if old else None)
    try:
        return pass_type.card_number(given.number, scheme or "", symbology or "")
    except Refusal as refusal:
        raise misplaced(refusal, pointer="#/card_number") from None
