"""Webhooks: where the city's own systems want to hear of changes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.params import Body, FromPath
from litestar.types import ControllerRouterHandler
from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer import webhooks
from issuer.api.auth import ApiRequest, application_of, require
from issuer.api.documentation import Success, documented
from issuer.api.idempotency import Answer, answer_once
from issuer.api.paging import USUAL_PAGE, Cursor, Limit, page_of
from issuer.api.pass_answers import respond
from issuer.api.pass_examples import body_example
from issuer.api.scopes import Scope
from issuer.delivery.webhooks import ROTATION_OVERLAP, secret_of
from issuer.errors import IssuerRefusal
from issuer.models_delivery import WebhookDeliveryRow, WebhookEndpointRow
from issuer.outgoing import EventName
from issuer.web.problems import misplaced
from issuer.webhook_targets import LONGEST

_ADDRESS_CODES: Final = ("WEBHOOK_URL", "WEBHOOK_HOST")
_ID: Final = "7d9f4c2b8e1a4f6d9c3b5a7e2f1d8c4b"

Url = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST)]
Events = Annotated[list[EventName], msgspec.Meta(min_length=1, max_length=len(EventName))]


class NewWebhook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where events go, over https to a host that the operator has listed; and which ones."""

    url: Url
    events: Events


class WebhookChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is absent stays as it is."""

    url: Url | None = None
    events: Events | None = None
    enabled: bool | None = None


class Webhook(msgspec.Struct, frozen=True, omit_defaults=True):
    """An endpoint; it is switched off when its receiver answers 410. ``secret`` is there once, when it is new."""

    id: str
    url: str
    events: list[str]
    enabled: bool
    created_at: datetime
    rotated_at: datetime | None = None
    secret: str | None = None


class WebhookList(msgspec.Struct, frozen=True):
    """All endpoints, oldest first."""

    items: list[Webhook]


class Delivery(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event on its way to an endpoint: ``last_status`` is ``HTTP_503``, ``TIMEOUT``, ``CONNECTION`` ..."""

    id: str
    event: str
    created_at: datetime
    attempts: int
    last_status: str | None = None
    delivered_at: datetime | None = None
    failed_at: datetime | None = None


class DeliveryPage(msgspec.Struct, frozen=True):
    """A page of deliveries, newest first."""

    items: list[Delivery]
    next: str | None


_AT: Final = datetime.fromisoformat("2026-11-20T11:00:00+00:00")
_WEBHOOK: Final = Webhook(
    _ID, "https://portal.example.org/events", ["pass.issued", "pass.revoked"], True, _AT
)
_SHOWN_ONCE: Final = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
_WITH_SECRET: Final = msgspec.structs.replace(_WEBHOOK, secret=_SHOWN_ONCE)
_DELIVERY: Final = Delivery(_ID, "pass.revoked", _AT, 2, "HTTP_503")
_UNKNOWN: Final = IssuerRefusal("WEBHOOK_UNKNOWN", id=_ID)
_BAD_HOST: Final = misplaced(IssuerRefusal("WEBHOOK_HOST", host="example.net", port=443), pointer="#/url")
_BAD_URL: Final = misplaced(IssuerRefusal("WEBHOOK_URL"), pointer="#/url")
_DISABLED: Final = IssuerRefusal("WEBHOOK_DISABLED", id=_ID)
_SIGNED: Final = (
    "Deliveries follow Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature` "
    "(`v1,` and the HMAC-SHA-256 of `id.timestamp.body` in base64). Payloads name type and number of the pass only."
)


@post(
    "/webhooks",
    sync_to_thread=True,
    guards=[require(Scope.WEBHOOKS_WRITE)],
    operation_id="createWebhook",
    tags=["Webhooks"],
    summary="Add a webhook",
    description=_SIGNED + " The secret is in this answer and never again.",
    responses=documented(
        Success(201, Webhook, {"webhook": _WITH_SECRET}, "The webhook with its secret"),
        _BAD_URL,
        _BAD_HOST,
        IssuerRefusal("WEBHOOKS_TOO_MANY", limit=webhooks.MOST),
    ),
)
def create_webhook(
    request: ApiRequest,
    data: Annotated[
        NewWebhook,
        Body(
            examples=body_example("portal", NewWebhook(_WEBHOOK.url, [EventName.ISSUED, EventName.REVOKED]))
        ),
    ],
) -> Response[bytes]:
    """Have events sent to an address."""
    application = application_of(request)

    def effect(session: Session) -> Answer:
        try:
            row = webhooks.add_endpoint(session, application, data.url, data.events, request.user.actor)
        except IssuerRefusal as refusal:
            raise _placed(refusal) from None
        secret = secret_of(application, row.id, row.secret_generation)
        return Answer(201, _shown(row, secret), {"Location": f"/api/v1/webhooks/{row.id}"}, secret=True)

    return answer_once(request, data, effect)


