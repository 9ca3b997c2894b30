"""Feedback about barriers: anybody may leave it, the office reads it, and the night's run deletes it."""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Sequence
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.errors import IssuerRefusal
from issuer.models_feedback import AccessibilityFeedbackRow
from issuer.web.rates import Rate, take

LONGEST_MESSAGE: Final = 2000
LONGEST_ADDRESS: Final = 254
# From one client address; and from all together, so that no flood fills the table.
OF_CLIENT: Final = Rate("feedback-client", seconds=600, burst=3)
OF_ALL: Final = Rate("feedback-all", seconds=60, burst=200)
_ADDRESS: Final = re.compile(
    r"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z][A-Za-z0-9-]{1,62}"
)
# Control, format (which turns or hides text), private, surrogate and unassigned characters.
_HIDDEN: Final = ("Cc", "Cf", "Co", "Cs", "Cn")


def leave_feedback(
    session: Session, application: Application, message: str, reply_to: str, network: str
) -> None:
    """In a writing transaction: store a message of somebody at ``network``.

    Raises IssuerRefusal BARRIER_MESSAGE for a message that is empty or too long, BARRIER_ADDRESS for an address that
    is none, BARRIER_TOO_OFTEN.
    """
    text, address = clean(message), reply_to.strip()
    if not 0 < len(text) <= LONGEST_MESSAGE:
        raise IssuerRefusal("BARRIER_MESSAGE", limit=LONGEST_MESSAGE)
    if address and (len(address) > LONGEST_ADDRESS or _ADDRESS.fullmatch(address) is None):
        raise IssuerRefusal("BARRIER_ADDRESS")
    for rate, who in ((OF_CLIENT, network), (OF_ALL, "all")):
        if not take(session, application, rate, who):
            raise IssuerRefusal("BARRIER_TOO_OFTEN")
    session.add(
        AccessibilityFeedbackRow(
            tenant=application.tenant,
            id=secrets.token_urlsafe(16),
            message=text,
            reply_to=address,
            created_at=application.now(),
            done_at=None,
        )
    )
    session.flush()


def clean(text: str) -> str:
    """A message as it is stored: NFC, lines kept, and nothing in it that cannot be seen or turns what follows."""
    lines = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")).split("\n")
    shown = (
        "".join(one for one in line if unicodedata.category(one) not in _HIDDEN).rstrip() for line in lines
    )
    return "\n".join(shown).strip()


def feedback(session: Session, tenant: str, most: int) -> Sequence[AccessibilityFeedbackRow]:
    """What is kept, open ones first, then the newest; at most ``most``."""
    return session.scalars(
        select(AccessibilityFeedbackRow)
        .where(AccessibilityFeedbackRow.tenant == tenant)
        .order_by(
            AccessibilityFeedbackRow.done_at.is_not(None),
            AccessibilityFeedbackRow.created_at.desc(),
            AccessibilityFeedbackRow.id,
        )
        .limit(most)
    ).all()


def count_open(session: Session, tenant: str) -> int:
    """How many nobody has taken care of yet."""
    query = select(func.count()).where(
        AccessibilityFeedbackRow.tenant == tenant, AccessibilityFeedbackRow.done_at.is_(None)
    )
    return session.scalar(query) or 0


def mark_done(session: Session, application: Application, identity: str) -> None:
    """In a writing transaction: somebody has taken care of it; one that is gone by now is no fault."""
    row = session.get(AccessibilityFeedbackRow, (application.tenant, identity))
    if row is not None and row.done_at is None:
        row.done_at = application.now()
        session.flush()
