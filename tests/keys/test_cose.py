import cbor2
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import example, given
from hypothesis import strategies as st

from keys import cose_generic, es256
from keys.cose import CborError, CoseError, decode, encode, read_sign1, sign1
from tests.trust_factory import Key, each_bit_flipped

LIMIT = 1 << 16
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 64), (1 << 64) - 1)
    | st.binary(max_size=40)
    | st.text(max_size=40)
)
KEYS = st.integers(-(1 << 64), (1 << 64) - 1) | st.text(max_size=9) | st.binary(max_size=9)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=25,
)
# Length-first (RFC 7049) and bytewise (RFC 8949) order agree on keys of one encoded length.
ALIKE = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.integers(0, 23), inner, max_size=5),
    max_leaves=25,
)
BOUNDARIES = [0, 23, 24, 0xFF, 0x100, 0xFFFF, 0x10000, 0xFFFFFFFF, 0x100000000, (1 << 64) - 1]


def _depth(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(_depth, inner), default=0)


@given(VALUES)
def test_what_is_written_is_read_back(value: object) -> None:
    if _depth(value) > 8:
        with pytest.raises(CborError):
            encode(value)
        return
    data = encode(value)
    assert decode(data, max_bytes=LIMIT) == value
    assert cbor2.loads(data) == value
    assert cose_generic.decode(data) == value


@given(ALIKE)
def test_writes_the_same_bytes_as_another_canonical_encoder(value: object) -> None:
    if _depth(value) <= 8:
        assert encode(value) == cbor2.dumps(value, canonical=True)


@pytest.mark.parametrize("number", [*BOUNDARIES, *(-1 - number for number in BOUNDARIES)])
def test_integers_at_the_edges_of_their_sizes(number: int) -> None:
    assert encode(number) == cbor2.dumps(number)
    assert decode(encode(number), max_bytes=9) == number


def test_map_keys_are_ordered_by_their_bytes() -> None:
    # RFC 8949 4.2.1, its own example without the keys that no map here may have.
    assert encode({"aa": 0, -1: 0, "z": 0, 100: 0, 10: 0}).hex() == "a50a001864002000617a0062616100"


@given(st.binary(max_size=60))
@example(bytes.fromhex("1800"))
@example(bytes.fromhex("a202010100"))
@example(bytes.fromhex("5f4101ff"))
@example(bytes.fromhex("f97e00"))
def test_no_bytes_are_read_that_would_be_written_differently(data: bytes) -> None:
    try:
        value = decode(data, max_bytes=LIMIT)
    except CborError:
        return
    assert encode(value) == data


@given(VALUES, st.data())
def test_no_mutation_is_read_that_would_be_written_differently(value: object, draw: st.DataObject) -> None:
    if _depth(value) > 8:
        return
    data = bytearray(encode(value))
    for _ in range(draw.draw(st.integers(1, 3))):
        place = draw.draw(st.integers(0, len(data)))
        piece = draw.draw(st.binary(max_size=3))
        data[place : place + draw.draw(st.integers(0, 3))] = piece
    test_no_bytes_are_read_that_would_be_written_differently.hypothesis.inner_test(bytes(data))


@pytest.mark.parametrize(
    "data",
    [
        "", "1800", "1817", "190018", "1900ff", "1a0000ffff", "1b00000000ffffffff", "3800", "5800", "7800", "9800",
        "b800", "1c", "1f", "5f4101ff", "7f6161ff", "9f01ff", "bf0101ff", "c000", "d20180", "f0", "f7", "f818",
        "f97e00", "fa00000000", "fb0000000000000000", "ff", "0000", "6180", "62c328", "63eda080", "a202010100",
        "a201000100", "a1f500", "a1f600", "a18000", "a1a000", "8201", "a101", "42ff", "9bffffffffffffffff",
        "bbffffffffffffffff", "5bffffffffffffffff", "a2616100610000",
    ],
)  # fmt: skip
def test_refuses_every_other_spelling(data: str) -> None:
    with pytest.raises(CborError):
        decode(bytes.fromhex(data), max_bytes=LIMIT)


@pytest.mark.parametrize(
    "value",
    [1.5, float("nan"), 1 << 64, -(1 << 64) - 1, {None: 1}, {True: 1}, {(1,): 1}, {1.0: 1}, "\ud800", {1, 2},
     object(), bytearray(b"x"), [[[[[[[[[1]]]]]]]]]],
)  # fmt: skip
def test_refuses_to_write_what_it_would_not_read(value: object) -> None:
    with pytest.raises(CborError):
        encode(value)


def test_input_is_bounded_in_size_and_depth() -> None:
    assert decode(b"\x81" * 8 + b"\0", max_bytes=9) == [[[[[[[[0]]]]]]]]
    with pytest.raises(CborError):
        decode(b"\x81" * 9 + b"\0", max_bytes=100)
    with pytest.raises(CborError):
        decode(b"\x81" * 50_000 + b"\0", max_bytes=LIMIT)
    with pytest.raises(CborError):
        decode(encode(bytes(100)), max_bytes=101)
    assert decode(encode(bytes(100)), max_bytes=102) == bytes(100)


