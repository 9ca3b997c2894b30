import pytest
from hypothesis import given
from hypothesis import strategies as st

from passes import base45
from passes.base45 import Base45Error, decode, encode

# RFC 9285, section 4.3 and 4.4.
RFC = [(b"AB", "BB8"), (b"Hello!!", "%69 VD92EX0"), (b"base-45", "UJCLQE7W581"), (b"ietf!", "QED8WEX0")]


@pytest.mark.parametrize(("data", "text"), RFC)
def test_examples_of_the_rfc(data: bytes, text: str) -> None:
    assert encode(data) == text
    assert decode(text) == data


@given(st.binary(max_size=300))
def test_bytes_survive(data: bytes) -> None:
    text = encode(data)
    assert decode(text) == data
    assert set(text.encode()) <= set(base45.ALPHABET)


@given(st.text(base45.ALPHABET.decode(), max_size=60))
def test_a_text_that_is_read_is_the_only_one_for_its_bytes(text: str) -> None:
    try:
        data = decode(text)
    except Base45Error:
        return
    assert encode(data) == text


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        assert encode(decode(text)) == text
    except Base45Error:
        return


@pytest.mark.parametrize(
    "text", ["A", "AAAA", "bb8", "BB8\n", "ÄB8", "B\x008", "GGW", ":::", "V5", "::", "B🚗8"]
)
def test_refuses_what_no_bytes_have(text: str) -> None:
    with pytest.raises(Base45Error):
        decode(text)


def test_the_largest_groups() -> None:
    assert decode("FGW") == b"\xff\xff"
    assert decode("U5") == b"\xff"
