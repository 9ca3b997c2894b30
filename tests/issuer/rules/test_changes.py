"""Changing zones, fees and kinds from a day on: preview, refusals, effect and undoing, on both databases."""

from collections.abc import Callable
from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import update

from issuer import audit
from issuer.application import Application
from issuer.errors import IssuerRefusal
from issuer.models import PassRow
from issuer.rules.changes import (
    Change,
    EvidenceChange,
    FeeChange,
    KindChange,
    ZoneChange,
    made_changes,
    make_change,
    preview,
    undo_change,
)
from issuer.rules.city_rules import CityRules, load_rules
from issuer.rules.kinds import EvidenceType
from issuer.rules.quotes import NoQuote, NoQuoteReason, Quote
from issuer.rules.touched import Preview
from tests.service import PERMIT

DAY = date(2027, 6, 1)
BEFORE = DAY - timedelta(days=1)


def rules(application: Application) -> CityRules:
    with application.reading() as session:
        return load_rules(session, application.tenant, PERMIT)


def make(application: Application, change: Change) -> str:
    with application.writing() as session:
        return make_change(session, application.tenant, change, application.now(), "test", "Beschluss")


def look(application: Application, change: Change) -> Preview:
    with application.reading() as session:
        return preview(session, application.tenant, change, application.now())


def undo(application: Application, change_id: str) -> None:
    with application.writing() as session:
        undo_change(session, application.tenant, change_id, application.now(), "test")


def issued(application: Application, number: str, at: datetime, first: date | None = None) -> None:
    """Let a permit of the demo have been issued at another time, or begin on another day."""
    values: dict[str, object] = {"created_at": at}
    if first is not None:
        values |= {"period_first": first, "period_last": first + timedelta(days=364)}
    with application.writing() as session:
        session.execute(
            update(PassRow)
            .where(PassRow.tenant == application.tenant, PassRow.number == number)
            .values(**values)
        )


def cents(found: Quote | NoQuote) -> int:
    assert isinstance(found, Quote), found
    return found.cents


def test_a_fee_from_a_day_on(application: Application, neighbour: Application) -> None:
    change = FeeChange("", "online", 12, DAY, 4000)
    found = look(application, change)
    assert found.count > 0
    assert found.numbers[0].startswith("BPA-")
    assert found.first_renewal is not None
    assert found.first_renewal > DAY
    assert found.hindering == ()
    assert cents(rules(application).quote("BÖ", "online", 12, DAY)) == 2500
    made = make(application, change)
    assert cents(rules(application).quote("BÖ", "online", 12, BEFORE)) == 2500
    assert cents(rules(application).quote("BÖ", "online", 12, DAY)) == 4000
    assert cents(rules(neighbour).quote("BÖ", "online", 12, DAY)) == 2500
    with pytest.raises(IssuerRefusal, match="RULE_CHANGE_EXISTS"):
        make(application, FeeChange("", "online", 12, DAY, 5000))
    with application.reading() as session:
        entry = audit.history(session, application.tenant, "rule/fee/|online|12")[-1]
    assert (entry.before, entry.after and entry.after["cents"]) == ({"cents": 2500}, 4000)
    undo(application, made)
    assert cents(rules(application).quote("BÖ", "online", 12, DAY)) == 2500
    with pytest.raises(IssuerRefusal, match="RULE_CHANGE_UNDONE"):
        undo(application, made)
    with application.reading() as session:
        assert made_changes(session, application.tenant) == []
        assert [one.id for one in made_changes(session, application.tenant, undone=True)] == [made]


def test_a_class_of_its_own_and_a_term_that_is_no_longer_offered(application: Application) -> None:
    make(application, FeeChange("C", "online", 12, DAY, 3600))
    make(application, FeeChange("", "online", 24, DAY, None))
    known = rules(application)
    assert cents(known.quote("EG", "online", 12, DAY)) == 3600
    assert cents(known.quote("BÖ", "online", 12, DAY)) == 2500
    none = known.quote("BÖ", "online", 24, DAY)
    assert isinstance(none, NoQuote)
    assert (none.reason, none.offered) == (NoQuoteReason.TERM_NOT_OFFERED, (12,))
    assert known.terms("standard", "BÖ", "online", BEFORE) == (12, 24)
    assert known.terms("standard", "BÖ", "online", DAY) == (12,)


