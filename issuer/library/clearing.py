"""What the night takes from members' rows: birth dates and family ties that decide nothing any more.

A rule has the shape of `issuer.nightly.retention_rules.Rule`: it counts and clears by the same condition. The rows
stay; what is cleared in them is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

from sqlalchemy import ColumnElement, and_, false, func, or_, select, tuple_, update
from sqlalchemy.orm import Session

from issuer.library.membership import born_by, decisive_age
from issuer.models_library import MemberRow
from passes.pass_types import MembershipSpec
from passes.periods import berlin_day

if TYPE_CHECKING:
    from issuer.application import Application

CHUNK: Final = 500


@dataclass(frozen=True, slots=True)
class Clearing:
    """What is cleared in members of the age that ``age`` takes from the rules, under a name for reports."""

    name: str
    age: Callable[[MembershipSpec], int]
    something: Callable[[], ColumnElement[bool]]
    values: Mapping[str, None]

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
        old_enough = [
            and_(
                MemberRow.type_id == one.id,
                MemberRow.birth_date <= born_by(self.age(one.spec.membership), today),
            )
            for one in application.pass_types
            if one.spec.membership is not None
        ]
        return (MemberRow.tenant == application.tenant, self.something(), or_(false(), *old_enough))


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
    ),
    Clearing("birth_dates", decisive_age, lambda: MemberRow.birth_date.is_not(None), {"birth_date": None}),
)
