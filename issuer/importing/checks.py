"""The checks that pass types name in their register section: what must hold between the columns of a row.

A check reports one fault at the column a person has to correct, and leaves a row alone whose columns it needs
are faulty already: one mistake, one line in the report.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Final

from issuer.importing.row_under_check import RowUnderCheck, Surroundings
from issuer.library.membership import age_on, consent_needed, fee_due, has_fitted, is_of_age, is_surely_adult
from issuer.rules.sources.protocols import NOT_CONNECTED, Person, SourceAway
from issuer.tariffs import known_codes
from keys.errors import Refusal
from passes.model import PassStatus
from passes.periods import Period, months_of

Check = Callable[[RowUnderCheck, Surroundings], None]

OLDEST: Final = 120


def permit_kind(row: RowUnderCheck, around: Surroundings) -> None:
    """The kind of permit says how many plates it has, and whether an organisation, by the city's rules of today."""
    if not row.fit("permit_kind", "plate_1", "season_1", "plate_2", "season_2", "carsharing_org"):
        return
    kind = row.text("permit_kind")
    rules, found = around.kinds.get(kind), len(row.plates)
    expected, organisation = (1, False) if rules is None else (rules.plates, rules.organisation)
    if organisation and not row.text("carsharing_org"):
        row.error("carsharing_org", "KIND_INCONSISTENT", text="KIND_NEEDS_ORGANISATION")
    elif not organisation and row.text("carsharing_org"):
        row.error("carsharing_org", "KIND_INCONSISTENT", text="KIND_WITHOUT_ORGANISATION", kind=kind)
    elif found != expected:
        column = "plate_2" if expected > 1 or (expected == 1 and found > 1) else "plate_1"
        row.error(column, "KIND_INCONSISTENT", kind=kind, found=found, wanted=expected)


def plates_differ(row: RowUnderCheck, _around: Surroundings) -> None:
    """Two plates of one permit are two cars."""
    keys = [one.plate.key for one in row.plates]
    if len(set(keys)) != len(keys):
        row.error("plate_2", "PLATE_DUPLICATE", plate=row.plates[0].plate.canonical)


def zone_known(row: RowUnderCheck, around: Surroundings) -> None:
    """The zone is one of the city's and held on the permit's first day.

    Zones get merged, and permits of the old one run to their end: what became of the zone since then does not
    matter, only that no permit begins in a zone that has ended or not begun.
    """
    code = row.text("zone_code")
    if not code or not row.fit("zone_code"):
        return
    first = row.period.first if row.period is not None else None
    if row.zone is None:
        row.error("zone_code", "ZONE_UNKNOWN", zone=code, known=known_codes(around.zones, first))
    elif first is not None and not row.zone.holds_on(first):
        facts = {"zone": code, "day": first.isoformat(), "known": known_codes(around.zones, first)}
        row.error("zone_code", "ZONE_UNKNOWN", text="ZONE_ENDED", **facts)


def term(row: RowUnderCheck, _around: Surroundings) -> None:
    """The last day follows from the first and the term: sections 187 (2) and 188 (2), (3) BGB."""
    months = row.integer("term_months")
    if months is None or row.period is None or not row.fit("valid_from", "valid_to", "term_months"):
        return
    try:
        last = Period.of_months(row.period.first, months).last
    except Refusal as refusal:
        row.refuse("term_months", refusal)
        return
    if last != row.period.last:
        row.error(
            "valid_to",
            "DATE_TERM_MISMATCH",
            months=months,
            first=row.period.first.isoformat(),
            last=last.isoformat(),
        )


def fee(row: RowUnderCheck, around: Surroundings) -> None:
    """The fee is that of the table for zone, channel, term and the day of issue."""
    if row.zone is None and any(one for one, _, _ in around.fees.rows):
        # What an unknown zone costs is known only where all zones cost the same.
        return
    day = row.day("issued_on") or row.day("valid_from")
    if (
        not around.fees
        or day is None
        or not row.fit("valid_from", "term_months", "channel", "fee_cents", "issued_on")
    ):
        return
    tariff_class = row.zone.on(day).tariff_class if row.zone is not None else ""
    cents, months = row.integer("fee_cents"), row.integer("term_months")
    if months is None and row.period is not None and row.fit("valid_to"):
        months = months_of(row.period)
    channel = row.text("channel")
    if cents is None or months is None:
        return
    if not channel:
        _fee_of_some_channel(row, around, tariff_class, months=months, cents=cents, day=day)
        return
    expected = around.fees.fee(tariff_class, channel, months, day)
    if expected is None:
        row.warn("fee_cents", "FEE_NOT_IN_TABLE", channel=channel, months=months)
    elif expected != cents:
        row.error("fee_cents", "FEE_MISMATCH", expected=expected, channel=channel, months=months, found=cents)


