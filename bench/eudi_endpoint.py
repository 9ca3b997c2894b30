"""Credentials a second through the whole credential endpoint: HTTP in this process, proofs, database, signatures.

One wallet with DPoP renews its credentials again and again; only its credential requests are measured, not what it
does itself. Rates are for a second of processor time, so that other work on the machine counts as little as it can.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

import msgspec
from litestar.testing import TestClient

from issuer.application import Application
from issuer.eudi.offers import create_offer
from issuer.issue import IssueRequest, issue
from issuer.settings import Settings
from issuer.setup import initialise
from issuer.web.app import create_app
from issuer.workspace import CONFIG, Workspace
from keys.store import Signer
from tests.eudi_issuing_wallet import Wallet, new_key
from tests.service import CARD, TODAY, rows, running_numbers

_FORMATS = ("sd-jwt", "mdoc")
_CARDS = 20
_ROUNDS = 12
_BATCHES = (10, 1)
_SIGNATURES = 2_000


def signatures(signer: Signer) -> float:
    """The limit: ES256 signatures in a second of processor time, the best of some rounds."""
    message, best = b"x" * 1500, float("inf")
    for _ in range(5):
        start = time.process_time()
        for _ in range(_SIGNATURES):
            signer.sign(message)
        best = min(best, time.process_time() - start)
    return _SIGNATURES / best


def measured() -> Iterator[tuple[str, float]]:
    """What was asked for, and how many credentials that made in a second of processor time."""
    with tempfile.TemporaryDirectory() as folder, _wallet(Path(folder) / "city") as wallet:
        for batch in _BATCHES:
            for form in _FORMATS:
                yield f"{form} {CARD}, {batch} a request", _rate(wallet, f"{CARD}.{form}", batch)


def _rate(wallet: Wallet, configuration: str, batch: int) -> float:
    """The best of some requests: the first ones load what is kept from then on."""
    best = float("inf")
    address = wallet.metadata["credential_endpoint"]
    for _ in range(_ROUNDS):
        wallet.refresh()
        nonce = wallet.nonce()
        proofs = {"jwt": [wallet.proof(new_key(), nonce) for _ in range(batch)]}
        body = msgspec.json.encode({**wallet.named(configuration), "proofs": proofs})
        headers = {
            "Content-Type": "application/json",
            **wallet.bearing(address, wallet.tokens["access_token"]),
        }
        start = time.process_time()
        answer = wallet.client.post(address, content=body, headers=headers)
        best = min(best, time.process_time() - start)
        if answer.status_code != 200 or len(answer.json()["credentials"]) != batch:
            raise RuntimeError(answer.text)
    return batch / best


@contextmanager
def _wallet(folder: Path) -> Iterator[Wallet]:
    """A wallet with tokens for a library card of a demo city on SQLite."""
    initialise(folder, TODAY, tenant="bench", settings=Settings(), demo=True, database_url="").close()
    config = folder / CONFIG
    config.write_text(f"{config.read_text()}\n[service]\nrequests_per_minute = 0\n[eudi]\nenabled = true\n")
    cards = folder / "cards.csv"
    cards.write_bytes(rows("library_valid.csv", _CARDS))
    with closing(Workspace.open(folder)) as workspace:
        issue(workspace, IssueRequest(CARD, cards, folder / "out", TODAY, "bench", carriers=()))
    with Application.open(folder, _now) as application:
        number = running_numbers(application, CARD)[0]
        with application.reading() as session:
            base_url = application.settings(session).base_url.rstrip("/")
        with application.writing() as session:
            offer = create_offer(session, application, CARD, number, tx_code=False, channel="desk")
        with TestClient(create_app(application), base_url=base_url) as client:
            wallet = Wallet(client, _now, base_url, uses_dpop=True)
            wallet.discover()
            wallet.redeem(wallet.read_offer(offer.link))
            yield wallet


def _now() -> datetime:
    return TODAY
