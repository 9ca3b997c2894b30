"""What wallets read first: addresses, members, signed metadata, type metadata."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from joserfc import jws
from joserfc.jwk import ECKey
from litestar.testing import TestClient
from msgspec.structs import replace

import issuer.eudi
from issuer.application import Application
from issuer.errors import IssuerRefusal
from issuer.settings import save_settings
from keys.texts import texts
from tests.eudi_issuing_wallet import WalletProvider, error_of, new_key, unsigned_parts
from tests.issuer.eudi.conftest import ISSUER, MDOC, PROVIDER_FILE, SD_JWT, MakeWallet, offer_of, set_up
from tests.service import City
from tests.web_app import create_app

ISSUER_NAME = "/.well-known/openid-credential-issuer"
SERVER_NAME = "/.well-known/oauth-authorization-server"


def client_of(application: Application, base_url: str = ISSUER) -> TestClient[Any]:
    return TestClient(create_app(application), base_url=base_url)


def below(application: Application, base_url: str) -> None:
    """Give the city another public address."""
    with application.writing() as session:
        settings = replace(application.settings(session), base_url=base_url)
        save_settings(session, application.tenant, settings)


@pytest.mark.parametrize("accept", ["", "*/*", "application/json", "application/jwt;q=0.5, application/json"])
def test_plain(application: Application, accept: str) -> None:
    answer = client_of(application).get(ISSUER_NAME, headers={"Accept": accept})
    assert answer.headers["content-type"] == "application/json"
    told = answer.json()
    assert told["credential_issuer"] == ISSUER
    assert told["batch_credential_issuance"]["batch_size"] >= 2
    for name in ("credential", "nonce", "deferred_credential", "notification"):
        assert told[f"{name}_endpoint"].startswith(f"{ISSUER}/eudi/")
    sd_jwt, mdoc = (told["credential_configurations_supported"][one] for one in (SD_JWT, MDOC))
    assert (sd_jwt["format"], mdoc["format"]) == ("dc+sd-jwt", "mso_mdoc")
    assert (sd_jwt["scope"], mdoc["scope"]) == (SD_JWT, MDOC)
    assert sd_jwt["credential_signing_alg_values_supported"] == ["ES256"]
    assert mdoc["credential_signing_alg_values_supported"] == [-7]
    assert sd_jwt["cryptographic_binding_methods_supported"] == ["jwk"]
    assert mdoc["cryptographic_binding_methods_supported"] == ["cose_key"]
    for one in (sd_jwt, mdoc):
        assert one["proof_types_supported"]["jwt"] == {"proof_signing_alg_values_supported": ["ES256"]}
        shown = one["credential_metadata"]["display"]
        assert {each["locale"][:2] for each in shown} == {"de", "en"}
        policy = one["credential_metadata"]["credential_reuse_policy"]
        assert policy["options"][0]["details"] == ["once_only"]


def test_logos_are_no_svg_in_data_uris(application: Application) -> None:
    """Wallets on oid4vc-ts refuse the whole metadata over one."""
    client = client_of(application)
    text = client.get(ISSUER_NAME).text
    assert "data:" not in text
    logos = set(re.findall(r'"uri":"([^"]+)"', text))
    assert logos
    for one in logos:
        assert client.get(one).headers["content-type"] == "image/png"


def test_signed(application: Application) -> None:
    answer = client_of(application).get(
        ISSUER_NAME, headers={"Accept": "application/jwt, application/json;q=0.9"}
    )
    assert answer.headers["content-type"] == "application/jwt"
    header, claims = unsigned_parts(answer.text)
    assert header["typ"] == "openidvci-issuer-metadata+jwt"
    assert (claims["sub"], claims["credential_issuer"]) == (ISSUER, ISSUER)
    leaf = x509.load_der_x509_certificate(base64.b64decode(header["x5c"][0]))
    assert leaf.issuer != leaf.subject
    registry = jws.JWSRegistry(algorithms=["ES256"], strict_check_header=False)
    registry.max_header_length = 8000
    jws.deserialize_compact(answer.text, ECKey.import_key(leaf.public_key()), registry=registry)
    plain = client_of(application).get(ISSUER_NAME).json()
    assert {name: value for name, value in claims.items() if name not in ("sub", "iat")} == plain


@pytest.mark.parametrize("city", ["sqlite"], indirect=True)
def test_where_keys_must_be_kept(city: City, provider: WalletProvider, new_wallet: MakeWallet) -> None:
    """What the operator asks for stands in the metadata (ARF, ISSU_27d), and holds without HAIP, too."""
    (city.folder / PROVIDER_FILE).write_bytes(provider.anchor_pem)
    application = set_up(city, wallet_providers=[PROVIDER_FILE], key_storage=["iso_18045_high"])
    wallet = new_wallet(application)
    for one in wallet.metadata["credential_configurations_supported"].values():
        for kind in ("jwt", "attestation"):
            required = one["proof_types_supported"][kind]["key_attestations_required"]
            assert required == {"key_storage": ["iso_18045_high"]}
    wallet.redeem(wallet.read_offer(offer_of(application).link))
    assert error_of(wallet.ask(SD_JWT, [new_key()])) == (400, "invalid_proof")
    nonce, key = wallet.nonce(), new_key()
    for storage in (["iso_18045_basic"], None, "iso_18045_high"):
        weak = provider.attest_keys([key], nonce, key_storage=storage)
        assert error_of(wallet.ask_with(SD_JWT, {"attestation": [weak]})) == (400, "invalid_proof")
    good = provider.attest_keys([key], nonce, key_storage=["iso_18045_basic", "iso_18045_high"])
    assert wallet.ask_with(SD_JWT, {"attestation": [good]}).status_code == 200


@pytest.mark.parametrize("city", ["sqlite"], indirect=True)
def test_when_wallets_renew(application: Application) -> None:
    """The shape that EU wallets read (ETSI TS 119 472-3); a short life is renewed in its second half."""
    told = client_of(application).get(ISSUER_NAME).json()["credential_configurations_supported"]
    once = {"details": ["once_only"], "batch_size": 10, "reissue_trigger_unused": 3}
    limited = {"details": ["limited_time"], "reissue_trigger_lifetime_left": 604800}
    policy = {"id": "arf_annex_ii", "options": [once, limited]}
    assert told[SD_JWT]["credential_metadata"]["credential_reuse_policy"] == policy


@pytest.mark.parametrize("city", ["sqlite"], indirect=True)
def test_whatever_is_wrong_the_answer_is_of_one_form(application: Application) -> None:
    """Also where no endpoint answers for itself: another method, too much, nothing there, too often."""
    client = client_of(application)
    for name in ("token", "par", "nonce", "credential", "deferred", "notification"):
        for answer in (
            client.get(f"/eudi/{name}"),
            client.post(f"/eudi/{name}", content=bytes(300_000)),
        ):
            assert answer.status_code in (405, 413)
            assert error_of(answer) == (answer.status_code, "invalid_request")
            assert answer.headers["cache-control"] == "no-store"
    for path in ("/eudi/status/x", "/eudi/status/9", "/vct/x", f"{ISSUER_NAME}/x", f"{SERVER_NAME}/x"):
        answer = client.get(path)
        assert error_of(answer) == (404, "not_found")
        assert answer.headers["content-type"] == "application/json"
    # Pages of others read lists and metadata in a browser, errors as well.
    for path in ("/eudi/status/9", "/vct/x", ISSUER_NAME, SERVER_NAME):
        assert client.get(path).headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("city", ["sqlite"], indirect=True)
def test_descriptions_of_claims_do_not_contradict_each_other(application: Application) -> None:
    """OpenID4VCI 1.0, appendix B.3: wallets stop at what is repeated or contradictory."""
    told = client_of(application).get(ISSUER_NAME).json()["credential_configurations_supported"]
    for name, one in told.items():
        claims = one["credential_metadata"]["claims"]
        paths = {tuple(claim["path"]): claim["mandatory"] for claim in claims}
        assert len(paths) == len(claims), name
        for path, always in paths.items():
            if one["format"] == "mso_mdoc":
                assert len(path) == 2
            above = [path[:depth] for depth in range(1, len(path))]
            assert not always or all(paths.get(each, True) for each in above), (name, path)
            kinds = {type(other[len(path)]) for other in paths if other[: len(path)] == path != other}
            assert len(kinds) <= 1, (name, path)
            assert len({claim["locale"] for claim in claims[0]["display"]}) == 2


def test_every_refusal_has_a_sentence_for_wallets() -> None:
    """ASCII without quotes and backslashes (RFC 6749, 5.2), whatever the code refuses."""
    reasons: set[str] = set()
    folder = Path(issuer.eudi.__file__).parent
    for file in folder.glob("*.py"):
        told = file.read_text()
        reasons |= set(re.findall(r'(?:Refused|unauthorized)\(\s*[\w"]+,\s*"([A-Z_]+)"', told))
        reasons |= set(re.findall(r'(?:invalid|_invalid|invalid_grant)\((?:\w+, )?"([A-Z_]+)"', told))
    assert len(reasons) > 50
    say = texts("issuer", "en")
    for reason in reasons:
        assert re.fullmatch(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+", say(f"EUDI_{reason}"))


def test_server(application: Application) -> None:
    told = client_of(application).get(SERVER_NAME).json()
    assert told["issuer"] == ISSUER
    # Wallets want it also where they use a pre-authorized code.
    assert told["authorization_endpoint"].startswith(ISSUER)
    assert told["pre-authorized_grant_anonymous_access_supported"] is True
    assert told["code_challenge_methods_supported"] == ["S256"]


def test_below_a_path(application: Application, new_wallet: MakeWallet) -> None:
    """The well-known name stands between host and path; the proxy hands the rest on without the path."""
    issuer = "https://stadt.example/passes/x"
    below(application, issuer)
    client = client_of(application, "https://stadt.example")
    assert client.get(f"{ISSUER_NAME}/passes/x").json()["credential_issuer"] == issuer
    assert client.get(f"{SERVER_NAME}/passes/x").json()["issuer"] == issuer
    for path in ("", "/", "/passes", "/passes/x/y", "/PASSES/x"):
        for name in (ISSUER_NAME, SERVER_NAME):
            assert client.get(name + path).status_code == 404, path


def test_other_paths(application: Application) -> None:
    assert client_of(application).get(f"{ISSUER_NAME}/x").status_code == 404


def test_type_metadata(application: Application, new_wallet: MakeWallet) -> None:
    """Credentials hold the hash of the document that is served under their type's address."""
    wallet = new_wallet(application)
    wallet.redeem(wallet.read_offer(offer_of(application).link))
    made = wallet.ask(SD_JWT, [new_key()]).json()["credentials"][0]["credential"]
    _, claims = unsigned_parts(made.split("~")[0])
    answer = wallet.client.get(claims["vct"])
    assert answer.headers["content-type"] == "application/json"
    digest = base64.b64encode(hashlib.sha256(answer.content).digest()).decode()
    assert claims["vct#integrity"] == f"sha256-{digest}"
    assert json.loads(answer.content)["vct"] == claims["vct"]
    told = wallet.metadata["credential_configurations_supported"][SD_JWT]
    assert told["vct"] == claims["vct"]
    assert client_of(application).get("/vct/x").status_code == 404


