"""Keys are named by URI, so that a register entry says where its key lives without holding it.

``file:NAME`` names a key of the encrypted keystore that the service opened. ``pkcs11:`` names a key in a
hardware module, in the subset of RFC 7512 that is needed to find it again: the path attributes token,
object and id and the query attribute module-path. A PIN has no place in a name and is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Self
from urllib.parse import quote, quote_from_bytes, unquote_to_bytes

from keys.errors import KeyRefusal

MAX_URI_CHARACTERS = 512

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", re.ASCII)
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
# RFC 7512 2.3: unreserved characters, the sub-delimiters and ':[]@' that need no escape in a path value.
_PATH_VALUE = re.compile(r"(?:[A-Za-z0-9._~:\[\]@!$'()*+,=-]|%[0-9A-Fa-f]{2})+", re.ASCII)
_QUERY_VALUE = re.compile(r"(?:[A-Za-z0-9._~:\[\]@!$'()*+,=/?|-]|%[0-9A-Fa-f]{2})+", re.ASCII)
_PATH_ATTRIBUTES = frozenset({"token", "object", "id"})
_QUERY_ATTRIBUTES = frozenset({"module-path"})
_MAX_ID_BYTES = 64


class Scheme(StrEnum):
    """Where a key lives."""

    FILE = "file"
    PKCS11 = "pkcs11"


def check_name(name: str) -> str:
    """Return ``name`` if it may name a key: 1 to 80 ASCII letters, digits, ``.``, ``_``, ``-``.

    The first character is a letter or digit, so that no name climbs out of its directory. Raises KeyRefusal.
    """
    if not _NAME.fullmatch(name):
        raise KeyRefusal("KEY_NAME", name=name[:80])
    return name


@dataclass(frozen=True, slots=True)
class KeyUri:
    """The name of one key, or, with no ``name`` and no ``object_id``, of the token that holds keys.

    ``name`` is the key's name in a keystore or its label in a token; ``object_id`` is CKA_ID;
    ``token`` is the token's label and ``module_path`` the PKCS#11 library, both empty for ``file``.
    ``str(uri)`` writes the one canonical spelling, and ``KeyUri.parse`` reads it back.
    """

    scheme: Scheme
    name: str = ""
    token: str = ""
    object_id: bytes = b""
    module_path: str = ""

    def __post_init__(self) -> None:
        if self.scheme is Scheme.FILE:
            check_name(self.name)
            if self.token or self.object_id or self.module_path:
                raise KeyRefusal("URI_ATTRIBUTE", attribute="token, id, module-path", scheme="file")
        else:
            for text in (self.name, self.token, self.module_path):
                if not text.isprintable():
                    raise KeyRefusal("URI_MALFORMED", uri=repr(text)[:80])
            if not (self.token or self.name or self.object_id):
                raise KeyRefusal("URI_MALFORMED", uri="pkcs11:")
            if len(self.object_id) > _MAX_ID_BYTES:
                raise KeyRefusal("URI_LONG", limit=MAX_URI_CHARACTERS)
        if len(str(self)) > MAX_URI_CHARACTERS:
            raise KeyRefusal("URI_LONG", limit=MAX_URI_CHARACTERS)

    @classmethod
    def file(cls, name: str) -> Self:
        """The URI of the key ``name`` of the encrypted keystore. Raises KeyRefusal for a bad name."""
        return cls(Scheme.FILE, name)

    @classmethod
    def pkcs11(cls, *, token: str, name: str = "", object_id: bytes = b"", module_path: str = "") -> Self:
        """The URI of a key (or of the token itself) in a hardware module. Raises KeyRefusal."""
        return cls(Scheme.PKCS11, name, token, object_id, module_path)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a URI; PKCS#11 attributes may come in any order, as RFC 7512 allows.

        Raises KeyRefusal for unknown schemes and attributes, repetitions, bad escapes and over-long text.
        """
        if len(text) > MAX_URI_CHARACTERS:
            raise KeyRefusal("URI_LONG", limit=MAX_URI_CHARACTERS)
        scheme, colon, rest = text.partition(":")
        if colon and scheme == Scheme.FILE:
            return cls.file(rest)
        if colon and scheme == Scheme.PKCS11:
            return cls._parse_pkcs11(text, rest)
        raise KeyRefusal("URI_SCHEME", uri=text[:80])

    @classmethod
    def _parse_pkcs11(cls, text: str, rest: str) -> Self:
        path, mark, query = rest.partition("?")
        if mark and not query:
            raise KeyRefusal("URI_MALFORMED", uri=text[:80])
        found = _attributes(text, path, ";", _PATH_ATTRIBUTES, _PATH_VALUE)
        found |= _attributes(text, query, "&", _QUERY_ATTRIBUTES, _QUERY_VALUE) if query else {}
        try:
            return cls(
                Scheme.PKCS11,
                name=found.get("object", b"").decode("utf-8"),
                token=found.get("token", b"").decode("utf-8"),
                object_id=found.get("id", b""),
                module_path=found.get("module-path", b"").decode("utf-8"),
            )
        except UnicodeDecodeError as error:
            raise KeyRefusal("URI_MALFORMED", uri=text[:80]) from error

    def __str__(self) -> str:
        if self.scheme is Scheme.FILE:
            return f"file:{self.name}"
        parts = [f"token={quote(self.token, safe='')}"] if self.token else []
        if self.name:
            parts.append(f"object={quote(self.name, safe='')}")
        if self.object_id:
            parts.append("id=" + "".join(f"%{octet:02X}" for octet in self.object_id))
        query = f"?module-path={quote_from_bytes(self.module_path.encode())}" if self.module_path else ""
        return f"pkcs11:{';'.join(parts)}{query}"


def _attributes(
    text: str, part: str, separator: str, allowed: frozenset[str], grammar: re.Pattern[str]
) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for item in part.split(separator):
        attribute, equals, value = item.partition("=")
        if equals and attribute not in allowed:
            raise KeyRefusal("URI_ATTRIBUTE", attribute=attribute[:40], scheme="pkcs11")
        if not equals or attribute in found or _ESCAPE.search(value) or not grammar.fullmatch(value):
            raise KeyRefusal("URI_MALFORMED", uri=text[:80])
        found[attribute] = unquote_to_bytes(value)
    return found
