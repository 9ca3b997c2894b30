"""The comparison of a register with the library's system, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select

from issuer import audit
from issuer.application import Application
from issuer.background.engine import Engine
from issuer.cli import main
from issuer.library import members, refresh, refresh_task
from issuer.library.before_issue import MemberNotInOrder, Unchecked, check_before_issue
from issuer.library.extension import extend
from issuer.library.refresh import Stopped
from issuer.library.renewals import renew_membership
from issuer.library.sources import (
    Patron,
    PatronStanding,
    PatronUnknown,
    SourceMisbehaves,
    SourceUnavailable,
)
from issuer.lifecycle import Actor
from issuer.models import PassRow, RevisionRow
from issuer.models_delivery import NightlyRunRow
from issuer.models_library import BlockReason, MemberRow
from issuer.models_library_checks import LibraryHoldRow
from issuer.nightly.reports import Report
from issuer.nightly.run import preview, run_night
from issuer.register import subject
from issuer.revocation_log import RevocationLog
from issuer.web.health import notes_about
from keys.errors import Refusal
from passes.card_numbers import CardNumber
from passes.periods import berlin_day
from tests.issuer.nightly.samples import column, snapshot
from tests.service import CARD, City, SetClock
from tests.sip2_server import INSTITUTION, LOCATION, PASSWORD, USER, Account, Sip2Server

FAR = date(2028, 12, 31)


@dataclass
class Library:
    """A library's system of a test: ``patrons`` by card number; ``others`` is what it says of everybody else."""

    patrons: dict[str, Patron] = field(default_factory=dict)
    others: Patron | None = None
    away_after: int | None = None
    useless: frozenset[str] = frozenset()
    asked: list[str] = field(default_factory=list)

    def patron(self, card_number: str) -> Patron:
        self.asked.append(card_number)
        if self.away_after is not None and len(self.asked) > self.away_after:
            raise SourceUnavailable("LIBRARY_TIMEOUT")
        if card_number in self.useless:
            raise SourceMisbehaves("LIBRARY_MESSAGE")
        found = self.patrons.get(card_number, self.others)
        if found is None:
            raise PatronUnknown("LIBRARY_PATRON_UNKNOWN")
        return replace(found, card_number=card_number)

    def say(self, card_number: str, standing: PatronStanding, **more: object) -> None:
        self.patrons[card_number] = replace(self.patrons[card_number], standing=standing, **more)  # type: ignore[arg-type]


@dataclass
class Register:
    """The register's side of a test."""

    application: Application
    library: Library
    cards: dict[str, str]

    @property
    def report(self) -> Report:
        return Report(self.application, berlin_day(self.application.now()), refresh_task.REPORT)

    def compare(self) -> dict[str, int]:
        """A whole run; what the day's report has more than before."""
        before = self.counts()
        refresh.run_now(self.application, self.library, self.report)
        return {what: count - before.get(what, 0) for what, count in self.counts().items() if count}

    def counts(self) -> dict[str, int]:
        with self.application.writing() as session:
            return self.report.counts(session)

    def card(self, number: str) -> PassRow:
        with self.application.reading() as session:
            row = session.get(PassRow, (self.application.tenant, CARD, number))
            assert row is not None
            return row

    def member(self, number: str) -> MemberRow:
        with self.application.reading() as session:
            row = session.get(MemberRow, (self.application.tenant, CARD, number))
            assert row is not None
            return row

    def act(self, step: Callable[..., object], number: str, *more: object) -> None:
        actor = Actor("librarian", self.application.now(), "an der Theke")
        pass_type = self.application.pass_types[CARD]
        with self.application.writing() as session:
            step(session, self.application.tenant, pass_type, number, *more, actor=actor)

    def holds(self) -> list[str]:
        with self.application.reading() as session:
            return list(session.scalars(select(LibraryHoldRow.number)))


@pytest.fixture
def register(city: City, monkeypatch: pytest.MonkeyPatch) -> Register:
    monkeypatch.setenv("STADTPASS_LIBRARY_QUESTIONS_PER_MINUTE", "6000")
    application = city.open()
    with application.writing() as session:
        rows = session.scalars(
            select(PassRow)
            .where(PassRow.tenant == application.tenant, PassRow.type_id == CARD, PassRow.status == "active")
            .order_by(PassRow.number)
        ).all()
        for row in rows:
            row.period_first, row.period_last = date(2026, 1, 1), date(2027, 6, 30)
        cards = {row.number: str(row.card_key) for row in rows}
        others = session.scalars(
            select(PassRow).where(
                PassRow.tenant == application.tenant, PassRow.type_id == CARD, PassRow.status != "active"
            )
        )
        for row in others:
            row.status = "revoked"
    assert len(cards) > 12
    library = Library({one: Patron(one, "Erika Muster", PatronStanding.ACTIVE) for one in cards.values()})
    return Register(application, library, cards)


