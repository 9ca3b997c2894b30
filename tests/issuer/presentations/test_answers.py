"""Answers that do not hold: everything that can be wrong with what a wallet shows."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from issuer import audit, counters
from issuer.eudi import status_lists
from issuer.eudi.identity import document_signer
from issuer.models_presentations import PresentationRow
from issuer.presentations.asking import take
from issuer.presentations.store import State
from issuer.presentations.wishes import Wish
from keys.demo_eudi_ca import DemoEudiAuthority
from keys.envelope import create_key_file
from keys.errors import Refusal
from keys.eudi_certificates import EudiUse
from keys.file_backend import FileKeyStore
from keys.store import Algorithm
from passes.credential_frame import StatusReference
from passes.sd_jwt import decoded, encoded
from tests.eudi_issuing_wallet import error_of
from tests.eudi_presenting_wallet import MDOC, SD_JWT, NotAnswered, PresentingWallet, Question, tampered
from tests.eudi_wallet import Wallet as HolderKey
from tests.issuer.eudi.conftest import ISSUER
from tests.issuer.presentations.conftest import Service
from tests.issuer.presentations.samples import (
    CARD,
    DESK,
    RESIDENCE,
    asked,
    become,
    own,
    own_place,
    pid,
    pid_provider,
    times,
)
from tests.passes.credential_samples import residence

FORMATS = (SD_JWT, MDOC)

# What is wrong with an answer. Each gets the service, a wallet that holds the right credential, the question and the
# format; it gives the vp_token that is sent.

Fault = Callable[[Service, PresentingWallet, Question, str], Any]


def _wrong_nonce(_: Service, wallet: PresentingWallet, question: Question, __: str) -> Any:
    return wallet.vp_token(question, nonce="b" * 22)


def _other_audience(_: Service, wallet: PresentingWallet, question: Question, __: str) -> Any:
    return wallet.vp_token(question, client_id="x509_hash:" + "A" * 43)


def _without_prefix(_: Service, wallet: PresentingWallet, question: Question, __: str) -> Any:
    return wallet.vp_token(question, client_id=question.client_id.removeprefix("x509_hash:"))


def _other_key(_: Service, wallet: PresentingWallet, question: Question, __: str) -> Any:
    wallet.held[0].key = HolderKey()
    return wallet.vp_token(question)


def _answer_of_before(service: Service, wallet: PresentingWallet, question: Question, __: str) -> Any:
    """A presentation to us, for another question of the same kind."""
    del question
    return wallet.vp_token(wallet.read(asked(service.application, Wish.RESIDENCE_CERTIFICATE).link))


def _not_asked(_: Service, wallet: PresentingWallet, question: Question, form: str) -> Any:
    more = (
        ("residences", 1) if form == SD_JWT else ("de.stadtpass.residence-certificate.1", "doctoral_degree")
    )
    return wallet.vp_token(question, also=[more])


def _missing(_: Service, wallet: PresentingWallet, question: Question, __: str) -> Any:
    name, held, paths = wallet.chosen(question)
    return {name: [wallet.presentation(question, held, paths[1:])]}


def _other_format(_: Service, wallet: PresentingWallet, question: Question, form: str) -> Any:
    [[presentation]] = wallet.vp_token(question).values()
    return {f"residence-certificate-{'mdoc' if form == SD_JWT else 'sd-jwt'}": [presentation]}


def _issued_again(
    service: Service, wallet: PresentingWallet, question: Question, form: str, **how: Any
) -> Any:
    wallet.held = [own(service.application, RESIDENCE, form, **how)]
    return wallet.vp_token(question)


def _revoked(service: Service, wallet: PresentingWallet, question: Question, form: str) -> Any:
    place = own_place(service.application, RESIDENCE, status_lists.INVALID)
    return _issued_again(service, wallet, question, form, status=place)


def _suspended(service: Service, wallet: PresentingWallet, question: Question, form: str) -> Any:
    place = own_place(service.application, RESIDENCE, status_lists.SUSPENDED)
    return _issued_again(service, wallet, question, form, status=place)


def _list_of_nobody(service: Service, wallet: PresentingWallet, question: Question, form: str) -> Any:
    place = StatusReference("https://stadtpass.example/eudi/status/4711", 3)
    return _issued_again(service, wallet, question, form, status=place)


def _list_elsewhere(service: Service, wallet: PresentingWallet, question: Question, form: str) -> Any:
    """Nobody has allowed to ask this host."""
    return _issued_again(
        service, wallet, question, form, status=StatusReference("https://10.0.0.1/lists/1", 3)
    )


def _by_the_pid_provider(service: Service, wallet: PresentingWallet, question: Question, form: str) -> Any:
    return _issued_again(service, wallet, question, form, identity=pid_provider(service.application))


def _other_type(service: Service, wallet: PresentingWallet, question: Question, form: str) -> Any:
    """The city's own library card where its certificate of residence is asked for."""
    name = wallet.chosen(question)[0]
    held = own(service.application, CARD, form)
    number = ("document_number",) if form == SD_JWT else ("org.iso.23220.1", "document_number")
    return {name: [wallet.presentation(question, held, [number])]}


FAULTS: dict[str, tuple[Fault, str | tuple[str, str]]] = {
    "nonce": (_wrong_nonce, ("PRESENTATION_NONCE", "PRESENTATION_HOLDER_FORGED")),
    "audience": (_other_audience, ("PRESENTATION_AUDIENCE", "PRESENTATION_HOLDER_FORGED")),
    "prefix": (_without_prefix, ("PRESENTATION_AUDIENCE", "PRESENTATION_HOLDER_FORGED")),
    "another key": (_other_key, "PRESENTATION_HOLDER_FORGED"),
    "of another question": (_answer_of_before, ("PRESENTATION_NONCE", "PRESENTATION_HOLDER_FORGED")),
    "more than asked": (_not_asked, "PRESENTATION_NOT_ASKED"),
    "less than asked": (_missing, "PRESENTATION_INCOMPLETE"),
    "in the other format": (_other_format, "PRESENTATION_MALFORMED"),
    "revoked": (_revoked, "PRESENTATION_REVOKED"),
    "suspended": (_suspended, "PRESENTATION_SUSPENDED"),
    "list unknown": (_list_of_nobody, "PRESENTATION_STATUS_UNKNOWN"),
    "list at a host that is not listed": (_list_elsewhere, "PRESENTATION_STATUS_UNKNOWN"),
    "by another authority": (_by_the_pid_provider, "PRESENTATION_UNKNOWN_ISSUER"),
    "another type": (_other_type, "PRESENTATION_TYPE"),
    "no object": (lambda *_: "a text", "PRESENTATION_MALFORMED"),
    "empty": (lambda *_: {}, "PRESENTATION_MALFORMED"),
    "no array": (lambda *_: {"residence-certificate-sd-jwt": "x"}, "PRESENTATION_MALFORMED"),
    "two presentations": (lambda *_: {"residence-certificate-sd-jwt": ["x", "y"]}, "PRESENTATION_MALFORMED"),
    "no text": (lambda *_: {"residence-certificate-mdoc": [{}]}, "PRESENTATION_MALFORMED"),
    "no base64url": (lambda *_: {"residence-certificate-mdoc": ["+"]}, "PRESENTATION_MALFORMED"),
    "an unknown query": (lambda *_: {"something": ["x"]}, "PRESENTATION_NOT_ASKED"),
}


def refused(
    service: Service, wish: Wish, wallet: PresentingWallet, make: Callable[[Question], Any]
) -> Refusal:
    """Why an answer does not hold, in the words of whoever asked; nothing of it may be kept."""
    made = asked(service.application, wish)
    question = wallet.read(made.link)
    response = wallet.encrypted(question, {"vp_token": make(question), "state": question.claims["state"]})
    assert error_of(wallet.send(question, {"response": response})) == (400, "invalid_request")
    found = become(service.application, made)
    assert found.state is State.REFUSED
    assert found.refusal is not None
    for language in ("de", "en"):
        assert found.refusal.sentence(language)
    with service.application.reading() as session:
        row = session.get_one(PresentationRow, (service.application.tenant, made.id))
        assert (row.answer, row.seed) == (None, None)
    with pytest.raises(Refusal, match="PRESENTATION_NOTHING"), service.application.writing() as session:
        take(session, service.application, made.id, DESK)
    # It is over: the right answer comes too late.
    assert wallet.send(question, {"response": response}).status_code == 404
    return found.refusal


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", FAULTS)
def test_does_not_hold(service: Service, name: str, form: str) -> None:
    fault, codes = FAULTS[name]
    wallet = service.wallet()
    wallet.held = [own(service.application, RESIDENCE, form)]
    found = refused(
        service, Wish.RESIDENCE_CERTIFICATE, wallet, lambda asked: fault(service, wallet, asked, form)
    )
    code = codes if isinstance(codes, str) else codes[form == MDOC]
    assert found.code == code


