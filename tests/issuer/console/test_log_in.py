"""The way into the console: link, password, code; and everything that does not get anybody in."""

from __future__ import annotations

import re

import pytest

from issuer import audit
from issuer.application import Application
from issuer.configuration import StaffConfig
from issuer.staff import passwords
from issuer.staff.accounts import lock
from issuer.staff.permissions import Role
from issuer.workspace import CONFIG
from tests.issuer.console.people import PASSWORD, SESSION, form_token, hire, new_client, settle
from tests.service import City

CLERK = "erika.muster@musterstadt.example"


def test_from_the_link_to_the_start_page(city: City, application: Application) -> None:
    erika = hire(application, city.clock, CLERK, Role.CLERK)
    page = erika.client.get(erika.link)
    assert page.status_code == 200
    assert CLERK in page.text
    # Looking uses nothing up.
    assert erika.client.get(erika.link).status_code == 200
    erika.accept()
    start = erika.client.get("/office")
    assert "Guten Tag, Erika.Muster" in start.text
    assert "/office/passes" in start.text
    assert "/office/accounts" not in start.text
    assert erika.row().state == "active"
    # The link is used up, whoever has it.
    assert new_client(application).get(erika.link).status_code == 410
    with application.reading() as session:
        entries = audit.history(session, application.tenant, f"staff/{erika.account_id}")
    assert [one.action for one in entries] == ["invite-staff", "set-staff-password", "set-staff-factor"]
    assert {one.actor for one in entries[1:]} == {f"staff:{erika.account_id}"}
    assert "Erika" not in str(entries)
    assert "erika" not in str(entries)


def test_a_link_ends_after_a_day(city: City, application: Application) -> None:
    erika = hire(application, city.clock, CLERK, Role.CLERK)
    city.clock.forward(hours=24)
    assert erika.client.get(erika.link).status_code == 410
    answer = erika.client.post(erika.link, data={"new": PASSWORD, "again": PASSWORD})
    assert answer.status_code == 410
    assert erika.row().password_hash is None


def test_a_first_visit_that_was_broken_off_goes_on_with_the_password(
    city: City, application: Application
) -> None:
    erika = hire(application, city.clock, CLERK, Role.CLERK)
    assert erika.client.post(erika.link, data={"new": PASSWORD, "again": PASSWORD}).status_code == 303
    erika.client.cookies.clear()
    answer = erika.give_password()
    assert answer.headers["location"] == "/office/factor"
    assert erika.client.get("/office").headers["location"] == "/office/factor"


@pytest.mark.parametrize(
    ("new", "again", "said"),
    [
        ("kurz", "kurz", "zu kurz"),
        ("x" * 129, "x" * 129, "zu lang"),
        ("passwort1234", "passwort1234", "eines der ersten"),
        ("erika.muster@musterstadt", "erika.muster@musterstadt", "aus Ihrem Namen"),
        (PASSWORD, PASSWORD + "x", "verschieden"),
        ("", "", "neues Passwort ein"),
    ],
)
def test_first_passwords_that_are_refused_leave_the_link(
    city: City, application: Application, new: str, again: str, said: str
) -> None:
    erika = hire(application, city.clock, CLERK, Role.CLERK)
    answer = erika.client.post(erika.link, data={"new": new, "again": again})
    assert answer.status_code == 422
    assert said in answer.text
    assert not new or f'value="{new}"' not in answer.text
    erika.accept()


def test_log_in_and_out(city: City, application: Application) -> None:
    erika = settle(application, city.clock, CLERK, Role.CLERK)
    answer = erika.send("/office/logout")
    assert answer.headers["location"] == "/office/login?said=out"
    assert not erika.is_in()
    erika.login = CLERK.upper()
    erika.log_in()
    assert erika.is_in()
    assert erika.client.get("/office/login").headers["location"] == "/office"


