"""Files that only their owner may read: bounded reads, and writes that a crash cannot leave half done."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from keys.errors import KeyRefusal

FILE_MODE = 0o600
DIRECTORY_MODE = 0o700
_OTHERS = 0o077


def check_directory(directory: Path) -> None:
    """Raise KeyRefusal unless ``directory`` exists and is closed to everyone but its owner."""
    if not directory.is_dir():
        raise KeyRefusal("KEYSTORE_MISSING", directory=directory)
    if directory.stat().st_mode & _OTHERS:
        raise KeyRefusal("DIRECTORY_OPEN_TO_OTHERS", directory=directory)


def read_private(path: Path, limit: int) -> bytes:
    """The contents of a regular file of at most ``limit`` bytes that only its owner may read.

    Raises KeyRefusal for a file that is too large, not regular, or open to others; OSError as `open` does.
    """
    with path.open("rb") as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > limit:
            raise KeyRefusal("FILE_NOT_EXPECTED", path=path, limit=limit)
        if status.st_mode & _OTHERS:
            raise KeyRefusal("FILE_OPEN_TO_OTHERS", path=path)
        return stream.read(limit)


def replace_private(path: Path, content: bytes) -> None:
    """Put ``content`` at ``path`` with mode 0600: written aside, synced, renamed, directory synced."""
    aside = _write_aside(path, content)
    try:
        aside.replace(path)
    except OSError:
        aside.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def create_private(path: Path, content: bytes) -> None:
    """As `replace_private`, but raises FileExistsError if ``path`` exists, however it came there."""
    aside = _write_aside(path, content)
    try:
        # A hard link fails on an existing target, which a rename would silently replace.
        os.link(aside, path)
    finally:
        aside.unlink()
    _sync_directory(path.parent)


def _write_aside(path: Path, content: bytes) -> Path:
    aside = path.with_name(f".{path.name[:120]}.{secrets.token_hex(8)}.new")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        aside.unlink()
        raise
    return aside


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
