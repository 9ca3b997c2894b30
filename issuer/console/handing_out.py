"""What somebody at a desk or counter is handed: a one-time link as a picture for their phone, and the print."""

from __future__ import annotations

import base64
from typing import Any, Final

from litestar import Response
from sqlalchemy.orm import Session

from issuer import audit
from issuer.audit import AuditEvent
from issuer.console.desk import Desk
from issuer.doors import close_doors
from issuer.pickup.links import Channel, create_link
from issuer.prints import print_of
from issuer.register import load_contents, subject
from keys.errors import Refusal
from passes.qr import link_png

_UNAVAILABLE: Final = 503


def fresh_link(desk: Desk, session: Session, type_id: str, number: str, channel: Channel) -> str:
    """In a writing transaction: a one-time link to the pass, a secret; links of before open nothing any more."""
    application = desk.application
    close_doors(session, application.tenant, type_id, number, application.now())
    address = create_link(session, application, type_id, number, channel)
    event = AuditEvent("pickup-link", subject(type_id, number))
    audit.append(session, application.tenant, [event], application.now(), desk.staff.actor)
    return address


def picture_of(address: str) -> str:
    """The QR code of ``address`` as PNG in base 64, for a page."""
    return base64.b64encode(link_png(address)).decode()


def print_answer(desk: Desk, type_id: str, number: str) -> Response[Any]:
    """The print as a file to save, or the page that says why there is none; see `printed`."""
    try:
        made = printed(desk, type_id, number)
    except Refusal as refusal:
        return desk.problem(_UNAVAILABLE, "PRINT_NOT_MADE", why=refusal.sentence(desk.reader.language))
    return desk.reader.file(made, "application/pdf", f"{number}.pdf")


def printed(desk: Desk, type_id: str, number: str) -> bytes:
    """The print of a pass that is there and may be printed, as PDF; noted in both logs. Raises as `print_of`."""
    application = desk.application
    with application.reading() as session:
        pass_type = application.pass_types[type_id]
        [content] = load_contents(session, application.tenant, pass_type, [number])
        city = application.settings(session).city(application.tenant)
    made = print_of(application, pass_type, [content], city, content.language)
    with application.writing() as session:
        event = AuditEvent("fetch", subject(type_id, number), after={"carrier": "print"})
        audit.append(session, application.tenant, [event], application.now(), desk.staff.actor)
    desk.note_access(subject(type_id, number))
    return made
