"""The routes of the management API under ``/api/v1``."""

from __future__ import annotations

from typing import Final

from litestar import Router
from litestar.types import ControllerRouterHandler

from issuer.api import checks, devices, jobs, oauth, passes, residence, statements, wallet_offers, webhooks

PATH: Final = "/api/v1"
LARGEST_BODY: Final = 64 * 1024

# A handler that takes more than 64 KiB says so itself (``request_max_body_size``).
HANDLERS: list[ControllerRouterHandler] = [
    Router(
        path=PATH,
        route_handlers=[
            *oauth.HANDLERS,
            *passes.HANDLERS,
            *jobs.HANDLERS,
            *wallet_offers.HANDLERS,
            *residence.HANDLERS,
            *webhooks.HANDLERS,
            *checks.HANDLERS,
            *statements.HANDLERS,
            *devices.HANDLERS,
        ],
        request_max_body_size=LARGEST_BODY,
    )
]
