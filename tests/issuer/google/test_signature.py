"""Which callbacks count as Google's: genuine ones, and nothing that is close to one."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from issuer.google_signature import CallbackRefused, RootKey, root_keys, signed_bytes, verified
from tests.google_callbacks import PROTOCOL, CallbackSigner, framed, millis, spki

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
OURS, THEIRS = "3388000000000000000", "3388000000000000001"
OBJECT, CLASS = f"{OURS}.{'0f' * 16}", f"{OURS}.stadt.library-card"
GENUINE = json.loads((Path(__file__).parents[2] / "data" / "google_callbacks.json").read_text("utf-8"))
SIGNER = CallbackSigner()
ROOTS = root_keys(SIGNER.published(NOW + timedelta(days=30)))
MESSAGE = SIGNER.message(OBJECT, CLASS, NOW)


def reason(data: bytes, roots: list[RootKey] = ROOTS, now: datetime = NOW) -> str:
    with pytest.raises(CallbackRefused) as refused:
        verified(data, roots, OURS, now)
    return refused.value.reason


def genuine_roots() -> list[RootKey]:
    key = {"keyValue": GENUINE["root_key"], "protocolVersion": PROTOCOL, "keyExpiration": "9999999999999"}
    return root_keys(json.dumps({"keys": [key]}).encode())


@pytest.mark.parametrize(
    ("number", "event", "at"),
    [
        (0, "save", datetime(2024, 12, 16, 16, 0, tzinfo=UTC)),
        (1, "del", datetime(2025, 10, 1, 15, 0, tzinfo=UTC)),
    ],
)
def test_callbacks_that_google_has_really_sent(number: int, event: str, at: datetime) -> None:
    data = json.dumps(GENUINE["callbacks"][number]).encode()
    callback = verified(data, genuine_roots(), GENUINE["issuer_id"], at)
    assert (callback.event, callback.object_id.partition(".")[0]) == (event, GENUINE["issuer_id"])
    # The same message is worth nothing to another issuer, whatever it says of itself, nor a day later.
    for issuer, moment in ((OURS, at), (GENUINE["issuer_id"], at + timedelta(days=1))):
        with pytest.raises(CallbackRefused):
            verified(data, genuine_roots(), issuer, moment)


def test_a_callback_of_ours() -> None:
    callback = verified(SIGNER.callback(MESSAGE, OURS, NOW), ROOTS, OURS, NOW)
    assert (callback.object_id, callback.class_id, callback.event) == (OBJECT, CLASS, "save")
    assert callback.expires_at == NOW + timedelta(hours=1)


def by_characters(*parts: str) -> bytes:
    """The frame that a well-known implementation used: lengths in characters."""
    return b"".join(len(part).to_bytes(4, "little") + part.encode() for part in parts)


def test_lengths_are_those_of_bytes() -> None:
    message = SIGNER.message(OBJECT, CLASS, NOW, nonce="Grüße-\N{PARTY POPPER}")
    assert verified(SIGNER.callback(message, OURS, NOW), ROOTS, OURS, NOW).nonce == "Grüße-\N{PARTY POPPER}"
    assert reason(SIGNER.callback(message, OURS, NOW, frame=by_characters)) == "message-signature"


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"sender": "GooglePayments"}, "key-signature"),
        ({"protocol": "ECv2"}, "key-signature"),
        ({"said_protocol": "ECv2"}, "protocol"),
        ({"protocol": "ECv1", "said_protocol": "ECv1"}, "protocol"),
        ({"key_until": NOW}, "key-expired"),
        ({"key_until": NOW - timedelta(days=1)}, "key-expired"),
    ],
)
def test_what_is_signed_as_something_else(wrong: dict[str, Any], expected: str) -> None:
    assert reason(SIGNER.callback(MESSAGE, OURS, NOW, **wrong)) == expected


def test_a_genuine_callback_of_another_issuer() -> None:
    message = SIGNER.message(f"{THEIRS}.x", f"{THEIRS}.y", NOW)
    assert reason(SIGNER.callback(message, THEIRS, NOW)) == "message-signature"
    # Even one that speaks of our objects.
    assert reason(SIGNER.callback(MESSAGE, THEIRS, NOW)) == "message-signature"


def test_keys_of_somebody_else() -> None:
    assert reason(CallbackSigner().callback(MESSAGE, OURS, NOW)) == "key-signature"
    # An intermediate key that the root has not signed.
    mixed = json.loads(SIGNER.callback(MESSAGE, OURS, NOW))
    mixed["signature"] = json.loads(CallbackSigner().callback(MESSAGE, OURS, NOW))["signature"]
    assert reason(json.dumps(mixed).encode()) == "message-signature"
    assert reason(SIGNER.callback(MESSAGE, OURS, NOW), []) == "key-signature"


def test_expired_roots_and_messages() -> None:
    expired = [RootKey(one.key, NOW) for one in ROOTS]
    assert reason(SIGNER.callback(MESSAGE, OURS, NOW), expired) == "key-signature"
    assert reason(SIGNER.callback(MESSAGE, OURS, NOW), now=NOW + timedelta(hours=1)) == "message-expired"


@pytest.mark.parametrize(
    "more",
    [
        {"eventType": "activate"},
        {"eventType": ["save"]},
        {"expTimeMillis": 1.5},
        {"expTimeMillis": True},
        {"expTimeMillis": "12e12"},
        {"expTimeMillis": 10**30},
        {"expTimeMillis": -1},
        {"nonce": ""},
        {"nonce": 7},
        {"nonce": "n" * 201},
        {"objectId": "x"},
        {"objectId": f"{OURS}.a/b"},
        {"classId": None},
    ],
)
def test_signed_but_not_as_agreed(more: dict[str, Any]) -> None:
    message = SIGNER.message(OBJECT, CLASS, NOW, **{"nonce": "n"} | more)
    assert reason(SIGNER.callback(message, OURS, NOW)) == "message"


def test_a_time_in_digits_is_as_good() -> None:
    message = SIGNER.message(OBJECT, CLASS, NOW, expTimeMillis=str(millis(NOW) + 1000))
    assert verified(SIGNER.callback(message, OURS, NOW), ROOTS, OURS, NOW).event == "save"


def test_names_that_stand_twice() -> None:
    twice = MESSAGE[:-1] + ',"eventType":"del"}'
    assert reason(SIGNER.callback(twice, OURS, NOW)) == "message"
    body = SIGNER.callback(MESSAGE, OURS, NOW)
    assert reason(body[:-1] + b', "signedMessage": "{}"}') == "form"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"null",
        b"[]",
        b"{}",
        b"[" * 16000,
        b'{"protocolVersion": NaN}',
        b" " * 16385,
        json.dumps({"protocolVersion": PROTOCOL, "signature": "AAAAAAAA"}).encode(),
    ],
)
def test_no_callback_at_all(data: bytes) -> None:
    assert reason(data) in ("form", "too-large")


def test_a_lone_surrogate_is_no_text() -> None:
    body = json.loads(SIGNER.callback(MESSAGE, OURS, NOW))
    body["signedMessage"] = "\ud800"
    assert reason(json.dumps(body).encode()) == "message"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_is_put_in_place_of_a_part_is_refused(data: st.DataObject) -> None:
    body = json.loads(SIGNER.callback(MESSAGE, OURS, NOW))
    place = data.draw(
        st.sampled_from(["signature", "intermediateSigningKey", "protocolVersion", "signedMessage"])
    )
    value = data.draw(JSON.filter(lambda one: one != body[place]))
    inner = data.draw(st.sampled_from(["", "signedKey", "signatures"]))
    if place == "intermediateSigningKey" and inner:
        body[place][inner] = value
    else:
        body[place] = value
    reason(json.dumps(body).encode())


@settings(max_examples=150, deadline=None)
@given(position=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_a_flipped_bit_changes_nothing_or_is_refused(position: int, bit: int) -> None:
    body = bytearray(FLIPPED)
    body[position % len(body)] ^= 1 << bit
    try:
        callback = verified(bytes(body), ROOTS, OURS, NOW)
    except CallbackRefused:
        return
    # White space and what was never signed may differ; what is said may not.
    assert (callback.object_id, callback.class_id, callback.event, callback.nonce) == (
        OBJECT,
        CLASS,
        "save",
        "n-1",
    )


FLIPPED = SIGNER.callback(MESSAGE, OURS, NOW)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_bytes(data: bytes) -> None:
    reason(data)


@pytest.mark.parametrize(
    "change",
    [
        {"keyValue": "AAAAAAAA"},
        {"keyExpiration": "soon"},
        {"keyExpiration": None},
        {"keyValue": spki(SIGNER.root)[:-8]},
    ],
)
def test_root_keys_that_cannot_be_read(change: dict[str, Any]) -> None:
    with pytest.raises(CallbackRefused):
        root_keys(SIGNER.published(NOW, **change))


def test_the_frame() -> None:
    assert signed_bytes("é", "a") == framed("é", "a") == b"\x02\0\0\0\xc3\xa9\x01\0\0\0a"
