"""The status lists that were published last, as a restore takes them over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key
from sqlalchemy.orm import Session

from issuer import keyring
from issuer.errors import IssuerRefusal
from keys.errors import Refusal
from keys.lifecycle import Purpose
from passes.status_list import MAX_BYTES, StatusList, read_status_list, verified_status_list


def lists_in(session: Session, tenant: str, folder: Path) -> Iterator[tuple[int, StatusList]]:
    """Each status list in ``folder`` with its number, verified with the city's keys.

    Raises IssuerRefusal RESTORE_LISTS for one that is not this city's, or where there is none.
    """
    keys: dict[bytes, ec.EllipticCurvePublicKey] = {}
    for record in keyring.records(session, tenant, Purpose.LIST):
        key = load_der_public_key(record.spki)
        if isinstance(key, ec.EllipticCurvePublicKey):
            keys[record.kid] = key
    files = sorted((folder / "status").glob("*.cwt"))
    if not files:
        raise IssuerRefusal("RESTORE_LISTS", file=folder / "status")
    for file in files:
        try:
            with file.open("rb") as stream:
                unverified = read_status_list(stream.read(MAX_BYTES + 1))
            found = verified_status_list(unverified, keys[unverified.message.kid])
            number = int(file.stem)
        except (Refusal, KeyError, ValueError):
            raise IssuerRefusal("RESTORE_LISTS", file=file) from None
        if not unverified.frame.subject.endswith(f"/status/{number}"):
            raise IssuerRefusal("RESTORE_LISTS", file=file)
        yield number, found
