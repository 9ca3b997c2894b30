"""Passes as the API shows them; the holder only to clients with the scope for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from litestar import Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer import attributes as stored_attributes
from issuer.api.auth import ApiClient, demand
from issuer.api.pass_schemas import Holder, PassAnswer, PassSummary, Period, Warning
from issuer.api.scopes import Scope
from issuer.api.versions import etag
from issuer.application import Application
from issuer.errors import RegisterRefusal
from issuer.models import HolderRow, PassRow, RevisionRow
from issuer.residence.certificates import names_person
from passes.card_numbers import CardNumber
from passes.errors import PassRefusal
from passes.model import Attribute
from passes.pass_types import PassType
from passes.zones import Zone


def sees_holders(client: ApiClient) -> bool:
    """Whether the client's credentials allow it to read names and addresses."""
    return Scope.HOLDERS_READ in client.scopes


def pass_type_of(application: Application, type_id: str) -> PassType:
    """The pass type ``type_id``; as an answer, a type that is not there and a pass that is not are the same."""
    try:
        return application.pass_types[type_id]
    except PassRefusal:
        raise RegisterRefusal("NUMBER_UNKNOWN", number=type_id[:40]) from None


def may_act(client: ApiClient, pass_type: PassType) -> PassType:
    """``pass_type``, if the client's credentials allow it to do anything with passes of the type.

    Who issues certificates of residence decides also who gets hold of one: raises the problem 403 SCOPE_MISSING for
    them without ``residence:write``.
    """
    if names_person(pass_type):
        demand(client, Scope.RESIDENCE_WRITE)
    return pass_type


def pass_answer(
    application: Application,
    session: Session,
    client: ApiClient,
    key: tuple[str, str],
    warnings: Sequence[Warning] = (),
) -> tuple[PassAnswer, dict[str, str]]:
    """The pass ``key`` (type id, number) and the headers that say its version.

    Raises RegisterRefusal NUMBER_UNKNOWN.
    """
    type_id, number = key
    pass_type = pass_type_of(application, type_id)
    found = rows_of(application, session, [key], with_holder=sees_holders(client))
    if key not in found:
        raise RegisterRefusal("NUMBER_UNKNOWN", number=number[:40])
    row, revision, holder = found[key]
    summary = msgspec.structs.asdict(
        _summary(pass_type, row, revision, holder, sees_holder=sees_holders(client))
    )
    answer = PassAnswer(
        **summary, created_at=row.created_at, updated_at=row.updated_at, warnings=list(warnings)
    )
    return answer, {"ETag": etag(session, application.tenant, type_id, number)}


def summaries(
    application: Application, session: Session, client: ApiClient, keys: Sequence[tuple[str, str]]
) -> list[PassSummary]:
    """The passes ``keys`` (type id, number), in that order; those of types that are gone are left out."""
    found = rows_of(application, session, keys, with_holder=sees_holders(client))
    types = {one.id: one for one in application.pass_types}
    sees_holder = sees_holders(client)
    return [
        _summary(types[key[0]], *found[key], sees_holder=sees_holder)
        for key in keys
        if key in found and key[0] in types
    ]


def respond(body: Any, headers: Mapping[str, str] | None = None, status: int = 200) -> Response[bytes]:
    """An answer in JSON that nobody keeps."""
    return Response(
        msgspec.json.encode(body),
        status_code=status,
        media_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def rows_of(
    application: Application, session: Session, keys: Iterable[tuple[str, str]], *, with_holder: bool
) -> dict[tuple[str, str], tuple[PassRow, RevisionRow, HolderRow | None]]:
    """The rows of passes with their current revisions; without ``with_holder`` the holders are not even read."""
    by_type: dict[str, list[str]] = {}
    for type_id, number in keys:
        by_type.setdefault(type_id, []).append(number)
    tenant = application.tenant
    found: dict[tuple[str, str], tuple[PassRow, RevisionRow, HolderRow | None]] = {}
    holders: dict[str, HolderRow] = {}
    for type_id, numbers in by_type.items():
        rows = session.execute(
            select(PassRow, RevisionRow)
            .join(
                RevisionRow,
                (RevisionRow.tenant == PassRow.tenant)
                & (RevisionRow.type_id == PassRow.type_id)
                & (RevisionRow.number == PassRow.number),
            )
            .where(
                PassRow.tenant == tenant,
                PassRow.type_id == type_id,
                PassRow.number.in_(numbers),
                RevisionRow.superseded_at.is_(None),
            )
        )
        found.update({(type_id, row.number): (row, revision, None) for row, revision in rows})
    if with_holder:
        refs = sorted({row.holder_ref for row, _, _ in found.values()})
        people = session.scalars(select(HolderRow).where(HolderRow.tenant == tenant, HolderRow.ref.in_(refs)))
        holders = {one.ref: one for one in people}
    return {key: (row, revision, holders.get(row.holder_ref)) for key, (row, revision, _) in found.items()}


def _summary(
    pass_type: PassType,
    row: PassRow,
    revision: RevisionRow,
    holder: HolderRow | None,
    *,
    sees_holder: bool,
) -> PassSummary:
    hidden = names_person(pass_type) and not sees_holder
    attributes = {} if hidden else stored_attributes.decode(pass_type, revision.attributes)
    return PassSummary(
        type=row.type_id,
        number=row.number,
        status=row.status,  # type: ignore[arg-type]
        period=Period(row.period_first, row.period_last),
        attributes={name: _shown(value) for name, value in attributes.items()},
        revision=revision.n,
        issued_at=revision.issued_at,
        replaces=row.replaces,
        holder=None
        if holder is None
        else Holder(**{one.name: getattr(holder, one.name) for one in msgspec.structs.fields(Holder)}),
    )


def _shown(value: Attribute) -> Any:
    match value:
        case Zone():
            return {"code": value.code, "name": value.name}
        case CardNumber():
            symbology = str(value.symbology) if value.symbology else None
            return {"number": value.text, "scheme": value.scheme, "symbology": symbology}
        case tuple():
            return [
                {"plate": one.plate.canonical, "season": one.season.text if one.season else None}
                for one in value
            ]
        case _:
            return value
