"""Asking for a plate: yes or no for the moment asked, nothing guessed, nothing kept."""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from issuer import lifecycle
from issuer.api.scopes import Scope
from issuer.application import Application
from issuer.database import reading
from issuer.lifecycle import Actor, Changes
from issuer.models import AuditEntryRow, PassRow
from issuer.models_access import IdempotencyRow
from issuer.pass_view import show
from passes.model import PassContent, RegisteredPlate
from passes.periods import BERLIN
from passes.plates import Plate
from passes.zones import Zone
from tests.issuer.api.conftest import Http, bearer, new_client
from tests.service import PERMIT, City, running_numbers

PATH = "/api/v1/checks/plate"
VECTORS = Path(__file__).parents[2] / "data" / "plate_vectors.csv"


@dataclass
class Fines:
    """The system that deals with fines."""

    http: Http
    headers: dict[str, str]

    def ask(self, plate: str, zone: str | None = None, at: str | datetime | None = None) -> dict[str, object]:
        """Both forms of the question, which must have the same answer."""
        time = at.isoformat() if isinstance(at, datetime) else at
        question = {
            name: value
            for name, value in (("plate", plate), ("zone", zone), ("at", time))
            if value is not None
        }
        posted = self.http.post(PATH, json=question, headers=self.headers)
        got = self.http.get(PATH, params=question, headers=self.headers)
        assert posted.status_code == got.status_code
        answer: dict[str, object] = posted.json()
        if posted.status_code == 200:
            assert posted.content == got.content
            assert posted.headers["cache-control"] == got.headers["cache-control"] == "no-store"
        return answer

    def says(self, *question: object, **more: object) -> tuple[object, object]:
        answer = self.ask(*question, **more)  # type: ignore[arg-type]
        return answer["valid"], answer["reason"]


@pytest.fixture
def fines(http: Http, application: Application) -> Fines:
    return Fines(http, bearer(new_client(application, Scope.CHECKS_READ, name="fines").secret))


def permit(application: Application) -> PassContent:
    """A permit that holds today, with one plate and without a season."""
    for number in running_numbers(application):
        with application.reading() as session:
            content = show(session, application.tenant, application.pass_types[PERMIT], number).content
        found = content.attributes.get("plates") or ()
        if len(found) == 1 and found[0].season is None:
            return content
    raise LookupError


def plate_of(content: PassContent) -> Plate:
    return content.attributes["plates"][0].plate  # type: ignore[index, union-attr]


def zone_of(content: PassContent) -> str:
    zone = content.attributes["zone"]
    assert isinstance(zone, Zone)
    return zone.code


def other_zone(application: Application, code: str) -> str:
    return "HO" if code != "HO" else "MÜ"


def step(application: Application, name: str, content: PassContent) -> None:
    with application.writing() as session:
        act = getattr(lifecycle, name)
        act(
            session,
            application.tenant,
            content.type_id,
            content.number,
            actor=Actor("t", application.now(), "reason"),
        )


def change(application: Application, content: PassContent, *plates: Plate) -> None:
    pass_type = application.pass_types[PERMIT]
    with application.writing() as session:
        lifecycle.change(
            session,
            application.tenant,
            pass_type,
            content.number,
            Changes(plates=tuple(RegisteredPlate(one) for one in plates)),
            seal_for=application.sealer(session, pass_type),
            actor=Actor("t", application.now()),
        )


def test_yes_and_no(fines: Fines, application: Application) -> None:
    content = permit(application)
    plate = plate_of(content)
    answer = fines.ask(plate.canonical, zone_of(content))
    assert answer == {
        "valid": True,
        "reason": "VALID",
        "plate": plate.canonical,
        "at": "2026-11-20T12:00:00+01:00",
        "valid_until": content.period.last.isoformat(),
    }
    assert fines.says(plate.canonical.lower().replace("-", " "), zone_of(content).lower()) == (True, "VALID")
    assert fines.says(plate.canonical) == (True, "VALID")
    assert fines.says(plate.canonical, other_zone(application, zone_of(content))) == (False, "OTHER_ZONE")
    assert fines.ask("D-ZZ 9999") == {
        "valid": False, "reason": "NOT_LISTED", "plate": "D-ZZ 9999", "at": answer["at"]
    }  # fmt: skip


