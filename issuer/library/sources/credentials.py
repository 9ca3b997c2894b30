"""Passwords and tokens for the library's system: each on the first line of a file that only its owner may read."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from issuer.library.sources.patron import SourceUnavailable
from keys.errors import Refusal
from keys.private_files import read_private

_LONGEST: Final = 4096


def first_line(path: Path) -> str:
    """The secret in the file. Raises SourceUnavailable LIBRARY_CREDENTIALS for one that is missing, empty or open."""
    try:
        text = read_private(path, _LONGEST).decode().partition("\n")[0].rstrip("\r")
    except (OSError, Refusal, UnicodeDecodeError) as fault:
        raise SourceUnavailable("LIBRARY_CREDENTIALS") from fault
    if not text:
        raise SourceUnavailable("LIBRARY_CREDENTIALS")
    return text
