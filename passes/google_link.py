"""The "Add to Google Wallet" link: a JWT signed with the service account's key (RFC 7519, RS256).

https://developers.google.com/wallet/generic/use-cases/jwt: ``aud`` is ``google``, ``typ`` is
``savetowallet``, ``iat`` an integer. Links longer than 1,800 characters get cut off on their way, so a real
pass is first put to Google by REST and the link names only its ids. Saving an id that Google knows changes
nothing there: a change is a PATCH, never a new link.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from keys.store import Algorithm, Signer
from passes.errors import PassRefusal
from passes.model import City

SAVE_URL: Final = "https://pay.google.com/gp/v/save/"
# Google: an encoded JWT of 1,800 characters or more may not survive the browser.
LONGEST_JWT: Final = 1799

_encode = msgspec.json.Encoder().encode


def skinny_link(
    signer: Signer, city: City, *, object_id: str, class_id: str, issued_at: datetime, key_id: str = ""
) -> str:
    """The link for a pass that Google already has: it carries nothing but the two ids.

    ``issued_at`` is aware; ``key_id`` is the service account's ``private_key_id`` if known. Raises
    PassRefusal GOOGLE_LINK_LENGTH beyond 1,799 characters, and what `fat_link` raises for key and account.
    """
    [link] = skinny_links(signer, city, [(object_id, class_id)], issued_at=issued_at, key_id=key_id)
    return link


def skinny_links(
    signer: Signer, city: City, objects: Sequence[tuple[str, str]], *, issued_at: datetime, key_id: str = ""
) -> list[str]:
    """As few links as it takes for several passes that Google already has, in their order.

    ``objects`` are pairs of an object's id and its class's. Each link carries as many as 1,799 characters hold: seven
    or so. Raises as `skinny_link`, GOOGLE_LINK_LENGTH if a single object is too long; ValueError for none at all.
    """
    if not objects:
        raise ValueError("a link is for one object at least")
    links: list[str] = []
    taken: list[dict[str, str]] = []
    jwt = ""
    for object_id, class_id in objects:
        one = {"id": object_id, "classId": class_id}
        longer = _signed(signer, city, {"genericObjects": [*taken, one]}, issued_at, key_id)
        if taken and len(longer) > LONGEST_JWT:
            links.append(SAVE_URL + jwt)
            taken = []
            longer = _signed(signer, city, {"genericObjects": [one]}, issued_at, key_id)
        if len(longer) > LONGEST_JWT:
            raise PassRefusal("GOOGLE_LINK_LENGTH", length=len(longer), limit=LONGEST_JWT)
        taken.append(one)
        jwt = longer
    return [*links, SAVE_URL + jwt]


def fat_link(
    signer: Signer,
    city: City,
    *,
    google_class: Mapping[str, Any],
    google_object: Mapping[str, Any],
    issued_at: datetime,
    key_id: str = "",
) -> str:
    """The link that carries class and object whole, for demos without REST access. It may be over-long.

    ``issued_at`` is aware. Raises PassRefusal GOOGLE_LINK_KEY for a key other than RSA, GOOGLE_LINK_ACCOUNT
    without a service account, GOOGLE_LINK_ROTATING for an object whose barcode rotates, since its secret
    key would stand in the link; ValueError for a naive time.
    """
    if "rotatingBarcode" in google_object:
        raise PassRefusal("GOOGLE_LINK_ROTATING")
    payload = {"genericClasses": [google_class], "genericObjects": [google_object]}
    return SAVE_URL + _signed(signer, city, payload, issued_at, key_id)


def _signed(signer: Signer, city: City, payload: Mapping[str, Any], issued_at: datetime, key_id: str) -> str:
    if signer.algorithm is not Algorithm.RS256:
        raise PassRefusal("GOOGLE_LINK_KEY")
    if "@" not in city.google_service_account:
        raise PassRefusal("GOOGLE_LINK_ACCOUNT", city=city.name)
    if issued_at.tzinfo is None:
        raise ValueError("issued_at must be aware")
    header = {"alg": "RS256", "typ": "JWT"}
    if key_id:
        header["kid"] = key_id
    claims = {
        "iss": city.google_service_account,
        "aud": "google",
        "typ": "savetowallet",
        "iat": int(issued_at.timestamp()),
        "origins": _origins(city.base_url),
        "payload": payload,
    }
    signed = _base64url(_encode(header)) + b"." + _base64url(_encode(claims))
    return (signed + b"." + _base64url(signer.sign(signed))).decode("ascii")


def _origins(base_url: str) -> list[str]:
    """The web origin (RFC 6454) of the page that shows the button."""
    parts = urlsplit(base_url)
    return [f"{parts.scheme}://{parts.netloc}"] if parts.scheme and parts.netloc else []


def _base64url(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")
