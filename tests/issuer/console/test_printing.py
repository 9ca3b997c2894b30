"""Print runs by HTTP: choosing, making in the background, fetching, spoiling, posting, on both databases."""

from __future__ import annotations

import re
from dataclasses import replace

import pypdfium2
import pytest
from sqlalchemy import select, update

from issuer import lifecycle, waiting_letters
from issuer.application import Application
from issuer.background.tasks import RetryLater
from issuer.delivery import mail
from issuer.lifecycle import Actor, Changes
from issuer.models import HolderRow, PassRow
from issuer.models_print import PrintFileRow, PrintItemRow, PrintRunRow
from issuer.nightly import retention
from issuer.nightly.reports import Report
from issuer.pickup.codes import read_code, redeem_code
from issuer.printing import making, runs
from issuer.printing.selection import Kind, Selection, chosen
from issuer.staff.permissions import Role
from passes.model import RegisteredPlate
from passes.periods import berlin_day
from passes.plates import Plate
from tests.issuer.console.people import Colleague, settle
from tests.issuer.figures.samples import put_in_eudi_wallet
from tests.issuer.pickup.test_wallets import register, serial_of
from tests.issuer.publication.test_app_devices import ON_ONE_DATABASE
from tests.service import CARD, PERMIT, City, running_numbers


@pytest.fixture
def clerk(city: City, application: Application) -> Colleague:
    return settle(application, city.clock, "clerk", Role.CLERK)


@pytest.fixture
def offline(application: Application) -> list[str]:
    """Four running permits whose holders have no mail address; all others have one."""
    numbers = running_numbers(application)[:4]
    with application.writing() as session:
        refs = select(PassRow.holder_ref).where(
            PassRow.tenant == application.tenant, PassRow.number.in_(numbers)
        )
        of_tenant = HolderRow.tenant == application.tenant
        session.execute(update(HolderRow).where(of_tenant).values(email="x@example.org"))
        session.execute(update(HolderRow).where(of_tenant, HolderRow.ref.in_(refs)).values(email=""))
    return numbers


def begin(clerk: Colleague, **fields: str) -> str:
    """Begin a run by the form; returns its id."""
    answer = clerk.send("/office/print", **{"kind": "permits", "zone": "", "days": "30", **fields})
    assert answer.status_code == 303, answer.text
    found = re.fullmatch(r"/office/print/([0-9a-f]{32})\?done=begun", answer.headers["location"])
    assert found is not None
    return found[1]


def make(application: Application, run_id: str) -> None:
    making.run_task(application, {"id": run_id})


def pages(data: bytes) -> list[str]:
    with pypdfium2.PdfDocument(data) as document:
        return [page.get_textpage().get_text_bounded() for page in document]


def found(clerk: Colleague, **fields: str) -> int:
    page = clerk.client.get("/office/print", params={"kind": "permits", **fields})
    told = re.search(r"Zu drucken: (\d+)", page.text)
    assert told is not None, page.text
    return int(told[1])


