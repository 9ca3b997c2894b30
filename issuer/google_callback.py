"""Google's callbacks: somebody has added a pass to a wallet or removed it."""

from __future__ import annotations

from litestar.types import ControllerRouterHandler

HANDLERS: list[ControllerRouterHandler] = []
