"""Questions as they stand in the register, and what was shown, sealed: both for ten minutes."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.models_presentations import PresentationRow
from issuer.one_time_links import is_token
from issuer.presentations.handles import Way, token_hash
from issuer.presentations.wishes import Credential
from passes.eudi_spec import CredentialFormat
from verifier.credentials.outcome import StatusVerdict

# A code on a screen is scanned at once, and whoever asks waits for the answer.
LIFETIME: Final = timedelta(minutes=10)
_NONCE: Final = 12
_SEALED: Final = "eudi-presentation-answer"


class State(StrEnum):
    """How far a question is."""

    WAITING = "waiting"
    OPENED = "opened"
    HOLDS = "holds"
    REFUSED = "refused"
    TAKEN = "taken"
    ENDED = "ended"


OPEN: Final = (State.WAITING, State.OPENED)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a wallet has shown and we believe: ``values`` by our names, days as ISO dates.

    ``issuer`` is the organisation of the certificate that it was signed with; ``status`` what is known of its
    revocation; ``until`` when the credential ends and ``at`` when it was shown, both aware.
    """

    credential: Credential
    format: CredentialFormat
    values: Mapping[str, str] = field(repr=False)
    issuer: str
    status: StatusVerdict
    until: datetime
    at: datetime


def find(session: Session, application: Application, asked_id: str) -> PresentationRow | None:
    """The question with this id as it is now."""
    return session.get(PresentationRow, (application.tenant, asked_id), populate_existing=True)


def find_by_token(
    session: Session, application: Application, token: str
) -> tuple[PresentationRow, Way] | None:
    """The question behind an address, and which of its two addresses that is; None for one that has ended."""
    if not is_token(token):
        return None
    told = token_hash(application, token)
    row = session.scalar(
        select(PresentationRow)
        .where(
            PresentationRow.tenant == application.tenant,
            or_(PresentationRow.other_hash == told, PresentationRow.same_hash == told),
        )
        .execution_options(populate_existing=True)
    )
    if row is None or row.ends_at <= application.now():
        return None
    return row, Way.OTHER_DEVICE if row.other_hash == told else Way.SAME_DEVICE


def forget_ended(application: Application) -> None:
    """Delete the questions that are over, with their answers. Nobody else has to wait where there are none."""
    over = (PresentationRow.tenant == application.tenant, PresentationRow.ends_at <= application.now())
    with application.reading() as session:
        if session.scalar(select(PresentationRow.id).where(*over).limit(1)) is None:
            return
    with application.writing() as session:
        session.execute(delete(PresentationRow).where(*over))


def sealed(application: Application, asked_id: str, shown: Shown) -> bytes:
    """What is stored of ``shown``."""
    nonce = secrets.token_bytes(_NONCE)
    return nonce + _cipher(application, asked_id).encrypt(
        nonce, msgspec.json.encode(asdict(shown)), asked_id.encode()
    )


def unsealed(application: Application, asked_id: str, data: bytes) -> Shown:
    """What `sealed` has stored."""
    told = _cipher(application, asked_id).decrypt(data[:_NONCE], data[_NONCE:], asked_id.encode())
    return msgspec.json.decode(told, type=Shown)


def _cipher(application: Application, asked_id: str) -> AESGCM:
    return AESGCM(application.derived(_SEALED, asked_id))
