"""What a verifier remembers between runs: the pinned root, the newest lists seen, statuses seen invalid.

The memory is what makes a roll-back visible: an attacker can hand over yesterday's list, but not make
the device forget today's. It holds no plate, no place and no time of a check.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from keys.errors import Refusal
from keys.identity import public_key_from_spki
from passes.status_list import Status

_VERSION = 1
_MAX_BYTES = 8 * 1024 * 1024
# Enough for every pass a city revokes in years; the oldest go first.
_MAX_SEEN = 100_000


@dataclass(slots=True)
class State:
    """The memory of one verifier. Times are seconds since 1970."""

    root_spki: bytes | None = None
    sequences: dict[str, int] = field(default_factory=dict)
    newest_issued_at: dict[str, int] = field(default_factory=dict)
    seen_invalid: dict[str, tuple[int, int]] = field(default_factory=dict)
    changed: bool = False

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
                self.changed = True
        elif known is None or sequence > known[1]:
            self.seen_invalid[entry] = (status, sequence)
            while len(self.seen_invalid) > _MAX_SEEN:
                del self.seen_invalid[next(iter(self.seen_invalid))]
            self.changed = True

    def seen_status(self, number: int, index: int) -> tuple[int, int] | None:
        """The invalid status (status, sequence) seen for an entry, or None."""
        return self.seen_invalid.get(f"{number}:{index}")


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
    """Write the memory aside and rename it. Raises OSError where the folder cannot be written."""
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
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
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
    state.changed = False
