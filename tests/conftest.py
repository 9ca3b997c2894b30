"""Fixtures and settings for all tests."""

from hypothesis import settings

pytest_plugins = ["tests.service"]

# How long an example takes says more about the machine's other guests than about the code: speed is for bench/.
settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")