def _fee_of_some_channel(
    row: RowUnderCheck, around: Surroundings, tariff_class: str, *, months: int, cents: int, day: date
) -> None:
    """A row without a channel, as in an old register: its fee must be that of some channel."""
    priced = {
        channel: around.fees.fee(tariff_class, channel, months, day)
        for channel in sorted({channel for _, channel, _ in around.fees.rows})
    }
    possible = {channel: price for channel, price in priced.items() if price is not None}
    if not possible:
        row.warn("fee_cents", "FEE_NOT_IN_TABLE", channel="–", months=months)
    elif cents not in possible.values():
        row.error(
            "fee_cents",
            "FEE_MISMATCH",
            expected="/".join(map(str, possible.values())),
            channel="/".join(possible),
            months=months,
            found=cents,
        )


def status_consistent(row: RowUnderCheck, around: Surroundings) -> None:
    """What else the row says fits its status: a revoked, unpaid or blocked one is not active."""
    word = row.text("status")
    if not word or not row.fit("status"):
        return
    if word in ("active", "not_yet_valid", "expired") and (contrary := _contrary(row)):
        row.error("status", "STATUS_INCONSISTENT", status=word, other=contrary)
    elif word in ("pending_payment", "unpaid") and row.text("payment_status") == "paid":
        row.error("status", "STATUS_INCONSISTENT", status=word, other="payment_status")
    elif (
        word == "expired"
        and row.period is not None
        and row.fit("valid_to")
        and row.period.last >= around.today
    ):
        row.error("status", "STATUS_INCONSISTENT", status=word, other="valid_to")


def _contrary(row: RowUnderCheck) -> str | None:
    """The column that says the right has ended or never began."""
    if row.text("payment_status") in ("open", "chargeback"):
        return "payment_status"
    columns = ("revoked_on", "revocation_reason", "block_reason")
    return next((column for column in columns if row.values.get(column) is not None), None)


def card_unique(row: RowUnderCheck, around: Surroundings) -> None:
    """No two cards share a number, in the register or in the file, and none has one that was replaced."""
    if row.card is not None:
        text = row.card.text
        owner = around.cards.setdefault(text, row.number)
        if text in around.spent:
            row.error("card_number", "DUPLICATE_CARD", text="DUPLICATE_CARD_SPENT")
        elif owner != row.number:
            row.error("card_number", "DUPLICATE_CARD", owner=owner)
    for column in (name for name in row.values if name.startswith("replaces_card")):
        _card_replaced(row, column, around)


def _card_replaced(row: RowUnderCheck, column: str, around: Surroundings) -> None:
    """The number that the card replaces is nobody's, this card's neither."""
    replaced = row.text(column)
    if not replaced or not row.fit("card_number", column):
        return
    owner = around.cards.get(replaced)
    if owner is not None:
        row.error(column, "DUPLICATE_CARD", owner=owner)
    elif not row.refused:
        around.spent.setdefault(replaced, row.number)


def birth_date(row: RowUnderCheck, around: Surroundings) -> None:
    """A date of birth lies in the past, and not in another century's."""
    born = row.day("birth_date")
    if born is None:
        return
    if born > around.today:
        row.error("birth_date", "DATE_IN_FUTURE", today=around.today.isoformat())
    elif age_on(born, around.today) >= OLDEST:
        row.error("birth_date", "AGE_IMPLAUSIBLE", age=age_on(born, around.today))


