import itertools
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from passes import base45
from passes.card_numbers import CardNumber, Symbology
from passes.errors import PassRefusal
from passes.periods import Period, parse_time
from passes.plates import Plate
from passes.rotating import pass_key, totp
from passes.seal import Sealer
from passes.seasons import Season
from passes.status_list import Status
from tests.trust_factory import (
    DAY,
    HOUR,
    LIBRARY,
    LIST_NUMBER,
    NOW,
    PERMIT,
    PLATE,
    City,
    Key,
    permit,
    seconds,
)
from verifier.seal_check import CheckSettings, check_seal
from verifier.state import State
from verifier.trust import Trust
from verifier.verdict import Colour, Freshness, Reason, Verdict

EPOCH_KEY = bytes(range(32))
INDEX = permit().status_index

# The contract's table: reasons in the order in which they win, with their colours.
CONTRACT = [
    ("NOT_A_SEAL", "GREY"), ("MALFORMED", "RED"), ("NO_TRUST", "GREY"), ("UNKNOWN_KEY", "RED"),
    ("KEY_REVOKED", "RED"), ("TEST_KEY", "RED"), ("FORGED", "RED"), ("WRONG_TYPE", "RED"), ("CLOCK_WRONG", "GREY"),
    ("REVOKED", "RED"), ("SUPERSEDED", "RED"), ("SUSPENDED", "RED"), ("EXPIRED", "RED"), ("NOT_YET_VALID", "RED"),
    ("NO_LIST", "GREY"), ("STALE_LIST", "AMBER"), ("OTHER_ZONE", "AMBER"), ("OUT_OF_SEASON", "AMBER"),
    ("NOT_FRESH", "AMBER"), ("VALID", "GREEN"),
]  # fmt: skip


@pytest.fixture
def city(tmp_path: Path) -> City:
    return City(tmp_path)


@dataclass
class Case:
    """A good seal in a good city, to which faults are added one by one."""

    city: City
    content: dict[str, object] = field(default_factory=dict)
    settings: CheckSettings = field(default_factory=CheckSettings)
    signer: Key | None = None
    bundle: dict[str, object] = field(default_factory=dict)
    lists_at: datetime = NOW
    state: State = field(default_factory=State)
    rotating: bool = False
    spoil: Callable[[str], str] = str

    def verdict(self) -> Verdict:
        self.city.epoch_keys = {1: EPOCH_KEY}
        self.city.publish()
        self.city.write_bundle(**self.bundle)  # type: ignore[arg-type]
        self.city.write_lists(self.lists_at)
        content = permit(**self.content)
        text = Sealer(self.signer or self.city.seal_key, self.city.seal_key.kid).seal(content)
        if self.rotating:
            yesterday = seconds(NOW) - DAY
            digits = totp(pass_key(EPOCH_KEY, content.number), yesterday)
            text = f"SP1R:{yesterday}:{digits}:{text.removeprefix('SP1:')}"
        return check_seal(self.spoil(text), self.city.trust(self.state), NOW, self.settings)


def malformed(case: Case) -> None:
    case.spoil = lambda text: text[:-1] + ":"


def no_trust(case: Case) -> None:
    case.bundle |= {"at": NOW - timedelta(days=366)}


def unknown_key(case: Case) -> None:
    del case.city.keys[case.city.seal_key.kid]


def set_key(**changes: object) -> Callable[[Case], None]:
    def apply(case: Case) -> None:
        if case.city.seal_key.kid in case.city.keys:
            case.city.set_key(case.city.seal_key, **changes)

    return apply


def forged(case: Case) -> None:
    case.signer = Key()


def wrong_type(case: Case) -> None:
    case.settings = replace(case.settings, type_id="library-card")


def clock_wrong(case: Case) -> None:
    case.state.accept("status/99", 1, seconds(NOW) + HOUR)


