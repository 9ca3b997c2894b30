from pathlib import Path

import pytest

from keys.envelope import create_key_file
from keys.file_backend import FileKeyStore
from keys.store import KeyFile


@pytest.fixture
def key_file(tmp_path: Path) -> KeyFile:
    return create_key_file(tmp_path / "unlock.key")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "keystore"


@pytest.fixture
def store(directory: Path, key_file: KeyFile) -> FileKeyStore:
    return FileKeyStore.create(directory, key_file)
