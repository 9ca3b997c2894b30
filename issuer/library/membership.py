"""The rules of a library's membership, pure: categories by age, consent, guardians and fees.

The numbers are data of the pass type (``[membership]`` in its ``type.toml``) and the city's dated fee table. Ages are
completed years of life: a year is completed with the end of the day before the birthday (sections 187 (2), 188 (2)
BGB), so on the 21st birthday itself somebody is 21. Days are Europe/Berlin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from issuer.errors import IssuerRefusal
from issuer.models_library import MemberRow
from passes.pass_types import PassType
from passes.type_file import CategorySpec, MembershipSpec


@dataclass(frozen=True, slots=True)
class MembershipFees:
    """What a year costs in each category, in cents from a day on; false if the city has no such table."""

    rows: Mapping[str, tuple[tuple[date, int], ...]]

    def __bool__(self) -> bool:
        return bool(self.rows)

    def fee(self, category: str, day: date) -> int | None:
        """The fee in cents that holds for ``category`` on ``day``, or None if the table has none."""
        started = [one for one in self.rows.get(category, ()) if one[0] <= day]
        return max(started)[1] if started else None


def rules_of(pass_type: PassType) -> MembershipSpec:
    """The rules of ``pass_type``. Raises IssuerRefusal NOT_A_MEMBERSHIP for a type without members."""
    rules = pass_type.spec.membership
    if rules is None:
        raise IssuerRefusal("NOT_A_MEMBERSHIP", type=pass_type.id)
    return rules


def category_of(rules: MembershipSpec, name: str) -> CategorySpec:
    """The category ``name``. Raises IssuerRefusal CATEGORY_UNKNOWN."""
    found = rules.category(name)
    if found is None:
        known = ", ".join(one.name for one in rules.categories)
        raise IssuerRefusal("CATEGORY_UNKNOWN", category=name, known=known)
    return found


def age_on(born: date, day: date) -> int:
    """Completed years of life on ``day`` (section 187 (2) BGB): one born on 29 February ages on 1 March."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def category_for(rules: MembershipSpec, birth_date: date, day: date) -> str:
    """The category that age alone puts somebody in on ``day``: the first with ages that fit, else none (empty)."""
    age = age_on(birth_date, day)
    by_age = (one for one in rules.categories if (one.from_age, one.below_age) != (None, None))
    return next((one.name for one in by_age if one.fits(age)), "")


def check_category(rules: MembershipSpec, category: str, birth_date: date | None, day: date) -> None:
    """That somebody may be given a card of ``category`` on ``day``.

    Raises IssuerRefusal CATEGORY_UNKNOWN, BIRTH_DATE_MISSING, BIRTH_DATE_NOT_WANTED, DATE_IN_FUTURE,
    CATEGORY_AGE_MISMATCH.
    """
    wanted = category_of(rules, category)
    if birth_date is None:
        if wanted.birth_date == "required":
            raise IssuerRefusal("BIRTH_DATE_MISSING", category=category)
        return
    if wanted.birth_date == "none":
        raise IssuerRefusal("BIRTH_DATE_NOT_WANTED", category=category)
    if birth_date > day:
        raise IssuerRefusal("DATE_IN_FUTURE", today=day.isoformat())
    age = age_on(birth_date, day)
    if not wanted.fits(age):
        raise IssuerRefusal("CATEGORY_AGE_MISMATCH", category=category, age=age)


def has_fitted(category: CategorySpec, born: date, start: date, today: date) -> bool:
    """Whether the category fits the age on some day from ``start`` to ``today``: it is kept through a birthday."""
    too_young = category.from_age is not None and age_on(born, today) < category.from_age
    too_old = category.below_age is not None and age_on(born, start) >= category.below_age
    return not (too_young or too_old)


def consent_needed(rules: MembershipSpec, category: str, birth_date: date | None, day: date) -> bool:
    """Whether a parent must have consented on ``day``; without a birth date the category alone says so."""
    wanted = rules.category(category)
    if wanted is None or wanted.birth_date == "none":
        return False
    if birth_date is None:
        return wanted.below_age is not None and wanted.below_age <= rules.consent_under
    return age_on(birth_date, day) < rules.consent_under


def consent_missing(pass_type: PassType, category: str, member: MemberRow | None, day: date) -> int:
    """Below which age a parent's consent is needed on ``day`` that is not on record; 0 where none is missing."""
    rules = pass_type.spec.membership
    if rules is None or (member is not None and member.consent_at is not None):
        return 0
    born = member.birth_date if member is not None else None
    return rules.consent_under if consent_needed(rules, category, born, day) else 0


def is_of_age(rules: MembershipSpec, category: str, birth_date: date | None, day: date) -> bool | None:
    """Whether a member can be a guardian on ``day``: by the birth date if it is known, else by the category.

    None where the category has members on both sides of `full_age` and nothing else is known.
    """
    if birth_date is not None:
        return age_on(birth_date, day) >= rules.full_age
    found = rules.category(category)
    if found is None:
        return True
    if found.below_age is not None and found.below_age <= rules.full_age:
        return False
    if found.below_age is not None and (found.from_age or 0) < rules.full_age:
        return None
    return True


def is_surely_adult(rules: MembershipSpec, category: str, birth_date: date | None, day: date) -> bool:
    """Whether a member can have neither consent nor guardian on ``day``: of full age, or an institution.

    Without a birth date a category without ages says nothing.
    """
    if birth_date is not None:
        return age_on(birth_date, day) >= rules.full_age
    found = rules.category(category)
    return found is not None and (found.birth_date == "none" or (found.from_age or 0) >= rules.full_age)


def fee_due(
    rules: MembershipSpec, fees: MembershipFees, category: str, birth_date: date | None, day: date
) -> int:
    """What a year costs on ``day``, in cents: nothing until the birthday `free_until`, the fee from that day on.

    A member keeps a category of an age through the birthday that ends it; the fee goes by the age. Raises
    IssuerRefusal CATEGORY_UNKNOWN, MEMBERSHIP_FEE_MISSING if the city's table has no fee for a category that pays.
    """
    wanted = category_of(rules, category)
    if birth_date is not None:
        age = age_on(birth_date, day)
        if age < rules.free_until:
            return 0
        if wanted.below_age is not None and age >= wanted.below_age:
            wanted = rules.category(category_for(rules, birth_date, day)) or wanted
    if not wanted.pays:
        return 0
    cents = fees.fee(wanted.name, day)
    if cents is None:
        raise IssuerRefusal("MEMBERSHIP_FEE_MISSING", category=wanted.name, day=day.isoformat())
    return cents


def decisive_age(rules: MembershipSpec) -> int:
    """The age from which on a birth date decides nothing any more."""
    return max(rules.consent_under, rules.full_age, rules.free_until)


def keeps_birth_date(rules: MembershipSpec, birth_date: date, day: date) -> bool:
    """Whether the birth date still decides something on ``day``; then it may be stored."""
    return age_on(birth_date, day) < decisive_age(rules)


def born_by(age: int, day: date) -> date:
    """The latest birth date of those who have completed ``age`` years on ``day``."""
    try:
        return day.replace(year=day.year - age)
    except ValueError:
        return day.replace(year=day.year - age, day=28)
