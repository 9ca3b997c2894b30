"""Revoking passes with their entries in the log outside the database."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer.lifecycle import Actor, revoke
from issuer.models import RevisionRow
from issuer.revocation_log import RevocationLog, RevokedPass
from passes.status_list import Status


def revoke_logged(
    session: Session, tenant: str, log: RevocationLog, type_id: str, number: str, *, actor: Actor
) -> None:
    """End the right for good and have that on disk before the caller commits.

    To be called last in the writing transaction. Raises as `lifecycle.revoke`, and OSError where the disk does not
    take the entry: then nothing must be committed.
    """
    revoke(session, tenant, type_id, number, actor=actor)
    log.passes(tenant, revoked_places(session, tenant, type_id, number), actor.at)


def revoked_places(session: Session, tenant: str, type_id: str, number: str) -> list[RevokedPass]:
    """A revoked pass with each of its places in status lists that says so; without a place if it has none.

    Usually that is one; a pass that was renewed has the seal of the term before as well.
    """
    rows = session.execute(
        select(RevisionRow.list_number, RevisionRow.list_index)
        .where(
            RevisionRow.tenant == tenant,
            RevisionRow.type_id == type_id,
            RevisionRow.number == number,
            RevisionRow.status_value == int(Status.INVALID),
        )
        .order_by(RevisionRow.n)
    ).all()
    places = [(one, index) for one, index in rows if one is not None and index is not None]
    return [RevokedPass(type_id, number, place) for place in places] or [RevokedPass(type_id, number, None)]
