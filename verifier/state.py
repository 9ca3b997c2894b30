"""What a verifier remembers between runs: the pinned root, the newest lists seen, statuses seen invalid.

The memory is what makes a roll-back visible: an attacker can hand over yesterday's list, but not make
the device forget today's. It holds no plate, no place and no time of a check. Several runs at once may share
one file: each adds what it saw to what the others wrote meanwhile.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from keys.errors import Refusal
from keys.identity import public_key_from_spki
from passes.status_list import Status

_VERSION = 1
_MAX_BYTES = 8 * 1024 * 1024
# Enough for every pass a city revokes in years; the oldest go first.
_MAX_SEEN = 100_000
# Saving takes milliseconds; who waits longer waits for something that hangs.
_LOCK_SECONDS = 5.0
_LEFTOVER_SECONDS = 3600


@dataclass(slots=True)
class State:
    """The memory of one verifier. Times are seconds since 1970.

    ``root_loaded`` and ``noted`` say what this run changed, for `save_state` to merge.
    """

    root_spki: bytes | None = None
    sequences: dict[str, int] = field(default_factory=dict)
    newest_issued_at: dict[str, int] = field(default_factory=dict)
    seen_invalid: dict[str, tuple[int, int]] = field(default_factory=dict)
    changed: bool = False
    root_loaded: bytes | None = field(default=None, compare=False, repr=False)
    noted: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def newest_time(self) -> int:
        """The newest signed time ever seen, 0 for none."""
        return max(self.newest_issued_at.values(), default=0)

    def accept(self, name: str, sequence: int, issued_at: int) -> bool:
        """Note a verified list; False for a roll-back: a sequence lower than one seen before."""
        known = self.sequences.get(name, -1)
        if sequence < known:
            return False
        if sequence > known or issued_at > self.newest_issued_at.get(name, 0):
            self.sequences[name] = sequence
            self.newest_issued_at[name] = max(issued_at, self.newest_issued_at.get(name, 0))
            self.changed = True
        return True

    def remember_status(self, number: int, index: int, status: int, sequence: int) -> None:
        """Note what a list of ``sequence`` said about an entry; a newer valid lifts an older invalid."""
        entry = f"{number}:{index}"
        known = self.seen_invalid.get(entry)
        if status == 0:
            if known is not None and sequence > known[1]:
                del self.seen_invalid[entry]
                self._note(number, index, status, sequence)
        elif known is None or sequence > known[1]:
            self.seen_invalid[entry] = (status, sequence)
            while len(self.seen_invalid) > _MAX_SEEN:
                del self.seen_invalid[next(iter(self.seen_invalid))]
            self._note(number, index, status, sequence)

    def _note(self, number: int, index: int, status: int, sequence: int) -> None:
        self.noted[number, index] = status, sequence
        self.changed = True

    def seen_status(self, number: int, index: int) -> tuple[int, int] | None:
        """The invalid status (status, sequence) seen for an entry, or None."""
        return self.seen_invalid.get(f"{number}:{index}")

    def add_to(self, other: State) -> None:
        """Add what this run saw to ``other``, the memory as it has been stored meanwhile.

        Of each list the highest sequence and the newest time count, of each entry the newest list. A root
        that another run has pinned or moved to since stays, unless this run moved it itself.
        """
        if other.root_spki in (None, self.root_loaded):
            other.root_spki = self.root_spki
        for name, sequence in self.sequences.items():
            other.sequences[name] = max(sequence, other.sequences.get(name, -1))
        for name, issued_at in self.newest_issued_at.items():
            other.newest_issued_at[name] = max(issued_at, other.newest_issued_at.get(name, 0))
        for (number, index), (status, sequence) in self.noted.items():
            other.remember_status(number, index, status, sequence)


class StateFileError(ValueError):
    """The state file exists but is none; deleting it forgets the pinned root and what was seen."""


def load_state(path: Path) -> State:
    """Read the memory; an absent file is an empty memory. Raises StateFileError for a damaged one."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return State()
    try:
        if len(data) > _MAX_BYTES:
            raise ValueError("too large")
        raw = json.loads(data)
        if raw["version"] != _VERSION:
            raise ValueError("version")
        root = raw["root"]
        root_spki = None if root is None else bytes.fromhex(root)
        if root_spki is not None:
            public_key_from_spki(root_spki)
        return State(
            root_spki=root_spki,
            root_loaded=root_spki,
            sequences={str(name): int(entry[0]) for name, entry in raw["lists"].items()},
            newest_issued_at={str(name): int(entry[1]) for name, entry in raw["lists"].items()},
            seen_invalid={
                str(name): (int(Status(entry[0])), int(entry[1])) for name, entry in raw["seen"].items()
            },
        )
    except (
        Refusal,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        OverflowError,
        RecursionError,
    ) as fault:
        raise StateFileError(str(path)) from fault


def save_state(path: Path, state: State) -> None:
    """Add the memory to what is stored in ``path``; ``state`` then holds both.

    Raises OSError where the folder cannot be written or stays locked, StateFileError where another has
    damaged the file meanwhile.
    """
    with locked(path.parent):
        if path.exists():
            stored = load_state(path)
            state.add_to(stored)
            state.root_spki, state.seen_invalid = stored.root_spki, stored.seen_invalid
            state.sequences, state.newest_issued_at = stored.sequences, stored.newest_issued_at
        _write(path, state)
        _remove_leftovers(path)
    state.root_loaded, state.changed = state.root_spki, False
    state.noted.clear()


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, where the system and the file system have locks: no file is left by it.

    Raises OSError where it stays taken for some seconds.
    """
    try:
        import fcntl  # noqa: PLC0415
    except ImportError:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        waits_until = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as fault:
                if fault.errno in (errno.ENOLCK, errno.ENOTSUP, errno.EINVAL, errno.EBADF):
                    break
                if fault.errno not in (errno.EAGAIN, errno.EACCES) or time.monotonic() > waits_until:
                    raise
            time.sleep(0.01)
        yield
    finally:
        os.close(handle)


def _write(path: Path, state: State) -> None:
    """Write the memory aside and rename it."""
    content = json.dumps(
        {
            "version": _VERSION,
            "root": None if state.root_spki is None else state.root_spki.hex(),
            "lists": {
                name: [sequence, state.newest_issued_at.get(name, 0)]
                for name, sequence in state.sequences.items()
            },
            "seen": state.seen_invalid,
        },
        separators=(",", ":"),
    )
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name + ".", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise


def _remove_leftovers(path: Path) -> None:
    """Remove what runs that were killed while saving have left; younger ones may still be written."""
    ours = re.compile(re.escape(path.name) + r"\.[a-z0-9_]{8}\.tmp")
    with contextlib.suppress(OSError):
        for one in path.parent.iterdir():
            if ours.fullmatch(one.name) and time.time() - one.stat().st_mtime > _LEFTOVER_SECONDS:
                one.unlink()