def test_from_the_choice_to_the_printer(
    city: City, application: Application, neighbour: Application, clerk: Colleague, offline: list[str]
) -> None:
    # Who has it on a phone needs no paper from us.
    register(application, serial_of(application, offline[0]), "d" * 32, city.clock())
    assert found(clerk) == 3
    run_id = begin(clerk)
    path = f"/office/print/{run_id}"
    page = clerk.client.get(path)
    assert "0 von 3 sind gemacht" in page.text
    part = clerk.client.get(path, headers={"hx-request": "true"})
    assert "<html" not in part.text
    assert "every 3s" in part.text
    assert "hx-refresh" not in part.headers
    assert clerk.client.get(f"{path}/file").status_code == 409
    make(application, run_id)
    make(application, run_id)
    assert "Gemacht: 3" in clerk.client.get(path).text
    assert clerk.client.get(path, headers={"hx-request": "true"}).headers["hx-refresh"] == "true"
    file = clerk.client.get(f"{path}/file")
    assert file.headers["content-type"] == "application/pdf"
    assert "attachment" in file.headers["content-disposition"]
    told = pages(file.content)
    for number in offline[1:]:
        assert any(number in text for text in told), number
    assert not any(offline[0] in text for text in told)
    with application.reading() as session:
        stored = session.scalar(select(PrintFileRow.data).where(PrintFileRow.run_id == run_id))
        assert stored is not None
        assert b"%PDF" not in stored
    # Each of those whose name was printed is noted, for whoever fetched it.
    auditor = settle(application, city.clock, "otto", Role.AUDITOR)
    assert offline[1] in auditor.client.get("/office/accesses", params={"q": offline[1]}).text
    other = settle(neighbour, city.clock, "other", Role.CLERK)
    assert other.client.get(path).status_code == 404
    assert other.client.get(f"{path}/file").status_code == 404
    assert "Gedruckt" in clerk.client.get(f"/office/passes/{PERMIT}/{offline[1]}").text
    # Nothing new since, and nothing to begin a run with.
    assert found(clerk) == 0
    nothing = clerk.send("/office/print", kind="permits", zone="", days="30")
    assert (nothing.status_code, "nichts zu drucken" in nothing.text) == (409, True)


def test_who_has_it_in_an_eudi_wallet_gets_no_print(
    application: Application, clerk: Colleague, offline: list[str]
) -> None:
    put_in_eudi_wallet(application, offline[0])
    put_in_eudi_wallet(application, offline[1], status_value=1)
    put_in_eudi_wallet(application, offline[2], days=-1)
    assert found(clerk) == 3
    with application.reading() as session:
        _, rows = chosen(session, application, Selection(Kind.PERMITS))
    assert sorted(one.number for one in rows) == sorted(offline[1:])


def test_spoiled_sheets_are_printed_again(
    application: Application, clerk: Colleague, offline: list[str]
) -> None:
    run_id = begin(clerk)
    path = f"/office/print/{run_id}"
    assert clerk.send(f"{path}/spoil", first="1", last="1").status_code == 409
    make(application, run_id)
    for first, last in (("0", "1"), ("3", "2"), ("1", "99"), ("x", "")):
        wrong = clerk.send(f"{path}/spoil", first=first, last=last)
        assert (wrong.status_code, 'href="#first"' in wrong.text) == (422, True), (first, last)
    assert clerk.send(f"{path}/spoil", first="2", last="3").status_code == 303
    assert clerk.client.get(path).text.count("verdorben</td>") == 2
    # They count as not printed, so the next run would take them as well.
    assert found(clerk) == 2
    with application.reading() as session:
        changed = runs.items_of(session, application, run_id)[1].number
    pass_type = application.pass_types[PERMIT]
    with application.writing() as session:
        lifecycle.change(
            session,
            application.tenant,
            pass_type,
            changed,
            Changes(plates=(RegisteredPlate(Plate("D", "XY", "77")),)),
            seal_for=application.sealer(session, pass_type),
            actor=Actor("test", application.now()),
        )
    answer = clerk.send(f"{path}/again")
    second = answer.headers["location"].removeprefix("/office/print/").partition("?")[0]
    make(application, second)
    with application.reading() as session:
        first_run = [one.number for one in runs.items_of(session, application, run_id)]
        again = [one.number for one in runs.items_of(session, application, second)]
    assert again == first_run[1:3]
    assert "D-XY 77" in "".join(pages(clerk.client.get(f"/office/print/{second}/file").content))
    # What was printed is the pass as it is now, so it is not new any more.
    assert found(clerk) == 0