def status(value: Status) -> Callable[[Case], None]:
    def apply(case: Case) -> None:
        case.city.statuses[LIST_NUMBER][INDEX] = value

    return apply


def content(**changes: object) -> Callable[[Case], None]:
    def apply(case: Case) -> None:
        case.content |= changes

    return apply


def lists_of(age: timedelta) -> Callable[[Case], None]:
    def apply(case: Case) -> None:
        case.lists_at = min(case.lists_at, NOW - age)

    return apply


def other_zone(case: Case) -> None:
    case.settings = replace(case.settings, zone="K2")


def not_fresh(case: Case) -> None:
    case.rotating = True


FAULTS: dict[Reason, Callable[[Case], None]] = {
    Reason.MALFORMED: malformed,
    Reason.NO_TRUST: no_trust,
    Reason.UNKNOWN_KEY: unknown_key,
    Reason.KEY_REVOKED: set_key(state="revoked"),
    Reason.TEST_KEY: set_key(test=True),
    Reason.FORGED: forged,
    Reason.WRONG_TYPE: wrong_type,
    Reason.CLOCK_WRONG: clock_wrong,
    Reason.REVOKED: status(Status.INVALID),
    Reason.SUPERSEDED: status(Status.SUPERSEDED),
    Reason.SUSPENDED: status(Status.SUSPENDED),
    Reason.EXPIRED: content(expires=seconds(NOW), not_before=seconds(NOW) - DAY),
    Reason.NOT_YET_VALID: content(expires=seconds(NOW) + DAY, not_before=seconds(NOW) + 1),
    Reason.NO_LIST: lists_of(timedelta(days=7)),
    Reason.STALE_LIST: lists_of(timedelta(hours=24, seconds=1)),
    Reason.OTHER_ZONE: other_zone,
    Reason.OUT_OF_SEASON: content(seasons=(Season(4, 10),)),
    Reason.NOT_FRESH: not_fresh,
}
# A pass has one status and one period, so these cannot apply together.
EXCLUSIVE = [{Reason.REVOKED, Reason.SUPERSEDED, Reason.SUSPENDED}, {Reason.EXPIRED, Reason.NOT_YET_VALID}]
ORDER = [Reason[name] for name, _ in CONTRACT]


def possible(reasons: set[Reason]) -> bool:
    return all(len(reasons & group) < 2 for group in EXCLUSIVE)


@pytest.mark.parametrize(("name", "colour"), CONTRACT)
def test_each_reason_has_its_colour(city: City, name: str, colour: str) -> None:
    case = Case(city)
    if name == "NOT_A_SEAL":
        case.spoil = lambda text: "https://look-alike.example/v?p=" + text
    elif name != "VALID":
        FAULTS[Reason[name]](case)
    verdict = case.verdict()
    assert (verdict.reason.name, verdict.verdict.value) == (name, colour)
    for language in ("de", "en"):
        assert verdict.message(language)


PAIRS = [pair for pair in itertools.combinations(FAULTS, 2) if possible(set(pair))]


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair[0].name}-{pair[1].name}")
def test_of_two_reasons_the_earlier_wins(city: City, pair: tuple[Reason, Reason]) -> None:
    case = Case(city)
    for reason in pair:
        FAULTS[reason](case)
    assert case.verdict().reason is min(pair, key=ORDER.index)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(st.sampled_from(list(FAULTS)), min_size=3).filter(possible))
def test_of_many_reasons_the_earliest_wins(tmp_path: Path, reasons: set[Reason]) -> None:
    case = Case(City(tmp_path))
    for reason in sorted(reasons, key=ORDER.index, reverse=True):
        FAULTS[reason](case)
    assert case.verdict().reason is min(reasons, key=ORDER.index)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("reason", FAULTS)
