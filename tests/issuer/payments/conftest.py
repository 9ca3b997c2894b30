"""A city that is no demo."""

from __future__ import annotations

from pathlib import Path

import pytest

from issuer.settings import Settings
from issuer.setup import initialise
from keys.envelope import create_key_file
from tests.service import TODAY


@pytest.fixture
def folder_of_real_city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STADTPASS_KEY_FILE", str(create_key_file(tmp_path / "keystore.key").path))
    folder = tmp_path / "real"
    initialise(folder, TODAY, tenant="real", settings=Settings(), demo=False).close()
    return folder
