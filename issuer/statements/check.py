"""Whether a statement is genuine, without network: by the root, and by the bundle that names its key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import ec

from issuer.errors import IssuerRefusal
from issuer.statements.document import Statement, read
from keys.bundle import read_bundle


@dataclass(frozen=True, slots=True)
class Checked:
    """A genuine statement. ``issuer`` and ``test`` are what the bundle says.

    ``bundle_old``: the bundle is beyond its ttl at the time of the check, so it may not know of a revocation.
    """

    statement: Statement
    kid: bytes
    issuer: str
    test: bool
    bundle_old: bool


def check(data: bytes, bundle_data: bytes, root: ec.EllipticCurvePublicKey, at: datetime) -> Checked:
    """Check the statement in ``data``, a JWS or a PDF, at the aware time ``at``.

    Raises IssuerRefusal STATEMENT_MALFORMED, STATEMENT_KEY for a key that is not in the bundle, was revoked, or
    was not to sign when the statement was made, STATEMENT_SIGNATURE, STATEMENT_OTHER for one whose test mark is not
    the bundle's; KeyRefusal where the bundle is not the root's.
    """
    signed = read(data)
    bundle, _ = read_bundle(bundle_data, root)
    key = bundle.statement_keys.get(signed.kid)
    made = int(signed.statement.made_at.timestamp())
    if key is None or key.state == "revoked" or not key.not_before <= made < key.not_after:
        raise IssuerRefusal("STATEMENT_KEY", kid=signed.kid.hex())
    signed.verify(key.public_key)
    if signed.statement.test != bundle.test or key.test != bundle.test:
        raise IssuerRefusal("STATEMENT_OTHER")
    return Checked(
        signed.statement,
        signed.kid,
        bundle.issuer,
        bundle.test,
        bundle.frame.is_stale(int(at.timestamp())),
    )