def test_content_is_shown_exactly_if_the_signature_holds(city: City, reason: Reason, signed: bool) -> None:
    case = Case(city)
    FAULTS[reason](case)
    if not signed:
        forged(case)
    verdict = case.verdict()
    shown = verdict.as_json()
    content = [shown[name] for name in ("number", "plates", "zone", "valid_from", "valid_until", "type")]
    unread = verdict.reason in (Reason.MALFORMED, Reason.NO_TRUST, Reason.UNKNOWN_KEY)
    if signed and reason is not Reason.FORGED and not unread:
        assert None not in content
    else:
        assert content == [None] * 6
        assert shown["card_number"] is shown["organisation"] is shown["list_time"] is None


def test_json_has_the_fields_of_the_contract(city: City) -> None:
    plates = (PLATE, Plate("MÜ", "X", "1", "H"))
    city.types[PERMIT] = replace(city.types[PERMIT], paper_required=True)
    trust = city.publish(NOW - timedelta(hours=3)).trust()
    verdict = check_seal(city.seal(plates=plates), trust, NOW)
    found = verdict.as_json("en")
    message = found.pop("message")
    assert found == {
        "verdict": "GREEN",
        "reason": "VALID",
        "type": "resident-parking-permit",
        "number": "BP-2026-000123",
        "plates": ["D-AB 123", "MÜ-X 1H"],
        "zone": "MÜ1",
        "card_number": None,
        "organisation": None,
        "valid_from": "2026-04-01",
        "valid_until": "2027-03-31",
        "list_age_seconds": 3 * HOUR,
        "list_time": "2026-11-20T09:00:00+01:00",
        "freshness": "none",
        "test": False,
        "suggestions": [],
    }
    assert "31.03.2027" in str(message)
    assert "print" in str(message)


def test_a_library_card_and_an_organisation_are_shown(city: City) -> None:
    trust = city.publish().trust()
    card = check_seal(
        city.seal(type_code=LIBRARY, plates=(), zone=None, card_number="2900123"), trust, NOW
    ).as_json()
    assert (card["type"], card["card_number"], card["plates"], card["zone"]) == (
        "library-card",
        "2900123",
        [],
        None,
    )
    sharing = check_seal(city.seal(plates=(), organisation="Stadtteilauto"), trust, NOW).as_json()
    assert sharing["organisation"] == "Stadtteilauto"


def test_a_key_counts_only_for_its_types_its_purpose_and_its_time(city: City) -> None:
    parking = Key()
    city.name_key(parking, "seal", (PERMIT,), not_before=NOW - timedelta(days=1), not_after=NOW)
    trust = city.publish().trust()

    def reason(key: Key, **changes: object) -> Reason:
        return check_seal(city.seal(key=key, **changes), trust, NOW).reason

    last = seconds(NOW) - 1
    assert reason(parking, issued_at=last) is Reason.VALID
    assert reason(parking, issued_at=last, type_code=LIBRARY) is Reason.WRONG_TYPE
    assert reason(parking, issued_at=last, type_code=77) is Reason.WRONG_TYPE
    assert reason(parking, issued_at=seconds(NOW)) is Reason.UNKNOWN_KEY
    assert reason(parking, issued_at=seconds(NOW) - DAY - 1) is Reason.UNKNOWN_KEY
    assert reason(city.list_key) is Reason.UNKNOWN_KEY
    assert reason(city.root) is Reason.UNKNOWN_KEY


def test_a_retired_or_announced_key_still_verifies(city: City) -> None:
    for state in ("retired", "pending"):
        city.set_key(city.seal_key, state=state)
        assert check_seal(city.seal(), city.publish().trust(), NOW).reason is Reason.VALID


def test_an_unknown_key_is_grey_once_the_bundle_is_stale(city: City) -> None:
    text = city.seal(key=Key())
    trust = city.publish().trust()
    stale = NOW + timedelta(days=90)
    city.write_lists(stale)
    for at, colour in ((stale, Colour.RED), (stale + timedelta(seconds=1), Colour.GREY)):
        verdict = check_seal(text, trust, at)
        assert (verdict.reason, verdict.verdict) == (Reason.UNKNOWN_KEY, colour)
        assert verdict.message("de") != verdict.message("en")


