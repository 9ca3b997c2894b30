import hashlib

import pytest

from keys.errors import Refusal
from keys.signed_list import ListFrame, sign_list
from passes.list_index import TYP, IndexedList, digest, read_index, sign_index, verified_index
from tests.trust_factory import Key

KEY = Key()
FRAME = ListFrame("index", 7, 1_790_000_000, 86400, 1_790_600_000)


def test_lists_come_back_by_number() -> None:
    first = IndexedList("https://passes.example/status/1", digest(b"a"), 5)
    lists = {1: first, 65535: IndexedList("u", digest(b""), 0)}
    read = verified_index(read_index(sign_index(KEY, KEY.kid, FRAME, lists)), KEY.public)
    assert (read.lists, read.frame) == (lists, FRAME)
    assert lists[1].sha256 == hashlib.sha256(b"a").digest()


@pytest.mark.parametrize(
    "entries",
    [None, [], 1, {"1": ["u", b"", 1]}, {1: []}, {1: ["u", b""]}, {1: [b"u", b"", 1]}, {1: ["u", "", 1]},
     {1: ["u", b"", True]}, {1: {0: "u", 1: b"", 2: 1}}],
    ids=repr,
)  # fmt: skip
def test_signed_indexes_of_another_form_are_refused(entries: object) -> None:
    data = sign_list(KEY, KEY.kid, TYP, FRAME, {-65540: entries})
    with pytest.raises(Refusal) as refused:
        verified_index(read_index(data), KEY.public)
    assert refused.value.code == "INDEX_FORM"


def test_another_key_is_refused() -> None:
    with pytest.raises(Refusal) as refused:
        verified_index(read_index(sign_index(KEY, KEY.kid, FRAME, {})), Key().public)
    assert refused.value.code == "LIST_SIGNATURE"