def test_a_period_holds_on_whole_days_in_berlin(fines: Fines, application: Application) -> None:
    content = permit(application)
    plate = plate_of(content).canonical
    first, last = content.period.starts_at, content.period.ends_at
    assert fines.says(plate, at=first) == (True, "VALID")
    assert fines.says(plate, at=first - timedelta(seconds=1)) == (False, "NOT_YET_VALID")
    assert fines.says(plate, at=last - timedelta(seconds=1)) == (True, "VALID")
    assert fines.says(plate, at=last) == (False, "EXPIRED")
    # Just before midnight in UTC it is the next day in Berlin already.
    assert fines.says(plate, at=last.astimezone(UTC)) == (False, "EXPIRED")
    assert fines.says(plate, at=content.period.last.isoformat() + "T23:59") == (True, "VALID")


def test_two_plates_of_a_permit(fines: Fines, application: Application, city: City) -> None:
    content = permit(application)
    change(application, content, plate_of(content), Plate.parse("D-QX 4711"))
    city.clock.forward(seconds=1)
    assert fines.says(plate_of(content).canonical) == (True, "VALID")
    assert fines.says("D-QX 4711") == (True, "VALID")


def test_a_season(fines: Fines, application: Application) -> None:
    found = None
    for number in running_numbers(application):
        with application.reading() as session:
            content = show(session, application.tenant, application.pass_types[PERMIT], number).content
        for one in content.attributes.get("plates") or ():
            if one.season is not None:
                found = one, content
    assert found is not None
    one, content = found
    for month in range(1, 13):
        at = datetime(2027 if month < 12 else 2026, month, 15, 12, tzinfo=BERLIN)
        if content.period.contains(at):
            expected = (True, "VALID") if one.season.contains(at.date()) else (False, "OUT_OF_SEASON")
            assert fines.says(one.plate.canonical, at=at) == expected


@pytest.mark.parametrize(("name", "reason"), [("suspend", "SUSPENDED"), ("revoke", "REVOKED")])
def test_status_counts_from_the_moment_on(
    fines: Fines, application: Application, city: City, name: str, reason: str
) -> None:
    content = permit(application)
    plate = plate_of(content).canonical
    before = application.now() + timedelta(minutes=30)
    city.clock.forward(hours=1)
    step(application, name, content)
    city.clock.forward(hours=1)
    assert fines.says(plate) == (False, reason)
    assert fines.says(plate, at=before) == (True, "VALID")
    if name == "suspend":
        step(application, "resume", content)
        during = application.now() - timedelta(minutes=30)
        city.clock.forward(hours=1)
        assert fines.says(plate) == (True, "VALID")
        assert fines.says(plate, at=during) == (False, "SUSPENDED")
        assert fines.says(plate, at=before) == (True, "VALID")


def test_a_changed_plate_counts_until_the_change(fines: Fines, application: Application, city: City) -> None:
    content = permit(application)
    old, new = plate_of(content), Plate.parse("D-QX 4711")
    before = application.now()
    city.clock.forward(hours=1)
    change(application, content, new)
    city.clock.forward(seconds=1)
    assert fines.says(old.canonical) == (False, "NOT_LISTED")
    assert fines.says(new.canonical) == (True, "VALID")
    assert fines.says(old.canonical, at=before) == (True, "VALID")
    assert fines.says(new.canonical, at=before) == (False, "NOT_LISTED")


def test_another_suffix_is_a_no_with_a_hint(fines: Fines, application: Application) -> None:
    content = permit(application)
    plate = plate_of(content)
    other = f"{plate.district}-{plate.letters} {plate.number}" + ("" if plate.suffix else "E")
    answer = fines.ask(other)
    assert (answer["valid"], answer["reason"]) == (False, "SUFFIX_DIFFERS")
    assert answer["suggestions"] == [plate.canonical]


def test_a_plate_that_can_be_read_in_two_ways_is_asked_back(fines: Fines) -> None:
    answer = fines.ask("CEE1234")
    assert (answer["status"], answer["code"]) == (422, "PLATE_SEVERAL")
    assert answer["suggestions"] == ["C-EE 1234", "CE-E 1234"]
    assert "valid" not in answer
    assert fines.says("C-EE 1234") == (False, "NOT_LISTED")


