"""Everything under /payments: notifications of providers, pages for payers, and the simulated provider's page."""

from __future__ import annotations

from litestar import Router
from litestar.types import ControllerRouterHandler

from issuer.payments import demo_pages, pages, webhook
from issuer.pickup.routes import EXCEPTION_HANDLERS
from issuer.web.forms import LONGEST_BODY

HANDLERS: list[ControllerRouterHandler] = [
    *webhook.HANDLERS,
    Router(
        "/",
        route_handlers=[*pages.HANDLERS, *demo_pages.HANDLERS],
        exception_handlers=EXCEPTION_HANDLERS,
        request_max_body_size=LONGEST_BODY,
        include_in_schema=False,
    ),
]
