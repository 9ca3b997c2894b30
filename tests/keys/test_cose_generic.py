import base64
import json
import zlib
from pathlib import Path

import cbor2
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
from hypothesis import given
from hypothesis import strategies as st

from keys import cose_generic
from keys.cose import CborError, CoseError
from keys.cose_generic import UnsupportedAlgorithm, claims_of, decrypt_foreign, inflate, verify_foreign
from keys.errors import Refusal
from passes import base45
from passes.seal import MalformedSeal, NotASeal, read_seal
from passes.status_list import read_status_list
from tests.trust_factory import NOW, City
from verifier.seal_check import check_seal
from verifier.verdict import Colour, Reason

VECTORS = Path(__file__).parent.parent / "data" / "vectors"
COSE = json.loads((VECTORS / "cose_sign1.json").read_text())
LISTS = json.loads((VECTORS / "tsl_vectors.json").read_text())
CLAIM169 = json.loads((VECTORS / "claim169_vectors.json").read_text())

CURVES = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
# Vectors this reader does not verify, by name; everything else must come out as its authors say.
UNSUPPORTED = {"hashsig/hsssig-sig-01.json"}


def _octets(key: dict[str, str], name: str) -> bytes:
    if f"{name}_hex" in key:
        return bytes.fromhex(key[f"{name}_hex"])
    return base64.urlsafe_b64decode(key[name] + "=" * (-len(key[name]) % 4))


def _public(key: dict[str, str]) -> cose_generic.PublicKey:
    if key.get("crv") == "Ed25519":
        return ed25519.Ed25519PublicKey.from_public_bytes(_octets(key, "x"))
    if key.get("crv") == "Ed448":
        return ed448.Ed448PublicKey.from_public_bytes(_octets(key, "x"))
    if key["kty"] == "HSS-LMS":  # no such key exists here; the reader must refuse before it looks at one
        return ed25519.Ed25519PrivateKey.generate().public_key()
    x, y = (int.from_bytes(_octets(key, name), "big") for name in ("x", "y"))
    return ec.EllipticCurvePublicNumbers(x, y, CURVES[key["crv"]]).public_key()


@pytest.mark.parametrize("vector", COSE, ids=lambda one: one["file"])
def test_cose_working_group_vectors(vector: dict) -> None:
    data = bytes.fromhex(vector["cbor"])
    key = _public(vector["key"])
    external = bytes.fromhex(vector["external"] or "")
    if vector["file"] in UNSUPPORTED:
        with pytest.raises(UnsupportedAlgorithm):
            verify_foreign(data, key, external)
    elif vector["fail"]:
        with pytest.raises((CoseError, CborError, InvalidSignature)):
            verify_foreign(data, key, external)
    else:
        verify_foreign(data, key, external)
        with pytest.raises(InvalidSignature):
            verify_foreign(data, key, external + b"\0")


def test_no_vector_of_the_working_group_is_unsupported_by_surprise() -> None:
    assert {one["file"] for one in COSE} > UNSUPPORTED
    assert sum(one["fail"] for one in COSE) == 6


@pytest.mark.parametrize("name", [name for name in LISTS if name.endswith("_cbor")])
def test_status_lists_of_the_draft(name: str) -> None:
    listed = cose_generic.status_list(cose_generic.decode(bytes.fromhex(LISTS[name]["hex"])))
    wanted = dict(LISTS[name]["statuses"])
    assert {index: listed[index] for index in wanted} == wanted
    zero = next(index for index in range(1000) if index not in wanted)
    assert listed[zero] == 0
    with pytest.raises(IndexError):
        listed[1 << 30]


def test_signed_status_list_and_the_token_that_refers_to_it() -> None:
    key = _public(LISTS["jwk"])
    token = claims_of(verify_foreign(bytes.fromhex(LISTS["referenced_token_cwt"]["hex"]), key))
    reference = token[65535]
    assert isinstance(reference, dict)
    data = bytes.fromhex(LISTS["status_list_cwt"]["hex"])
    claims = claims_of(verify_foreign(data, key))
    assert claims[2] == reference["status_list"]["uri"]
    # The draft's own one-bit example list (4.1): b9 a3, least significant bit first.
    listed = cose_generic.status_list(claims)
    assert [listed[index] for index in range(16)] == [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]
    with pytest.raises(Refusal):
        read_status_list(data)  # no sequence number: a foreign list is none of ours


def _claim169(vector: dict) -> tuple[dict, dict]:
    data = inflate(base45.decode(vector["qr_data"]))
    if "encryption_key" in vector:
        data = decrypt_foreign(data, bytes.fromhex(vector["encryption_key"]["symmetric_key_hex"]))
    if "signing_key" in vector:
        octets = bytes.fromhex(vector["signing_key"]["public_key_hex"])
        key: cose_generic.PublicKey
        if vector["signing_key"]["algorithm"] == "EdDSA":
            key = ed25519.Ed25519PublicKey.from_public_bytes(octets)
        else:
            key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), octets)
        payload = verify_foreign(data, key)
        with pytest.raises(InvalidSignature):
            verify_foreign(data[:-1] + bytes((data[-1] ^ 1,)), key)
    else:
        payload = _plain_payload(data)
    claims = claims_of(payload)
    person = claims[169]
    assert isinstance(person, dict)
    return claims, person


