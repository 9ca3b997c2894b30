"""Running the command line, as a process of its own or quickly inside the test's process."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import issuer.cli

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "tests" / "data" / "samples"
TODAY = "2026-11-20"
PERMIT = "resident-parking-permit"
LIBRARY = "library-card"


class Outcome(NamedTuple):
    """What a run in the test's own process gave."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class DemoCity:
    """An installation with its output and its published files."""

    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def published(self) -> Path:
        return self.folder / "published"

    def copy(self, target: Path, *, with_out: bool = True) -> DemoCity:
        """A copy that a test may change."""
        # Readers of the shared city let these come and go; there is nothing in them.
        passing = ["register.db-wal", "register.db-shm", ".state.json"]
        leave = shutil.ignore_patterns(*passing, *([] if with_out else ["out"]))
        shutil.copytree(self.folder, target, ignore=leave)
        return DemoCity(target)


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment that has the project on the path and nothing of the tester's own settings."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "SYSTEMROOT") if name in os.environ}
    return kept | {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "LC_ALL": "C.UTF-8"} | dict(extra or {})


def command(*args: object) -> list[str]:
    """The command line as a list of words."""
    return [sys.executable, "-m", "issuer.cli", *map(str, args)]


def run(
    *args: object,
    input: str | bytes | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the command line as a process of its own; ``env`` is added to a clean environment."""
    done = subprocess.run(
        command(*args),
        input=input.encode() if isinstance(input, str) else input,
        stdin=subprocess.DEVNULL if input is None else None,
        cwd=cwd,
        env=clean_environment(env),
        capture_output=True,
        timeout=120,
        check=False,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def main_in_process(*args: object) -> Outcome:
    """Run the command line inside this process: faster, same parser, same exit codes."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        try:
            code = issuer.cli.main([str(one) for one in args])
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else 1
    return Outcome(code, stdout.getvalue(), stderr.getvalue())
