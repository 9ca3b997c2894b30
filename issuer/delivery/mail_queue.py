"""Putting a mail on the queue: a row that says what about, and the task that sends it, in one transaction."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from issuer.background.queue import enqueue
from issuer.models_delivery import MailRow

TASK: Final = "mail"


def add(
    session: Session,
    tenant: str,
    kind: str,
    about: tuple[str, str],
    params: Mapping[str, Any],
    at: datetime,
) -> None:
    """Queue a mail in the caller's writing transaction.

    ``about`` is a pass type with the number of a pass or case, or two empty texts. ``params`` are stored: nothing
    personal.
    """
    identity = secrets.token_hex(16)
    session.add(
        MailRow(
            tenant=tenant,
            id=identity,
            kind=kind,
            type_id=about[0],
            number=about[1],
            params=dict(params),
            created_at=at,
            attempts=0,
        )
    )
    session.flush()
    enqueue(session, tenant, TASK, {"id": identity})
