"""Another card number on the command line: as at the library's desk."""

from __future__ import annotations

from pathlib import Path

import pytest

from issuer.application import Application
from issuer.library import members
from issuer.lifecycle import Actor, suspend
from issuer.models import PassRow
from issuer.models_library import BlockReason
from tests.issuer.library.test_card_lookup import VALID, number_of
from tests.issuer.publication.test_app_devices import ON_ONE_DATABASE
from tests.issuer.test_backup import LATER, run
from tests.service import CARD, TODAY, City

NEW, NEWER = "BQD18N900000", "BQD18N900001"
BY = Actor("test", TODAY, "test")


@ON_ONE_DATABASE
def test_a_lost_card_holds_again_with_its_new_number_and_others_do_not(
    city: City, application: Application, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    number = number_of(application, VALID)
    pass_type = application.pass_types[CARD]

    def changed(card: str) -> tuple[int, str | None, str]:
        command = ("change", number, "--type", CARD, "--card-number", card, "--out", tmp_path / "out")
        code = run(*command, "--data", city.folder, "--at", LATER)
        with application.reading() as session:
            row = session.get_one(PassRow, (application.tenant, CARD, number))
            return code, row.card_key, row.status

    with application.writing() as session:
        members.block(session, application.tenant, pass_type, number, BlockReason.LOST, actor=BY)
    assert changed(NEW) == (0, NEW, "active")
    with application.writing() as session:
        members.block(session, application.tenant, pass_type, number, BlockReason.FEES, actor=BY)
    assert changed(NEWER) == (0, NEWER, "suspended")
    with application.writing() as session:
        members.unblock(session, application.tenant, pass_type, number, actor=BY)
        suspend(session, application.tenant, CARD, number, actor=BY)
    capsys.readouterr()
    # Suspended by others than the library: they decide, and the sentence says what to do first.
    assert changed("BQD18N900002") == (64, NEWER, "suspended")
    assert "resume" in capsys.readouterr().err
