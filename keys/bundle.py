"""The trust bundle: which keys count, for what, from when, signed by the offline root.

A verifier needs nothing but the root's public key: the bundle names seal keys with the pass types they
may sign, list keys, keys that were revoked, and the next root. While the root changes, the bundle is
signed by the new root and carries an endorsement: the same content signed by the old one.

Keys of statements have a claim of their own, which devices that check seals skip: so none of them can sign a seal or
a list, and a device that knows nothing of statements reads the bundle as before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from keys import cose
from keys.errors import KeyRefusal
from keys.identity import kid_of, public_key_from_spki, spki_der
from keys.signed_list import ListFrame, UnverifiedList, read_list, sign_list

TYP = "application/stadtpass-bundle+cwt"
MAX_BYTES = 256 * 1024

_ISSUER, _KEYS, _TYPES, _TEST, _NEXT_ROOT, _ENDORSEMENT = 1, -65543, -65544, -65545, -65546, -65547
_STATEMENT_KEYS = -65548
_STATES = ("pending", "active", "retired", "revoked")
_PURPOSES = ("seal", "list")
_STATEMENT_PURPOSES = ("statement",)


@dataclass(frozen=True, slots=True)
class BundleKey:
    """A key as verifiers see it. Times are seconds since 1970; ``pass_types`` are seal codes."""

    public_key: ec.EllipticCurvePublicKey
    purpose: str
    pass_types: frozenset[int]
    not_before: int
    not_after: int
    state: str
    test: bool

    @property
    def kid(self) -> bytes:
        """The key's id."""
        return kid_of(self.public_key)


@dataclass(frozen=True, slots=True)
class BundleType:
    """A pass type as verifiers see it.

    ``paper_required``: the print has to lie in the car; ``paper_without_plate``: only that of a pass which
    names no plate, and so is in no plate list.
    """

    id: str
    paper_required: bool
    paper_without_plate: bool = False


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified or to-be-signed trust bundle."""

    frame: ListFrame
    issuer: str
    keys: Mapping[bytes, BundleKey]
    types: Mapping[int, BundleType]
    test: bool
    next_root: bytes | None = None
    statement_keys: Mapping[bytes, BundleKey] = field(default_factory=dict)


def sign_bundle(
    root: cose.Es256Signer,
    root_kid: bytes,
    bundle: Bundle,
    *,
    previous_root: tuple[cose.Es256Signer, bytes] | None = None,
) -> bytes:
    """The signed bundle. With ``previous_root`` (signer, kid) it is endorsed by that root as well.

    Raises ValueError for a purpose or state that verifiers do not know.
    """
    claims = _claims(bundle)
    if previous_root is not None:
        signer, kid = previous_root
        claims[_ENDORSEMENT] = sign_list(signer, kid, TYP, bundle.frame, _claims(bundle))
    return sign_list(root, root_kid, TYP, bundle.frame, claims)


def read_bundle(data: bytes, root: ec.EllipticCurvePublicKey) -> tuple[Bundle, ec.EllipticCurvePublicKey]:
    """Read and verify a bundle against the pinned ``root``.

    Returns the bundle and the root that signed it, which is another one than ``root`` when the pinned
    root has endorsed its successor. Raises KeyRefusal LIST_MALFORMED, LIST_SIGNATURE or BUNDLE_ROOT.
    """
    unverified = read_list(data, TYP, max_bytes=MAX_BYTES)
    try:
        bundle = _bundle(unverified)
        endorsement = unverified.claims.get(_ENDORSEMENT)
        if unverified.message.kid == kid_of(root):
            unverified.verify(root)
            return bundle, root
        if not isinstance(endorsement, bytes):
            raise KeyRefusal("BUNDLE_ROOT", signed_by=unverified.message.kid.hex(), pinned=kid_of(root).hex())
        successor = _successor(unverified, endorsement, root)
    except (TypeError, ValueError, KeyError) as fault:
        raise KeyRefusal("LIST_MALFORMED", name=TYP, fault=str(fault)) from None
    return bundle, successor


def _successor(
    unverified: UnverifiedList, endorsement: bytes, root: ec.EllipticCurvePublicKey
) -> ec.EllipticCurvePublicKey:
    endorsed = read_list(endorsement, TYP, max_bytes=MAX_BYTES)
    if endorsed.message.kid != kid_of(root):
        raise KeyRefusal("BUNDLE_ROOT", signed_by=endorsed.message.kid.hex(), pinned=kid_of(root).hex())
    endorsed.verify(root)
    own = {key: value for key, value in unverified.claims.items() if key != _ENDORSEMENT}
    named = endorsed.claims.get(_NEXT_ROOT)
    if endorsed.claims != own or endorsed.frame != unverified.frame or not isinstance(named, bytes):
        raise ValueError("the endorsement is for another bundle")
    successor = _p256(named)
    if unverified.message.kid != kid_of(successor):
        raise ValueError("not signed by the root that was named")
    unverified.verify(successor)
    return successor


def root_to_pem(root: ec.EllipticCurvePublicKey) -> bytes:
    """The root's public key as ``root.pub`` holds it (PEM, SubjectPublicKeyInfo)."""
    return root.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def root_from_pem(data: bytes) -> ec.EllipticCurvePublicKey:
    """Read ``root.pub``. Raises KeyRefusal ROOT_FILE for anything but a P-256 public key."""
    try:
        if len(data) > 10_000:
            raise ValueError("too long")
        key = serialization.load_pem_public_key(data)
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise ValueError("not a P-256 key")
    except (ValueError, UnsupportedAlgorithm) as fault:
        raise KeyRefusal("ROOT_FILE", fault=str(fault)) from None
    return key


