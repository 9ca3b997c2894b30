"""The data folder of an installation: register, keys, own pass types, and how they are opened.

``stadtpass.toml`` names what is not where it usually is. The root keys are a keystore of their own, in
``root/``, so that the folder can be taken off the machine and brought back when a bundle must be signed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from getpass import getpass
from pathlib import Path

from sqlalchemy import Engine

from issuer.configuration import Config, read_config
from issuer.database import open_register, sqlite_url
from issuer.errors import IssuerRefusal
from keys.store import KeyFile, KeyManager, Passphrase, Unlock, open_key_manager
from passes.pass_types import PassTypes

CONFIG = "stadtpass.toml"
KEY_FILE = "keystore.key"
PASSPHRASE_VARIABLE = "STADTPASS_PASSPHRASE"  # noqa: S105 - the name of a variable
KEY_FILE_VARIABLE = "STADTPASS_KEY_FILE"


@dataclass(frozen=True)
class Workspace:
    """An opened data folder. ``config`` is what its ``stadtpass.toml`` says."""

    folder: Path
    config: Config

    @classmethod
    def open(cls, folder: Path) -> Workspace:
        """Open an installation. Raises IssuerRefusal DATA_MISSING, and as `read_config` does."""
        file = folder / CONFIG
        if not file.is_file():
            raise IssuerRefusal("DATA_MISSING", folder=folder)
        return cls(folder, read_config(file, os.environ))

    @property
    def tenant(self) -> str:
        """The tenant whose register this folder works on."""
        return self.config.tenant

    @property
    def database_url(self) -> str:
        """The register's URL: SQLite in the folder unless the configuration names another."""
        return self.config.database_url or sqlite_url(self.folder)

    @cached_property
    def engine(self) -> Engine:
        """The opened register. Raises RegisterRefusal."""
        return open_register(self.database_url)

    @cached_property
    def pass_types(self) -> PassTypes:
        """The pass types that ship with Stadtpass and those in ``types/``. Raises PassRefusal."""
        return PassTypes.load(self.folder / "types")

    @contextmanager
    def keys(self) -> Iterator[KeyManager]:
        """The keys that sign day by day. Raises KeyRefusal."""
        with open_key_manager(self._location(self.config.keys), unlock(self.folder)) as manager:
            yield manager

    @contextmanager
    def root_keys(self) -> Iterator[KeyManager]:
        """The root keys. Raises IssuerRefusal ROOT_OFFLINE while their folder is not here."""
        location = self._location(self.config.root_keys)
        if location.startswith("file:") and not Path(location.removeprefix("file:")).is_dir():
            raise IssuerRefusal("ROOT_OFFLINE", place=location)
        with open_key_manager(location, unlock(self.folder)) as manager:
            yield manager

    def _location(self, location: str) -> str:
        scheme, _, rest = location.partition(":")
        return f"file:{self.folder / rest}" if scheme == "file" else location

    def close(self) -> None:
        """Close the register."""
        if "engine" in self.__dict__:
            self.engine.dispose()


def unlock(folder: Path, *, confirm: bool = False) -> Unlock:
    """What opens the keystores of ``folder``: its key file, else the environment, else a question.

    Raises IssuerRefusal NO_PASSPHRASE where nobody can be asked, PASSPHRASE_DIFFERS where two entries do
    not agree (``confirm``, for a new keystore).
    """
    if chosen := os.environ.get(KEY_FILE_VARIABLE):
        return KeyFile(Path(chosen))
    if (folder / KEY_FILE).is_file():
        return KeyFile(folder / KEY_FILE)
    if passphrase := os.environ.get(PASSPHRASE_VARIABLE):
        return Passphrase(passphrase)
    if not os.isatty(0):
        raise IssuerRefusal("NO_PASSPHRASE", variable=PASSPHRASE_VARIABLE, key_file=KEY_FILE_VARIABLE)
    entered = getpass("Passphrase: ")
    if confirm and getpass("Passphrase (again): ") != entered:
        raise IssuerRefusal("PASSPHRASE_DIFFERS")
    return Passphrase(entered)
