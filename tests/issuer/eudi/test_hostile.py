"""Whatever is sent to the endpoints for wallets, the answer is theirs: no 5xx, and the form that wallets expect."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case

from issuer.eudi import jws
from tests.eudi_issuing_wallet import PRE_AUTHORIZED, Wallet, WalletProvider, b64, new_key, public, signed
from tests.issuer.eudi.conftest import PROVIDER_FILE, SD_JWT, offer_of, set_up
from tests.service import TODAY, City, SetClock
from tests.web_app import create_app

pytestmark = pytest.mark.slow

METADATA = "/.well-known/openid-credential-issuer"
SERVER = "/.well-known/oauth-authorization-server"
PATHS = ("token", "par", "nonce", "credential", "deferred", "notification")
SOME = settings(
    max_examples=60,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
NAMES = (
    "grant_type", "pre-authorized_code", "tx_code", "code", "code_verifier", "redirect_uri", "client_id", "scope",
    "refresh_token", "authorization_details", "response_type", "code_challenge", "code_challenge_method", "state",
    "dpop_jkt", "issuer_state", "request_uri", "response_mode",
)  # fmt: skip
MEMBERS = (
    "credential_identifier", "credential_configuration_id", "proofs", "proof", "credential_response_encryption",
    "transaction_id", "notification_id", "event", "event_description", "jwk", "enc", "zip", "jwt", "attestation",
)  # fmt: skip


_TOKEN = {"invalid_token"}
_DPOP = {"use_dpop_nonce", "invalid_dpop_proof"}
_GRANT = {"invalid_request", "invalid_client", "invalid_authorization_details", *_DPOP}
_ORDER = {"invalid_credential_request", "invalid_encryption_parameters", *_TOKEN, *_DPOP}
# RFC 6749, 5.2; RFC 9126, 2.3; RFC 9449, 5 and 7.1; OpenID4VCI 1.0, 6.3, 8.3.1.2, 9.3 and 11.3.
ERRORS = {
    "token": {"invalid_grant", "unsupported_grant_type", "slow_down", *_GRANT},
    "par": {"invalid_scope", "unsupported_response_type", *_GRANT},
    "nonce": {"invalid_request"},
    "credential": {
        "unknown_credential_configuration",
        "unknown_credential_identifier",
        "invalid_proof",
        "invalid_nonce",
        "credential_request_denied",
        *_ORDER,
    },
    "deferred": {"invalid_transaction_id", "credential_request_denied", *_ORDER},
    "notification": {"invalid_notification_id", "invalid_notification_request", *_TOKEN, *_DPOP},
}


@pytest.fixture(scope="module")
def wallet(sqlite_cities: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A wallet of a city that takes everything, for all examples."""
    import shutil
    from contextlib import ExitStack

    from litestar.testing import TestClient

    from issuer.workspace import CONFIG
    from tests.service import OTHER_TENANT, TENANT

    folder = tmp_path_factory.mktemp("hostile")
    shutil.copy(sqlite_cities / "shared.db", folder / "shared.db")
    for tenant in (TENANT, OTHER_TENANT):
        shutil.copytree(sqlite_cities / tenant, folder / tenant)
        config = folder / tenant / CONFIG
        url = f"sqlite+pysqlite:///{folder / 'shared.db'}"
        config.write_text(re.sub(r"database_url = .*", f'database_url = "{url}"', config.read_text()))
    with ExitStack() as stack:
        city = City(folder / TENANT, folder / OTHER_TENANT, SetClock(), stack)
        provider = WalletProvider(TODAY)
        (city.folder / PROVIDER_FILE).write_bytes(provider.anchor_pem)
        application = set_up(
            city, wallet_providers=[PROVIDER_FILE], redirect_uris=["https://wallet.example/cb"]
        )
        client = stack.enter_context(
            TestClient(create_app(application), base_url="https://stadtpass.example")
        )
        made = Wallet(client, application.now, "https://stadtpass.example", provider, uses_dpop=True)
        made.discover()
        made.redeem(made.read_offer(offer_of(application).link))
        yield made


