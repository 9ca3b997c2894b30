"""Key proofs: that a wallet holds the keys that its credentials are to be bound to (OpenID4VCI 1.0, appendices D, F).

Two kinds: ``jwt``, signed by the key itself, and ``attestation``, where the wallet's provider vouches for many keys
at once. A ``jwt`` proof may bring an attestation too; then each attested key gets a credential.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from joserfc.jwk import ECKey
from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.eudi import jws, once
from issuer.eudi.certificates import leaf_key, signer_of
from issuer.eudi.errors import Refused
from issuer.eudi.trust import wallet_providers
from issuer.eudi.wallet_attestation import check_times

JWT: Final = "jwt"
ATTESTATION: Final = "attestation"
_PROOF_TYPE: Final = ("openid4vci-proof+jwt",)
# The second is what wallets built on drafts before the final text still send.
_ATTESTATION_TYPE: Final = ("key-attestation+jwt", "keyattestation+jwt")
_KEY_HEADERS: Final = ("jwk", "kid", "x5c")
_MOST_ATTESTED: Final = 200
_TOLERANCE: Final = timedelta(minutes=10)


@dataclass(slots=True)
class Proven:
    """Keys that hold, in the order of the wallet, and the nonces in their proofs, which have yet to be used up."""

    keys: dict[str, ECKey] = field(default_factory=dict)
    nonces: dict[str, datetime] = field(default_factory=dict)

    def use(self, session: Session, application: Application) -> None:
        """Use the nonces up in a writing transaction. Raises Refused invalid_nonce for one that was used before."""
        for nonce, until in self.nonces.items():
            if not once.use(session, application, once.CREDENTIAL, nonce, until):
                raise Refused("invalid_nonce", "NONCE_USED")

    def add(self, key: ECKey) -> None:
        """Note ``key``. Raises Refused if it was there before: no two credentials share a key (ARF ISSU_35)."""
        name = jws.thumbprint(key)
        if name in self.keys:
            raise _invalid("PROOF_KEY_TWICE")
        self.keys[name] = key


def prove(
    application: Application, proofs: object, *, issuer: str, client_id: str, anonymous: bool
) -> Proven:
    """The keys in the ``proofs`` of a credential request to ``issuer`` by the wallet ``client_id``.

    ``anonymous``: the wallet has not said who it is, so its proofs must not either. No more keys than
    ``eudi.batch_size`` come back: of attested keys the first ones. Raises Refused invalid_proof, invalid_nonce.
    """
    if not isinstance(proofs, dict) or len(proofs) != 1:
        raise _invalid("PROOF_MISSING")
    [(kind, given)] = proofs.items()
    config = application.config.eudi
    if kind not in (JWT, ATTESTATION) or not isinstance(given, list) or not given:
        raise _invalid("PROOF_MISSING")
    proven = Proven()
    if kind == ATTESTATION:
        if len(given) != 1:
            raise _invalid("ATTESTATION_ONE")
        for key in _attested(application, given[0], proven, needs_end=False):
            proven.add(key)
    elif len(given) > config.batch_size:
        raise _invalid("PROOF_TOO_MANY")
    else:
        _prove_all(application, given, proven, issuer, None if anonymous else client_id)
    proven.keys = dict(list(proven.keys.items())[: config.batch_size])
    return proven


def _prove_all(
    application: Application, given: list[Any], proven: Proven, issuer: str, client_id: str | None
) -> None:
    attested: dict[str, list[ECKey]] = {}
    for one in given:
        try:
            proof = jws.read(one, _PROOF_TYPE)
        except jws.JwsError:
            raise _invalid("PROOF_FORM") from None
        keys = None
        if (attestation := proof.header.get("key_attestation")) is not None and _is_judged(application):
            text = attestation if isinstance(attestation, str) else ""
            # Wallets may put the same attestation into each of their proofs.
            if text not in attested:
                attested[text] = _attested(application, text, proven, needs_end=True)
            keys = attested[text]
        elif application.config.eudi.needs_key_attestations:
            raise _invalid("ATTESTATION_NEEDED")
        key = _check(application, proof, proven, issuer, client_id, keys)
        if keys is None:
            proven.add(key)
    for keys in attested.values():
        for key in keys:
            proven.add(key)


def _check(
    application: Application,
    proof: jws.Jws,
    proven: Proven,
    issuer: str,
    client_id: str | None,
    attested: list[ECKey] | None,
) -> ECKey:
    now = application.now()
    try:
        key = _key(proof.header, attested, now)
        proof.verify(key)
        nonce, told, issued = proof.text("nonce"), proof.text("iss"), proof.seconds("iat")
    except jws.JwsError:
        raise _invalid("PROOF_SIGNATURE") from None
    if proof.claims.get("aud") != issuer:
        raise _invalid("PROOF_AUDIENCE")
    haip = application.config.eudi.haip
    if issued is None or not jws.is_recent(issued, now, _TOLERANCE, haip=haip):
        raise _invalid("PROOF_TIME")
    if told is not None and told != client_id:
        raise _invalid("PROOF_ISSUER")
    _take_nonce(application, nonce, proven)
    return key


def _key(header: Mapping[str, Any], attested: list[ECKey] | None, now: datetime) -> ECKey:
    """The key that the proof names; it must be one of ``attested`` where an attestation came along."""
    named = [name for name in _KEY_HEADERS if name in header]
    if len(named) != 1:
        raise jws.JwsError("key")
    [name] = named
    if name == "kid":
        # A place among the attested keys, as in the specification's example.
        place = header[name]
        if attested is None or not isinstance(place, str) or not place.isascii() or not place.isdigit():
            raise jws.JwsError("kid")
        if len(place) > 3 or int(place) >= len(attested):
            raise jws.JwsError("kid")
        return attested[int(place)]
    key = jws.public_key(header[name]) if name == "jwk" else leaf_key(header[name], now)
    if attested is not None and jws.thumbprint(key) not in {jws.thumbprint(one) for one in attested}:
        raise jws.JwsError("not attested")
    return key


def _attested(application: Application, text: object, proven: Proven, *, needs_end: bool) -> list[ECKey]:
    """The keys that the attestation ``text`` vouches for. Raises Refused."""
    config, now = application.config.eudi, application.now()
    try:
        told = jws.read(text, _ATTESTATION_TYPE)
        told.verify(signer_of(told.header.get("x5c"), wallet_providers(application), now))
        check_times(told, now, needs_end=needs_end, haip=config.haip)
        listed = told.claims.get("attested_keys")
        if told.seconds("iat") is None or not isinstance(listed, list):
            raise jws.JwsError("claims")
        if not 0 < len(listed) <= _MOST_ATTESTED:
            raise jws.JwsError("attested_keys")
        keys = [jws.public_key(one) for one in listed]
        nonce = told.text("nonce")
    except jws.JwsError:
        raise _invalid("ATTESTATION_KEYS") from None
    storage = told.claims.get("key_storage")
    if config.key_storage and not (
        isinstance(storage, list) and any(one in config.key_storage for one in storage)
    ):
        raise _invalid("ATTESTATION_STORAGE")
    _take_nonce(application, nonce, proven)
    return keys


def _is_judged(application: Application) -> bool:
    """Whether attestations mean anything here: without a trusted provider anybody could write one."""
    return bool(application.config.eudi.wallet_providers)


def _take_nonce(application: Application, nonce: str | None, proven: Proven) -> None:
    if nonce is None:
        raise _invalid("NONCE_MISSING")
    until = once.nonce_until(application, once.CREDENTIAL, nonce)
    if until is None:
        raise Refused("invalid_nonce", "NONCE_INVALID")
    proven.nonces[nonce] = until


def _invalid(reason: str) -> Refused:
    return Refused("invalid_proof", reason)