@get(
    "/webhooks",
    sync_to_thread=True,
    guards=[require(Scope.WEBHOOKS_WRITE)],
    operation_id="listWebhooks",
    tags=["Webhooks"],
    summary="List webhooks",
    description=f"There are {webhooks.MOST} at most.",
    responses=documented(Success(200, WebhookList, {"list": WebhookList([_WEBHOOK])}, "The webhooks")),
)
def list_webhooks(request: ApiRequest) -> Response[bytes]:
    """All webhooks of the city."""
    application = application_of(request)
    with application.reading() as session:
        rows = session.scalars(
            select(WebhookEndpointRow)
            .where(WebhookEndpointRow.tenant == application.tenant)
            .order_by(WebhookEndpointRow.created_at, WebhookEndpointRow.id)
        ).all()
    return respond(WebhookList([_shown(one) for one in rows]))


@get(
    "/webhooks/{webhook_id:str}",
    sync_to_thread=True,
    guards=[require(Scope.WEBHOOKS_WRITE)],
    operation_id="getWebhook",
    tags=["Webhooks"],
    summary="Read a webhook",
    description="Without its secret.",
    responses=documented(Success(200, Webhook, {"webhook": _WEBHOOK}, "The webhook"), _UNKNOWN),
)
def get_webhook(request: ApiRequest, webhook_id: FromPath[str]) -> Response[bytes]:
    """One webhook."""
    application = application_of(request)
    with application.reading() as session:
        return respond(_shown(webhooks.find_endpoint(session, application, webhook_id)))


@patch(
    "/webhooks/{webhook_id:str}",
    sync_to_thread=True,
    guards=[require(Scope.WEBHOOKS_WRITE)],
    operation_id="changeWebhook",
    tags=["Webhooks"],
    summary="Change a webhook",
    description="One that was switched off and on again gets what happens from then on.",
    responses=documented(
        Success(200, Webhook, {"webhook": _WEBHOOK}, "The webhook"), _UNKNOWN, _BAD_URL, _BAD_HOST
    ),
)
def change_webhook(
    request: ApiRequest,
    webhook_id: FromPath[str],
    data: Annotated[WebhookChange, Body(examples=body_example("on", {"enabled": True}))],
) -> Response[bytes]:
    """Another address, other events, on or off."""
    application = application_of(request)
    with application.writing() as session:
        try:
            row = webhooks.change_endpoint(
                session,
                application,
                webhook_id,
                request.user.actor,
                url=data.url,
                events=data.events,
                enabled=data.enabled,
            )
        except IssuerRefusal as refusal:
            raise _placed(refusal) from None
        return respond(_shown(row))


@delete(
    "/webhooks/{webhook_id:str}",
    status_code=204,
    sync_to_thread=True,
    guards=[require(Scope.WEBHOOKS_WRITE)],
    operation_id="deleteWebhook",
    tags=["Webhooks"],
    summary="Delete a webhook",
    description="Its deliveries go with it.",
    responses=documented(None, _UNKNOWN),
)
def delete_webhook(request: ApiRequest, webhook_id: FromPath[str]) -> None:
    """Send nothing there any more."""
    application = application_of(request)
    with application.writing() as session:
        webhooks.remove_endpoint(session, application, webhook_id, request.user.actor)


@post(
    "/webhooks/{webhook_id:str}/rotate",
    status_code=200,
    sync_to_thread=True,
    guards=[require(Scope.WEBHOOKS_WRITE)],
    operation_id="rotateWebhookSecret",
    tags=["Webhooks"],
    summary="Rotate the secret of a webhook",
    description=(
        f"For {int(ROTATION_OVERLAP.total_seconds() // 3600)} hours deliveries have two signatures, one with each "
        "secret."
    ),
    responses=documented(
        Success(200, Webhook, {"webhook": _WITH_SECRET}, "The webhook with its new secret"), _UNKNOWN
    ),
)
def rotate_webhook(request: ApiRequest, webhook_id: FromPath[str]) -> Response[bytes]:
    """A new secret."""
    application = application_of(request)

    def effect(session: Session) -> Answer:
        row = webhooks.rotate_secret(session, application, webhook_id, request.user.actor)
        return Answer(200, _shown(row, secret_of(application, row.id, row.secret_generation)), secret=True)

    return answer_once(request, None, effect)


