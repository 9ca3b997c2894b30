"""The service's own secret: what keyed hashes of links, codes, keys and tokens are made with.

It lies beside the register, not in it, so that a copy of the database alone opens nothing. All machines that serve
one register need the same file; a backup contains it, encrypted as the whole backup is.
"""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path
from typing import Final

from keys.private_files import create_private, read_private

FILE_NAME: Final = "service.key"
_BYTES: Final = 32


def service_secret(folder: Path) -> bytes:
    """The 32 bytes in ``folder``, made at the first call. Raises KeyRefusal for a file open to others."""
    path = folder / FILE_NAME
    if not path.exists():
        with contextlib.suppress(FileExistsError):
            create_private(path, secrets.token_bytes(_BYTES))
    return read_private(path, _BYTES)