def _claims(bundle: Bundle) -> dict[int, object]:
    claims: dict[int, object] = {
        _ISSUER: bundle.issuer,
        _KEYS: [_key_map(key) for key in sorted(bundle.keys.values(), key=lambda one: one.kid)],
        _TYPES: {
            code: [one.id, one.paper_required, one.paper_without_plate] for code, one in bundle.types.items()
        },
        _TEST: bundle.test,
    }
    if bundle.next_root is not None:
        claims[_NEXT_ROOT] = bundle.next_root
    if bundle.statement_keys:
        claims[_STATEMENT_KEYS] = [
            _key_map(key, _STATEMENT_PURPOSES)
            for key in sorted(bundle.statement_keys.values(), key=lambda one: one.kid)
        ]
    return claims


def _key_map(key: BundleKey, purposes: tuple[str, ...] = _PURPOSES) -> dict[object, object]:
    if key.purpose not in purposes or key.state not in _STATES:
        raise ValueError(f"no place in a bundle for {key.purpose}/{key.state}")
    return {
        0: spki_der(key.public_key),
        1: key.purpose,
        2: sorted(key.pass_types),
        3: key.not_before,
        4: key.not_after,
        5: key.state,
        6: key.test,
    }


def _bundle(unverified: UnverifiedList) -> Bundle:
    claims = unverified.claims
    issuer, test = claims[_ISSUER], claims[_TEST]
    entries, types = claims[_KEYS], claims[_TYPES]
    next_root = claims.get(_NEXT_ROOT)
    if not isinstance(issuer, str) or not isinstance(test, bool):
        raise ValueError("issuer or test mark")
    if not isinstance(entries, list) or not isinstance(types, dict):
        raise ValueError("keys or types")
    if next_root is not None and not isinstance(next_root, bytes):
        raise ValueError("next root")
    stating = claims.get(_STATEMENT_KEYS, [])
    if not isinstance(stating, list):
        raise ValueError("statement keys")
    keys = [_bundle_key(entry) for entry in entries]
    statement_keys = [_bundle_key(entry, _STATEMENT_PURPOSES) for entry in stating]
    return Bundle(
        frame=unverified.frame,
        issuer=issuer,
        keys={key.kid: key for key in keys},
        types=dict(_bundle_types(types)),
        test=test,
        next_root=next_root,
        statement_keys={key.kid: key for key in statement_keys},
    )


def _bundle_types(types: dict[cose.Value, cose.Value]) -> Iterable[tuple[int, BundleType]]:
    for code, entry in types.items():
        if type(code) is not int or not isinstance(entry, list) or len(entry) != 3:
            raise ValueError("pass type")
        name, paper_required, without_plate = entry
        if not isinstance(name, str) or not isinstance(paper_required, bool):
            raise ValueError("pass type")
        if not isinstance(without_plate, bool):
            raise ValueError("pass type")
        yield code, BundleType(name, paper_required, without_plate)


def _bundle_key(entry: cose.Value, purposes: tuple[str, ...] = _PURPOSES) -> BundleKey:
    if not isinstance(entry, dict) or set(entry) != set(range(7)):
        raise ValueError("key entry")
    spki, purpose, pass_types, not_before, not_after, state, test = (entry[index] for index in range(7))
    if not isinstance(spki, bytes) or purpose not in purposes or state not in _STATES:
        raise ValueError("key entry")
    if not isinstance(pass_types, list) or not isinstance(test, bool):
        raise ValueError("key entry")
    codes = [code for code in pass_types if type(code) is int]
    if len(codes) != len(pass_types) or type(not_before) is not int or type(not_after) is not int:
        raise ValueError("key entry")
    return BundleKey(_p256(spki), str(purpose), frozenset(codes), not_before, not_after, str(state), test)


def _p256(spki: bytes) -> ec.EllipticCurvePublicKey:
    key = public_key_from_spki(spki)
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise ValueError("not a P-256 key")
    return key
