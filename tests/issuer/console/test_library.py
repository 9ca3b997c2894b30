"""The librarian's pages: new cards, search, blocks, new numbers, families, renewals; and who sees them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from dataclasses import replace as replaced
from datetime import date, timedelta

import pytest
from httpx import Response
from litestar import Litestar
from msgspec.structs import replace
from sqlalchemy import select

from issuer import audit, lifecycle
from issuer.application import Application
from issuer.audit import AuditEvent
from issuer.console.library import member, new_card
from issuer.errors import IssuerRefusal
from issuer.library.sources import Patron, PatronStanding, PatronUnknown, SourceUnavailable
from issuer.lifecycle import Actor
from issuer.models import AuditEntryRow, PassRow, RevisionRow
from issuer.models_access import PickupLinkRow
from issuer.models_library import MemberRow, MembershipFeeRow
from issuer.models_payments import PaymentRow
from issuer.pickup.standing import held_pass
from issuer.register import load_contents, subject
from issuer.settings import load_settings, save_settings
from issuer.staff.permissions import Role
from passes.card_numbers import SCHEMES, CardNumber, CheckScheme, Symbology
from passes.display import day_text
from passes.status_list import Status
from tests.issuer.console.people import Colleague, settle
from tests.service import CARD, PERMIT, City, running_numbers
from tests.web_app import create_app

NEW = "/office/library/new"
# 14 digits with the check digit of Luhn.
FIRST, SECOND, THIRD = "24711300099995", "24711300099987", "24711300099979"
GROWN_UP = {"given_name": "Jürgen", "family_name": "Müller", "birth": (1, 5, 1980)}
# Eleven years old on the day of the tests.
CHILD = {"given_name": "Mia", "family_name": "Müller", "birth": (3, 5, 2015)}


@dataclass
class Library:
    """A service, its desk, and what happens there."""

    city: City
    application: Application
    app: Litestar
    who: Colleague

    def send(self, path: str, **fields: str) -> Response:
        if "/steps/" in path and "version" not in fields:
            fields["version"] = self.version(path)
        return self.who.send(path, **fields)

    def version(self, path: str) -> str:
        """The state of the card that the page of a step was made of."""
        found = re.search(r'name="version" value="([0-9a-f]*)"', self.get(path).text)
        return found[1] if found is not None else ""

    def get(self, path: str, **query: str) -> Response:
        return self.who.client.get(path, params=query or None)

    def answers(self, card: str, **person: object) -> dict[str, str]:
        """What the form of the last step brings along."""
        born = person.pop("birth", ("", "", ""))
        day, month, year = born if isinstance(born, tuple) else ("", "", "")
        return {
            "type_id": CARD, "card_number": card, "kind": "person", "language": "de",
            "birth_day": str(day), "birth_month": str(month), "birth_year": str(year),
            **{name: str(value) for name, value in person.items()},
        }  # fmt: skip

    def issued(self, card: str, category: str, **person: object) -> str:
        """Issue a card; the member's number."""
        answer = self.send(NEW, **self.answers(card, **person), category=category)
        assert answer.status_code == 200, answer.text
        assert "ist ausgestellt" in answer.text, answer.text
        return self.row(card).number

    def row(self, card: str) -> PassRow:
        with self.application.reading() as session:
            return session.scalars(
                select(PassRow).where(
                    PassRow.tenant == self.application.tenant,
                    PassRow.type_id == CARD,
                    PassRow.card_key == card,
                )
            ).one()

    def member(self, number: str) -> MemberRow:
        with self.application.reading() as session:
            return session.get_one(MemberRow, (self.application.tenant, CARD, number))

    def seals(self, number: str) -> list[Status]:
        with self.application.reading() as session:
            rows = session.scalars(
                select(RevisionRow.status_value)
                .where(RevisionRow.tenant == self.application.tenant, RevisionRow.number == number)
                .order_by(RevisionRow.n)
            )
            return [Status(one) for one in rows]

    def trail(self, number: str) -> list[audit.AuditEntry]:
        with self.application.reading() as session:
            return list(audit.history(session, self.application.tenant, subject(CARD, number)))

    def card(self, number: str) -> CardNumber:
        pass_type = self.application.pass_types[CARD]
        with self.application.reading() as session:
            (content,) = load_contents(session, self.application.tenant, pass_type, [number])
        (card,) = (one for one in content.attributes.values() if isinstance(one, CardNumber))
        return card

    def path(self, number: str) -> str:
        return f"/office/library/members/{CARD}/{number}"


@pytest.fixture
def library(city: City, application: Application) -> Library:
    app = create_app(application)
    with application.writing() as session:
        key = {"tenant": application.tenant, "type_id": CARD, "category": "adult"}
        session.add(MembershipFeeRow(**key, valid_from=date(2026, 1, 1), fee_cents=2000))
    return Library(city, application, app, settle(application, city.clock, "lea", Role.LIBRARIAN, app=app))


def name_schemes(library: Library, *schemes: str) -> None:
    """Name the schemes by which the library numbers."""
    with library.application.writing() as session:
        tenant = library.application.tenant
        settings = replace(load_settings(session, tenant), library_card_schemes=schemes)
        save_settings(session, tenant, settings)