@pytest.mark.parametrize(
    ("zone", "channel", "reason"),
    [
        ("XX", "online", NoQuoteReason.ZONE_UNKNOWN),
        ("<script>", "online", NoQuoteReason.ZONE_UNKNOWN),
        ("BÖ", "fax", NoQuoteReason.CHANNEL_UNKNOWN),
    ],
)
def test_why_there_is_no_fee(
    application: Application, zone: str, channel: str, reason: NoQuoteReason
) -> None:
    found = rules(application).quote(zone, channel, 12, DAY)
    assert isinstance(found, NoQuote)
    assert found.reason is reason
    assert found.sentence("de") != found.sentence("en")


def test_a_merged_zone_lives_on_in_its_successor(application: Application) -> None:
    change = ZoneChange("LW", DAY, merged_into="BÖ")
    found = look(application, change)
    assert found.count > 0
    made = make(application, change)
    known = rules(application)
    before, after = known.zone_on("LW", BEFORE), known.zone_on("LW", DAY)
    assert before is not None
    assert after is not None
    assert (before.zone.code, after.zone.code) == ("LW", "BÖ")
    ended = known.quote("LW", "online", 12, DAY)
    assert isinstance(ended, NoQuote)
    assert ended.reason is NoQuoteReason.ZONE_ENDED
    # The chain goes on, and nothing merges into what has ended.
    make(application, ZoneChange("BÖ", DAY + timedelta(days=30), merged_into="HO"))
    later = rules(application).zone_on("LW", DAY + timedelta(days=30))
    assert later is not None
    assert later.zone.code == "HO"
    with pytest.raises(IssuerRefusal, match="ZONE_SUCCESSOR"):
        make(application, ZoneChange("AK", DAY, merged_into="LW"))
    undo(application, made)
    assert rules(application).zones["LW"].holds_on(DAY)


def test_no_zone_ends_before_permits_that_were_issued_in_it(application: Application) -> None:
    begun = application.now()
    number = look(application, ZoneChange("BÖ", DAY, ends=True)).numbers[0]
    issued(application, number, begun, DAY + timedelta(days=4))
    change = ZoneChange("BÖ", DAY, ends=True)
    found = look(application, change)
    assert found.hindering == (number,)
    assert found.earliest == DAY + timedelta(days=5)
    with pytest.raises(IssuerRefusal, match="RULE_OVER_ISSUED"):
        make(application, change)
    make(application, ZoneChange("BÖ", DAY + timedelta(days=5), ends=True))


def test_names_and_classes_change_by_day(application: Application) -> None:
    make(application, ZoneChange("AK", DAY, name="Alte Kämpe Nord", tariff_class="C"))
    zone = rules(application).zones["AK"]
    assert (zone.on(BEFORE).zone.name, zone.on(BEFORE).tariff_class) == ("Alte Kämpe", "A")
    assert (zone.on(DAY).zone.name, zone.on(DAY).tariff_class) == ("Alte Kämpe Nord", "C")


def test_a_new_zone_begins_and_is_held_by_what_rests_on_it(application: Application) -> None:
    made = make(application, ZoneChange("NÜ", DAY, name="Nüssleinhof"))
    assert not rules(application).zones["NÜ"].holds_on(BEFORE)
    assert rules(application).zones["NÜ"].holds_on(DAY)
    resting = make(application, ZoneChange("AK", DAY, merged_into="NÜ"))
    with pytest.raises(IssuerRefusal, match="RULE_CHANGE_NEEDED"):
        undo(application, made)
    undo(application, resting)
    undo(application, made)
    assert "NÜ" not in rules(application).zones