@pytest.mark.parametrize("seconds", [-301, 121])
def test_shown_at_another_time(service: Service, seconds: int) -> None:
    wallet = service.wallet()
    wallet.held = [own(service.application, RESIDENCE, SD_JWT)]
    at = int(service.application.now().timestamp()) + seconds
    found = refused(
        service, Wish.RESIDENCE_CERTIFICATE, wallet, lambda question: wallet.vp_token(question, iat=at)
    )
    assert found.code == "PRESENTATION_OLD"


def test_tampered(service: Service) -> None:
    wallet = service.wallet()
    wallet.held = [own(service.application, RESIDENCE, SD_JWT)]

    def changed(question: Question) -> Any:
        wallet.held[0].text = tampered(wallet.held[0].text)
        return wallet.vp_token(question)

    assert refused(service, Wish.RESIDENCE_CERTIFICATE, wallet, changed).code == "PRESENTATION_FORGED"


def test_a_changed_element(service: Service) -> None:
    wallet = service.wallet()
    wallet.held = [own(service.application, RESIDENCE, MDOC)]

    def change(response: dict[str, Any]) -> None:
        for items in response["documents"][0]["issuerSigned"]["nameSpaces"].values():
            for place, one in enumerate(items):
                item = cbor2.loads(one.value)
                if item["elementIdentifier"] == "resident_city":
                    items[place] = cbor2.CBORTag(24, cbor2.dumps(item | {"elementValue": "Köln"}))

    found = refused(
        service, Wish.RESIDENCE_CERTIFICATE, wallet, lambda asked: wallet.vp_token(asked, change=change)
    )
    assert found.code == "PRESENTATION_DISCLOSURE"


@pytest.mark.parametrize("form", FORMATS)
def test_self_signed_and_unknown(service: Service, form: str, tmp_path: Path) -> None:
    """Somebody with a certificate that vouches for itself, and somebody with an authority that nobody knows."""
    store = FileKeyStore.create(tmp_path / "keys", create_key_file(tmp_path / "unlock.key"))
    stranger = DemoEudiAuthority.new(service.application.now(), ISSUER)
    signer = store.signer(store.create_key("eudi", Algorithm.ES256))
    wallet = service.wallet()
    identity = stranger.issue(EudiUse.DOCUMENT_SIGNER, signer)
    wallet.held = [own(service.application, CARD, form, identity=identity)]
    assert refused(service, Wish.LIBRARY_CARD, wallet, wallet.vp_token).code == "PRESENTATION_UNKNOWN_ISSUER"
    if form == SD_JWT:
        head, rest = wallet.held[0].text.split(".", 1)
        header = json.loads(decoded(head))
        header["x5c"] = [base64.b64encode(stranger.root.public_bytes(Encoding.DER)).decode()]
        wallet.held[0].text = f"{encoded(json.dumps(header).encode())}.{rest}"
        assert refused(service, Wish.LIBRARY_CARD, wallet, wallet.vp_token).code == "PRESENTATION_SELF_SIGNED"


@pytest.mark.parametrize("form", FORMATS)
def test_identity_by_the_authority_of_library_cards(service: Service, form: str) -> None:
    """Each kind of credential is believed by its own authorities."""
    with service.application.reading() as session:
        signer = document_signer(session, service.application)
    wallet = service.wallet()
    wallet.held = [pid(service.application, form, identity=signer)]
    found = refused(service, Wish.PROOF_OF_RESIDENCE, wallet, wallet.vp_token)
    assert found.code == "PRESENTATION_UNKNOWN_ISSUER"


@pytest.mark.parametrize("form", FORMATS)
def test_outside_its_period(service: Service, form: str) -> None:
    now, wallet = service.application.now(), service.wallet()
    for validity, code in (
        (times(now, end=-timedelta(seconds=1)), "PRESENTATION_EXPIRED"),
        (times(now, begin=timedelta(hours=1)), "PRESENTATION_NOT_YET_VALID"),
    ):
        wallet.held = [pid(service.application, form, validity=validity)]
        assert refused(service, Wish.PROOF_OF_RESIDENCE, wallet, wallet.vp_token).code == code


