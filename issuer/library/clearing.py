"""What the night takes from members' rows: birth dates and family ties that decide nothing any more.

A rule has the shape of `issuer.nightly.retention_rules.Rule`: it counts and clears by the same condition. The rows
stay; what is cleared in them is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import ColumnElement, and_, exists, false, func, or_, select, tuple_, update
from sqlalchemy.orm import Session

from issuer.library.membership import born_by, decisive_age, is_surely_adult
from issuer.models import PassRow, RevisionRow
from issuer.models_library import MemberRow
from passes.periods import BERLIN, berlin_day
from passes.type_file import MembershipSpec

if TYPE_CHECKING:
    from issuer.application import Application

CHUNK: Final = 500
_ONE_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Clearing:
    """What is cleared in members of the age that ``age`` takes from the rules, under a name for reports.

    ``also_undated``: also in those without a birth date who are that old all the same.
    """

    name: str
    age: Callable[[MembershipSpec], int]
    something: Callable[[], ColumnElement[bool]]
    values: Mapping[str, None]
    also_undated: bool = False

    def count(self, session: Session, application: Application) -> int:
        """How many members the rule would clear now."""
        query = select(func.count()).select_from(MemberRow).where(*self._where(application))
        return session.scalar(query) or 0

    def oldest(self, session: Session, application: Application) -> date | None:
        """None: the days here are people's birth dates, which no report shows."""
        del session, application
        return None

    def delete_some(self, session: Session, application: Application) -> int:
        """Clear up to `CHUNK` members; says how many that were."""
        key = (MemberRow.tenant, MemberRow.type_id, MemberRow.number)
        chosen = session.execute(select(*key).where(*self._where(application)).limit(CHUNK)).all()
        if chosen:
            where = tuple_(*key).in_([tuple(one) for one in chosen])
            session.execute(update(MemberRow).where(where).values(**self.values))
        return len(chosen)

    def _where(self, application: Application) -> Sequence[ColumnElement[bool]]:
        today = berlin_day(application.now())
        old_enough = []
        for one in application.pass_types:
            rules = one.spec.membership
            if rules is None:
                continue
            day = born_by(self.age(rules), today)
            is_old = MemberRow.birth_date <= day
            if self.also_undated:
                is_old = or_(is_old, and_(MemberRow.birth_date.is_(None), _undated(rules, day, today)))
            old_enough.append(and_(MemberRow.type_id == one.id, is_old))
        return (MemberRow.tenant == application.tenant, self.something(), or_(false(), *old_enough))


def _undated(rules: MembershipSpec, day: date, today: date) -> ColumnElement[bool]:
    """Members without birth date who are that old all the same: born on ``day`` or before.

    One of whom it was cleared, one with a category of adults or institutions alone, one who had a card on that day.
    """
    adults = [one.name for one in rules.categories if is_surely_adult(rules, one.name, None, today)]
    of_pass = (PassRow.tenant == MemberRow.tenant) & (PassRow.type_id == MemberRow.type_id)
    of_revision = (RevisionRow.tenant == MemberRow.tenant) & (RevisionRow.type_id == MemberRow.type_id)
    return or_(
        exists().where(
            of_pass,
            PassRow.number == MemberRow.number,
            or_(
                PassRow.record["birth_date"].as_string().is_not(None),
                PassRow.period_first <= day,
                PassRow.created_at < datetime.combine(day + _ONE_DAY, time(), BERLIN),
            ),
        ),
        exists().where(
            of_revision,
            RevisionRow.number == MemberRow.number,
            RevisionRow.superseded_at.is_(None),
            RevisionRow.attributes["category"].as_string().in_(adults),
        ),
    )


CLEARED: Final[tuple[Clearing, ...]] = (
    # Before the birth dates, which say who is of age.
    Clearing(
        "family_ties",
        lambda rules: max(rules.full_age, rules.consent_under),
        lambda: or_(
            MemberRow.guardian_number.is_not(None),
            MemberRow.consent_at.is_not(None),
            MemberRow.consent_name.is_not(None),
        ),
        dict.fromkeys(("guardian_number", "consent_name", "consent_at", "consent_by")),
        also_undated=True,
    ),
    Clearing("birth_dates", decisive_age, lambda: MemberRow.birth_date.is_not(None), {"birth_date": None}),
)
