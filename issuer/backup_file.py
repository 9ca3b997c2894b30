"""The file that a backup is: encrypted, written and read in one go without ever holding it whole.

Layout: one line that names the format; one line of JSON with what the secret needs; then chunks of 64 KiB under
AES-256-GCM, as in the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár, 2015): the nonce counts the chunks
and marks the last, so that chunks cannot be swapped, repeated, left out or cut off at the end. The key of the file is
random and wrapped by the secret's key-encryption key (`keys.envelope`).
"""

from __future__ import annotations

import json
import secrets
from typing import IO, Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap

from issuer.errors import IssuerRefusal
from keys.envelope import Header, Suite, new_kek, open_kek
from keys.store import Unlock

_ENCRYPTED: Final = b"stadtpass-backup 1 aes-256-gcm\n"
_PLAIN: Final = b"stadtpass-backup 1 plain\n"
_CHUNK: Final = 64 * 1024
_TAG: Final = 16
_LONGEST_LINE: Final = 4096
_KEY_BYTES: Final = 32


class BackupDamaged(IssuerRefusal):
    """The file is no backup, not whole, or not what was written: code BACKUP_DAMAGED."""

    def __init__(self) -> None:
        super().__init__("BACKUP_DAMAGED")


class BackupWriter:
    """Writes a backup to ``file``, under ``secret`` or, with None, readable by everybody.

    To be closed after the last byte; without that, the file cannot be read. Raises KeyRefusal for a secret
    that cannot be used, OSError as the file does.
    """

    def __init__(self, file: IO[bytes], secret: Unlock | None) -> None:
        self._file = file
        self._cipher: AESGCM | None = None
        self._kept = bytearray()
        self._count = 0
        if secret is None:
            self._head = _PLAIN
        else:
            header, kek = new_kek(secret)
            key = secrets.token_bytes(_KEY_BYTES)
            told = {
                "suite": header.suite.value,
                "salt": header.salt.hex(),
                "check": header.check.hex(),
                "key": kek.wrap(key).hex(),
            }
            self._head = _ENCRYPTED + json.dumps(told, sort_keys=True).encode() + b"\n"
            self._cipher = AESGCM(key)
        file.write(self._head)

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Add ``data``; says how much that was."""
        if self._cipher is None:
            self._file.write(data)
            return len(data)
        self._kept += data
        # The last chunk has to be marked, so a full one waits until more comes.
        while len(self._kept) > _CHUNK:
            self._put(bytes(self._kept[:_CHUNK]), last=False)
            del self._kept[:_CHUNK]
        return len(data)

    def flush(self) -> None:
        """Nothing: what is not a whole chunk yet cannot be written."""

    def close(self) -> None:
        """Write the end."""
        if self._cipher is not None:
            self._put(bytes(self._kept), last=True)
            self._kept.clear()

    def _put(self, chunk: bytes, *, last: bool) -> None:
        if self._cipher is not None:
            self._file.write(self._cipher.encrypt(_nonce(self._count, last=last), chunk, self._head))
        self._count += 1


class BackupReader:
    """Reads a backup from ``file``; every byte that it gives is one that was written with the same secret.

    Raises BackupDamaged, KeyRefusal KEYSTORE_WRONG_SECRET and as `keys.envelope.open_kek` does. ``secret`` is not
    looked at for a backup that is not encrypted.
    """

    def __init__(self, file: IO[bytes], secret: Unlock | None) -> None:
        self._file = file
        self._cipher: AESGCM | None = None
        self._kept = b""
        self._next = b""
        self._count = 0
        self._ended = False
        self._head = file.readline(_LONGEST_LINE)
        if self._head == _ENCRYPTED:
            line = file.readline(_LONGEST_LINE)
            self._head += line
            self._cipher = AESGCM(_file_key(line, secret))
            self._next = file.read(_CHUNK + _TAG)
        elif self._head != _PLAIN:
            raise BackupDamaged

    def read(self, size: int = -1) -> bytes:
        """The next ``size`` bytes, fewer only at the end."""
        if self._cipher is None:
            return self._file.read(size)
        parts = [self._kept]
        have = len(self._kept)
        while not self._ended and (size < 0 or have < size):
            parts.append(self._take())
            have += len(parts[-1])
        data = b"".join(parts)
        cut = len(data) if size < 0 else size
        self._kept = data[cut:]
        return data[:cut]

    def _take(self) -> bytes:
        chunk, self._next = self._next, self._file.read(_CHUNK + _TAG)
        self._ended = not self._next
        if self._cipher is None:
            return chunk
        try:
            opened = self._cipher.decrypt(_nonce(self._count, last=self._ended), chunk, self._head)
        except (InvalidTag, ValueError):
            raise BackupDamaged from None
        self._count += 1
        return opened


def is_encrypted(file: IO[bytes]) -> bool:
    """Whether the backup at the start of the seekable ``file`` wants a secret; leaves the file at its start."""
    head = file.readline(_LONGEST_LINE)
    file.seek(0)
    return head == _ENCRYPTED


def _file_key(line: bytes, secret: Unlock | None) -> bytes:
    try:
        told: dict[str, Any] = json.loads(line)
        header = Header(Suite(told["suite"]), bytes.fromhex(told["salt"]), bytes.fromhex(told["check"]))
        wrapped = bytes.fromhex(told["key"])
    except (ValueError, KeyError, TypeError):
        raise BackupDamaged from None
    if secret is None:
        raise IssuerRefusal("BACKUP_SECRET")
    try:
        return open_kek(header, secret).unwrap(wrapped)
    except InvalidUnwrap:
        raise BackupDamaged from None


def _nonce(count: int, *, last: bool) -> bytes:
    return count.to_bytes(11, "big") + bytes([last])
