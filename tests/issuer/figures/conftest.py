"""Cheap password hashes, as for the console's tests."""

from tests.issuer.console.conftest import cheap_hashes  # noqa: F401
