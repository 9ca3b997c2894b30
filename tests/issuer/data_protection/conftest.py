from __future__ import annotations

from tests.issuer.console.conftest import cheap_hashes

__all__ = ["cheap_hashes"]
