"""Reading and writing cases: beginning one, finding it, and taking it for a step.

Whoever takes a case for a step holds the register's writing transaction, and says which version of the case they have
seen: of two who decide at the same time, the second is told that the case has moved.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, select
from sqlalchemy.orm import Session

from issuer import audit
from issuer.audit import AuditEvent, Fact
from issuer.cases.facts import CaseFacts, CaseKind, Channel, facts_of, stored_facts
from issuer.cases.states import RULES, CaseState, CaseStep, next_state
from issuer.errors import IssuerRefusal
from issuer.holders import Holder
from issuer.models import PassRow, SequenceRow
from issuer.models_cases import CaseApplicantRow, CaseRow
from issuer.settings import record_key
from passes.names import search_keys
from passes.periods import berlin_day

_ID_BYTES: Final = 16
_APPLICANT: Final = (
    "family_name", "given_name", "doctoral_degree", "street", "house_number", "postal_code", "city", "email",
    "language",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CaseActor:
    """Who takes a step, when (aware), and the version of the case that they have seen; None for whatever it is."""

    name: str
    at: datetime
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A case as it stands."""

    id: str
    number: str
    kind: CaseKind
    type_id: str
    channel: Channel
    state: CaseState
    version: int
    facts: CaseFacts
    checks: Sequence[dict[str, Any]]
    fee_cents: int | None
    pass_number: str | None
    exception: str | None
    proposed_by: str | None
    decided_by: str | None
    decision_reason: str | None
    created_at: datetime
    submitted_at: datetime | None
    decided_at: datetime | None
    state_since: datetime
    deadline: date | None

    @property
    def subject(self) -> str:
        """How the audit trail and the access log name the case."""
        return subject(self.number)


def subject(number: str) -> str:
    """How the audit trail names the case with ``number``."""
    return f"case/{number}"


def begin(
    session: Session,
    tenant: str,
    kind: CaseKind,
    type_id: str,
    channel: Channel,
    actor: CaseActor,
    *,
    pass_number: str | None = None,
) -> Case:
    """A new draft, in the caller's writing transaction; ``pass_number`` is the pass to be changed or renewed."""
    row = CaseRow(
        tenant=tenant,
        id=secrets.token_urlsafe(_ID_BYTES),
        number=_next_number(session, tenant, actor.at),
        kind=kind.value,
        type_id=type_id,
        channel=channel.value,
        state=CaseState.DRAFT.value,
        version=1,
        facts={},
        checks=[],
        pass_number=pass_number,
        created_at=actor.at,
        state_since=actor.at,
        deadline=_deadline(CaseState.DRAFT, actor.at),
    )
    session.add(row)
    session.flush()
    facts: dict[str, Fact] = {"kind": kind.value, "channel": channel.value, "pass": pass_number}
    _note(session, row, actor, "case_begin", None, facts)
    return case_of(row)


def find(session: Session, tenant: str, case_id: str) -> Case:
    """The case with ``case_id``. Raises IssuerRefusal CASE_UNKNOWN."""
    row = session.get(CaseRow, (tenant, case_id), populate_existing=True)
    if row is None:
        raise IssuerRefusal("CASE_UNKNOWN")
    return case_of(row)


def take(session: Session, tenant: str, case_id: str, version: int | None) -> CaseRow:
    """The row of a case for a step, in a writing transaction.

    Raises IssuerRefusal CASE_UNKNOWN; CASE_MOVED where somebody else has taken a step since ``version``.
    """
    row = session.get(CaseRow, (tenant, case_id), with_for_update=True, populate_existing=True)
    if row is None:
        raise IssuerRefusal("CASE_UNKNOWN")
    if version is not None and row.version != version:
        raise IssuerRefusal("CASE_MOVED", number=row.number)
    return row


def move(
    session: Session,
    row: CaseRow,
    step: CaseStep,
    actor: CaseActor,
    *,
    reason: str | None = None,
    **facts: Fact,
) -> CaseState:
    """Take ``step`` with a case that was taken, with its entry in the audit trail; returns the new state.

    ``facts`` become part of that entry: nothing personal. Raises IssuerRefusal CASE_STEP.
    """
    before = CaseState(row.state)
    after = next_state(before, step, fee_cents=row.fee_cents)
    row.state = after.value
    row.state_since = actor.at
    row.deadline = _deadline(after, actor.at)
    row.version += 1
    session.flush()
    _note(
        session,
        row,
        actor,
        f"case_{step.value}",
        {"state": before.value},
        {"state": after.value, **facts},
        reason,
    )
    return after


def save_facts(session: Session, row: CaseRow, facts: CaseFacts) -> None:
    """Store what a draft says so far: no step, and no entry for every field that somebody fills in."""
    row.facts = stored_facts(facts)
    row.version += 1
    session.flush()


def applicant(session: Session, tenant: str, case_id: str) -> Holder | None:
    """Who asks; None before they have said so, and after the deletion."""
    row = session.get(CaseApplicantRow, (tenant, case_id), populate_existing=True)
    if row is None:
        return None
    return Holder(ref="", **{name: getattr(row, name) for name in _APPLICANT})