def test_the_cookie_changes_at_every_step(city: City, application: Application) -> None:
    """A cookie that somebody has planted, or has read before the code was given, opens nothing (fixation)."""
    erika = settle(application, city.clock, CLERK, Role.CLERK)
    erika.send("/office/logout")
    erika.client.cookies.set(SESSION, "A" * 22, domain="stadtpass.example")
    erika.give_password()
    half = erika.cookie
    assert half not in (None, "A" * 22)
    assert erika.client.get("/office").headers["location"] == "/office/login/code"
    erika.give_code()
    whole = erika.cookie
    assert whole not in (None, half)
    assert erika.is_in()
    thief = new_client(application)
    for known in ("A" * 22, half):
        assert known is not None
        thief.cookies.set(SESSION, known, domain="stadtpass.example")
        assert thief.get("/office").headers["location"].startswith("/office/login")


def test_the_cookies_are_as_closed_as_can_be(city: City, application: Application) -> None:
    erika = settle(application, city.clock, CLERK, Role.CLERK)
    erika.send("/office/logout")
    said = erika.give_password().headers.get_list("set-cookie")
    said += erika.give_code().headers.get_list("set-cookie")
    assert len(said) == 3
    for one in said:
        assert one.startswith(("__Host-staff=", "__Host-staff-known="))
        assert {"httponly", "secure", "samesite=strict", "path=/"} <= {
            part.strip().lower() for part in one.split(";")
        }
        assert "domain" not in one.lower()


def test_a_code_counts_once_and_not_for_long(city: City, application: Application) -> None:
    erika = settle(application, city.clock, CLERK, Role.CLERK)
    other = new_client(application)
    erika.send("/office/logout")
    erika.give_password()
    code = erika.code()
    assert erika.give_code(code).status_code == 303
    erika.client, first = other, erika.client
    erika.give_password()
    answer = erika.give_code(code)
    assert answer.status_code == 422
    assert "schon benutzt" in answer.text
    for wrong in (erika.code(-2), erika.code(2), "000000", "12345", "abcdef", "", "١٢٣٤٥٦"):
        assert erika.give_code(wrong).status_code in (422, 429)
    city.clock.forward(minutes=9)
    assert erika.give_code(erika.code(1)).status_code == 303
    assert first.get("/office").status_code == 200


def test_the_way_to_the_code_is_short(city: City, application: Application) -> None:
    erika = settle(application, city.clock, CLERK, Role.CLERK)
    erika.send("/office/logout")
    erika.give_password()
    city.clock.forward(minutes=10)
    assert erika.client.get("/office/login/code").headers["location"] == "/office/login"


def test_sessions_end_by_idling_and_by_the_day(city: City, application: Application) -> None:
    erika = settle(application, city.clock, CLERK, Role.CLERK)
    assert erika.is_in()
    for _ in range(3):
        city.clock.forward(minutes=29)
        assert erika.is_in()
    city.clock.forward(minutes=30)
    assert not erika.is_in()
    erika.log_in()
    for _ in range(int(StaffConfig().session_hours * 60 / 20) - 1):
        city.clock.forward(minutes=20)
        assert erika.is_in()
    city.clock.forward(minutes=20)
    assert not erika.is_in()


def test_who_is_not_there_gets_the_same_answer(city: City, application: Application) -> None:
    erika = settle(application, city.clock, CLERK, Role.CLERK)
    locked = settle(application, city.clock, "weg", Role.CLERK)
    with application.writing() as session:
        lock(session, application, locked.account_id, actor="test")
    invited = hire(application, city.clock, "neu", Role.CLERK)
    answers = set()
    for login, password in (
        (CLERK, "falsch falsch falsch"),
        ("niemand@musterstadt.example", PASSWORD),
        (locked.login, PASSWORD),
        (invited.login, PASSWORD),
        ("<b>x</b>", PASSWORD),
        ("x" * 99, PASSWORD),
    ):
        answer = new_client(application).post("/office/login", data={"login": login, "password": password})
        assert answer.status_code == 422
        answers.add(re.sub(r'value="[^"]*"', "", answer.text))
    assert len(answers) == 1
    assert erika.is_in()


