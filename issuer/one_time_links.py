"""Links that work once: 128 random bits in the address, their keyed hash in a table.

Looking at a link costs nothing, as often as anybody looks: mail scanners and browsers that fetch ahead open every
link they see. Only the POST behind a page's button uses it up.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import CursorResult, update
from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.models_access import PickupLinkRow
from issuer.models_cases import CaseLinkRow
from issuer.models_staff import StaffLinkRow

_TOKEN_BYTES: Final = 16
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{22}")

LinkRow = TypeVar("LinkRow", PickupLinkRow, CaseLinkRow, StaffLinkRow)


def new_token() -> str:
    """A token of 22 characters for a link or a visit; it is a secret."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def is_token(text: str | None) -> bool:
    """Whether ``text`` looks like what `new_token` gives."""
    return text is not None and _TOKEN.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class OneTimeLinks(Generic[LinkRow]):
    """The links of one kind: their table, and the purpose by which its hashes are keyed."""

    table: type[LinkRow]
    purpose: str

    def hash_of(self, application: Application, token: str) -> str:
        """What is stored of ``token``."""
        return application.hash_secret(self.purpose, token)

    def find(self, session: Session, application: Application, token: str) -> LinkRow | None:
        """The row of a link, however old or used; None where there is none."""
        if not is_token(token):
            return None
        key = (application.tenant, self.hash_of(application, token))
        return session.get(self.table, key, populate_existing=True)

    def is_open(self, session: Session, application: Application, token: str) -> bool:
        """Whether the link can still be used; using it is `use`."""
        return self.opened(session, application, token) is not None

    def opened(self, session: Session, application: Application, token: str) -> LinkRow | None:
        """The row of a link that can still be used."""
        row = self.find(session, application, token)
        if row is None or row.used_at is not None or row.expires_at <= application.now():
            return None
        return row

    def use(self, session: Session, application: Application, token: str) -> LinkRow | None:
        """Use the link up, in a writing transaction: of two calls at the same time one gets its row.

        None for a link that is unknown, used or too old; nothing tells these apart.
        """
        if not is_token(token):
            return None
        now = application.now()
        used: CursorResult[Any] = session.connection().execute(
            update(self.table)
            .where(
                self.table.tenant == application.tenant,
                self.table.token_hash == self.hash_of(application, token),
                self.table.used_at.is_(None),
                self.table.expires_at > now,
            )
            .values(used_at=now)
        )
        return self.find(session, application, token) if used.rowcount == 1 else None
