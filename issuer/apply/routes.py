"""The routes under /apply."""

from __future__ import annotations

from litestar import Router
from litestar.types import ControllerRouterHandler

from issuer.apply import (
    address,
    car,
    case_page,
    documents,
    entry,
    kind,
    person,
    plates,
    summary,
    term,
    wallet,
)
from issuer.apply.forms import LONGEST_FORM
from issuer.apply.problems import EXCEPTION_HANDLERS

HANDLERS: list[ControllerRouterHandler] = [
    Router(
        "/",
        route_handlers=[
            *entry.HANDLERS,
            *address.HANDLERS,
            *person.HANDLERS,
            *kind.HANDLERS,
            *plates.HANDLERS,
            *car.HANDLERS,
            *term.HANDLERS,
            *documents.HANDLERS,
            *wallet.HANDLERS,
            *summary.HANDLERS,
            *case_page.HANDLERS,
        ],
        exception_handlers=EXCEPTION_HANDLERS,
        request_max_body_size=LONGEST_FORM,
        include_in_schema=False,
    )
]
