"""Looking for passes."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Final

import msgspec
from litestar import Response, get
from litestar.params import FromQuery, QueryParameter
from litestar.types import ControllerRouterHandler

from issuer.api.auth import ApiRequest, application_of, require
from issuer.api.documentation import Success, documented
from issuer.api.paging import USUAL_PAGE, Cursor, Limit, page_of
from issuer.api.pass_answers import respond, sees_holders, summaries
from issuer.api.pass_examples import PAGE
from issuer.api.pass_schemas import PassPage, StatusName
from issuer.api.scopes import Scope
from issuer.models import PassRow
from issuer.search import LONGEST, PassQuery, passes_like
from issuer.web.problems import misplaced, problem
from passes.errors import PassRefusal
from passes.plates import Plate
from passes.zones import normalise_zone_code

_LONGEST_PLATE: Final = 40
_LONGEST_ZONE: Final = 48

Text = Annotated[
    str | None,
    QueryParameter(
        max_length=LONGEST,
        description="The beginning of a number, a plate, or words of the holder's name (scope holders:read)",
    ),
]


@get(
    "/passes",
    sync_to_thread=True,
    guards=[require(Scope.PASSES_READ)],
    operation_id="findPasses",
    tags=["Passes"],
    summary="Find passes",
    description=(
        "All conditions hold together. Names are found however their umlauts are typed: Mueller finds Müller. "
        "Without the scope `holders:read` names are not searched. A plate is exact, with its suffix."
    ),
    responses=documented(
        Success(200, PassPage, {"page": PAGE}, "The passes by type and number"),
        problem(400, "CURSOR_INVALID"),
        misplaced(PassRefusal("PLATE_SPECIAL"), parameter="plate"),
    ),
)
def find_passes(
    request: ApiRequest,
    q: Text = None,
    plate: Annotated[str | None, QueryParameter(max_length=_LONGEST_PLATE)] = None,
    zone: Annotated[str | None, QueryParameter(max_length=_LONGEST_ZONE)] = None,
    status: FromQuery[StatusName | None] = None,
    type_id: Annotated[str | None, QueryParameter(name="type", max_length=40)] = None,
    valid_on: FromQuery[date | None] = None,
    cursor: Cursor = None,
    limit: Limit = USUAL_PAGE,
) -> Response[bytes]:
    """Passes by what is known of them."""
    application = application_of(request)
    query = PassQuery(
        text=q or "",
        plate=None if plate is None else _plate(plate),
        zone=None if zone is None else _zone(zone),
        status=status,
        type_id=type_id,
        valid_on=valid_on,
        by_name=sees_holders(request.user),
    )
    # A cursor belongs to its filter and, since names are searched for some only, to the right to see them.
    name = (
        "passes:" + msgspec.json.encode([q, plate, zone, status, type_id, valid_on, query.by_name]).decode()
    )
    with application.reading() as session:
        page = page_of(
            application,
            session,
            passes_like(session, application.tenant, query),
            [PassRow.type_id, PassRow.number],
            name=name,
            limit=limit,
            cursor=cursor,
        )
        keys = [(row.type_id, row.number) for row in page.items]
        return respond(PassPage(summaries(application, session, request.user, keys), page.next))


HANDLERS: list[ControllerRouterHandler] = [find_passes]


def _plate(text: str) -> Plate:
    try:
        return Plate.parse(text)
    except PassRefusal as refusal:
        raise misplaced(refusal, parameter="plate") from None


def _zone(text: str) -> str:
    try:
        return normalise_zone_code(text)
    except PassRefusal as refusal:
        raise misplaced(refusal, parameter="zone") from None
