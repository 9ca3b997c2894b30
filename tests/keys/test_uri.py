import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.errors import KeyRefusal
from keys.uri import MAX_URI_CHARACTERS, KeyUri, Scheme

label = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=8).filter(
    str.isprintable
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("file:seal-2026.1", KeyUri.file("seal-2026.1")),
        (
            "pkcs11:token=Stadt%20M%C3%BCnster;object=seal-1;id=%01%fF?module-path=/usr/lib/p11.so",
            KeyUri.pkcs11(
                token="Stadt Münster", name="seal-1", object_id=b"\x01\xff", module_path="/usr/lib/p11.so"
            ),
        ),
        # RFC 7512 2.3: the order of path attributes does not matter
        ("pkcs11:id=%01;token=T", KeyUri.pkcs11(token="T", object_id=b"\x01")),
    ],
)
def test_a_uri_names_a_key(text: str, expected: KeyUri) -> None:
    assert KeyUri.parse(text) == expected


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "URI_SCHEME"),
        ("seal-1", "URI_SCHEME"),
        ("FILE:seal-1", "URI_SCHEME"),
        ("https://example.org/key", "URI_SCHEME"),
        ("file:", "KEY_NAME"),
        ("file:../root", "KEY_NAME"),
        ("file:a/b", "KEY_NAME"),
        ("file:.hidden", "KEY_NAME"),
        ("file:schlüssel", "KEY_NAME"),
        ("file:a\n", "KEY_NAME"),
        ("file:" + "a" * 81, "KEY_NAME"),
        ("pkcs11:", "URI_MALFORMED"),
        ("pkcs11:token=T;token=U", "URI_MALFORMED"),
        ("pkcs11:token=", "URI_MALFORMED"),
        ("pkcs11:token=T;", "URI_MALFORMED"),
        ("pkcs11:token=T?", "URI_MALFORMED"),
        ("pkcs11:token=%4", "URI_MALFORMED"),
        ("pkcs11:token=%FF", "URI_MALFORMED"),
        ("pkcs11:token=a%00b", "URI_MALFORMED"),
        ("pkcs11:token=T;pin-value=1234", "URI_ATTRIBUTE"),
        ("pkcs11:token=T?pin-value=1234", "URI_ATTRIBUTE"),
        ("pkcs11:module-path=/lib;token=T", "URI_ATTRIBUTE"),
        ("pkcs11:token=" + "T" * MAX_URI_CHARACTERS, "URI_LONG"),
    ],
)
def test_everything_else_is_refused(text: str, code: str) -> None:
    with pytest.raises(KeyRefusal) as refusal:
        KeyUri.parse(text)
    assert refusal.value.code == code
    assert "1234" not in refusal.value.sentence("de") + str(refusal.value)


@given(label, label, st.binary(max_size=20), label)
def test_every_uri_survives_being_written(token: str, name: str, object_id: bytes, path: str) -> None:
    if not (token or name or object_id):
        return
    uri = KeyUri.pkcs11(token=token, name=name, object_id=object_id, module_path=path)
    assert KeyUri.parse(str(uri)) == uri


@given(st.text(max_size=60) | st.from_regex(r"pkcs11:(token|object|id)=[a-z%0-9]{1,9}[;?].{0,20}"))
def test_text_is_read_or_refused(text: str) -> None:
    try:
        uri = KeyUri.parse(text)
    except KeyRefusal:
        return
    assert KeyUri.parse(str(uri)) == uri


def test_a_file_key_has_no_token() -> None:
    with pytest.raises(KeyRefusal, match="URI_ATTRIBUTE"):
        KeyUri(Scheme.FILE, "seal", token="T")