@pytest.mark.parametrize(
    "change",
    [
        lambda day: FeeChange("", "online", 12, day, 4000),
        lambda day: ZoneChange("BÖ", day, tariff_class="C"),
        lambda day: ZoneChange("BÖ", day, name="Börse"),
        lambda day: KindChange(PERMIT, "standard", day, {"plate_changes_per_year": 5}),
    ],
)
def test_what_was_used_is_not_undone(application: Application, change: Callable[[date], Change]) -> None:
    made = make(application, change(DAY))
    issued(application, "BPA-2026-100001", application.now() - timedelta(days=1))
    later = datetime(2027, 6, 2, 12, tzinfo=application.now().tzinfo)
    issued(application, "BPA-2026-100001", later)
    with pytest.raises(IssuerRefusal, match="RULE_CHANGE_USED") as caught:
        undo(application, made)
    assert "BPA-2026-100001" in caught.value.sentence("de")


def test_fees_of_today_are_fixed_once_a_permit_was_issued(application: Application) -> None:
    today = application.now().date()
    found = look(application, FeeChange("", "online", 12, today, 4000))
    assert found.hindering
    assert found.earliest == today + timedelta(days=1)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (FeeChange("", "online", 12, date(2026, 11, 19), 1), "RULE_DAY_PAST"),
        (FeeChange("", "online", 12, DAY, 2500), "RULE_NOTHING_CHANGES"),
        (FeeChange("", "online", 12, DAY, -1), "INTEGER_FORMAT"),
        (FeeChange("", "on line", 12, DAY, 1), "VALUE_FORMAT"),
        (FeeChange("", "online", 0, DAY, 1), "INTEGER_FORMAT"),
        (ZoneChange("XX", DAY, ends=True), "RULE_ZONE_NAME"),
        (ZoneChange("AK", DAY), "RULE_NOTHING_CHANGES"),
        (ZoneChange("AK", DAY, name="Neu", ends=True), "RULE_ZONE_ONE_THING"),
        (ZoneChange("AK", DAY, merged_into="AK"), "ZONE_SUCCESSOR"),
        (KindChange(PERMIT, "nobody", DAY, {}), "KIND_UNKNOWN"),
        (KindChange(PERMIT, "standard", DAY, {"plates": "many"}), "KIND_RULES"),
        (KindChange(PERMIT, "standard", DAY, {"colour": 1}), "KIND_RULES"),
        (KindChange(PERMIT, "standard", DAY, {"checks": {"keeper": ["ufo"]}}), "EVIDENCE_UNKNOWN"),
        (KindChange(PERMIT, "standard", DAY, {"plates": 1}), "RULE_NOTHING_CHANGES"),
    ],
)
def test_what_may_not_be_changed(application: Application, change: Change, code: str) -> None:
    with pytest.raises(IssuerRefusal, match=code):
        make(application, change)
    with application.reading() as session:
        assert made_changes(session, application.tenant, undone=True) == []


def test_a_kind_of_the_city(application: Application, neighbour: Application) -> None:
    make(application, EvidenceChange(PERMIT, "garage_survey", DAY, EvidenceType("Begehung", "Inspection")))
    checks = {"residence": ["registration_certificate"], "no_garage": ["garage_survey"]}
    made = make(application, KindChange(PERMIT, "standard", DAY, {"residence": "main", "checks": checks}))
    known = rules(application)
    assert known.kind("standard", BEFORE).residence == "main_or_secondary"
    assert known.kind("standard", DAY).residence == "main"
    assert known.kind("standard", DAY).terms == (12, 24)
    label = known.evidence_type("garage_survey")
    assert label is not None
    assert (label.label("de"), label.label("en")) == ("Begehung", "Inspection")
    assert rules(neighbour).kind("standard", DAY).residence == "main_or_secondary"
    undo(application, made)
    assert rules(application).kind("standard", DAY).residence == "main_or_secondary"
