"""Our credentials as the libraries under real wallets see them: @sd-jwt/sd-jwt-vc, @owf/mdoc, @auth0/mdl."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cbor2
import pytest

from passes.credential_frame import StatusReference
from passes.credential_status import StatusListFrame, pack, sign_jwt
from passes.credentials import Binding, CredentialFactory
from passes.sd_jwt import decoded, encoded
from passes.status_list import Status
from passes.type_metadata import type_metadata
from tests.eudi_wallet import CITY_URL, Issuer, Wallet
from tests.passes.carrier_samples import builtin, city
from tests.passes.credential_samples import LIST_URI, SAMPLES
from tests.verifier.credentials.asked import AUDIENCE, NONCE, TRANSCRIPT, TYPE_IDS, doctype
from tests.wallet_libraries import wallet_libraries

Case = dict[str, Any]
ISO = "org.iso.23220.1"


class City:
    """A city of today: @auth0/mdl reads the machine's clock."""

    def __init__(self, folder: Path) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.issuer = Issuer.new(folder, self.now)
        self.wallet = Wallet(at=self.now)

    def issued(self, form: Any, type_id: str) -> str:
        content = SAMPLES[type_id]
        factory = CredentialFactory(builtin(type_id), city(), self.issuer.identity)
        bound = [Binding(self.wallet.public_key, StatusReference(LIST_URI, 5))]
        # The samples run in 2026 and 2027; what a wallet says of them must not depend on the day.
        from dataclasses import replace

        from passes.periods import Period, berlin_day

        today = berlin_day(self.now)
        running = Period(today - timedelta(days=10), today + timedelta(days=80))
        [made] = factory.issue(form, replace(content, period=running), bound, self.now)
        return made

    def status_list(self, *entries: tuple[int, Status]) -> str:
        seconds = int(self.now.timestamp())
        frame = StatusListFrame(LIST_URI, seconds, 3600, seconds + 86_400)
        return sign_jwt(self.issuer.identity, frame, pack(entries))

    def sd_jwt_case(self, type_id: str, presentation: str | None = None, **changes: Any) -> Case:
        shown = self.wallet.show_sd_jwt(self.issued("dc+sd-jwt", type_id), None, AUDIENCE, NONCE)
        metadata = type_metadata(builtin(type_id), CITY_URL).document.decode()
        case = {
            "kind": "sd-jwt",
            "credential": presentation or shown,
            "now": int(self.now.timestamp()),
            "nonce": NONCE,
        }
        return case | {"statusList": self.status_list(), "metadata": metadata} | changes

    def issued_case(self, type_id: str, credential: str | None = None, **changes: Any) -> Case:
        spaces = [ISO, doctype(type_id)]
        case = {"kind": "owf-issued", "credential": credential or self.issued("mso_mdoc", type_id)}
        return case | {"now": int(self.now.timestamp()), "namespaces": spaces} | changes

    def response_case(self, kind: str, response: bytes, transcript: bytes = TRANSCRIPT) -> Case:
        return {
            "kind": kind,
            "response": encoded(response),
            "transcript": encoded(transcript),
            "embeddedTranscript": encoded(cbor2.dumps(cbor2.CBORTag(24, transcript))),
            "now": int(self.now.timestamp()),
        }

    def ask(self, cases: list[Case]) -> list[dict[str, Any]]:
        return wallet_libraries(self.issuer.authority.root_pem, cases)


@pytest.fixture(scope="module")
def today(tmp_path_factory: pytest.TempPathFactory) -> City:
    return City(tmp_path_factory.mktemp("city"))


def test_sd_jwt_vc_takes_every_type_with_its_metadata_and_status(today: City) -> None:
    answers = today.ask([today.sd_jwt_case(one) for one in TYPE_IDS])
    for type_id, answer in zip(TYPE_IDS, answers, strict=True):
        assert "refused" not in answer, answer
        told = answer["ok"]
        assert told["payload"]["vct"] == f"{CITY_URL}/vct/{type_id}/1"
        assert told["metadata"]["mergedTypeMetadata"]["name"] == builtin(type_id).words("en").name
    residence = answers[TYPE_IDS.index("residence-certificate")]["ok"]["payload"]
    assert [one["kind"] for one in residence["residences"]] == ["main", "secondary"]
    assert residence["residences"][1]["locality"] == "Köln"


