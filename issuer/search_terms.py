"""By which plates and zones passes are found: a table, since no index covers JSON attributes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from sqlalchemy import delete, insert
from sqlalchemy.orm import Session

from issuer.models import PassTermRow
from passes.model import Attribute
from passes.zones import Zone

PLATE: Final = "plate"
ZONE: Final = "zone"


def add_terms(
    session: Session, tenant: str, passes: Iterable[tuple[str, str, Mapping[str, Attribute]]]
) -> None:
    """Note the terms of new ``passes``, each as type id, number and attributes."""
    rows = [
        {"tenant": tenant, "type_id": type_id, "number": number, "kind": kind, "value": value}
        for type_id, number, attributes in passes
        for kind, value in sorted(_terms(attributes))
    ]
    if rows:
        session.execute(insert(PassTermRow), rows)


def replace_terms(
    session: Session, tenant: str, type_id: str, number: str, attributes: Mapping[str, Attribute]
) -> None:
    """Note the terms of a pass that says something else from now on."""
    session.execute(
        delete(PassTermRow).where(
            PassTermRow.tenant == tenant, PassTermRow.type_id == type_id, PassTermRow.number == number
        )
    )
    add_terms(session, tenant, [(type_id, number, attributes)])


def _terms(attributes: Mapping[str, Attribute]) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for value in attributes.values():
        if isinstance(value, tuple):
            found.update((PLATE, one.plate.key) for one in value)
        elif isinstance(value, Zone):
            found.add((ZONE, value.code))
    return found
