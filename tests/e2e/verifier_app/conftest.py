"""The fixtures of `tests.e2e.verifier_phone`, for pytest to find. A module's own of the same name count first."""

from __future__ import annotations

from tests.e2e.verifier_phone import chromium, city, phone

__all__ = ["chromium", "city", "phone"]
