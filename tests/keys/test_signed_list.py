from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys import cose
from keys.errors import KeyRefusal
from keys.signed_list import ListFrame, read_list, sign_list
from tests.trust_factory import Key, each_bit_flipped

TYP = "application/test+cwt"
KEY = Key()
FRAME = ListFrame("https://passes.example/1", 1_790_000_000_123, 1_790_000_000, 86400, 1_790_600_000)
DATA = sign_list(KEY, KEY.kid, TYP, FRAME, {-70000: b"content"})


def test_frame_and_claims_come_back() -> None:
    read = read_list(DATA, TYP, max_bytes=1000)
    read.verify(KEY.public)
    assert (read.frame, read.claims) == (FRAME, {-70000: b"content"})


def test_staleness_begins_after_the_ttl_and_the_end_at_the_expiry() -> None:
    issued = FRAME.issued_at
    assert [FRAME.is_stale(issued + age) for age in (0, 86400, 86401)] == [False, False, True]
    assert [FRAME.is_expired(FRAME.expires + late) for late in (-1, 0)] == [False, True]


def test_no_flipped_bit_is_accepted() -> None:
    accepted = 0
    for changed in each_bit_flipped(DATA):
        try:
            read_list(changed, TYP, max_bytes=1000).verify(KEY.public)
        except KeyRefusal:
            continue
        accepted += 1
    assert accepted == 0


def test_another_type_key_or_size_is_refused() -> None:
    with pytest.raises(KeyRefusal) as refused:
        read_list(DATA, "application/other+cwt", max_bytes=1000)
    assert refused.value.code == "LIST_MALFORMED"
    with pytest.raises(KeyRefusal) as refused:
        read_list(DATA, TYP, max_bytes=len(DATA) - 1)
    assert refused.value.code == "LIST_MALFORMED"
    with pytest.raises(KeyRefusal) as refused:
        read_list(DATA, TYP, max_bytes=1000).verify(Key().public)
    assert refused.value.code == "LIST_SIGNATURE"


GOOD = {2: "s", 4: 20, 6: 10, 65534: 5, -65538: 1}


@pytest.mark.parametrize(
    "claims",
    [[], {}, {**GOOD, "x": 1}, *({key: GOOD[key] for key in GOOD if key != missing} for missing in GOOD),
     {**GOOD, 2: 1}, {**GOOD, 2: "x" * 401}, {**GOOD, 4: "20"}, {**GOOD, 6: -1}, {**GOOD, 65534: True},
     {**GOOD, -65538: 1 << 53}, {**GOOD, 4: None}],
    ids=repr,
)  # fmt: skip
def test_signed_claims_without_a_proper_frame_are_malformed(claims: object) -> None:
    data = cose.sign1(KEY, KEY.kid, cose.encode(claims), typ=TYP)
    with pytest.raises(KeyRefusal) as refused:
        read_list(data, TYP, max_bytes=10_000)
    assert refused.value.code == "LIST_MALFORMED"
    for language in ("de", "en"):
        assert TYP in refused.value.sentence(language)


def test_a_claim_cannot_overwrite_the_frame() -> None:
    with pytest.raises(ValueError, match="frame"):
        sign_list(KEY, KEY.kid, TYP, FRAME, {4: 1})
    assert (
        read_list(sign_list(KEY, KEY.kid, TYP, replace(FRAME, ttl=0), {}), TYP, max_bytes=999).frame.ttl == 0
    )


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(KeyRefusal):
        read_list(data, TYP, max_bytes=1000)
