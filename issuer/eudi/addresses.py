"""Where wallets find what: the credential issuer's identifier, which is the city's base URL, and the endpoints."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, urlsplit

from issuer.settings import Settings

TOKEN: Final = "/eudi/token"  # noqa: S105 - a path
PUSHED: Final = "/eudi/par"
AUTHORIZE: Final = "/eudi/authorize"
NONCE: Final = "/eudi/nonce"
CREDENTIAL: Final = "/eudi/credential"
DEFERRED: Final = "/eudi/deferred"
NOTIFICATION: Final = "/eudi/notification"
OFFERS: Final = "/eudi/offers/"
STATUS: Final = "/eudi/status/"
PRESENTATIONS: Final = "/eudi/presentations/"
ISSUER_METADATA: Final = "/.well-known/openid-credential-issuer"
SERVER_METADATA: Final = "/.well-known/oauth-authorization-server"

SCHEME: Final = "openid-credential-offer://"
HAIP_SCHEME: Final = "haip-vci://"
PRESENTATION_SCHEME: Final = "openid4vp://"


def issuer_of(settings: Settings) -> str:
    """The credential issuer's identifier; wallets compare it as a string (OpenID4VCI 1.0, 12.2.1)."""
    return settings.base_url.rstrip("/")


def address(settings: Settings, path: str) -> str:
    """The whole URL of one of our endpoints."""
    return issuer_of(settings) + path


def path_of(settings: Settings) -> str:
    """The path of the identifier, which stands behind the well-known name; empty for most cities."""
    return urlsplit(issuer_of(settings)).path


def deeplink(offer: str, *, haip: bool = False) -> str:
    """What opens a wallet with the offer at the URL ``offer`` (OpenID4VCI 1.0, 4.1.3; HAIP 1.0, 4.2)."""
    return f"{HAIP_SCHEME if haip else SCHEME}?credential_offer_uri={quote(offer, safe='')}"
