"""Guardians of an import that are not there at its end: their own rows were refused in another piece of the file."""

from __future__ import annotations

from typing import Final

from sqlalchemy import exists, select, tuple_, update
from sqlalchemy.orm import Session, aliased

from issuer.importing.findings import Finding, Severity
from issuer.models import PassRow
from issuer.models_imports import ImportPassRow, ImportRunRow
from issuer.models_library import MemberRow
from issuer.status_allocation import chunks

_CHUNK: Final = 500
_FIELD: Final = "guardian_member_id"


def leave_out(session: Session, row: ImportRunRow) -> list[Finding]:
    """Take guardians that nobody is out of the members of an import: whoever gets such a number later is a stranger.

    Says so with a warning for each member's row.
    """
    guardian = aliased(PassRow)
    found = session.execute(
        select(ImportPassRow.row, MemberRow.type_id, MemberRow.number, MemberRow.guardian_number)
        .join(
            MemberRow,
            (MemberRow.tenant == ImportPassRow.tenant)
            & (MemberRow.type_id == ImportPassRow.type_id)
            & (MemberRow.number == ImportPassRow.number),
        )
        .where(
            ImportPassRow.tenant == row.tenant,
            ImportPassRow.run_id == row.id,
            MemberRow.guardian_number.is_not(None),
            ~exists().where(
                guardian.tenant == MemberRow.tenant,
                guardian.type_id == MemberRow.type_id,
                guardian.number == MemberRow.guardian_number,
            ),
        )
        .order_by(ImportPassRow.row)
    ).all()
    for chunk in chunks(found, _CHUNK):
        keys = [(one.type_id, one.number) for one in chunk]
        session.execute(
            update(MemberRow)
            .where(MemberRow.tenant == row.tenant, tuple_(MemberRow.type_id, MemberRow.number).in_(keys))
            .values(guardian_number=None)
        )
    return [
        Finding(one.row, None, _FIELD, Severity.WARN, "GUARDIAN_LEFT_OUT", {"guardian": one.guardian_number})
        for one in found
    ]
