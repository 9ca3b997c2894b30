"""Round trips with wallets from npm: Credo 0.6.3, and oid4vc-ts 0.4.6, on which Credo and Paradym are built."""

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
from litestar.testing import TestClient
from uvicorn import Config, Server

from issuer.application import Application
from issuer.eudi import making
from issuer.setup import DEMO_EUDI_ROOT
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


class NodeProcess:
    """A script of tests/node in a process of its own, which is told JSON and tells JSON."""

    def __init__(self, script: str, task: dict[str, Any]) -> None:
        node, npm = shutil.which("node"), shutil.which("npm")
        if node is None or npm is None:
            pytest.skip("node or npm is missing (apt install npm): wallets' libraries cannot run")
        with (Path(FOLDER) / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            assert installed(npm), "npm could not install the libraries named in tests/node/package.json"
        self.process = subprocess.Popen(
            [node, FOLDER / script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.tell(task)

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


class NodeWallet(NodeProcess):
    """A wallet: ``script`` is issuing.mjs (oid4vc-ts) or credo.mjs (Credo)."""

    def __init__(
        self, application: Application, target: str, *, script: str = "issuing.mjs", **task: Any
    ) -> None:
        told = {
            "now": application.now().timestamp(),
            "origin": ISSUER,
            "target": target,
            "clientId": CLIENT,
            "redirectUri": REDIRECT,
            "batch": 3,
            "root": (application.workspace.folder / DEMO_EUDI_ROOT).read_text(),
            **task,
        }
        super().__init__(script, told)


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


def check_credo(told: dict[str, Any]) -> None:
    """What Credo has checked itself: signatures, chains, keys, and the labels behind ``vct``.

    It asks for the second configuration with the nonce of the first answer (trap: no c_nonce there, no second one).
    """
    check(told, renewed=True)
    assert told["typeMetadata"]["vct"] == f"{ISSUER}/vct/library-card/1"


@pytest.mark.parametrize("tx_code", [False, True])
def test_credo_pre_authorized(application: Application, tx_code: bool) -> None:
    with served(application) as target:
        offer = offer_of(application, tx_code=tx_code)
        told = {"offer": offer.link, "txCode": offer.tx_code, "flow": "pre-authorized"}
        check_credo(NodeWallet(application, target, script="credo.mjs", **told).end())


def test_credo_authorization_code_under_haip(haip: Application, provider: WalletProvider) -> None:
    with served(haip) as target:
        told = {"offer": offer_of(haip).link, "flow": "code", "provider": provider_of(provider)}
        wallet = NodeWallet(haip, target, script="credo.mjs", **told)
        page = wallet.hear()["authorize"]
        client = browser(haip)
        visit(client, haip, card(haip), CARD)
        wallet.tell({"redirect": choose(client, page).headers["location"]})
        check_credo(wallet.end())


def test_metadata_with_an_svg_in_a_data_uri_is_refused_as_a_whole(application: Application) -> None:
    """Trap: one logo as data:image/svg+xml, and Credo and Paradym take nothing of the metadata. Ours has https."""
    client = TestClient(create_app(application), base_url=ISSUER)
    ours = client.get("/.well-known/openid-credential-issuer").text
    server = client.get("/.well-known/oauth-authorization-server").json()
    logo = f"{ISSUER}/static/types/library-card/logo.png"
    assert logo in ours
    variants = {
        "ours": ours,
        "svg": ours.replace(logo, "data:image/svg+xml;base64,PHN2Zy8+"),
        "png": ours.replace(logo, "data:image/png;base64,iVBORw0KGgo="),
    }
    task = {
        "issuer": ISSUER,
        "server": server,
        "variants": {one: json.loads(variants[one]) for one in variants},
    }
    verdicts = NodeProcess("metadata.mjs", task).end()
    assert (verdicts["ours"], verdicts["png"]) == ("taken", "taken")
    assert verdicts["svg"] != "taken"


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