def test_a_password_is_hashed_for_nobody_as_well(
    city: City, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Comparable time, without a clock: as many hashes are computed for those who are not there."""
    settle(application, city.clock, CLERK, Role.CLERK)
    counted = []
    verify = passwords._HASHER.verify

    class Counting:
        def verify(self, stored: str, password: str) -> bool:
            counted.append(stored)
            return verify(stored, password)

        def hash(self, password: str) -> str:
            return "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$" + "A" * 6

    monkeypatch.setattr(passwords, "_HASHER", Counting())
    for login in (CLERK, "niemand"):
        counted.clear()
        new_client(application).post("/office/login", data={"login": login, "password": "falsch falsch"})
        assert len(counted) == 1, login


def test_guessing_slows_down_and_locks_nobody_out(city: City) -> None:
    config = city.folder / CONFIG
    # What one process counts by address would be in the way of a day's guesses within seconds.
    config.write_text(config.read_text() + "\n[service]\nrequests_per_minute = 0\n")
    application = city.open()
    erika = settle(application, city.clock, CLERK, Role.CLERK)
    erika.send("/office/logout")
    thief = new_client(application)

    def guess() -> int:
        form = {"login": CLERK, "password": "geraten geraten"}
        return int(thief.post("/office/login", data=form).status_code)

    assert [guess() for _ in range(6)] == [422] * 5 + [429]
    # Right or wrong, nobody learns it while they have to wait.
    waiting = thief.post("/office/login", data={"login": CLERK, "password": PASSWORD})
    assert waiting.status_code == 429
    # The owner's browser is known, and has tries of its own.
    assert erika.give_password().status_code == 303
    answer = erika.give_code()
    assert answer.headers["location"] == "/office?failed=5"
    assert "Fehlversuche vor dieser Anmeldung: 5" in erika.client.get(answer.headers["location"]).text
    # In the long run four an hour, whatever the patience: at first there are thirty to use up.
    for hours, minutes, fewest, most in ((4, 1, 20, 46), (20, 5, 70, 84)):
        tried = 0
        for _ in range(hours * 60 // minutes):
            city.clock.forward(minutes=minutes)
            tried += guess() == 422
        assert fewest <= tried <= most, (minutes, tried)
    # A browser that nobody knows waits, but gets in.
    city.clock.forward(hours=1)
    fresh = new_client(application)
    assert fresh.post("/office/login", data={"login": CLERK, "password": PASSWORD}).status_code == 303


def test_the_mark_of_a_browser_is_one_persons_and_no_key(city: City, application: Application) -> None:
    erika = settle(application, city.clock, CLERK, Role.CLERK)
    mark = erika.client.cookies.get("__Host-staff-known")
    assert mark is not None
    other = hire(application, city.clock, "max", Role.CLERK)
    other.client.cookies.set("__Host-staff-known", mark, domain="stadtpass.example")
    for login in ("max", "max", "max", "max", "max"):
        form = {"login": login, "password": "geraten geraten"}
        assert other.client.post("/office/login", data=form).status_code == 422
    assert other.client.post("/office/login", data={"login": "max", "password": "x y z"}).status_code == 429


def test_codes_cannot_be_guessed_either(city: City, application: Application) -> None:
    erika = settle(application, city.clock, CLERK, Role.CLERK)
    erika.send("/office/logout")
    erika.client.cookies.clear()
    erika.give_password()
    wrong = "000000" if erika.code() != "000000" else "111111"
    assert [erika.give_code(wrong).status_code for _ in range(6)] == [422] * 5 + [429]
    assert erika.give_code().status_code == 429


def test_a_flood_from_one_address_is_slowed_whatever_the_names(city: City, application: Application) -> None:
    config = city.folder / CONFIG
    config.write_text(config.read_text() + "\n[service]\nrequests_per_minute = 0\n")
    thief = new_client(city.open())
    found = [
        thief.post("/office/login", data={"login": f"name{n}", "password": "geraten geraten"}).status_code
        for n in range(45)
    ]
    assert found.count(422) == 40
    assert found[-1] == 429


def test_forms_from_elsewhere_do_nothing(city: City, application: Application) -> None:
    erika = settle(application, city.clock, CLERK, Role.CLERK)
    token = form_token(erika.client.get("/office/account"))
    new = {"old": PASSWORD, "new": "ganz anderes Passwort", "again": "ganz anderes Passwort"}
    before = erika.row().password_hash
    other = settle(application, city.clock, "max", Role.CLERK)
    foreign = form_token(other.client.get("/office/account"))
    for data, headers in (
        (new, {}),
        ({**new, "form_token": ""}, {}),
        ({**new, "form_token": "0" * 32}, {}),
        ({**new, "form_token": foreign}, {}),
        ({**new, "form_token": token}, {"sec-fetch-site": "cross-site"}),
        ({**new, "form_token": token}, {"sec-fetch-site": "same-site"}),
        ({**new, "form_token": token}, {"origin": "https://evil.example"}),
    ):
        answer = erika.client.post("/office/account/password", data=data, headers=headers)
        assert answer.status_code == 403, (data, headers)
    assert erika.row().password_hash == before
    for path in ("/office/login", erika.link):
        answer = new_client(application).post(
            path, data={"login": CLERK, "password": PASSWORD}, headers={"origin": "https://evil.example"}
        )
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


def test_after_logging_in_people_are_where_they_wanted_to_go(city: City, application: Application) -> None:
    erika = settle(application, city.clock, CLERK, Role.CLERK)
    erika.send("/office/logout")
    answer = erika.client.get("/office/passes?q=Mustermann")
    assert answer.headers["location"] == "/office/login?next=%2Foffice%2Fpasses"
    answer = erika.client.post(
        "/office/login", data={"login": CLERK, "password": PASSWORD, "next": "/office/passes"}
    )
    assert answer.headers["location"] == "/office/login/code?next=%2Foffice%2Fpasses"
    page = erika.client.get(answer.headers["location"])
    data = {"form_token": form_token(page), "code": erika.code(), "next": "/office/passes"}
    assert erika.client.post("/office/login/code", data=data).headers["location"] == "/office/passes"
    for evil in ("https://evil.example", "//evil.example", "/office/../p", "/officeevil", "/office\n/x"):
        page = new_client(application).get("/office/login", params={"next": evil})
        assert 'name="next" value="/office"' in page.text, evil


def test_a_part_of_a_page_sends_the_whole_page_to_the_log_in(application: Application) -> None:
    answer = new_client(application).get("/office/passes?q=xx", headers={"hx-request": "true"})
    assert (answer.status_code, answer.headers["hx-redirect"]) == (403, "/office/login")


def test_a_hash_of_yesterday_is_renewed(
    city: City, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    from argon2 import PasswordHasher

    erika = settle(application, city.clock, CLERK, Role.CLERK)
    erika.send("/office/logout")
    before = erika.row().password_hash
    monkeypatch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    erika.log_in()
    after = erika.row().password_hash
    assert after != before
    assert "m=16,t=2,p=1" in after
    erika.send("/office/logout")
    erika.log_in()
    assert erika.row().password_hash == after


def test_only_administrators_have_passwords_where_the_city_says_so(city: City) -> None:
    config = city.folder / CONFIG
    config.write_text(
        config.read_text()
        + '\n[staff]\nlocal_accounts = "admins"\n[oidc]\nissuer = "https://login.example"\nclient_id = "x"\n'
    )
    application = city.open()
    erika = settle(application, city.clock, CLERK, Role.CLERK)
    chief = settle(application, city.clock, "chief", Role.ADMIN)
    for one in (erika, chief):
        one.send("/office/logout")
    answer = erika.give_password()
    assert answer.status_code == 422
    assert "mit dem Konto der Stadt" in answer.text
    chief.log_in()
    assert chief.is_in()


def test_the_neighbouring_city_knows_nobody(
    city: City, application: Application, neighbour: Application
) -> None:
    erika = settle(application, city.clock, CLERK, Role.CLERK)
    there = new_client(neighbour)
    assert erika.cookie is not None
    there.cookies.set(SESSION, erika.cookie, domain="stadtpass.example")
    assert there.get("/office").headers["location"] == "/office/login"
    assert there.post("/office/login", data={"login": CLERK, "password": PASSWORD}).status_code == 422
    invited = hire(application, city.clock, "neu", Role.CLERK)
    assert there.get(invited.link).status_code == 410
    # The same name may be somebody else's there.
    settle(neighbour, city.clock, CLERK, Role.CLERK)
