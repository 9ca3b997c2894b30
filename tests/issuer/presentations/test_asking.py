"""Asking, what the question looks like to a wallet, and who hears what has become of it."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from sqlalchemy import func, select

from issuer import keyring
from issuer.application import Application
from issuer.errors import IssuerRefusal
from issuer.models_presentations import PresentationRow
from issuer.nightly.retention import preview
from issuer.presentations import store
from issuer.presentations.asking import Asked, Asker, ask, can_ask, take, withdraw
from issuer.presentations.store import State
from issuer.presentations.wishes import Credential, Wish, queries
from issuer.setup import DEMO_EUDI_ROOT, DEMO_PID_ROOT
from issuer.workspace import CONFIG
from keys import lifecycle
from keys.lifecycle import Purpose
from passes.pass_types import PassType, PassTypes
from tests.eudi_issuing_wallet import error_of
from tests.eudi_presenting_wallet import MDOC, SD_JWT, parsed_link
from tests.issuer.eudi.conftest import ISSUER, set_up
from tests.issuer.presentations.conftest import Service, wallet_of
from tests.issuer.presentations.samples import APPLICANT, CARD, DESK, OTHER_DESK, asked, become, own
from tests.service import City

SQLITE = pytest.mark.parametrize("city", ["sqlite"], indirect=True)


def answered(application: Application, made: Asked, *, same: bool = False) -> str | None:
    """What the wallet hears when it shows a library card."""
    wallet = wallet_of(application)
    wallet.held = [own(application, CARD, SD_JWT)]
    answer = wallet.answer(wallet.read(made.same_device if same else made.link))
    assert answer.status_code == 200
    told: str | None = answer.json().get("redirect_uri")
    return told


def test_from_the_question_to_the_answer(application: Application) -> None:
    made = asked(application)
    assert become(application, made).state is State.WAITING
    wallet = wallet_of(application)
    wallet.held = [own(application, CARD, SD_JWT)]
    question = wallet.read(made.link)
    assert become(application, made).state is State.OPENED
    # A wallet that was closed in between reads the question again.
    assert wallet.read(made.link, post=False).claims["nonce"] == question.claims["nonce"]
    assert become(application, made).asked == made
    assert wallet.answer(question).json() == {}
    found = become(application, made)
    assert (found.state, found.asked, found.refusal) == (State.HOLDS, None, None)
    with application.writing() as session:
        shown = take(session, application, made.id, DESK)
    assert shown.credential is Credential.LIBRARY_CARD
    assert become(application, made).state is State.ENDED
    with pytest.raises(IssuerRefusal, match="PRESENTATION_NOTHING"), application.writing() as session:
        take(session, application, made.id, DESK)


def test_every_question_has_secrets_of_its_own(service: Service) -> None:
    wallet = service.wallet()
    made = [asked(service.application) for _ in range(2)]
    questions = [wallet.read(link) for one in made for link in (one.link, one.same_device)]
    for secret in ("nonce", "state", "response_uri"):
        assert len({one.claims[secret] for one in questions}) == 4
    assert len({one.encryption_key["x"] for one in questions}) == 4
    addresses = {parsed_link(link)["request_uri"] for one in made for link in (one.link, one.same_device)}
    assert len(addresses) == 4
    assert not any(one.id in address for one in made for address in addresses)


@pytest.mark.parametrize("wish", Wish)
def test_formats_and_ways_of_a_wish(service: Service, wish: Wish) -> None:
    query = service.wallet().read(asked(service.application, wish).link).query
    ids = [one["id"] for one in query["credentials"]]
    assert {one.rsplit("-", 1)[-1] for one in ids} == {"jwt", "mdoc"}
    assert query["credential_sets"] == [{"options": [[one] for one in ids]}]


def test_only_kinds_that_somebody_is_trusted_for(service: Service) -> None:
    types = PassTypes.load()
    assert queries(types, ISSUER, Wish.PROOF_OF_RESIDENCE, {Credential.LIBRARY_CARD}) == ()
    found = queries(types, ISSUER, Wish.PROOF_OF_RESIDENCE, {Credential.PID})
    assert {one.credential for one in found} == {Credential.PID}
    assert service.application.config.eudi.trusted.pid == (DEMO_PID_ROOT,)


@SQLITE
@pytest.mark.parametrize("form", [SD_JWT, MDOC])
def test_what_was_made_under_earlier_numbers_counts(
    application: Application, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """A new word raises the number; nobody's card becomes worthless by that."""
    held = own(application, CARD, form)
    spec = application.pass_types[CARD].eudi
    newer = msgspec.structs.replace(
        spec,
        vct="/vct/library-card/3",
        doctype="de.stadtpass.library-card.3",
        claims=tuple(
            msgspec.structs.replace(one, namespace="de.stadtpass.library-card.3")
            if one.namespace == spec.doctype
            else one
            for one in spec.claims
        ),
    )
    monkeypatch.setattr(PassType, "eudi", property(lambda _: newer))
    made = asked(application)
    wallet = wallet_of(application)
    wallet.held = [held]
    question = wallet.read(made.link)
    sd_jwt, *mdocs = question.query["credentials"]
    assert sd_jwt["meta"]["vct_values"] == [f"{ISSUER}/vct/library-card/{one}" for one in (3, 2, 1)]
    doctypes = [one["meta"]["doctype_value"] for one in mdocs]
    assert doctypes == [f"de.stadtpass.library-card.{one}" for one in (3, 2, 1)]
    wallet.answer(question)
    assert become(application, made).state is State.HOLDS


