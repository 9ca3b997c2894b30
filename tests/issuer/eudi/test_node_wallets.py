"""Round trips with a wallet library from npm (oid4vc-ts 0.4.6, on which Credo and Paradym are built)."""

from __future__ import annotations

import fcntl
import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest
from joserfc.jwk import ECKey
from uvicorn import Config, Server

from issuer.application import Application
from issuer.eudi import making
from keys.errors import KeyRefusal
from scripts.js_types import FOLDER, installed
from tests.eudi_issuing_wallet import CLIENT, WalletProvider, unsigned_parts
from tests.issuer.eudi.conftest import ISSUER, MDOC, SD_JWT, card, offer_of
from tests.issuer.eudi.test_authorization_code import choose
from tests.issuer.pickup.browser import browser, visit
from tests.service import CARD
from tests.web_app import create_app

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("city", ["sqlite"], indirect=True)]

REDIRECT = "eu.wallet.example:/cb"


@contextmanager
def served(application: Application) -> Iterator[str]:
    """The service on a free port of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Server(Config(create_app(application), port=port, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    for _ in range(400):
        if server.started:
            break
        time.sleep(0.05)
    assert server.started
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(timeout=20)


class NodeWallet:
    """The wallet of tests/node/issuing.mjs in a process of its own."""

    def __init__(self, application: Application, target: str, **task: Any) -> None:
        node, npm = shutil.which("node"), shutil.which("npm")
        if node is None or npm is None:
            pytest.skip("node or npm is missing (apt install npm): wallets' libraries cannot run")
        with (Path(FOLDER) / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            assert installed(npm), "npm could not install the libraries named in tests/node/package.json"
        self.process = subprocess.Popen(
            [node, FOLDER / "issuing.mjs"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        told = {
            "now": application.now().timestamp(),
            "origin": ISSUER,
            "target": target,
            "clientId": CLIENT,
            "redirectUri": REDIRECT,
            "batch": 3,
            **task,
        }
        self.tell(told)

    def tell(self, told: dict[str, Any]) -> None:
        pipe: IO[str] | None = self.process.stdin
        assert pipe is not None
        pipe.write(json.dumps(told) + "\n")
        pipe.flush()

    def hear(self) -> dict[str, Any]:
        """The next thing that the wallet says."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            assert self.process.stderr is not None
            fault = self.process.stderr.read()[-4000:]
            self._close()
            raise AssertionError(fault)
        told: dict[str, Any] = json.loads(line)
        return told

    def end(self) -> dict[str, Any]:
        """The last thing that it says."""
        told = self.hear()
        assert self.process.wait(timeout=30) == 0
        self._close()
        return told

    def _close(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()
        self.process.wait(timeout=30)


def provider_of(provider: WalletProvider) -> dict[str, Any]:
    jwk = ECKey.import_key(provider.leaf_key).as_dict(private=True)
    return {"jwk": {name: jwk[name] for name in ("kty", "crv", "x", "y", "d")}, "x5c": provider.x5c}


def check(told: dict[str, Any], *, renewed: bool) -> None:
    for found in (told["credentials"], *((told["renewed"],) if renewed else ())):
        assert set(found) == {SD_JWT, MDOC}
        assert {len(one) for one in found.values()} == {3}
        for one in found[SD_JWT]:
            assert unsigned_parts(one.split("~")[0])[0]["typ"] == "dc+sd-jwt"


@pytest.mark.parametrize(("dpop", "tx_code"), [(False, True), (True, False), (True, True)])
def test_pre_authorized(application: Application, dpop: bool, tx_code: bool) -> None:
    with served(application) as target:
        offer = offer_of(application, tx_code=tx_code)
        told = {"offer": offer.link, "txCode": offer.tx_code, "flow": "pre-authorized", "dpop": dpop}
        check(NodeWallet(application, target, **told).end(), renewed=dpop)


def test_authorization_code_under_haip(haip: Application, provider: WalletProvider) -> None:
    with served(haip) as target:
        told = {"offer": offer_of(haip).link, "flow": "code", "dpop": True, "provider": provider_of(provider)}
        wallet = NodeWallet(haip, target, **told)
        page = wallet.hear()["authorize"]
        client = browser(haip)
        visit(client, haip, card(haip), CARD)
        wallet.tell({"redirect": choose(client, page).headers["location"]})
        check(wallet.end(), renewed=True)


def test_pre_authorized_under_haip(haip: Application, provider: WalletProvider) -> None:
    with served(haip) as target:
        told = {"flow": "pre-authorized", "dpop": True, "provider": provider_of(provider)}
        check(NodeWallet(haip, target, offer=offer_of(haip).link, **told).end(), renewed=True)


def test_deferred(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library refuses a deferred answer that has a notification_id."""
    make = making.make
    failing = [True]

    def sometimes(*given: Any) -> list[str]:
        if failing[0]:
            raise KeyRefusal("KEY_PENDING", kid="00")
        return make(*given)

    monkeypatch.setattr(making, "make", sometimes)
    with served(application) as target:
        wallet = NodeWallet(
            application, target, offer=offer_of(application).link, flow="pre-authorized", dpop=False
        )
        assert wallet.hear()["deferred"]
        failing[0] = False
        wallet.tell({})
        check(wallet.end(), renewed=False)