def test_a_stale_bundle_makes_a_good_seal_amber_with_the_age_of_the_bundle(city: City) -> None:
    city.publish()
    at = NOW + timedelta(days=91)
    city.write_lists(at)
    verdict = check_seal(city.seal(), city.trust(), at)
    assert (verdict.reason, verdict.list_age_seconds) == (Reason.STALE_LIST, 91 * DAY)
    assert "91 Tage" in verdict.message("de")


LADDER = [
    (timedelta(0), Colour.GREEN), (timedelta(hours=24), Colour.GREEN),
    (timedelta(hours=24, seconds=1), Colour.AMBER), (timedelta(days=7, seconds=-1), Colour.AMBER),
    (timedelta(days=7), Colour.GREY), (timedelta(days=100), Colour.GREY),
]  # fmt: skip


@pytest.mark.parametrize(("age", "colour"), LADDER)
def test_green_turns_amber_and_then_grey_with_the_age_of_the_list(
    city: City, age: timedelta, colour: Colour
) -> None:
    verdict = check_seal(city.seal(), city.publish().trust(), NOW + age)
    assert verdict.verdict is colour
    assert verdict.list_age_seconds == age.total_seconds()


def test_the_age_of_a_stale_list_is_said(city: City) -> None:
    verdict = check_seal(city.seal(), city.publish().trust(), NOW + timedelta(hours=30))
    assert "30 Stunden" in verdict.message("de")
    assert "30 hours" in verdict.message("en")
    assert "20.11.2026 12:00" in verdict.message("en")


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 130 * DAY))
def test_nothing_is_red_because_of_age_alone(tmp_path: Path, age: int) -> None:
    city = City(tmp_path).publish()
    verdict = check_seal(city.seal(), city.trust(), NOW + timedelta(seconds=age))
    assert verdict.verdict is not Colour.RED


def test_a_list_that_lacks_the_index_or_the_number_cannot_say(city: City) -> None:
    trust = city.publish().trust()
    assert check_seal(city.seal(status_index=1 << 20), trust, NOW).reason is Reason.NO_LIST
    assert check_seal(city.seal(status_list=18), trust, NOW).reason is Reason.NO_LIST


def test_an_expired_index_counts_like_an_expired_list(city: City) -> None:
    city.publish()
    city.write_lists(NOW, index_expiry=HOUR)
    trust = city.trust()
    assert check_seal(city.seal(), trust, NOW).reason is Reason.VALID
    assert check_seal(city.seal(), trust, NOW + timedelta(hours=1)).reason is Reason.NO_LIST


BAD = [
    (Status.INVALID, Reason.REVOKED),
    (Status.SUSPENDED, Reason.SUSPENDED),
    (Status.SUPERSEDED, Reason.SUPERSEDED),
]


@pytest.mark.parametrize(("value", "reason"), BAD)
def test_once_seen_bad_it_stays_red_until_a_newer_list_lifts_it(
    city: City, value: Status, reason: Reason
) -> None:
    text = city.seal()
    city.publish(NOW - timedelta(days=1))
    old = {name: (city.folder / name).read_bytes() for name in ("index.cwt", f"status/{LIST_NUMBER}.cwt")}
    city.statuses[LIST_NUMBER][INDEX] = value
    city.publish(NOW)
    state = State()

    def seen(at: datetime) -> Reason:
        return check_seal(text, city.trust(state), at).reason

    assert seen(NOW) is reason
    assert seen(NOW + timedelta(days=2)) is reason  # stale
    assert seen(NOW + timedelta(days=30)) is reason  # expired
    for name, data in old.items():
        (city.folder / name).write_bytes(data)
    assert seen(NOW) is reason  # rolled back
    for name in old:
        (city.folder / name).unlink()
    assert seen(NOW) is reason  # gone
    del city.statuses[LIST_NUMBER][INDEX]
    later = NOW + timedelta(minutes=5)
    city.publish(later)
    assert seen(later) is Reason.VALID  # lifted by a newer list


