"""What the city has asked EUDI Wallets for, from the question to the answer: ten minutes at most.

Addresses, codes and the session that asked stand here as keyed hashes only (`issuer.application.hash_secret`), what
was shown encrypted with a key that follows from the service's secret.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from issuer.models import Base, of_tenant


class PresentationRow(Base):
    """One question to one wallet. Once ``state`` is neither waiting nor opened, no wallet can answer any more."""

    __tablename__ = "eudi_presentations"
    __table_args__ = (
        of_tenant(),
        CheckConstraint("state IN ('waiting', 'opened', 'holds', 'refused', 'taken')", name="state"),
        UniqueConstraint("tenant", "other_hash"),
        UniqueConstraint("tenant", "same_hash"),
        Index(None, "tenant", "ends_at"),
    )

    tenant: Mapped[str] = mapped_column(String(40), primary_key=True)
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    wish: Mapped[str] = mapped_column(String(24))
    # Whose browser has asked, and to which of our pages a wallet on the same device goes back.
    asker_kind: Mapped[str] = mapped_column(String(8))
    asker_hash: Mapped[str] = mapped_column(String(64))
    back: Mapped[str] = mapped_column(Text)
    # As whom we have asked: the whole client identifier (OpenID4VP 1.0, 5.9.3).
    client_id: Mapped[str] = mapped_column(String(60))
    # What nonces, states and decryption keys follow from, together with the service's secret; gone with the answer.
    seed: Mapped[str | None] = mapped_column(String(43))
    # Of the addresses of the request: for a wallet on another device, and for one on the device that asks.
    other_hash: Mapped[str] = mapped_column(String(64))
    same_hash: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(8))
    # Why an answer is refused, and the fault in it; never what was shown.
    code: Mapped[str | None] = mapped_column(String(60))
    fault: Mapped[str | None] = mapped_column(String(100))
    # What was shown, encrypted; gone when it is taken.
    answer: Mapped[bytes | None]
    # Of the code that a wallet on the same device brings back.
    response_hash: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]
