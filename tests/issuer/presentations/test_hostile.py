"""Whatever is sent to a question's addresses, the answer is ours: no 5xx, and the form that wallets expect."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import cbor2
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case

from issuer.presentations.errors import AnswerRefused
from issuer.presentations.reading import Question as Asked
from issuer.presentations.reading import shown_in
from issuer.presentations.request_object import open_question
from issuer.presentations.wishes import Wish
from passes.sd_jwt import encoded
from tests.eudi_presenting_wallet import SD_JWT, Held, Question, parsed_link
from tests.eudi_wallet import jws
from tests.issuer.eudi.conftest import ISSUER
from tests.issuer.eudi.test_hostile import values
from tests.issuer.presentations.conftest import Service
from tests.issuer.presentations.samples import RESIDENCE, asked, own
from verifier.credentials.outcome import PresentationRefused

pytestmark = pytest.mark.slow
SOME = settings(
    max_examples=60,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
NAMES = ("response", "error", "state", "vp_token", "wallet_nonce", "wallet_metadata", "id_token", "x")
QUERIES = ("residence-certificate-sd-jwt", "residence-certificate-mdoc", "pid-sd-jwt", "pid-mdoc")


@pytest.fixture(scope="module")
def held(service: Service) -> Held:
    return own(service.application, RESIDENCE, SD_JWT)


@pytest.fixture(scope="module")
def question(service: Service) -> Question:
    """One for all: nothing here is an answer to it, so nothing uses it up."""
    return service.wallet().read(asked(service.application, Wish.PROOF_OF_RESIDENCE).link)


@pytest.fixture(autouse=True)
def no_faults(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR] == []


def check(answer: Any) -> None:
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        told = answer.json()
        assert re.fullmatch(r"[a-z_]+", told["error"])
        assert re.fullmatch(r"[\x20-\x21\x23-\x5b\x5d-\x7e]*", told["error_description"])
        assert answer.headers["cache-control"] == "no-store"


@SOME
@given(
    path=st.sampled_from(["", "/answer"]),
    token=st.text(max_size=30),
    body=st.binary(max_size=300),
    kind=st.sampled_from(["application/x-www-form-urlencoded", "application/json", "text/plain", "x"]),
)
def test_bytes(service: Service, question: Question, path: str, token: str, body: bytes, kind: str) -> None:
    mine = question.address.removesuffix("/answer")
    for uri in (mine, f"/eudi/presentations/{encoded(token.encode())}x"):
        check(service.client.post(uri + path, content=body, headers={"content-type": kind}))


@SOME
@given(fields=st.dictionaries(st.sampled_from(NAMES), st.text(max_size=60), max_size=6))
def test_forms(service: Service, question: Question, fields: dict[str, str]) -> None:
    for uri in (question.address.removesuffix("/answer"), question.address):
        check(service.client.post(uri, data=fields))


@SOME
@given(
    parts=st.lists(
        st.binary(max_size=60).map(encoded) | st.sampled_from(["", "e30"]), min_size=1, max_size=6
    ),
    header=st.dictionaries(
        st.sampled_from(["alg", "enc", "kid", "epk", "zip", "apu", "crit", "cty"]), values
    ),
)
def test_encrypted_messages(
    service: Service, question: Question, parts: list[str], header: dict[str, Any]
) -> None:
    told = {"alg": "ECDH-ES", "enc": "A128GCM", "kid": question.encryption_key["kid"], **header}
    head = encoded(json.dumps(told).encode())
    for text in (".".join(parts), f"{head}..{encoded(b'x' * 12)}.e30.{encoded(b'x' * 16)}"):
        check(service.client.post(question.address, data={"response": text}))


def _described(token: str) -> dict[str, Any]:
    """Both addresses of a question, in words that schemathesis reads."""
    fields = {name: {"type": "string"} for name in NAMES}
    form = {
        "content": {"application/x-www-form-urlencoded": {"schema": {"type": "object", "properties": fields}}}
    }
    tokens = {"type": "string", "enum": [token, "A" * 22, "x"]}
    where = [{"name": "token", "in": "path", "required": True, "schema": tokens}]
    answer = {"parameters": where, "responses": {"default": {"description": "an answer"}}}
    posted = {"requestBody": form, **answer}
    paths = {
        "/eudi/presentations/{token}": {"get": answer, "post": posted},
        "/eudi/presentations/{token}/answer": {"post": posted},
    }
    return {"openapi": "3.1.0", "info": {"title": "questions", "version": "1"}, "paths": paths}


def test_schemathesis(service: Service, question: Question) -> None:
    schema = schemathesis.openapi.from_dict(_described(question.address.split("/")[-2]))
    seen: set[int] = set()
    for operation in (one.ok() for one in schema.get_all_operations()):

        @settings(SOME, max_examples=15)
        @given(operation.as_strategy(schemathesis.GenerationMode.POSITIVE))
        def ask(case: Case) -> None:
            told = case.as_transport_kwargs(base_url=ISSUER)
            told = {name: value for name, value in told.items() if name != "cookies" and value is not None}
            answer = service.client.request(**told)
            check(answer)
            seen.add(answer.status_code)

        ask()
    assert seen == {200, 400, 404}


def test_an_answer_of_anything(service: Service) -> None:
    """Members that no wallet sends, in a message that can be decrypted."""
    wallet = service.wallet()
    for members in (
        {"vp_token": {"pid-mdoc": [encoded(b"\x9f" * 200)]}},
        {"vp_token": [[[[]]]], "error": {"a": 1}},
        {"error": "x" * 60_000},
        {"vp_token": {"pid-sd-jwt": ["~" * 1000]}},
        {"vp_token": {"pid-sd-jwt": ["ä.ö.ü~"]}},
        {"vp_token": None},
    ):
        made = wallet.read(asked(service.application, Wish.PROOF_OF_RESIDENCE).link)
        told = {"state": made.claims["state"], **members}
        answer = wallet.send(made, {"response": wallet.encrypted(made, told)})
        assert answer.status_code == 400
        check(answer)


# What is inside is read without a service around it: a refusal, never another fault.


@pytest.fixture(scope="module")
def open_one(service: Service) -> Asked:
    made = asked(service.application, Wish.PROOF_OF_RESIDENCE)
    with service.application.reading() as session:
        token = parsed_link(made.link)["request_uri"].rsplit("/", 1)[-1]
        return open_question(session, service.application, token)[1]


def refused(service: Service, open_one: Asked, vp_token: Any) -> None:
    with pytest.raises((PresentationRefused, AnswerRefused)) as caught:
        shown_in(service.application, open_one, vp_token, service.application.now(), {})
    assert caught.value.sentence("en")


@SOME
@given(vp_token=values | st.dictionaries(st.sampled_from(QUERIES), values | st.lists(values, max_size=3)))
def test_vp_tokens(service: Service, open_one: Asked, vp_token: Any) -> None:
    refused(service, open_one, vp_token)


@SOME
@given(
    payload=st.dictionaries(
        st.sampled_from(["vct", "exp", "nbf", "iat", "cnf", "status", "_sd", "_sd_alg", "address", "..."]),
        values,
    ),
    header=st.dictionaries(st.sampled_from(["alg", "typ", "x5c", "crit"]), values),
    disclosures=st.lists(values, max_size=4),
)
def test_sd_jwt(
    service: Service,
    open_one: Asked,
    held: Held,
    payload: dict[str, Any],
    header: dict[str, Any],
    disclosures: list[Any],
) -> None:
    """Signed by anybody, and with the signature of a credential that holds."""
    made = jws(held.key.key, {"alg": "ES256", "typ": "dc+sd-jwt", **header}, payload)
    shown = "~".join(encoded(json.dumps(one).encode()) for one in disclosures)
    for token in (made, held.text.split("~")[0]):
        refused(service, open_one, {"residence-certificate-sd-jwt": [f"{token}~{shown}~{made}"]})


cbor = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.binary(max_size=20) | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["version", "documents", "status", "docType", "issuerSigned", "nameSpaces", "issuerAuth"]
            )
            | st.integers(-5, 40),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@SOME
@given(response=cbor, tail=st.binary(max_size=3))
def test_mdoc(service: Service, open_one: Asked, response: Any, tail: bytes) -> None:
    documents = [{"docType": "x", "issuerSigned": response, "deviceSigned": {}}]
    for one in (response, {"version": "1.0", "status": 0, "documents": documents}):
        refused(service, open_one, {"pid-mdoc": [encoded(cbor2.dumps(one) + tail)]})
