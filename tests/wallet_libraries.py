"""The libraries of wallets in tests/node, called from here. Without Node the tests that need them are skipped."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scripts.js_types import FOLDER, installed


def wallet_libraries(root_pem: bytes, cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What tests/node/credentials.mjs says of each case: ``{"ok": value}`` or ``{"refused": sentence}``."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node or npm is missing (apt install npm): wallets' libraries cannot run")
    with (Path(FOLDER) / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert installed(npm), "npm could not install the libraries named in tests/node/package.json"
    done = subprocess.run(
        [node, FOLDER / "credentials.mjs"],
        input=json.dumps({"root": root_pem.decode(), "cases": cases}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers
