"""One code for all cards of a family, for the phone of who looks after the children."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from litestar import Response, post
from litestar.params import FromPath
from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer import audit
from issuer.application import Application
from issuer.audit import AuditEvent
from issuer.console.desk import acting_desk_of
from issuer.console.library.codes import code_page
from issuer.console.library.shared import CONFLICT, MEMBER, find_member, full_name
from issuer.doors import close_doors
from issuer.models import HolderRow, PassRow
from issuer.pickup.family import CardOfFamily, family_link, family_now
from issuer.pickup.links import Channel
from issuer.register import subject
from issuer.staff.accesses import Kind
from issuer.web.forms import FormData
from issuer.web.reader import AnyRequest


@post(MEMBER + "/family", status_code=200, sync_to_thread=True)
def show_family_code(
    request: AnyRequest, type_id: FromPath[str], number: FromPath[str], data: FormData
) -> Response[Any]:
    """The code for all cards of the family that can be fetched now, shown this once."""
    desk = acting_desk_of(request, data)
    application = desk.application
    with application.writing() as session:
        one = find_member(session, desk, type_id, number)
        family = family_now(session, application, type_id, number) if one is not None else None
        if one is None or family is None:
            return desk.problem(404, "NOT_FOUND")
        if not family.offered or len(family.cards) == 1:
            return desk.problem(CONFLICT, "PASS_NOT_RUNNING")
        # As with a link to one card: what was shown before opens nothing any more.
        close_doors(session, application.tenant, type_id, number, application.now())
        address = family_link(session, application, type_id, number, Channel.SCREEN)
        events = [AuditEvent("pickup-link", subject(type_id, card.number)) for card in family.offered]
        audit.append(session, application.tenant, events, application.now(), desk.staff.actor)
        names = _names(session, application, type_id, family.offered)
        left_out = _names(session, application, type_id, family.left_out)
    desk.note_access(one.subject)
    others = [subject(type_id, card.number) for card in family.cards if not card.is_own]
    desk.note_access(*others, kind=Kind.LISTED)
    return code_page(desk, one, address, family=names, left_out=left_out)


def _names(session: Session, application: Application, type_id: str, cards: Sequence[CardOfFamily]) -> str:
    """Whose cards they are, for a sentence."""
    numbers = [card.number for card in cards]
    holders = session.scalars(
        select(HolderRow)
        .join(PassRow, (HolderRow.tenant == PassRow.tenant) & (HolderRow.ref == PassRow.holder_ref))
        .where(PassRow.tenant == application.tenant, PassRow.type_id == type_id, PassRow.number.in_(numbers))
        .order_by(PassRow.number)
    )
    return ", ".join(full_name(one) for one in holders)


HANDLERS: Final = [show_family_code]