def test_sd_jwt_vc_refuses_what_is_not_ours_or_not_now(today: City) -> None:
    shown = today.sd_jwt_case("library-card")["credential"]
    token, *rest = shown.split("~")
    head, body, signature = token.split(".")
    payload = json.loads(decoded(body))
    grown = encoded(json.dumps(payload | {"exp": payload["exp"] + 1}).encode())
    disclosed = json.loads(decoded(rest[0]))
    disclosed[-1] = "changed"
    cases = {
        "payload": today.sd_jwt_case("library-card", "~".join([f"{head}.{grown}.{signature}", *rest])),
        "disclosure": today.sd_jwt_case(
            "library-card", "~".join([token, encoded(json.dumps(disclosed).encode()), *rest[1:]])
        ),
        "nonce": today.sd_jwt_case("library-card", nonce="replayed"),
        "revoked": today.sd_jwt_case("library-card", statusList=today.status_list((5, Status.SUPERSEDED))),
        "ended": today.sd_jwt_case("library-card", now=int(today.now.timestamp()) + 400 * 86_400),
        "stolen": today.sd_jwt_case(
            "library-card",
            Wallet(at=today.now).show_sd_jwt(
                today.issued("dc+sd-jwt", "library-card"), None, AUDIENCE, NONCE
            ),
        ),
    }
    answers = today.ask(list(cases.values()))
    assert {name for name, one in zip(cases, answers, strict=True) if "refused" not in one} == set()


def test_owf_mdoc_takes_every_type(today: City) -> None:
    answers = today.ask([today.issued_case(one) for one in TYPE_IDS])
    for type_id, answer in zip(TYPE_IDS, answers, strict=True):
        assert "refused" not in answer, answer
        assert answer["ok"][ISO]["issuing_country"] == "DE"
        assert answer["ok"][ISO]["document_number"] == SAMPLES[type_id].number
    assert answers[0]["ok"][doctype(TYPE_IDS[0])]["plates"] == ["D-AB 123", "D-E 5H"]


@pytest.mark.parametrize("kind", ["owf-response", "auth0-response"])
def test_a_presented_mdoc_is_taken_and_a_changed_one_is_not(today: City, kind: str) -> None:
    credential = today.issued("mso_mdoc", "library-card")
    good = today.wallet.show_mdoc(credential, ["card_number", "issue_date"], TRANSCRIPT)

    def another_number(response: dict[str, Any]) -> None:
        items = response["documents"][0]["issuerSigned"]["nameSpaces"][doctype("library-card")]
        item = cbor2.loads(items[0].value)
        items[0] = cbor2.CBORTag(24, cbor2.dumps(item | {"elementValue": "99999"}))

    def another_signature(response: dict[str, Any]) -> None:
        auth = response["documents"][0]["issuerSigned"]["issuerAuth"]
        auth[3] = bytes([auth[3][0] ^ 1]) + auth[3][1:]

    changed = [
        today.wallet.show_mdoc(credential, ["card_number"], TRANSCRIPT, another_number),
        today.wallet.show_mdoc(credential, None, TRANSCRIPT, another_signature),
        Wallet().show_mdoc(credential, None, TRANSCRIPT),
    ]
    answers = today.ask([today.response_case(kind, one) for one in (good, *changed)])
    assert "refused" not in answers[0], answers[0]
    assert [sorted(one) for one in answers[1:]] == [["refused"]] * 3
    replayed = today.response_case(kind, good, cbor2.dumps([None, None, ["OpenID4VPHandover", bytes(32)]]))
    assert "refused" in today.ask([replayed])[0]


def test_owf_mdoc_refuses_a_signature_of_before_the_certificate(today: City) -> None:
    """The trap: a day rounded down can lie before the certificate's own beginning."""
    from passes import mdoc
    from passes.credential_frame import Validity, validity

    identity = today.issuer.identity
    first = identity.not_before + timedelta(hours=5)
    # A signer whose certificate is five hours old.
    times = validity(identity, first, first - timedelta(days=1), first + timedelta(days=9), timedelta(days=9))
    assert times.issued_at >= int(identity.not_before.timestamp())

    def made(one: Validity) -> str:
        elements = {ISO: {"issuing_country": "DE"}}
        return mdoc.issue(
            identity,
            doctype="a.b.c.1",
            elements=elements,
            holder=today.wallet.public_key,
            validity=one,
            status=None,
        )

    early = Validity(times.issued_at - 43_200, times.not_before, times.expires)
    at = int(first.timestamp())
    cases = [today.issued_case("library-card", made(one), now=at, namespaces=[ISO]) for one in (times, early)]
    good, bad = today.ask(cases)
    assert "ok" in good, good
    assert "refused" in bad
