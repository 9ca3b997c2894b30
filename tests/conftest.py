"""Fixtures and settings for all tests."""

import os

from hypothesis import settings
from playwright.sync_api import expect

from tests.memory import roomy_memory

pytest_plugins = ["tests.service"]

# Where pytest makes its folders, unless the tester has chosen; its workers follow the first process.
if memory := roomy_memory():
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", memory)
# How long an example takes says more about the machine's other guests than about the code: speed is for bench/.
settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")
# Nor is a browser quick beside others on the same cores: what has to come may take its time.
expect.set_options(timeout=30_000)
