"""Looking up a card number, for enrolled devices of librarians.

The number comes in a signed body and never in an address, which proxies log. The answer says whether the card holds,
until when and for which group, and nothing about the person. It reads only, so a nonce is not kept: whoever repeats a
request within two minutes learns what its device was told.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Final
from weakref import WeakKeyDictionary

import msgspec
from litestar import Request, Response, post
from litestar.openapi.spec import (
    Example,
    OpenAPIMediaType,
    OpenAPIType,
    Operation,
    RequestBody,
    Schema,
)
from litestar.params import RawBody
from litestar.types import ControllerRouterHandler
from sqlalchemy import Engine

from issuer.api.documentation import Success, documented
from issuer.application import Application
from issuer.device_requests import DeviceRefused, signed_request
from issuer.library.card_lookup import CardAnswer, look_up
from issuer.library.sources import source_of
from issuer.verifier_devices import Role
from issuer.web.problems import language_of, problem
from issuer.web.rate_limits import Buckets
from passes.card_numbers import Symbology
from passes.scanned_cards import LONGEST_DELIVERED, scanned_card
from verifier.verdict import Colour

PATH: Final = "/check/cards"
LARGEST: Final = 4096
MOST_READINGS: Final = 8
# A desk scans a card every few seconds. Who tries numbers comes to many that nobody has.
LOOKUPS_A_MINUTE: Final = 60.0
UNKNOWN_A_MINUTE: Final = 20.0

_limits: WeakKeyDictionary[Engine, Buckets] = WeakKeyDictionary()


class CardQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was read once, as delivered, in all the ways in which keys can be understood; the code, if known."""

    read: Annotated[
        list[Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_DELIVERED)]],
        msgspec.Meta(min_length=1, max_length=MOST_READINGS),
    ]
    symbology: Symbology | None = None


class CardTold(msgspec.Struct, frozen=True):
    """The answer. Days are Europe/Berlin's, inclusive; ``time`` is when it was given, in seconds since 1970."""

    verdict: Colour
    reason: str
    card_number: str | None
    valid_from: date | None
    valid_until: date | None
    category: str | None
    cause: str | None
    test: bool
    time: int


_QUESTION: Final = CardQuestion(["*BQD18N001000*"], Symbology.CODE_39)
_VALID: Final = CardTold(
    Colour.GREEN, "VALID", "BQD18N001000", None, date(2027, 4, 16), "adults", None, False, 1_795_172_400
)
_BLOCKED: Final = CardTold(
    Colour.RED, "SUSPENDED", "BQD18N001000", None, date(2027, 4, 16), "adults", "lost", False, 1_795_172_400
)
_SILENT: Final = CardTold(
    Colour.GREY, "ASK_LIBRARY", "BQD18N001000", None, None, None, "silent", False, 1_795_172_400
)
_DESCRIPTION: Final = """What a desk may be told of a card number: whether the card holds, until when, for whom.

The request is signed by an enrolled device of role `librarian` (RFC 9421, in the profile of the integrator's guide).
`reason` is one of VALID, SUSPENDED, SUPERSEDED (a number that was replaced), EXPIRED, NOT_YET_VALID, REVOKED,
CARD_UNKNOWN (grey: not in the register; red: not in the library's system either), CARD_MISREAD, ASK_LIBRARY. `cause`
is `lost` or `returned` for a blocked card, `silent` where the library's system does not answer, `several` where the
number can be read as two cards; a card that is blocked for fees has none. Nothing of it is stored or logged."""


@dataclass
class CardOperation(Operation):
    """The handler reads the signed bytes itself, so its body is described here."""

    def __post_init__(self) -> None:
        """Add the body and who may ask."""
        text = Schema(type=OpenAPIType.STRING, min_length=1, max_length=LONGEST_DELIVERED)
        read = Schema(type=OpenAPIType.ARRAY, items=text, min_items=1, max_items=MOST_READINGS)
        known = Schema(type=[OpenAPIType.STRING, OpenAPIType.NULL], enum=[*map(str, Symbology), None])
        question = Schema(
            type=OpenAPIType.OBJECT,
            required=["read"],
            properties={"read": read, "symbology": known},
            additional_properties=False,
            examples=[msgspec.to_builtins(_QUESTION)],
        )
        example = Example(value=msgspec.to_builtins(_QUESTION))
        self.request_body = RequestBody(
            required=True,
            description="What was read once, as delivered, in all the ways in which its keys can be understood.",
            content={"application/json": OpenAPIMediaType(schema=question, examples={"code39": example})},
        )
        self.security = [{"device": []}]


@post(
    PATH,
    sync_to_thread=True,
    status_code=200,
    request_max_body_size=LARGEST,
    operation_id="lookUpCard",
    operation_class=CardOperation,
    tags=["Devices"],
    summary="Look up a card number",
    description=_DESCRIPTION,
    responses=documented(
        Success(200, CardTold, {"valid": _VALID, "blocked": _BLOCKED, "silent": _SILENT}, "The answer"),
        DeviceRefused("DEVICE_SIGNATURE"),
        DeviceRefused("DEVICE_CLOCK"),
        DeviceRefused("DEVICE_UNKNOWN"),
        DeviceRefused("DEVICE_PENDING"),
        DeviceRefused("DEVICE_LOCKED"),
        problem(400, "REQUEST_UNREADABLE"),
        problem(403, "DEVICE_NOT_LIBRARIAN"),
    ),
)
def look_up_card(request: Request[Any, Any, Any], body: RawBody) -> Response[bytes]:
    """Answer a librarian's device about one card number."""
    application: Application = request.app.state.application
    device = signed_request(application, request, body).active()
    if device.role != Role.LIBRARIAN.value:
        raise problem(403, "DEVICE_NOT_LIBRARIAN")
    buckets = _limits.setdefault(application.engine, Buckets())
    _take(buckets, "card", device.id, LOOKUPS_A_MINUTE)
    _take(buckets, "card-unknown", device.id, UNKNOWN_A_MINUTE, tokens=0)
    try:
        asked = msgspec.json.decode(body, type=CardQuestion)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise problem(400, "REQUEST_UNREADABLE") from None
    cards = [scanned_card(one, asked.symbology) for one in asked.read]
    answer = look_up(application, cards, source_of(application))
    if answer.unknown:
        # Whatever is answered: beside a card that is known, others may have been tried.
        buckets.take("card-unknown", device.id, UNKNOWN_A_MINUTE, tokens=answer.unknown)
    told = _told(application, answer, language_of(request))
    return Response(
        msgspec.json.encode(told), media_type="application/json", headers={"Cache-Control": "no-store"}
    )


HANDLERS: list[ControllerRouterHandler] = [look_up_card]


def _take(buckets: Buckets, kind: str, device_id: str, per_minute: float, tokens: int = 1) -> None:
    wait = buckets.take(kind, device_id, per_minute, tokens)
    if wait > 0:
        raise problem(429, "TOO_MANY_REQUESTS", headers={"Retry-After": str(math.ceil(wait))})


def _told(application: Application, answer: CardAnswer, language: str) -> CardTold:
    with application.reading() as session:
        test = application.settings(session).test
    category = answer.category
    if answer.type_id is not None and category is not None:
        words = application.pass_types[answer.type_id].words(language)
        category = words.choices.get("category", {}).get(category, category)
    return CardTold(
        answer.verdict,
        answer.reason.name,
        answer.card_number,
        answer.valid_from,
        answer.valid_until,
        category,
        answer.cause,
        test,
        int(application.now().timestamp()),
    )
