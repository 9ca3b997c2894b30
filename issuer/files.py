"""Writing files so that nobody ever reads half of one: aside, then renamed.

A process that is killed while it writes leaves its file aside. Whoever writes holds a lock on it, so that
`remove_leftovers` takes away only what nobody writes any more.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
from pathlib import Path

_ASIDE = re.compile(r"\..+\.[0-9a-f]{16}")


def write_atomically(path: Path, data: bytes, *, mode: int = 0o644, sync: bool = True) -> None:
    """Replace ``path`` by ``data`` in one step; ``sync`` makes it last through a power cut.

    Raises OSError as the file system does; the old file then stays as it was.
    """
    temporary, handle = _aside(path, mode)
    try:
        # The lock lasts until the file has its name: only then is it closed.
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            if sync:
                os.fsync(file.fileno())
            temporary.replace(path)
        if sync:
            sync_folder(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def sync_folder(folder: Path) -> None:
    """Make new and renamed files of ``folder`` last through a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_leftovers(folder: Path) -> int:
    """Remove what killed processes have left aside in ``folder``; says how many files that were."""
    removed = 0
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if _ASIDE.fullmatch(entry.name)]
    for name in names:
        # A file that somebody writes, or that is gone meanwhile, is left alone.
        with contextlib.suppress(OSError):
            handle = os.open(folder / name, os.O_RDWR)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                (folder / name).unlink()
                removed += 1
            finally:
                os.close(handle)
    return removed


def _aside(path: Path, mode: int) -> tuple[Path, int]:
    """A new, locked file beside ``path``."""
    while True:
        temporary = path.parent / f".{path.name}.{secrets.token_hex(8)}"
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            # Between creating and locking it somebody may have taken it for a leftover.
            if os.fstat(handle).st_nlink:
                return temporary, handle
        os.close(handle)
