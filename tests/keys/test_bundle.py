from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from keys.bundle import TYP, Bundle, BundleKey, read_bundle, root_from_pem, root_to_pem, sign_bundle
from keys.errors import KeyRefusal
from keys.identity import spki_der
from keys.signed_list import read_list, sign_list
from tests.trust_factory import City, Key, each_bit_flipped


@pytest.fixture
def city(tmp_path: Path) -> City:
    return City(tmp_path, test=True)


def bundle_of(city: City, **changes: object) -> Bundle:
    return replace(read_bundle(city.write_bundle(), city.root.public)[0], **changes)  # type: ignore[arg-type]


def test_what_is_signed_is_read(city: City) -> None:
    city.name_key(Key(), "seal", (), state="revoked", test=False)
    bundle, signer = read_bundle(city.write_bundle(), city.root.public)
    assert (bundle.keys, bundle.types, bundle.test, bundle.issuer) == (
        city.keys,
        city.types,
        True,
        "Musterstadt",
    )
    assert spki_der(signer) == spki_der(city.root.public)


def test_another_root_is_refused_and_both_are_named(city: City) -> None:
    other = Key()
    with pytest.raises(KeyRefusal) as refused:
        read_bundle(city.write_bundle(), other.public)
    assert refused.value.code == "BUNDLE_ROOT"
    assert city.root.kid.hex() in str(refused.value)
    assert other.kid.hex() in str(refused.value)


def test_no_flipped_bit_is_accepted(city: City) -> None:
    accepted = 0
    for changed in each_bit_flipped(city.write_bundle()):
        try:
            read_bundle(changed, city.root.public)
        except KeyRefusal:
            continue
        accepted += 1
    assert accepted == 0


def test_a_successor_endorsed_by_the_pinned_root_is_followed(city: City) -> None:
    successor = Key()
    data = city.write_bundle(root=successor, previous_root=city.root)
    bundle, signer = read_bundle(data, city.root.public)
    assert spki_der(signer) == spki_der(successor.public)
    assert bundle.next_root == spki_der(successor.public)
    assert spki_der(read_bundle(data, successor.public)[1]) == spki_der(successor.public)


def test_endorsements_that_do_not_fit_are_refused(city: City) -> None:
    successor, stranger = Key(), Key()
    bundle = bundle_of(city, next_root=spki_der(successor.public))
    good = sign_bundle(successor, successor.kid, bundle, previous_root=(city.root, city.root.kid))
    endorsement = -65547
    claims = read_list(good, TYP, max_bytes=1 << 20).claims
    changed = {**claims, 1: "Fremdstadt"}
    later = replace(bundle.frame, sequence=bundle.frame.sequence + 1)
    others = [
        # endorsed by a stranger; another successor named than the signer; other content; another frame
        sign_bundle(successor, successor.kid, bundle, previous_root=(stranger, stranger.kid)),
        sign_bundle(stranger, stranger.kid, bundle, previous_root=(city.root, city.root.kid)),
        sign_bundle(stranger, successor.kid, bundle, previous_root=(city.root, city.root.kid)),
        sign_list(successor, successor.kid, TYP, bundle.frame, changed),
        sign_list(successor, successor.kid, TYP, later, dict(claims)),
        sign_list(successor, successor.kid, TYP, bundle.frame, {**claims, endorsement: b"none"}),
        sign_list(successor, successor.kid, TYP, bundle.frame, {**claims, endorsement: 1}),
        sign_bundle(stranger, city.root.kid, bundle),
    ]
    read_bundle(good, city.root.public)
    for data in others:
        with pytest.raises(KeyRefusal):
            read_bundle(data, city.root.public)


def test_an_endorsement_names_its_successor(city: City) -> None:
    successor = Key()
    bundle = bundle_of(city)
    assert bundle.next_root is None
    data = sign_bundle(successor, successor.kid, bundle, previous_root=(city.root, city.root.kid))
    with pytest.raises(KeyRefusal):
        read_bundle(data, city.root.public)


