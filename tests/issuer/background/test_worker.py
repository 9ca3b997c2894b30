"""A worker that dies: another one takes over what it had in hand, and nothing is lost."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.service import City


def wait_for(what: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.slow
def test_the_work_of_a_killed_worker_is_taken_over(
    city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("POLLING", "0.1"), ("HEARTBEAT", "0.3"), ("DEAD_AFTER", "2")):
        monkeypatch.setenv(f"STADTPASS_BACKGROUND_{name}_SECONDS", value)
    file = tmp_path / "lines"
    file.touch()

    def worker(executor: str, seconds: str) -> subprocess.Popen[bytes]:
        module = "tests.issuer.background.slow_worker"
        return subprocess.Popen(
            [sys.executable, "-m", module, str(city.folder), executor, str(file), seconds]
        )

    first = worker("first", "30")
    try:
        wait_for(lambda: file.read_text().count("begins") == 8)
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    second = worker("second", "0.05")
    try:
        wait_for(lambda: len(set(ended(file))) == 20)
    finally:
        second.kill()
        second.wait()
    assert sorted(ended(file)) == sorted(range(20))


def ended(file: Path) -> list[int]:
    return [int(line.split()[-1]) for line in file.read_text().splitlines() if " ends " in line]