def test_all_is_well(register: Register) -> None:
    assert register.compare() == {"asked": len(register.cards)}
    assert sorted(register.library.asked[1:]) == sorted(register.cards.values())
    for number in register.cards:
        assert register.member(number).checked_at == register.application.now()
        assert register.card(number).status == "active"


@pytest.mark.parametrize(
    ("standing", "why"),
    [
        (PatronStanding.OWES_FEES, BlockReason.FEES),
        (PatronStanding.EXPIRED_OWES_FEES, BlockReason.FEES),
        (PatronStanding.EXPIRED, BlockReason.OTHER),
        (PatronStanding.INACTIVE, BlockReason.OTHER),
        (None, BlockReason.OTHER),
    ],
)
def test_held_back_and_let_go(register: Register, standing: PatronStanding | None, why: BlockReason) -> None:
    number, card = next(iter(register.cards.items()))
    known = register.library.patrons[card]
    if standing is None:
        del register.library.patrons[card]
    else:
        register.library.say(card, standing, open_fees_cents=350)
    assert register.compare()["blocked"] == 1
    assert register.card(number).status == "suspended"
    assert register.member(number).block_reason == why
    if standing is not None:
        assert register.member(number).open_fees_cents == 350
    with register.application.reading() as session:
        entries = audit.history(session, register.application.tenant, subject(CARD, number))
    said = [one for one in entries if one.actor == refresh.ACTOR]
    # Why is nobody else's affair: the trail goes to all who may read passes.
    assert [one.reason for one in said] == ["Gesperrt durch die Bibliothek"]
    # The same the next night: nothing is said twice.
    assert "blocked" not in {what for what, count in register.compare().items() if count}
    register.library.patrons[card] = replace(known, open_fees_cents=0)
    assert register.compare()["released"] == 1
    assert register.card(number).status == "active"
    assert register.member(number).open_fees_cents == 0
    assert register.holds() == []


def test_a_librarians_block_is_theirs(register: Register) -> None:
    number = next(iter(register.cards))
    register.act(members.block, number, BlockReason.LOST)
    assert register.compare()["kept"] == 1
    assert register.card(number).status == "suspended"
    assert register.member(number).block_reason == BlockReason.LOST


def test_a_block_of_ours_that_a_librarian_made_theirs(register: Register) -> None:
    number, card = next(iter(register.cards.items()))
    register.library.say(card, PatronStanding.OWES_FEES)
    register.compare()
    register.act(members.unblock, number)
    register.act(members.block, number, BlockReason.LOST)
    register.library.say(card, PatronStanding.ACTIVE)
    assert register.compare()["kept"] == 1
    assert register.member(number).block_reason == BlockReason.LOST


def test_the_library_decides_over_a_release_at_the_desk(register: Register) -> None:
    number, card = next(iter(register.cards.items()))
    register.library.say(card, PatronStanding.OWES_FEES)
    register.compare()
    register.act(members.unblock, number)
    assert register.card(number).status == "active"
    assert register.compare()["blocked"] == 1
    register.library.say(card, PatronStanding.ACTIVE)
    assert register.compare()["released"] == 1


def test_a_later_day(register: Register) -> None:
    number, card = next(iter(register.cards.items()))
    register.library.say(card, PatronStanding.ACTIVE, expires=FAR)
    assert register.compare()["extended"] == 1
    row = register.card(number)
    assert (row.period_first, row.period_last, row.status) == (date(2026, 1, 1), FAR, "active")
    with register.application.reading() as session:
        revisions = session.scalars(
            select(RevisionRow).where(
                RevisionRow.tenant == register.application.tenant,
                RevisionRow.type_id == CARD,
                RevisionRow.number == number,
            )
        ).all()
    assert len({one.serial for one in revisions}) == 1
    assert [one.superseded_at is None for one in sorted(revisions, key=lambda one: one.n)][-2:] == [
        False,
        True,
    ]
    assert "extended" not in {what for what, count in register.compare().items() if count}


