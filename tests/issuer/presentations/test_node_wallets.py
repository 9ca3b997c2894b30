"""Round trips with the libraries of wallets from npm: oid4vc-ts 0.4.6, dcql, @sd-jwt and @owf/mdoc."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc.jwk import ECKey

from issuer.application import Application
from issuer.presentations.asking import Asked, take
from issuer.presentations.store import State
from issuer.presentations.wishes import Wish
from issuer.setup import DEMO_EUDI_ROOT
from scripts.js_types import FOLDER, installed
from tests.eudi_presenting_wallet import MDOC, SD_JWT, Held, mdoc_names
from tests.issuer.eudi.conftest import ISSUER
from tests.issuer.eudi.test_node_wallets import served
from tests.issuer.presentations.conftest import Service
from tests.issuer.presentations.samples import CARD, DESK, RESIDENCE, asked, become, own, pid

pytestmark = pytest.mark.slow
# What wallets say of themselves when they read the question.
METADATA = {
    "vp_formats_supported": {SD_JWT: {"sd-jwt_alg_values": ["ES256"]}, MDOC: {"issuerauth_alg_values": [-7]}},
    "client_id_prefixes_supported": ["x509_hash", "x509_san_dns"],
    "authorization_encryption_alg_values_supported": ["ECDH-ES"],
    "authorization_encryption_enc_values_supported": ["A128GCM", "A256GCM"],
}


def node_wallet(application: Application, link: str, held: Held, enc: str) -> dict[str, Any]:
    """What tests/node/presenting.mjs says of the question behind ``link``."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node or npm is missing (apt install npm): wallets' libraries cannot run")
    with (Path(FOLDER) / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert installed(npm), "npm could not install the libraries named in tests/node/package.json"
    jwk = ECKey.import_key(held.key.key).as_dict(private=True)
    with served(application) as target:
        task = {
            "now": application.now().timestamp(),
            "origin": ISSUER,
            "target": target,
            "root": (application.workspace.folder / DEMO_EUDI_ROOT).read_text(),
            "link": link,
            "format": held.format,
            "type": held.type,
            "credential": held.text,
            "namespaces": sorted({space for space, _ in mdoc_names(held.text)})
            if held.format == MDOC
            else [],
            "key": {name: jwk[name] for name in ("kty", "crv", "x", "y", "d")},
            "enc": enc,
            "metadata": METADATA,
        }
        done = subprocess.run(
            [node, FOLDER / "presenting.mjs"],
            input=json.dumps(task),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-4000:]
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def held_for(application: Application, wish: Wish, form: str) -> Held:
    if wish is Wish.PROOF_OF_RESIDENCE:
        return pid(application, form)
    return own(application, CARD if wish is Wish.LIBRARY_CARD else RESIDENCE, form)


def taken(application: Application, made: Asked, code: str | None) -> dict[str, str]:
    assert become(application, made, code=code).state is State.HOLDS
    with application.writing() as session:
        return dict(take(session, application, made.id, DESK, response_code=code).values)


@pytest.mark.parametrize("form", [SD_JWT, MDOC])
@pytest.mark.parametrize("wish", Wish)
def test_round_trip(service: Service, wish: Wish, form: str) -> None:
    application = service.application
    made = asked(application, wish)
    held = held_for(application, wish, form)
    told = node_wallet(application, made.link, held, "A256GCM" if form == SD_JWT else "A128GCM")
    assert (told["status"], told["answer"]) == (200, {})
    # 100 is the final text of version 1.0, as far as the library can tell.
    assert (told["version"], told["prefix"]) == (100, "x509_hash")
    assert len(taken(application, made, None)) == len(told["paths"])


def test_on_the_same_device(service: Service) -> None:
    application = service.application
    made = asked(application)
    told = node_wallet(application, made.same_device, own(application, CARD, SD_JWT), "A256GCM")
    [code] = parse_qs(urlsplit(told["answer"]["redirect_uri"]).query)["response_code"]
    assert taken(application, made, code)
