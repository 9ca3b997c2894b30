"""The comparison of members' cards with the library's own system, in pieces that can be run again.

What is good news for a member (a card that holds again, a later last day) is done at once. What is to be held back is
only noted; when everybody has been asked and it is no more than the operator thinks possible, it is held back. So a
system that suddenly knows nobody blocks nobody. And before any member a card is asked about that cannot exist: a
system that calls it good says so of every card.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Final

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, tuple_
from sqlalchemy.orm import Session

from issuer.errors import IssuerRefusal, RegisterRefusal
from issuer.library import members
from issuer.library.extension import extend
from issuer.library.member_rows import member_of
from issuer.library.refresh_plan import LAPSED_AT_MOST, Card, Plan, plan
from issuer.library.sources import (
    Patron,
    PatronSource,
    PatronStanding,
    PatronUnknown,
    SourceMisbehaves,
    SourceUnavailable,
)
from issuer.lifecycle import Actor
from issuer.models import PassRow
from issuer.models_library import BlockReason, MemberRow
from issuer.models_library_checks import LibraryHoldRow
from issuer.nightly.reports import Report
from keys.texts import texts
from passes.model import PassStatus
from passes.periods import berlin_day

if TYPE_CHECKING:
    from issuer.application import Application

ACTOR: Final = "library-system"
# One answer after the other is written with its seal; everybody else waits meanwhile.
MOST_AT_ONCE: Final = 50
_SECONDS_AT_ONCE: Final = 15.0
# In a small library a handful of members can leave at once.
_ALWAYS_ALLOWED: Final = 5
_OWING: Final = (PatronStanding.OWES_FEES.value, PatronStanding.EXPIRED_OWES_FEES.value)
Key = tuple[str, str]


class Stopped(IssuerRefusal):
    """The comparison blocks nobody, because what the library's system says cannot be."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was said of the card number that the pass ``key`` had; ``patron`` None if it is not known there."""

    key: Key
    card_number: str
    patron: Patron | None


@dataclass
class Asked:
    """One piece: the answers, how many were of no use, and whether the piece came to its end."""

    answers: list[Answer] = field(default_factory=list)
    useless: int = 0
    last: Key | None = None
    fault: SourceUnavailable | None = None


def count_targets(session: Session, application: Application) -> int:
    """How many cards the comparison asks about."""
    query = select(func.count()).select_from(PassRow).where(*_asked_about(application))
    return session.scalar(query) or 0


def targets(
    session: Session, application: Application, after: Key | None, limit: int
) -> Sequence[tuple[Key, str]]:
    """The next ``limit`` cards behind ``after``, with their numbers, in order."""
    query = select(PassRow.type_id, PassRow.number, PassRow.card_key).where(*_asked_about(application))
    if after is not None:
        query = query.where(tuple_(PassRow.type_id, PassRow.number) > tuple_(*after))
    rows = session.execute(query.order_by(PassRow.type_id, PassRow.number).limit(limit))
    return [((type_id, number), str(card)) for type_id, number, card in rows]


def probe(source: PatronSource) -> None:
    """Ask about a card that cannot exist. Raises Stopped LIBRARY_LIES if it is called known; SourceUnavailable."""
    try:
        source.patron(f"0{secrets.randbelow(10**18):018d}")
    except (PatronUnknown, SourceMisbehaves):
        return
    except SourceUnavailable as fault:
        # Where every patron has a log-in of their own, one that cannot exist gets none.
        if fault.code != "LIBRARY_LOGIN_REFUSED":
            raise
        return
    raise Stopped("LIBRARY_LIES")


def batch_size(application: Application) -> int:
    """How many cards one piece has, so that none takes long."""
    pace = application.config.library.questions_per_minute
    return max(1, min(MOST_AT_ONCE, int(pace * _SECONDS_AT_ONCE / 60)))


def ask_some(application: Application, source: PatronSource, wanted: Sequence[tuple[Key, str]]) -> Asked:
    """Ask about ``wanted`` at the operator's pace, until the source gives no answer."""
    asked = Asked()
    step = 60 / application.config.library.questions_per_minute
    due = time.monotonic()
    for key, card_number in wanted:
        time.sleep(max(0.0, due - time.monotonic()))
        due = time.monotonic() + step
        try:
            asked.answers.append(Answer(key, card_number, source.patron(card_number)))
        except PatronUnknown:
            asked.answers.append(Answer(key, card_number, None))
        except SourceMisbehaves:
            asked.useless += 1
        except SourceUnavailable as fault:
            asked.fault = fault
            break
        asked.last = key
    return asked


