"""Refusals of the service: what a clerk or operator asked for and did not get, and why."""

from __future__ import annotations

from keys.errors import Refusal


class IssuerRefusal(Refusal):
    """Something the service was asked for and refuses."""

    package = "issuer"


class RegisterRefusal(IssuerRefusal):
    """The register cannot be opened, or does not allow what was asked for."""
