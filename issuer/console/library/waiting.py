"""What waits for the library's desk: consents that are missing, fees that begin soon, blocked cards counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from litestar import Response, get
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.console.desk import desk_of
from issuer.console.library.search import line
from issuer.console.library.shared import CRUMB, PATH, birthday, library_types
from issuer.models import HolderRow, PassRow
from issuer.models_library import MemberRow
from issuer.staff.accesses import Kind
from issuer.web.reader import AnyRequest
from passes.display import day_text
from passes.model import PassStatus
from passes.pass_types import PassType
from passes.periods import berlin_day

SOON: Final = timedelta(days=30)
MOST: Final = 50
_ONE_DAY: Final = timedelta(days=1)
_RUNNING: Final = (PassStatus.ACTIVE.value, PassStatus.SUSPENDED.value)


@dataclass(frozen=True, slots=True)
class Counts:
    """How many members wait, by what for; ``blocked`` by reason, empty for a block without one."""

    consents: int
    fees: int
    blocked: Counter[str]

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not (self.consents or self.fees or self.blocked)


def counts(session: Session, application: Application) -> Counts:
    """What waits in all types that have members."""
    today, consents, fees = berlin_day(application.now()), 0, 0
    blocked: Counter[str] = Counter()
    for pass_type in library_types(application):
        for query, is_consent in ((_without_consent, True), (_fee_soon, False)):
            rows = query(application, pass_type, today).with_only_columns(func.count())
            found = session.scalar(rows.order_by(None)) or 0
            consents, fees = consents + found * is_consent, fees + found * (not is_consent)
        for reason, count in session.execute(
            _members(application, pass_type)
            .with_only_columns(MemberRow.block_reason, func.count())
            .where(PassRow.status == PassStatus.SUSPENDED.value)
            .group_by(MemberRow.block_reason)
        ):
            blocked[str(reason or "")] += count
    return Counts(consents, fees, blocked)


@get(PATH + "/waiting", sync_to_thread=True)
def show_waiting(request: AnyRequest) -> Response[Any]:
    """Who waits, with names: consents first."""
    desk = desk_of(request)
    application, say, language = desk.application, desk.reader.say, desk.reader.language
    today = berlin_day(application.now())
    consents: list[dict[str, Any]] = []
    fees: list[dict[str, Any]] = []
    ages = {"consent": 0, "fee": 0}
    with application.reading() as session:
        found = counts(session, application)
        for pass_type in library_types(application):
            rules = pass_type.spec.membership
            if rules is None:
                continue
            ages = {"consent": rules.consent_under, "fee": rules.free_until}
            for row, holder, member in _rows(session, _without_consent(application, pass_type, today)):
                text = say("OFFICE_LIB_WAITING_BORN", day=day_text(member.birth_date, language))
                consents.append(line(desk, row, holder, member) | {"note": text})
            for row, holder, member in _rows(session, _fee_soon(application, pass_type, today)):
                starts = birthday(member.birth_date, rules.free_until)
                text = say("OFFICE_LIB_WAITING_FEE_FROM", day=day_text(starts, language))
                fees.append(line(desk, row, holder, member) | {"note": text})
    desk.note_access(*(one["subject"] for one in (*consents, *fees)), kind=Kind.LISTED)
    return desk.under(CRUMB).page(
        "library_waiting.html",
        consents=consents,
        fees=fees,
        ages=ages,
        more=len(consents) >= MOST or len(fees) >= MOST,
        most=MOST,
        blocked=[
            say(
                "OFFICE_LIB_WAITING_BLOCKED_LINE",
                reason=say(f"OFFICE_LIB_REASON_{(reason or 'unknown').upper()}"),
                count=count,
            )
            for reason, count in sorted(found.blocked.items())
        ],
    )


def _members(application: Application, pass_type: PassType) -> Select[PassRow, HolderRow, MemberRow]:
    return (
        select(PassRow, HolderRow, MemberRow)
        .join(
            MemberRow,
            (MemberRow.tenant == PassRow.tenant)
            & (MemberRow.type_id == PassRow.type_id)
            & (MemberRow.number == PassRow.number),
        )
        .join(HolderRow, (HolderRow.tenant == PassRow.tenant) & (HolderRow.ref == PassRow.holder_ref))
        .where(PassRow.tenant == application.tenant, PassRow.type_id == pass_type.id)
    )


def _without_consent(
    application: Application, pass_type: PassType, today: date
) -> Select[PassRow, HolderRow, MemberRow]:
    """Members under the age of consent for whom none is noted."""
    rules = pass_type.spec.membership
    age = rules.consent_under if rules is not None else 0
    return (
        _members(application, pass_type)
        .where(
            MemberRow.birth_date > _born_before(today, age),
            MemberRow.consent_at.is_(None),
            PassRow.status.in_(_RUNNING),
        )
        .order_by(PassRow.number)
    )


def _fee_soon(
    application: Application, pass_type: PassType, today: date
) -> Select[PassRow, HolderRow, MemberRow]:
    """Members whose fee begins within `SOON`, today included."""
    rules = pass_type.spec.membership
    age = rules.free_until if rules is not None else 0
    return (
        _members(application, pass_type)
        .where(
            MemberRow.birth_date > _born_before(today - _ONE_DAY, age),
            MemberRow.birth_date <= _born_before(today + SOON, age),
            PassRow.status.in_(_RUNNING),
        )
        .order_by(MemberRow.birth_date, PassRow.number)
    )


def _born_before(today: date, age: int) -> date:
    """The birth date of who reaches ``age`` years today."""
    try:
        return today.replace(year=today.year - age)
    except ValueError:
        # That year had no 29 February; who was born on 1 March comes of that age tomorrow.
        return date(today.year - age, 2, 28)


def _rows(session: Session, query: Select[PassRow, HolderRow, MemberRow]) -> Sequence[Any]:
    return session.execute(query.limit(MOST)).all()


HANDLERS: Final = [show_waiting]