def test_offers_do_not_last(application: Application, city: City, new_wallet: MakeWallet) -> None:
    wallet = new_wallet(application)
    first, second = offer_of(application), offer_of(application)
    assert wallet.client.get(first.address).status_code == 404
    for _ in range(2):
        assert wallet.client.get(second.address).status_code == 200
    assert second.haip_link.startswith("haip-vci://?credential_offer_uri=https%3A%2F%2F")
    city.clock.forward(minutes=11)
    assert error_of(wallet.client.get(second.address)) == (404, "not_found")


def test_off(city: City) -> None:
    """A city that has not switched it on has nothing of it."""
    client = client_of(city.open())
    for path in (ISSUER_NAME, SERVER_NAME, "/eudi/authorize", "/eudi/offers/" + "a" * 22, "/eudi/status/1"):
        assert client.get(path).status_code == 404
    for path in ("token", "par", "nonce", "credential", "deferred", "notification"):
        assert client.post(f"/eudi/{path}").status_code == 404


@pytest.mark.parametrize(
    "settings",
    [
        {"haip": True},
        {"key_storage": ["iso_18045_high"]},
        {"batch_size": 1},
        {"redirect_uris": ["https://wallet.example/cb?x=1"]},
        {"unknown": 1},
    ],
)
def test_settings(city: City, settings: dict[str, Any]) -> None:
    with pytest.raises(IssuerRefusal, match="CONFIG_INVALID"):
        set_up(city, **settings)
