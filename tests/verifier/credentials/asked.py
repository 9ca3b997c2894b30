"""One question to a wallet, its answers in both formats, and the status lists beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import pytest

from passes.credential_status import StatusListFrame, pack, sign_cwt, sign_jwt
from passes.credentials import CredentialFactory
from passes.model import PassContent
from passes.status_list import Status
from tests.eudi_wallet import AT, CITY_URL, Issuer, Wallet
from tests.passes.carrier_samples import builtin, city
from tests.passes.credential_samples import LIST_URI, SAMPLES, binding
from verifier.credentials.mdoc import ExpectedMdoc, check_mdoc, openid4vp_transcript
from verifier.credentials.outcome import PresentationRefused, Presented
from verifier.credentials.sd_jwt import Expected, check_sd_jwt

AUDIENCE, NONCE = "x509_hash:q8tXQqCkVZ2BqH0t0a0wL0v7v8w4x3r2k1j0i9h8g7f", "b3f1c6a0f1d24e7ea5d8c6a9c2f0e1d4"
TRANSCRIPT = openid4vp_transcript(AUDIENCE, NONCE, f"{CITY_URL}/answer", bytes(32))
TYPE_IDS = tuple(SAMPLES)


def vct(type_id: str) -> str:
    return f"{CITY_URL}/vct/{type_id}/1"


def doctype(type_id: str) -> str:
    return f"de.stadtpass.{type_id}.1"


def issued(
    issuer: Issuer,
    wallet: Wallet,
    form: Any,
    type_id: str = "library-card",
    content: PassContent | None = None,
) -> str:
    factory = CredentialFactory(builtin(type_id), city(), issuer.identity)
    [made] = factory.issue(form, content or SAMPLES[type_id], [binding(wallet.public_key)], AT)
    return made


def lists(
    issuer: Issuer, entries: Iterable[tuple[int, Status]] = (), *, cwt: bool = False, **frame: Any
) -> dict[str, str | bytes]:
    now = int(AT.timestamp())
    values = {"uri": LIST_URI, "issued_at": now - 60, "ttl": 3600, "expires": now + 86_400} | frame
    sign = sign_cwt if cwt else sign_jwt
    return {LIST_URI: sign(issuer.identity, StatusListFrame(**values), pack(entries))}


def check_text(
    issuer: Issuer,
    presentation: str,
    *,
    type_id: str = "library-card",
    at: datetime = AT,
    status: dict[str, str | bytes] | None = None,
    audience: str = AUDIENCE,
    nonce: str = NONCE,
) -> Presented:
    expected = Expected([vct(type_id)], audience, nonce)
    return check_sd_jwt(presentation, issuer.anchors, expected, at, status)


def check_bytes(
    issuer: Issuer,
    response: bytes,
    *,
    type_id: str = "library-card",
    at: datetime = AT,
    status: dict[str, str | bytes] | None = None,
    transcript: bytes = TRANSCRIPT,
) -> Presented:
    return check_mdoc(response, issuer.anchors, ExpectedMdoc([doctype(type_id)], transcript), at, status)


def refusal(attempt: Callable[[], object]) -> PresentationRefused:
    with pytest.raises(PresentationRefused) as caught:
        attempt()
    for language in ("de", "en"):
        assert caught.value.sentence(language)
    return caught.value