def guardian(row: RowUnderCheck, around: Surroundings) -> None:
    """A child has a parent's consent, and a guardian is known and of age, as the membership's rules say.

    Of an adult neither is taken in.
    """
    rules = around.pass_type.spec.membership
    if rules is None or not row.fit("birth_date", "category", "guardian_member_id", "guardian_consent"):
        return
    born, category = row.day("birth_date"), rules.category(row.text("category"))
    # Where no child can be in the category at all, that is the mismatch, which `category_age` reports.
    has_children = category is not None and (category.from_age or 0) < rules.consent_under
    needed = has_children and consent_needed(rules, row.text("category"), born, around.today)
    # Without a birth date anybody in such a category can be a child.
    needed = needed or (
        has_children and born is None and category is not None and category.birth_date == "required"
    )
    if needed and not row.yes("guardian_consent"):
        row.error("guardian_consent", "CONSENT_MISSING", age=rules.consent_under)
        return
    ref = row.text("guardian_member_id")
    is_adult = is_surely_adult(rules, row.text("category"), born, around.today)
    found = around.members.get(ref) if ref else None
    if ref and (found is None or ref == row.number):
        row.error("guardian_member_id", "GUARDIAN_UNKNOWN", guardian=ref)
        return
    of_age: bool | None = True
    if found is not None:
        of_age = is_of_age(rules, found.category or "", found.birth_date, around.today)
    if of_age is False:
        row.error("guardian_member_id", "GUARDIAN_NOT_ADULT", guardian=ref)
    elif is_adult and (ref or row.yes("guardian_consent")):
        # Old registers keep them; the register does not take them in.
        row.warn("guardian_member_id" if ref else "guardian_consent", "FAMILY_TIES_OF_ADULT")
    elif of_age is None:
        row.warn("guardian_member_id", "GUARDIAN_AGE_UNCLEAR", guardian=ref)


def category_age(row: RowUnderCheck, around: Surroundings) -> None:
    """The category fits the age on some day from the start of the membership until today.

    A member keeps the category through a birthday, so a row is not refused because a day has passed.
    """
    rules, born = around.pass_type.spec.membership, row.day("birth_date")
    category = None if rules is None else rules.category(row.text("category"))
    if born is None or category is None or not row.fit("birth_date", "category", "valid_from"):
        return
    start, today = min(row.day("valid_from") or around.today, around.today), around.today
    if not has_fitted(category, born, start, today):
        row.error("category", "CATEGORY_AGE_MISMATCH", category=category.name, age=age_on(born, today))


def membership_fee(row: RowUnderCheck, around: Surroundings) -> None:
    """What was paid is the city's fee on some day from the start of the membership until today; else a warning.

    A membership that began before the 21st birthday was free then, whatever is due when the file is checked.
    """
    rules, cents = around.pass_type.spec.membership, row.integer("fee_cents")
    if rules is None or cents is None or not around.membership_fees:
        return
    if not row.fit("birth_date", "category", "valid_from", "fee_cents"):
        return
    start = min(row.day("valid_from") or around.today, around.today)
    due: list[int] = []
    for day in (start, around.today):
        try:
            due.append(
                fee_due(rules, around.membership_fees, row.text("category"), row.day("birth_date"), day)
            )
        except Refusal as refusal:
            row.advise("fee_cents", refusal)
            return
    if cents not in due:
        row.warn("fee_cents", "MEMBERSHIP_FEE_DIFFERS", expected=due[-1], found=cents)


def status_of(row: RowUnderCheck, today: date) -> PassStatus:
    """The status that the register gives the row on ``today``; a row without one counts as paid."""
    word = row.text("status") or "active"
    ended = row.period is not None and row.period.last < today
    match word:
        case "active" | "not_yet_valid":
            return PassStatus.EXPIRED if ended else PassStatus.ACTIVE
        case "blocked":
            return PassStatus.SUSPENDED
        case "unpaid":
            return PassStatus.PENDING_PAYMENT
        case _:
            return PassStatus(word)


def not_blocked(row: RowUnderCheck, around: Surroundings) -> None:
    """Nobody gets a certificate by machine for whom the register of residents blocks disclosure (§§ 51, 52 BMG).

    Nor does anybody whom it does not know: an answer of its own for those who are blocked would tell who they are. A
    register that is connected and gives no answer is no permission; what has ended confirms nothing any more.
    """
    in_force = status_of(row, around.today) in (PassStatus.ACTIVE, PassStatus.SUSPENDED)
    if around.residents is None or not in_force or not row.fit("family_name", "given_names", "birth_date"):
        return
    person = Person(row.text("family_name"), row.text("given_names"), row.day("birth_date"))
    answer = around.residents.may_certify(person, around.today)
    if isinstance(answer, SourceAway):
        if answer.reason != NOT_CONNECTED:
            row.error("family_name", "RESIDENTS_AWAY")
    elif not answer:
        row.error("family_name", "CERTIFICATE_AT_OFFICE", text="CERTIFICATE_AT_OFFICE_ROW")


CHECKS: Final[Mapping[str, Check]] = {
    "permit_kind": permit_kind,
    "plates_differ": plates_differ,
    "zone_known": zone_known,
    "term": term,
    "fee": fee,
    "status_consistent": status_consistent,
    "card_unique": card_unique,
    "birth_date": birth_date,
    "guardian": guardian,
    "category_age": category_age,
    "membership_fee": membership_fee,
    "not_blocked": not_blocked,
}