def begin(session: Session, application: Application, report: Report) -> None:
    """Forget what an earlier run has noted and not done, and how it ended."""
    report.put(session, {"useless": 0, "stopped": 0, "given_up": 0, "would_block": 0})
    forget(session, application)


def forget(session: Session, application: Application) -> None:
    """Forget what is noted and not done."""
    session.execute(
        delete(LibraryHoldRow).where(
            LibraryHoldRow.tenant == application.tenant, LibraryHoldRow.held_at.is_(None)
        )
    )


def take(session: Session, application: Application, asked: Asked, report: Report) -> None:
    """Do the good news of a piece and note the rest, in the caller's writing transaction.

    Raises Stopped LIBRARY_TOO_MANY once more is noted than can be.
    """
    counts = {"asked": len(asked.answers) + asked.useless, "useless": asked.useless}
    for answer in asked.answers:
        for what in _take_one(session, application, answer, report.day):
            counts[what] = counts.get(what, 0) + 1
    report.add(session, counts)
    check_share(session, application, report)


def check_share(session: Session, application: Application, report: Report) -> None:
    """Raises Stopped LIBRARY_TOO_MANY if more cards are to be held back, or answers of no use, than can be."""
    noted = session.scalar(select(func.count()).select_from(LibraryHoldRow).where(*_noted(application))) or 0
    useless = int(report.counts(session).get("useless", 0))
    total = count_targets(session, application)
    if max(noted, useless) > allowed(application, total):
        raise Stopped("LIBRARY_TOO_MANY", found=max(noted, useless), total=total)


