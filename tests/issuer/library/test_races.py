"""Two sessions that want one card number at the same time: one gets it, and a replaced one nobody."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import date

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.importing.check_file import check_rows
from issuer.importing.rows import parse_rows
from issuer.library import members
from issuer.library.members import NewMember
from issuer.lifecycle import Actor
from issuer.models import PassRow
from issuer.models_library import ReplacedCardRow
from issuer.register import insert_passes
from issuer.revocation_log import RevocationLog
from keys.errors import Refusal
from passes.card_numbers import CardNumber
from passes.periods import Period
from tests.issuer.register_samples import row_text
from tests.service import CARD, TODAY

TERM = Period.of_months(TODAY.date(), 12)
BY = Actor("librarian", TODAY)
Step = Callable[[Application, Session], object]


def enrol(card: str) -> Step:
    def step(application: Application, session: Session) -> object:
        pass_type = application.pass_types[CARD]
        new = NewMember("Muster", CardNumber.parse(card), "adult", TERM, birth_date=date(1980, 5, 5))
        sealer = application.sealer(session, pass_type)
        return members.enrol(session, application.tenant, pass_type, new, seal_for=sealer, actor=BY)

    return step


def replace(number: str, card: str) -> Step:
    def step(application: Application, session: Session) -> object:
        pass_type = application.pass_types[CARD]
        sealer, new = application.sealer(session, pass_type), CardNumber.parse(card)
        return members.replace_card(
            session, application.tenant, pass_type, number, new,
            seal_for=sealer, actor=BY, log=RevocationLog(application.workspace.folder),
        )  # fmt: skip

    return step


def take_in(text: str) -> Step:
    def step(application: Application, session: Session) -> object:
        pass_type = application.pass_types[CARD]
        rows = parse_rows(text.encode(), pass_type)
        checked = check_rows(session, application.tenant, pass_type, rows, TODAY)
        for one in checked.findings:
            raise AssertionError(one)
        return insert_passes(
            session, application.tenant, checked.accepted, application.sealer(session, pass_type),
            at=TODAY, actor="clerk",
        )  # fmt: skip

    return step


def both(application: Application, first: Step, second: Step) -> list[str]:
    """Run both, the second while the first has not committed; what each came to."""
    outcome = ["", ""]
    begun = threading.Event()

    def run(place: int, step: Step, *, slow: bool) -> None:
        try:
            with application.writing() as session:
                try:
                    step(application, session)
                finally:
                    begun.set()
                if slow:
                    time.sleep(0.5)
            outcome[place] = "done"
        except Refusal as refusal:
            assert refusal.sentence("de")
            outcome[place] = refusal.code
        except AssertionError as fault:
            outcome[place] = fault.args[0].code

    threads = [threading.Thread(target=run, args=(0, first), kwargs={"slow": True})]
    threads[0].start()
    assert begun.wait(20)
    threads.append(threading.Thread(target=run, args=(1, second), kwargs={"slow": False}))
    threads[1].start()
    for one in threads:
        one.join(30)
    return outcome


def taken_twice(application: Application) -> set[str | None]:
    """Numbers that are both in use and replaced."""
    with application.reading() as session:
        tenant = application.tenant
        spent = select(ReplacedCardRow.card_key).where(ReplacedCardRow.tenant == tenant)
        in_use = select(PassRow.card_key).where(PassRow.tenant == tenant)
        return set(session.scalars(spent)) & set(session.scalars(in_use))


FREED = row_text("library_valid.csv", 100, member_id="M-NEW", card_number="D402840003",
                 replaces_card_number="SPARE-1")  # fmt: skip
REFUSED = {"DUPLICATE_CARD", "REGISTER_CHANGED", "CARD_JUST_TAKEN", "CARD_SPENT", "CARD_TAKEN"}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (enrol("SPARE-1"), enrol("SPARE-1")),
        (enrol("SPARE-1"), replace("M500001", "SPARE-1")),
        (replace("M500001", "SPARE-1"), enrol("SPARE-1")),
        (replace("M500001", "SPARE-1"), replace("M500002", "SPARE-1")),
        # The number that a pass is about to lose, or to be said to have lost.
        (replace("M500001", "SPARE-2"), enrol("24711300000134")),
        (take_in(FREED), enrol("SPARE-1")),
        (enrol("SPARE-1"), take_in(FREED)),
        (take_in(FREED), replace("M500001", "SPARE-1")),
    ],
)
def test_of_two_who_want_one_number_one_gets_it(application: Application, first: Step, second: Step) -> None:
    outcome = both(application, first, second)
    assert outcome[0] == "done"
    assert outcome[1] in REFUSED
    assert not taken_twice(application)
