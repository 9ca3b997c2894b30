"""Codes from letters: read as people write them, few tries, one answer for everything that does not fit."""

from __future__ import annotations

import pytest
from httpx import Response
from sqlalchemy import select

from issuer.application import Application
from issuer.models_access import LetterCodeRow
from issuer.pickup.codes import ALPHABET, create_letter_code, grouped, read_code
from tests.issuer.pickup.browser import browser, last_day
from tests.service import PERMIT, City, running_numbers

WRONG_DAY = {"day": "1", "month": "1", "year": "2031"}


def new_code(application: Application, number: str) -> str:
    with application.writing() as session:
        return create_letter_code(session, application, PERMIT, number)


def told(answer: Response, code: str) -> tuple[int, str]:
    """What a page says, without the code that somebody has typed."""
    return answer.status_code, answer.text.replace(code, "").replace(grouped(read_code(code) or code), "")


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("ABCDEFGHJKMN", "ABCDEFGHJKMN"),
        ("abcd-efgh-jkmn", "ABCDEFGHJKMN"),
        (" ABCD EFGH\u00a0JKMN ", "ABCDEFGHJKMN"),
        ("abcd–efgh—jkmn", "ABCDEFGHJKMN"),
        ("OoIiLl000111", "001111000111"),
        ("ABCDEFGHJKM", ""),
        ("ABCDEFGHJKMNP", ""),
        ("ABCDEFGHJKMU", ""),
        ("ABCDEFGHJKMÄ", ""),
        ("", ""),
        ("-" * 41, ""),
        ("A" * 100_000, ""),
    ],
)
def test_reading(typed: str, read: str) -> None:
    assert read_code(typed) == read


def test_the_alphabet_has_nothing_that_looks_alike() -> None:
    assert len(ALPHABET) == 32
    assert not set("ILOU") & set(ALPHABET)
    assert grouped("ABCDEFGHJKMN") == "ABCD-EFGH-JKMN"


def test_code_and_last_day_open_the_pass_once(application: Application) -> None:
    number = running_numbers(application)[0]
    code = new_code(application, number)
    fields = {"code": grouped(code).lower(), **last_day(application, number)}
    with browser(application) as client, browser(application) as later:
        assert client.post("/p/code", data=fields).headers["location"] == "/p/pass"
        assert number in client.get("/p/pass").text
        assert later.post("/p/code", data=fields).status_code == 422


def test_five_wrong_days_use_a_code_up(application: Application) -> None:
    number = running_numbers(application)[0]
    code = new_code(application, number)
    with browser(application) as client:
        for _ in range(5):
            assert client.post("/p/code", data={"code": code, **WRONG_DAY}).status_code == 422
        right = client.post("/p/code", data={"code": code, **last_day(application, number)})
        assert right.status_code == 422


def test_four_wrong_days_do_not(application: Application) -> None:
    number = running_numbers(application)[0]
    code = new_code(application, number)
    with browser(application) as client:
        for _ in range(4):
            client.post("/p/code", data={"code": code, **WRONG_DAY})
        right = client.post("/p/code", data={"code": code, **last_day(application, number)})
        assert right.status_code == 303


def test_one_answer_for_all_that_does_not_fit(city: City, application: Application) -> None:
    first, second, third = running_numbers(application)[:3]
    used, wrong, old = (new_code(application, one) for one in (first, second, third))
    with browser(application) as client:
        assert client.post("/p/code", data={"code": used, **last_day(application, first)}).status_code == 303
    with browser(application) as client:
        days = last_day(application, second)
        answers = {
            told(client.post("/p/code", data={"code": one, **days}), one)
            for one in (used, "ZZZZZZZZZZZZ", new_code(application, first))
        }
        assert len(answers) == 1
        assert told(client.post("/p/code", data={"code": wrong, **WRONG_DAY}), wrong)[0] == 422
        city.clock.forward(days=30)
        late = client.post("/p/code", data={"code": old, **last_day(application, third)})
        assert late.status_code == 422