def test_a_rolled_back_list_is_no_list(city: City) -> None:
    city.publish(NOW - timedelta(hours=2))
    old = (city.folder / f"status/{LIST_NUMBER}.cwt").read_bytes()
    city.statuses[LIST_NUMBER][INDEX] = Status.INVALID
    city.publish(NOW)
    (city.folder / f"status/{LIST_NUMBER}.cwt").write_bytes(old)
    # The fresh index alone unmasks it, even for a device that has never seen a list.
    assert check_seal(city.seal(), city.trust(), NOW).reason is Reason.NO_LIST


def test_a_clock_behind_the_newest_signed_time_is_named(city: City) -> None:
    text = city.seal()
    city.publish(NOW)
    wrong = Reason.CLOCK_WRONG
    for behind, reason in ((0, Reason.VALID), (120, Reason.VALID), (121, wrong), (DAY, wrong)):
        verdict = check_seal(text, city.trust(), NOW - timedelta(seconds=behind))
        assert verdict.reason is reason
    assert "19.11.2026 12:00" in verdict.message()


def test_setting_the_clock_back_does_not_revive_an_expired_seal(city: City) -> None:
    state = State()
    city.publish(NOW)
    expired = city.seal(not_before=seconds(NOW) - 9 * DAY, expires=seconds(NOW) - DAY)
    assert check_seal(expired, city.trust(state), NOW).reason is Reason.EXPIRED
    before = check_seal(expired, city.trust(state), NOW - timedelta(days=2))
    assert (before.reason, before.verdict) == (Reason.CLOCK_WRONG, Colour.GREY)


BERLIN_DAYS = [
    # period, a moment, what it is; the wall clock changes on 29 March and 25 October 2026
    (("2026-03-29", "2026-03-29"), "2026-03-28T22:59:59Z", Reason.NOT_YET_VALID),
    (("2026-03-29", "2026-03-29"), "2026-03-28T23:00:00Z", Reason.VALID),
    (("2026-03-29", "2026-03-29"), "2026-03-29T21:59:59Z", Reason.VALID),
    (("2026-03-29", "2026-03-29"), "2026-03-29T22:00:00Z", Reason.EXPIRED),
    (("2026-10-25", "2026-10-25"), "2026-10-24T21:59:59Z", Reason.NOT_YET_VALID),
    (("2026-10-25", "2026-10-25"), "2026-10-24T22:00:00Z", Reason.VALID),
    (("2026-10-25", "2026-10-25"), "2026-10-25T22:59:59Z", Reason.VALID),
    (("2026-10-25", "2026-10-25"), "2026-10-25T23:00:00Z", Reason.EXPIRED),
    (("2026-11-01", "2026-11-19"), "2026-11-19T22:59:59Z", Reason.VALID),
    (("2026-11-01", "2026-11-19"), "2026-11-19T23:00:00Z", Reason.EXPIRED),
    (("2026-11-01", "2026-11-19"), "2026-11-19T23:59:59", Reason.VALID),
    (("2026-11-01", "2026-11-19"), "2026-11-20T00:00", Reason.EXPIRED),
    (("2028-02-29", "2028-02-29"), "2028-02-29T12:00-08:00", Reason.VALID),
]  # fmt: skip


@pytest.mark.parametrize(("days", "moment", "reason"), BERLIN_DAYS)
def test_days_begin_and_end_in_berlin(city: City, days: tuple[str, str], moment: str, reason: Reason) -> None:
    period = Period(date.fromisoformat(days[0]), date.fromisoformat(days[1]))
    starts, ends = seconds(period.starts_at), seconds(period.ends_at)
    text = city.seal(not_before=starts, expires=ends, issued_at=seconds(NOW - timedelta(days=390)))
    at = parse_time(moment)
    verdict = check_seal(text, city.publish(at).trust(), at)
    assert verdict.reason is reason
    assert (verdict.valid_from, verdict.valid_until) == (period.first, period.last)
    if reason is Reason.NOT_YET_VALID:
        assert period.first.strftime("%d.%m.%Y") in verdict.message()


