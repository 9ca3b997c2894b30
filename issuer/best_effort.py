"""Notes of use, which a request that only reads makes on the side: it is answered whether or not they can be written.

A full disk or a busy writer must not keep a warden from the plate list. What the next request notes again is not
missed; whatever has to be on record for good belongs into a transaction that may fail.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from sqlalchemy.exc import InternalError, OperationalError
from sqlalchemy.orm import Session

from issuer import counters
from issuer.application import Application
from issuer.database import writing
from issuer.errors import RegisterRefusal

# Who reads does not stand in line behind those who write.
_PATIENCE_SECONDS: Final = 0.25
_told: Final[set[str]] = set()
_log = logging.getLogger("stadtpass.service")


def note_if_possible(application: Application, kind: str, write: Callable[[Session], object]) -> bool:
    """Have ``write`` note something in a transaction of its own; says whether it is stored.

    What is lost is counted by ``kind``, a fixed word, and told in the log once for each process.
    """
    try:
        with writing(application.engine, patience_seconds=_PATIENCE_SECONDS) as session:
            write(session)
    # InternalError: PostgreSQL while it only reads, as after a switch to the other server.
    except (RegisterRefusal, OperationalError, InternalError):
        counters.NOTES_LOST.labels(kind).inc()
        if kind not in _told:
            _told.add(kind)
            _log.warning("a note of use could not be written", extra={"kind": kind})
        return False
    return True