def _entry(key: Key, **changes: object) -> dict[object, object]:
    entry: dict[object, object] = {
        0: spki_der(key.public),
        1: "seal",
        2: [1],
        3: 0,
        4: 9,
        5: "active",
        6: False,
    }
    return entry | {int(name[1:]): value for name, value in changes.items()}


RSA = rsa.generate_private_key(65537, 2048).public_key()


@pytest.mark.parametrize(
    "changes",
    [{"_0": b""}, {"_0": "x"}, {"_0": spki_der(RSA)}, {"_1": "root"}, {"_1": 1}, {"_2": 1}, {"_2": ["1"]},
     {"_2": [True]}, {"_3": "0"}, {"_4": None}, {"_5": "ok"}, {"_6": 0}, {"_7": 1}],
    # Not the values themselves: one holds a fresh key, and every test process must give the same names.
    ids=lambda changes: next(iter(changes)) + type(next(iter(changes.values()))).__name__,
)  # fmt: skip
def test_signed_key_entries_of_another_form_are_refused(city: City, changes: dict[str, object]) -> None:
    bundle = bundle_of(city)
    claims: dict[int, object] = {
        1: "x",
        -65543: [_entry(Key())],
        -65544: {1: ["a", True, False]},
        -65545: False,
    }
    read_bundle(sign_list(city.root, city.root.kid, TYP, bundle.frame, claims), city.root.public)
    claims[-65543] = [_entry(Key(), **changes)]
    with pytest.raises(KeyRefusal):
        read_bundle(sign_list(city.root, city.root.kid, TYP, bundle.frame, claims), city.root.public)


@pytest.mark.parametrize(
    "claims",
    [{1: None}, {-65543: {}}, {-65544: []}, {-65544: {"1": ["a", True, False]}}, {-65544: {1: ["a", True]}},
     {-65544: {1: [1, True, False]}}, {-65544: {1: ["a", True, 0]}}, {-65545: 0}, {-65546: "x"}],
    ids=repr,
)  # fmt: skip
def test_signed_bundles_of_another_form_are_refused(city: City, claims: dict[int, object]) -> None:
    good: dict[int, object] = {1: "x", -65543: [], -65544: {}, -65545: False}
    frame = bundle_of(city).frame
    for key in good:
        short = {name: value for name, value in good.items() if name != key}
        with pytest.raises(KeyRefusal):
            read_bundle(sign_list(city.root, city.root.kid, TYP, frame, short), city.root.public)
    with pytest.raises(KeyRefusal):
        read_bundle(sign_list(city.root, city.root.kid, TYP, frame, good | claims), city.root.public)


def test_only_purposes_and_states_that_verifiers_know_are_written(city: City) -> None:
    key = Key()
    for purpose, state in (("root", "active"), ("seal", "lost")):
        named = BundleKey(key.public, purpose, frozenset(), 0, 1, state, False)
        with pytest.raises(ValueError, match="no place"):
            sign_bundle(city.root, city.root.kid, bundle_of(city, keys={key.kid: named}))


def test_root_file(city: City) -> None:
    assert spki_der(root_from_pem(root_to_pem(city.root.public))) == spki_der(city.root.public)


def _pem(key: object) -> bytes:
    public = key.public_bytes(  # type: ignore[attr-defined]
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert isinstance(public, bytes)
    return public


# A key on a curve that no library knows: the object identifier 1.3.132.0.99.
ODD_CURVE = b"-----BEGIN PUBLIC KEY-----\nMBgwEAYHKoZIzj0CAQYFK4EEAGMDBAAEAQI=\n-----END PUBLIC KEY-----\n"


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff" * 100, b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", b" " * 20_000, _pem(RSA),
     _pem(ec.generate_private_key(ec.SECP384R1()).public_key()), ODD_CURVE],
    ids=["empty", "binary", "no key", "long", "RSA", "P-384", "odd curve"],
)  # fmt: skip
def test_other_root_files_are_refused(data: bytes) -> None:
    with pytest.raises(KeyRefusal) as refused:
        root_from_pem(data)
    assert refused.value.code == "ROOT_FILE"