def check(answer: Any) -> None:
    """No fault, an error in the form of RFC 6749, and one that the endpoint may tell."""
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        told = answer.json()
        assert answer.headers["content-type"] == "application/json"
        assert set(told) == {"error", "error_description"}
        assert re.fullmatch(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+", told["error_description"])
        assert answer.headers["cache-control"] == "no-store"
        endpoint = answer.request.url.path.removeprefix("/eudi/").partition("/")[0]
        assert told["error"] in ERRORS.get(endpoint, {"not_found", "invalid_request"}), told
        is_resource = endpoint in ("credential", "deferred", "notification")
        if is_resource and told["error"] in _TOKEN | _DPOP:
            assert answer.status_code == 401
            assert re.match(r"(Bearer|DPoP) realm=", answer.headers["www-authenticate"])
        elif answer.status_code not in (404, 405, 413):
            assert answer.status_code == (401 if told["error"] == "invalid_client" else 400)


@SOME
@given(
    path=st.sampled_from(PATHS),
    body=st.binary(max_size=300),
    kind=st.sampled_from(
        ["application/json", "application/x-www-form-urlencoded", "application/jwt", "text/plain", "x"]
    ),
    header=st.sampled_from(
        ["authorization", "dpop", "oauth-client-attestation", "oauth-client-attestation-pop"]
    ),
    value=st.binary(max_size=60),
)
def test_bytes(wallet: Wallet, path: str, body: bytes, kind: str, header: str, value: bytes) -> None:
    value = bytes(one for one in value if one not in b"\r\n\0").strip()
    headers = {"content-type": kind.encode(), header: value}
    check(wallet.client.post(f"/eudi/{path}", content=body, headers=headers))


@SOME
@given(
    path=st.sampled_from(["token", "par"]),
    fields=st.dictionaries(st.sampled_from(NAMES), st.text(max_size=60), max_size=8),
    grant=st.sampled_from(["", PRE_AUTHORIZED, "authorization_code", "refresh_token"]),
)
def test_forms(wallet: Wallet, path: str, fields: dict[str, str], grant: str) -> None:
    told = {**fields, **({"grant_type": grant} if grant else {})}
    for authenticated in (False, True):
        headers = wallet.authentication() if authenticated else {}
        check(wallet.client.post(f"/eudi/{path}", data=told, headers=headers))


@SOME
@given(
    path=st.sampled_from(["credential", "deferred", "notification"]),
    content=st.dictionaries(st.sampled_from(MEMBERS), values, max_size=5),
    named=st.booleans(),
    encrypted=st.booleans(),
)
def test_json(wallet: Wallet, path: str, content: dict[str, Any], named: bool, encrypted: bool) -> None:
    told = {**content, **({"credential_configuration_id": SD_JWT} if named else {})}
    [key] = wallet.metadata["credential_request_encryption"]["jwks"]["keys"]
    told = json.loads(json.dumps(told, allow_nan=True), parse_constant=str)
    address = f"https://stadtpass.example/eudi/{path}"
    check(wallet.call(address, told, encrypt_for=key if encrypted else None))


@SOME
@given(
    header=st.dictionaries(
        st.sampled_from(["typ", "alg", "jwk", "kid", "x5c", "key_attestation", "crit", "trust_chain"]), values
    ),
    claims=st.dictionaries(
        st.sampled_from(["aud", "iat", "nonce", "iss", "exp", "jti", "htm", "htu", "ath", "cnf"]), values
    ),
    good=st.booleans(),
)
def test_signed_tokens(wallet: Wallet, header: dict[str, Any], claims: dict[str, Any], good: bool) -> None:
    """Tokens with a good signature and anything in them: as proofs of every kind, and as attestations."""
    key = new_key()
    for typ in ("openid4vci-proof+jwt", "dpop+jwt", "oauth-client-attestation+jwt", "key-attestation+jwt"):
        shown = {"typ": typ, "jwk": public(key), **header} if good else header
        token = signed(key, shown, claims)
        for proofs in ({"jwt": [token]}, {"attestation": [token]}):
            content = {"credential_configuration_id": SD_JWT, "proofs": proofs}
            check(wallet.call(wallet.metadata["credential_endpoint"], content))
        headers = {"dpop": token}
        check(wallet.client.post("/eudi/token", data={"grant_type": "refresh_token"}, headers=headers))
        headers = {**wallet.authentication(), "oauth-client-attestation": token}
        check(wallet.client.post("/eudi/par", data={"client_id": "x"}, headers=headers))


@SOME
@given(
    query=st.dictionaries(st.sampled_from(["client_id", "request_uri", "lang", "x"]), st.text(max_size=40))
)
def test_page(wallet: Wallet, query: dict[str, str]) -> None:
    answer = wallet.client.get("/eudi/authorize", params=query)
    assert answer.status_code in (400, 410)


@SOME
@given(
    path=st.sampled_from(["code", "answer"]),
    fields=st.dictionaries(
        st.sampled_from(["request", "code", "agree", "form_token", "lang", "x"]), st.text(max_size=60)
    ),
    body=st.none() | st.binary(max_size=200),
    from_here=st.booleans(),
)
def test_forms_of_the_page(
    wallet: Wallet, path: str, fields: dict[str, str], body: bytes | None, from_here: bool
) -> None:
    headers = {"origin": "https://stadtpass.example"} if from_here else {}
    if body is not None:
        headers["content-type"] = "application/x-www-form-urlencoded"
    content: dict[str, Any] = {"data": fields} if body is None else {"content": body}
    answer = wallet.client.post(f"/eudi/authorize/{path}", headers=headers, **content)
    assert answer.status_code < 500, answer.text
    assert answer.headers.get("location", "/").startswith("/")


@SOME
@given(text=st.text(max_size=200) | st.binary(max_size=100).map(b64) | st.just("."))
def test_reading_tokens(text: str) -> None:
    """The reader of tokens gives a token or says that there is none."""
    for spelt in (text, f"{text}.{text}.{text}", f"{b64(text.encode())}.{b64(text.encode())}.x"):
        with pytest.raises(jws.JwsError):
            jws.read(spelt, ("x",))


@SOME
@given(
    path=st.sampled_from(
        ["/eudi/status/", "/eudi/offers/", "/vct/", f"{METADATA}/", f"{SERVER}/", METADATA, SERVER, "/eudi/"]
    ),
    rest=st.text(max_size=30) | st.integers().map(str),
    header=st.sampled_from(["accept", "accept-encoding", "if-none-match", "range", "origin", "dpop"]),
    value=st.binary(max_size=80)
    | st.lists(
        st.sampled_from(
            [
                b"application/jwt",
                b"application/statuslist+cwt",
                b"gzip",
                b"*/*",
                b"*",
                b";q=",
                b"1.5",
                b"0",
                b",",
                b'"',
            ]
        ),
        max_size=8,
    ).map(b"".join),
    method=st.sampled_from(["GET", "HEAD"]),
)
def test_reading(wallet: Wallet, path: str, rest: str, header: str, value: bytes, method: str) -> None:
    """Everything that is fetched without a log-in: any path behind it, any of the headers that choose a form."""
    value = bytes(one for one in value if one not in b"\r\n\0").strip()
    whole = path + quote(rest, safe="/") if path.endswith("/") else path
    answer = wallet.client.request(method, whole, headers={header: value})
    assert answer.status_code < 500, whole
    is_ours = not whole.startswith(("/eudi/authorize", "/eudi/request", "/eudi/answer"))
    if method == "GET" and answer.status_code >= 400 and path != "/eudi/" and is_ours:
        check(answer)


@pytest.mark.parametrize(
    ("value", "is_signed"),
    [
        (b"", False),
        (b"*/*", False),
        (b"application/jwt", True),
        (b"application/jwt;q=0", False),
        (b"application/jwt;q=7, application/json;q=0.5", True),
        (b"text/html", False),
        (b"\xff", False),
        (b"," * 400, False),
    ],
)
def test_forms_of_metadata(wallet: Wallet, value: bytes, is_signed: bool) -> None:
    """Whatever is preferred, what comes is one of the two forms, as its media type says."""
    answer = wallet.client.get(METADATA, headers={"accept": value})
    assert answer.status_code == 200
    kind = "application/jwt" if is_signed else "application/json"
    assert answer.headers["content-type"] == kind


def _form(*names: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in names}}
    return {"content": {"application/x-www-form-urlencoded": {"schema": schema}}}


