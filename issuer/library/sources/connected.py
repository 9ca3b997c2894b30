"""The library's system that the operator has connected in ``stadtpass.toml``."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from issuer.configuration import LibraryConfig
from issuer.library.sources.guarded import Client, GuardedSource
from issuer.library.sources.paia import PaiaSource
from issuer.library.sources.patron import Patron, PatronSource
from issuer.library.sources.sip2 import Sip2Source

if TYPE_CHECKING:
    from issuer.application import Application

_log = logging.getLogger("stadtpass.library")


def source_of(application: Application) -> PatronSource | None:
    """The system that ``[library]`` names; None without one. Made once for an application, and kept."""
    return application.patron_source


def connect(config: LibraryConfig, folder: Path, now: Callable[[], datetime]) -> GuardedSource | None:
    """The system of ``config``; names of files are inside the data folder ``folder``. Nothing is asked yet."""
    client: Client
    if config.source == "paia":
        client = PaiaSource(config, folder, now)
    elif config.source == "sip2":
        if not config.tls:
            _log.warning("library's system is asked without TLS")
        client = Sip2Source(config, folder, now)
    else:
        return None
    return GuardedSource(client, config.timeout_seconds, config.desk_seconds)


def ask(source: PatronSource, card_number: str) -> Patron:
    """As `PatronSource.patron`, with somebody waiting at the desk: over within ``library.desk_seconds``."""
    quick = source.at_desk() if isinstance(source, GuardedSource) else source
    return quick.patron(card_number)