def test_letters_are_printed_with_codes_and_posted(
    application: Application, clerk: Colleague, offline: list[str]
) -> None:
    number = offline[0]
    with application.writing() as session:
        for kind in (mail.PICKUP, mail.CHANGED):
            mail.tell_holder(session, application, kind, PERMIT, number, {})
    assert found(clerk, kind="letters") == 2
    run_id = begin(clerk, kind="letters")
    make(application, run_id)
    path = f"/office/print/{run_id}"
    text = "\n".join(pages(clerk.client.get(f"{path}/file").content))
    codes = set(re.findall(r"\b([0-9A-Z]{4}[ -][0-9A-Z]{4}[ -][0-9A-Z]{4})\b", text))
    # Two letters to one holder, one code, and it opens the pass.
    assert len(codes) == 1
    with application.reading() as session:
        row = session.get_one(PassRow, (application.tenant, PERMIT, number))
        last = row.period_last
    with application.writing() as session:
        assert redeem_code(session, application, read_code(codes.pop()), last) is not None
    with application.reading() as session:
        assert len(waiting_letters.waiting(session, application)) == 2
    assert clerk.send(f"{path}/posted").status_code == 303
    with application.reading() as session:
        assert waiting_letters.waiting(session, application) == []
    assert "Verschickt, vermerkt" in clerk.client.get(path).text
    # Once more is once more, also of what is out; a run that was just begun skips what somebody posts meanwhile.
    second = clerk.send(f"{path}/again").headers["location"].partition("?")[0]
    make(application, second.rpartition("/")[2])
    assert "Gemacht: 2" in clerk.client.get(second).text
    with application.writing() as session:
        mail.tell_holder(session, application, mail.CHANGED, PERMIT, number, {})
    third = begin(clerk, kind="letters")
    with application.reading() as session:
        ids = [one.id for one in waiting_letters.waiting(session, application)]
    waiting_letters.mark_posted(application, ids)
    make(application, third)
    assert "der Brief ist verschickt oder nicht mehr nötig" in clerk.client.get(f"/office/print/{third}").text


def test_who_ends_soon_gets_a_letter(application: Application, clerk: Colleague, offline: list[str]) -> None:
    last = berlin_day(application.now())
    with application.writing() as session:
        session.execute(
            update(PassRow)
            .where(PassRow.tenant == application.tenant, PassRow.number == offline[0])
            .values(period_last=last)
        )
    before = found(clerk, kind="ending", days="1")
    assert before >= 1
    run_id = begin(clerk, kind="ending", days="1")
    make(application, run_id)
    text = "\n".join(pages(clerk.client.get(f"/office/print/{run_id}/file").content))
    assert "gilt nur noch bis" in text
    assert clerk.client.get("/office/print", params={"kind": "ending", "days": "999"}).status_code == 422
    assert clerk.client.get("/office/print", params={"kind": "nonsense"}).status_code == 422


