"""Whatever a library's system sends becomes an answer or a typed refusal; messages survive the way there and back."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import date
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuer.bounded_http import Answer
from issuer.configuration import LibraryConfig
from issuer.configuration_checks import _check_library
from issuer.errors import IssuerRefusal
from issuer.library.sources import paia_answers, sip2_answers
from issuer.library.sources.patron import PatronUnknown, SourceMisbehaves, SourceUnavailable, may_be_asked
from issuer.library.sources.sip2_messages import FIXED, Message, checksum, encode, parse

DAY = date(2026, 11, 20)
TYPED = (PatronUnknown, SourceMisbehaves, SourceUnavailable)
_PLAIN = st.text(
    st.characters(
        min_codepoint=32,
        max_codepoint=0x24F,
        exclude_characters="|\x7f",
        exclude_categories=("C", "Zl", "Zp"),
    ),
    max_size=30,
)
_NAMES = st.lists(st.sampled_from(["AO", "AA", "AE", "BL", "BV", "PA", "PC", "BH", "CQ", "BX"]), unique=True)
_PARTS = st.text("Y N0123456789Z", min_size=60, max_size=60)


@st.composite
def messages(draw: st.DrawFn) -> Message:
    code = draw(st.sampled_from(sorted(FIXED.keys() - {"96"})))
    fields = tuple((name, draw(_PLAIN)) for name in draw(_NAMES))
    return Message(code, draw(_PARTS)[: FIXED[code]], fields)


@given(messages(), st.integers(0, 9) | st.none(), st.sampled_from(["utf-8", "iso-8859-1", "cp850"]))
def test_there_and_back(message: Message, sequence: int | None, encoding: str) -> None:
    try:
        data = encode(message, sequence, encoding)
    except UnicodeEncodeError:
        return
    assert data.endswith(b"\r")
    assert data.count(b"\r") == 1
    assert parse(data[:-1], sequence, encoding) == message


@given(messages(), st.integers(0, 9), st.data())
def test_any_changed_byte_is_noticed(message: Message, sequence: int, data: st.DataObject) -> None:
    line = bytearray(encode(message, sequence, "utf-8")[:-1])
    place = data.draw(st.integers(0, len(line) - 1))
    line[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SourceMisbehaves):
        if parse(bytes(line), sequence, "utf-8").code == "96":
            # The request to send again is no answer.
            raise SourceMisbehaves("LIBRARY_RESEND")


@given(st.binary(max_size=300), st.booleans(), st.sampled_from(["utf-8", "iso-8859-1", "cp850"]))
def test_any_bytes_as_a_message(data: bytes, checked: bool, encoding: str) -> None:
    with suppress(SourceMisbehaves):
        parse(data, 0 if checked else None, encoding)


@given(messages(), st.sampled_from(["24", "64"]), _PLAIN)
def test_any_message_as_a_patron(message: Message, code: str, number: str) -> None:
    for read in (
        lambda: sip2_answers.patron_of(message, code, number, DAY),
        lambda: sip2_answers.messages_of(message),
        lambda: sip2_answers.check_login(message),
    ):
        with suppress(*TYPED):
            read()


@pytest.mark.parametrize(
    ("data", "digits"),
    [
        # Messages of two other implementations, with the checksums that they send.
        (b"9300CNLoginUserID|COLoginPassword|CPLocationCode|AY5AZ", b"EC7B"),
        (b"3720180723    0946110102USDBV2.34|AOBanjo|AApaul|AC|ADfoo|AY0AZ", b"EE70"),
    ],
)
def test_checksums(data: bytes, digits: bytes) -> None:
    assert checksum(data) == digits


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_KNOWN = st.fixed_dictionaries(
    {},
    optional={
        name: _JSON | st.sampled_from(["2027-01-01", "x", "2.50 EUR", "read_patron", "Bearer", 0, 3, 7])
        for name in (
            "name", "status", "expires", "type", "note", "amount", "error", "access_token", "token_type",
            "patron", "scope", "expires_in",
        )
    },
)  # fmt: skip


@given(
    st.sampled_from([200, 201, 204, 301, 400, 401, 403, 404, 418, 429, 500, 503]),
    _KNOWN.map(lambda value: json.dumps(value).encode())
    | _JSON.map(msgspec.json.encode)
    | st.binary(max_size=80),
    st.sampled_from(["application/json", "application/json; charset=utf-8", "text/html", ""]),
)
def test_any_answer_as_paia(status: int, body: bytes, kind: str) -> None:
    answer = Answer(status, body, kind)
    for read in (
        lambda: paia_answers.patron_of(answer, "17", DAY),
        lambda: paia_answers.fees_of(answer),
        lambda: paia_answers.login_of(answer),
    ):
        with suppress(*TYPED):
            read()


@given(st.text(max_size=50))
def test_numbers_that_may_be_asked_can_be_sent(number: str) -> None:
    if may_be_asked(number):
        fields = (("AA", number),)
        sent = encode(Message("23", " " * 21, fields), 0, "utf-8")
        assert parse(sent[:-1], 0, "utf-8").fields == fields


@pytest.mark.parametrize(
    "settings",
    [
        {"source": "paia"},
        {"source": "paia", "url": "https://x.example/core"},
        {"source": "paia", "url": "https://x.example/core", "login_url": "https://x.example/auth"},
        {
            "source": "paia",
            "url": "https://x.example/core",
            "login_url": "https://x.example/auth",
            "user": "u",
            "password_file": "p",
            "token_file": "t",
        },
        {"source": "paia", "url": "https://x.example/core", "token_file": "t", "token_per_patron": True},
        {"source": "sip2"},
        {"source": "sip2", "host": "sip.example", "tls": False},
        {"source": "sip2", "host": "sip.example", "user": "u"},
    ],
)
def test_settings_that_cannot_work(settings: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(IssuerRefusal) as caught:
        _check_library(msgspec.convert(settings, LibraryConfig), tmp_path)
    assert caught.value.code == "CONFIG_INVALID"


def test_plain_sip2_to_another_machine_needs_a_word(tmp_path: Path) -> None:
    config = msgspec.convert(
        {"source": "sip2", "host": "sip.example", "tls": False, "allow_plain": True}, LibraryConfig
    )
    _check_library(config, tmp_path)
