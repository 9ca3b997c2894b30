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
from issuer.tariffs import day_of_cell, in_line, read_config_table, whole
from keys.errors import Refusal
from passes.pass_types import PassType

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
