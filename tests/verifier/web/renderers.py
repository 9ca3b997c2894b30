"""What the browser's processes for pages have needed of memory."""

from __future__ import annotations

import os
import re
from pathlib import Path


def peak_memory() -> int:
    """The greatest peak, in bytes, of any page's process under this one (Linux)."""
    parents: dict[int, int] = {}
    peaks: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "status").read_text()
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue  # It has ended meanwhile.
        pid = int(folder.name)
        found = re.search(r"^PPid:\s+(\d+)", status, re.MULTILINE)
        parents[pid] = int(found[1]) if found else 0
        peak = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
        if b"--type=renderer" in command and peak:
            peaks[pid] = int(peak[1]) << 10
    own = [peak for pid, peak in peaks.items() if is_under(os.getpid(), pid, parents)]
    if not own:
        raise RuntimeError("no page's process was found")
    return max(own)


def is_under(ancestor: int, pid: int, parents: dict[int, int]) -> bool:
    while pid and pid != ancestor:
        pid = parents.get(pid, 0)
    return pid == ancestor
