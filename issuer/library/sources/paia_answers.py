"""What answers of PAIA 1.4 mean: a log-in, a patron, fees, and errors. Pure.

Source: Patrons Account Information API, version 1.4.0, https://gbv.github.io/paia/ (PAIA core: patron, fees; PAIA
auth: login; request errors). PAIA's answer about a patron does not name their card: only the address asked does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, time
from typing import Annotated, Final, TypeVar

import msgspec

from issuer.bounded_http import Answer
from issuer.library.sources.patron import (
    LONGEST_NAME,
    Patron,
    PatronStanding,
    PatronUnknown,
    SourceMisbehaves,
    SourceUnavailable,
    is_plain,
    one_line,
    settled,
)

_STANDINGS: Final = (
    PatronStanding.ACTIVE,
    PatronStanding.INACTIVE,
    PatronStanding.EXPIRED,
    PatronStanding.OWES_FEES,
    PatronStanding.EXPIRED_OWES_FEES,
)
_DATETIME: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:T([0-9]{2}:[0-9]{2}:[0-9]{2})(?:Z|[+-][0-9]{2}:[0-9]{2}))?"
)
_MONEY: Final = re.compile(r"(-?)([0-9]{1,9})\.([0-9]{2}) ([A-Z]{3})")
# RFC 6750, 2.1: what may stand behind "Bearer".
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_LONGEST_TOKEN: Final = 4096
_MOST_TYPES: Final = 50
# Within which a body can hold what we look at; everything else in it is the library's affair.
_Text = Annotated[str, msgspec.Meta(max_length=4000)]


class _Patron(msgspec.Struct):
    name: _Text
    status: Annotated[int, msgspec.Meta(ge=0)] | None = None
    expires: _Text | None = None
    type: list[_Text] = []
    note: _Text = ""


class _Fees(msgspec.Struct):
    amount: _Text | None = None


class _Login(msgspec.Struct):
    access_token: _Text
    token_type: _Text
    patron: _Text
    scope: _Text
    expires_in: Annotated[float, msgspec.Meta(ge=0)] | None = None


class _Error(msgspec.Struct):
    error: _Text


@dataclass(frozen=True, slots=True)
class Login:
    """What a log-in gave: the token, for whom, what it may read, and how many seconds it lasts (None: not said)."""

    token: str
    patron: str
    scopes: frozenset[str]
    seconds: float | None


def patron_of(answer: Answer, card_number: str, today: date) -> Patron:
    """The patron that was asked for as ``card_number``, as of ``today``.

    Account states that PAIA does not define are inactive. Without any state it stays open whether the account may be
    used, so the answer is of no use. Raises as `error_of`, and SourceMisbehaves LIBRARY_FIELD, LIBRARY_NAMELESS.
    """
    told = _body(answer, _Patron)
    if told.status is None:
        raise SourceMisbehaves("LIBRARY_FIELD", field="status")
    name = told.name.strip()
    if not name:
        raise SourceMisbehaves("LIBRARY_NAMELESS")
    if not is_plain(name, LONGEST_NAME):
        raise SourceMisbehaves("LIBRARY_FIELD", field="name")
    if len(told.type) > _MOST_TYPES:
        raise SourceMisbehaves("LIBRARY_FIELD", field="type")
    standing = _STANDINGS[told.status] if told.status < len(_STANDINGS) else PatronStanding.INACTIVE
    expires = _day(told.expires)
    return Patron(
        card_number=card_number,
        name=name,
        standing=settled(standing, expires, today),
        expires=expires,
        category=one_line(" ".join(told.type)),
        message=one_line(told.note),
    )


def fees_of(answer: Answer) -> int | None:
    """What is owed, in cents; None where the answer gives no sum. Of the list of fees nothing is looked at.

    Raises as `patron_of`.
    """
    told = _body(answer, _Fees).amount
    if told is None:
        return None
    found = _MONEY.fullmatch(told)
    if found is None or found[4] != "EUR":
        raise SourceMisbehaves("LIBRARY_FIELD", field="amount")
    return 0 if found[1] else int(found[2]) * 100 + int(found[3])


def login_of(answer: Answer) -> Login:
    """The token that was given. Raises as `error_of`, and SourceMisbehaves LIBRARY_FIELD."""
    if answer.status in (400, 401, 403):
        raise SourceUnavailable("LIBRARY_LOGIN_REFUSED")
    told = _body(answer, _Login)
    token = told.access_token
    if len(token) > _LONGEST_TOKEN or not _TOKEN.fullmatch(token):
        raise SourceMisbehaves("LIBRARY_FIELD", field="access_token")
    if told.token_type.lower() != "bearer":
        raise SourceMisbehaves("LIBRARY_FIELD", field="token_type")
    scopes = frozenset(told.scope.split(" "))
    if "read_patron" not in scopes:
        raise SourceUnavailable("LIBRARY_FORBIDDEN")
    return Login(token, told.patron, scopes, told.expires_in)


def is_denied(answer: Answer) -> bool:
    """Whether a log-in was refused as PAIA auth refuses it, with ``access_denied``."""
    told = _decoded(answer, _Error)
    return answer.status == 403 and told is not None and told.error == "access_denied"


def is_token(text: str) -> bool:
    """Whether ``text`` can be sent as a bearer token."""
    return _TOKEN.fullmatch(text) is not None


def error_of(answer: Answer) -> Exception:
    """What an answer with another status than 200 means."""
    status = answer.status
    if status == 404:
        # Also whatever web server stands there says 404; only PAIA's own error speaks of a patron.
        known = _decoded(answer, _Error)
        if known is not None and known.error == "not_found":
            return PatronUnknown("LIBRARY_PATRON_UNKNOWN")
        return SourceMisbehaves("LIBRARY_NOT_PAIA")
    if 300 <= status < 400:
        return SourceMisbehaves("LIBRARY_REDIRECT")
    if status == 401:
        return SourceUnavailable("LIBRARY_TOKEN_REFUSED")
    if status == 403:
        return SourceUnavailable("LIBRARY_FORBIDDEN")
    if status == 429:
        return SourceUnavailable("LIBRARY_BUSY")
    if status >= 500 and status != 501:
        return SourceUnavailable("LIBRARY_BROKEN")
    return SourceMisbehaves("LIBRARY_NOT_PAIA")


_Kind = TypeVar("_Kind", _Patron, _Fees, _Login, _Error)


def _body(answer: Answer, kind: type[_Kind]) -> _Kind:
    if answer.status != 200:
        raise error_of(answer)
    if answer.content_type.partition(";")[0].strip().lower() != "application/json":
        raise SourceMisbehaves("LIBRARY_NOT_PAIA")
    found = _decoded(answer, kind)
    if found is None:
        raise SourceMisbehaves("LIBRARY_ANSWER")
    return found


def _decoded(answer: Answer, kind: type[_Kind]) -> _Kind | None:
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _day(text: str | None) -> date | None:
    """The day as it is written: with a time, libraries mean that day's beginning or end in one zone or another."""
    if text is None:
        return None
    found = _DATETIME.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        if found[2]:
            time.fromisoformat(found[2])
        return date.fromisoformat(found[1])
    except ValueError:
        raise SourceMisbehaves("LIBRARY_FIELD", field="expires") from None