@pytest.mark.parametrize(
    ("question", "place", "code"),
    [
        ({"plate": "0-17-123"}, "plate", "PLATE_SPECIAL"),
        ({"plate": "hello"}, "plate", "PLATE_FORMAT"),
        ({"plate": "D-AB 123456"}, "plate", "PLATE_NUMBER_TOO_LONG"),
        ({"plate": ""}, "plate", "VALUE_LENGTH"),
        ({"plate": "x" * 41}, "plate", "VALUE_LENGTH"),
        ({"plate": "D-AB 123", "zone": "QQ"}, "zone", "ZONE_NOT_KNOWN"),
        ({"plate": "D-AB 123", "at": "yesterday"}, "at", "TIME_FORMAT"),
        ({"plate": "D-AB 123", "at": "2026-11-20T12:00:00 01:00"}, "at", "TIME_FORMAT"),
        ({}, "plate", "VALUE_REQUIRED"),
    ],
)
def test_questions_that_are_none(fines: Fines, question: dict[str, str], place: str, code: str) -> None:
    posted = fines.http.post(PATH, json=question, headers=fines.headers)
    got = fines.http.get(PATH, params=question, headers=fines.headers)
    assert (posted.status_code, got.status_code) == (422, 422)
    assert [(one["pointer"], one["code"]) for one in posted.json()["errors"]] == [(f"#/{place}", code)]
    if question:
        assert [(one["parameter"], one["code"]) for one in got.json()["errors"]] == [(place, code)]


def test_the_vectors(fines: Fines) -> None:
    with VECTORS.open(encoding="utf-8", newline="") as file:
        vectors = list(csv.DictReader(file, delimiter=";"))
    assert {one["verdict"] for one in vectors} == {"valid", "invalid"}
    for vector in vectors:
        response = fines.http.post(PATH, json={"plate": vector["input"]}, headers=fines.headers)
        if vector["verdict"] == "valid":
            assert response.json()["plate"] == vector["canonical"], vector
        else:
            assert response.status_code == 422, vector


def test_look_alikes_are_put_right_and_shown(fines: Fines) -> None:
    assert fines.ask("D-A8 123")["errors"][0]["code"] == "PLATE_FORMAT"  # type: ignore[index]
    assert fines.ask("D-AB I23")["plate"] == "D-AB 123"


def test_nothing_is_kept(fines: Fines, application: Application, caplog: pytest.LogCaptureFixture) -> None:
    content = permit(application)
    plate = plate_of(content)
    fines.ask("D-ZZ 9999")
    counts = [select(func.count()).select_from(table) for table in (AuditEntryRow, IdempotencyRow, PassRow)]
    with reading(application.engine) as session:
        before = [session.scalar(one) for one in counts]
    with caplog.at_level(logging.DEBUG):
        # The test's own client logs what it asks for; the service must not.
        logging.getLogger("httpx").setLevel(logging.ERROR)
        for text in (plate.canonical, "CEE1234", "D-XX 1234567", "D-ZZ 9999"):
            fines.http.get(PATH, params={"plate": text, "zone": "QQ"}, headers=fines.headers)
            fines.http.post(
                PATH, json={"plate": text, "x": 1}, headers={**fines.headers, "Idempotency-Key": "a"}
            )
            fines.http.post(PATH, json={"plate": text}, headers={**fines.headers, "Idempotency-Key": "b"})
    with reading(application.engine) as session:
        assert [session.scalar(one) for one in counts] == before
    for text in (plate.canonical, plate.key, "CEE1234", "1234567", "9999"):
        assert text not in caplog.text


def test_permits_of_the_neighbour_are_no_permits_here(
    application: Application, neighbour: Application, serve: Callable[..., Http]
) -> None:
    content = permit(application)
    step(neighbour, "revoke", permit(neighbour))
    next_door = Fines(serve(neighbour), bearer(new_client(neighbour).secret))
    here = Fines(serve(application), bearer(new_client(application).secret))
    assert here.says(plate_of(content).canonical) == (True, "VALID")
    assert next_door.says(plate_of(content).canonical) == (False, "REVOKED")
