"""Examples of the standards themselves: RFC 9901, and annex D of ISO/IEC 18013-5."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from passes.credential_cbor import decode
from passes.credential_frame import holder_key
from passes.credential_status import pack
from passes.status_list import Status
from verifier.credentials.chain import TrustAnchors
from verifier.credentials.disclosures import disclosed_claims
from verifier.credentials.jose import read_jws
from verifier.credentials.mdoc import issued_elements, security_object
from verifier.credentials.outcome import PresentationRefused
from verifier.credentials.status import entry

VECTORS = Path(__file__).parents[2] / "data" / "vectors"
RFC_9901 = json.loads((VECTORS / "rfc9901.json").read_text())
LISTS = json.loads((VECTORS / "tsl_vectors.json").read_text())
ENCODINGS = [name for name in LISTS if name.startswith("status_list_encoding")]
ANNEX_D = bytes.fromhex(json.loads((VECTORS / "iso18013_5_annex_d.json").read_text())["issuer_signed"])


@pytest.mark.parametrize("case", RFC_9901["cases"], ids=lambda case: case["name"])
def test_the_examples_of_rfc_9901(case: dict[str, Any]) -> None:
    token, *disclosures, binding = case["sd_jwt"].split("~")
    typ = "dc+sd-jwt" if "PID" in case["name"] else "example+sd-jwt"
    issued = read_jws(token, typ)
    issued.verify(holder_key(RFC_9901["issuer_key"]), "PRESENTATION_FORGED")
    claims = disclosed_claims(issued.payload, disclosures)
    assert "_sd" not in json.dumps(claims)
    if "processed" in case:
        assert claims == case["processed"]
    if binding:
        bound = read_jws(binding, "kb+jwt")
        bound.verify(holder_key(claims["cnf"]["jwk"]), "PRESENTATION_HOLDER_FORGED")


def test_rfc_9901_without_one_of_its_digests_is_refused() -> None:
    case = RFC_9901["cases"][0]
    token, *disclosures, _ = case["sd_jwt"].split("~")
    payload = read_jws(token, "example+sd-jwt").payload
    with pytest.raises(PresentationRefused):
        disclosed_claims(payload | {"_sd": payload["_sd"][:1]}, disclosures)


class _AnybodyWhoSigned(TrustAnchors):
    """Annex D does not publish its root: the chain is left out, all else is checked."""

    def __init__(self) -> None:
        pass

    def signer(self, chain: Sequence[bytes], at: datetime) -> x509.Certificate:
        return x509.load_der_x509_certificate(chain[0])


def test_the_example_of_annex_d() -> None:
    read = decode(ANNEX_D, max_bytes=10_000)
    security, certificate = security_object(
        read["issuerAuth"], _AnybodyWhoSigned(), datetime(2020, 12, 1, tzinfo=UTC)
    )
    assert security["docType"] == "org.iso.18013.5.1.mDL"
    assert certificate.subject.rfc4514_string() == "C=US,CN=utopia ds"
    elements = issued_elements(read["nameSpaces"], security["valueDigests"])["org.iso.18013.5.1"]
    assert elements["family_name"] == "Doe"
    assert elements["expiry_date"] == date(2024, 10, 20)
    assert elements["driving_privileges"][1]["vehicle_category_code"] == "B"


def test_annex_d_with_another_bit_is_refused() -> None:
    place = ANNEX_D.index(b"Doe")
    changed = ANNEX_D[:place] + b"Roe" + ANNEX_D[place + 3 :]
    read = decode(changed, max_bytes=10_000)
    security, _ = security_object(read["issuerAuth"], _AnybodyWhoSigned(), datetime(2020, 12, 1, tzinfo=UTC))
    with pytest.raises(PresentationRefused, match="PRESENTATION_DISCLOSURE"):
        issued_elements(read["nameSpaces"], security["valueDigests"])


@pytest.mark.parametrize("name", ENCODINGS)
def test_the_encodings_of_the_status_list_draft(name: str) -> None:
    content = decode(bytes.fromhex(LISTS[name]["hex"]), max_bytes=10_000)
    for index, value in LISTS[name]["statuses"]:
        assert entry(content["bits"], content["lst"], index) == value
    neighbours = {index + 1 for index, _ in LISTS[name]["statuses"]} - {
        index for index, _ in LISTS[name]["statuses"]
    }
    if content["bits"] < 8:  # the list of 8 bits is filled with all values
        assert all(entry(content["bits"], content["lst"], one) == 0 for one in neighbours)
    with pytest.raises(PresentationRefused, match="PRESENTATION_STATUS_UNKNOWN"):
        entry(content["bits"], content["lst"], 1 << 30)


@pytest.mark.parametrize("bits", [1, 2])
def test_our_lists_are_packed_as_the_drafts_are(bits: int) -> None:
    """The same entries give the same uncompressed bytes, and the draft's own compression as well."""
    content = decode(bytes.fromhex(LISTS[f"status_list_encoding{bits}_long_cbor"]["hex"]), max_bytes=10_000)
    statuses = [
        (index, Status(value)) for index, value in LISTS[f"status_list_encoding{bits}_long_cbor"]["statuses"]
    ]
    ours = pack([(index, one) for index, one in statuses if one is not Status.SUPERSEDED], bits=bits)
    for index, one in statuses:
        if one is not Status.SUPERSEDED:
            assert entry(bits, ours.compressed, index) == entry(bits, content["lst"], index) == one
    if bits == 1:
        assert ours.compressed == content["lst"]
