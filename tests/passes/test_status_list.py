import zlib

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys import cose_generic
from keys.errors import Refusal
from keys.signed_list import ListFrame, sign_list
from passes.status_list import (
    ENTRIES,
    TYP,
    Status,
    StatusList,
    StatusListRefused,
    pack,
    read_status_list,
    sign_status_list,
    verified_status_list,
)
from tests.trust_factory import Key

KEY = Key()
FRAME = ListFrame("https://passes.example/status/1", 7, 1_790_000_000, 86400, 1_790_600_000)


def read(data: bytes) -> StatusList:
    return verified_status_list(read_status_list(data), KEY.public)


def test_example_of_the_draft_for_two_bits() -> None:
    # draft-ietf-oauth-status-list-21, 4.1: these twelve values are the bytes c9 44 f9.
    values = [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]
    assert pack((index, Status(value)) for index, value in enumerate(values))[:3].hex() == "c944f9"


@given(st.dictionaries(st.integers(0, ENTRIES - 1), st.sampled_from(Status), max_size=20))
def test_every_entry_is_found_here_and_by_a_foreign_reader(entries: dict[int, Status]) -> None:
    data = sign_status_list(KEY, KEY.kid, FRAME, entries.items())
    listed = read(data)
    claims = cose_generic.claims_of(cose_generic.verify_foreign(data, KEY.public))
    foreign = cose_generic.status_list(claims)
    for index in {*entries, 0, ENTRIES - 1}:
        assert listed[index] is entries.get(index, Status.VALID)
        assert foreign[index] == listed[index]
    assert dict(listed.not_valid()) == {
        index: one for index, one in entries.items() if one is not Status.VALID
    }
    assert claims[2] == FRAME.subject


def test_the_last_word_on_an_entry_counts() -> None:
    data = sign_status_list(
        KEY, KEY.kid, FRAME, [(5, Status.SUPERSEDED), (5, Status.SUSPENDED), (6, Status.INVALID)]
    )
    assert read(data)[5] is Status.SUSPENDED
    assert read(data)[4] is Status.VALID


def test_type_header_is_the_registered_one() -> None:
    tag = cbor2.loads(sign_status_list(KEY, KEY.kid, FRAME, []))
    assert cbor2.loads(tag.value[0])[16] == "application/statuslist+cwt"


@pytest.mark.parametrize("index", [-1, ENTRIES])
def test_no_entry_outside_the_list(index: int) -> None:
    with pytest.raises(StatusListRefused):
        pack([(index, Status.INVALID)])
    with pytest.raises(IndexError):
        read(sign_status_list(KEY, KEY.kid, FRAME, []))[index]


FULL = bytes(ENTRIES // 4)


@pytest.mark.parametrize(
    "content",
    [None, [], {}, {"bits": 1, "lst": zlib.compress(FULL)}, {"bits": 2}, {"bits": 2, "lst": "x"},
     {"bits": 2, "lst": zlib.compress(FULL), "aggregation_uri": "x"}, {"bits": 2, "lst": b"no zlib"},
     {"bits": 2, "lst": zlib.compress(FULL)[:-1]}, {"bits": 2, "lst": zlib.compress(FULL) + b"x"},
     {"bits": 2, "lst": zlib.compress(FULL + b"x")}, {"bits": 2, "lst": zlib.compress(bytes(100_000_000))}],
    ids=lambda one: repr(one)[:30],
)  # fmt: skip
def test_signed_lists_of_another_form_are_refused(content: object) -> None:
    with pytest.raises(StatusListRefused):
        read(sign_list(KEY, KEY.kid, TYP, FRAME, {65533: content}))
    with pytest.raises(StatusListRefused):
        read(sign_list(KEY, KEY.kid, TYP, FRAME, {}))


def test_another_key_is_refused() -> None:
    with pytest.raises(Refusal):
        verified_status_list(read_status_list(sign_status_list(KEY, KEY.kid, FRAME, [])), Key().public)
