"""Certificates of wallet providers: the chain in an ``x5c`` header (RFC 7515, 4.1.6) up to a configured anchor.

The checks are those of RFC 5280, 6.1, that the profiles of wallet providers need: signatures, names, periods, basic
constraints, key usage and path length. Whether a certificate was revoked is not asked: that would be a request to the
outside for every credential. A provider that lost its key is taken out of ``eudi.wallet_providers``.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding
from joserfc.jwk import ECKey

from issuer.errors import IssuerRefusal
from issuer.eudi import jws

_LONGEST_CHAIN: Final = 4
_LONGEST_CERTIFICATE: Final = 8 * 1024
# What this code knows how to obey; another critical extension is refused (RFC 5280, 4.2).
_KNOWN: Final = frozenset(
    {
        x509.BasicConstraints.oid,
        x509.KeyUsage.oid,
        x509.ExtendedKeyUsage.oid,
        x509.SubjectAlternativeName.oid,
        x509.CertificatePolicies.oid,
    }
)
_Kind = TypeVar("_Kind", bound=x509.ExtensionType)
_DER: Final = Encoding.DER
Anchors = tuple[x509.Certificate, ...]


def read_anchors(folder: Path, files: Sequence[str]) -> Anchors:
    """The certificates in the PEM ``files``, relative ones inside ``folder``. Raises IssuerRefusal FILE_FAULT."""
    found: list[x509.Certificate] = []
    for name in files:
        try:
            found += x509.load_pem_x509_certificates((folder / name).read_bytes())
        except (OSError, ValueError) as fault:
            raise IssuerRefusal("FILE_FAULT", file=folder / name, fault=type(fault).__name__) from fault
    return tuple(found)


def signer_of(x5c: object, anchors: Anchors, at: datetime) -> ECKey:
    """The key of the first certificate in ``x5c``, if the chain leads to one of ``anchors`` at the aware time ``at``.

    The anchor itself must not be in the chain, and the first certificate must not be one (HAIP 1.0, 4.4.1 and 4.5.1).
    Raises JwsError for everything else.
    """
    chain = _chain(x5c)
    known = {one.public_bytes(_DER) for one in anchors}
    if any(one.public_bytes(_DER) in known for one in chain) or chain[0].issuer == chain[0].subject:
        raise jws.JwsError("anchor in x5c")
    for depth, one in enumerate(chain):
        _check(one, at, depth)
    for below, above in pairwise(chain):
        _check_issued(below, above)
    last = chain[-1]
    for anchor in anchors:
        if anchor.subject != last.issuer:
            continue
        try:
            _check(anchor, at, len(chain))
            _check_issued(last, anchor)
        except jws.JwsError:
            continue
        return jws.from_point(chain[0].public_key())
    raise jws.JwsError("no anchor")


def leaf_key(x5c: object, at: datetime) -> ECKey:
    """The key of the first certificate in ``x5c``, whoever has signed it. Raises JwsError."""
    leaf = _chain(x5c)[0]
    if not leaf.not_valid_before_utc <= at < leaf.not_valid_after_utc:
        raise jws.JwsError("period")
    return jws.from_point(leaf.public_key())


def _chain(x5c: object) -> list[x509.Certificate]:
    if not isinstance(x5c, list) or not 0 < len(x5c) <= _LONGEST_CHAIN:
        raise jws.JwsError("x5c")
    chain = []
    for one in x5c:
        if not isinstance(one, str) or len(one) > _LONGEST_CERTIFICATE:
            raise jws.JwsError("x5c")
        try:
            chain.append(x509.load_der_x509_certificate(base64.b64decode(one, validate=True)))
        except ValueError as fault:
            raise jws.JwsError("x5c") from fault
    return chain


def _check(one: x509.Certificate, at: datetime, depth: int) -> None:
    """``depth`` is 0 for the certificate that signs tokens, and the number of those below it for an authority."""
    if not one.not_valid_before_utc <= at < one.not_valid_after_utc:
        raise jws.JwsError("period")
    try:
        extensions = one.extensions
        if any(each.critical and each.oid not in _KNOWN for each in extensions):
            raise jws.JwsError("critical extension")
        usage = _of(extensions, x509.KeyUsage)
        constraints = _of(extensions, x509.BasicConstraints)
    except (ValueError, x509.DuplicateExtension) as fault:
        raise jws.JwsError("extensions") from fault
    if depth == 0:
        if usage is not None and not usage.digital_signature:
            raise jws.JwsError("key usage")
        return
    if constraints is None or not constraints.ca or (usage is not None and not usage.key_cert_sign):
        raise jws.JwsError("no authority")
    if constraints.path_length is not None and constraints.path_length < depth - 1:
        raise jws.JwsError("path length")


def _of(extensions: x509.Extensions, kind: type[_Kind]) -> _Kind | None:
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _check_issued(below: x509.Certificate, above: x509.Certificate) -> None:
    try:
        below.verify_directly_issued_by(above)
    except (InvalidSignature, ValueError, TypeError) as fault:
        raise jws.JwsError("chain") from fault