def test_a_grown_up_gets_a_card_and_a_code_for_the_phone(library: Library) -> None:
    # A hand scanner with Codabar's start and stop characters.
    page = library.send(NEW + "/card", type_id=CARD, card_number=f"A{FIRST}B", symbology="CODABAR")
    assert page.status_code == 200
    assert f">{FIRST}<" in page.text
    # The next steps have the same proof that the number was read whole.
    assert f'name="card_number" value="A{FIRST}B"' in page.text
    answers = library.answers(FIRST, **GROWN_UP)
    page = library.send(NEW + "/person", **answers)
    assert page.status_code == 200, page.text
    assert re.search(r'value="adult" checked', page.text)
    assert "20,00" in page.text
    assert "Elternteil" not in page.text
    page = library.send(NEW, **answers, category="adult")
    assert "Bitte kassieren Sie 20,00" in page.text
    (link,) = set(re.findall(r"https://stadtpass.example(/p/l/[\w-]{22})", page.text))
    assert "data:image/png;base64," in page.text
    visitor = library.who.client.__class__(library.app, base_url="https://stadtpass.example")
    visitor.follow_redirects = False
    assert visitor.post(link).status_code == 303
    assert visitor.post(link).status_code == 410
    number = library.row(FIRST).number
    # The birth date of an adult decides nothing any more.
    assert library.member(number).birth_date is None
    assert library.trail(number)[0].actor == f"staff:{library.who.account_id}"
    with library.application.reading() as session:
        rows = session.scalars(select(PickupLinkRow).where(PickupLinkRow.number == number)).all()
    assert [one.channel for one in rows] == ["screen"]
    printed = library.get(library.path(number) + "/print.pdf")
    assert printed.headers["content-type"] == "application/pdf"


def test_a_child_needs_a_parent_who_consents(library: Library) -> None:
    answers = library.answers(FIRST, **CHILD)
    page = library.send(NEW + "/person", **answers)
    assert re.search(r'value="child" checked', page.text)
    assert "Unter 16 Jahren" in page.text
    for given in ({}, {"consent": "yes"}, {"consent_name": "Jürgen Müller"}):
        refused = library.send(NEW, **answers, category="child", **given)
        assert refused.status_code == 422, given
        assert "ist ausgestellt" not in refused.text
    assert (
        "Ohne Einwilligung eines Elternteils bekommt ein Kind unter 16 Jahren keinen Ausweis" in refused.text
    )
    page = library.send(NEW, **answers, category="child", consent="yes", consent_name="Jürgen Müller")
    assert page.status_code == 200, page.text
    assert "Es ist nichts zu bezahlen" in page.text
    member = library.member(library.row(FIRST).number)
    assert (member.birth_date, member.consent_name) == (date(2015, 5, 3), "Jürgen Müller")
    shown = library.get(library.path(member.number)).text
    assert "von Jürgen Müller, vermerkt am" in shown


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"family_name": ""}, "Diese Angabe fehlt"),
        ({"given_name": ""}, "Bei einer Person gehört der Vorname dazu"),
        ({"birth_day": "31", "birth_month": "2"}, "Geben Sie das Geburtsdatum"),
        ({"birth_year": "2027"}, "Geben Sie das Geburtsdatum"),
        ({"birth_day": "", "birth_month": "", "birth_year": ""}, "Ohne Geburtsdatum"),
        ({"kind": "institution"}, "Eine Einrichtung hat kein Geburtsdatum"),
        ({"email": "keine"}, "E-Mail"),
        ({"family_name": "Mül\u200bler"}, ""),
    ],
)
def test_what_cannot_be_is_said_in_place(library: Library, change: dict[str, str], said: str) -> None:
    page = library.send(NEW + "/person", **(library.answers(FIRST, **GROWN_UP) | change))
    assert page.status_code == 422
    assert said in page.text
    assert "2 von 3" in page.text


@pytest.mark.parametrize("card", ["", "SP1:ABC", "*24711", "x" * 90, "überall"])
def test_what_is_no_card_number_is_refused(library: Library, card: str) -> None:
    page = library.send(NEW + "/card", type_id=CARD, card_number=card)
    assert page.status_code == 422
    assert "1 von 3" in page.text


def test_a_wrong_check_digit_is_told_where_the_library_names_its_schemes(library: Library) -> None:
    name_schemes(library, "codabar14", "mod11")
    wrong = FIRST[:-1] + str((int(FIRST[-1]) + 1) % 10)
    page = library.send(NEW + "/card", type_id=CARD, card_number=wrong)
    assert page.status_code == 422
    assert "Prüfziffer" in page.text
    # What was read with start and stop characters is what the card says, whatever its digit.
    for read in (FIRST, f"A{wrong}B"):
        assert library.send(NEW + "/card", type_id=CARD, card_number=read).status_code == 200, read


def test_a_number_that_somebody_has_or_had_is_refused(library: Library) -> None:
    number = library.issued(FIRST, "adult", **GROWN_UP)
    assert library.send(NEW + "/card", type_id=CARD, card_number=FIRST).status_code == 422
    moved = library.send(library.path(number) + "/steps/number", card_number=SECOND)
    assert moved.headers["location"].endswith("done=replaced")
    for taken in (FIRST, SECOND):
        assert library.send(NEW + "/card", type_id=CARD, card_number=taken).status_code == 422


