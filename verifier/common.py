"""What checking a seal and checking a plate have in common."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from datetime import datetime

from passes.status_list import Status
from verifier.verdict import Reason, clock_text

# What an entry that is not valid means for the verdict.
STATUS_REASONS = {
    Status.INVALID: Reason.REVOKED,
    Status.SUPERSEDED: Reason.SUPERSEDED,
    Status.SUSPENDED: Reason.SUSPENDED,
}


def same_zone(asked: str, zone: str) -> bool:
    """Whether the zone code ``asked`` for is the signed ``zone``, letter case apart."""
    return zone.casefold() == unicodedata.normalize("NFC", asked).casefold()


def holds_in(asked: str | None, merged: Iterable[str], zone: str) -> bool:
    """Whether a permit of ``zone`` holds where it is checked: in ``asked`` (None: anywhere), or merged into that."""
    return asked is None or same_zone(asked, zone) or any(same_zone(one, zone) for one in merged)


def clock_params(at: datetime) -> dict[str, object]:
    """What the sentence of CLOCK_WRONG says about the device's clock."""
    return {"clock": clock_text(at)}
