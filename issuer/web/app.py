"""Assembling the web application from its parts."""

from __future__ import annotations

from litestar import Litestar
from litestar.datastructures import State
from litestar.openapi.config import OpenAPIConfig

from issuer import apple_web_service, google_callback, published_lists
from issuer.api import routes as api
from issuer.application import Application
from issuer.pickup import routes as pickup
from issuer.web import health
from issuer.web.problems import EXCEPTION_HANDLERS


def create_app(application: Application) -> Litestar:
    """The ASGI application of one tenant's service."""
    handlers = [
        *health.HANDLERS,
        *published_lists.HANDLERS,
        *apple_web_service.HANDLERS,
        *google_callback.HANDLERS,
        *pickup.HANDLERS,
        *api.HANDLERS,
    ]
    return Litestar(
        route_handlers=handlers,
        exception_handlers=EXCEPTION_HANDLERS,
        state=State({"application": application}),
        openapi_config=OpenAPIConfig(title="Stadtpass", version="1"),
    )
