"""How often something may be tried, counted in the database: the same for every process of the service.

The generic cell rate algorithm (ITU-T I.371): one stored moment for each name, no list of past tries. Names are
hashed, since an address or a pass number in a table of its own would be one more thing to delete.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import delete
from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.models_delivery import RateSlotRow

_PREFIX: Final = "pickup:"
_DIGITS: Final = 32


@dataclass(frozen=True, slots=True)
class Rate:
    """``burst`` tries at once, and one more every ``seconds``; ``name`` keeps rates apart."""

    name: str
    seconds: int
    burst: int


# Wrong or unknown codes and links from one client address. 60 random bits would stand without it.
GUESSES: Final = Rate("guess", seconds=60, burst=10)
# Requests for a new link, whoever asks, for one pass; and from one client address, whichever pass.
LINKS_OF_PASS: Final = Rate("link-pass", seconds=600, burst=2)
LINKS_OF_CLIENT: Final = Rate("link-client", seconds=60, burst=10)
# Links that one visit makes for the phone in the other hand.
LINKS_OF_VISIT: Final = Rate("link-visit", seconds=60, burst=5)
# Applications that one client address begins; links to one case, and mails to one address, whichever case.
CASES_OF_CLIENT: Final = Rate("case-client", seconds=300, burst=8)
LINKS_OF_CASE: Final = Rate("link-case", seconds=300, burst=4)
LINKS_OF_ADDRESS: Final = Rate("link-address", seconds=600, burst=4)
# How often the registers are asked about a draft, and documents are uploaded to a case.
CHECKS_OF_CASE: Final = Rate("case-checks", seconds=60, burst=20)
CHECKS_OF_CLIENT: Final = Rate("client-checks", seconds=30, burst=60)
# The same question asked again within the hour is the same page looked at again.
CHECKS_SAME: Final = Rate("case-checks-same", seconds=3600, burst=1)
UPLOADS_OF_CASE: Final = Rate("case-uploads", seconds=30, burst=16)
# Questions to wallets about one case.
WALLETS_OF_CASE: Final = Rate("case-wallets", seconds=60, burst=10)
# Looks into the register of residents: of one person of the office, and of one client of the interface.
RESIDENTS_OF_STAFF: Final = Rate("residents-staff", seconds=30, burst=40)
RESIDENTS_OF_CLIENT: Final = Rate("residents-client", seconds=5, burst=120)


def take(session: Session, application: Application, rate: Rate, who: str) -> bool:
    """Count a try of ``who`` in a writing transaction; False if it comes too soon, and then nothing is counted."""
    now = _milliseconds(application.now())
    step = rate.seconds * 1000
    name = _name(application, rate, who)
    row = session.get(RateSlotRow, (application.tenant, name))
    next_free = max(now, row.next_free_ms) if row is not None else now
    if next_free - now > step * (rate.burst - 1):
        return False
    if row is None:
        _drop_past(session, application.tenant, now)
        row = RateSlotRow(tenant=application.tenant, name=name, next_free_ms=0)
        session.add(row)
    row.next_free_ms = next_free + step
    session.flush()
    return True


def give_back(session: Session, application: Application, rate: Rate, who: str) -> None:
    """In a writing transaction: the try that `take` has counted does not count after all."""
    row = session.get(RateSlotRow, (application.tenant, _name(application, rate, who)))
    if row is not None:
        row.next_free_ms -= rate.seconds * 1000
        session.flush()


def is_free(session: Session, application: Application, rate: Rate, who: str) -> bool:
    """Whether `take` would succeed now; counts nothing."""
    now = _milliseconds(application.now())
    row = session.get(RateSlotRow, (application.tenant, _name(application, rate, who)))
    return row is None or row.next_free_ms - now <= rate.seconds * 1000 * (rate.burst - 1)


def _name(application: Application, rate: Rate, who: str) -> str:
    return _PREFIX + application.hash_secret(f"rate-{rate.name}", who)[:_DIGITS]


def _drop_past(session: Session, tenant: str, now: int) -> None:
    session.execute(
        delete(RateSlotRow).where(
            RateSlotRow.tenant == tenant,
            RateSlotRow.name.startswith(_PREFIX, autoescape=True),
            RateSlotRow.next_free_ms < now,
        )
    )


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)
