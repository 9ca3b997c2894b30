from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from passes.sd_jwt import decoded
from tests.eudi_wallet import AT, CITY_URL, Issuer, Wallet
from tests.verifier.credentials.asked import (
    AUDIENCE,
    NONCE,
    TRANSCRIPT,
    TYPE_IDS,
    check_bytes,
    doctype,
    issued,
    lists,
    refusal,
)
from verifier.credentials.mdoc import openid4vp_transcript
from verifier.credentials.outcome import PresentationRefused, StatusVerdict

ISO = "org.iso.23220.1"


@pytest.fixture(scope="module")
def credential(issuer: Issuer, wallet: Wallet) -> str:
    return issued(issuer, wallet, "mso_mdoc")


@pytest.fixture(scope="module")
def shown(wallet: Wallet, credential: str) -> bytes:
    return wallet.show_mdoc(credential, ["card_number", "expiry_date"], TRANSCRIPT)


@pytest.mark.parametrize("type_id", TYPE_IDS)
@pytest.mark.parametrize("cwt", [True, False])
def test_all_of_a_credential_can_be_shown(issuer: Issuer, wallet: Wallet, type_id: str, cwt: bool) -> None:
    made = issued(issuer, wallet, "mso_mdoc", type_id)
    response = wallet.show_mdoc(made, None, TRANSCRIPT)
    found = check_bytes(issuer, response, type_id=type_id, status=lists(issuer, cwt=cwt))
    assert (found.type, found.status) == (doctype(type_id), StatusVerdict.VALID)
    assert found.claims[ISO]["issuing_country"] == "DE"
    assert isinstance(found.claims[ISO]["issue_date"], date)


def test_only_what_the_holder_shows_is_there(issuer: Issuer, shown: bytes) -> None:
    assert check_bytes(issuer, shown).claims == {
        ISO: {"expiry_date": date(2027, 4, 16)},
        "de.stadtpass.library-card.1": {"card_number": "24711300000134"},
    }


@pytest.mark.parametrize(
    "transcript",
    [
        openid4vp_transcript("x509_hash:other", NONCE, f"{CITY_URL}/answer", bytes(32)),
        openid4vp_transcript(AUDIENCE, "replayed", f"{CITY_URL}/answer", bytes(32)),
        openid4vp_transcript(AUDIENCE, NONCE, f"{CITY_URL}/elsewhere", bytes(32)),
        openid4vp_transcript(AUDIENCE, NONCE, f"{CITY_URL}/answer", b"k" * 32),
        openid4vp_transcript(AUDIENCE, NONCE, f"{CITY_URL}/answer", None),
    ],
    ids=["verifier", "nonce", "address", "key", "no key"],
)
def test_an_answer_to_another_question_is_refused(issuer: Issuer, shown: bytes, transcript: bytes) -> None:
    found = refusal(lambda: check_bytes(issuer, shown, transcript=transcript))
    assert found.code == "PRESENTATION_HOLDER_FORGED"


def test_the_transcript_is_that_of_the_standard() -> None:
    # The example of OpenID4VP 1.0, B.2.6.1.
    thumbprint = bytes.fromhex("4283ec927ae0f208daaa2d026a814f2b22dca52cf85ffa8f3f8626c6bd669047")
    made = openid4vp_transcript(
        "x509_san_dns:example.com", "exc7gBkxjx1rdc9udRrveKvSsJIq80avlXeLHhGwqtA",
        "https://example.com/response", thumbprint,
    )  # fmt: skip
    assert made.hex() == (
        "83f6f682714f70656e494434565048616e646f7665725820"
        "048bc053c00442af9b8eed494cefdd9d95240d254b046b11b68013722aad38ac"
    )


def test_period_type_and_issuer_are_checked(
    issuer: Issuer, other_issuer: Issuer, wallet: Wallet, credential: str, shown: bytes
) -> None:
    for days, code in ((400, "PRESENTATION_EXPIRED"), (-2, "PRESENTATION_NOT_YET_VALID")):
        assert refusal(lambda at=AT + timedelta(days=days): check_bytes(issuer, shown, at=at)).code == code  # type: ignore[misc]
    assert (
        refusal(lambda: check_bytes(issuer, shown, type_id="residence-certificate")).code
        == "PRESENTATION_TYPE"
    )
    foreign = wallet.show_mdoc(issued(other_issuer, wallet, "mso_mdoc"), None, TRANSCRIPT)
    assert refusal(lambda: check_bytes(issuer, foreign)).code == "PRESENTATION_UNKNOWN_ISSUER"
    stolen = Wallet().show_mdoc(credential, None, TRANSCRIPT)
    assert refusal(lambda: check_bytes(issuer, stolen)).code == "PRESENTATION_HOLDER_FORGED"


