"""Noting changes: update tags, Last-Modified, and what reaches which tenant."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import timedelta

import pytest
from sqlalchemy import select

from issuer import lifecycle, wallet_passes
from issuer.application import Application
from issuer.cli import main
from issuer.lifecycle import Actor
from issuer.models_delivery import AppleDeviceRow, AppleRegistrationRow, WalletPassRow
from passes.model import MainCode
from tests.service import CARD, PERMIT, City, running_numbers


def wallet_rows(application: Application) -> list[WalletPassRow]:
    with application.reading() as session:
        return list(
            session.scalars(
                select(WalletPassRow)
                .where(WalletPassRow.tenant == application.tenant, WalletPassRow.type_id == PERMIT)
                .order_by(WalletPassRow.number)
            )
        )


def wallet_row(application: Application, number: str) -> WalletPassRow:
    return next(row for row in wallet_rows(application) if row.number == number)


def suspend(application: Application, number: str) -> None:
    with application.writing() as session:
        lifecycle.suspend(
            session, application.tenant, PERMIT, number, actor=Actor("test", application.now(), "why")
        )


def resume(application: Application, number: str) -> None:
    with application.writing() as session:
        lifecycle.resume(
            session, application.tenant, PERMIT, number, actor=Actor("test", application.now(), "why")
        )


def test_two_changes_within_a_second_have_two_tags_and_two_http_dates(
    application: Application, city: City
) -> None:
    before = wallet_row(application, running_numbers(application)[0])
    city.clock.forward(hours=1)
    suspend(application, before.number)
    first = wallet_row(application, before.number)
    resume(application, before.number)
    second = wallet_row(application, before.number)
    assert before.update_tag < first.update_tag < second.update_tag
    assert second.modified_at - first.modified_at == timedelta(seconds=1)
    assert first.modified_at.microsecond == 0


def test_a_change_leaves_other_passes_and_other_tenants_alone(
    application: Application, neighbour: Application, city: City
) -> None:
    city.clock.forward(hours=1)
    others = [row.update_tag for row in wallet_rows(neighbour)]
    mine = [row.update_tag for row in wallet_rows(application)]
    number = running_numbers(application)[0]
    suspend(application, number)
    after = [row.update_tag for row in wallet_rows(application)]
    assert [row.update_tag for row in wallet_rows(neighbour)] == others
    changed = [index for index, pair in enumerate(zip(mine, after, strict=True)) if pair[0] != pair[1]]
    assert [wallet_rows(application)[index].number for index in changed] == [number]


def test_a_change_that_is_rolled_back_leaves_no_trace(application: Application, city: City) -> None:
    city.clock.forward(hours=1)
    before = [(row.update_tag, row.modified_at) for row in wallet_rows(application)]
    number = running_numbers(application)[0]
    try:
        with application.writing() as session:
            actor = Actor("test", application.now(), "why")
            lifecycle.suspend(session, application.tenant, PERMIT, number, actor=actor)
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert [(row.update_tag, row.modified_at) for row in wallet_rows(application)] == before


def test_a_setting_on_every_pass_moves_those_that_wallets_hold(application: Application, city: City) -> None:
    held, wanted, nowhere = running_numbers(application)[:3]
    with application.writing() as session:
        device = {"tenant": application.tenant, "device_id": "a" * 32}
        session.add(
            AppleDeviceRow(**device, push_token="ab" * 32, created_at=city.clock(), updated_at=city.clock())
        )
        session.flush()
        serial = wallet_row(application, held).serial
        session.add(AppleRegistrationRow(**device, serial=serial, created_at=city.clock()))
        key = (application.tenant, wallet_row(application, wanted).serial)
        session.get_one(WalletPassRow, key).google_wanted = True
    before = {number: wallet_row(application, number).update_tag for number in (held, wanted, nowhere)}
    city.clock.forward(hours=1)
    data = ["--data", str(application.workspace.folder), "--at", city.clock().isoformat()]
    assert main(["config", "set", "city_name", "Neustadt", *data]) == 0
    after = {number: wallet_row(application, number).update_tag for number in before}
    assert [number for number in before if after[number] > before[number]] == [held, wanted]
    assert main(["config", "set", "city_name", "Neustadt", *data]) == 0
    assert {number: wallet_row(application, number).update_tag for number in before} == after


def test_the_code_of_library_cards_moves_library_cards_alone(application: Application, city: City) -> None:
    permit, card = running_numbers(application)[0], running_numbers(application, CARD)[0]
    with application.writing() as session:
        for type_id, number in ((PERMIT, permit), (CARD, card)):
            row = session.scalars(
                select(WalletPassRow).filter_by(tenant=application.tenant, type_id=type_id, number=number)
            ).one()
            row.google_wanted = True

    def tags() -> dict[str, int]:
        with application.reading() as session:
            return {
                row.number: row.update_tag
                for row in session.scalars(
                    select(WalletPassRow).where(WalletPassRow.tenant == application.tenant)
                )
            }

    before = tags()
    data = ["--data", str(application.workspace.folder), "--at", city.clock().isoformat()]
    assert main(["config", "set", "library_main_code", "number", *data]) == 0
    after = tags()
    assert [number for number in before if after[number] != before[number]] == [card]
    with application.reading() as session:
        serial = session.scalars(
            select(WalletPassRow.serial).filter_by(tenant=application.tenant, type_id=CARD, number=card)
        ).one()
        found = wallet_passes.find(application, session, serial)
        assert found is not None
        made = wallet_passes.apple_pass(application, session, found)
    codes = json.loads(zipfile.ZipFile(io.BytesIO(made)).read("pass.json"))["barcodes"]
    assert codes[0]["message"] == codes[0]["altText"]
    # A word that is no code changes nothing.
    assert main(["config", "set", "library_main_code", "both", *data]) != 0
    assert tags() == after


@pytest.mark.parametrize("value", ['["codabar14", "mod97"]', '["Ess en"]', "codabar14", "[1]"])
def test_schemes_that_do_not_exist_are_refused_with_those_that_do(
    city: City, application: Application, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data", str(application.workspace.folder), "--at", city.clock().isoformat()]
    assert main(["config", "set", "library_card_schemes", '["codabar14", "mod11"]', *data]) == 0
    capsys.readouterr()
    assert main(["config", "set", "library_card_schemes", value, *data]) != 0
    said = capsys.readouterr()
    assert "codabar14, mod11, sbc_kennung, sbc_like" in said.out + said.err
    assert "Expected" not in said.out + said.err
    with application.reading() as session:
        assert application.settings(session).library_card_schemes == ("codabar14", "mod11")
    assert main(["config", "set", "library_card_schemes", "[]", *data]) == 0


def test_a_main_code_that_does_not_exist_is_refused_with_those_that_do(
    city: City, application: Application, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data", str(application.workspace.folder), "--at", city.clock().isoformat()]
    for value in ("both", "7"):
        assert main(["config", "set", "library_main_code", value, *data]) != 0
        said = capsys.readouterr()
        assert all(one.value in said.out + said.err for one in MainCode)
        assert "nvalid" not in said.out + said.err