def test_nobody_else_hears_of_it(application: Application, neighbour: Application) -> None:
    made = asked(application)
    answered(application, made)
    for other in (OTHER_DESK, APPLICANT, Asker("case", DESK.key)):
        with pytest.raises(IssuerRefusal, match="PRESENTATION_UNKNOWN"):
            become(application, made, other)
        for act in (take, withdraw):
            with pytest.raises(IssuerRefusal, match="PRESENTATION_UNKNOWN"), application.writing() as session:
                act(session, application, made.id, other)
    with pytest.raises(IssuerRefusal, match="PRESENTATION_UNKNOWN"):
        become(neighbour, made)
    assert become(application, made).state is State.HOLDS


def test_on_the_same_device(service: Service) -> None:
    """The answer counts in the browser that the wallet comes back to, and in no other."""
    application = service.application
    made = asked(application, back="/office/shown?case=7")
    back = urlsplit(answered(application, made, same=True) or "")
    told = parse_qs(back.query)
    assert (f"{back.scheme}://{back.netloc}", back.path, told["case"]) == (ISSUER, "/office/shown", ["7"])
    [code] = told["response_code"]
    assert len(code) == 22
    other = parse_qs(urlsplit(answered(application, asked(application), same=True) or "").query)
    for wrong in (None, "", "x" * 22, other["response_code"][0]):
        found = become(application, made, code=wrong)
        assert (found.state, found.asked) == (State.OPENED, None)
        with pytest.raises(IssuerRefusal, match="PRESENTATION_NOTHING"), application.writing() as session:
            take(session, application, made.id, DESK, response_code=wrong)
    with pytest.raises(IssuerRefusal, match="PRESENTATION_UNKNOWN"):
        become(application, made, OTHER_DESK, code)
    assert become(application, made, code=code).state is State.HOLDS
    with application.writing() as session:
        assert take(session, application, made.id, DESK, response_code=code).values["number"]


def test_a_refusal_on_the_same_device(service: Service) -> None:
    """The wallet sends its user back, where the page says why."""
    made = asked(service.application)
    wallet = service.wallet()
    answer = wallet.decline(wallet.read(made.same_device))
    [code] = parse_qs(urlsplit(answer.json()["redirect_uri"]).query)["response_code"]
    assert become(service.application, made).state is State.OPENED
    found = become(service.application, made, code=code)
    assert found.refusal is not None
    assert (found.state, found.refusal.code) == (State.REFUSED, "PRESENTATION_DECLINED")


def test_one_answer_whichever_way(service: Service) -> None:
    """What is made for one of the two addresses is worth nothing at the other, and ends both."""
    made = asked(service.application)
    wallet = service.wallet()
    wallet.held = [own(service.application, CARD, SD_JWT)]
    here, there = wallet.read(made.same_device), wallet.read(made.link)
    members = {"vp_token": wallet.vp_token(here), "state": here.claims["state"]}
    crossed = wallet.client.post(there.address, data={"response": wallet.encrypted(here, members)})
    assert error_of(crossed) == (400, "invalid_request")
    members["state"] = there.claims["state"]
    refused = wallet.send(there, {"response": wallet.encrypted(there, members)})
    assert error_of(refused) == (400, "invalid_request")
    found = become(service.application, made)
    assert found.refusal is not None
    assert found.refusal.code == "PRESENTATION_NONCE"
    assert wallet.answer(here).status_code == 404


def test_it_ends_after_ten_minutes(application: Application, city: City) -> None:
    wallet = wallet_of(application)
    wallet.held = [own(application, CARD, SD_JWT)]
    waiting, shown = asked(application), asked(application)
    question = wallet.read(waiting.link)
    answered(application, shown)
    assert (waiting.ends_at - application.now()).total_seconds() == 600
    city.clock.forward(minutes=10)
    for one in (waiting, shown):
        found = become(application, one)
        assert (found.state, found.asked) == (State.ENDED, None)
    assert wallet.client.get(parsed_link(waiting.link)["request_uri"]).status_code == 404
    assert wallet.answer(question).status_code == 404
    with pytest.raises(IssuerRefusal, match="PRESENTATION_NOTHING"), application.writing() as session:
        take(session, application, shown.id, DESK)
    with application.reading() as session:
        assert preview(application, session)["eudi_presentations"] == 2
    store.forget_ended(application)
    store.forget_ended(application)
    with application.reading() as session:
        assert session.scalar(select(func.count()).select_from(PresentationRow)) == 0


