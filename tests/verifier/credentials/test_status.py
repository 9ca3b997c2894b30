from datetime import timedelta
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives import hashes
from hypothesis import given, settings
from hypothesis import strategies as st

from passes.credential_status import BITS, ENTRIES, pack
from passes.status_list import Status, StatusListRefused
from tests.eudi_wallet import AT, Issuer, Wallet
from tests.passes.credential_samples import LIST_URI
from tests.verifier.credentials.asked import AUDIENCE, NONCE, check_text, issued, lists, refusal
from verifier.credentials.outcome import PresentationRefused, StatusVerdict
from verifier.credentials.status import check_status

FORMS = pytest.mark.parametrize("cwt", [True, False], ids=["CWT", "JWT"])
CLAIM = {"status_list": {"idx": 5, "uri": LIST_URI}}


@FORMS
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (Status.INVALID, "PRESENTATION_REVOKED"),
        # A superseded revision of the pass is simply gone for wallets.
        (Status.SUPERSEDED, "PRESENTATION_REVOKED"),
        (Status.SUSPENDED, "PRESENTATION_SUSPENDED"),
    ],
)
def test_what_is_not_valid_is_refused(
    issuer: Issuer, wallet: Wallet, cwt: bool, status: Status, code: str
) -> None:
    shown = wallet.show_sd_jwt(issued(issuer, wallet, "dc+sd-jwt"), None, AUDIENCE, NONCE)
    assert (
        check_text(issuer, shown, status=lists(issuer, [(4, status), (6, status)], cwt=cwt)).status == "valid"
    )
    assert (
        refusal(lambda: check_text(issuer, shown, status=lists(issuer, [(5, status)], cwt=cwt))).code == code
    )


def test_no_value_is_the_seals_own() -> None:
    assert pack([(0, Status.SUPERSEDED)]) == pack([(0, Status.INVALID)])
    with pytest.raises(StatusListRefused, match="STATUS_VALUE"):
        pack([(0, Status.SUSPENDED)], bits=1)
    with pytest.raises(StatusListRefused, match="STATUS_VALUE"):
        pack([(ENTRIES, Status.INVALID)])


@FORMS
@pytest.mark.parametrize(
    ("frame", "fault"),
    [
        ({"uri": LIST_URI + "0"}, "another list"),
        ({"expires": int(AT.timestamp())}, "expired"),
        ({"issued_at": int(AT.timestamp()) - 3601}, "stale"),
        ({"issued_at": int(AT.timestamp()) + 121}, "issued in the future"),
    ],
)
def test_a_list_that_says_nothing_now_is_no_word_against_the_holder(
    issuer: Issuer, cwt: bool, frame: dict[str, Any], fault: str
) -> None:
    told = lists(issuer, [(5, Status.INVALID)], cwt=cwt, **frame)
    found = refusal(lambda: check_status(CLAIM, told, issuer.anchors, AT))
    assert (found.code, found.params["fault"]) == ("PRESENTATION_STATUS_UNKNOWN", fault)


@FORMS
def test_a_list_of_somebody_else_does_not_count(issuer: Issuer, other_issuer: Issuer, cwt: bool) -> None:
    found = refusal(lambda: check_status(CLAIM, lists(other_issuer, cwt=cwt), issuer.anchors, AT))
    assert found.params["fault"] == "PRESENTATION_UNKNOWN_ISSUER"


def test_a_credential_without_a_list_and_one_that_is_not_asked_about(issuer: Issuer) -> None:
    assert check_status(None, {}, issuer.anchors, AT) is StatusVerdict.NONE
    assert check_status(CLAIM, None, issuer.anchors, AT) is StatusVerdict.NOT_CHECKED
    assert refusal(lambda: check_status(CLAIM, {}, issuer.anchors, AT)).code == "PRESENTATION_STATUS_UNKNOWN"


@pytest.mark.parametrize(
    "status",
    [
        1,
        {},
        {"status_list": 1},
        {"status_list": {"idx": -1, "uri": LIST_URI}},
        {"status_list": {"idx": True, "uri": LIST_URI}},
        {"status_list": {"idx": ENTRIES, "uri": LIST_URI}},
        {"status_list": {"idx": 1}},
    ],
)
def test_a_reference_of_another_form_says_nothing(issuer: Issuer, status: object) -> None:
    found = refusal(lambda: check_status(status, lists(issuer), issuer.anchors, AT))
    assert found.code == "PRESENTATION_STATUS_UNKNOWN"


def test_the_list_is_signed_with_the_credentials_certificate(issuer: Issuer) -> None:
    token = lists(issuer, cwt=True)[LIST_URI]
    assert isinstance(token, bytes)
    message = cbor2.loads(token)
    assert message.tag == 18
    assert cbor2.loads(message.value[0]) == {1: -7, 16: "application/statuslist+cwt"}
    chain = message.value[1][33]
    assert issuer.identity.certificate.fingerprint(hashes.SHA256()).hex()
    assert chain == issuer.identity.x5chain[0]
    claims = cbor2.loads(message.value[2])
    assert set(claims) == {2, 4, 6, 65533, 65534}
    assert claims[65533]["bits"] == BITS


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@FORMS
def test_no_flipped_bit_of_a_list_is_accepted(issuer: Issuer, cwt: bool) -> None:
    told = lists(issuer, cwt=cwt)[LIST_URI]
    data = told if isinstance(told, bytes) else told.encode()
    for place in range(0, len(data), 1 if cwt else 3):
        changed = bytearray(data)
        changed[place] ^= 1 << place % 7
        token: bytes | str = bytes(changed)
        if not cwt:
            token = changed.decode("latin-1")
        with pytest.raises(PresentationRefused):
            check_status(CLAIM, {LIST_URI: token}, issuer.anchors, AT)


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=100) | st.text(max_size=100))
def test_nothing_is_more_than_refused(token: bytes | str) -> None:
    with pytest.raises(PresentationRefused):
        check_status(CLAIM, {LIST_URI: token}, None, AT)  # type: ignore[arg-type]


@settings(deadline=None, max_examples=30)
@given(st.sampled_from([1, 2, 4, 8]), st.sets(st.integers(0, 999), max_size=30))
def test_every_width_holds_what_was_put_in(bits: int, places: set[int]) -> None:
    import zlib

    packed = pack([(one, Status.INVALID) for one in places], bits=bits, size=1000)
    raw = zlib.decompress(packed.compressed)
    each = 8 // bits
    found = {one for one in range(1000) if raw[one // each] >> one % each * bits & ((1 << bits) - 1)}
    assert found == places


def test_a_list_that_inflates_too_far_is_refused(issuer: Issuer) -> None:
    packed = pack([], bits=8, size=(16 << 20) + 1)
    from passes.credential_status import StatusListFrame, sign_cwt

    now = int(AT.timestamp())
    token = sign_cwt(issuer.identity, StatusListFrame(LIST_URI, now, 60, now + 60), packed)
    found = refusal(lambda: check_status(CLAIM, {LIST_URI: token}, issuer.anchors, AT + timedelta(seconds=1)))
    assert found.params["fault"] == "compression"
