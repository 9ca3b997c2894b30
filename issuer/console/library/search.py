"""Finding a member by what the hand scanner types, by card number, member number or name; and what is to be done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from litestar import Response, get
from sqlalchemy import ColumnElement, false, or_, select
from sqlalchemy.orm import Session

from issuer.console.desk import Desk, desk_of
from issuer.console.library.shared import (
    PATH,
    block_label,
    full_name,
    is_seal,
    library_types,
    member_path,
)
from issuer.models import HolderRow, PassRow
from issuer.models_library import MemberRow, ReplacedCardRow
from issuer.pickup.standing import Standing, standing_at
from issuer.presentations.asking import can_ask
from issuer.presentations.wishes import Wish
from issuer.register import subject
from issuer.search import LONGEST, name_condition
from issuer.staff.accesses import Kind
from issuer.web.reader import AnyRequest
from passes.display import day_text
from passes.model import PassStatus
from passes.pass_types import PassType
from passes.periods import berlin_day
from passes.scanned_cards import Delivered, scanned_card

MOST: Final = 25
_FEWEST_CHARACTERS: Final = 2
KINDS: Final = {Standing.VALID: "success", Standing.NOT_YET: "info"}


@get(PATH, sync_to_thread=True)
def find_members(request: AnyRequest) -> Response[Any]:
    """Members by one field for all. A number that was scanned leads to its member at once."""
    desk = desk_of(request)
    text = request.query_params.get("q", "")[:LONGEST].strip()
    rows: list[dict[str, Any]] = []
    with desk.application.reading() as session:
        has_wallet = can_ask(session, desk.application, Wish.LIBRARY_CARD)
    asked = len(text) >= _FEWEST_CHARACTERS
    spellings = spellings_of(text)
    if asked:
        with desk.application.reading() as session:
            hit = by_card(session, desk, spellings)
            if hit is not None and not desk.reader.is_partial:
                row, is_old = hit
                query = {"old": "1"} if is_old else {}
                return desk.go(member_path(row.type_id, row.number), **query)
            rows = _found(session, desk, text, spellings)
        # Whoever sees a name in a list has seen whose card it is.
        desk.note_access(*(one["subject"] for one in rows[:MOST]), kind=Kind.LISTED)
    return desk.page(
        "library_rows.html" if desk.reader.is_partial else "library.html",
        text=text,
        asked=asked,
        rows=rows[:MOST],
        more=len(rows) > MOST,
        most=MOST,
        fault=_fault(text) if asked and not rows else "",
        has_wallet=has_wallet,
    )


def spellings_of(text: str) -> list[str]:
    """The card numbers that ``text`` can be, as a hand scanner or a person types it; none where it is no number."""
    return [one.text for one in scanned_card(text).spellings]


def by_card(session: Session, desk: Desk, spellings: Sequence[str]) -> tuple[PassRow, bool] | None:
    """The pass whose card number is one of ``spellings``, and whether that is a number it had before.

    None where there is none, or more than one.
    """
    if not spellings:
        return None
    tenant, types = desk.application.tenant, [one.id for one in library_types(desk.application)]
    found = session.scalars(
        select(PassRow)
        .where(PassRow.tenant == tenant, PassRow.type_id.in_(types), PassRow.card_key.in_(spellings))
        .limit(2)
    ).all()
    if found:
        return (found[0], False) if len(found) == 1 else None
    old = session.scalars(
        select(PassRow)
        .join(
            ReplacedCardRow,
            (ReplacedCardRow.tenant == PassRow.tenant)
            & (ReplacedCardRow.type_id == PassRow.type_id)
            & (ReplacedCardRow.number == PassRow.number),
        )
        .where(PassRow.tenant == tenant, PassRow.type_id.in_(types), ReplacedCardRow.card_key.in_(spellings))
        .limit(2)
    ).all()
    return (old[0], True) if len(old) == 1 else None


def by_any_number(session: Session, desk: Desk, pass_type: PassType, text: str) -> PassRow | None:
    """The pass of ``pass_type`` with the card number or member number that somebody has typed or scanned."""
    spellings = spellings_of(text)
    numbers = sorted({text, text.upper()}) if text.isascii() and text.isprintable() else []
    found = session.scalars(
        select(PassRow)
        .where(
            PassRow.tenant == desk.application.tenant,
            PassRow.type_id == pass_type.id,
            or_(PassRow.card_key.in_(spellings), PassRow.number.in_(numbers)),
        )
        .limit(2)
    ).all()
    return found[0] if len(found) == 1 else None


def _fault(text: str) -> str:
    """The catalogue's code of what is wrong with something scanned that is no number; empty for a name."""
    if is_seal(text):
        return "OFFICE_LIB_SEAL_SCANNED"
    return "OFFICE_LIB_MISREAD" if scanned_card(text).kind is Delivered.MISREAD else ""


def _found(session: Session, desk: Desk, text: str, spellings: Sequence[str]) -> list[dict[str, Any]]:
    tenant, types = desk.application.tenant, {one.id: one for one in library_types(desk.application)}
    query = (
        select(PassRow, HolderRow, MemberRow)
        .join(HolderRow, (HolderRow.tenant == PassRow.tenant) & (HolderRow.ref == PassRow.holder_ref))
        .outerjoin(
            MemberRow,
            (MemberRow.tenant == PassRow.tenant)
            & (MemberRow.type_id == PassRow.type_id)
            & (MemberRow.number == PassRow.number),
        )
        .where(PassRow.tenant == tenant, PassRow.type_id.in_(types), _like(tenant, text, spellings))
        .order_by(PassRow.type_id, PassRow.number)
        .limit(MOST + 1)
    )
    return [line(desk, row, holder, member) for row, holder, member in session.execute(query)]


def _like(tenant: str, text: str, spellings: Sequence[str]) -> ColumnElement[bool]:
    conditions: list[ColumnElement[bool]] = [PassRow.card_key.in_(spellings)] if spellings else []
    if text.isascii() and text.isprintable() and " " not in text:
        starts = sorted({text, text.upper()})
        conditions += [PassRow.number.startswith(one, autoescape=True) for one in starts]
        conditions += [PassRow.card_key.startswith(one, autoescape=True) for one in starts]
    if text.isprintable() and not any(one.isdecimal() for one in text):
        name = name_condition(HolderRow.search_keys, text)
        if name is not None:
            people = select(HolderRow.ref).where(HolderRow.tenant == tenant, name)
            conditions.append(PassRow.holder_ref.in_(people))
    return or_(*conditions) if conditions else false()


def line(desk: Desk, row: PassRow, holder: HolderRow, member: MemberRow | None) -> dict[str, Any]:
    """A member in a list."""
    say, language = desk.reader.say, desk.reader.language
    today = berlin_day(desk.application.now())
    standing = standing_at(PassStatus(row.status), row.period_first, row.period_last, today)
    standing_text = say(f"PICKUP_STANDING_{standing.name}")
    if standing is Standing.SUSPENDED:
        standing_text = say("OFFICE_LIB_BLOCKED_BADGE", reason=block_label(say, member))
    return {
        "subject": subject(row.type_id, row.number),
        "path": member_path(row.type_id, row.number),
        "card": row.card_key or "",
        "number": row.number,
        "name": full_name(holder),
        "until": day_text(row.period_last, language),
        "standing": standing_text,
        "kind": KINDS.get(standing, "danger"),
        "note": "",
    }


HANDLERS: Final = [find_members]
