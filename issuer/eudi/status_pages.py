"""Status lists of EUDI credentials under the addresses that stand in the credentials: for everybody, JWT or CWT.

A list is made when it is asked for: from the register as it is, if it has changed or grown old since this process
made it last. So there is no moment in which a revocation is stored and not published, and nothing to be queued.
"""

from __future__ import annotations

import gzip
import hashlib
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any, Final
from weakref import WeakKeyDictionary

from litestar import HttpMethod, Response, route
from litestar.params import PathParameter
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.eudi import addresses, status_lists
from issuer.eudi.errors import CORS, Refused
from issuer.eudi.identity import list_signer
from issuer.eudi.requests import application_of
from issuer.models_eudi import EudiStatusListRow
from issuer.web.reader import AnyRequest
from keys.eudi_certificates import EudiSigningIdentity
from passes.credential_status import (
    CWT_MEDIA_TYPE,
    JWT_MEDIA_TYPE,
    StatusListFrame,
    pack,
    sign_cwt,
    sign_jwt,
)
from passes.status_list import Status

# How long wallets and verifiers may go by a copy. A list that has not changed is signed anew by then: some verifiers
# count from its issue time.
TTL: Final = timedelta(minutes=15)
EXPIRY: Final = timedelta(days=1)
_HIGHEST: Final = 1_000_000_000
_LONGEST_HEADER: Final = 2000
_VALUES: Final = {status_lists.INVALID: Status.INVALID, status_lists.SUSPENDED: Status.SUSPENDED}


@dataclass(frozen=True, slots=True)
class _Token:
    """A signed list: of which version, by which key, when, and in both spellings."""

    version: int
    key: str
    signed_at: datetime
    data: bytes
    packed: bytes
    etag: str


@dataclass(slots=True)
class _Kept:
    tokens: dict[tuple[str, int, str], _Token] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


_kept: WeakKeyDictionary[Engine, _Kept] = WeakKeyDictionary()
_kept_lock: Final = threading.Lock()


@route(
    f"{addresses.STATUS}{{number:int}}",
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    sync_to_thread=True,
)
def serve_status_list(
    request: AnyRequest, number: Annotated[int, PathParameter(ge=0, le=_HIGHEST)]
) -> Response[bytes]:
    """A status list token (draft-ietf-oauth-status-list-21, 8)."""
    application = application_of(request)
    kind = _kind(request.headers.get("accept", ""))
    token = _token(application, number, kind)
    headers = {
        **CORS,
        "Cache-Control": f"public, max-age={int(TTL.total_seconds())}",
        "ETag": f'"{token.etag}"',
        "Vary": "Accept, Accept-Encoding",
    }
    if _has(request, headers["ETag"]):
        return Response(b"", status_code=304, headers=headers, media_type=kind)
    if _takes_gzip(request):
        return Response(token.packed, headers={**headers, "Content-Encoding": "gzip"}, media_type=kind)
    return Response(token.data, headers=headers, media_type=kind)


def status_list(application: Application, number: int) -> str:
    """The token of our own list ``number`` (JWT) as it is now. Raises Refused where there is none, KeyRefusal."""
    return _token(application, number, JWT_MEDIA_TYPE).data.decode("ascii")


HANDLERS: Final = [serve_status_list]


def _kind(accepted: str) -> str:
    """CWT for whoever asks for it and not for the JWT, which is what anybody else gets."""
    told = accepted[:_LONGEST_HEADER].lower()
    return CWT_MEDIA_TYPE if CWT_MEDIA_TYPE in told and JWT_MEDIA_TYPE not in told else JWT_MEDIA_TYPE


def _token(application: Application, number: int, kind: str) -> _Token:
    with _kept_lock:
        kept = _kept.setdefault(application.engine, _Kept())
    name = (application.tenant, number, kind)
    # One at a time: whoever comes while a list is made waits for it instead of making it again.
    with kept.lock, application.reading() as session:
        row = session.get(EudiStatusListRow, (application.tenant, number))
        if row is None:
            raise Refused("not_found", "STATUS_LIST", status=404, headers=CORS)
        now, identity = application.now(), list_signer(session, application, row.kid)
        found = kept.tokens.get(name)
        if found is not None and _is_current(found, row, identity.x5c[0], now):
            return found
        made = _sign(session, application, identity, row, kind, now)
        kept.tokens[name] = made
        return made


def _is_current(found: _Token, row: EudiStatusListRow, key: str, now: datetime) -> bool:
    is_same = (found.version, found.key) == (row.version, key)
    return is_same and found.signed_at <= now < found.signed_at + TTL


def _sign(
    session: Session,
    application: Application,
    identity: EudiSigningIdentity,
    row: EudiStatusListRow,
    kind: str,
    now: datetime,
) -> _Token:
    uri = addresses.address(application.settings(session), f"{addresses.STATUS}{row.number}")
    at = int(now.timestamp())
    expires = int(min(now + EXPIRY, identity.not_after).timestamp())
    frame = StatusListFrame(uri, at, int(TTL.total_seconds()), expires)
    entries = status_lists.entries(session, row)
    packed = pack([(index, _VALUES[value]) for index, value in entries], size=row.capacity)
    data: bytes
    data = (
        sign_cwt(identity, frame, packed)
        if kind == CWT_MEDIA_TYPE
        else sign_jwt(identity, frame, packed).encode()
    )
    digest = hashlib.sha256(data).hexdigest()
    return _Token(row.version, identity.x5c[0], now, data, gzip.compress(data, 6, mtime=0), digest)


def _has(request: AnyRequest, etag: str) -> bool:
    given = request.headers.get("if-none-match", "")[:_LONGEST_HEADER]
    tags = {one.strip().removeprefix("W/") for one in given.split(",")}
    return etag in tags or "*" in tags


def _takes_gzip(request: AnyRequest) -> bool:
    given: Any = request.headers.get("accept-encoding", "")[:_LONGEST_HEADER]
    told = [one.strip().lower().partition(";") for one in given.split(",")]
    return any(name.strip() == "gzip" and weight.replace(" ", "") != "q=0" for name, _, weight in told)
