"""What a holder is called, where they live and which language they read: each way by which that changes (VCR_09)."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from issuer import audit
from issuer.application import Application
from issuer.eudi.following import change as follow
from issuer.holder_changes import put_holders
from issuer.holders import Holder, holder_of
from issuer.importing import run_work, runs
from issuer.issue import IssueRequest, issue
from issuer.models import HolderRow, PassRow
from issuer.models_delivery import WebhookDeliveryRow
from issuer.models_eudi import EudiCredentialRow
from issuer.register import subject
from issuer.workspace import Workspace
from tests.eudi_issuing_wallet import Wallet, new_key
from tests.issuer.api.conftest import serve
from tests.issuer.api.office import PASSES, office_of, permit
from tests.issuer.eudi.conftest import MakeWallet, offer_of
from tests.issuer.pickup.browser import browser, send, visit
from tests.issuer.test_import_restore import taken_in
from tests.service import PERMIT, City, rows, running_numbers

__all__ = ["serve"]
SD_JWT = f"{PERMIT}.sd-jwt"
Way = Callable[[City, Application, Holder], None]


def another_row(holder: Holder) -> bytes:
    """A permit of the same holder as the city's system has them now."""
    told = list(csv.DictReader(io.StringIO(rows("permits_valid.csv", 61).decode()), delimiter=";"))[-1]
    told |= {
        "holder_ref": holder.ref, "given_name": holder.given_name, "family_name": holder.family_name,
        "doctoral_degree": holder.doctoral_degree, "street": holder.street, "house_number": holder.house_number,
        "postal_code": holder.postal_code, "city": holder.city, "email": holder.email, "language": holder.language,
    }  # fmt: skip
    out = io.StringIO()
    writer = csv.DictWriter(out, told.keys(), delimiter=";", lineterminator="\n")
    writer.writeheader()
    writer.writerow(told)
    return out.getvalue().encode()


def by_command(city: City, application: Application, holder: Holder) -> None:
    file = city.folder / "more.csv"
    file.write_bytes(another_row(holder))
    workspace = Workspace.open(city.folder)
    at = application.now()
    result = issue(workspace, IssueRequest(PERMIT, file, city.folder / "out", at, "test", carriers=()))
    workspace.close()
    assert result.accepted == 1


def by_console(_: City, application: Application, holder: Holder) -> None:
    taken_in(application, another_row(holder))


@pytest.fixture
def wallet(application: Application, new_wallet: MakeWallet, monkeypatch: pytest.MonkeyPatch) -> Wallet:
    monkeypatch.setattr(run_work, "let_others_write", lambda: None)
    return new_wallet(application, uses_dpop=True)


def holds(application: Application, wallet: Wallet, number: str) -> None:
    wallet.redeem(wallet.read_offer(offer_of(application, number, type_id=PERMIT).link))
    assert wallet.ask(SD_JWT, [new_key(), new_key()]).status_code == 200


def values(application: Application, number: str) -> list[int]:
    with application.reading() as session:
        query = select(EudiCredentialRow.status_value).where(
            EudiCredentialRow.tenant == application.tenant, EudiCredentialRow.number == number
        )
        return list(session.scalars(query.order_by(EudiCredentialRow.issued_at)))


def holder(application: Application, number: str) -> Holder:
    with application.reading() as session:
        row = session.get_one(PassRow, (application.tenant, PERMIT, number))
        return holder_of(session.get_one(HolderRow, (application.tenant, row.holder_ref)))


def test_another_address_by_a_file(city: City, application: Application, wallet: Wallet) -> None:
    """The same again is no change; another street is one, and the wallet fetches what is so now."""
    number = running_numbers(application)[0]
    holds(application, wallet, number)
    before = holder(application, number)
    moved = replace(before, street="Pastorswiesenring", house_number="31")
    by_command(city, application, before)
    assert values(application, number) == [0, 0]
    with application.writing() as session:
        put_holders(session, application.tenant, {moved.ref: moved}, application.now(), "test")
    assert holder(application, number) == moved
    assert values(application, number) == [1, 1]
    assert wallet.refresh().status_code == 200
    assert wallet.ask(SD_JWT, [new_key()]).status_code == 200
    assert sorted(values(application, number)) == [0, 1, 1]


