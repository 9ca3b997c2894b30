"""What belongs to one question and nobody may guess: addresses, nonce, state, the key that answers are encrypted for.

All of it follows from the row's random seed, the service's secret and the way the wallet has come, so that the
register alone gives nothing away, and nothing of it comes back once the seed is gone. The two ways have nothing in
common: an answer to the code on the screen is worth nothing as an answer to the link on the device itself.
"""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Self
from urllib.parse import quote

from joserfc.jwk import ECKey

from issuer.application import Application
from issuer.eudi import addresses
from issuer.eudi.encryption import derived_key
from issuer.settings import Settings

_SEED_BYTES: Final = 32
_RANDOM_BYTES: Final = 16
_PURPOSE: Final = "eudi-presentation"
ANSWER: Final = "/answer"


class Way(StrEnum):
    """How a wallet comes to the question: by a code on another device's screen, or by a link on its own device."""

    OTHER_DEVICE = "other"
    SAME_DEVICE = "same"


@dataclass(frozen=True, slots=True)
class Handles:
    """The secrets of one question for one ``way``: 128 random bits each, but for the key."""

    way: Way
    token: str = field(repr=False)
    nonce: str = field(repr=False)
    state: str = field(repr=False)
    key: ECKey = field(repr=False)

    @classmethod
    def of(cls, application: Application, asked_id: str, seed: str, way: Way) -> Self:
        """Those of the question with this id and seed."""

        def derived(what: str) -> str:
            octets = application.derived(_PURPOSE, asked_id, seed, way, what)[:_RANDOM_BYTES]
            return base64.urlsafe_b64encode(octets).decode().rstrip("=")

        key = derived_key(application, f"{_PURPOSE}-key", asked_id, seed, way)
        return cls(way, derived("token"), derived("nonce"), derived("state"), key)

    def request_uri(self, settings: Settings) -> str:
        """Where the wallet reads the question."""
        return addresses.address(settings, f"{addresses.PRESENTATIONS}{self.token}")

    def response_uri(self, settings: Settings) -> str:
        """Where it sends the answer."""
        return self.request_uri(settings) + ANSWER

    def link(self, settings: Settings, client_id: str) -> str:
        """What opens a wallet with the question (OpenID4VP 1.0, 5 and 9)."""
        told = {
            "client_id": client_id,
            "request_uri": self.request_uri(settings),
            "request_uri_method": "post",
        }
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in told.items())
        return f"{addresses.PRESENTATION_SCHEME}?{query}"


def new_seed() -> str:
    """A random seed of 256 bits."""
    return secrets.token_urlsafe(_SEED_BYTES)


def token_hash(application: Application, token: str) -> str:
    """What is stored of the token in a question's address."""
    return application.hash_secret(_PURPOSE, token)
