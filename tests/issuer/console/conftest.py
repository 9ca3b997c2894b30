"""Cheap password hashes: how dear they are is tested once, in tests/issuer/staff/test_passwords.py."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher, profiles

from issuer.staff import passwords


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_HASHER", PasswordHasher.from_parameters(profiles.CHEAPEST))
    passwords._nobodys.cache_clear()
