"""ETag and If-Match: who changes a pass says which version of it they have seen (RFC 9110, 13.1.1).

The version is the update tag that wallets use: it grows with every change of the pass. It is compared in the writing
transaction of the change, so that of two changes of the same version one wins.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from litestar import Request
from litestar.params import HeaderParameter
from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer.models import RevisionRow
from issuer.models_delivery import WalletPassRow
from issuer.web.problems import problem

HEADER: Final = "If-Match"
_LONGEST: Final = 1000
_TAGS = re.compile(r'\s*(?:W/)?"[\x21\x23-\x7e]*"\s*(?:,\s*(?:W/)?"[\x21\x23-\x7e]*"\s*)*')

IfMatch = Annotated[
    str | None,
    HeaderParameter(
        name=HEADER,
        max_length=_LONGEST,
        description="The ETag of the version that shall be changed; `*` for any. Without it: 428.",
    ),
]


def etag(session: Session, tenant: str, type_id: str, number: str) -> str:
    """The ETag of a pass as it is now."""
    tag = session.scalar(
        select(WalletPassRow.update_tag)
        .join(
            RevisionRow,
            (RevisionRow.tenant == WalletPassRow.tenant) & (RevisionRow.serial == WalletPassRow.serial),
        )
        .where(
            RevisionRow.tenant == tenant,
            RevisionRow.type_id == type_id,
            RevisionRow.number == number,
            RevisionRow.superseded_at.is_(None),
        )
    )
    return f'"{tag or 0}"'


def required(request: Request[Any, Any, Any]) -> str:
    """The If-Match of a request. Raises the problems 428 IF_MATCH_MISSING, 400 IF_MATCH_FORM."""
    given = ",".join(request.headers.getall(HEADER, []))
    if not given:
        raise problem(428, "IF_MATCH_MISSING")
    if given.strip() != "*" and (len(given) > _LONGEST or _TAGS.fullmatch(given) is None):
        raise problem(400, "IF_MATCH_FORM")
    return given


def check(session: Session, tenant: str, type_id: str, number: str, wanted: str) -> None:
    """Let a change of the version ``wanted`` (from `required`) through.

    Raises the problem 412 VERSION_STALE; a weak tag never fits. A pass that does not exist has no version: what the
    change says of it counts.
    """
    if wanted.strip() == "*":
        return
    known = {one.strip() for one in wanted.split(",")}
    current = etag(session, tenant, type_id, number)
    if current not in known and current != '"0"':
        raise problem(412, "VERSION_STALE", headers={"ETag": current}, number=number)
