"""Trust bundle, index, status lists and plate list under stable addresses."""

from __future__ import annotations

from litestar.types import ControllerRouterHandler

HANDLERS: list[ControllerRouterHandler] = []