KEY = Key()


def token(typ: str | None = None) -> bytes:
    return sign1(KEY, KEY.kid, b"payload", typ=typ)


@pytest.mark.parametrize("typ", [None, "application/x+cwt"])
def test_signs_what_it_and_a_foreign_reader_verify(typ: str | None) -> None:
    read = read_sign1(token(typ), max_bytes=LIMIT)
    assert (read.kid, read.typ, read.payload) == (KEY.kid, typ, b"payload")
    read.verify(KEY.public)
    assert cose_generic.verify_foreign(token(typ), KEY.public) == b"payload"
    with pytest.raises(InvalidSignature):
        read.verify(Key().public)


def test_no_flipped_bit_is_accepted() -> None:
    accepted = 0
    for changed in each_bit_flipped(token()):
        try:
            read_sign1(changed, max_bytes=LIMIT).verify(KEY.public)
        except (CborError, CoseError, InvalidSignature):
            continue
        accepted += 1
    assert accepted == 0


def high_s(data: bytes) -> bytes:
    s = int.from_bytes(data[-32:], "big")
    return data[:-32] + (es256.ORDER - s).to_bytes(32, "big")


def test_the_twin_with_the_high_s_is_refused_though_the_mathematics_holds() -> None:
    twin = high_s(token())
    assert cose_generic.verify_foreign(twin, KEY.public) == b"payload"
    with pytest.raises(CoseError):
        read_sign1(twin, max_bytes=LIMIT)
    signature = read_sign1(token(), max_bytes=LIMIT).signature
    with pytest.raises(InvalidSignature):
        es256.verify(KEY.public, high_s(signature), b"")


def _message(protected: object, unprotected: object, payload: object, signature: object) -> bytes:
    return b"\xd2" + encode([protected, unprotected, payload, signature])


def test_refuses_every_other_form_of_the_message() -> None:
    good = token()
    protected, _, payload, signature = cbor2.loads(good[1:])
    assert _message(protected, {}, payload, signature) == good
    header = {1: -7, 4: KEY.kid}
    others = [
        good[1:],
        b"\xd1" + good[1:],
        b"\xd8\x12" + good[1:],
        b"\xd8\x3d" + good,
        good + b"\0",
        b"\xd2" + encode([protected, {}, payload]),
        b"\xd2" + encode([protected, {}, payload, signature, 0]),
        b"\xd2" + encode({1: 2}),
        _message(protected, [], payload, signature),
        _message(protected, {4: KEY.kid}, payload, signature),
        _message(protected, {1: -7}, payload, signature),
        _message(protected, {99: 1}, payload, signature),
        _message(encode({1: -7}), {4: KEY.kid}, payload, signature),
        _message(encode({4: KEY.kid}), {1: -7}, payload, signature),
        _message(encode(header | {5: 1}), {}, payload, signature),
        _message(encode(header | {16: None}), {}, payload, signature),
        _message(encode(header | {16: 61}), {}, payload, signature),
        _message(encode(header | {1: -35}), {}, payload, signature),
        _message(encode(header | {1: "ES256"}), {}, payload, signature),
        _message(encode(header | {4: KEY.kid[:7]}), {}, payload, signature),
        _message(encode(header | {4: KEY.kid.hex()[:8]}), {}, payload, signature),
        _message(b"", {}, payload, signature),
        _message(header, {}, payload, signature),
        _message(protected, {}, None, signature),
        _message(protected, {}, "payload", signature),
        _message(protected, {}, payload, signature + b"\0"),
        _message(protected, {}, payload, signature[:63]),
        _message(protected, {}, payload, bytes(64)),
        _message(protected, {}, payload, es256.ORDER.to_bytes(32, "big") + signature[32:]),
        _message(protected, {}, payload, bytes(32) + signature[32:]),
    ]
    for other in others:
        with pytest.raises((CborError, CoseError)):
            read_sign1(other, max_bytes=LIMIT)


def test_raw_signatures_come_from_der_with_the_low_s() -> None:
    for _ in range(8):
        der = KEY.private.sign(b"data", ec.ECDSA(hashes.SHA256()))
        raw = es256.raw_from_der(der)
        twin = high_s(raw)
        r, s = (int.from_bytes(part, "big") for part in (twin[:32], twin[32:]))
        assert es256.raw_from_der(encode_dss_signature(r, s)) == raw
        es256.verify(KEY.public, raw, b"data")
    with pytest.raises(ValueError, match=r".*"):
        es256.raw_from_der(b"no der")
    assert not es256.is_low_s(b"\1" * 63)


def test_protected_headers_of_two_keys_stay_apart() -> None:
    other = Key()
    assert read_sign1(sign1(other, other.kid, b"x"), max_bytes=LIMIT).kid == other.kid
    assert read_sign1(sign1(KEY, KEY.kid, b"x"), max_bytes=LIMIT).kid == KEY.kid
