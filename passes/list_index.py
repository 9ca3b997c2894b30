"""The signed index of status lists: seals carry a short list number, the index says which list that is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec

from keys import cose
from keys.signed_list import ListFrame, UnverifiedList, read_list, sign_list
from passes.errors import PassRefusal

TYP = "application/stadtpass-index+cwt"
MAX_BYTES = 256 * 1024
_LISTS = -65540


@dataclass(frozen=True, slots=True)
class IndexedList:
    """Where a list is and which one it was when the index was signed."""

    uri: str
    sha256: bytes
    sequence: int


@dataclass(frozen=True, slots=True)
class ListIndex:
    """A verified index: list number -> list."""

    frame: ListFrame
    lists: Mapping[int, IndexedList]


def digest(data: bytes) -> bytes:
    """SHA-256 of a signed list's bytes, as the index holds it."""
    return hashlib.sha256(data).digest()


def sign_index(
    signer: cose.Es256Signer, kid: bytes, frame: ListFrame, lists: Mapping[int, IndexedList]
) -> bytes:
    """The signed index."""
    entries = {number: [one.uri, one.sha256, one.sequence] for number, one in lists.items()}
    return sign_list(signer, kid, TYP, frame, {_LISTS: entries})


def read_index(data: bytes) -> UnverifiedList:
    """Read an index without checking its signature. Raises KeyRefusal LIST_MALFORMED."""
    return read_list(data, TYP, max_bytes=MAX_BYTES)


def verified_index(unverified: UnverifiedList, public_key: ec.EllipticCurvePublicKey) -> ListIndex:
    """Check the signature and give the index. Raises KeyRefusal LIST_SIGNATURE, PassRefusal INDEX_FORM."""
    unverified.verify(public_key)
    entries = unverified.claims.get(_LISTS)
    if not isinstance(entries, dict):
        raise PassRefusal("INDEX_FORM")
    lists: dict[int, IndexedList] = {}
    for number, entry in entries.items():
        if type(number) is not int or not isinstance(entry, list) or len(entry) != 3:
            raise PassRefusal("INDEX_FORM")
        uri, sha256, sequence = entry
        if not isinstance(uri, str) or not isinstance(sha256, bytes) or type(sequence) is not int:
            raise PassRefusal("INDEX_FORM")
        lists[number] = IndexedList(uri, sha256, sequence)
    return ListIndex(unverified.frame, lists)
