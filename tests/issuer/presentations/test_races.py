"""A question is answered once, and an answer taken once, also when several come at the same moment."""

from __future__ import annotations

from collections import Counter
from typing import Any

from sqlalchemy import func, select

from issuer.application import Application
from issuer.errors import IssuerRefusal
from issuer.models import AuditEntryRow
from issuer.presentations.asking import take
from issuer.presentations.store import Shown, State, forget_ended
from tests.eudi_presenting_wallet import SD_JWT, PresentingWallet, Question
from tests.issuer.eudi.test_races import at_once, statuses
from tests.issuer.presentations.conftest import wallet_of
from tests.issuer.presentations.samples import CARD, DESK, asked, become, own
from tests.service import City

AT_ONCE = 6


def answers_to(application: Application, question: Question, wallet: PresentingWallet) -> str:
    members = {"vp_token": wallet.vp_token(question), "state": question.claims["state"]}
    return wallet.encrypted(question, members)


def test_one_answer_counts(application: Application) -> None:
    """The same answer several times, an answer of another wallet, and one that declines."""
    made = asked(application)
    wallets = [wallet_of(application) for _ in range(AT_ONCE)]
    for one in wallets:
        one.held = [own(application, CARD, SD_JWT)]
    question = wallets[0].read(made.link)
    same = answers_to(application, question, wallets[0])
    others = [answers_to(application, question, one) for one in wallets[3:5]]
    sent: list[dict[str, str]] = [{"response": one} for one in (same, same, same, *others)]
    calls = [
        lambda one=one, fields=fields: one.send(question, fields)
        for one, fields in zip(wallets, sent, strict=False)
    ]
    told = at_once(*calls, lambda: wallets[5].decline(question))
    counted = statuses(told)
    assert counted[404] == AT_ONCE - 1
    # The one that counted is told so; 400 is how it hears that it has declined.
    assert counted[200] + counted[400] == 1
    found = become(application, made)
    assert (found.state is State.HOLDS) == (counted[200] == 1)
    with application.reading() as session:
        noted = select(func.count()).where(AuditEntryRow.action == "presentation-answer")
        assert session.scalar(noted) == 1


def test_both_ways_at_once(application: Application) -> None:
    made = asked(application)
    here, there = wallet_of(application), wallet_of(application)
    for one in (here, there):
        one.held = [own(application, CARD, SD_JWT)]
    questions = here.read(made.same_device), there.read(made.link)
    told = at_once(lambda: here.answer(questions[0]), lambda: there.answer(questions[1]))
    assert statuses(told) == {200: 1, 404: 1}


def test_an_answer_is_taken_once(application: Application) -> None:
    made = asked(application)
    wallet = wallet_of(application)
    wallet.held = [own(application, CARD, SD_JWT)]
    assert wallet.answer(wallet.read(made.link)).status_code == 200

    def one_of_them() -> Shown | None:
        try:
            with application.writing() as session:
                return take(session, application, made.id, DESK)
        except IssuerRefusal:
            return None

    taken = at_once(*[one_of_them] * AT_ONCE)
    assert Counter(one is None for one in taken) == {True: AT_ONCE - 1, False: 1}


def test_answered_while_it_ends(application: Application, city: City) -> None:
    """Whatever comes first, nothing of an answer is left of a question that is over."""
    made = asked(application)
    wallet = wallet_of(application)
    wallet.held = [own(application, CARD, SD_JWT)]
    question = wallet.read(made.link)
    response = {"response": answers_to(application, question, wallet)}

    def end() -> None:
        city.clock.forward(minutes=10)
        forget_ended(application)

    told: list[Any] = at_once(lambda: wallet.send(question, response), end)
    assert told[0].status_code in (200, 404)
    forget_ended(application)
    try:
        become(application, made)
    except IssuerRefusal as refusal:
        assert refusal.code == "PRESENTATION_UNKNOWN"
    else:
        raise AssertionError("the question is still there")


def test_read_at_once(application: Application) -> None:
    made = asked(application)
    wallets = [wallet_of(application) for _ in range(AT_ONCE)]
    questions = at_once(*[lambda one=one: one.read(made.link) for one in wallets])
    assert len({one.claims["nonce"] for one in questions}) == 1
    assert become(application, made).state is State.OPENED
