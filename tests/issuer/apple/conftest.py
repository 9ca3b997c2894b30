"""A city's web service for phones, phones, and a stand-in for Apple's push service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from issuer import lifecycle, wallet_passes
from issuer.application import Application
from issuer.delivery.apple_push import close_clients
from issuer.lifecycle import Actor
from issuer.setup import DEMO_ROOT
from issuer.wallet_passes import WalletPass
from tests.apns_server import ApnsServer
from tests.apple_phone import Phone
from tests.issuer.apple.pushing import Start
from tests.service import PERMIT, City, running_numbers
from tests.web_app import create_app


@dataclass
class Desk:
    """A city whose passes are handed out and changed."""

    application: Application
    folder: Path
    web: TestClient  # type: ignore[type-arg]

    @property
    def numbers(self) -> list[str]:
        return running_numbers(self.application)

    def serial(self, number: str) -> str:
        """The serial that the pass has now."""
        with self.application.reading() as session:
            return lifecycle.current_revision(session, self.application.tenant, PERMIT, number)[1].serial

    def found(self, serial: str) -> WalletPass:
        with self.application.reading() as session:
            found = wallet_passes.find(self.application, session, serial)
        assert found is not None
        return found

    def handed_out(self, serial: str) -> bytes:
        """The pass as its holder downloads it."""
        with self.application.reading() as session:
            found = wallet_passes.find(self.application, session, serial)
            assert found is not None
            return wallet_passes.apple_pass(self.application, session, found)

    def phone(self, *numbers: str) -> Phone:
        """A phone with the passes of ``numbers``, registered."""
        phone = Phone(self.web, (self.folder / DEMO_ROOT).read_bytes())
        for number in numbers:
            assert phone.add(self.handed_out(self.serial(number))) == 201
        return phone

    def _actor(self) -> Actor:
        return Actor("test", self.application.now(), "why")

    def suspend(self, *numbers: str) -> None:
        """Suspend all in one transaction, so that they share a tag."""
        with self.application.writing() as session:
            for number in numbers:
                lifecycle.suspend(session, self.application.tenant, PERMIT, number, actor=self._actor())

    def resume(self, number: str) -> None:
        with self.application.writing() as session:
            lifecycle.resume(session, self.application.tenant, PERMIT, number, actor=self._actor())

    def revoke(self, number: str) -> None:
        with self.application.writing() as session:
            lifecycle.revoke(session, self.application.tenant, PERMIT, number, actor=self._actor())

    def reissue(self, number: str) -> str:
        """Reissue; the new serial."""
        application, pass_type = self.application, self.application.pass_types[PERMIT]
        with application.writing() as session:
            sealer = application.sealer(session, pass_type)
            return lifecycle.reissue(
                session, application.tenant, pass_type, number, seal_for=sealer, actor=self._actor()
            ).serial


@pytest.fixture
def desk(city: City) -> Iterator[Desk]:
    application = city.open()
    # Changes come after the passes were issued.
    city.clock.forward(hours=1)
    with TestClient(create_app(application)) as web:
        yield Desk(application, city.folder, web)


@pytest.fixture
def other_desk(city: City) -> Iterator[Desk]:
    application = city.open(city.other_folder)
    with TestClient(create_app(application)) as web:
        yield Desk(application, city.other_folder, web)


@pytest.fixture
def start(city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts a stand-in and a service that pushes to it."""
    with ExitStack() as stack:

        def started(folder: Path | None = None, **how: Any) -> tuple[ApnsServer, Application]:
            root = ((folder or city.folder) / DEMO_ROOT).read_bytes()
            server = stack.enter_context(ApnsServer(tmp_path, **{"client_root": root, **how}))
            for name, value in server.environment().items():
                monkeypatch.setenv(name, value)
            monkeypatch.setenv("STADTPASS_APPLE_TIMEOUT_SECONDS", "2")
            return server, city.open(folder)

        yield started
        close_clients()