def allowed(application: Application, total: int) -> int:
    """How many of ``total`` cards one run may hold back."""
    return max(_ALWAYS_ALLOWED, total * application.config.library.changes_percent // 100)


def hold_some(session: Session, application: Application, report: Report, limit: int = MOST_AT_ONCE) -> int:
    """Hold back up to ``limit`` of the noted cards in the caller's writing transaction; how many it looked at."""
    rows = session.scalars(
        select(LibraryHoldRow)
        .where(*_noted(application))
        .order_by(LibraryHoldRow.type_id, LibraryHoldRow.number)
        .limit(limit)
    ).all()
    for row in rows:
        why = BlockReason.FEES if row.standing in _OWING else BlockReason.OTHER
        actor = Actor(ACTOR, application.now())
        pass_type = application.pass_types[row.type_id]
        held = {"type_id": row.type_id, "number": row.number, "standing": row.standing}
        found_on = row.found_on
        try:
            # Which forgets what is noted, as whatever is done with the card.
            members.block(session, application.tenant, pass_type, row.number, why, actor=actor)
        except RegisterRefusal:
            # Somebody was quicker: it is theirs.
            session.delete(row)
        else:
            session.add(
                LibraryHoldRow(tenant=application.tenant, **held, found_on=found_on, held_at=actor.at)
            )
            report.add(session, {"blocked": 1, f"blocked_{held['standing']}": 1})
    session.flush()
    return len(rows)


def dry_run(application: Application, source: PatronSource) -> tuple[dict[str, int], bool]:
    """What a run would do now, in numbers, and whether it would be stopped. Nothing is written.

    Raises Stopped LIBRARY_LIES; SourceUnavailable.
    """
    probe(source)
    counts: dict[str, int] = {}
    with application.reading() as session:
        total = count_targets(session, application)
    for wanted in _pieces(application):
        asked = ask_some(application, source, wanted)
        if asked.fault is not None:
            raise asked.fault
        with application.reading() as session:
            found = [("useless", asked.useless), ("asked", len(wanted))]
            found += [(what, 1) for one in asked.answers for what in _words(_plan(session, application, one))]
        for what, more in found:
            counts[what] = counts.get(what, 0) + more
    worst = max(counts.get("to_block", 0), counts.get("useless", 0))
    return {what: count for what, count in counts.items() if count}, worst > allowed(application, total)


def run_now(application: Application, source: PatronSource, report: Report) -> None:
    """A whole run in this process. Raises Stopped; SourceUnavailable, after which it can be begun again."""
    report.begin()
    probe(source)
    with application.writing() as session:
        begin(session, application, report)
    for wanted in _pieces(application):
        asked = ask_some(application, source, wanted)
        with application.writing() as session:
            take(session, application, asked, report)
        if asked.fault is not None:
            raise asked.fault
    hold_all(application, report)
    report.end()


def hold_all(application: Application, report: Report, between: Callable[[], None] = lambda: None) -> None:
    """Hold back everything that was noted, in short transactions."""
    while True:
        with application.writing() as session:
            count = hold_some(session, application, report)
        if count < MOST_AT_ONCE:
            return
        between()


def _pieces(application: Application) -> Iterator[Sequence[tuple[Key, str]]]:
    after: Key | None = None
    while True:
        with application.reading() as session:
            wanted = targets(session, application, after, batch_size(application))
        if not wanted:
            return
        yield wanted
        after = wanted[-1][0]


def _take_one(session: Session, application: Application, answer: Answer, day: date) -> list[str]:
    """Do what follows from one answer; what that was, for the report."""
    tenant, (type_id, number) = application.tenant, answer.key
    found = _plan(session, application, answer)
    if found is None:
        return []
    member = member_of(session, tenant, type_id, number)
    member.checked_at = application.now()
    if answer.patron is not None and answer.patron.open_fees_cents is not None:
        member.open_fees_cents = answer.patron.open_fees_cents
    if found.hold:
        session.merge(
            LibraryHoldRow(
                tenant=tenant, type_id=type_id, number=number, standing=found.hold, found_on=day, held_at=None
            )
        )
        session.flush()
        return []
    pass_type = application.pass_types[type_id]
    actor = Actor(ACTOR, application.now(), texts("issuer")("LIBRARY_REASON_ACTIVE"))
    done = ["kept"] if found.is_kept else []
    try:
        if found.release:
            members.unblock(session, tenant, pass_type, number, actor=actor)
            session.execute(delete(LibraryHoldRow).where(*_of(tenant, answer.key)))
            done.append("released")
        if found.extend_to is not None:
            seal_for = application.sealer(session, pass_type)
            extend(session, tenant, pass_type, number, found.extend_to, seal_for=seal_for, actor=actor)
            done.append("extended")
    except IssuerRefusal:
        # As with money that was called back, or a consent that is missing: that has to be settled first.
        done.append("kept")
    return done


def _plan(session: Session, application: Application, answer: Answer) -> Plan | None:
    tenant, (type_id, number) = application.tenant, answer.key
    row = session.get(PassRow, (tenant, type_id, number), populate_existing=True)
    if row is None or row.card_key != answer.card_number:
        # Replaced since it was asked about: nothing was said of the card that the member has now.
        return None
    member = session.get(MemberRow, (tenant, type_id, number))
    held = session.get(LibraryHoldRow, (tenant, type_id, number))
    is_ours = (
        held is not None
        and held.held_at is not None
        and member is not None
        and member.blocked_at == held.held_at
        and member.block_reason in (BlockReason.FEES, BlockReason.OTHER)
    )
    card = Card(PassStatus(row.status), row.period_last, is_ours)
    return plan(card, answer.patron, berlin_day(application.now()))


def _words(found: Plan | None) -> list[str]:
    if found is None:
        return []
    words = {
        "to_block": bool(found.hold),
        f"to_block_{found.hold}": bool(found.hold),
        "to_release": found.release,
        "to_extend": found.extend_to is not None,
        "kept": found.is_kept,
    }
    return [word for word, said in words.items() if said]


def _asked_about(application: Application) -> tuple[ColumnElement[bool], ...]:
    types = [one.id for one in application.pass_types if one.spec.membership is not None]
    today = berlin_day(application.now())
    running = PassRow.status.in_((PassStatus.ACTIVE.value, PassStatus.SUSPENDED.value))
    lapsed = and_(PassRow.status == PassStatus.EXPIRED.value, PassRow.period_last >= today - LAPSED_AT_MOST)
    return (
        PassRow.tenant == application.tenant,
        PassRow.type_id.in_(types),
        PassRow.card_key.is_not(None),
        or_(running, lapsed),
    )


def _noted(application: Application) -> tuple[ColumnElement[bool], ...]:
    return LibraryHoldRow.tenant == application.tenant, LibraryHoldRow.held_at.is_(None)


def _of(tenant: str, key: Key) -> tuple[ColumnElement[bool], ...]:
    return (
        LibraryHoldRow.tenant == tenant,
        LibraryHoldRow.type_id == key[0],
        LibraryHoldRow.number == key[1],
    )
