"""Refusals of the pass formats and values."""

from __future__ import annotations

from keys.errors import Refusal


class PassRefusal(Refusal):
    """A value or a format of a pass is not acceptable."""

    package = "passes"
