"""A fictional pass, as the description of the API shows it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Final

import msgspec
from litestar.openapi.spec import Example

from issuer.api.pass_schemas import (
    History,
    HistoryEntry,
    HolderInput,
    NewPass,
    PassAnswer,
    PassPage,
    PassSummary,
    Period,
    PeriodInput,
    PlateInput,
)
from issuer.errors import RegisterRefusal
from issuer.web.problems import ProblemRefusal

TYPE: Final = "resident-parking-permit"
NUMBER: Final = "RPP-2026-000042"
_AT: Final = datetime.fromisoformat("2026-11-20T11:00:00+00:00")
_ATTRIBUTES: Final[dict[str, Any]] = {
    "plates": [{"plate": "D-AB 123", "season": None}],
    "zone": {"code": "HO", "name": "Holthausen"},
    "permit_kind": "standard",
}
_FACTS: Final[dict[str, Any]] = {
    "type": TYPE,
    "number": NUMBER,
    "status": "active",
    "period": Period(date(2026, 12, 1), date(2027, 11, 30)),
    "attributes": _ATTRIBUTES,
    "revision": 1,
    "issued_at": _AT,
}
PASS: Final = PassAnswer(**_FACTS, created_at=_AT, updated_at=_AT)
PAGE: Final = PassPage([PassSummary(**_FACTS)], None)
NEW_PASS: Final = NewPass(
    type=TYPE,
    holder=HolderInput(ref="H0700000", given_name="Erika", family_name="Mustermann"),
    period=PeriodInput(first=date(2026, 12, 1), term_months=12),
    attributes={"plates": [PlateInput("D-AB 123")], "zone": "HO", "permit_kind": "standard"},
    details={"channel": "online", "fee_cents": 2500, "payment_status": "paid"},
)
HISTORY: Final = History(
    [
        HistoryEntry(
            _AT,
            "api:portal",
            "create",
            None,
            {"status": "active", "plates": ["D-AB 123"], "zone": "HO"},
            None,
        )
    ]
)
UNKNOWN: Final = RegisterRefusal("NUMBER_UNKNOWN", number=NUMBER)
STALE: Final = ProblemRefusal(412, "VERSION_STALE", number=NUMBER)
NO_VERSION: Final = ProblemRefusal(428, "IF_MATCH_MISSING")
VERSIONED: Final = (UNKNOWN, STALE, NO_VERSION)


def body_example(name: str, value: Any) -> list[Example]:
    """One example of a request body."""
    return [Example(id=name, summary=name, value=msgspec.to_builtins(value))]