def test_the_scanner_finds_the_member_at_once(library: Library) -> None:
    number = library.issued(FIRST, "adult", **GROWN_UP)
    for scanned in (FIRST, f"A{FIRST}B", f" {FIRST}\r"):
        found = library.get("/office/library", q=scanned)
        assert (found.status_code, found.headers["location"]) == (303, library.path(number)), scanned
    for typed in ("Mueller", "müller jürgen", number, number[:8].lower(), FIRST[:6]):
        found = library.get("/office/library", q=typed)
        assert found.status_code == 200
        assert library.path(number) in found.text, typed
    for nothing in ("SP1:6BFOXN", "24799999999999", "Niemand"):
        assert "/office/library/members/" not in library.get("/office/library", q=nothing).text
    part = library.who.client.get("/office/library", params={"q": FIRST}, headers={"hx-request": "true"})
    assert part.status_code == 200
    assert "<html" not in part.text
    # No permit, by name or by number.
    permit = running_numbers(library.application)[0]
    assert permit not in library.get("/office/library", q=permit).text.replace(f'value="{permit}"', "")
    assert library.get(f"/office/library/members/{PERMIT}/{permit}").status_code == 404


def test_blocked_and_unblocked_each_with_a_way_back(library: Library) -> None:
    number = library.issued(FIRST, "adult", **GROWN_UP)
    step = library.path(number) + "/steps/"
    assert library.send(step + "block", reason="made up").status_code == 422
    assert library.send(step + "block", reason="lost", fees="3,50").status_code == 422
    assert library.send(step + "block", reason="fees", fees="3.50").status_code == 422
    done = library.send(step + "block", reason="fees", fees="3,50")
    assert done.headers["location"].endswith("done=blocked")
    assert library.seals(number) == [Status.SUSPENDED]
    page = library.get(done.headers["location"])
    for said in ("Gesperrt: Gebühren offen", "Offen: 3,50", "Rückgängig machen", 'value="mistake"'):
        assert said in page.text, said
    assert library.send(library.path(number) + "/link").status_code == 409
    assert library.get(library.path(number) + "/print.pdf").status_code == 409
    assert library.send(step + "block", reason="fees").status_code == 409
    lost = library.send(step + "block", reason="lost")
    assert lost.headers["location"].endswith("done=blocked")
    assert "/steps/number" in library.get(lost.headers["location"]).text
    assert 'value="fees"' in library.get(lost.headers["location"]).text
    library.send(step + "block", reason="fees")
    assert library.send(step + "unblock", reason="").status_code == 422
    done = library.send(step + "unblock", reason="paid")
    assert library.seals(number) == [Status.VALID]
    assert done.headers["location"].endswith("?done=unblocked")
    page = library.get(done.headers["location"])
    assert 'name="reason" value="fees"' in page.text
    member = library.member(number)
    assert (member.block_reason, member.blocked_at, member.open_fees_cents) == (None, None, 0)
    # The reason stands in the trail with who it was, and on no page of the holder's.
    assert [one.action for one in library.trail(number)][-2:] == ["suspend", "resume"]
    assert all(one.actor.startswith("staff:") for one in library.trail(number)[-2:])
    said = [one.reason for one in library.trail(number)[-2:]]
    assert said == ["Gesperrt durch die Bibliothek", "Sperre aufgehoben"]


def test_two_librarians_do_not_overwrite_each_other(library: Library) -> None:
    number = library.issued(FIRST, "adult", **GROWN_UP)
    step = library.path(number) + "/steps/number"
    seen = library.version(step)
    assert library.send(step, card_number=SECOND, version=seen).status_code == 303
    late = library.send(step, card_number=THIRD, version=seen)
    assert late.status_code == 409
    assert "Jemand hat diesen Ausweis inzwischen geändert" in late.text
    # The page as it is now, from which the step can be taken.
    assert SECOND in late.text
    assert library.row(SECOND).number == number
    again = re.search(r'name="version" value="([0-9a-f]+)"', late.text)
    assert again is not None
    assert library.send(step, card_number=THIRD, version=again[1]).status_code == 303
    assert library.send(step, card_number=FIRST, version="").status_code == 409


def test_a_new_number_is_pushed_and_the_old_one_never_holds_again(library: Library) -> None:
    number = library.issued(FIRST, "adult", **GROWN_UP)
    page = library.get(library.path(number) + "/steps/number")
    assert re.search(rf"<del[^>]*>{FIRST}</del>", page.text)
    assert "gilt danach nie wieder" in page.text
    step = library.path(number) + "/steps/number"
    assert library.send(step, card_number=FIRST).status_code == 409
    assert library.send(step, card_number="").status_code == 422
    assert library.send(step, card_number=f"*{SECOND}*").status_code == 303
    assert library.seals(number) == [Status.SUPERSEDED, Status.VALID]
    found = library.get("/office/library", q=FIRST)
    assert found.headers["location"].startswith(library.path(number))
    shown = library.get(found.headers["location"]).text
    assert "Diese Nummer ist ersetzt" in shown
    assert f"<del>{FIRST}</del>" in shown
    # Back to the number of before: never.
    assert library.send(step, card_number=FIRST).status_code == 409
    assert library.row(SECOND).number == number