Change = Callable[[dict[str, Any]], None]


def _document(response: dict[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = response["documents"][0]
    return document


def _items(response: dict[str, Any], namespace: str = ISO) -> list[Any]:
    items: list[Any] = _document(response)["issuerSigned"]["nameSpaces"][namespace]
    return items


def _altered(response: dict[str, Any], name: str, value: object) -> None:
    items = _items(response)
    items[0] = cbor2.CBORTag(24, cbor2.dumps(cbor2.loads(items[0].value) | {name: value}))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda one: one.update(version="1.1"), "PRESENTATION_MALFORMED"),
        (lambda one: one.update(status=10), "PRESENTATION_MALFORMED"),
        (lambda one: one.update(status=False), "PRESENTATION_MALFORMED"),
        (lambda one: one.update(documents=[]), "PRESENTATION_MALFORMED"),
        (lambda one: one["documents"].append(one["documents"][0]), "PRESENTATION_MALFORMED"),
        (lambda one: one.update(more=1), "PRESENTATION_MALFORMED"),
        (lambda one: _document(one).update(docType="org.iso.18013.5.1.mDL"), "PRESENTATION_FORGED"),
        (lambda one: _document(one).pop("deviceSigned"), "PRESENTATION_MALFORMED"),
        (lambda one: _altered(one, "elementValue", "2099-01-01"), "PRESENTATION_DISCLOSURE"),
        (lambda one: _altered(one, "elementIdentifier", "card_number"), "PRESENTATION_DISCLOSURE"),
        (lambda one: _altered(one, "random", b"short"), "PRESENTATION_MALFORMED"),
        (lambda one: _altered(one, "digestID", 99), "PRESENTATION_DISCLOSURE"),
        (lambda one: _altered(one, "digestID", True), "PRESENTATION_MALFORMED"),
        (lambda one: _altered(one, "more", 1), "PRESENTATION_MALFORMED"),
        (lambda one: _items(one).append(_items(one)[0]), "PRESENTATION_DISCLOSURE"),
        (
            lambda one: _document(one)["issuerSigned"]["nameSpaces"].update({"other.space.x": _items(one)}),
            "PRESENTATION_DISCLOSURE",
        ),
        (lambda one: _document(one)["issuerSigned"]["issuerAuth"].pop(), "PRESENTATION_MALFORMED"),
        (
            lambda one: _document(one)["issuerSigned"].update(
                issuerAuth=cbor2.CBORTag(18, _document(one)["issuerSigned"]["issuerAuth"])
            ),
            "PRESENTATION_MALFORMED",
        ),
        (
            lambda one: _document(one)["issuerSigned"]["issuerAuth"].__setitem__(0, cbor2.dumps({1: -35})),
            "PRESENTATION_ALGORITHM",
        ),
        (
            lambda one: _document(one)["issuerSigned"]["issuerAuth"].__setitem__(
                0, cbor2.dumps({1: -7, 4: b"k"})
            ),
            "PRESENTATION_MALFORMED",
        ),
        (
            lambda one: _document(one)["issuerSigned"]["issuerAuth"][1].update({4: b"kid"}),
            "PRESENTATION_MALFORMED",
        ),
        (
            lambda one: _document(one)["issuerSigned"]["issuerAuth"].__setitem__(1, {}),
            "PRESENTATION_MALFORMED",
        ),
        (
            lambda one: _document(one)["deviceSigned"].update(deviceAuth={"deviceMac": [b"", {}, None, b""]}),
            "PRESENTATION_MALFORMED",
        ),
        (
            lambda one: _document(one)["deviceSigned"].update(
                nameSpaces=cbor2.CBORTag(24, cbor2.dumps({"a": {"b": 1}}))
            ),
            "PRESENTATION_MALFORMED",
        ),
        (
            lambda one: _document(one)["deviceSigned"]["deviceAuth"]["deviceSignature"].__setitem__(
                2, b"payload"
            ),
            "PRESENTATION_MALFORMED",
        ),
        (
            lambda one: _document(one)["deviceSigned"]["deviceAuth"]["deviceSignature"].__setitem__(
                0, cbor2.dumps({1: -8})
            ),
            "PRESENTATION_ALGORITHM",
        ),
    ],
)
def test_a_changed_response_is_refused(
    issuer: Issuer, wallet: Wallet, credential: str, change: Change, code: str
) -> None:
    response = wallet.show_mdoc(credential, None, TRANSCRIPT, change)
    assert refusal(lambda: check_bytes(issuer, response)).code == code


