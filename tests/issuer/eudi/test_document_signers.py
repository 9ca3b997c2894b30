"""Credential and status list are signed with one certificate, also after the next document signer has taken over."""

from __future__ import annotations

import base64
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text

from issuer import certified_keys, keyring, reconciliation
from issuer.application import Application
from issuer.cli import main
from issuer.eudi import making
from issuer.eudi.making import Order
from issuer.models_eudi import EudiCredentialRow, EudiStatusListRow
from issuer.restored_log import LoggedRevocation
from keys import lifecycle
from keys.demo_ca import LIFETIME
from keys.demo_eudi_ca import DemoEudiAuthority
from keys.eudi_certificates import EudiUse
from keys.lifecycle import Purpose
from passes.credential_status import CWT_MEDIA_TYPE
from tests.eudi_issuing_wallet import Wallet, new_key, unsigned_parts
from tests.issuer.eudi.conftest import ISSUER, MDOC, SD_JWT, MakeWallet, card, offer_of
from tests.issuer.eudi.test_one_revocation import issued, more, revoke, status
from tests.service import TODAY, City

LIFE = timedelta(days=20)


@pytest.fixture
def wallet(application: Application, new_wallet: MakeWallet) -> Wallet:
    return new_wallet(application, uses_dpop=True)


def new_signer(application: Application, *, life: timedelta = timedelta(days=400)) -> str:
    """Have another key sign from now on, whose certificate ends after ``life``. Returns its id."""
    keys, now = application.keys, application.now()
    authority = DemoEudiAuthority.new(now + life - LIFETIME, ISSUER)
    with application.writing() as session:
        record = keyring.create_key(session, keys, application.tenant, Purpose.EUDI, now, test=True)
        identity = authority.issue(EudiUse.DOCUMENT_SIGNER, keys.signer(record.uri))
        certified = certified_keys.certified(record, identity)
        keyring.transition(session, certified, keyring.activate(session, certified, now), now, "test")
    return record.kid.hex()


def current(application: Application) -> str:
    with application.reading() as session:
        return keyring.signing_record(session, application.tenant, Purpose.EUDI, application.now()).kid.hex()


def retire(application: Application, kid: str) -> None:
    with application.writing() as session:
        record = keyring.find(session, application.tenant, kid)
        after = lifecycle.retire(record, application.now())
        keyring.transition(session, record, after, application.now(), "test")


def signed_by(wallet: Wallet, uri: str) -> list[str]:
    """The certificates under a status list; both forms have the same."""
    header, _ = unsigned_parts(wallet.client.get(uri).text)
    leaf = header["x5c"][0]
    cwt = wallet.client.get(uri, headers={"Accept": CWT_MEDIA_TYPE}).content
    assert base64.b64decode(leaf) in cwt
    return list(header["x5c"])


def credential(wallet: Wallet) -> tuple[list[str], str, int]:
    """A fresh credential: the certificates under it, and its place."""
    [made] = wallet.ask(SD_JWT, [new_key()]).json()["credentials"]
    header, claims = unsigned_parts(made["credential"].split("~")[0])
    place = claims["status"]["status_list"]
    return header["x5c"], place["uri"], place["idx"]


def test_credential_and_list_have_one_certificate_after_a_renewal(
    application: Application, wallet: Wallet
) -> None:
    """Some wallets take a list only from the certificate under the credential (trap: Paradym)."""
    wallet.redeem(wallet.read_offer(offer_of(application).link))
    before, old_uri, old_index = credential(wallet)
    new_signer(application)
    after, new_uri, new_index = credential(wallet)
    assert before != after
    assert new_uri != old_uri
    assert signed_by(wallet, old_uri) == before
    assert signed_by(wallet, new_uri) == after
    with application.writing() as session:
        revoke(session, application, card(application))
    assert [status(wallet, old_uri, old_index), status(wallet, new_uri, new_index)] == [1, 1]
    assert signed_by(wallet, old_uri) == before


def test_a_retired_key_goes_on_signing_the_lists_of_its_credentials(
    application: Application, wallet: Wallet
) -> None:
    old = current(application)
    wallet.redeem(wallet.read_offer(offer_of(application).link))
    before, uri, _ = credential(wallet)
    new_signer(application)
    retire(application, old)
    assert signed_by(wallet, uri) == before
    assert credential(wallet)[0] != before


