"""Apple's web service: the five endpoints by which phones register and fetch passes."""

from __future__ import annotations

from litestar.types import ControllerRouterHandler

HANDLERS: list[ControllerRouterHandler] = []