@post(
    "/webhooks/{webhook_id:str}/test",
    status_code=202,
    sync_to_thread=True,
    guards=[require(Scope.WEBHOOKS_WRITE)],
    operation_id="testWebhook",
    tags=["Webhooks"],
    summary="Send a test event",
    description=f"Sends the event `{webhooks.TEST_EVENT}`, which no webhook has to ask for.",
    responses=documented(
        Success(202, Delivery, {"delivery": _DELIVERY}, "The delivery, on its way"), _UNKNOWN, _DISABLED
    ),
)
def try_webhook(request: ApiRequest, webhook_id: FromPath[str]) -> Response[bytes]:
    """An event that means nothing."""
    application = application_of(request)

    def effect(session: Session) -> Answer:
        return Answer(202, _delivery(webhooks.send_test(session, application, webhook_id)))

    return answer_once(request, None, effect)


@get(
    "/webhooks/{webhook_id:str}/deliveries",
    sync_to_thread=True,
    guards=[require(Scope.WEBHOOKS_WRITE)],
    operation_id="listDeliveries",
    tags=["Webhooks"],
    summary="List the deliveries of a webhook",
    description="Newest first; deliveries are deleted after some weeks.",
    responses=documented(
        Success(200, DeliveryPage, {"page": DeliveryPage([_DELIVERY], None)}, "The deliveries"), _UNKNOWN
    ),
)
def list_deliveries(
    request: ApiRequest, webhook_id: FromPath[str], cursor: Cursor = None, limit: Limit = USUAL_PAGE
) -> Response[bytes]:
    """What was sent, and what came of it."""
    application = application_of(request)
    with application.reading() as session:
        row = webhooks.find_endpoint(session, application, webhook_id)
        query = select(WebhookDeliveryRow).where(
            WebhookDeliveryRow.tenant == application.tenant, WebhookDeliveryRow.endpoint_id == row.id
        )
        page = page_of(
            application, session, query, [WebhookDeliveryRow.created_at, WebhookDeliveryRow.id],
            name=f"deliveries:{row.id}", limit=limit, cursor=cursor, descending=True,
        )  # fmt: skip
        return respond(DeliveryPage([_delivery(one) for one in page.items], page.next))


@post(
    "/webhooks/{webhook_id:str}/deliveries/{delivery_id:str}/redeliver",
    status_code=202,
    sync_to_thread=True,
    guards=[require(Scope.WEBHOOKS_WRITE)],
    operation_id="redeliver",
    tags=["Webhooks"],
    summary="Send an event once more",
    description="Under the same `webhook-id`, so that the receiver can tell a repetition.",
    responses=documented(
        Success(202, Delivery, {"delivery": _DELIVERY}, "The delivery, on its way again"),
        _UNKNOWN,
        IssuerRefusal("DELIVERY_UNKNOWN", id=_ID),
        _DISABLED,
        IssuerRefusal("DELIVERY_UNDER_WAY", id=_ID),
    ),
)
def send_again(request: ApiRequest, webhook_id: FromPath[str], delivery_id: FromPath[str]) -> Response[bytes]:
    """Try a delivery again that was taken or given up."""
    application = application_of(request)

    def effect(session: Session) -> Answer:
        return Answer(202, _delivery(webhooks.redeliver(session, application, webhook_id, delivery_id)))

    return answer_once(request, None, effect)


HANDLERS: list[ControllerRouterHandler] = [
    create_webhook,
    list_webhooks,
    get_webhook,
    change_webhook,
    delete_webhook,
    rotate_webhook,
    try_webhook,
    list_deliveries,
    send_again,
]


def _placed(refusal: IssuerRefusal) -> IssuerRefusal:
    return misplaced(refusal, pointer="#/url") if refusal.code in _ADDRESS_CODES else refusal


def _shown(row: WebhookEndpointRow, secret: str | None = None) -> Webhook:
    return Webhook(
        row.id, row.url, list(row.events), row.disabled_at is None, row.created_at, row.rotated_at, secret
    )


def _delivery(row: WebhookDeliveryRow) -> Delivery:
    return Delivery(
        row.id,
        row.event,
        row.created_at,
        row.attempts,
        row.last_status,
        row.delivered_at,
        row.failed_at,
    )
