"""The demo city with both sample files issued and published: made once per run, also with several workers."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e import commandline
from tests.e2e.commandline import LIBRARY, PERMIT, SAMPLES, TODAY, DemoCity, Outcome


@pytest.fixture(scope="session")
def run() -> Callable[..., object]:
    """Runs the command line as a process of its own: `run(*args, input=None, cwd=None, env=None)`."""
    return commandline.run


@pytest.fixture(scope="session")
def main_in_process() -> Callable[..., Outcome]:
    """Runs the command line inside the test's process: `main_in_process(*args)`."""
    return commandline.main_in_process


def _shared(factory: pytest.TempPathFactory) -> Path:
    base = factory.getbasetemp()
    # The workers of one xdist run have base folders beside each other.
    return base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base


def _made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[DemoCity], None]) -> DemoCity:
    folder = _shared(factory) / name
    with (_shared(factory) / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(DemoCity(folder))
            (folder / "complete").touch()
    return DemoCity(folder)


def _succeed(*args: object) -> None:
    done = commandline.run(*args)
    assert done.returncode == 0, done.stderr


def _init(city: DemoCity) -> None:
    _succeed("init", "--demo", "--data", city.data)


def _issue_and_publish(city: DemoCity) -> None:
    _init(city)
    for type_id, file in ((PERMIT, "permits_valid.csv"), (LIBRARY, "library_valid.csv")):
        _succeed("issue", type_id, SAMPLES / file, "--data", city.data, "--out", city.out, "--today", TODAY)
    _succeed("publish", "--data", city.data, "--out", city.published, "--today", TODAY)


@pytest.fixture(scope="session")
def demo_city(tmp_path_factory: pytest.TempPathFactory) -> DemoCity:
    """Both sample files issued into `out` and published into `published`, at 2026-11-20T12:00.

    Shared by all tests: read it, never change it (give `verify` a `--state` of your own).
    """
    return _made_once(tmp_path_factory, "demo-city", _issue_and_publish)


@pytest.fixture(scope="session")
def empty_city(tmp_path_factory: pytest.TempPathFactory) -> DemoCity:
    """The demo city with nothing issued yet. Shared: take `fresh_city` to change it."""
    return _made_once(tmp_path_factory, "empty-city", _init)


@pytest.fixture
def own_city(demo_city: DemoCity, tmp_path: Path) -> DemoCity:
    """A copy of `demo_city` that the test may change."""
    return demo_city.copy(tmp_path / "city")


@pytest.fixture
def fresh_city(empty_city: DemoCity, tmp_path: Path) -> DemoCity:
    """A demo city of the test's own with nothing issued yet."""
    return empty_city.copy(tmp_path / "fresh")