def test_a_leaf_that_vouches_for_itself_is_refused(issuer: Issuer, wallet: Wallet, credential: str) -> None:
    root = issuer.authority.root.public_bytes(Encoding.DER)

    def change(response: dict[str, Any]) -> None:
        _document(response)["issuerSigned"]["issuerAuth"][1] = {33: root}

    response = wallet.show_mdoc(credential, None, TRANSCRIPT, change)
    assert refusal(lambda: check_bytes(issuer, response)).code == "PRESENTATION_SELF_SIGNED"


# cryptography warns of what a flipped bit makes of the serial number, before the chain is refused.
@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_no_flipped_bit_is_accepted(issuer: Issuer, shown: bytes) -> None:
    check_bytes(issuer, shown)
    for place in range(len(shown)):
        changed = bytearray(shown)
        changed[place] ^= 1 << place % 8
        with pytest.raises(PresentationRefused):
            check_bytes(issuer, bytes(changed))


def test_bytes_behind_the_response_are_refused(issuer: Issuer, shown: bytes) -> None:
    assert refusal(lambda: check_bytes(issuer, shown + b"\x00")).code == "PRESENTATION_MALFORMED"
    assert refusal(lambda: check_bytes(issuer, shown[:-1])).code == "PRESENTATION_MALFORMED"
    assert refusal(lambda: check_bytes(issuer, bytes(600_000))).code == "PRESENTATION_MALFORMED"


def test_a_signature_of_before_the_certificate_is_refused(issuer: Issuer, wallet: Wallet) -> None:
    # What a wallet's library did to an issuer that rounded the day below its certificate's beginning.
    from passes import mdoc
    from passes.credential_frame import Validity

    early = int(issuer.identity.not_before.timestamp()) - 1
    made = mdoc.issue(
        issuer.identity,
        doctype=doctype("library-card"),
        elements={ISO: {"issuing_country": "DE"}},
        holder=wallet.public_key,
        validity=Validity(early, early, int(AT.timestamp()) + 3600),
        status=None,
    )
    response = wallet.show_mdoc(made, None, TRANSCRIPT)
    assert refusal(lambda: check_bytes(issuer, response)).code == "PRESENTATION_UNKNOWN_ISSUER"


def test_the_issued_form_is_bare(credential: str) -> None:
    read = cbor2.loads(decoded(credential))
    assert set(read) == {"nameSpaces", "issuerAuth"}
    assert isinstance(read["issuerAuth"], list)
    assert cbor2.loads(read["issuerAuth"][0]) == {1: -7}
    assert set(read["issuerAuth"][1]) == {33}


def test_a_presentation_needs_no_time_of_its_own(issuer: Issuer, wallet: Wallet, credential: str) -> None:
    later = replace(wallet, at=AT + timedelta(hours=1))
    check_bytes(issuer, later.show_mdoc(credential, None, TRANSCRIPT), at=later.at)


@given(st.binary(max_size=200))
def test_no_bytes_are_more_than_refused(data: bytes) -> None:
    from passes.credential_cbor import CborRefused, decode
    from tests.verifier.credentials.asked import ExpectedMdoc
    from verifier.credentials.mdoc import _checked

    try:
        read = decode(data, max_bytes=1000)
    except CborRefused:
        return
    with pytest.raises(PresentationRefused):
        _checked(read, None, ExpectedMdoc([], b""), AT, None)  # type: ignore[arg-type]
