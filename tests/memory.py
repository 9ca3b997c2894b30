"""Where files of tests go: into memory, if there is room."""

from __future__ import annotations

import shutil
from pathlib import Path

# The databases and cities of one worker's tests, several times over: each worker of pytest has its own.
_NEEDED = 4 * 1024**3


def roomy_memory() -> str | None:
    """The folder of files in memory if it has room.

    Copying a database there takes a tenth of the time, and waiting until a disk has written none at all.
    """
    memory = Path("/dev/shm")
    return str(memory) if memory.is_dir() and shutil.disk_usage(memory).free > _NEEDED else None
