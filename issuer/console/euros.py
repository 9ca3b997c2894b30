"""Amounts of money as the office types and reads them: ``30,70`` is 3070 cents. No floating point anywhere."""

from __future__ import annotations

import re
from typing import Final

from issuer.errors import IssuerRefusal

LONGEST: Final = 20
# Thousands may be set off by points, but then all of them: "1.234,50", never "30.70".
_FORM: Final = re.compile(r"([0-9]{1,6}|[1-9][0-9]{0,2}(?:\.[0-9]{3})+)(?:,([0-9]{2}|-))?")
_SIGNS: Final = ("€", "EUR", "Euro")


def cents_of(text: str) -> int:
    """The whole cents of an amount in euros. Raises IssuerRefusal EURO_FORMAT, also for ``30.70`` and ``30,7``."""
    bare = text.replace("\N{NO-BREAK SPACE}", " ").strip()
    for sign in _SIGNS:
        bare = bare.removesuffix(sign).removeprefix(sign).strip()
    found = _FORM.fullmatch(bare) if len(text) <= LONGEST and bare.isascii() else None
    if found is None:
        raise IssuerRefusal("EURO_FORMAT")
    part = found[2]
    return int(found[1].replace(".", "")) * 100 + (int(part) if part and part != "-" else 0)


def typed(cents: int) -> str:
    """``cents`` as `cents_of` reads them, for a field of a form."""
    return f"{cents // 100},{cents % 100:02d}"


def shown(cents: int, language: str) -> str:
    """``cents`` for reading: ``30,70 €``, in English ``€30.70``."""
    if language == "en":
        return f"€{cents // 100}.{cents % 100:02d}"
    return f"{typed(cents)}\N{NO-BREAK SPACE}€"
