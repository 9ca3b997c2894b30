"""One-time links to a pass, as mails carry them and as the counter shows them.

A link has 128 random bits and holds for an hour. Looking at it costs nothing, as often as anybody looks: mail
scanners and browsers that fetch ahead open every link they see. Only the POST behind the page's button uses it up.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import CursorResult, select, update
from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.models_access import PickupLinkRow

LIFETIME: Final = timedelta(minutes=60)
# A link on a screen is scanned at once; what stays on the screen must not stay good.
SCREEN_LIFETIME: Final = timedelta(minutes=10)
PATH: Final = "/p/l/"

_TOKEN_BYTES: Final = 16
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{22}")
_PURPOSE: Final = "pickup-link"


class Channel(StrEnum):
    """How a visit came about."""

    MAIL = "mail"
    DESK = "desk"
    # From the screen of another visit.
    SCREEN = "screen"
    LETTER = "letter"


@dataclass(frozen=True, slots=True)
class PassKey:
    """Which pass a link, code or visit is for, and how it came to its holder."""

    type_id: str
    number: str
    channel: Channel


def create_link(
    session: Session, application: Application, type_id: str, number: str, channel: str | Channel
) -> str:
    """A new link to the pass, in the caller's writing transaction; returns its whole URL, which is a secret.

    ``channel`` is ``mail``, ``desk`` or ``screen``. The link holds for an hour, ten minutes on a screen.
    """
    kind = Channel(channel)
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    now = application.now()
    session.add(
        PickupLinkRow(
            tenant=application.tenant,
            token_hash=application.hash_secret(_PURPOSE, token),
            type_id=type_id,
            number=number,
            channel=kind.value,
            created_at=now,
            expires_at=now + (SCREEN_LIFETIME if kind is Channel.SCREEN else LIFETIME),
            used_at=None,
        )
    )
    session.flush()
    return f"{application.settings(session).base_url}{PATH}{token}"


def is_open(session: Session, application: Application, token: str) -> bool:
    """Whether ``token`` can still be used; using it is `redeem_link`."""
    row = _row(session, application, token)
    return row is not None and row.used_at is None and row.expires_at > application.now()


def redeem_link(session: Session, application: Application, token: str) -> PassKey | None:
    """Use the link up, in a writing transaction: of two calls at the same time one gets the pass.

    None for a link that is unknown, used or too old; nothing tells these apart.
    """
    if _TOKEN.fullmatch(token) is None:
        return None
    now = application.now()
    mine = (
        PickupLinkRow.tenant == application.tenant,
        PickupLinkRow.token_hash == application.hash_secret(_PURPOSE, token),
    )
    used: CursorResult[Any] = session.connection().execute(
        update(PickupLinkRow)
        .where(*mine, PickupLinkRow.used_at.is_(None), PickupLinkRow.expires_at > now)
        .values(used_at=now)
    )
    return pass_of(session, application, token) if used.rowcount == 1 else None


def pass_of(session: Session, application: Application, token: str) -> PassKey | None:
    """The pass that the link is or was for, however old, as long as it is stored."""
    row = _row(session, application, token)
    return PassKey(row.type_id, row.number, Channel(row.channel)) if row is not None else None


def _row(session: Session, application: Application, token: str) -> PickupLinkRow | None:
    if _TOKEN.fullmatch(token) is None:
        return None
    return session.scalar(
        select(PickupLinkRow).where(
            PickupLinkRow.tenant == application.tenant,
            PickupLinkRow.token_hash == application.hash_secret(_PURPOSE, token),
        )
    )
