"""How the office changes zones, fees and permit kinds: from a day on, with a preview, and undone as long as possible.

A change never begins before today, and never before a permit that was issued under the rule it replaces: what was
issued stays right. Permits that run on keep zone, fee and term to their end; the new rule meets them when they are
renewed.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer import audit
from issuer.audit import AuditEvent, Facts
from issuer.errors import IssuerRefusal
from issuer.models_rules import RuleChangeRow
from issuer.rules.kinds import EvidenceType, kind_table, patched, target_of
from issuer.rules.touched import Preview, hindering, touched, used_by
from issuer.tariffs import fees, known_codes, zones
from passes.periods import berlin_day
from passes.zones import Zone, normalise_zone_code

MOST_CENTS: Final = 10_000_000
MOST_MONTHS: Final = 120
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class ZoneChange:
    """A zone gets another name or tariff class, ends, or is merged into another; None leaves a value as it is.

    With a code that the city does not have yet a zone begins, which needs a name. ``merged_into`` makes the zone end
    on the day before ``valid_from``, as ``ends`` does without a successor.
    """

    code: str
    valid_from: date
    name: str | None = None
    tariff_class: str | None = None
    ends: bool = False
    merged_into: str | None = None


@dataclass(frozen=True, slots=True)
class FeeChange:
    """What a term costs from a day on, in cents; None: it is no longer offered. An empty class means all."""

    tariff_class: str
    channel: str
    term_months: int
    valid_from: date
    cents: int | None


@dataclass(frozen=True, slots=True)
class KindChange:
    """Other values of a permit kind; ``values`` names fields of `issuer.rules.kinds.KindRules`."""

    type_id: str
    kind: str
    valid_from: date
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class EvidenceChange:
    """An evidence type that the city adds, or calls differently."""

    type_id: str
    name: str
    valid_from: date
    label: EvidenceType


Change = ZoneChange | FeeChange | KindChange | EvidenceChange


@dataclass(frozen=True, slots=True)
class MadeChange:
    """A change that was made; times are UTC. ``undone_at`` is set for one that has no effect any more."""

    id: str
    subject: str
    target: str
    valid_from: date
    content: Mapping[str, Any]
    made_at: datetime
    undone_at: datetime | None


def preview(session: Session, tenant: str, change: Change, at: datetime) -> Preview:
    """What ``change`` would touch if it were made at the aware time ``at``; nothing is changed.

    Raises what `make_change` raises, except RULE_OVER_ISSUED: the preview names the permits that stand in the way.
    """
    change = _checked(session, tenant, change, berlin_day(at))
    return _previewed(session, tenant, change)


def make_change(
    session: Session, tenant: str, change: Change, at: datetime, actor: str, reason: str | None = None
) -> str:
    """Make ``change``, in the caller's writing transaction with its audit entry; returns its id.

    Raises IssuerRefusal RULE_DAY_PAST, RULE_OVER_ISSUED, RULE_CHANGE_EXISTS (the same thing on the same day),
    RULE_NOTHING_CHANGES, ZONE_UNKNOWN, ZONE_ENDED, ZONE_SUCCESSOR, RULE_ZONE_NAME (a new zone without name),
    KIND_UNKNOWN, KIND_RULES, EVIDENCE_UNKNOWN, INTEGER_FORMAT, VALUE_FORMAT; PassRefusal for a code or a name.
    """
    today = berlin_day(at)
    change = _checked(session, tenant, change, today)
    found = _previewed(session, tenant, change)
    if found.hindering:
        raise IssuerRefusal(
            "RULE_OVER_ISSUED",
            count=len(found.hindering),
            numbers=shown(found.hindering),
            earliest="–" if found.earliest is None else found.earliest.isoformat(),
        )
    row = RuleChangeRow(
        tenant=tenant,
        id=secrets.token_hex(16),
        subject=_subject(change),
        target=_target(change),
        valid_from=change.valid_from,
        content=_content(change),
        made_at=at,
        undone_at=None,
    )
    before = _before(session, tenant, change)
    session.add(row)
    session.flush()
    after = {**_facts(row.content), "valid_from": change.valid_from.isoformat(), "change": row.id}
    _note(session, tenant, f"change-{row.subject}", row, before, after, at=at, actor=actor, reason=reason)
    return row.id


def undo_change(
    session: Session, tenant: str, change_id: str, at: datetime, actor: str, reason: str | None = None
) -> None:
    """Take a change back, in the caller's writing transaction with its audit entry.

    Raises IssuerRefusal RULE_CHANGE_UNKNOWN, RULE_CHANGE_UNDONE, RULE_CHANGE_USED where a permit was issued under it,
    RULE_CHANGE_NEEDED where another zone or change rests on a zone that began with it.
    """
    row = session.get(RuleChangeRow, (tenant, change_id))
    if row is None:
        raise IssuerRefusal("RULE_CHANGE_UNKNOWN", change=change_id[:40])
    if row.undone_at is not None:
        raise IssuerRefusal("RULE_CHANGE_UNDONE", change=change_id)
    used = used_by(session, tenant, row)
    if used:
        raise IssuerRefusal("RULE_CHANGE_USED", count=len(used), numbers=shown(used))
    _refuse_if_needed(session, tenant, row)
    row.undone_at = at
    session.flush()
    before = {**_facts(row.content), "valid_from": row.valid_from.isoformat(), "change": row.id}
    _note(session, tenant, "undo-rule-change", row, before, None, at=at, actor=actor, reason=reason)


def made_changes(session: Session, tenant: str, *, undone: bool = False) -> list[MadeChange]:
    """The changes of ``tenant`` by the day they begin, with those that were ``undone`` or without."""
    query = select(RuleChangeRow).where(RuleChangeRow.tenant == tenant)
    if not undone:
        query = query.where(RuleChangeRow.undone_at.is_(None))
    rows = session.scalars(query.order_by(RuleChangeRow.valid_from, RuleChangeRow.made_at, RuleChangeRow.id))
    return [
        MadeChange(row.id, row.subject, row.target, row.valid_from, row.content, row.made_at, row.undone_at)
        for row in rows
    ]


def shown(numbers: Iterable[str]) -> str:
    """The first numbers for a sentence."""
    all_of_them = list(numbers)
    return ", ".join(all_of_them[:_SHOWN]) + (" …" if len(all_of_them) > _SHOWN else "")


def _checked(session: Session, tenant: str, change: Change, today: date) -> Change:
    """``change`` in its stored form, if it may be made on ``today``."""
    if change.valid_from < today:
        raise IssuerRefusal("RULE_DAY_PAST", day=change.valid_from.isoformat(), today=today.isoformat())
    match change:
        case ZoneChange():
            change = _checked_zone(session, tenant, change)
        case FeeChange():
            _check_fee(session, tenant, change)
        case KindChange():
            _check_kind(session, tenant, change)
        case EvidenceChange():
            pass
    same = session.scalar(
        select(RuleChangeRow.id).where(
            RuleChangeRow.tenant == tenant,
            RuleChangeRow.subject == _subject(change),
            RuleChangeRow.target == _target(change),
            RuleChangeRow.valid_from == change.valid_from,
            RuleChangeRow.undone_at.is_(None),
        )
    )
    if same is not None:
        raise IssuerRefusal("RULE_CHANGE_EXISTS", day=change.valid_from.isoformat(), change=same)
    return change


def _checked_zone(session: Session, tenant: str, change: ZoneChange) -> ZoneChange:
    known = zones(session, tenant)
    code, day = normalise_zone_code(change.code), change.valid_from
    merged = None if change.merged_into is None else normalise_zone_code(change.merged_into)
    ends = change.ends or merged is not None
    name = None if change.name is None else Zone(code, change.name).name
    _check_class(change.tariff_class)
    if code not in known:
        if name is None or ends:
            raise IssuerRefusal("RULE_ZONE_NAME", zone=code, known=known_codes(known, day))
        return ZoneChange(code, day, name, change.tariff_class)
    zone = known[code]
    if not zone.holds_on(day):
        raise IssuerRefusal("ZONE_ENDED", zone=code, day=day.isoformat(), known=known_codes(known, day))
    if merged is not None and (merged == code or merged not in known or not known[merged].holds_on(day)):
        others = {other: one for other, one in known.items() if other != code}
        raise IssuerRefusal(
            "ZONE_SUCCESSOR", zone=code, successor=merged, day=day.isoformat(), known=known_codes(others, day)
        )
    now = zone.on(day)
    same = name in (None, now.zone.name) and change.tariff_class in (None, now.tariff_class)
    if same and not ends:
        raise IssuerRefusal("RULE_NOTHING_CHANGES")
    if ends and (name is not None or change.tariff_class is not None):
        raise IssuerRefusal("RULE_ZONE_ONE_THING", zone=code)
    return ZoneChange(code, day, name, change.tariff_class, ends, merged)


def _check_class(text: str | None) -> None:
    if text is not None and (len(text) > 20 or not text.isprintable() or text != text.strip()):
        raise IssuerRefusal("VALUE_FORMAT", field="tariff_class")


def _check_fee(session: Session, tenant: str, change: FeeChange) -> None:
    _check_class(change.tariff_class)
    channel = change.channel
    if not (channel.isascii() and channel.isalnum() and len(channel) <= 20):
        raise IssuerRefusal("VALUE_FORMAT", field="channel")
    if not 1 <= change.term_months <= MOST_MONTHS:
        raise IssuerRefusal("INTEGER_FORMAT", field="term_months", minimum=1, maximum=MOST_MONTHS)
    if change.cents is not None and not 0 <= change.cents <= MOST_CENTS:
        raise IssuerRefusal("INTEGER_FORMAT", field="fee_cents", minimum=0, maximum=MOST_CENTS)
    row = fees(session, tenant).row_on(change.tariff_class, channel, change.term_months, change.valid_from)
    unchanged = row is not None and row[0] == change.tariff_class and row[2] == change.cents
    if unchanged or (row is None and change.cents is None):
        raise IssuerRefusal("RULE_NOTHING_CHANGES")


def _check_kind(session: Session, tenant: str, change: KindChange) -> None:
    table = kind_table(session, tenant, change.type_id)
    now = table.rules(change.kind, change.valid_from)
    after = patched(now, change.values)
    if after == now:
        raise IssuerRefusal("RULE_NOTHING_CHANGES")
    named = {name for evidence in after.checks.values() for name in evidence}
    if unknown := sorted(named - table.evidence.keys()):
        known = ", ".join(sorted(table.evidence))
        raise IssuerRefusal("EVIDENCE_UNKNOWN", evidence=", ".join(unknown), known=known)


def _previewed(session: Session, tenant: str, change: Change) -> Preview:
    known, table = zones(session, tenant), fees(session, tenant)
    subject, content = _subject(change), _content(change)
    target, day = _target(change), change.valid_from
    found = touched(session, tenant, subject, target, content, day, known, table)
    in_the_way = hindering(session, tenant, subject, target, content, day, known, table)
    return Preview.of(day, found, in_the_way)


def _refuse_if_needed(session: Session, tenant: str, row: RuleChangeRow) -> None:
    if row.subject != "zone":
        return
    known = zones(session, tenant)
    zone = known[row.target]
    begins = zone.valid_from == row.valid_from and row.content["name"] is not None
    others = [
        one.target
        for one in made_changes(session, tenant)
        if one.subject == "zone" and one.id != row.id and begins and one.target == row.target
    ]
    resting = [code for code, one in known.items() if begins and one.merged_into == row.target]
    # Without this end, a zone that was to take its place would have to begin or end differently.
    if others or resting:
        raise IssuerRefusal(
            "RULE_CHANGE_NEEDED", zone=row.target, others=", ".join(sorted({*others, *resting}))
        )


def _subject(change: Change) -> str:
    match change:
        case ZoneChange():
            return "zone"
        case FeeChange():
            return "fee"
        case KindChange():
            return "kind"
        case EvidenceChange():
            return "evidence"


def _target(change: Change) -> str:
    match change:
        case ZoneChange():
            return change.code
        case FeeChange():
            return f"{change.tariff_class}|{change.channel}|{change.term_months}"
        case KindChange():
            return target_of(change.type_id, change.kind)
        case EvidenceChange():
            return target_of(change.type_id, change.name)


def _content(change: Change) -> dict[str, Any]:
    match change:
        case ZoneChange():
            return {
                "name": change.name,
                "tariff_class": change.tariff_class,
                "ends": change.ends,
                "merged_into": change.merged_into,
            }
        case FeeChange():
            return {
                "tariff_class": change.tariff_class,
                "channel": change.channel,
                "term_months": change.term_months,
                "cents": change.cents,
            }
        case KindChange():
            return dict(msgspec.to_builtins(change.values))
        case EvidenceChange():
            return dict(msgspec.to_builtins(change.label))


def _before(session: Session, tenant: str, change: Change) -> Facts | None:
    """The rule that the change replaces, for the audit trail."""
    day = change.valid_from
    match change:
        case ZoneChange():
            zone = zones(session, tenant).get(change.code)
            if zone is None:
                return None
            now = zone.on(day)
            return {"name": now.zone.name, "tariff_class": now.tariff_class}
        case FeeChange():
            return {
                "cents": fees(session, tenant).fee(
                    change.tariff_class, change.channel, change.term_months, day
                )
            }
        case KindChange():
            now_rules = msgspec.to_builtins(
                kind_table(session, tenant, change.type_id).rules(change.kind, day)
            )
            return _facts({name: now_rules[name] for name in change.values})
        case EvidenceChange():
            known = kind_table(session, tenant, change.type_id).evidence.get(change.name)
            return None if known is None else _facts(msgspec.to_builtins(known))


def _facts(content: Mapping[str, Any]) -> dict[str, Any]:
    """Content as facts of the audit trail, which are plain: what is nested becomes JSON."""
    return {
        name: value if isinstance(value, str | int | bool | None) else msgspec.json.encode(value).decode()
        for name, value in content.items()
    }


def _note(
    session: Session,
    tenant: str,
    action: str,
    row: RuleChangeRow,
    before: Facts | None,
    after: Facts | None,
    *,
    at: datetime,
    actor: str,
    reason: str | None,
) -> None:
    event = AuditEvent(action, f"rule/{row.subject}/{row.target}"[:120], before, after, reason)
    audit.append(session, tenant, [event], at, actor)