def save_applicant(session: Session, tenant: str, case_id: str, person: Holder) -> None:
    """Store who asks."""
    values = {name: getattr(person, name) for name in _APPLICANT}
    keys = "\n".join(sorted(search_keys(f"{person.given_name} {person.family_name}"[:400])))
    row = session.get(CaseApplicantRow, (tenant, case_id))
    if row is None:
        session.add(CaseApplicantRow(tenant=tenant, case_id=case_id, search_keys=keys, **values))
    else:
        for name, value in (values | {"search_keys": keys}).items():
            setattr(row, name, value)
    session.flush()


def person_key(session: Session, tenant: str, person: Holder) -> str:
    """A keyed digest by which one person's cases and permits belong together, however the name was typed.

    Name and address are what a permit is about; there is no number that every resident has.
    """
    parts = (
        f"{person.given_name} {person.family_name}",
        f"{person.street} {person.house_number}",
        person.postal_code,
    )
    text = "\x1f".join(_folded(one) for one in parts)
    mac = hmac.digest(record_key(session, tenant), f"person\x1f{text}".encode(), "sha256")
    return mac[:_ID_BYTES].hex()


def of_shown(tenant: str, type_id: str, shown: str) -> ColumnElement[bool]:
    """Which `CaseRow` of a type a wallet has proven for the person with the digest ``shown``, never an empty one."""
    proven = CaseRow.facts[("residence_proof", "person")].as_string()
    return and_(CaseRow.tenant == tenant, CaseRow.type_id == type_id, proven == shown)


def permits_of_shown(tenant: str, type_id: str, shown: str, statuses: Collection[str]) -> Select[str]:
    """The numbers of passes with one of ``statuses`` that such cases have led to."""
    return (
        select(PassRow.number)
        .join(
            CaseRow,
            (CaseRow.tenant == PassRow.tenant)
            & (CaseRow.type_id == PassRow.type_id)
            & (CaseRow.pass_number == PassRow.number),
        )
        .where(of_shown(tenant, type_id, shown), PassRow.status.in_(statuses))
        .order_by(PassRow.number)
    )


def shown_of_permit(session: Session, tenant: str, type_id: str, number: str) -> frozenset[str]:
    """The digests of the persons whom wallets have shown in the cases of a pass: one or none, as a rule."""
    facts = session.scalars(
        select(CaseRow.facts).where(
            CaseRow.tenant == tenant, CaseRow.type_id == type_id, CaseRow.pass_number == number
        )
    )
    proofs = (facts_of(one).residence_proof for one in facts)
    return frozenset(one.person for one in proofs if one is not None and one.person)


def _folded(text: str) -> str:
    """One spelling of whatever letters and digits ``text`` has: no blanks, hyphens, capitals, umlauts."""
    keys = sorted(search_keys(text[:400]))
    return "".join(character for character in (keys[0] if keys else text) if character.isalnum())


def case_of(row: CaseRow) -> Case:
    """The case behind a row."""
    return Case(
        id=row.id,
        number=row.number,
        kind=CaseKind(row.kind),
        type_id=row.type_id,
        channel=Channel(row.channel),
        state=CaseState(row.state),
        version=row.version,
        facts=facts_of(row.facts),
        checks=row.checks,
        fee_cents=row.fee_cents,
        pass_number=row.pass_number,
        exception=row.exception,
        proposed_by=row.proposed_by,
        decided_by=row.decided_by,
        decision_reason=row.decision_reason,
        created_at=row.created_at,
        submitted_at=row.submitted_at,
        decided_at=row.decided_at,
        state_since=row.state_since,
        deadline=row.deadline,
    )


def overdue(session: Session, tenant: str, day: date, state: CaseState, limit: int) -> Sequence[str]:
    """The ids of up to ``limit`` cases in ``state`` whose deadline has passed on ``day``."""
    return session.scalars(
        select(CaseRow.id)
        .where(CaseRow.tenant == tenant, CaseRow.state == state.value, CaseRow.deadline < day)
        .order_by(CaseRow.deadline, CaseRow.id)
        .limit(limit)
    ).all()


def _deadline(state: CaseState, at: datetime) -> date | None:
    days = RULES[state].days
    return None if days is None else berlin_day(at) + timedelta(days=days)


def _next_number(session: Session, tenant: str, at: datetime) -> str:
    """``A-2026-000123``: to be told on the telephone; it opens nothing."""
    year = berlin_day(at).year
    key = (tenant, f"case/{year}")
    row = session.get(SequenceRow, key, with_for_update=True, populate_existing=True)
    if row is None:
        row = SequenceRow(tenant=tenant, name=key[1], last_value=0)
        session.add(row)
    row.last_value += 1
    session.flush()
    return f"A-{year}-{row.last_value:06d}"


def note(session: Session, row: CaseRow, actor: CaseActor, action: str, facts: dict[str, Fact]) -> None:
    """An entry in the audit trail about a case that was taken, for what is no step: nothing personal."""
    _note(session, row, actor, action, None, facts)


def _note(
    session: Session,
    row: CaseRow,
    actor: CaseActor,
    action: str,
    before: dict[str, Fact] | None,
    after: dict[str, Fact],
    reason: str | None = None,
) -> None:
    event = AuditEvent(action, subject(row.number), before, after, reason)
    audit.append(session, row.tenant, [event], actor.at, actor.name)
