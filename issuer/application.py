"""The running service: one tenant's data folder, opened once, with its keys, clock and prepared factories.

Web handlers and background tasks get an `Application` and nothing global. It is safe to use from several threads.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from issuer import keyring
from issuer.background.queue import enqueue
from issuer.configuration import Config
from issuer.database import reading, writing
from issuer.service_secret import service_secret
from issuer.settings import Settings, load_settings
from issuer.workspace import Workspace
from keys.lifecycle import Purpose
from keys.store import KeyManager
from passes.apple import ApplePassFactory
from passes.google import GooglePassFactory
from passes.pass_types import PassType, PassTypes

if TYPE_CHECKING:
    from issuer.library.sources.guarded import GuardedSource
    from issuer.rules.sources.protocols import Sources
    from issuer.sealing import RegisterSealer

Clock = Callable[[], datetime]
Json = dict[str, Any]


def system_clock() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)


@dataclass
class Application:
    """One tenant's service. ``now()`` is the only clock that handlers and tasks read."""

    workspace: Workspace
    keys: KeyManager
    secret: bytes = field(repr=False)
    now: Clock = system_clock
    _factories: dict[tuple[Any, ...], Any] = field(default_factory=dict, repr=False)
    # It keeps a connection, so it is made once: the outer None is "not yet", the inner one "none is connected".
    _library: tuple[GuardedSource | None] | None = field(default=None, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    @contextmanager
    def open(cls, folder: Path, clock: Clock = system_clock) -> Iterator[Application]:
        """Open the data folder and its keys for as long as the service runs.

        Raises IssuerRefusal, KeyRefusal as `Workspace` does.
        """
        workspace = Workspace.open(folder)
        try:
            with workspace.keys() as manager:
                application = cls(workspace, manager, service_secret(folder), clock)
                try:
                    yield application
                finally:
                    application._let_go()
        finally:
            workspace.close()

    @property
    def tenant(self) -> str:
        """The tenant that everything here belongs to: part of every query."""
        return self.workspace.tenant

    @property
    def engine(self) -> Engine:
        """The register."""
        return self.workspace.engine

    @property
    def config(self) -> Config:
        """What the operator has set."""
        return self.workspace.config

    @property
    def pass_types(self) -> PassTypes:
        """The pass types of the installation."""
        return self.workspace.pass_types

    def reading(self) -> AbstractContextManager[Session]:
        """As `issuer.database.reading`."""
        return reading(self.engine)

    def writing(self) -> AbstractContextManager[Session]:
        """As `issuer.database.writing`: keep it short, everybody else waits."""
        return writing(self.engine)

    def settings(self, session: Session) -> Settings:
        """The city's settings as they are now."""
        return load_settings(session, self.tenant)

    def derived(self, purpose: str, *parts: str) -> bytes:
        """32 secret bytes that follow from the service's secret, ``purpose`` and ``parts``."""
        message = b"".join(
            len(one.encode()).to_bytes(4, "big") + one.encode() for one in (self.tenant, purpose, *parts)
        )
        return hmac.digest(self.secret, message, "sha256")

    def hash_secret(self, purpose: str, secret: str) -> str:
        """What is stored of a link, code, key or token: 64 hex digits, worthless without the service's secret."""
        return hmac.new(self.derived("hash", purpose), secret.encode(), hashlib.sha256).hexdigest()

    def enqueue(
        self, session: Session, task: str, payload: Json, *, delay_seconds: float = 0, once: str = ""
    ) -> bool:
        """Queue a background task in the caller's writing transaction; see `issuer.background.queue`."""
        return enqueue(session, self.tenant, task, payload, delay_seconds=delay_seconds, once=once)

    def sealer(self, session: Session, pass_type: PassType) -> RegisterSealer:
        """The sealer for ``pass_type`` with the key active now. Raises IssuerRefusal, KeyRefusal."""
        from issuer.sealing import sealer_for  # noqa: PLC0415 - sealing imports nothing of the service

        return sealer_for(session, self.tenant, pass_type, self.keys, self.now())

    def apple_factory(self, session: Session, type_id: str) -> ApplePassFactory:
        """What makes and signs Apple passes of a type, prepared once for each certificate and settings.

        Raises IssuerRefusal NO_SIGNING_KEY, and KeyRefusal for a certificate that has expired or does not fit.
        """
        at = self.now()
        record = keyring.signing_record(session, self.tenant, Purpose.APPLE_PASS, at)
        city = self.settings(session).city(self.tenant)

        def make() -> ApplePassFactory:
            identity = keyring.apple_identity(record, self.keys)
            identity.check(city.apple_pass_type_identifier, city.apple_team_identifier, at)
            return ApplePassFactory(
                self.pass_types[type_id], city, identity.certificate, identity.chain, identity.signer
            )

        made: ApplePassFactory = self.kept(("apple", type_id, record.kid, city), make)
        return made

    def google_factory(self, session: Session, type_id: str) -> GooglePassFactory:
        """What makes Google objects of a type, prepared once for each state of the settings. Raises PassRefusal."""
        city = self.settings(session).city(self.tenant)
        callback = f"{city.base_url}/google/callback"
        made: GooglePassFactory = self.kept(
            ("google", type_id, city),
            lambda: GooglePassFactory(self.pass_types[type_id], city, callback_url=callback),
        )
        return made

    @property
    def sources(self) -> Sources:
        """The residents' and the vehicle register, as far as the operator has connected them."""
        from issuer.rules.sources.connected import connected_sources  # noqa: PLC0415 - only where it is asked

        config = self.config.sources
        made: Sources = self.kept(
            ("sources", config), lambda: connected_sources(config, self.workspace.folder)
        )
        return made

    @property
    def patron_source(self) -> GuardedSource | None:
        """The library's own system, if the operator has connected one; see `issuer.library.sources`."""
        from issuer.library.sources.connected import connect  # noqa: PLC0415 - only where it is asked

        with self._lock:
            if self._library is None:
                self._library = (connect(self.config.library, self.workspace.folder, self.now),)
            return self._library[0]

    def _let_go(self) -> None:
        with self._lock:
            if self._library is not None and self._library[0] is not None:
                self._library[0].close()

    def kept(self, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        """What ``make`` gives, made once for ``key`` as long as it is asked for."""
        with self._lock:
            if key not in self._factories:
                if len(self._factories) >= _FACTORIES:
                    self._factories.clear()
                self._factories[key] = make()
            return self._factories[key]


# Settings change rarely; whatever is no longer asked for must not stay for ever.
_FACTORIES: Final = 64
