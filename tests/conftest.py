"""Fixtures and settings for all tests."""

from hypothesis import settings
from playwright.sync_api import expect

pytest_plugins = ["tests.service"]

# How long an example takes says more about the machine's other guests than about the code: speed is for bench/.
settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")
# Nor is a browser quick beside others on the same cores: what has to come may take its time.
expect.set_options(timeout=30_000)
