"""The routes of the management API under ``/api/v1``."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Final

from litestar import Router
from litestar.types import ControllerRouterHandler

PATH: Final = "/api/v1"
LARGEST_BODY: Final = 64 * 1024
_MODULES: Final = ("passes", "jobs", "webhooks", "checks", "devices", "oauth")


def _handlers() -> list[ControllerRouterHandler]:
    found: list[ControllerRouterHandler] = []
    for name in _MODULES:
        if find_spec(f"issuer.api.{name}") is not None:
            found.extend(getattr(import_module(f"issuer.api.{name}"), "HANDLERS", ()))
    return found


# A handler that takes more than 64 KiB says so itself (``request_max_body_size``).
HANDLERS: list[ControllerRouterHandler] = [
    Router(path=PATH, route_handlers=_handlers(), request_max_body_size=LARGEST_BODY)
]