@pytest.mark.parametrize(
    ("zone", "reason"),
    [("MÜ1", Reason.VALID), (unicodedata.normalize("NFD", "MÜ1"), Reason.VALID), ("mü1", Reason.VALID),
     ("MU1", Reason.OTHER_ZONE), ("MÜ", Reason.OTHER_ZONE), ("", Reason.OTHER_ZONE)],
)  # fmt: skip
def test_zones_are_compared_whatever_their_unicode_form(city: City, zone: str, reason: Reason) -> None:
    verdict = check_seal(city.seal(), city.publish().trust(), NOW, CheckSettings(zone=zone))
    assert verdict.reason is reason
    assert verdict.zone == "MÜ1"


def test_a_pass_without_a_zone_is_good_in_every_zone(city: City) -> None:
    verdict = check_seal(city.seal(zone=None), city.publish().trust(), NOW, CheckSettings(zone="K2"))
    assert verdict.reason is Reason.VALID


@pytest.mark.parametrize(
    ("moment", "reason"),
    [("2026-10-31T23:59", Reason.VALID), ("2026-11-01T00:00", Reason.OUT_OF_SEASON),
     ("2026-10-31T23:00Z", Reason.OUT_OF_SEASON),
     ("2027-03-31T23:59", Reason.OUT_OF_SEASON), ("2026-04-01T00:00", Reason.VALID)],
)  # fmt: skip
def test_the_season_is_counted_in_berlin_months(city: City, moment: str, reason: Reason) -> None:
    at = parse_time(moment)
    plates = (Plate("D", "AB", "1"), PLATE)
    text = city.seal(
        plates=plates, seasons=(None, Season(4, 10)), issued_at=seconds(NOW - timedelta(days=390))
    )
    verdict = check_seal(text, city.publish(at).trust(), at)
    assert verdict.reason is reason
    if reason is Reason.OUT_OF_SEASON:
        assert "D-AB 123" in verdict.message()
        assert "04-10" in verdict.message()


def rotating(city: City, shown_at: datetime, key: bytes = EPOCH_KEY) -> str:
    shown = seconds(shown_at)
    return f"SP1R:{shown}:{totp(pass_key(key, permit().number), shown)}:{city.seal().removeprefix('SP1:')}"


def test_a_rotating_code_is_fresh_stale_or_not_checked(city: City) -> None:
    def checked(text: str, at: datetime = NOW) -> tuple[Reason, Freshness]:
        verdict = check_seal(text, city.trust(), at)
        return verdict.reason, verdict.freshness

    city.publish()
    assert checked(rotating(city, NOW)) == (Reason.VALID, Freshness.NOT_CHECKED)
    city.epoch_keys = {7: bytes(32), 8: EPOCH_KEY}
    city.write_plates()
    assert checked(city.seal()) == (Reason.VALID, Freshness.NONE)
    assert checked(rotating(city, NOW)) == (Reason.VALID, Freshness.FRESH)
    assert checked(rotating(city, NOW - timedelta(hours=1))) == (Reason.NOT_FRESH, Freshness.STALE)
    assert checked(rotating(city, NOW, b"guess")) == (Reason.NOT_FRESH, Freshness.STALE)
    # An expired plate list may lack the key of the day, so it says nothing about freshness.
    city.write_plates(NOW - timedelta(days=2))
    assert checked(rotating(city, NOW)) == (Reason.VALID, Freshness.NOT_CHECKED)
    (city.folder / "plates.cwt").unlink()
    assert checked(rotating(city, NOW)) == (Reason.VALID, Freshness.NOT_CHECKED)


