from datetime import UTC, date, datetime
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from passes.credential_cbor import CborRefused, decode, embedded_bytes, encode
from passes.credential_frame import StatusReference, Validity
from passes.mdoc import issue
from passes.sd_jwt import DECOY, decoded
from tests.eudi_wallet import CITY_URL, Issuer

HOLDER = ec.generate_private_key(ec.SECP256R1()).public_key()
TIMES = Validity(1_795_132_800, 1_795_136_400, 1_822_428_000)
SPACE = "de.example.one.1"


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer.new(tmp_path_factory.mktemp("issuer"))


def made(
    issuer: Issuer, elements: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
    """IssuerSigned, MSO and items, read without any of our own code."""
    text = issue(
        issuer.identity,
        doctype="de.example.one.1",
        elements={SPACE: elements},
        holder=HOLDER,
        validity=TIMES,
        status=StatusReference(f"{CITY_URL}/s/1", 7),
    )
    read = cbor2.loads(decoded(text))
    security = cbor2.loads(cbor2.loads(read["issuerAuth"][2]).value)
    return read, security, [cbor2.loads(one.value) for one in read["nameSpaces"].get(SPACE, [])]


def test_the_form_is_that_of_openid4vci(issuer: Issuer) -> None:
    read, security, items = made(issuer, {"day": date(2026, 11, 20), "number": "X1"})
    assert set(read) == {"nameSpaces", "issuerAuth"}
    auth = read["issuerAuth"]
    # Untagged; only alg is protected; the certificates are a byte string, as there is one, under label 33.
    assert type(auth) is list
    assert cbor2.loads(auth[0]) == {1: -7}
    assert auth[1] == {33: issuer.identity.x5chain[0]}
    assert cbor2.loads(auth[2]).tag == 24
    assert set(security) == {
        "version",
        "digestAlgorithm",
        "valueDigests",
        "deviceKeyInfo",
        "docType",
        "validityInfo",
        "status",
    }
    assert security["status"] == {"status_list": {"idx": 7, "uri": f"{CITY_URL}/s/1"}}
    assert security["deviceKeyInfo"]["deviceKey"] == {
        1: 2,
        -1: 1,
        -2: HOLDER.public_numbers().x.to_bytes(32, "big"),
        -3: HOLDER.public_numbers().y.to_bytes(32, "big"),
    }
    assert {one["elementIdentifier"] for one in items} == {"day", "number"}


def test_times_are_tdates_without_fractions(issuer: Issuer) -> None:
    read, security, _ = made(issuer, {"number": "X1"})
    assert security["validityInfo"] == {
        "signed": datetime(2026, 11, 20, tzinfo=UTC),
        "validFrom": datetime(2026, 11, 20, 1, tzinfo=UTC),
        "validUntil": datetime(2027, 10, 1, 22, tzinfo=UTC),
    }
    assert b"\xc0\x742026-11-20T00:00:00Z" in read["issuerAuth"][2]


def test_days_are_full_dates(issuer: Issuer) -> None:
    read, _, items = made(issuer, {"day": date(2026, 11, 20), "list": [{"day": date(2026, 1, 2)}]})
    assert {one["elementIdentifier"]: one["elementValue"] for one in items} == {
        "day": date(2026, 11, 20),
        "list": [{"day": date(2026, 1, 2)}],
    }
    assert any(b"\xd9\x03\xec\x6a2026-11-20" in one.value for one in read["nameSpaces"][SPACE])


def test_the_signature_is_over_the_standards_structure(issuer: Issuer) -> None:
    read, _, _ = made(issuer, {"number": "X1"})
    protected, _, payload, signature = read["issuerAuth"]
    key = issuer.identity.certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    signed = cbor2.dumps(["Signature1", protected, b"", payload])
    key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))


def test_every_item_has_its_digest_and_random_bytes_of_its_own(issuer: Issuer) -> None:
    import hashlib

    elements = {f"element_{place}": str(place) for place in range(8)}
    orders = set()
    randoms: set[bytes] = set()
    for _ in range(20):
        read, security, items = made(issuer, elements)
        digests = security["valueDigests"][SPACE]
        for tag, item in zip(read["nameSpaces"][SPACE], items, strict=True):
            assert digests[item["digestID"]] == hashlib.sha256(cbor2.dumps(tag)).digest()
            assert len(item["random"]) == 32
            randoms.add(item["random"])
        orders.add(tuple(one["digestID"] for one in items))
    assert len(orders) > 15
    assert len(randoms) == 160


def test_what_the_holder_does_not_have_leaves_a_digest(issuer: Issuer) -> None:
    read, security, items = made(issuer, {"number": "X1", "second_home": DECOY})
    assert len(items) == 1
    assert len(security["valueDigests"][SPACE]) == 2
    assert b"second_home" not in encode(read["issuerAuth"][2])
    read, security, _ = made(issuer, {"second_home": DECOY})
    assert read["nameSpaces"] == {}
    assert len(security["valueDigests"][SPACE]) == 1


# --- what is read of others


@pytest.mark.parametrize(
    "hexadecimal",
    ["", "ff", "1c", "0102", "a201010102", "c101", "c24101", "d8236161", "d81c80", "82d81c80d81d00", "d90100d8190180",
     "c48201c24101", "d90102 80", "d8256101", "c001", "d81801", "d903ec01", "d2a0", "81" * 30 + "01",
     "9b000000ffffffffff", "d9d9f701", "c1fb7ff0000000000000"],
)  # fmt: skip
def test_foreign_cbor_is_read_strictly(hexadecimal: str) -> None:
    with pytest.raises(CborRefused):
        decode(bytes.fromhex(hexadecimal), max_bytes=1000)


def test_the_tags_of_mdocs_are_read_and_their_size_is_bounded() -> None:
    assert decode(bytes.fromhex("d2 84 41a0 a1 18 21 a1 01 02 f6 40"), max_bytes=100).value == [
        b"\xa0",
        {33: {1: 2}},
        None,
        b"",
    ]
    assert embedded_bytes(decode(bytes.fromhex("d81841a0"), max_bytes=100)) == b"\xa0"
    assert decode(encode(cbor2.CBORTag(1004, "2026-01-02")), max_bytes=100) == cbor2.CBORTag(
        1004, "2026-01-02"
    )
    with pytest.raises(CborRefused):
        decode(bytes(5), max_bytes=4)
    with pytest.raises(CborRefused):
        embedded_bytes(b"")


@given(
    st.binary(max_size=60)
    | st.builds(lambda head, rest: bytes([head]) + rest, st.integers(0xC0, 0xDB), st.binary(max_size=40))
)
def test_no_bytes_are_more_than_refused(data: bytes) -> None:
    try:
        decode(data, max_bytes=1000)
    except CborRefused:
        return


@given(
    st.recursive(
        st.integers(-(2**60), 2**60)
        | st.text(max_size=5)
        | st.binary(max_size=5)
        | st.booleans()
        | st.none(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=10,
    )
)
def test_what_is_written_is_read_back(value: object) -> None:
    assert decode(encode(value), max_bytes=10_000) == value