def test_no_credential_outlives_its_certificate_and_its_list_is_signed_on(
    application: Application, wallet: Wallet, city: City
) -> None:
    new_signer(application, life=LIFE)
    wallet.redeem(wallet.read_offer(offer_of(application).link))
    [made] = wallet.ask(SD_JWT, [new_key()]).json()["credentials"]
    header, claims = unsigned_parts(made["credential"].split("~")[0])
    end = (TODAY + LIFE).timestamp()
    assert claims["exp"] <= end
    uri = claims["status"]["status_list"]["uri"]
    new_signer(application)
    city.clock.forward(days=LIFE.days - 1, hours=23)
    told = unsigned_parts(wallet.client.get(uri).text)
    assert told[0]["x5c"] == header["x5c"]
    # No list is good for longer than the certificate under it.
    assert told[1]["exp"] == end
    city.clock.forward(hours=2)
    told = unsigned_parts(wallet.client.get(uri).text)
    assert told[0]["x5c"] != header["x5c"]
    assert told[1]["exp"] > application.now().timestamp()


def test_what_a_stolen_key_has_signed_counts_no_more(
    application: Application, city: City, wallet: Wallet
) -> None:
    """Genuine credentials, and what a thief has signed, wherever in the list that claims to stand."""
    stolen = current(application)
    places = issued(wallet, application, card(application))
    new_signer(application)
    assert main(["keys", "revoke", stolen, "--reason", "entwendet", "--data", str(city.folder)]) == 0
    [uri] = {uri for uri, _ in places}
    assert [status(wallet, *one) for one in places] == [1, 1]
    assert {status(wallet, uri, index) for index in range(0, 1 << 20, 99_991)} == {1}
    fresh, new_uri, index = credential(wallet)
    assert signed_by(wallet, uri) == fresh == signed_by(wallet, new_uri)
    assert status(wallet, new_uri, index) == 0


def test_a_stolen_key_stays_so_after_a_restore(application: Application, wallet: Wallet) -> None:
    stolen = current(application)
    places = issued(wallet, application, card(application))
    new_signer(application)
    logged = LoggedRevocation(Path("revocations.log"), 1, stolen, "", "", None)
    log = (logged,)
    with application.writing() as session:
        reconciliation.reconcile(
            session, application.tenant, application.now(), "test", log, None, keep_credentials=True
        )
    assert [status(wallet, *one) for one in places] == [1, 1]


def test_a_key_that_takes_over_while_credentials_are_made(
    application: Application, wallet: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has its place in a list of the old key is signed by the old key."""
    wallet.redeem(wallet.read_offer(offer_of(application).link))
    make = making.make

    def late(application: Application, session: object, order: Order) -> list[str]:
        if not taken:
            taken.append(new_signer(application))
        return make(application, session, order)  # type: ignore[arg-type]

    taken: list[str] = []
    monkeypatch.setattr(making, "make", late)
    certificates, uri, _ = credential(wallet)
    assert signed_by(wallet, uri) == certificates
    assert signed_by(wallet, credential(wallet)[1]) != certificates


def test_no_key_means_later(application: Application, wallet: Wallet) -> None:
    """Without a key that may sign the wallet waits, and its list is signed by the one that comes."""
    wallet.redeem(wallet.read_offer(offer_of(application).link))
    retire(application, current(application))
    promised = wallet.ask(MDOC, [new_key()])
    assert promised.status_code == 202
    new_signer(application)
    told = {"transaction_id": promised.json()["transaction_id"]}
    assert wallet.call(wallet.metadata["deferred_credential_endpoint"], told).status_code == 200
    with application.reading() as session:
        lists = {one.number: one.kid for one in session.scalars(select(EudiStatusListRow))}
        valid = session.scalars(select(EudiCredentialRow).where(EudiCredentialRow.status_value == 0)).all()
    assert [lists[one.list_number] for one in valid] == [current(application)]
    [nobody] = [number for number, kid in lists.items() if kid is None]
    assert wallet.client.get(f"{wallet.issuer}/eudi/status/{nobody}").status_code == 200


def test_lists_of_a_register_from_before(application: Application, city: City, wallet: Wallet) -> None:
    """Lists that were begun before lists had keys are signed by the key that has signed them up to then."""
    places = issued(wallet, application, card(application))
    before = signed_by(wallet, places[0][0])
    for step in (("down", "0016"), ("up",)):
        assert main(["migrate", *step, "--data", str(city.folder)]) == 0
    with application.reading() as session:
        assert session.execute(text("SELECT kid FROM eudi_status_lists")).scalar_one() == current(application)
    new_signer(application)
    assert signed_by(wallet, places[0][0]) == before
    assert more(wallet)[0][0] != places[0][0]