def test_a_forged_rotating_code_says_nothing_about_freshness(city: City) -> None:
    city.epoch_keys = {1: EPOCH_KEY}
    trust = city.publish().trust()
    text = rotating(city, NOW)
    forged = Sealer(Key(), city.seal_key.kid).seal(permit()).removeprefix("SP1:")
    parts = text.split(":", 3)
    verdict = check_seal(":".join([*parts[:3], forged]), trust, NOW)
    assert (verdict.reason, verdict.freshness) == (Reason.FORGED, Freshness.NOT_CHECKED)


def test_under_a_demo_root_verdicts_are_as_usual_and_say_test(tmp_path: Path) -> None:
    city = City(tmp_path, test=True).publish()
    trust = city.trust()
    unknown = city.seal(key=Key())
    for text, reason in (
        (city.seal(), Reason.VALID),
        ("x", Reason.NOT_A_SEAL),
        (unknown, Reason.UNKNOWN_KEY),
    ):
        verdict = check_seal(text, trust, NOW)
        assert verdict.reason is reason
        assert verdict.as_json()["test"] is True
        assert "TEST" in verdict.message("de")
        assert "TEST" in verdict.message("en")


def test_a_test_list_key_counts_for_nothing_under_a_production_root(city: City) -> None:
    tester = Key()
    city.name_key(tester, "list", (), test=True)
    city.publish()
    city.write_lists(NOW, signer=tester)
    assert check_seal(city.seal(), city.trust(), NOW).reason is Reason.NO_LIST


def _text(trust: Trust, text: str) -> Verdict:
    verdict = check_seal(text, trust, NOW)
    verdict.message("de")
    verdict.as_json("en")
    return verdict


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(max_size=60)
    | st.text(base45.ALPHABET.decode(), max_size=300).map("SP1:".__add__)
    | st.text(max_size=60).map("SP1:".__add__)
    | st.text(max_size=60).map("SP1R:1:12345678:".__add__)
    | st.binary(max_size=200).map(lambda data: "SP1:" + base45.encode(data))
    | st.binary(max_size=200).map(lambda data: "SP1:" + base45.encode(b"\xd2\x84" + data))
)
def test_any_text_gives_a_verdict(trust: Trust, text: str) -> None:
    assert _text(trust, text).reason in (Reason.NOT_A_SEAL, Reason.MALFORMED)


_PRINTABLE = [chr(one) for one in range(32, 127)]


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(_PRINTABLE, max_size=44) | st.sampled_from(["SP1:", "SP1R:", "sp1:"]).map(lambda one: one + "7A")
)
def test_a_text_is_a_seal_or_a_card_number_and_never_both(trust: Trust, text: str) -> None:
    """Whatever a hand scanner types, with the letters that frame a number or without."""
    try:
        card = CardNumber.parse(text)
    except PassRefusal:
        return
    for typed in (text, card.text, f"*{card.text}*", f"A{card.text}B"):
        assert _text(trust, typed).reason is Reason.NOT_A_SEAL


def test_no_seal_is_a_card_number(city: City) -> None:
    for text in (city.seal(), city.seal().lower(), f" {city.seal()} "):
        for symbology in ("", *Symbology):
            with pytest.raises(PassRefusal, match="CARD_LIKE_SEAL"):
                CardNumber.parse(text, "", symbology)


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    return City(tmp_path_factory.mktemp("trust")).publish().trust()


@pytest.mark.parametrize("at", [datetime(1900, 1, 1, tzinfo=UTC), datetime(2199, 12, 31, tzinfo=UTC)])
def test_any_clock_gives_a_verdict(city: City, at: datetime) -> None:
    assert check_seal(city.seal(), city.publish().trust(), at).verdict is Colour.GREY
    assert _text(city.trust(), "SP1:").reason is Reason.MALFORMED
