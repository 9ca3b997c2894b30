"""Codes by the vectors of RFC 6238, and passwords by the rules."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuer.errors import IssuerRefusal
from issuer.staff.accounts import normalised_login
from issuer.staff.passwords import check_password, hash_password, is_outdated, is_password
from issuer.staff.second_factor import accepted_step, code_at, setup_uri, step_of

# RFC 6238, appendix B, SHA-1; the last six of its eight digits.
SECRET = b"12345678901234567890"
VECTORS = [
    (59, "287082"),
    (1111111109, "081804"),
    (1111111111, "050471"),
    (1234567890, "005924"),
    (2000000000, "279037"),
    (20000000000, "353130"),
]


@pytest.mark.parametrize(("seconds", "digits"), VECTORS)
def test_the_vectors(seconds: int, digits: str) -> None:
    assert code_at(SECRET, seconds // 30) == digits


def test_a_step_before_and_after_counts_and_none_twice() -> None:
    at = datetime(2026, 11, 20, 12, tzinfo=UTC)
    now = step_of(at)
    for ahead, counts in ((-2, False), (-1, True), (0, True), (1, True), (2, False)):
        found = accepted_step(SECRET, code_at(SECRET, now + ahead), at, None)
        assert found == (now + ahead if counts else None)
    assert accepted_step(SECRET, code_at(SECRET, now), at, now) is None
    assert accepted_step(SECRET, code_at(SECRET, now + 1), at, now) == now + 1


@given(st.text(max_size=20))
def test_any_text_can_be_asked(text: str) -> None:
    found = accepted_step(SECRET, text, datetime(2026, 1, 1, tzinfo=UTC), None)
    assert found is None or text.replace(" ", "").isdigit()


def test_what_apps_read() -> None:
    assert setup_uri("Stadt Köln", "a@b", SECRET) == (
        "otpauth://totp/Stadt%20K%C3%B6ln%3Aa%40b?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Stadt%20K%C3%B6ln"
    )


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("elfzeichen1", "STAFF_PASSWORD_SHORT"),
        ("x" * 129, "STAFF_PASSWORD_LONG"),
        ("Passwort1234!", "STAFF_PASSWORD_COMMON"),
        ("aaaaaaaaaaaaaa", "STAFF_PASSWORD_COMMON"),
        ("abcabcabcabcabc", "STAFF_PASSWORD_COMMON"),
        ("abcdefghijklmn", "STAFF_PASSWORD_COMMON"),
        ("987654321098", "STAFF_PASSWORD_COMMON"),
        ("Erika.Muster2026", "STAFF_PASSWORD_NAME"),
        ("zwölf zeichen\n", "STAFF_PASSWORD_CHARACTERS"),
    ],
)
def test_passwords_that_are_refused(password: str, code: str) -> None:
    with pytest.raises(IssuerRefusal) as refused:
        check_password(password, "erika.muster@stadt.example", "Erika Muster")
    assert refused.value.code == code


@pytest.mark.parametrize(
    "password",
    ["drei Ampeln hinter Kaarst", "Erika fährt gern Fahrrad", "ÄÖÜäöüßßßßẞ!", "🚲🚲🚗🅿️ genug davon"],
)
def test_passwords_that_are_taken(password: str) -> None:
    check_password(password, "erika.muster@stadt.example", "Erika Muster")


def test_what_is_stored() -> None:
    stored = hash_password("Schlüssel zum Glück")
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert not is_outdated(stored)
    # The same letters from another keyboard.
    assert is_password(stored, "Schlu\u0308ssel zum Glu\u0308ck")
    assert not is_password(stored, "schlüssel zum glück")
    assert not is_password(None, "")
    assert not is_password("nonsense", "Schlüssel zum Glück")
    assert not is_password(stored, "x" * 1000)


@pytest.mark.parametrize(
    ("typed", "login"),
    [
        (" Erika.Muster@Stadt.Example ", "erika.muster@stadt.example"),
        ("Jürgen", "jürgen"),
        ("ＥＲＩＫＡ", "erika"),
        ("a b", ""),
        ("@x", ""),
        ("", ""),
        ("x" * 101, ""),
        ("<b>", ""),
        ("a\u202eb", ""),
    ],
)
def test_log_in_names(typed: str, login: str) -> None:
    assert normalised_login(typed) == login
