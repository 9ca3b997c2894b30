"""Offers of a pass to an EUDI Wallet, for specialist systems and portals that show the QR code or link themselves."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

import msgspec
from litestar import Response, post
from litestar.params import Body, FromPath
from litestar.types import ControllerRouterHandler
from sqlalchemy.orm import Session

from issuer.api.auth import ApiRequest, application_of, require
from issuer.api.documentation import Success, documented
from issuer.api.idempotency import Answer, answer_once
from issuer.api.pass_answers import may_act, pass_type_of
from issuer.api.pass_examples import NUMBER, UNKNOWN, body_example
from issuer.api.scopes import Scope
from issuer.errors import IssuerRefusal, RegisterRefusal
from issuer.eudi.offers import create_offer
from issuer.pickup.links import Channel


class OfferRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``tx_code``: the wallet asks for a transaction code, which must reach the holder another way than the offer."""

    tx_code: bool = True


class OfferAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """``link`` opens a wallet and stands in the QR code. ``tx_code`` is missing where it went out by letter."""

    link: str
    haip_link: str
    expires_at: datetime
    needs_tx_code: bool
    tx_code: str | None = None


_EXAMPLE: Final = OfferAnswer(
    "openid-credential-offer://?credential_offer_uri=https%3A%2F%2Fpass.example.org%2Feudi%2Foffers%2FAAAAAAAAAAAAAAAAAAAAAA",
    "haip-vci://?credential_offer_uri=https%3A%2F%2Fpass.example.org%2Feudi%2Foffers%2FAAAAAAAAAAAAAAAAAAAAAA",
    datetime.fromisoformat("2026-11-20T11:10:00+00:00"),
    needs_tx_code=True,
    tx_code="493536",
)


@post(
    "/passes/{type_id:str}/{number:str}/eudi-offers",
    sync_to_thread=True,
    guards=[require(Scope.PASSES_WRITE)],
    operation_id="createEudiOffer",
    tags=["Passes"],
    summary="Offer a pass to an EUDI Wallet",
    description=(
        "A credential offer (OpenID4VCI 1.0, section 4.1) of every credential of the pass, for one use within ten "
        "minutes. Offers made before and not used yet end."
    ),
    responses=documented(
        Success(201, OfferAnswer, {"offer": _EXAMPLE}, "The offer, this once"),
        UNKNOWN,
        RegisterRefusal("PASS_UNPAID", number=NUMBER),
        IssuerRefusal("EUDI_OFF"),
        IssuerRefusal("EUDI_NOT_OF_TYPE", type="example"),
    ),
)
def create_eudi_offer(
    request: ApiRequest,
    type_id: FromPath[str],
    number: FromPath[str],
    data: Annotated[OfferRequest, Body(examples=body_example("desk", {"tx_code": True}))],
) -> Response[bytes]:
    """A fresh offer."""
    application = application_of(request)
    pass_type = may_act(request.user, pass_type_of(application, type_id))

    def effect(session: Session) -> Answer:
        offer = create_offer(
            session,
            application,
            pass_type.id,
            number,
            tx_code=data.tx_code,
            channel=Channel.DESK.value,
            actor=request.user.actor,
        )
        answer = OfferAnswer(
            offer.link, offer.haip_link, offer.expires_at, offer.needs_tx_code, offer.tx_code
        )
        return Answer(201, answer, secret=True)

    return answer_once(request, data, effect)


HANDLERS: list[ControllerRouterHandler] = [create_eudi_offer]
