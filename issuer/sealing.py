"""Sealing with the register's keys: which key signs, and with what result."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.orm import Session

from issuer import keyring
from keys.lifecycle import Purpose
from keys.store import KeyManager
from passes.model import Attribute
from passes.pass_types import PassType
from passes.periods import Period
from passes.seal import Sealer
from passes.sealing import seal_content


class RegisterSealer:
    """Seals revisions of one pass type with the key that is active; ``issued_at`` is the run's time."""

    def __init__(self, pass_type: PassType, sealer: Sealer, issued_at: datetime) -> None:
        self._pass_type = pass_type
        self._sealer = sealer
        self._issued_at = issued_at

    def __call__(
        self, number: str, period: Period, attributes: Mapping[str, Attribute], place: tuple[int, int]
    ) -> tuple[str, str]:
        """The hex kid and the SP1 text for one revision at ``place`` (list number, index)."""
        content = seal_content(
            self._pass_type,
            number,
            period,
            attributes,
            issued_at=self._issued_at,
            status_list=place[0],
            status_index=place[1],
        )
        return self._sealer.kid.hex(), self._sealer.seal(content)


def sealer_for(
    session: Session, tenant: str, pass_type: PassType, manager: KeyManager, at: datetime
) -> RegisterSealer:
    """The sealer for ``pass_type`` at ``at``. Raises IssuerRefusal NO_SIGNING_KEY, KeyRefusal."""
    record = keyring.signing_record(session, tenant, Purpose.SEAL, at, pass_type.id)
    return RegisterSealer(pass_type, Sealer(manager.signer(record.uri), record.kid), at)