def test_a_run_that_was_killed_goes_on(
    application: Application, clerk: Colleague, offline: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = begin(clerk)
    monkeypatch.setattr(making, "AT_ONCE", 1)
    real, made = making._sheet, []

    def failing(*arguments: object) -> tuple[bytes, int]:
        if len(made) == 2:
            raise RetryLater("killed")
        made.append(arguments)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(making, "_sheet", failing)
    with pytest.raises(RetryLater):
        make(application, run_id)
    assert "2 von 4 sind gemacht" in clerk.client.get(f"/office/print/{run_id}").text
    with application.reading() as session:
        assert runs.outstanding(session, application.tenant) == [run_id]
    monkeypatch.setattr(making, "_sheet", real)
    make(application, run_id)
    told = pages(clerk.client.get(f"/office/print/{run_id}/file").content)
    order = [
        next(place for place, text in enumerate(told) if number in text)
        for number in _order(application, run_id)
    ]
    assert order == sorted(order)
    assert len(order) == 4


def test_a_run_that_cannot_be_made_is_given_up(
    application: Application, clerk: Colleague, offline: list[str]
) -> None:
    run_id = begin(clerk)
    making.give_up(application, {"id": run_id})
    assert "ist nicht gelungen" in clerk.client.get(f"/office/print/{run_id}").text
    assert found(clerk) == 4


def test_files_and_runs_are_deleted_on_their_days(
    city: City, application: Application, clerk: Colleague, offline: list[str]
) -> None:
    run_id = begin(clerk)
    make(application, run_id)
    path = f"/office/print/{run_id}"

    def night(days: int) -> None:
        city.clock.forward(days=days)
        retention.run(application, Report(application, berlin_day(application.now()), retention.NAME))
        clerk.log_in()

    night(8)
    assert clerk.client.get(path).status_code == 200
    assert "Die Datei ist gelöscht" in clerk.client.get(path).text
    assert clerk.client.get(f"{path}/file").status_code == 409
    night(90)
    assert clerk.client.get(path).status_code == 404
    with application.reading() as session:
        for table in (PrintRunRow, PrintItemRow, PrintFileRow):
            assert session.scalar(select(table.tenant)) is None


def _order(application: Application, run_id: str) -> list[str]:
    with application.reading() as session:
        return [one.number for one in runs.items_of(session, application, run_id)]


def test_library_cards_and_permits_are_in_no_common_run(application: Application) -> None:
    with application.writing() as session:
        session.execute(
            update(HolderRow)
            .where(HolderRow.tenant == application.tenant)
            .values(email="", street="Marktplatz 1", postal_code="40213", city="Düsseldorf")
        )
    with application.reading() as session:
        for selection in (Selection(Kind.PERMITS), Selection(Kind.ENDING, days=183)):
            _, found = chosen(session, application, selection)
            assert CARD not in {one.type_id for one in found}
            _, found = chosen(session, application, replace(selection, library=True))
            assert {one.type_id for one in found} == {CARD}


@ON_ONE_DATABASE
def test_librarians_print_library_cards_and_nobody_elses(
    city: City, application: Application, clerk: Colleague, offline: list[str]
) -> None:
    librarian = settle(application, city.clock, "lea", Role.LIBRARIAN)
    members = running_numbers(application, CARD)[:2]
    with application.writing() as session:
        refs = select(PassRow.holder_ref).where(PassRow.type_id == CARD, PassRow.number.in_(members))
        session.execute(update(HolderRow).where(HolderRow.ref.in_(refs)).values(email=""))
    base = "/office/library/print"
    page = librarian.client.get(base, params={"kind": "permits"}).text
    assert "Zu drucken: 2" in page
    assert "Gebiet" not in page
    answer = librarian.send(base, kind="permits", zone="BÖ", days="30")
    run_id = answer.headers["location"].removeprefix(f"{base}/").partition("?")[0]
    make(application, run_id)
    file = librarian.client.get(f"{base}/{run_id}/file")
    told = " ".join(pages(file.content))
    assert all(number in told for number in members)
    # The other's runs are in no list, and unknown under either address.
    permits = begin(clerk)
    make(application, permits)
    for who, at, own, other in (
        (clerk, "/office/print", permits, run_id),
        (librarian, base, run_id, permits),
    ):
        listed = who.client.get(at).text
        assert (own in listed, other in listed) == (True, False)
        for step in ("", "/file"):
            assert who.client.get(f"{at}/{other}{step}").status_code == 404
        for step in ("spoil", "again", "posted"):
            assert who.send(f"{at}/{other}/{step}", page=at, first="1").status_code == 404, step
    assert clerk.client.get(f"{base}/{run_id}/file").status_code == 403
    assert librarian.client.get(f"/office/print/{permits}/file").status_code == 403
    # A run of before with both is nobody's.
    with application.writing() as session:
        item = session.get_one(PrintItemRow, (application.tenant, permits, 1))
        item.type_id, item.number = CARD, members[0]
    for who, at in ((clerk, "/office/print"), (librarian, base)):
        assert who.client.get(f"{at}/{permits}").status_code == 404
        assert permits not in who.client.get(at).text