def test_days_that_no_card_is_extended_to(register: Register) -> None:
    application, pass_type = register.application, register.application.pass_types[CARD]
    first, second = list(register.cards)[:2]
    register.act(members.block, second, BlockReason.LOST)

    def to(number: str, last: date) -> None:
        actor = Actor("librarian", application.now())
        with application.writing() as session:
            seal_for = application.sealer(session, pass_type)
            extend(session, application.tenant, pass_type, number, last, seal_for=seal_for, actor=actor)

    for number, last, code in (
        (first, date(2027, 6, 30), "NOTHING_CHANGES"),
        (first, date(2026, 12, 1), "NOTHING_CHANGES"),
        (second, FAR, "PASS_SUSPENDED"),
        ("unknown", FAR, "NUMBER_UNKNOWN"),
        (first, date(2200, 1, 1), "DATE_YEAR"),
    ):
        with pytest.raises(Refusal) as caught:
            to(number, last)
        assert caught.value.code == code
    assert register.card(first).period_last == register.card(second).period_last == date(2027, 6, 30)


def test_renewed_a_week_late(register: Register) -> None:
    number, card = next(iter(register.cards.items()))
    with register.application.writing() as session:
        row = session.get(PassRow, (register.application.tenant, CARD, number))
        assert row is not None
        row.status, row.period_last = "expired", date(2026, 11, 13)
    register.compare()
    assert register.card(number).status == "expired"
    register.library.say(card, PatronStanding.ACTIVE, expires=FAR)
    assert register.compare()["extended"] == 1
    assert (register.card(number).status, register.card(number).period_last) == ("active", FAR)


def test_a_system_that_suddenly_knows_nobody(register: Register) -> None:
    register.library.patrons.clear()
    before = snapshot(register.application)["passes"]
    with pytest.raises(Stopped) as caught:
        register.compare()
    assert caught.value.code == "LIBRARY_TOO_MANY"
    refresh_task.note_stop(register.application, register.report, caught.value)
    assert snapshot(register.application)["passes"] == before
    assert register.holds() == []
    assert any("library: the comparison was stopped" in note for note in notes_about(register.application))
    # The next one that goes well takes the note away.
    register.library.patrons |= {
        one: Patron(one, "Erika Muster", PatronStanding.ACTIVE) for one in register.cards.values()
    }
    register.compare()
    assert not any("library" in note for note in notes_about(register.application))


def test_a_system_that_says_yes_to_every_card(register: Register) -> None:
    register.library.others = Patron("", "Erika Muster", PatronStanding.ACTIVE, expires=FAR)
    with pytest.raises(Stopped) as caught:
        register.compare()
    assert caught.value.code == "LIBRARY_LIES"
    assert len(register.library.asked) == 1


def test_a_handful_may_change(register: Register) -> None:
    for card in list(register.cards.values())[:5]:
        register.library.say(card, PatronStanding.EXPIRED)
    assert register.compare()["blocked"] == 5
    for card in list(register.cards.values())[5:11]:
        register.library.say(card, PatronStanding.EXPIRED)
    with pytest.raises(Stopped, match="LIBRARY_TOO_MANY"):
        register.compare()


def test_answers_of_no_use_change_nothing(register: Register) -> None:
    register.library.useless = frozenset(list(register.cards.values())[:5])
    assert register.compare()["useless"] == 5
    register.library.useless = frozenset(list(register.cards.values())[:6])
    with pytest.raises(Stopped, match="LIBRARY_TOO_MANY"):
        register.compare()


def test_a_system_that_goes_away_in_between(register: Register) -> None:
    register.library.say(next(iter(register.cards.values())), PatronStanding.EXPIRED)
    register.library.away_after = 7
    with pytest.raises(SourceUnavailable):
        register.compare()
    # Who was answered for is noted; nobody is blocked before all have been asked.
    assert register.counts()["asked"] == 6
    assert register.card(next(iter(register.cards))).status == "active"
    register.library.away_after = None
    assert register.compare()["blocked"] == 1


def test_a_dry_run_changes_nothing(register: Register) -> None:
    numbers = list(register.cards.values())
    register.library.say(numbers[0], PatronStanding.EXPIRED)
    register.library.say(numbers[1], PatronStanding.ACTIVE, expires=FAR)
    del register.library.patrons[numbers[2]]
    before = snapshot(register.application)
    counts, is_too_much = refresh.dry_run(register.application, register.library)
    assert counts == {
        "asked": len(numbers),
        "to_block": 2,
        "to_block_expired": 1,
        "to_block_unknown": 1,
        "to_extend": 1,
    }
    assert not is_too_much
    register.library.patrons.clear()
    assert refresh.dry_run(register.application, register.library)[1]
    assert snapshot(register.application) == before


