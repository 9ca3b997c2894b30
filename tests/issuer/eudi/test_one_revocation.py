"""One record, one revocation: what happens to a pass happens to its credentials, in the same transaction."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import cbor2
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer import attributes as stored_attributes
from issuer import lifecycle, outgoing
from issuer.application import Application
from issuer.audit import AuditEvent
from issuer.eudi import following, status_lists
from issuer.lifecycle import Actor, Changes, NextRevision
from issuer.models import PassRow
from issuer.models_eudi import (
    EudiCredentialRow,
    EudiStatusListRow,
    EudiTokenRow,
    EudiTransactionCodeRow,
    IssuanceSessionRow,
)
from issuer.nightly.retention import preview
from issuer.outgoing import EventName
from issuer.register import WalletIdentity, subject
from passes.card_numbers import CardNumber
from tests.eudi_issuing_wallet import Wallet, error_of, new_key, unsigned_parts
from tests.issuer.eudi.conftest import MDOC, SD_JWT, MakeWallet, card, offer_of, set_up
from tests.issuer.pickup.browser import browser, send, visit
from tests.service import CARD, City, running_numbers

Step = Callable[[Session, Application, str], Any]


def _actor(application: Application) -> Actor:
    return Actor("clerk", application.now(), "Test")


def revoke(session: Session, application: Application, number: str) -> None:
    lifecycle.revoke(session, application.tenant, CARD, number, actor=_actor(application))


def suspend(session: Session, application: Application, number: str) -> None:
    lifecycle.suspend(session, application.tenant, CARD, number, actor=_actor(application))


def resume(session: Session, application: Application, number: str) -> None:
    lifecycle.resume(session, application.tenant, CARD, number, actor=_actor(application))


def reissue(session: Session, application: Application, number: str) -> None:
    pass_type = application.pass_types[CARD]
    sealer = application.sealer(session, pass_type)
    lifecycle.reissue(
        session, application.tenant, pass_type, number, seal_for=sealer, actor=_actor(application)
    )


def change(session: Session, application: Application, number: str) -> None:
    pass_type = application.pass_types[CARD]
    row = session.get_one(PassRow, (application.tenant, CARD, number))
    assert row.card_key is not None
    lifecycle.change(
        session,
        application.tenant,
        pass_type,
        number,
        Changes(card_number=_other_card(application, session, number)),
        seal_for=application.sealer(session, pass_type),
        actor=_actor(application),
    )


def renew(session: Session, application: Application, number: str, *, says_else: bool) -> None:
    pass_type = application.pass_types[CARD]
    row, current = lifecycle.running(session, (application.tenant, CARD, number), application.now())
    attributes = stored_attributes.decode(pass_type, current.attributes)
    attributes |= {"branch": "Zentralbibliothek II"} if says_else else {}
    row.period_last += timedelta(days=365)
    following = NextRevision(
        attributes,
        AuditEvent("renew", subject(CARD, number)),
        WalletIdentity(current.serial, current.apple_token),
        EventName.RENEWED,
        older_stand=not says_else,
    )
    lifecycle.supersede(
        session, pass_type, row, current, following,
        seal_for=application.sealer(session, pass_type), actor=_actor(application),
    )  # fmt: skip


def _other_card(application: Application, session: Session, number: str) -> CardNumber:
    from dataclasses import replace

    from issuer.register import load_contents

    [content] = load_contents(session, application.tenant, application.pass_types[CARD], [number])
    held = content.attributes["card_number"]
    assert isinstance(held, CardNumber)
    return (
        replace(held, text="A" + held.text[1:]) if not held.text.startswith("A") else replace(held, text="B1")
    )


def status(wallet: Wallet, uri: str, index: int) -> int:
    """The entry of a credential in its list, fetched as JWT."""
    answer = wallet.client.get(uri)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/statuslist+jwt")
    assert answer.headers["access-control-allow-origin"] == "*"
    header, claims = unsigned_parts(answer.text)
    assert (header["typ"], claims["sub"]) == ("statuslist+jwt", uri)
    told = claims["status_list"]
    raw = zlib.decompress(base64.urlsafe_b64decode(told["lst"] + "=="))
    each = 8 // told["bits"]
    return raw[index // each] >> index % each * told["bits"] & ((1 << told["bits"]) - 1)


def issued(wallet: Wallet, application: Application, number: str, count: int = 2) -> list[tuple[str, int]]:
    """The places of credentials that the wallet fetches."""
    wallet.redeem(wallet.read_offer(offer_of(application, number).link))
    return more(wallet, count)


def more(wallet: Wallet, count: int = 2) -> list[tuple[str, int]]:
    answer = wallet.ask(SD_JWT, [new_key() for _ in range(count)])
    assert answer.status_code == 200, answer.text
    places = []
    for one in answer.json()["credentials"]:
        told = unsigned_parts(one["credential"].split("~")[0])[1]["status"]["status_list"]
        places.append((told["uri"], told["idx"]))
    return places


@pytest.fixture
def wallet(application: Application, new_wallet: MakeWallet) -> Wallet:
    return new_wallet(application, uses_dpop=True)


@pytest.mark.parametrize(("step", "value"), [(revoke, 1), (reissue, 1), (suspend, 2)])
def test_steps(application: Application, wallet: Wallet, step: Step, value: int) -> None:
    number, bystander = running_numbers(application, CARD)[:2]
    other = issued(wallet, application, bystander)
    places = issued(wallet, application, number)
    assert [status(wallet, *one) for one in places] == [0, 0]
    offer = wallet.read_offer(offer_of(application, number).link)
    with application.writing() as session:
        step(session, application, number)
    assert [status(wallet, *one) for one in places] == [value, value]
    assert [status(wallet, *one) for one in other] == [0, 0]
    # Offers, access and refresh tokens end with it.
    assert error_of(wallet.redeem(offer)) == (400, "invalid_grant")
    assert error_of(wallet.refresh()) == (400, "invalid_grant")
    assert error_of(wallet.ask(MDOC, [new_key()])) == (401, "invalid_token")


@pytest.mark.parametrize("step", [revoke, change, suspend])
def test_all_or_nothing(application: Application, wallet: Wallet, step: Step) -> None:
    number = card(application)
    places = issued(wallet, application, number)

    def fails() -> None:
        with application.writing() as session:
            step(session, application, number)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    assert [status(wallet, *one) for one in places] == [0, 0]
    assert wallet.refresh().status_code == 200


def test_suspension_is_taken_back_and_revocation_is_not(application: Application, wallet: Wallet) -> None:
    number = card(application)
    places = issued(wallet, application, number)
    for step, value in ((suspend, 2), (resume, 0), (suspend, 2), (revoke, 1)):
        with application.writing() as session:
            step(session, application, number)
        assert [status(wallet, *one) for one in places] == [value, value]
    with application.writing() as session:
        following.resume(session, application.tenant, CARD, number)
        following.suspend(session, application.tenant, CARD, number, application.now())
    assert [status(wallet, *one) for one in places] == [1, 1]
    with application.writing() as session, pytest.raises(ValueError, match="stays"):
        status_lists.mark(session, application.tenant, (), 0, only=(1,))


def test_reissued_after_a_change(application: Application, wallet: Wallet) -> None:
    number = card(application)
    old = issued(wallet, application, number)
    with application.writing() as session:
        change(session, application, number)
    new = issued(wallet, application, number)
    assert [status(wallet, *one) for one in (*old, *new)] == [1, 1, 0, 0]


def test_change_is_fetched_anew(application: Application, wallet: Wallet, new_wallet: MakeWallet) -> None:
    """A wallet whose key binds its refresh token has the new number without its holder; no other way is open."""
    number, bystander = running_numbers(application, CARD)[:2]
    other, unbound = new_wallet(application, uses_dpop=True), new_wallet(application)
    beside = issued(other, application, bystander)
    old = [*issued(wallet, application, number), *issued(unbound, application, number)]
    offer = wallet.read_offer(offer_of(application, number).link)
    with application.writing() as session:
        change(session, application, number)
    assert [status(wallet, *one) for one in old] == [1] * 4
    assert error_of(unbound.ask(SD_JWT, [new_key()])) == (401, "invalid_token")
    assert error_of(wallet.ask(SD_JWT, [new_key()])) == (401, "invalid_token")
    assert error_of(unbound.redeem(offer)) == (400, "invalid_grant")
    assert wallet.refresh().status_code == 200
    new = more(wallet)
    assert [status(wallet, *one) for one in (*new, *beside)] == [0] * 4
    with application.writing() as session:
        revoke(session, application, number)
    assert error_of(wallet.refresh()) == (400, "invalid_grant")


@pytest.mark.parametrize(("says_else", "value"), [(False, 0), (True, 1)])
def test_renewal(application: Application, wallet: Wallet, says_else: bool, value: int) -> None:
    """A further term leaves what is true; one that changes more, such as the category, does not."""
    number = card(application)
    old = issued(wallet, application, number)
    with application.writing() as session:
        renew(session, application, number, says_else=says_else)
    assert [status(wallet, *one) for one in old] == [value, value]
    assert wallet.refresh().status_code == 200
    assert [status(wallet, *one) for one in more(wallet)] == [0, 0]
    assert [status(wallet, *one) for one in old] == [1, 1]


def test_refresh_replaces(application: Application, wallet: Wallet) -> None:
    """A new set takes the place of the old one at once; what of the same set comes later stands beside it."""
    first = issued(wallet, application, card(application))
    beside = more(wallet, 1)
    assert [status(wallet, *one) for one in (*first, *beside)] == [0, 0, 0]
    assert wallet.refresh().status_code == 200
    assert [status(wallet, *one) for one in first] == [0, 0]
    second = more(wallet)
    assert [status(wallet, *one) for one in (*first, *beside, *second)] == [1, 1, 1, 0, 0]


def test_another_format_is_not_replaced(application: Application, wallet: Wallet) -> None:
    first = issued(wallet, application, card(application))
    wallet.refresh()
    assert wallet.ask(MDOC, [new_key()]).status_code == 200
    assert [status(wallet, *one) for one in first] == [0, 0]


def test_taken_out_of_all_wallets(application: Application, wallet: Wallet) -> None:
    number = card(application)
    places = issued(wallet, application, number)
    client = browser(application)
    visit(client, application, number, CARD)
    assert send(client, "/p/pass/wallets/remove").status_code == 303
    assert [status(wallet, *one) for one in places] == [1, 1]


def test_both_forms_of_the_list(application: Application, wallet: Wallet) -> None:
    number = card(application)
    [(uri, index)] = issued(wallet, application, number, 1)
    with application.writing() as session:
        revoke(session, application, number)
    answer = wallet.client.get(uri, headers={"Accept": "application/statuslist+cwt"})
    assert answer.headers["content-type"] == "application/statuslist+cwt"
    told = cbor2.loads(answer.content)
    assert told.tag == 18
    protected, claims = cbor2.loads(told.value[0]), cbor2.loads(told.value[2])
    assert (protected[16], claims[2]) == ("application/statuslist+cwt", uri)
    raw = zlib.decompress(claims[65533]["lst"])
    assert raw[index >> 2] >> (index & 3) * 2 & 3 == 1
    plain = wallet.client.get(uri, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    with wallet.client.stream("GET", uri, headers={"Accept-Encoding": "gzip"}) as packed:
        assert packed.headers["content-encoding"] == "gzip"
        assert gzip.decompress(b"".join(packed.iter_raw())) == plain.content
    again = wallet.client.get(uri, headers={"If-None-Match": plain.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert wallet.client.get(uri + "9").status_code == 404


def test_list_and_credential_have_one_certificate(application: Application, wallet: Wallet) -> None:
    wallet.redeem(wallet.read_offer(offer_of(application).link))
    made = wallet.ask(SD_JWT, [new_key()]).json()["credentials"][0]["credential"]
    header, claims = unsigned_parts(made.split("~")[0])
    listed, _ = unsigned_parts(wallet.client.get(claims["status"]["status_list"]["uri"]).text)
    assert header["x5c"] == listed["x5c"]


def test_lists_are_signed_anew_before_they_end(application: Application, wallet: Wallet, city: City) -> None:
    [(uri, _)] = issued(wallet, application, card(application), 1)
    first = unsigned_parts(wallet.client.get(uri).text)[1]
    city.clock.forward(minutes=14)
    assert unsigned_parts(wallet.client.get(uri).text)[1] == first
    city.clock.forward(minutes=1)
    later = unsigned_parts(wallet.client.get(uri).text)[1]
    assert later["iat"] > first["iat"]
    assert later["exp"] > application.now().timestamp() + later["ttl"]


def test_places_are_never_given_out_twice(application: Application) -> None:
    with application.writing() as session:
        taken: set[tuple[int, int]] = set()
        series = status_lists.Series(CARD, "2027H1", None)
        for _ in range(6):
            places = status_lists.allocate(session, application.tenant, series, 5, capacity=20)
            for number, index in places:
                session.add(_row(application, number, index))
            session.flush()
            assert len({*taken, *places}) == len(taken) + 5
            taken |= set(places)
        # 80 % of twenty: a new list from the seventeenth on.
        assert {number for number, _ in taken} == {1, 2}


def _row(application: Application, number: int, index: int) -> EudiCredentialRow:
    now = application.now()
    return EudiCredentialRow(
        tenant=application.tenant, list_number=number, list_index=index, status_value=0, type_id=CARD,
        number="1", n=1, session_id="0" * 32, batch_id="0" * 32, generation=0, configuration=SD_JWT,
        format="dc+sd-jwt", issued_at=now, expires_at=now, superseded_at=None,
    )  # fmt: skip


def test_deleted_passes_leave_no_name_behind(application: Application, wallet: Wallet) -> None:
    number = card(application)
    places = issued(wallet, application, number)
    with application.writing() as session:
        following.forget(session, application.tenant, [(CARD, number)], application.now())
        assert session.scalars(select(IssuanceSessionRow)).all() == []
        assert session.scalars(select(EudiTokenRow)).all() == []
        assert {one.number for one in session.scalars(select(EudiCredentialRow))} == {""}
    assert [status(wallet, *one) for one in places] == [1, 1]


def test_retention(application: Application, wallet: Wallet, city: City) -> None:
    issued(wallet, application, card(application))
    city.clock.forward(days=200)
    with application.reading() as session:
        found = preview(application, session)
        assert found["eudi_sessions"] == 1
        assert found["eudi_replays"] > 0
        assert "eudi_credentials" not in found
    city.clock.forward(days=900)
    with application.reading() as session:
        assert preview(application, session)["eudi_credentials"] == 2


def test_tenants(application: Application, city: City, wallet: Wallet, new_wallet: MakeWallet) -> None:
    """What one city has given out opens nothing in another, though the numbers are the same."""
    neighbour = set_up(city, city.other_folder)
    other = new_wallet(neighbour, uses_dpop=True)
    number = card(application)
    assert number == card(neighbour)
    made = offer_of(application, number, tx_code=True)
    offer = wallet.read_offer(made.link)
    assert error_of(other.redeem(offer, made.tx_code)) == (400, "invalid_grant")
    assert other.client.get(made.address).status_code == 404
    wallet.redeem(offer, made.tx_code)
    other.tokens = wallet.tokens
    assert error_of(other.refresh()) == (400, "invalid_grant")
    assert error_of(other.ask(SD_JWT, [new_key()])) == (401, "invalid_token")
    other.redeem(other.read_offer(offer_of(neighbour, number).link))
    foreign = {"jwt": [other.proof(new_key(), wallet.nonce())]}
    assert error_of(other.ask_with(SD_JWT, foreign)) == (400, "invalid_nonce")
    theirs = more(other)
    places = more(wallet)
    with application.writing() as session:
        revoke(session, application, number)
    assert [status(wallet, *one) for one in places] == [1, 1]
    assert [status(other, *one) for one in theirs] == [0, 0]
    with neighbour.reading() as session:
        rows = session.scalars(select(EudiStatusListRow)).all()
        assert {one.tenant for one in rows} == {application.tenant, neighbour.tenant}


def test_transaction_code_from_a_letter(application: Application, wallet: Wallet) -> None:
    from issuer.eudi.offers import LetterCode, draw_letter_code, keep_letter_code, letter_code

    number = card(application)
    with application.writing() as session:
        keep_letter_code(session, application, CARD, number, code := draw_letter_code())
    assert len(code) == 8
    tries = 0
    for _ in range(2):
        made = offer_of(application, number, tx_code=True)
        assert made.tx_code is None
        offer = wallet.read_offer(made.link)
        assert json.dumps(offer).count('"length": 8') == 1
        for _ in range(2):
            assert error_of(wallet.redeem(offer, "x")) == (400, "invalid_grant")
            tries += 1
    with application.reading() as session:
        [row] = session.scalars(select(EudiTransactionCodeRow)).all()
        assert row.tries_left == 5 - tries
    assert wallet.redeem(offer, code).status_code == 200
    with application.reading() as session:
        assert letter_code(session, application, CARD, number) is LetterCode.OVER


def test_tries_at_a_letter_count_over_all_offers(application: Application, wallet: Wallet) -> None:
    from issuer.eudi.offers import draw_letter_code, keep_letter_code

    number = card(application)
    with application.writing() as session:
        keep_letter_code(session, application, CARD, number, code := draw_letter_code())
    for _ in range(5):
        offer = wallet.read_offer(offer_of(application, number, tx_code=True).link)
        assert error_of(wallet.redeem(offer, "x")) == (400, "invalid_grant")
    assert error_of(wallet.redeem(offer, code)) == (400, "invalid_grant")


def test_every_event_is_followed_or_leaves_all_as_it_is(application: Application) -> None:
    """An event that is added to the list is decided upon here as well."""
    names = {one.value for one in outgoing.EventName}
    untouched = {"pass.issued", "carrier.added", "carrier.removed"}
    followed = {"pass.suspended", "pass.resumed"}
    followed |= {
        one.value for one in outgoing._INVALID_BY | outgoing._FETCHED_ANEW_AFTER | outgoing._ENDED_BY
    }
    assert names == untouched | followed