@pytest.mark.parametrize("form", FORMATS)
def test_more_of_an_identity_than_asked(service: Service, form: str) -> None:
    wallet = service.wallet()
    wallet.held = [pid(service.application, form)]
    more = ("place_of_birth", "locality") if form == SD_JWT else ("eu.europa.ec.eudi.pid.1", "portrait")
    found = refused(
        service, Wish.PROOF_OF_RESIDENCE, wallet, lambda asked: wallet.vp_token(asked, also=[more])
    )
    assert found.code == "PRESENTATION_NOT_ASKED"


def test_two_credentials_at_once(service: Service) -> None:
    """One of several would do; both are more than was asked for."""
    wallet = service.wallet()
    first, second = own(service.application, RESIDENCE, SD_JWT), pid(service.application, SD_JWT)

    def both(question: Question) -> Any:
        told: dict[str, Any] = {}
        for one in (first, second):
            wallet.held = [one]
            told |= wallet.vp_token(question)
        return told

    assert refused(service, Wish.PROOF_OF_RESIDENCE, wallet, both).code == "PRESENTATION_NOT_ASKED"


def test_a_secondary_residence_alone(service: Service) -> None:
    """What is shown has to be the main residence: a wallet that shows another place in its stead is refused."""
    wallet = service.wallet()
    wallet.held = [own(service.application, RESIDENCE, SD_JWT)]

    def other_place(question: Question) -> Any:
        name, held, paths = wallet.chosen(question)
        moved = [["residences", 1, *path[2:]] if path[0] == "residences" else path for path in paths]
        return {name: [wallet.presentation(question, held, moved)]}

    assert refused(service, Wish.RESIDENCE_CERTIFICATE, wallet, other_place).code == "PRESENTATION_NOT_ASKED"


@pytest.mark.parametrize("value", ["", "x" * 301, "a\nb"])
def test_what_is_no_name(service: Service, value: str) -> None:
    wallet = service.wallet()
    content = residence({"family_name": value or "\u200b"})
    wallet.held = [own(service.application, RESIDENCE, SD_JWT, content=content)]
    found = refused(service, Wish.RESIDENCE_CERTIFICATE, wallet, wallet.vp_token)
    assert (found.code, found.params["fault"]) == ("PRESENTATION_MALFORMED", "family_name")


def test_wallet_has_nothing_that_would_do(service: Service) -> None:
    wallet = service.wallet()
    wallet.held = [
        own(service.application, CARD, SD_JWT),
        pid(service.application, SD_JWT, without="locality"),
    ]
    for wish in (Wish.RESIDENCE_CERTIFICATE, Wish.PROOF_OF_RESIDENCE):
        with pytest.raises(NotAnswered):
            wallet.chosen(wallet.read(asked(service.application, wish).link))


@pytest.mark.parametrize("encrypt", [True, False])
@pytest.mark.parametrize(
    ("error", "code", "fault"),
    [
        ("access_denied", "PRESENTATION_DECLINED", None),
        ("vp_formats_not_supported", "PRESENTATION_WALLET", "vp_formats_not_supported"),
        ("<script>", "PRESENTATION_WALLET", "?"),
    ],
)
def test_errors_of_wallets(service: Service, encrypt: bool, error: str, code: str, fault: str | None) -> None:
    made = asked(service.application)
    wallet = service.wallet()
    result = {"result": "declined" if code == "PRESENTATION_DECLINED" else "refused"}
    before = counters.REGISTRY.get_sample_value("stadtpass_presentations_total", result) or 0
    answer = wallet.decline(wallet.read(made.link), error, encrypt=encrypt)
    assert counters.REGISTRY.get_sample_value("stadtpass_presentations_total", result) == before + 1
    assert error_of(answer) == (400, "invalid_request")
    found = become(service.application, made)
    assert found.refusal is not None
    assert (found.state, found.refusal.code) == (State.REFUSED, code)
    if fault is not None:
        assert found.refusal.params["fault"] == fault
        assert fault not in found.refusal.sentence("de")
    with service.application.reading() as session:
        noted = audit.history(session, service.application.tenant, f"presentation/{made.id}")[-1]
    assert (noted.action, (noted.after or {}).get("fault")) == ("presentation-answer", fault)
