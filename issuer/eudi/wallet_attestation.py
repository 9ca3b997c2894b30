"""Wallet attestations: which wallet asks, vouched for by its provider, and that it holds the attested key.

OpenID4VCI 1.0, appendix E, with draft-ietf-oauth-attestation-based-client-auth. ``OAuth-Client-Attestation`` is
signed by the provider, whose certificate must lead to one of ``eudi.wallet_providers``;
``OAuth-Client-Attestation-PoP`` by the wallet, for this authorization server and once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.eudi import jws, once
from issuer.eudi.certificates import signer_of
from issuer.eudi.errors import Refused
from issuer.eudi.trust import wallet_providers
from issuer.web.reader import AnyRequest

METHOD: Final = "attest_jwt_client_auth"
_ATTESTATION: Final = "oauth-client-attestation"
_POP: Final = "oauth-client-attestation-pop"
_ATTESTATION_TYPE: Final = ("oauth-client-attestation+jwt",)
_POP_TYPE: Final = ("oauth-client-attestation-pop+jwt",)
_TOLERANCE: Final = timedelta(minutes=5)
_LONGEST_NAME: Final = 100


@dataclass(frozen=True, slots=True)
class Wallet:
    """Who asks. Without an attestation ``client_id`` is what it calls itself, or empty, and ``instance_jkt`` None.

    ``name`` is what its provider calls it, for the holder to read.
    """

    client_id: str
    name: str = ""
    instance_jkt: str | None = None
    jti: str = ""
    until: datetime | None = None

    @property
    def is_attested(self) -> bool:
        """Whether a provider that the city trusts vouches for it."""
        return self.instance_jkt is not None

    def use(self, session: Session, application: Application) -> None:
        """Use the proof up in a writing transaction. Raises Refused for one that was seen before."""
        if self.until is not None and not once.use(
            session, application, "pop", f"{self.instance_jkt}:{self.jti}", self.until
        ):
            raise invalid("ATTESTATION_REPLAYED")


def wallet_of(
    application: Application, request: AnyRequest, fields: Mapping[str, str], issuer: str
) -> Wallet:
    """Who sends the form ``fields`` to the authorization server ``issuer``.

    Raises Refused invalid_client: for attestations that do not hold, and for none where HAIP demands one.
    """
    attestations, proofs = request.headers.getall(_ATTESTATION, []), request.headers.getall(_POP, [])
    told = fields.get("client_id", "")
    if not attestations and not proofs:
        if application.config.eudi.haip:
            raise invalid("ATTESTATION_MISSING")
        return Wallet(told)
    if (len(attestations), len(proofs)) != (1, 1):
        raise invalid("ATTESTATION_INVALID")
    try:
        wallet = _attested(application, attestations[0], proofs[0], issuer)
    except jws.JwsError:
        raise invalid("ATTESTATION_INVALID") from None
    if told and told != wallet.client_id:
        raise invalid("ATTESTATION_OTHER_CLIENT")
    return wallet


def invalid(reason: str) -> Refused:
    """The refusal of a client (RFC 6749, 5.2)."""
    return Refused("invalid_client", reason, status=401)


def _attested(application: Application, attestation: str, proof: str, issuer: str) -> Wallet:
    now = application.now()
    told = jws.read(attestation, _ATTESTATION_TYPE)
    told.verify(signer_of(told.header.get("x5c"), wallet_providers(application), now))
    client_id, name = told.text("sub"), told.text("wallet_name")
    confirmed = told.claims.get("cnf")
    if client_id is None or not isinstance(confirmed, dict):
        raise jws.JwsError("claims")
    haip = application.config.eudi.haip
    check_times(told, now, needs_end=True, haip=haip)
    key = jws.public_key(confirmed.get("jwk"))
    pop = jws.read(proof, _POP_TYPE)
    pop.verify(key)
    # Older drafts of the specification have an issuer; where there is one, it is the client.
    if pop.text("iss") not in (None, client_id) or not _is_for(pop.claims.get("aud"), issuer):
        raise jws.JwsError("audience")
    jti, issued = pop.text("jti"), pop.seconds("iat")
    if jti is None or issued is None or not jws.is_recent(issued, now, _TOLERANCE, haip=haip):
        raise jws.JwsError("time")
    check_times(pop, now, needs_end=False, haip=haip)
    shown = (name or "")[:_LONGEST_NAME]
    return Wallet(
        client_id,
        shown if shown.isprintable() else "",
        jws.thumbprint(key),
        jti,
        now + 2 * _TOLERANCE,
    )


def check_times(token: jws.Jws, now: datetime, *, needs_end: bool, haip: bool) -> None:
    """Check ``exp``, ``nbf`` and ``iat`` of ``token`` with some tolerance for clocks. Raises JwsError."""
    at, tolerance = now.timestamp(), _TOLERANCE.total_seconds()
    end, begin, issued = token.seconds("exp"), token.seconds("nbf"), token.seconds("iat")
    if needs_end and end is None:
        raise jws.JwsError("exp")
    if end is not None and end + tolerance <= at:
        raise jws.JwsError("exp")
    # How long ago it began does not matter here.
    if any(
        one is not None and not jws.is_recent(max(one, at), now, _TOLERANCE, haip=haip)
        for one in (begin, issued)
    ):
        raise jws.JwsError("nbf")


def _is_for(audience: object, issuer: str) -> bool:
    return audience == issuer or (isinstance(audience, list) and issuer in audience)
