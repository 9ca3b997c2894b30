"""Change, revoke, suspend, resume and reissue."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from issuer import audit
from issuer.errors import RegisterRefusal
from issuer.lifecycle import (
    Actor,
    Changes,
    change,
    find_type,
    reissue,
    resume,
    revoke,
    suspend,
)
from issuer.pass_view import PassView, show
from issuer.register import plate_lines
from issuer.status_allocation import status_entries
from issuer.tariffs import zones_from_csv
from keys.errors import Refusal
from passes.card_numbers import CardNumber
from passes.display import day_text
from passes.model import PassContent, PassStatus, RegisteredPlate
from passes.pass_types import PassType
from passes.periods import BERLIN, berlin_day
from passes.plate_list import key_of
from passes.plates import Plate
from passes.seasons import Season
from passes.status_list import Status
from passes.zones import Zone
from tests.issuer.register_samples import (
    CARD,
    PERMIT,
    TODAY,
    SampleRegister,
    places,
    sample_register,
    sample_rows,
    seal_for,
)

MERGED = (
    "zone_code;zone_name;valid_from;valid_until\nBÖ;Börsenwiese;;2026-11-20\nMÜ;Münsterstraße;2026-11-21;\n"
)
ROWS = sample_rows("permits_valid.csv")
NUMBER = ROWS[0]["permit_id"]
LATER = TODAY + timedelta(hours=1)
BY = Actor("clerk", LATER, "phone lost")
NEW_PLATE = RegisteredPlate(Plate("D", "XY", "77"), Season(4, 10))


@pytest.fixture
def register(register_url: str) -> Iterator[SampleRegister]:
    with sample_register(register_url) as opened:
        opened.load("permits_valid.csv")
        opened.load("library_valid.csv")
        opened.load("permits_valid.csv", tenant="neuss")
        yield opened


def view(register: SampleRegister, number: str = NUMBER, pass_type: PassType = PERMIT) -> PassView:
    with register.reading() as session:
        return show(session, register.tenant, pass_type, number)


def entry(register: SampleRegister, shown: PassView, n: int) -> int:
    """What the status list says of revision ``n``, read as `publish` reads it."""
    place = next(one.place for one in shown.revisions if one.n == n)
    assert place is not None
    with register.reading() as session:
        lists = {one.number: dict(one.entries) for one in status_entries(session, register.tenant)}
    return lists[place[0]][place[1]]


def changed(
    register: SampleRegister, changes: Changes, number: str = NUMBER, pass_type: PassType = PERMIT
) -> PassContent:
    with register.writing() as session:
        return change(
            session,
            register.tenant,
            pass_type,
            number,
            changes,
            seal_for=seal_for,
            actor=Actor("clerk", LATER),
        )


def code(
    register: SampleRegister, changes: Changes, number: str = NUMBER, pass_type: PassType = PERMIT
) -> str:
    with pytest.raises(Refusal) as caught:
        changed(register, changes, number, pass_type)
    assert all(caught.value.sentence(language) for language in ("de", "en"))
    return caught.value.code


def test_a_change_makes_a_new_revision_and_supersedes_the_old(register: SampleRegister) -> None:
    before = view(register)
    content = changed(register, Changes(plates=(NEW_PLATE,), zone_code="MU\u0308"))
    after = view(register)
    assert content == after.content
    assert content.attributes["plates"] == (NEW_PLATE,)
    assert content.attributes["zone"] == Zone("MÜ", "Münsterstraße")
    assert (content.issued_at, content.period) == (LATER, before.content.period)
    assert content.seal != before.content.seal
    # Apple and Google know the pass by these: only if they stay is the pass on the phone updated.
    assert (content.serial, content.apple_token) == (before.content.serial, before.content.apple_token)
    assert [(one.n, one.superseded_at) for one in after.revisions] == [(1, LATER), (2, None)]
    assert (entry(register, after, 1), entry(register, after, 2)) == (Status.SUPERSEDED, Status.VALID)
    assert after.history[-1].before == {"plates": ["D-NC 7682"], "zone": "BÖ"}
    assert after.history[-1].after == {"plates": ["D-XY 77 (04-10)"], "zone": "MÜ"}
    with register.reading() as session:
        keys = {key_of(one).decode() for one in plate_lines(session, register.tenant, LATER, LATER)}
        there = show(session, "neuss", PERMIT, NUMBER)
    assert "D|XY|77|" in keys
    assert "D|NC|7682|" not in keys
    assert len(there.revisions) == 1


def test_after_a_change_the_old_row_is_no_longer_the_same(register: SampleRegister) -> None:
    changed(register, Changes(plates=(NEW_PLATE,)))
    checked = register.check("permits_valid.csv")
    assert places(checked.findings) == [(1, "permit_id", "error", "DUPLICATE_ID")]
    assert "plate_1, season_1" in checked.findings[0].sentence("de")
    legacy = register.check("permits_legacy_cp1252.csv", encoding="cp1252")
    assert [(one.row, one.field, one.code) for one in legacy.findings] == [(1, "Ausweis-Nr.", "DUPLICATE_ID")]
    assert "Kennzeichen 1" in legacy.findings[0].sentence("de")
    changed(register, Changes(plates=(RegisteredPlate(Plate.parse(ROWS[0]["plate_1"])),)))
    assert len(register.check("permits_valid.csv").unchanged) == 200


def test_two_plates_make_the_permit_one_for_two_plates(register: SampleRegister) -> None:
    second = RegisteredPlate(Plate("D", "XY", "78"))
    content = changed(register, Changes(plates=(NEW_PLATE, second)))
    assert content.attributes["permit_kind"] == "two_plates"
    assert changed(register, Changes(plates=(second,))).attributes["permit_kind"] == "standard"


def test_a_card_number_is_given_out_once(register: SampleRegister) -> None:
    free = CardNumber.parse("24711390000101", "codabar14", "CODABAR")
    content = changed(register, Changes(card_number=free), "M500020", CARD)
    assert content.attributes["card_number"] == free
    assert code(register, Changes(card_number=free), "M500021", CARD) == "CARD_TAKEN"
    given_back = CardNumber.parse("D402107403", "mod11", "CODE_128")
    assert code(register, Changes(card_number=given_back), "M500021", CARD) == "CARD_SPENT"
    assert code(register, Changes(card_number=given_back), "M500020", CARD) == "CARD_SPENT"
    imported = CardNumber.parse("D402469631", "mod11", "CODE_128")
    assert code(register, Changes(card_number=imported), "M500021", CARD) == "CARD_SPENT"


def test_what_a_change_refuses(register: SampleRegister) -> None:
    plates = Changes(plates=(NEW_PLATE,))
    assert code(register, Changes()) == "NOTHING_CHANGES"
    assert code(register, Changes(zone_code=ROWS[0]["zone_code"])) == "NOTHING_CHANGES"
    assert code(register, Changes(zone_code="ZZ")) == "ZONE_UNKNOWN"
    assert code(register, plates, "BPA-0") == "NUMBER_UNKNOWN"
    assert code(register, plates, "M500020", CARD) == "ATTRIBUTE_NOT_OF_TYPE"
    assert code(register, Changes(plates=(NEW_PLATE,) * 2)) == "PLATE_COUNT"
    assert code(register, Changes(plates=())) == "PLATE_COUNT"
    for place, expected in ((92, "PLATES_NOT_OF_KIND"), (97, "PLATES_NOT_OF_KIND"), (14, "PASS_ENDED"),
                            (100, "PASS_SUPERSEDED"), (110, "PASS_REVOKED"), (118, "PASS_UNPAID"),
                            (123, "PASS_SUSPENDED")):  # fmt: skip
        assert code(register, plates, ROWS[place]["permit_id"]) == expected
    with register.reading() as session:
        assert audit.verify(session, register.tenant).entries == 400


def test_the_last_day_can_still_be_changed_and_the_next_cannot(register: SampleRegister) -> None:
    number = ROWS[13]["permit_id"]
    for at, expected in ((datetime(2026, 11, 21, tzinfo=BERLIN), "PASS_ENDED"), (LATER, None)):
        with register.writing() as session:
            try:
                reissue(
                    session, register.tenant, PERMIT, number, seal_for=seal_for, actor=Actor("c", at, "x")
                )
                found = None
            except RegisterRefusal as refusal:
                found = refusal.code
        assert found == expected


def test_reissue_gives_the_same_right_a_new_seal(register: SampleRegister) -> None:
    before = view(register).content
    with register.writing() as session:
        content = reissue(session, register.tenant, PERMIT, NUMBER, seal_for=seal_for, actor=BY)
    after = view(register)
    assert (content.attributes, content.period, content.status) == (
        before.attributes, before.period, before.status,
    )  # fmt: skip
    assert not {before.seal, before.serial, before.apple_token} & {
        content.seal, content.serial, content.apple_token,
    }  # fmt: skip
    assert (entry(register, after, 1), entry(register, after, 2)) == (Status.SUPERSEDED, Status.VALID)
    assert (after.history[-1].action, after.history[-1].reason) == ("reissue", "phone lost")


def test_suspend_resume_revoke(register: SampleRegister) -> None:
    steps = [
        (suspend, PassStatus.SUSPENDED, Status.SUSPENDED),
        (resume, PassStatus.ACTIVE, Status.VALID),
        (suspend, PassStatus.SUSPENDED, Status.SUSPENDED),
        (revoke, PassStatus.REVOKED, Status.INVALID),
    ]
    for step, status, value in steps:
        with register.writing() as session:
            step(session, register.tenant, PERMIT.id, NUMBER, actor=BY)
        shown = view(register)
        assert (shown.content.status, entry(register, shown, 1)) == (status, value)
    assert [one.action for one in shown.history] == ["import", "suspend", "resume", "suspend", "revoke"]
    assert shown.history[-1].before == {"status": "suspended"}
    with register.reading() as session:
        keys = {key_of(one).decode() for one in plate_lines(session, register.tenant, LATER, LATER)}
        there = show(session, "neuss", PERMIT, NUMBER).content.status
        assert audit.verify(session, register.tenant).fault is None
    assert "D|NC|7682|" not in keys
    assert there is PassStatus.ACTIVE


def test_a_revocation_reaches_the_current_revision_and_old_ones_stay_superseded(
    register: SampleRegister,
) -> None:
    changed(register, Changes(zone_code="HO"))
    with register.writing() as session:
        revoke(session, register.tenant, PERMIT.id, NUMBER, actor=BY)
    shown = view(register)
    assert (entry(register, shown, 1), entry(register, shown, 2)) == (Status.SUPERSEDED, Status.INVALID)


def test_what_steps_refuse(register: SampleRegister) -> None:
    cases = [
        (resume, 0, "PASS_NOT_SUSPENDED"), (suspend, 123, "PASS_SUSPENDED"), (suspend, 110, "PASS_REVOKED"),
        (resume, 110, "PASS_REVOKED"), (revoke, 110, "PASS_REVOKED"), (revoke, 100, "PASS_SUPERSEDED"),
        (suspend, 14, "PASS_ENDED"), (suspend, 118, "PASS_UNPAID"),
    ]  # fmt: skip
    for step, place, expected in cases:
        with pytest.raises(RegisterRefusal) as caught, register.writing() as session:
            step(session, register.tenant, PERMIT.id, ROWS[place]["permit_id"], actor=BY)
        assert caught.value.code == expected
        assert all(caught.value.sentence(language) for language in ("de", "en"))
    for reason in (None, "  ", "a\nb", "x" * 501):
        with pytest.raises(RegisterRefusal) as caught, register.writing() as session:
            revoke(session, register.tenant, PERMIT.id, NUMBER, actor=Actor("clerk", LATER, reason))
        assert caught.value.code == "REASON_MISSING"


def test_an_import_never_changes_a_status(register: SampleRegister) -> None:
    with register.writing() as session:
        revoke(session, register.tenant, PERMIT.id, NUMBER, actor=BY)
    checked = register.load("permits_valid.csv")
    assert places(checked.findings) == [(1, "permit_id", "error", "DUPLICATE_ID")]
    assert register.check("permits_legacy_cp1252.csv", encoding="cp1252").refused == 0
    assert view(register).content.status is PassStatus.REVOKED


def test_numbers_are_found_by_type(register: SampleRegister) -> None:
    with register.reading() as session:
        assert find_type(session, register.tenant, NUMBER) == PERMIT.id
        assert find_type(session, register.tenant, "M500020", CARD.id) == CARD.id
        for number, type_id in (("M500020", PERMIT.id), ("M1", None)):
            with pytest.raises(RegisterRefusal) as caught:
                find_type(session, register.tenant, number, type_id)
            assert caught.value.code == "NUMBER_UNKNOWN"
        with pytest.raises(RegisterRefusal):
            find_type(session, "neuss", "M500020")


def test_a_number_of_two_types_must_be_told_apart(register: SampleRegister) -> None:
    row = sample_rows("library_valid.csv")[20] | {"member_id": NUMBER, "card_number": "24711390000101",
                                                  "card_scheme": "codabar14", "symbology": "CODABAR"}  # fmt: skip
    register.enter(register.check_text(f"{';'.join(row)}\n{';'.join(row.values())}\n", CARD))
    with register.reading() as session:
        with pytest.raises(RegisterRefusal) as caught:
            find_type(session, register.tenant, NUMBER)
        assert caught.value.code == "NUMBER_AMBIGUOUS"
        assert find_type(session, register.tenant, NUMBER, CARD.id) == CARD.id


def test_nobody_is_moved_into_a_zone_that_has_ended_or_not_begun(
    register: SampleRegister, tmp_path: Path
) -> None:
    table = tmp_path / "zones.csv"
    table.write_text(MERGED, "utf-8")
    with register.writing() as session:
        zones_from_csv(session, register.tenant, table)
    other = next(row["permit_id"] for row in ROWS if row["zone_code"] not in ("BÖ", "MÜ")
                 and row["status"] == "active" and row["valid_from"] < "2026-11-20" < row["valid_to"])  # fmt: skip

    def moved(zone: str, at: datetime, number: str = other) -> PassContent:
        with register.writing() as session:
            return change(
                session, register.tenant, PERMIT, number, Changes(zone_code=zone),
                seal_for=seal_for, actor=Actor("clerk", at),
            )  # fmt: skip

    midnight = datetime(2026, 11, 21, tzinfo=BERLIN)
    for zone, at in (("MÜ", midnight - timedelta(seconds=1)), ("BÖ", midnight)):
        with pytest.raises(Refusal) as caught:
            moved(zone, at)
        assert caught.value.code == "ZONE_ENDED"
        for language in ("de", "en"):
            assert f"{zone}, " not in caught.value.sentence(language)
            assert day_text(berlin_day(at), language) in caught.value.sentence(language)
    assert moved("BÖ", midnight - timedelta(seconds=1)).attributes["zone"] == Zone("BÖ", "Börsenwiese")
    assert moved("MÜ", midnight).attributes["zone"] == Zone("MÜ", "Münsterstraße")


def test_a_permit_that_begins_later_may_get_a_zone_of_then(register: SampleRegister, tmp_path: Path) -> None:
    table = tmp_path / "zones.csv"
    table.write_text(MERGED, "utf-8")
    future = next(row["permit_id"] for row in ROWS if row["status"] == "not_yet_valid"
                  and row["valid_from"] > "2026-11-20" and row["zone_code"] not in ("BÖ", "MÜ"))  # fmt: skip
    with register.writing() as session:
        zones_from_csv(session, register.tenant, table)
    assert changed(register, Changes(zone_code="MÜ"), future).attributes["zone"] == Zone(
        "MÜ", "Münsterstraße"
    )
    assert code(register, Changes(zone_code="BÖ"), future) == "ZONE_ENDED"


def test_a_permit_of_a_merged_zone_keeps_it_through_other_changes(
    register: SampleRegister, tmp_path: Path
) -> None:
    table = tmp_path / "zones.csv"
    table.write_text("zone_code;zone_name;valid_until\nBÖ;Börsenwiese;2026-11-01\n", "utf-8")
    with register.writing() as session:
        zones_from_csv(session, register.tenant, table)
    assert changed(register, Changes(plates=(NEW_PLATE,))).attributes["zone"] == Zone("BÖ", "Börsenwiese")
