"""What the web app's readers make of hard pictures does not get worse, and is never wrong."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.recognition_set import Frame, frames
from tests.web_pages import needs_chromium
from tests.web_recognition import Engine, read_by_web_app

# Frames read of each kind, per engine. Only ever raised; `make bench` prints today's numbers.
FLOORS: dict[str, dict[str, int]] = json.loads(
    (Path(__file__).parents[2] / "data" / "recognition.json").read_text()
)
pytestmark = [pytest.mark.slow, needs_chromium]


@pytest.fixture(scope="module")
def shown() -> Sequence[Frame]:
    return list(frames())


@pytest.mark.parametrize("engine", ["zxing", "qr"])
def test_as_many_frames_of_each_kind_are_read_as_before(
    chromium: Browser, shown: Sequence[Frame], engine: Engine
) -> None:
    recognition = read_by_web_app(chromium, shown, engine)
    assert recognition.wrong == []
    floor = FLOORS[engine]
    assert {kind: min(read, floor[kind]) for kind, read in recognition.read.items()} == floor
