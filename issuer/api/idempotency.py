"""Idempotency-Key: a request that is repeated gets the answer it had, and nothing happens twice.

The header is that of draft-ietf-httpapi-idempotency-key-header. The answer is stored in the transaction of the
effect, so that no crash leaves one without the other. A refused request stores nothing and may be tried again.

While a request is under way, an equal key is answered with 409 by the same process; another process waits for the
register's one writer and then finds the stored answer.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec
from litestar import Response
from sqlalchemy import delete
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from issuer.api.auth import ApiRequest, application_of
from issuer.models_access import IdempotencyRow
from issuer.web.problems import problem

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"
LONGEST_KEY: Final = 80

# A structured-field string ("...") as the draft has it, or the same bare, as most clients send it.
_QUOTED = re.compile(r'"([\x21\x23-\x5b\x5d-\x7e]{1,80})"')
_BARE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,80}")
_SECRET_MARK = "not-kept"  # noqa: S105 - a mark in place of an answer
_JSON = "application/json"

_under_way: set[tuple[str, str, str]] = set()
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a POST answers: ``body`` becomes JSON (None: no body). ``secret``: it must not be kept for repetition."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    secret: bool = False


def answer_once(request: ApiRequest, data: Any, effect: Callable[[Session], Answer]) -> Response[bytes]:
    """Run ``effect`` in one writing transaction, at most once for each Idempotency-Key of the client.

    ``data`` is the body as the handler got it (anything that msgspec encodes, or bytes). Without the header the
    effect just runs.

    Raises what ``effect`` raises, and problems: 400 IDEMPOTENCY_KEY_FORM; 422 IDEMPOTENCY_KEY_REUSED for another
    request with the same key; 409 IDEMPOTENCY_CONFLICT while an equal request is under way, IDEMPOTENCY_SECRET for
    the repetition of one whose answer held a secret.
    """
    application = application_of(request)
    key = _key(request)
    if key is None:
        with application.writing() as session:
            answer = effect(session)
        return _response(answer.status, _encoded(answer), answer.headers)
    digest = _digest(request, data)
    place = (application.tenant, request.user.id, key)
    with _alone(place), application.writing() as session:
        row = session.get(IdempotencyRow, place)
        if row is not None:
            return _replayed(row, digest)
        answer = effect(session)
        body = _encoded(answer)
        session.add(
            IdempotencyRow(
                tenant=application.tenant,
                client_id=request.user.id,
                key=key,
                request_hash=digest,
                status=answer.status,
                headers={_SECRET_MARK: "1"} if answer.secret else dict(answer.headers),
                body=b"" if answer.secret else body,
                created_at=application.now(),
            )
        )
    return _response(answer.status, body, answer.headers)


def prune(session: Session, tenant: str, before: datetime) -> int:
    """Delete the answers stored before the aware time ``before``; returns how many."""
    result = session.execute(
        delete(IdempotencyRow).where(IdempotencyRow.tenant == tenant, IdempotencyRow.created_at < before)
    )
    return result.rowcount if isinstance(result, CursorResult) else 0


@contextmanager
def _alone(place: tuple[str, str, str]) -> Iterator[None]:
    with _lock:
        if place in _under_way:
            raise problem(409, "IDEMPOTENCY_CONFLICT", headers={"Retry-After": "1"})
        _under_way.add(place)
    try:
        yield
    finally:
        with _lock:
            _under_way.discard(place)


def _key(request: ApiRequest) -> str | None:
    given = request.headers.getall(HEADER, [])
    if not given:
        return None
    found = _QUOTED.fullmatch(given[0]) or _BARE.fullmatch(given[0])
    if len(given) > 1 or found is None:
        raise problem(400, "IDEMPOTENCY_KEY_FORM", limit=LONGEST_KEY)
    return found[1] if found.re is _QUOTED else found[0]


def _digest(request: ApiRequest, data: Any) -> str:
    # Keyed, because the body may be guessed: a plate, a number.
    key = application_of(request).derived("idempotency")
    body = data if isinstance(data, bytes) else msgspec.json.encode(data, order="deterministic")
    head = msgspec.json.encode((request.method, request.url.path, request.url.query))
    return hmac.new(key, len(head).to_bytes(4, "big") + head + body, hashlib.sha256).hexdigest()


def _replayed(row: IdempotencyRow, digest: str) -> Response[bytes]:
    if row.request_hash != digest:
        raise problem(422, "IDEMPOTENCY_KEY_REUSED")
    if _SECRET_MARK in row.headers:
        raise problem(409, "IDEMPOTENCY_SECRET")
    return _response(row.status, row.body, {**row.headers, REPLAYED: "true"})


def _encoded(answer: Answer) -> bytes:
    return b"" if answer.body is None else msgspec.json.encode(answer.body)


def _response(status: int, body: bytes, headers: Mapping[str, str]) -> Response[bytes]:
    return Response(
        body, status_code=status, media_type=_JSON, headers={"Cache-Control": "no-store", **headers}
    )
