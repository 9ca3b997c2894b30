"""The schemes of card numbers that there are: the built-in ones, and the city's own."""

from __future__ import annotations

from collections.abc import Mapping

from issuer.application import Application
from passes.card_numbers import CheckScheme


def known_schemes(application: Application) -> Mapping[str, CheckScheme]:
    """All schemes by name, as the city's pass types know them (`passes.card_schemes`)."""
    return {name: one for kind in application.pass_types for name, one in kind.card_schemes.items()}
