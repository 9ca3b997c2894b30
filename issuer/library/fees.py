"""What a membership costs: the city's dated table, loaded from its file."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer.errors import IssuerRefusal
from issuer.library.membership import MembershipFees, category_of, rules_of
from issuer.models import ALWAYS
from issuer.models_library import MembershipFeeRow
from issuer.rules.reload import Difference
from issuer.tariffs import day_of_cell, in_line, read_config_table, whole
from keys.errors import Refusal
from passes.pass_types import PassType, PassTypes

_MOST_CENTS = 10_000_000


def membership_fees(session: Session, tenant: str, type_id: str) -> MembershipFees:
    """The fee table of a type of members; false if the city has none."""
    found: dict[str, list[tuple[date, int]]] = {}
    rows = session.scalars(
        select(MembershipFeeRow).where(MembershipFeeRow.tenant == tenant, MembershipFeeRow.type_id == type_id)
    )
    for row in rows:
        found.setdefault(row.category, []).append((row.valid_from, row.fee_cents))
    return MembershipFees({category: tuple(sorted(fees)) for category, fees in found.items()})


def membership_fees_from_csv(
    session: Session, tenant: str, pass_type: PassType, path: Path, encoding: str | None = None
) -> int:
    """Load fees from ``category``, ``fee_cents``, optional ``valid_from``; an empty day means always.

    A row that is known is overwritten, none is removed, so loading twice changes nothing. Returns the number of rows.
    Raises IssuerRefusal NOT_A_MEMBERSHIP, FileRefused; the caller then rolls its transaction back.
    """
    rules = rules_of(pass_type)
    records = read_config_table(path, encoding, ("category", "fee_cents"))
    for record, cells in records:
        try:
            category = category_of(rules, cells["category"])
            if not category.pays:
                raise IssuerRefusal("MEMBERSHIP_FREE", category=category.name)
            first = day_of_cell(cells.get("valid_from", "")) or ALWAYS
            cents = whole(cells["fee_cents"], "fee_cents", _MOST_CENTS)
        except Refusal as fault:
            raise in_line(fault, record.line) from fault
        key = (tenant, pass_type.id, category.name, first)
        row = session.get(MembershipFeeRow, key)
        if row is None:
            names = ("tenant", "type_id", "category", "valid_from")
            session.add(MembershipFeeRow(**dict(zip(names, key, strict=True)), fee_cents=cents))
        else:
            row.fee_cents = cents
    session.flush()
    return len(records)


def reload_membership_fees(
    session: Session, tenant: str, pass_type: PassType, path: Path, today: date, encoding: str | None = None
) -> tuple[int, list[Difference]]:
    """Load fees as `membership_fees_from_csv`; otherwise as `issuer.rules.reload.reload_fees`."""
    before = membership_fees(session, tenant, pass_type.id)
    count = membership_fees_from_csv(session, tenant, pass_type, path, encoding)
    after = membership_fees(session, tenant, pass_type.id)
    found: list[Difference] = []
    for category in sorted(after.rows):
        days = {first for table in (before, after) for first, _ in table.rows.get(category, ())}
        for day in sorted(days):
            old, new = before.fee(category, day), after.fee(category, day)
            if old != new:
                begins = "" if day == ALWAYS else f" {day.isoformat()}"
                fixed = old is not None and day <= today
                found.append(Difference("fee", category + begins, _text(old), _text(new), fixed=fixed))
    return count, found


def library_type(pass_types: PassTypes, type_id: str | None = None) -> PassType:
    """The pass type with a membership: ``type_id``, else the only one that has one.

    Raises PassRefusal TYPE_UNKNOWN, IssuerRefusal NOT_A_MEMBERSHIP, MEMBERSHIP_TYPE without or with several.
    """
    if type_id is not None:
        rules_of(pass_types[type_id])
        return pass_types[type_id]
    found = [one for one in pass_types if one.spec.membership is not None]
    if len(found) != 1:
        raise IssuerRefusal("MEMBERSHIP_TYPE", types=", ".join(one.id for one in found) or "–")
    return found[0]


def _text(cents: int | None) -> str:
    return "" if cents is None else str(cents)