def test_a_code_holds_for_thirty_days(city: City, application: Application) -> None:
    number = running_numbers(application)[-1]
    code = new_code(application, number)
    city.clock.forward(days=29, hours=23)
    with browser(application) as client:
        answer = client.post("/p/code", data={"code": code, **last_day(application, number)})
        assert answer.status_code == 303


def test_a_new_letter_ends_the_code_before(application: Application) -> None:
    number = running_numbers(application)[0]
    before, now = new_code(application, number), new_code(application, number)
    with browser(application) as client:
        days = last_day(application, number)
        assert client.post("/p/code", data={"code": before, **days}).status_code == 422
        assert client.post("/p/code", data={"code": now, **days}).status_code == 303


def test_guessing_has_an_end(city: City, application: Application) -> None:
    number = running_numbers(application)[0]
    code = new_code(application, number)
    right = {"code": code, **last_day(application, number)}
    with browser(application) as client:
        found = [
            client.post("/p/code", data={"code": "ABCDEFGHJKMN", **WRONG_DAY}).status_code for _ in range(11)
        ]
        assert found == [422] * 10 + [429]
        late = client.post("/p/code", data=right)
        assert (late.status_code, late.headers["retry-after"]) == (429, "60")
        city.clock.forward(minutes=1)
        assert client.post("/p/code", data=right).status_code == 303


def test_what_cannot_be_a_code_costs_nothing(application: Application) -> None:
    with browser(application) as client:
        for _ in range(15):
            answer = client.post("/p/code", data={"code": "ABC", "day": "", "month": "", "year": ""})
            assert answer.status_code == 422
            assert 'href="#code"' in answer.text
            assert 'href="#day"' in answer.text


def test_what_was_misread_is_shown_as_it_was_read(application: Application) -> None:
    with browser(application) as client:
        answer = client.post("/p/code", data={"code": "oilo-2222-3333", "day": "x"})
    assert 'value="0110-2222-3333"' in answer.text


def test_the_neighbours_code_opens_nothing_here(application: Application, neighbour: Application) -> None:
    number = running_numbers(neighbour)[0]
    fields = {"code": new_code(neighbour, number), **last_day(neighbour, number)}
    with browser(application) as client, browser(neighbour) as other:
        assert client.post("/p/code", data=fields).status_code == 422
        assert other.post("/p/code", data=fields).status_code == 303


def test_codes_are_not_stored(application: Application) -> None:
    code = new_code(application, running_numbers(application)[0])
    with application.reading() as session:
        rows = session.scalars(select(LetterCodeRow)).all()
        stored = [str(getattr(row, one.name)) for row in rows for one in LetterCodeRow.__table__.columns]
    assert stored
    assert not any(code in one or grouped(code) in one for one in stored)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"code=a&code=b&day=1&day=2",
        b"code[]=x&day=%00&month=%ff&year=99999999",
        b"code=ABCDEFGHJKMN&day=31&month=2&year=2027",
        b"code=ABCDEFGHJKMN&day=\xc2\xb2&month=1&year=2027",
        b"code=ABCDEFGHJKMN&day=-1&month=1&year=2027",
        b"code=<script>alert(1)</script>&day=1&month=1&year=2027",
        b"&" * 4000,
    ],
)
def test_hostile_forms(application: Application, body: bytes) -> None:
    with browser(application) as client:
        answer = client.post(
            "/p/code", content=body, headers={"content-type": "application/x-www-form-urlencoded"}
        )
        assert answer.status_code in (400, 422)
        assert answer.headers["content-type"].startswith("text/html")
        assert "<script>alert" not in answer.text
        large = client.post("/p/code", data={"code": "x" * 10_000})
        assert large.status_code == 413


def test_other_kinds_of_bodies(application: Application) -> None:
    with browser(application) as client:
        assert client.post("/p/code", json={"code": "x"}).status_code in (400, 415, 422)
        assert client.post("/p/code", files={"code": b"x"}).status_code in (400, 415, 422)
        assert client.put("/p/code").status_code == 405