def test_the_pieces_of_the_background(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece queues the next in its own transaction; repeated, a piece does nothing twice."""
    number, card = list(register.cards.items())[-1]
    register.library.say(card, PatronStanding.EXPIRED)
    queued: list[dict[str, object]] = []
    monkeypatch.setattr(refresh, "MOST_AT_ONCE", 4)
    monkeypatch.setattr(refresh_task, "source_of", lambda _: register.library)
    monkeypatch.setattr(
        register.application, "enqueue", lambda _s, _t, payload, **_: queued.append(payload) or True
    )
    first = {"day": "2026-11-20", "after": None, "begun": False}
    refresh_task.run_task(register.application, first)
    assert register.card(number).status == "active"
    pieces = 1
    while queued:
        payload = queued.pop()
        refresh_task.run_task(register.application, payload)
        if pieces == 2:
            refresh_task.run_task(register.application, payload)
            queued.pop()
        pieces += 1
    assert pieces == -(-len(register.cards) // 4) + 1
    assert register.card(number).status == "suspended"
    assert register.counts()["blocked"] == 1


def test_the_night_asks_only_where_a_system_is_connected(register: Register) -> None:
    assert preview(register.application)["library"] == {}
    run_night(register.application)
    assert register.library.asked == []


def test_before_a_card_is_issued(register: Register) -> None:
    card = next(iter(register.cards.values()))
    library = register.library
    assert check_before_issue(None, card) is None
    found = check_before_issue(library, card)
    assert isinstance(found, Patron)
    for standing, code in (
        (PatronStanding.INACTIVE, "LIBRARY_MEMBER_BLOCKED"),
        (PatronStanding.EXPIRED, "LIBRARY_MEMBER_EXPIRED"),
        (PatronStanding.OWES_FEES, "LIBRARY_MEMBER_OWES"),
        (PatronStanding.EXPIRED_OWES_FEES, "LIBRARY_MEMBER_EXPIRED_OWES"),
        (None, "LIBRARY_MEMBER_UNKNOWN"),
    ):
        if standing is None:
            del library.patrons[card]
        else:
            library.say(card, standing)
        with pytest.raises(MemberNotInOrder) as caught:
            check_before_issue(library, card)
        assert caught.value.code == code
        assert caught.value.sentence("de") != caught.value.sentence("en")
    library.away_after = 0
    unchecked = check_before_issue(library, card)
    assert isinstance(unchecked, Unchecked)
    assert "trotzdem" in unchecked.sentence("de")
    assert "rechtzeitig" in unchecked.sentence("de")


def test_the_command_line(
    city: City, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(city.folder)
    (folder / "library.password").write_text(PASSWORD)
    (folder / "library.password").chmod(0o600)
    data = ["--data", str(folder), "--at", city.clock().isoformat()]
    assert main(["library", "check", "17", *data]) != 0
    with Sip2Server({"17": Account("Muster, Erika", expires="20271231")}) as server:
        for name, value in {
            "SOURCE": "sip2",
            "HOST": "localhost",
            "PORT": str(server.port),
            "TLS": "false",
            "USER": USER,
            "PASSWORD_FILE": "library.password",
            "INSTITUTION": INSTITUTION,
            "LOCATION": LOCATION,
            "QUESTIONS_PER_MINUTE": "6000",
        }.items():
            monkeypatch.setenv(f"STADTPASS_LIBRARY_{name}", value)
        capsys.readouterr()
        assert main(["library", "check", "17", *data]) == 0
        shown = capsys.readouterr().out
        assert "2027-12-31" in shown
        assert "Muster" not in shown
        assert main(["library", "check", "18", *data]) == 1
        # It knows none of the demo's members.
        assert main(["library", "refresh", "--dry-run", *data]) == 2
        assert main(["library", "refresh", *data]) == 2
        server.fail("lie with a name", times=9)
        assert main(["library", "refresh", *data]) == 2
    assert main(["library", "check", "17", *data]) == 3
    application = city.open()
    with application.reading() as session:
        statuses = session.scalars(
            select(PassRow.status).where(PassRow.tenant == application.tenant, PassRow.type_id == CARD)
        ).all()
    assert "active" in statuses


def test_piece_by_piece_in_a_real_engine(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    """The night queues the first piece, each piece the next; a system that is away for a moment is waited for."""
    application, library = register.application, register.library
    config = msgspec.structs.replace(
        application.config,
        background=msgspec.structs.replace(application.config.background, polling_seconds=0.05),
        library=msgspec.structs.replace(application.config.library, source="sip2"),
    )
    monkeypatch.setattr(type(application), "config", property(lambda _: config))
    monkeypatch.setattr(refresh, "MOST_AT_ONCE", 4)
    monkeypatch.setattr(refresh_task, "source_of", lambda _: library)
    number, card = list(register.cards.items())[-1]
    library.say(card, PatronStanding.OWES_FEES)
    library.away_after = 6
    engine = Engine(application, "library-1")
    engine.start()
    try:
        refresh_task.run(application, Report(application, register.report.day, refresh_task.NAME))
        # A second night's work of the same day queues nothing.
        refresh_task.run(application, Report(application, register.report.day, refresh_task.NAME))
        for tries in range(600):
            if len(library.asked) > 6 and tries > 20:
                library.away_after = None
            if column(application, NightlyRunRow.finished_at, name=refresh_task.REPORT) not in ([], [None]):
                break
            threading.Event().wait(0.05)
    finally:
        engine.stop(5)
    counts = register.counts()
    assert (counts["asked"], counts["blocked"]) == (len(register.cards), 1)
    assert register.card(number).status == "suspended"
    assert register.member(number).block_reason == BlockReason.FEES


def test_two_nights_do_not_run_into_one_another(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long comparison goes on to its end; one that was lost is overtaken after two days."""
    application, library = register.application, register.library
    config = msgspec.structs.replace(
        application.config, library=msgspec.structs.replace(application.config.library, source="sip2")
    )
    monkeypatch.setattr(type(application), "config", property(lambda _: config))
    monkeypatch.setattr(refresh_task, "source_of", lambda _: library)
    day = register.report.day
    register.report.begin()
    tomorrow = Report(application, day + timedelta(days=1), refresh_task.NAME)
    refresh_task.run(application, tomorrow)
    assert library.asked == []
    assert column(application, NightlyRunRow.report, name=refresh_task.NAME) == [{"still_running": 1}]
    clock = application.now
    assert isinstance(clock, SetClock)
    clock.forward(hours=49)
    refresh_task.run(application, Report(application, day + timedelta(days=2), refresh_task.NAME))
    asked = len(library.asked)
    assert asked == len(register.cards) + 1
    refresh_task.run_task(application, {"day": day.isoformat(), "after": None, "begun": False})
    assert len(library.asked) == asked


def noted(register: Register, number: str, between: Callable[[], None] = lambda: None) -> None:
    """The first half of a run, in which ``between`` happens after the questions and before the answers are taken."""
    with register.application.writing() as session:
        refresh.begin(session, register.application, register.report)
    with register.application.reading() as session:
        wanted = refresh.targets(session, register.application, None, refresh.MOST_AT_ONCE)
    asked = refresh.ask_some(
        register.application, register.library, [one for one in wanted if one[0][1] == number]
    )
    between()
    with register.application.writing() as session:
        refresh.take(session, register.application, asked, register.report)


def replace_card(register: Register, number: str) -> None:
    application, pass_type = register.application, register.application.pass_types[CARD]
    with application.writing() as session:
        members.replace_card(
            session, application.tenant, pass_type, number, CardNumber("77889911"),
            seal_for=application.sealer(session, pass_type), actor=Actor("librarian", application.now()),
            log=RevocationLog(application.workspace.folder),
        )  # fmt: skip


def test_an_answer_about_a_number_replaced_meanwhile_says_nothing(register: Register) -> None:
    number, card = next(iter(register.cards.items()))
    del register.library.patrons[card]
    register.report.begin()
    noted(register, number, lambda: replace_card(register, number))
    refresh.hold_all(register.application, register.report)
    assert (register.card(number).status, register.card(number).card_key) == ("active", "77889911")
    assert register.holds() == []


@pytest.mark.parametrize("what", ["blocked and unblocked", "replaced", "renewed"])
def test_what_a_person_has_done_since_the_question_counts(register: Register, what: str) -> None:
    number, card = next(iter(register.cards.items()))
    application, pass_type = register.application, register.application.pass_types[CARD]
    register.library.say(card, PatronStanding.INACTIVE)
    register.report.begin()
    noted(register, number)
    assert register.holds() == [number]
    if what == "replaced":
        replace_card(register, number)
    elif what == "renewed":
        with application.writing() as session:
            row = session.get_one(PassRow, (application.tenant, CARD, number))
            row.period_last = berlin_day(application.now()) + timedelta(days=10)
            renew_membership(
                session, application.tenant, pass_type, number,
                seal_for=application.sealer(session, pass_type),
                actor=Actor("librarian", application.now(), "an der Theke"),
            )  # fmt: skip
    else:
        register.act(members.block, number, BlockReason.LOST)
        register.act(members.unblock, number)
    assert register.holds() == []
    refresh.hold_all(application, register.report)
    assert register.card(number).status == "active"