def _plain_payload(data: bytes) -> bytes:
    try:
        return cose_generic.unverified_payload(data)
    except CoseError:
        claims_of(data)
        return data


@pytest.mark.parametrize("vector", CLAIM169, ids=lambda one: one["name"])
def test_claim_169_vectors(vector: dict) -> None:
    error = vector.get("expected_error")
    if error == "Base45Decode":
        with pytest.raises(base45.Base45Error):
            _claim169(vector)
    elif error in ("Decompress", "CoseParse"):
        with pytest.raises((CoseError, CborError)):
            cose_generic.unverified_payload(inflate(base45.decode(vector["qr_data"])))
    elif error == "Claim169NotFound":
        with pytest.raises(KeyError):
            _claim169(vector)
    else:
        assert error is None
        claims, person = _claim169(vector)
        meta = vector["expected_cwt_meta"]
        names = {1: "issuer", 2: "subject", 4: "expiresAt", 5: "notBefore", 6: "issuedAt"}
        assert {names[key]: claims[key] for key in names if key in claims} == meta
        assert person[1] == vector["expected_claim169"]["id"]
        assert person[4] == vector["expected_claim169"]["fullName"]


def _foreign_texts() -> list[str]:
    tokens = [bytes.fromhex(one["cbor"]) for one in COSE]
    tokens += [bytes.fromhex(one["hex"]) for one in LISTS.values() if "hex" in one]
    texts = [one["qr_data"] for one in CLAIM169]
    for text in texts[:]:
        texts.append("SP1:" + text)
        try:
            tokens.append(zlib.decompress(base45.decode(text)))
        except (base45.Base45Error, zlib.error):
            continue
    return texts + ["SP1:" + base45.encode(token) for token in tokens]


def test_the_seal_reader_refuses_every_third_party_vector(tmp_path: Path) -> None:
    texts = _foreign_texts()
    trust = City(tmp_path).publish().trust()
    for text in texts:
        with pytest.raises((NotASeal, MalformedSeal)):
            read_seal(text)
        verdict = check_seal(text, trust, NOW)
        assert verdict.verdict in (Colour.RED, Colour.GREY)
        assert verdict.reason is (Reason.MALFORMED if text.startswith("SP1:") else Reason.NOT_A_SEAL)


SCALARS = (
    st.none() | st.booleans() | st.integers(-(1 << 64), (1 << 64) - 1) | st.floats(allow_nan=False)
    | st.binary(max_size=30) | st.text(max_size=30)
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.integers(-300, 70000) | st.text(max_size=8), inner, max_size=5)
    ),
    max_leaves=20,
)


@given(VALUES)
def test_reads_what_another_encoder_writes(value: object) -> None:
    assert cose_generic.decode(cbor2.dumps(value)) == value
    assert cose_generic.decode(cbor2.dumps(value, indefinite_containers=True)) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        cose_generic.decode(data)
    except CborError:
        return


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("1b0000000000000001", 1),
        ("5f41014102ff", b"\1\2"),
        ("7f61616162ff", "ab"),
        ("9f01ff", [1]),
        ("bf0201ff", {2: 1}),
        ("a202010100", {2: 1, 1: 0}),
    ],
)
def test_takes_spellings_that_seals_may_not_use(data: str, value: object) -> None:
    assert cose_generic.decode(bytes.fromhex(data)) == value


@pytest.mark.parametrize(
    "data",
    ["", "ff", "81ff", "c1ff", "1c", "1f", "df00", "a10101ff", "a201010102", "5f6161ff", "bf01ff", "0000", "62c328",
     "a18001", "9bffffffffffffffff"],
)  # fmt: skip
def test_refuses_what_is_not_well_formed_or_repeats_a_key(data: str) -> None:
    with pytest.raises(CborError):
        cose_generic.decode(bytes.fromhex(data))


def test_bounds() -> None:
    with pytest.raises(CborError):
        cose_generic.decode(b"\x81" * 1000 + b"\0")
    with pytest.raises(CborError):
        cose_generic.decode(b"\x9a\0\0\x40\0" + bytes(0x4000))
    with pytest.raises(CborError):
        cose_generic.decode(b"\x5a\0\2\0\0" + bytes(0x20000))
    with pytest.raises(CoseError):
        inflate(zlib.compress(bytes(10_000_000)))
    with pytest.raises(CoseError):
        inflate(zlib.compress(b"x") + b"y")


def test_decryption_notices_a_changed_byte() -> None:
    vector = next(one for one in CLAIM169 if one["name"] == "encrypted-aes256")
    data = inflate(base45.decode(vector["qr_data"]))
    key = bytes.fromhex(vector["encryption_key"]["symmetric_key_hex"])
    with pytest.raises(CoseError):
        decrypt_foreign(data[:-1] + bytes((data[-1] ^ 1,)), key)
