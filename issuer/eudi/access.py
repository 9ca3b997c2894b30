"""Access tokens at the credential, deferred and notification endpoints (RFC 6750; RFC 9449, 7)."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.eudi import addresses, dpop, sessions
from issuer.eudi.errors import unauthorized
from issuer.models_eudi import EudiTokenRow, IssuanceSessionRow
from issuer.web.reader import AnyRequest

_LONGEST: Final = 100


@dataclass(frozen=True, slots=True)
class Access:
    """A token that held when it was looked at, and the proof that came with it. `use` decides."""

    token: str = field(repr=False)
    proof: dpop.Proof | None

    @property
    def nonce(self) -> bool:
        """Whether the wallet uses nonces for its proofs."""
        return self.proof is not None

    def look(self, session: Session, application: Application) -> IssuanceSessionRow:
        """The session of the token as it is now; nothing is used up. Raises Refused."""
        found = _session(session, application, self.token, self.proof)
        if found is None:
            raise unauthorized("invalid_token", "TOKEN", dpop=self.nonce)
        return found[1]

    def use(self, session: Session, application: Application) -> IssuanceSessionRow:
        """The session of the token, in a writing transaction; the proof is used up. Raises Refused."""
        if self.proof is not None:
            self.proof.use(session, application)
        found = _session(session, application, self.token, self.proof)
        if found is None or not sessions.is_open(session, application, found[1]):
            raise unauthorized("invalid_token", "TOKEN", dpop=self.nonce)
        token, row = found
        sessions.note_use(row, token)
        return row


def access_of(application: Application, request: AnyRequest, path: str) -> Access:
    """The token of a request to ``path``. Raises Refused with 401; nothing is used up yet."""
    given = request.headers.getall("authorization", [])
    if not given:
        raise unauthorized("", "TOKEN_MISSING", dpop=bool(request.headers.get(dpop.HEADER)))
    scheme, _, token = given[0].partition(" ")
    is_dpop = scheme.lower() == "dpop"
    token = token.strip()
    if len(given) > 1 or not (is_dpop or scheme.lower() == "bearer"):
        raise unauthorized("invalid_token", "TOKEN", dpop=False)
    if not 0 < len(token) <= _LONGEST or not token.isascii():
        raise unauthorized("invalid_token", "TOKEN", dpop=is_dpop)
    with application.reading() as session:
        settings = application.settings(session)
    proof = None
    if is_dpop:
        proof = dpop.check(application, request, addresses.address(settings, path), token)
        if proof is None:
            raise unauthorized("invalid_dpop_proof", "DPOP_MISSING", dpop=True)
    with application.reading() as session:
        if _session(session, application, token, proof) is None:
            raise unauthorized("invalid_token", "TOKEN", dpop=is_dpop)
    return Access(token, proof)


def with_nonce(application: Application, access: Access) -> dict[str, str]:
    """The header with the next nonce, for wallets that use DPoP."""
    return dpop.fresh_nonce(application) if access.nonce else {}


def _session(
    session: Session, application: Application, token: str, proof: dpop.Proof | None
) -> tuple[EudiTokenRow, IssuanceSessionRow] | None:
    """``token`` and its session, if it is used as it was given: bound to the key of ``proof``, or to none."""
    found = sessions.find_token(session, application, token, sessions.ACCESS)
    row = sessions.session_of(session, application, found.session_id) if found is not None else None
    if found is None or row is None or row.ended_at is not None:
        return None
    bound, shown = row.dpop_jkt or "", proof.jkt if proof is not None else ""
    return (found, row) if hmac.compare_digest(bound, shown) else None