def test_a_new_number_is_numbered_as_the_one_before(library: Library) -> None:
    """A card's scheme goes with it, and its check digit must hold, also where the library names no schemes now."""
    name_schemes(library, "codabar14")
    number = library.issued(FIRST, "adult", **GROWN_UP, symbology="CODABAR")
    name_schemes(library)
    step = library.path(number) + "/steps/number"
    wrong = SECOND[:-1] + str((int(SECOND[-1]) + 1) % 10)
    refused = library.send(step, card_number=wrong)
    assert refused.status_code == 409
    assert "Prüfziffer" in refused.text
    assert library.send(step, card_number=SECOND).status_code == 303
    assert library.card(number) == CardNumber(SECOND, "codabar14", Symbology.CODABAR)
    # What was read with start and stop characters is what the card says, whatever its digit.
    assert library.send(step, card_number=f"A{wrong}B").status_code == 303
    assert library.card(number) == CardNumber(wrong, "codabar14", Symbology.CODABAR)


def test_a_city_s_own_scheme_goes_along_with_a_new_number(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = CheckScheme(re.compile("[0-9]{14}"), lambda text: text.endswith(("5", "7")))
    name_schemes(library, "ours")
    kind = vars(library.application.pass_types[CARD])
    monkeypatch.setitem(kind, "card_schemes", {**SCHEMES, "ours": own})
    number = library.issued(FIRST, "adult", **GROWN_UP)
    name_schemes(library)
    step = library.path(number) + "/steps/number"
    assert library.send(step, card_number=THIRD).status_code == 409
    assert library.send(step, card_number=SECOND).status_code == 303
    assert library.card(number) == CardNumber(SECOND, "ours")
    # Gone with its file: no number can be checked by it any more.
    monkeypatch.setitem(kind, "card_schemes", SCHEMES)
    assert library.send(step, card_number=FIRST[:-1] + "7").status_code == 409


def test_a_number_that_does_not_fit_the_barcode_gets_another_one(library: Library) -> None:
    said = "passt nicht zur Art des Strichcodes"
    page = library.send(NEW + "/card", type_id=CARD, card_number="BQD18N009999", symbology="CODABAR")
    assert page.status_code == 422
    assert said in page.text
    assert "keine Ausweisnummer" not in page.text
    number = library.issued(FIRST, "adult", **GROWN_UP, symbology="CODABAR")
    step = library.path(number) + "/steps/number"
    assert re.search(r'<option value="CODABAR" selected', library.get(step).text)
    refused = library.send(step, card_number="BQD18N009999", symbology="CODABAR")
    assert refused.status_code == 409
    assert said in refused.text
    assert library.send(step, card_number="BQD18N009999", symbology="CODE_39").status_code == 303
    assert library.card(number) == CardNumber("BQD18N009999", None, Symbology.CODE_39)


def test_the_number_of_a_lost_card_is_no_new_one_in_another_barcode(library: Library) -> None:
    number = library.issued(FIRST, "adult", **GROWN_UP, symbology="CODABAR")
    assert library.send(library.path(number) + "/steps/block", reason="lost").status_code == 303
    again = library.send(library.path(number) + "/steps/number", card_number=FIRST, symbology="CODE_128")
    assert again.status_code == 409
    assert library.row(FIRST).status == "suspended"


def test_a_family_stands_together(library: Library) -> None:
    parent = library.issued(FIRST, "adult", **GROWN_UP)
    page = library.get(NEW, guardian=parent)
    assert f'name="for_guardian" value="{parent}"' in page.text
    answers = library.answers(SECOND, **CHILD, for_guardian=parent)
    page = library.send(NEW + "/person", **answers)
    assert 'value="Jürgen Müller"' in page.text
    assert f'value="{FIRST}"' in page.text
    consent = {"consent": "yes", "consent_name": "Jürgen Müller"}
    refused = library.send(NEW, **answers, category="child", **consent, guardian="24799999999999")
    assert refused.status_code == 422
    assert library.send(NEW, **answers, category="child", **consent, guardian=FIRST).status_code == 200
    child = library.row(SECOND).number
    third = library.answers(THIRD, **(CHILD | {"given_name": "Ben"}))
    assert library.send(NEW, **third, category="child", **consent).status_code == 200
    brother = library.row(THIRD).number
    assert library.path(brother) not in library.get(library.path(parent)).text
    done = library.send(library.path(brother) + "/steps/guardian", guardian=parent)
    assert done.headers["location"].endswith("done=guardian")
    shown = library.get(library.path(parent)).text
    assert library.path(child) in shown
    assert library.path(brother) in shown
    assert library.path(parent) in library.get(library.path(child)).text
    code = library.send(library.path(parent) + "/family")
    assert code.status_code == 200
    for name in ("Jürgen Müller", "Mia Müller", "Ben Müller"):
        assert name in code.text


def test_a_further_year_with_its_fee(library: Library) -> None:
    number = library.issued(FIRST, "adult", **GROWN_UP)
    step = library.path(number) + "/steps/renew"
    assert library.send(step).status_code == 409
    library.city.clock.forward(days=330)
    library.who.log_in()
    page = library.get(step)
    assert "19. November 2028" in page.text or "19.11.2028" in page.text
    assert "20,00" in page.text
    done = library.send(step)
    assert done.headers["location"].endswith("?done=renewed")
    assert "Bitte kassieren Sie 20,00" in library.get(done.headers["location"]).text
    assert library.row(FIRST).period_last == date(2028, 11, 19)
    assert library.seals(number) == [Status.VALID, Status.VALID]
    last = library.trail(number)[-1]
    assert (last.action, last.actor[:6]) == ("renew", "staff:")
    # Long after its end it begins anew, and the seal of before is over by its own last day.
    library.city.clock.forward(days=800)
    library.who.log_in()
    assert library.send(step).status_code == 303
    assert library.row(FIRST).status == "active"
    assert library.row(FIRST).period_last == date(2030, 12, 23)


def test_renewal_is_offered_from_its_first_day_on(library: Library) -> None:
    number = library.issued(FIRST, "adult", **GROWN_UP)
    page = library.get(library.path(number)).text
    assert "/steps/renew" not in page
    opens = library.row(FIRST).period_last - timedelta(days=60)
    assert f"Verlängern können Sie ab {day_text(opens, 'de')}." in page
    library.city.clock.forward(days=330)
    library.who.log_in()
    page = library.get(library.path(number)).text
    assert "/steps/renew" in page
    assert "Verlängern können Sie ab" not in page


def test_a_lost_card_that_has_ended_says_in_which_order(library: Library) -> None:
    number = library.issued(FIRST, "adult", **GROWN_UP)
    path = library.path(number)
    assert library.send(path + "/steps/block", reason="lost").status_code == 303
    library.city.clock.forward(days=400)
    library.who.log_in()
    order = "der Reihe nach „Sperre aufheben“, „Um ein Jahr verlängern“ und „Neue Ausweisnummer“"
    assert order in library.get(path + "/steps/number").text
    refused = library.send(path + "/steps/number", card_number=SECOND)
    assert refused.status_code == 409
    assert order in refused.text
    for page in (library.get(path + "/steps/renew"), library.send(path + "/steps/renew")):
        assert "zuerst „Sperre aufheben“, danach „Um ein Jahr verlängern“" in page.text
        assert "resume" not in page.text
    # The order works, and each step says what comes next.
    assert library.send(path + "/steps/unblock", reason="other").status_code == 303
    refused = library.send(path + "/steps/number", card_number=SECOND)
    assert "zuerst „Um ein Jahr verlängern“, danach „Neue Ausweisnummer“" in refused.text
    assert library.send(path + "/steps/renew").status_code == 303
    assert library.send(path + "/steps/number", card_number=SECOND).status_code == 303


def test_a_card_suspended_by_others_gets_no_number_before_it_holds_again(library: Library) -> None:
    number = library.issued(FIRST, "adult", **GROWN_UP)
    with library.application.writing() as session:
        by = Actor("clerk", library.application.now(), "Test")
        lifecycle.suspend(session, library.application.tenant, CARD, number, actor=by)
    path = library.path(number)
    assert "/steps/number" not in library.get(path).text
    refused = library.send(path + "/steps/number", card_number=SECOND)
    assert refused.status_code == 409
    assert "zuerst „Sperre aufheben“, danach „Neue Ausweisnummer“" in refused.text


def test_an_institution_has_no_family(library: Library) -> None:
    number = library.issued(FIRST, "institution", kind="institution", family_name="Kita Sonne")
    page = library.get(library.path(number)).text
    assert "Kita Sonne" in page
    assert "Ausweis für ein Kind aufnehmen" not in page
    assert "/steps/guardian" not in page


def test_the_branch_is_that_of_the_own_last_card_of_today(library: Library) -> None:
    def proposed(who: Colleague, card: str) -> str:
        page = who.send(NEW + "/card", type_id=CARD, card_number=card).text
        field = re.search(r'<input[^>]*name="branch"[^>]*>', page)
        assert field is not None
        value = re.search(r'value="([^"]*)"', field[0])
        return value[1] if value is not None else ""

    other = settle(library.application, library.city.clock, "udo", Role.LIBRARIAN, app=library.app)
    library.issued(FIRST, "adult", **GROWN_UP, branch="Nord")
    assert proposed(library.who, SECOND) == "Nord"
    assert proposed(other, SECOND) == ""
    answers = library.answers(SECOND, **GROWN_UP, branch="Süd")
    assert other.send(NEW, **answers, category="adult").status_code == 200
    assert proposed(library.who, THIRD) == "Nord"
    assert proposed(other, THIRD) == "Süd"
    library.city.clock.forward(days=1)
    library.who.log_in()
    assert proposed(library.who, THIRD) == ""


def test_the_group_follows_the_age(library: Library) -> None:
    """A youth of twenty is asked for money from the 21st birthday on, and not before."""
    young = {"given_name": "Ada", "family_name": "Jung", "birth": (21, 11, 2005)}
    number = library.issued(FIRST, "youth", **young)
    start = library.get("/office").text
    assert "Gebühr beginnt in den nächsten 30 Tagen: 1" in start
    waiting = library.get("/office/library/waiting").text
    assert library.path(number) in waiting
    library.city.clock.forward(days=330)
    library.who.log_in()
    page = library.get(library.path(number) + "/steps/renew").text
    assert "20,00" in page
    assert "Jugendliche" in page
    assert library.send(library.path(number) + "/steps/renew").status_code == 303
    assert "Erwachsene" in library.get(library.path(number)).text


def test_a_consent_that_is_missing_waits_and_is_noted(library: Library) -> None:
    answers = library.answers(FIRST, **CHILD)
    library.send(NEW, **answers, category="child", consent="yes", consent_name="Jürgen Müller")
    number = library.row(FIRST).number
    with library.application.writing() as session:
        # As an old register brings it.
        member = session.get_one(MemberRow, (library.application.tenant, CARD, number))
        member.consent_at = member.consent_name = None
    assert "Ohne Einwilligung: 1" in library.get("/office").text
    assert library.path(number) in library.get("/office/library/waiting").text
    assert "Einwilligung fehlt" in library.get(library.path(number)).text
    assert library.send(library.path(number) + "/link").status_code == 409
    assert library.get(library.path(number) + "/print.pdf").status_code == 409
    with library.application.reading() as session:
        held = held_pass(session, library.application, CARD, number)
    assert held is not None
    assert (held.consent_under, held.is_offered) == (16, False)
    step = library.path(number) + "/steps/consent"
    assert library.send(step, consent_name="Jürgen Müller").status_code == 422
    assert library.send(step, consent="yes", consent_name="Jürgen Müller").status_code == 303
    assert "Einwilligung fehlt" not in library.get(library.path(number)).text
    assert library.send(library.path(number) + "/link").status_code == 200


def test_a_birth_date_is_entered_later(library: Library) -> None:
    grown = library.issued(FIRST, "adult", **GROWN_UP)
    page = library.get(library.path(grown)).text
    # There was one, which decides nothing and is not stored.
    assert "Geburtsdatum berichtigen" in page
    path = library.path(grown) + "/steps/birth"
    assert "Ab 21 Jahren wird es nicht gespeichert" in library.get(path).text
    assert library.send(path).status_code == 422
    wrong = library.send(path, birth_day="31", birth_month="2", birth_year="2010")
    assert (wrong.status_code, "Geben Sie das Geburtsdatum als Tag" in wrong.text) == (422, True)
    child = {"birth_day": "3", "birth_month": "5", "birth_year": "2015"}
    refused = library.send(path, **child)
    assert refused.status_code == 409
    assert "Unter 16 Jahren" in refused.text
    assert 'value="2015"' in refused.text
    done = library.send(path, **child, consent="yes", consent_name="Erika Müller")
    assert done.status_code == 303
    assert library.member(grown).birth_date == date(2015, 5, 3)
    page = library.get(done.headers["location"]).text
    for said in ("Das Geburtsdatum ist eingetragen.", "Kind", "Erika Müller", "Geburtsdatum berichtigen"):
        assert said in page
    # Two people at once: what the second saw is not so any more.
    assert library.send(path, **child, version="old").status_code == 409
    old = {"birth_day": "3", "birth_month": "5", "birth_year": "1990"}
    done = library.send(path, **old)
    assert "entscheidet nichts mehr" in library.get(done.headers["location"]).text
    assert library.member(grown).birth_date is None
    assert library.member(grown).consent_at is None
    house = library.issued(SECOND, "institution", family_name="Kita Muster", kind="institution")
    assert "steps/birth" not in library.get(library.path(house)).text


def test_revoked_and_taken_back_within_the_days(library: Library) -> None:
    number = library.issued(FIRST, "adult", **GROWN_UP)
    path = library.path(number)
    page = library.get(path + "/steps/revoke").text
    assert "binnen 14 Tagen" in page
    assert library.send(path + "/steps/revoke", reason="nonsense").status_code == 422
    done = library.send(path + "/steps/revoke", reason="left")
    assert library.row(FIRST).status == "revoked"
    assert (library.application.workspace.folder / "revocations.log").read_text().count(number) == 1
    page = library.get(done.headers["location"]).text
    assert "Der Ausweis ist widerrufen." in page
    assert "steps/revoke" not in page
    assert "Rückgängig machen" in page
    done = library.send(path + "/steps/reinstate", reason="mistake")
    assert (library.row(FIRST).status, library.seals(number)) == ("active", [Status.INVALID, Status.VALID])
    assert [one.reason for one in library.trail(number)[-2:]] == ["Mitgliedschaft beendet", "Versehen"]
    library.send(path + "/steps/revoke", reason="misuse")
    library.city.clock.forward(days=15)
    library.who = settle(library.application, library.city.clock, "lou", Role.LIBRARIAN, app=library.app)
    late = library.send(path + "/steps/reinstate", reason="settled")
    assert late.status_code == 409
    assert library.row(FIRST).status == "revoked"


def test_issued_anew_with_the_same_number(library: Library) -> None:
    number = library.issued(FIRST, "adult", **GROWN_UP)
    path = library.path(number) + "/steps/reissue"
    assert "Neu ausstellen, gleiche Nummer" in library.get(path).text
    done = library.send(path, reason="lost_phone")
    assert library.seals(number) == [Status.SUPERSEDED, Status.VALID]
    assert library.row(FIRST).card_key == FIRST
    assert "ist neu ausgestellt" in library.get(done.headers["location"]).text
    with library.application.reading() as session:
        links = session.scalars(select(PickupLinkRow).where(PickupLinkRow.number == number)).all()
    assert [one.used_at is not None for one in links] == [True]


def booked(library: Library) -> list[tuple[str, str, int, str | None]]:
    with library.application.reading() as session:
        rows = session.scalars(select(PaymentRow).where(PaymentRow.kind == "membership")).all()
    return sorted((one.ref, one.state, one.received_cents, one.provider_id) for one in rows)


def test_a_fee_taken_at_the_desk_is_booked_with_its_receipt(library: Library) -> None:
    number = library.issued(FIRST, "adult", **GROWN_UP, receipt=" B 17 ")
    last = library.row(FIRST).period_last
    ref = f"{CARD}/{number}"
    assert booked(library) == [(f"{ref}/{last}", "paid", 2000, "B 17")]
    with library.application.reading() as session:
        entries = session.scalars(
            select(AuditEntryRow).where(AuditEntryRow.action == "payment-counter")
        ).all()
    assert [json.loads(one.after or "")["amount_cents"] for one in entries] == [2000]
    # The same receipt twice is a mistake, and then nothing is issued either.
    again = library.send(NEW, **library.answers(SECOND, **GROWN_UP), category="adult", receipt="B 17")
    assert (again.status_code, "schon gebucht" in again.text) == (409, True)
    free = library.send(NEW, **library.answers(SECOND, **GROWN_UP), category="duesselpass", receipt="B 18")
    assert (free.status_code, "keine Gebühr" in free.text) == (409, True)
    with library.application.writing() as session:
        row = session.get_one(PassRow, (library.application.tenant, CARD, number))
        row.period_last = date(2026, 12, 24)
    path = library.path(number) + "/steps/renew"
    assert "Belegnummer der Kasse" in library.get(path).text
    assert library.send(path, receipt="B 17").status_code == 409
    assert library.row(FIRST).period_last == date(2026, 12, 24)
    done = library.send(path, receipt="B 19")
    assert "die Gebühr ist gebucht" in library.get(done.headers["location"]).text
    assert (f"{ref}/2027-12-24", "paid", 2000, "B 19") in booked(library)


def test_clerks_see_no_members_and_librarians_no_permits(library: Library) -> None:
    number = library.issued(FIRST, "adult", **GROWN_UP)
    permit = running_numbers(library.application)[0]
    clock, app = library.city.clock, library.app
    clerk = settle(library.application, clock, "erika", Role.CLERK, Role.SUPERVISOR, app=app)
    for text in (number, "Müller", FIRST):
        assert number not in clerk.client.get("/office/passes", params={"q": text}).text.replace(
            f'value="{text}"', ""
        )
    old = f"/office/passes/{CARD}/{number}"
    for path in ("", "/steps/revoke", "/steps/suspend", "/reinstate"):
        assert clerk.client.get(old + path).status_code == 404, path
    for path in ("/steps/revoke", "/steps/suspend", "/reinstate"):
        answer = clerk.send(old + path, reason="misuse", note="x")
        assert answer.status_code == 404, path
    for path in ("/link", "/letter"):
        assert clerk.send(old + path).status_code == 409, path
    assert clerk.client.get(old + "/print.pdf").status_code == 409
    assert clerk.client.get("/office/library").status_code == 403
    assert clerk.client.get(library.path(number)).status_code == 403
    for path in ("/office/passes", f"/office/passes/{PERMIT}/{permit}", "/office/cases", "/office/print"):
        assert library.get(path).status_code == 403, path
    for step in ("block", "renew", "number"):
        answer = library.send(f"/office/library/members/{PERMIT}/{permit}/steps/{step}", reason="lost")
        assert answer.status_code == 404, step
    assert library.send(f"/office/library/members/{PERMIT}/{permit}/link").status_code == 404
    both = settle(library.application, clock, "kim", Role.CLERK, Role.LIBRARIAN, app=app)
    assert both.client.get(library.path(number)).status_code == 200
    assert both.client.get(f"/office/passes/{PERMIT}/{permit}").status_code == 200


def test_what_the_librarys_own_system_says(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, Patron | IssuerRefusal] = {
        FIRST: Patron(
            FIRST,
            "Müller, Jürgen",
            PatronStanding.OWES_FEES,
            date(2027, 6, 30),
            450,
            "",
            "Bitte Anschrift prüfen",
        ),
        SECOND: SourceUnavailable("LIBRARY_UNAVAILABLE"),
    }

    class System:
        def patron(self, card_number: str) -> Patron:
            found = told.get(card_number, PatronUnknown("LIBRARY_UNKNOWN"))
            if isinstance(found, IssuerRefusal):
                raise found
            return found

    assert (
        "Bibliothekssystem</h2>"
        not in library.get(library.path(library.issued(THIRD, "adult", **GROWN_UP))).text
    )
    for module in (member, new_card):
        monkeypatch.setattr(module, "source_of", lambda _: System())
    owes = told[FIRST]
    assert isinstance(owes, Patron)
    # Who is not in order there gets no card, and reads what to do.
    for number, sentence in (
        (FIRST, "wegen offener Gebühren gesperrt"),
        ("24711300099961", "kennt diese Ausweisnummer"),
    ):
        refused = library.send(NEW + "/card", type_id=CARD, card_number=number)
        assert refused.status_code == 409
        assert sentence in refused.text
        assert 'href="#card_number"' in refused.text
    told[FIRST] = replaced(owes, standing=PatronStanding.ACTIVE)
    # The name comes from there, and may be changed.
    page = library.send(NEW + "/card", type_id=CARD, card_number=FIRST)
    assert 'value="Jürgen"' in page.text
    assert "Aus dem Bibliothekssystem übernommen" in page.text
    # Blocked between the first page and the last.
    told[FIRST] = replaced(owes, standing=PatronStanding.INACTIVE)
    late = library.send(NEW, **library.answers(FIRST, **GROWN_UP), category="adult")
    assert late.status_code == 409
    assert "im Bibliothekssystem gesperrt" in late.text
    told[FIRST] = replaced(owes, standing=PatronStanding.ACTIVE)
    number = library.issued(FIRST, "adult", **GROWN_UP)
    told[FIRST] = owes
    assert library.path(number) + "/system" in library.get(library.path(number)).text
    said = library.get(library.path(number) + "/system").text
    for fact in ("Gebühren offen", "30.06.2027", "4,50", "Bitte Anschrift prüfen"):
        assert fact in said, fact
    part = library.who.client.get(library.path(number) + "/system", headers={"hx-request": "true"})
    assert "<html" not in part.text
    # A system that is silent keeps nobody waiting for a card; the page says that nothing was checked.
    unchecked = library.send(NEW + "/card", type_id=CARD, card_number=SECOND)
    assert "nicht im Bibliothekssystem geprüft" in unchecked.text
    silent = library.issued(SECOND, "adult", **GROWN_UP)
    assert library.get(library.path(silent) + "/system").status_code == 200


def test_wishes_go_to_those_whose_cards_they_are_about(library: Library) -> None:
    number = library.issued(FIRST, "adult", **GROWN_UP)
    permit = running_numbers(library.application)[0]
    with library.application.writing() as session:
        wishes = [AuditEvent("ask-correction", subject(*key)) for key in ((CARD, number), (PERMIT, permit))]
        audit.append(session, library.application.tenant, wishes, library.application.now(), "holder")
    clerk = settle(library.application, library.city.clock, "erika", Role.CLERK, app=library.app)
    for who, theirs, others in ((library.who, number, permit), (clerk, permit, number)):
        page = who.client.get("/office/wishes").text
        assert theirs in page
        assert others not in page
        (path,) = re.findall(rf'href="(/office/[^"]*/{theirs})"', page)
        assert who.client.get(path).status_code == 200


def test_who_has_seen_a_member_is_noted(library: Library) -> None:
    number = library.issued(FIRST, "adult", **GROWN_UP)
    library.city.clock.forward(minutes=11)
    auditor = settle(library.application, library.city.clock, "otto", Role.AUDITOR, app=library.app)
    before = auditor.client.get("/office/accesses", params={"q": number}).text.count("<tr")
    library.get("/office/library", q="Mueller")
    library.get(library.path(number))
    log = auditor.client.get("/office/accesses", params={"q": number}).text
    assert log.count("<tr") == before + 2
    assert "in einer Trefferliste" in log


def test_the_other_city_finds_nothing(library: Library) -> None:
    number = library.issued(FIRST, "adult", **GROWN_UP)
    other = library.city.open(library.city.other_folder)
    somebody = settle(other, library.city.clock, "oskar", Role.LIBRARIAN)
    assert somebody.client.get(library.path(number)).status_code == 404
    assert number not in somebody.client.get("/office/library", params={"q": "Mueller"}).text
    found = somebody.client.get("/office/library", params={"q": FIRST})
    assert found.status_code == 200


def test_a_card_that_was_read_whole_goes_through_all_steps_whatever_its_check_digit(library: Library) -> None:
    application = library.application
    with application.writing() as session:
        settings = load_settings(session, application.tenant)
        save_settings(session, application.tenant, replace(settings, library_card_schemes=("codabar14",)))
    number = "24711300099991"
    read = library.answers(f"A{number}B", **GROWN_UP) | {"symbology": "CODABAR"}
    page = library.send(NEW + "/card", type_id=CARD, card_number=read["card_number"], symbology="CODABAR")
    assert page.status_code == 200
    assert f">{number}<" in page.text
    assert f'value="A{number}B"' in page.text
    page = library.send(NEW + "/person", **read)
    assert page.status_code == 200
    assert f">{number}<" in page.text
    page = library.send(NEW, **read, category="adult")
    assert "ist ausgestellt" in page.text, page.text
    assert library.row(number).card_key == number
    # Typed, it has no such proof.
    assert library.send(NEW + "/card", type_id=CARD, card_number="24711300099992").status_code == 422
