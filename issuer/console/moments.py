"""Times as the office reads them."""

from __future__ import annotations

from datetime import datetime

from passes.display import day_text
from passes.periods import BERLIN


def moment(at: datetime, language: str) -> str:
    """An aware time in words, Europe/Berlin: ``20.11.2026, 12:00 Uhr``; ``20 November 2026, 12:00`` in English."""
    wall = at.astimezone(BERLIN)
    day = day_text(wall.date(), language)
    return f"{day}, {wall:%H:%M} Uhr" if language == "de" else f"{day}, {wall:%H:%M}"
