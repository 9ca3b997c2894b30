"""Changing a plate on one's own pages: at once, once, and never by guessing or by somebody with a found link."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from datetime import date

import pytest
from sqlalchemy import select

from issuer import audit, lifecycle
from issuer.application import Application
from issuer.cases import issue, steps
from issuer.cases.city import CityCaseRules
from issuer.cases.store import CaseActor
from issuer.lifecycle import Actor
from issuer.models_delivery import MailRow, WalletPassRow
from issuer.pickup.codes import create_letter_code, grouped
from issuer.register import subject
from issuer.rules.sources.protocols import (
    KeeperAnswer,
    KeeperIs,
    KeeperIsOther,
    Person,
    SourceAway,
    Sources,
    VehicleUnknown,
)
from passes.plates import Plate
from passes.status_list import Status
from tests.issuer.pickup.browser import browser, form_token, last_day, new_link, send, visit
from tests.issuer.pickup.holders import (
    cases,
    change_plate,
    confirmation,
    content,
    held_plates,
    plates,
    revisions,
    standard,
    two_plates,
    type_plate,
)
from tests.service import CARD, PERMIT, City, running_numbers


@dataclass(frozen=True)
class SetVehicles:
    """A register of vehicles that gives one answer."""

    answer: KeeperAnswer

    def keeper(self, plate: Plate, person: Person, day: date) -> KeeperAnswer:
        return self.answer


def test_the_new_plate_holds_at_once(city: City, application: Application) -> None:
    number = standard(application)
    [old] = plates(application, number)
    with application.reading() as session:
        serial = content(application, number).serial
        tag = session.get_one(WalletPassRow, (application.tenant, serial)).update_tag
    with browser(application) as client:
        visit(client, application, number)
        assert "/p/pass/plate" in client.get("/p/pass").text
        assert old in client.get("/p/pass/plate").text
        typed = type_plate(client, "d-zz 77e")
        assert (typed.status_code, typed.headers["location"]) == (303, "/p/pass/plate/confirm")
        # Nothing has happened yet.
        assert plates(application, number) == [old]
        page = client.get("/p/pass/plate/confirm").text
        assert old in page
        assert "D-ZZ 77E" in page
        assert "nicht mehr geschützt" in page
        assert "Drucken Sie den Ausweis neu aus" in page
        answer = client.post("/p/pass/plate/confirm", data=confirmation(client, application, number))
        assert (answer.status_code, answer.headers["location"]) == (303, "/p/pass?done=plate")
        told = client.get("/p/pass?done=plate").text
        assert "D-ZZ 77E" in told
        assert old not in told
        assert client.get("/p/pass/permit.pdf").content.startswith(b"%PDF-")
    assert plates(application, number) == ["D-ZZ 77E"]
    first, second = revisions(application, number)
    assert first.status_value == int(Status.SUPERSEDED)
    assert second.status_value == int(Status.VALID)
    assert second.serial == first.serial
    with application.reading() as session:
        row = session.get_one(WalletPassRow, (application.tenant, serial))
        assert row.update_tag > tag
        kinds = session.scalars(select(MailRow.kind).where(MailRow.number == number)).all()
        history = audit.history(session, application.tenant, subject(PERMIT, number))
    assert "changed" in kinds
    [case] = cases(application, number)
    assert (case.kind, case.state, case.decided_by) == ("change", "issued", "holder")
    [changed] = [one for one in history if one.action == "change"]
    assert (changed.actor, changed.reason) == ("holder", case.number)


def test_a_season_is_kept(application: Application) -> None:
    number = standard(application)
    with browser(application) as client:
        visit(client, application, number)
        # Another season of the same plate is a change as well.
        for plate, season in (("D-ZZ 77", None), ("D-ZZ 77 (04-10)", "04-10")):
            change_plate(client, application, number, plate)
            held = content(application, number).attributes["plates"]
            assert isinstance(held, tuple)
            assert (held[0].season.text if held[0].season else None) == season


def test_one_of_two_plates_is_changed_alone(application: Application) -> None:
    number = two_plates(application)
    first, second = plates(application, number)
    with browser(application) as client:
        visit(client, application, number)
        assert type_plate(client, "D-ZZ 2").status_code == 422
        change_plate(client, application, number, "D-ZZ 2", place="1")
        assert plates(application, number) == [first, "D-ZZ 2"]
        change_plate(client, application, number, "D-ZZ 3", place="0")
        assert plates(application, number) == ["D-ZZ 3", "D-ZZ 2"]
        same = type_plate(client, "D-ZZ 2", place="0")
        assert same.status_code == 422
        assert "steht schon auf dem Ausweis" in same.text
    assert content(application, number).attributes["permit_kind"] == "two_plates"
    assert second == "D-ZZ 1"


SEVERAL = {
    "CEE1234": ["C-EE 1234", "CE-E 1234"],
    "D-0B 12": ["D-OB 12"],
    "D-AB I2": ["D-AB 12"],
    "CEE123 (04-10)": ["C-EE 123 (04-10)", "CE-E 123 (04-10)"],
}
NONE = {
    "": "Geben Sie das neue Kennzeichen ein",
    "D-ABC 12": "ein oder zwei Buchstaben",
    "QQ-A 1": "kein deutsches Ortskürzel",
    "0-17-1": "kann nur die Sachbearbeitung prüfen",
    "<img onerror=x>": "Das ist kein Kennzeichen",
    "D-AB 123 (04-10) " + "9" * 30: "erlaubt sind höchstens 8",
    "D\u202e-AB 12": "unsichtbares Zeichen",
}


def test_what_can_be_several_is_asked_back(application: Application) -> None:
    number = standard(application)
    with browser(application) as client:
        visit(client, application, number)
        for typed, meant in SEVERAL.items():
            asked = type_plate(client, typed)
            assert asked.status_code == 422
            assert all(f'value="{one}"' in asked.text for one in meant)
            # A choice counts for the text that it was offered for, and no other.
            assert type_plate(client, typed, choice="D-ZZ 9").status_code == 422
        assert cases(application, number) == []
        for typed, meant in SEVERAL.items():
            assert type_plate(client, typed, choice=meant[-1]).status_code == 303
            assert meant[-1] in client.get("/p/pass/plate/confirm").text


def test_what_is_no_plate_says_why(application: Application) -> None:
    number = standard(application)
    with browser(application) as client:
        visit(client, application, number)
        token = form_token(client.get("/p/pass/plate"))
        for typed, told in NONE.items():
            answer = type_plate(client, typed)
            assert answer.status_code == 422
            assert told in answer.text, typed
            assert "<img" not in answer.text
            part = client.post(
                "/p/pass/plate/check",
                data={"form_token": token, "plate": typed},
                headers={"HX-Request": "true"},
            )
            assert part.status_code == 200
            assert "<html" not in part.text
            assert not typed or told in part.text
    assert cases(application, number) == []


def test_whose_car_it_is_has_to_be_said(application: Application) -> None:
    number = standard(application)
    with browser(application) as client:
        visit(client, application, number)
        assert type_plate(client, "D-ZZ 7", keeper="").status_code == 422
    assert cases(application, number) == []


def test_a_link_alone_changes_nothing(application: Application) -> None:
    number = standard(application)
    before = plates(application, number)
    with browser(application) as client:
        visit(client, application, number)
        type_plate(client, "D-ZZ 77")
        right = confirmation(client, application, number)
        wrong = {**right, "day": "1", "month": "1", "year": "2031"}
        for day in (wrong, {**right, "day": "", "month": "", "year": ""}, {**right, "day": "x"}):
            answer = client.post("/p/pass/plate/confirm", data=day)
            assert answer.status_code == 422
            assert 'href="#day"' in answer.text
        for _ in range(3):
            client.post("/p/pass/plate/confirm", data=wrong)
        # Too often: the right day does not help any more, for a time.
        barred = client.post("/p/pass/plate/confirm", data=right)
        assert barred.status_code == 422
        assert "zu oft falsch" in barred.text
    assert plates(application, number) == before


def test_the_code_of_a_letter_proves_as_well(application: Application) -> None:
    number, other = standard(application), running_numbers(application)[-1]
    with application.writing() as session:
        foreign = create_letter_code(session, application, PERMIT, other)
        code = create_letter_code(session, application, PERMIT, number)
    with browser(application) as client:
        visit(client, application, number)
        type_plate(client, "D-ZZ 77")
        fields = confirmation(client, application, number) | {"day": "", "month": "", "year": ""}
        assert client.post("/p/pass/plate/confirm", data=fields | {"code": foreign}).status_code == 422
        answer = client.post("/p/pass/plate/confirm", data=fields | {"code": grouped(code).lower()})
        assert answer.headers["location"] == "/p/pass?done=plate"
        # Used up.
        later = client.post("/p/code", data={"code": code, **last_day(application, number)})
        assert later.status_code == 422


def test_who_came_with_code_and_day_is_asked_no_more(application: Application) -> None:
    number = standard(application)
    with application.writing() as session:
        code = create_letter_code(session, application, PERMIT, number)
    with browser(application) as client:
        assert client.post("/p/code", data={"code": code, **last_day(application, number)}).status_code == 303
        type_plate(client, "D-ZZ 77")
        page = client.get("/p/pass/plate/confirm")
        assert 'name="day"' not in page.text
        fields = confirmation(client, application, number) | {"day": "", "month": "", "year": ""}
        assert client.post("/p/pass/plate/confirm", data=fields).headers["location"] == "/p/pass?done=plate"


def test_two_submits_at_once_change_once(application: Application) -> None:
    number = standard(application)
    with browser(application) as client:
        visit(client, application, number)
        type_plate(client, "D-ZZ 77")
        fields = confirmation(client, application, number)
        cookies = dict(client.cookies)
    start, answers = threading.Barrier(2), []

    def press() -> None:
        with browser(application) as mine:
            mine.cookies.update(cookies)
            start.wait()
            answers.append(mine.post("/p/pass/plate/confirm", data=fields))

    both = [threading.Thread(target=press) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert [one.headers.get("location") for one in answers] == ["/p/pass?done=plate"] * 2
    assert plates(application, number) == ["D-ZZ 77"]
    assert len(revisions(application, number)) == 2
    assert [one.state for one in cases(application, number)] == ["issued"]


def test_what_was_changed_elsewhere_meanwhile_is_shown_again(application: Application) -> None:
    number = two_plates(application)
    first, _ = plates(application, number)
    with browser(application) as client:
        visit(client, application, number)
        type_plate(client, "D-ZZ 8", place="0")
        fields = confirmation(client, application, number)
        pass_type = application.pass_types[PERMIT]
        held = content(application, number).attributes["plates"]
        assert isinstance(held, tuple)
        swapped = lifecycle.Changes(plates=(held[0], type(held[0])(Plate.parse("D-ZZ 9"))))
        with application.writing() as session:
            lifecycle.change(
                session, application.tenant, pass_type, number, swapped,
                seal_for=application.sealer(session, pass_type), actor=Actor("t", application.now()),
            )  # fmt: skip
        answer = client.post("/p/pass/plate/confirm", data=fields)
        assert answer.headers["location"] == "/p/pass/plate/confirm"
        assert client.get("/p/pass/plate/confirm").headers["location"] == "/p/pass/plate"
    assert plates(application, number) == [first, "D-ZZ 9"]


def test_the_fourth_change_in_a_year_goes_to_a_clerk(city: City, application: Application) -> None:
    number = standard(application)
    with browser(application) as client:
        visit(client, application, number)
        for plate in ("D-ZZ 1", "D-ZZ 2", "D-ZZ 3"):
            assert (
                change_plate(client, application, number, plate).headers["location"] == "/p/pass?done=plate"
            )
        assert "entscheidet die Stadt" in client.get("/p/pass/plate").text
        type_plate(client, "D-ZZ 4")
        assert "Über diese Änderung entscheidet die Stadt" in client.get("/p/pass/plate/confirm").text
        answer = client.post("/p/pass/plate/confirm", data=confirmation(client, application, number))
        assert answer.headers["location"] == "/apply/case"
        assert "__Host-stadtpass-case" in answer.headers["set-cookie"]
        case = cases(application, number)[-1]
        assert case.state == "submitted"
        assert plates(application, number) == ["D-ZZ 3"]
        # While it waits there is no second one, and the pass page leads to it.
        assert case.number in client.get("/p/pass/plate").text
        opened = send(client, "/p/pass/case", case=case.id)
        assert opened.headers["location"] == "/apply/case"
    actor = CaseActor("staff:1", application.now())
    with application.writing() as session:
        rules = CityCaseRules.of(session, application, PERMIT)
        steps.accept_evidence(
            session, application.tenant, case.id, actor, "justification", "vehicle_registration"
        )
        issue.approve(session, application, case.id, actor, rules)
    assert plates(application, number) == ["D-ZZ 4"]
    city.clock.forward(days=366)
    with application.reading() as session:
        rules = CityCaseRules.of(session, application, PERMIT)
        assert rules.plate_changes_left(PERMIT, number, application.now().date()) == 3


def test_whose_car_it_is(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[KeeperAnswer, str, bool]] = [
        (KeeperIs(), "holder", True),
        (VehicleUnknown(), "holder", True),
        (SourceAway("TIMEOUT"), "holder", True),
        (VehicleUnknown(), "other", False),
        (KeeperIsOther(), "holder", False),
    ]
    numbers = [one for one in running_numbers(application) if len(held_plates(application, one)) == 1]
    for number, (answer, keeper, is_done) in zip(numbers, told, strict=False):
        sources = Sources(vehicles=SetVehicles(answer))
        monkeypatch.setattr(Application, "sources", property(lambda _, now=sources: now))
        [old] = plates(application, number)
        with browser(application) as client:
            visit(client, application, number)
            reply = change_plate(client, application, number, "D-ZZ 5", keeper=keeper)
        assert [one.state for one in cases(application, number)] == ["issued" if is_done else "documents"]
        assert plates(application, number) == (["D-ZZ 5"] if is_done else [old])
        assert reply.headers["location"] == ("/p/pass?done=plate" if is_done else "/apply/case")


def test_who_has_no_plate_or_no_right_has_nothing_to_change(application: Application) -> None:
    card = running_numbers(application, CARD)[0]
    number = standard(application)
    with browser(application) as client:
        visit(client, application, card, CARD)
        assert "/p/pass/plate" not in client.get("/p/pass").text
        assert client.get("/p/pass/plate").status_code == 409
    with browser(application) as client:
        visit(client, application, number)
        type_plate(client, "D-ZZ 77")
        fields = confirmation(client, application, number)
        with application.writing() as session:
            lifecycle.suspend(
                session, application.tenant, PERMIT, number, actor=Actor("t", application.now(), "Test")
            )
        assert client.get("/p/pass/plate").status_code == 409
        answer = client.post("/p/pass/plate/confirm", data=fields)
        assert answer.status_code == 409
        assert "D-ZZ 77" not in plates(application, number)
    assert [one.state for one in cases(application, number)] == ["draft"]


def test_a_foreign_form_or_case_changes_nothing(application: Application, neighbour: Application) -> None:
    number, other = standard(application), standard(neighbour)
    with browser(neighbour) as far:
        visit(far, neighbour, other)
        type_plate(far, "D-ZZ 6")
        theirs = confirmation(far, neighbour, other)
    with browser(application) as client:
        visit(client, application, number)
        page = client.get("/p/pass/plate")
        assert client.post("/p/pass/plate", data={"plate": "D-ZZ 7"}).status_code == 403
        mine = {"form_token": form_token(page), **last_day(application, number)}
        for case in (theirs["case"], "0" * 22, "", "x" * 90):
            answer = client.post("/p/pass/plate/confirm", data={**mine, "case": case, "version": "2"})
            assert answer.headers["location"] == "/p/pass/plate"
            assert client.post("/p/pass/case", data={**mine, "case": case}).status_code == 409
    with browser(application) as nobody:
        for path in ("/p/pass/plate", "/p/pass/plate/confirm", "/p/pass/plate/check"):
            assert nobody.post(path, data={}).status_code == 403
        assert new_link(application, number)
    assert json.dumps(plates(neighbour, other)) != json.dumps(["D-ZZ 6"])
