"""What the office sees of its own work in numbers: adoption by carrier, the wave of expiry, cases by state and age.

Counts only. No query here reads who of the staff did something (co-determination, section 72 LPVG NRW), nor a name, a
number or a plate; `tests/issuer/figures/test_office.py` reads every statement that is sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from sqlalchemy import and_, case, exists, func, select
from sqlalchemy.orm import Session

from issuer.cases.states import ENDED, CaseState
from issuer.eudi.holdings import is_in_eudi_wallet
from issuer.figures.months import zoned_types
from issuer.models import PassRow, PassTermRow, RevisionRow
from issuer.models_cases import CaseRow
from issuer.models_delivery import AppleRegistrationRow, WalletPassRow
from issuer.search_terms import ZONE
from passes.model import PassStatus
from passes.periods import Period, berlin_day

if TYPE_CHECKING:
    from issuer.application import Application

WEEKS: Final = 26
_WEEK: Final = timedelta(days=7)
# A case is in the first band up to this many days after it was submitted, else in the next one; the last has no end.
AGE_BANDS: Final = (7, 14, 28)
# What somebody has to do something about; drafts are nobody's yet.
OPEN_STATES: Final = tuple(one for one in CaseState if one not in ENDED and one is not CaseState.DRAFT)


class Carrier(StrEnum):
    """What a pass has besides PDF and paper, which every pass has."""

    APPLE = "apple"
    GOOGLE = "google"
    BOTH = "both"
    EUDI = "eudi"
    PAPER = "paper"


@dataclass(frozen=True, slots=True)
class Adoption:
    """The valid passes of a type by carrier."""

    type_id: str
    counts: Mapping[Carrier, int]

    @property
    def total(self) -> int:
        """All valid passes of the type."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Wave:
    """Permits by the week (its Monday) and the zone in which they end; ``weeks`` has weeks without any as well."""

    weeks: Sequence[date]
    zones: Sequence[str]
    counts: Mapping[tuple[date, str], int]

    def of_week(self, week: date, zone: str = "") -> int:
        """The permits that end in ``week``, of all zones or of one."""
        return sum(self.counts.get((week, one), 0) for one in ((zone,) if zone else self.zones))


@dataclass(frozen=True, slots=True)
class OpenCases:
    """Open cases by state and age band (its place in `AGE_BANDS`; one more for those beyond)."""

    counts: Mapping[tuple[CaseState, int], int]

    def of_state(self, state: CaseState) -> list[int]:
        """The counts of a state, youngest cases first."""
        return [self.counts.get((state, band), 0) for band in range(len(AGE_BANDS) + 1)]


def adoption(session: Session, application: Application) -> list[Adoption]:
    """The passes that are valid today by what they have, for every type that has any.

    Apple Wallet: on at least one device that is registered for the pass. Google Wallet: asked for and not removed, as
    far as Google has said. EUDI Wallet: a credential that holds, of passes that are in neither of these. A pass that
    its holder has taken out of wallets has paper.
    """
    tenant, now = application.tenant, application.now()
    today = berlin_day(now)
    in_wallets = WalletPassRow.withdrawn_at.is_(None)
    # Asked of the current serial alone: an older one is void.
    on_apple = and_(
        in_wallets,
        exists().where(
            AppleRegistrationRow.tenant == tenant, AppleRegistrationRow.serial == RevisionRow.serial
        ),
    )
    on_google = and_(in_wallets, WalletPassRow.google_wanted, WalletPassRow.google_state != "removed")
    carrier = case(
        (and_(on_apple, on_google), Carrier.BOTH.value),
        (on_apple, Carrier.APPLE.value),
        (on_google, Carrier.GOOGLE.value),
        (is_in_eudi_wallet(tenant, now), Carrier.EUDI.value),
        else_=Carrier.PAPER.value,
    ).label("carrier")
    each = (
        select(PassRow.type_id, carrier)
        .join(
            RevisionRow,
            and_(
                RevisionRow.tenant == PassRow.tenant,
                RevisionRow.type_id == PassRow.type_id,
                RevisionRow.number == PassRow.number,
                RevisionRow.superseded_at.is_(None),
            ),
        )
        .outerjoin(
            WalletPassRow,
            and_(WalletPassRow.tenant == PassRow.tenant, WalletPassRow.serial == RevisionRow.serial),
        )
        .where(
            PassRow.tenant == tenant,
            PassRow.status == PassStatus.ACTIVE.value,
            PassRow.period_first <= today,
            PassRow.period_last >= today,
        )
        .subquery()
    )
    rows = session.execute(
        select(each.c.type_id, each.c.carrier, func.count()).group_by(each.c.type_id, each.c.carrier)
    )
    found: dict[str, dict[Carrier, int]] = {}
    for type_id, name, count in rows:
        found.setdefault(type_id, dict.fromkeys(Carrier, 0))[Carrier(name)] = count
    return [Adoption(type_id, found[type_id]) for type_id in sorted(found)]


def wave(session: Session, application: Application) -> Wave:
    """The running permits (active and suspended) that end in this week and the 25 after it, by zone.

    A week begins on Monday. The zone is the one that stands on the permit, whatever has become of it.
    """
    tenant, today = application.tenant, berlin_day(application.now())
    monday = today - timedelta(days=today.weekday())
    weeks = [monday + _WEEK * n for n in range(WEEKS)]
    rows = session.execute(
        select(PassRow.period_last, PassTermRow.value, func.count())
        .join(
            PassTermRow,
            and_(
                PassTermRow.tenant == PassRow.tenant,
                PassTermRow.type_id == PassRow.type_id,
                PassTermRow.number == PassRow.number,
                PassTermRow.kind == ZONE,
            ),
        )
        .where(
            PassRow.tenant == tenant,
            PassRow.type_id.in_(zoned_types(application.pass_types)),
            PassRow.status.in_([PassStatus.ACTIVE.value, PassStatus.SUSPENDED.value]),
            PassRow.period_last >= max(today, monday),
            PassRow.period_last < weeks[-1] + _WEEK,
        )
        .group_by(PassRow.period_last, PassTermRow.value)
    )
    counts: Counter[tuple[date, str]] = Counter()
    for last, zone, count in rows:
        counts[last - timedelta(days=last.weekday()), zone] += count
    return Wave(weeks, sorted({zone for _, zone in counts}), counts)


def open_cases(session: Session, application: Application) -> OpenCases:
    """The cases that wait for somebody, by state and days (Europe/Berlin) since they were submitted."""
    tenant, today = application.tenant, berlin_day(application.now())
    since = func.coalesce(CaseRow.submitted_at, CaseRow.created_at)
    band = case(
        *((since >= _day_before(today, days), place) for place, days in enumerate(AGE_BANDS)),
        else_=len(AGE_BANDS),
    ).label("band")
    rows = session.execute(
        select(CaseRow.state, band, func.count())
        .where(CaseRow.tenant == tenant, CaseRow.state.in_([one.value for one in OPEN_STATES]))
        .group_by(CaseRow.state, band)
    )
    return OpenCases({(CaseState(state), place): count for state, place, count in rows})


def _day_before(today: date, days: int) -> datetime:
    """When the day began that was ``days`` before ``today``."""
    day = today - timedelta(days=days)
    return Period(day, day).starts_at