@pytest.mark.parametrize(
    ("way", "changed"),
    [
        (by_command, {"street": "Am Wehrhahn"}),
        (by_console, {"family_name": "Ğül"}),
        (by_console, {"doctoral_degree": "Prof."}),
        (by_console, {"language": "en"}),
    ],
)
def test_each_field_by_each_file(
    city: City, application: Application, wallet: Wallet, way: Way, changed: dict[str, str]
) -> None:
    number, bystander = running_numbers(application)[:2]
    holds(application, wallet, number)
    holds(application, wallet, bystander)
    way(city, application, replace(holder(application, number), **changed))
    assert values(application, number) == [1, 1]
    assert values(application, bystander) == [0, 0]
    with application.reading() as session:
        [entry] = [
            one
            for one in audit.history(session, application.tenant, subject(PERMIT, number))
            if one.action == "holder-changed"
        ]
    assert entry.after == {"fields": list(changed)}


def test_a_mail_address_stands_on_nothing(city: City, application: Application, wallet: Wallet) -> None:
    number = running_numbers(application)[0]
    holds(application, wallet, number)
    by_command(city, application, replace(holder(application, number), email="other@example.org"))
    assert holder(application, number).email == "other@example.org"
    client = browser(application)
    visit(client, application, number, PERMIT)
    send(client, "/p/pass/data/rights/erase", mail="1", last_day="", number="")
    assert values(application, number) == [0, 0]


def test_by_the_api(application: Application, wallet: Wallet, serve: Callable[..., object]) -> None:
    number = running_numbers(application)[0]
    holds(application, wallet, number)
    body = permit()
    body["holder"]["ref"] = holder(application, number).ref
    answer = office_of(serve, application).post(PASSES, json=body)  # type: ignore[arg-type]
    assert answer.status_code == 201, answer.text
    assert holder(application, number).family_name == "Müller-Lüdenscheidt"
    assert values(application, number) == [1, 1]


def test_undoing_an_import_brings_a_name_back_and_is_a_change_too(
    application: Application, wallet: Wallet
) -> None:
    number = running_numbers(application)[0]
    before = holder(application, number)
    run_id = taken_in(application, another_row(replace(before, family_name="Ğül")))
    assert holder(application, number).family_name == "Ğül"
    holds(application, wallet, number)
    with application.writing() as session:
        runs.undo(session, application, run_id, revoke_touched=False, actor="test")
    run_work.run_task(application, {"id": run_id})
    assert holder(application, number) == before
    assert values(application, number) == [1, 1]


def test_all_or_nothing(application: Application, wallet: Wallet) -> None:
    number = running_numbers(application)[0]
    holds(application, wallet, number)
    moved = replace(holder(application, number), street="Am Wehrhahn")

    def fails() -> None:
        with application.writing() as session:
            put_holders(session, application.tenant, {moved.ref: moved}, application.now(), "test")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    assert values(application, number) == [0, 0]
    assert holder(application, number) != moved


def test_what_has_ended_hears_of_nothing(application: Application) -> None:
    number = running_numbers(application)[0]
    moved = replace(holder(application, number), street="Am Wehrhahn")
    with application.writing() as session:
        session.get_one(PassRow, (application.tenant, PERMIT, number)).status = "revoked"
        put_holders(session, application.tenant, {moved.ref: moved}, application.now(), "test")
        assert follow(session, application.tenant, PERMIT, number, application.now(), says_else=True) == 0
        assert session.scalars(select(WebhookDeliveryRow)).all() == []
    with application.reading() as session:
        history = audit.history(session, application.tenant, subject(PERMIT, number))
    assert "holder-changed" not in [one.action for one in history]


def test_nothing_else_writes_holders() -> None:
    """Who finds another way must take this one: a name that changes silently leaves credentials that say the old."""
    here = Path(put_holders.__code__.co_filename)
    writers = {
        file.relative_to(here.parent).as_posix()
        for file in here.parent.rglob("*.py")
        for text in [file.read_text("utf-8").replace("\n", " ")]
        if "insert(HolderRow" in text
        or "update(HolderRow" in text
        or "HolderRow(" in text.replace("class ", "")
    }
    # Erasure clears the mail address, and nothing else.
    assert writers - {"models.py", "models_imports.py"} == {
        "holder_changes.py",
        "pickup/erasure.py",
        "importing/run_work.py",
    }