def _json(**properties: Any) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": {"type": "object", "properties": properties}}}}


def _described() -> dict[str, Any]:
    text, anything = {"type": "string"}, {"type": "object"}
    posts = {
        "/eudi/token": _form(*NAMES),
        "/eudi/par": _form(*NAMES),
        "/eudi/nonce": _form(),
        "/eudi/credential": _json(
            credential_identifier=text,
            credential_configuration_id=text,
            proofs={"type": "object", "properties": {"jwt": {"type": "array", "items": text}}},
            credential_response_encryption=anything,
        ),
        "/eudi/deferred": _json(transaction_id=text, credential_response_encryption=anything),
        "/eudi/notification": _json(notification_id=text, event=text, event_description=text),
    }
    answer = {"responses": {"default": {"description": "an answer"}}}
    paths: dict[str, Any] = {name: {"post": {"requestBody": body, **answer}} for name, body in posts.items()}
    for name, kind in (("/eudi/offers/{token}", text), ("/eudi/status/{number}", {"type": "integer"})):
        place = re.findall(r"{(\w+)}", name)[0]
        where = [{"name": place, "in": "path", "required": True, "schema": kind}]
        paths[name] = {"get": {"parameters": where, **answer}}
    for name in ("openid-credential-issuer", "oauth-authorization-server"):
        paths[f"/.well-known/{name}"] = {"get": answer}
    where = [{"name": one, "in": "query", "schema": text} for one in ("client_id", "request_uri")]
    paths["/eudi/authorize"] = {"get": {"parameters": where, **answer}}
    return {"openapi": "3.1.0", "info": {"title": "EUDI", "version": "1"}, "paths": paths}


def test_schemathesis(wallet: Wallet, caplog: pytest.LogCaptureFixture) -> None:
    schema = schemathesis.openapi.from_dict(_described())
    token = wallet.tokens["access_token"]
    count = 0
    for operation in (one.ok() for one in schema.get_all_operations()):

        @settings(SOME, max_examples=15)
        @given(operation.as_strategy(schemathesis.GenerationMode.POSITIVE))
        def ask(case: Case) -> None:
            nonlocal count
            case.headers["Authorization"] = f"Bearer {token}"
            told = case.as_transport_kwargs(base_url="https://stadtpass.example")
            told = {name: value for name, value in told.items() if name != "cookies" and value is not None}
            answer = wallet.client.request(**told)
            assert answer.status_code < 500, (case, answer.text)
            count += 1

        ask()
    assert count > 50
    assert [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR] == []
