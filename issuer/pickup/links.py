"""One-time links to a pass, as mails carry them and as the counter shows them.

A link holds for an hour; how one is used up is `issuer.one_time_links`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.models_access import PickupLinkRow
from issuer.one_time_links import OneTimeLinks, new_token

LIFETIME: Final = timedelta(minutes=60)
# A link on a screen is scanned at once; what stays on the screen must not stay good.
SCREEN_LIFETIME: Final = timedelta(minutes=10)
PATH: Final = "/p/l/"

_LINKS: Final = OneTimeLinks(PickupLinkRow, "pickup-link")


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
    # Whether it also leads to the cards of the holder's children (`issuer.pickup.family`).
    family: bool = False


def create_link(
    session: Session,
    application: Application,
    type_id: str,
    number: str,
    channel: str | Channel,
    *,
    family: bool = False,
) -> str:
    """A new link to the pass, in the caller's writing transaction; returns its whole URL, which is a secret.

    ``channel`` is ``mail``, ``desk`` or ``screen``. The link holds for an hour, ten minutes on a screen. One for a
    ``family`` is made by `issuer.pickup.family.family_link`, which sees to it that there is one.
    """
    kind = Channel(channel)
    token = new_token()
    now = application.now()
    session.add(
        PickupLinkRow(
            tenant=application.tenant,
            token_hash=_LINKS.hash_of(application, token),
            type_id=type_id,
            number=number,
            channel=kind.value,
            created_at=now,
            expires_at=now + (SCREEN_LIFETIME if kind is Channel.SCREEN else LIFETIME),
            used_at=None,
            family=family,
        )
    )
    session.flush()
    return f"{application.settings(session).base_url}{PATH}{token}"


def is_open(session: Session, application: Application, token: str) -> bool:
    """Whether ``token`` can still be used; using it is `redeem_link`."""
    return _LINKS.is_open(session, application, token)


def redeem_link(session: Session, application: Application, token: str) -> PassKey | None:
    """Use the link up, in a writing transaction: of two calls at the same time one gets the pass.

    None for a link that is unknown, used or too old; nothing tells these apart.
    """
    return _key(_LINKS.use(session, application, token))


def pass_of(session: Session, application: Application, token: str) -> PassKey | None:
    """The pass that the link is or was for, however old, as long as it is stored."""
    return _key(_LINKS.find(session, application, token))


def _key(row: PickupLinkRow | None) -> PassKey | None:
    return PassKey(row.type_id, row.number, Channel(row.channel), row.family) if row is not None else None
