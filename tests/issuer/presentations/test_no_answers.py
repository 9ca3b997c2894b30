"""What is sent to a question's address and is no answer to it, or no longer: it uses nothing up."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from joserfc.jwk import ECKey

from issuer.presentations.store import State
from tests.eudi_issuing_wallet import error_of
from tests.eudi_presenting_wallet import SD_JWT, PresentingWallet, Question
from tests.issuer.presentations.conftest import Service
from tests.issuer.presentations.samples import (
    CARD,
    asked,
    become,
    own,
)


def _state(wallet: PresentingWallet, question: Question, members: dict[str, Any]) -> dict[str, str]:
    return {"response": wallet.encrypted(question, members | {"state": "c" * 22})}


def _no_state(wallet: PresentingWallet, question: Question, members: dict[str, Any]) -> dict[str, str]:
    return {"response": wallet.encrypted(question, {"vp_token": members["vp_token"]})}


def _half_a_pair(wallet: PresentingWallet, question: Question, members: dict[str, Any]) -> dict[str, str]:
    return {"response": wallet.encrypted(question, members | {"state": "\ud800" * 22})}


def _foreign_key(wallet: PresentingWallet, question: Question, members: dict[str, Any]) -> dict[str, str]:
    key = ECKey.generate_key("P-256", private=False).as_dict(private=False)
    return {"response": wallet.encrypted(question, members, key=key)}


def _foreign_kid(wallet: PresentingWallet, question: Question, members: dict[str, Any]) -> dict[str, str]:
    return {"response": wallet.encrypted(question, members, header={"kid": "other"})}


def _zip_bomb(wallet: PresentingWallet, question: Question, members: dict[str, Any]) -> dict[str, str]:
    assert len(zlib.compress(b"0" * 10_000_000, 9)) < 10_000
    return {"response": wallet.encrypted(question, members | {"x": "0" * 10_000_000}, header={"zip": "DEF"})}


def _open(_: PresentingWallet, __: Question, members: dict[str, Any]) -> dict[str, str]:
    return {"vp_token": json.dumps(members["vp_token"]), "state": members["state"]}


def _error_without_state(_: PresentingWallet, __: Question, ___: dict[str, Any]) -> dict[str, str]:
    return {"error": "access_denied"}


def _altered(wallet: PresentingWallet, question: Question, members: dict[str, Any]) -> dict[str, str]:
    head, rest = wallet.encrypted(question, members).rsplit(".", 1)
    return {"response": f"{head}.{'A' if rest[0] != 'A' else 'B'}{rest[1:]}"}


NO_ANSWERS: dict[str, Callable[[PresentingWallet, Question, dict[str, Any]], dict[str, str]]] = {
    "state": _state,
    "no state": _no_state,
    "half of a surrogate pair": _half_a_pair,
    "for another key": _foreign_key,
    "another kid": _foreign_kid,
    "zip bomb": _zip_bomb,
    "not encrypted": _open,
    "error without state": _error_without_state,
    "altered": _altered,
    "nothing": lambda *_: {},
}


@pytest.mark.parametrize("name", NO_ANSWERS)
def test_uses_nothing_up(service: Service, name: str) -> None:
    made = asked(service.application)
    wallet = service.wallet()
    wallet.held = [own(service.application, CARD, SD_JWT)]
    question = wallet.read(made.link)
    members = {"vp_token": wallet.vp_token(question), "state": question.claims["state"]}
    answer = wallet.send(question, NO_ANSWERS[name](wallet, question, members))
    assert error_of(answer) == (400, "invalid_request")
    assert become(service.application, made).state is State.OPENED
    assert wallet.answer(question).status_code == 200


def test_too_large(service: Service) -> None:
    made = asked(service.application)
    wallet = service.wallet()
    question = wallet.read(made.link)
    answer = wallet.client.post(question.address, data={"response": "A" * 200_000})
    assert answer.status_code == 413
    assert become(service.application, made).state is State.OPENED


def test_replayed(service: Service) -> None:
    """The same answer again, and another one to the same question."""
    made = asked(service.application)
    wallet = service.wallet()
    wallet.held = [own(service.application, CARD, SD_JWT)]
    question = wallet.read(made.link)
    members = {"vp_token": wallet.vp_token(question), "state": question.claims["state"]}
    response = {"response": wallet.encrypted(question, members)}
    assert wallet.send(question, response).status_code == 200
    assert error_of(wallet.send(question, response)) == (404, "not_found")
    assert error_of(wallet.decline(question)) == (404, "not_found")
    assert become(service.application, made).state is State.HOLDS
    assert wallet.client.get(question.address.removesuffix("/answer")).status_code == 404


def test_at_another_question(service: Service) -> None:
    """An answer sent to the address of a question that somebody else has asked."""
    wallet = service.wallet()
    wallet.held = [own(service.application, CARD, SD_JWT)]
    mine, theirs = (wallet.read(asked(service.application).link) for _ in range(2))
    members = {"vp_token": wallet.vp_token(mine), "state": mine.claims["state"]}
    response = wallet.encrypted(mine, members)
    answer = wallet.client.post(theirs.address, data={"response": response})
    assert error_of(answer) == (400, "invalid_request")