def test_withdrawn(service: Service) -> None:
    made = asked(service.application)
    wallet = service.wallet()
    wallet.held = [own(service.application, CARD, SD_JWT)]
    question = wallet.read(made.link)
    with service.application.writing() as session:
        withdraw(session, service.application, made.id, DESK)
    assert wallet.answer(question).status_code == 404
    with pytest.raises(IssuerRefusal, match="PRESENTATION_UNKNOWN"):
        become(service.application, made)


@pytest.mark.parametrize("back", ["", "x", "//evil.example/", "https://evil.example/", "/x#y"])
def test_back_is_a_page_of_ours(service: Service, back: str) -> None:
    with pytest.raises(ValueError, match="ours"):
        asked(service.application, back=back)


@SQLITE
def test_where_it_is_not_set_up(city: City) -> None:
    application = city.open()
    with application.reading() as session:
        assert not can_ask(session, application, Wish.LIBRARY_CARD)
        with pytest.raises(IssuerRefusal, match="EUDI_OFF"):
            ask(session, application, Wish.LIBRARY_CARD, DESK, back="/x")
    config = city.folder / CONFIG
    config.write_text(config.read_text().replace(f'library = ["{DEMO_EUDI_ROOT}"]', "library = []"))
    application = set_up(city)
    with application.reading() as session:
        assert not can_ask(session, application, Wish.LIBRARY_CARD)
        assert can_ask(session, application, Wish.PROOF_OF_RESIDENCE)
    with application.writing() as session:
        with pytest.raises(IssuerRefusal, match="PRESENTATION_NOT_SET_UP"):
            ask(session, application, Wish.LIBRARY_CARD, DESK, back="/x")
        record = keyring.signing_record(session, application.tenant, Purpose.EUDI_ACCESS, application.now())
        keyring.save(session, lifecycle.revoke(record, application.now()))
    with application.writing() as session, pytest.raises(IssuerRefusal, match="PRESENTATION_NOT_SET_UP"):
        ask(session, application, Wish.PROOF_OF_RESIDENCE, DESK, back="/x")


@SQLITE
def test_a_trust_file_that_cannot_be_read(city: City, caplog: pytest.LogCaptureFixture) -> None:
    """The operator's to solve, and seen before anybody shows anything."""
    (city.folder / DEMO_PID_ROOT).write_text("no certificate")
    application = set_up(city)
    with application.reading() as session:
        assert can_ask(session, application, Wish.LIBRARY_CARD)
        assert not can_ask(session, application, Wish.PROOF_OF_RESIDENCE)
    assert [vars(one)["code"] for one in caplog.records] == ["FILE_FAULT"]
    with pytest.raises(IssuerRefusal, match="FILE_FAULT"):
        asked(application, Wish.PROOF_OF_RESIDENCE)


@SQLITE
def test_another_certificate_since(city: City) -> None:
    """The code on the screen names the old one; the wallet gets nothing that says otherwise."""
    application = set_up(city)
    made = asked(application)
    with application.writing() as session:
        row = session.get_one(PresentationRow, (application.tenant, made.id))
        row.client_id = "x509_hash:" + "A" * 43
    assert wallet_of(application).client.get(parsed_link(made.link)["request_uri"]).status_code == 404


@SQLITE
def test_settings_of_the_environment(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STADTPASS_EUDI_TRUSTED_PID", "a.pem, b.pem")
    monkeypatch.setenv("STADTPASS_EUDI_TRUSTED_TIMEOUT_SECONDS", "2")
    trusted = city.open().config.eudi.trusted
    assert (trusted.pid, trusted.timeout_seconds) == (("a.pem", "b.pem"), 2)
    monkeypatch.setenv("STADTPASS_EUDI_TRUSTED_PIDS", "a.pem")
    with pytest.raises(IssuerRefusal, match="CONFIG_VARIABLE"):
        city.open()


def test_wallet_nonce(service: Service) -> None:
    uri = parsed_link(asked(service.application).link)["request_uri"]
    for wrong in ("x" * 301, "ä", "a\nb"):
        answer = service.client.post(uri, data={"wallet_nonce": wrong})
        assert error_of(answer) == (400, "invalid_request")
    assert service.client.post(uri).status_code == 200
    assert (
        service.client.post(uri, content=b"{}", headers={"content-type": "application/json"}).status_code
        == 400
    )
