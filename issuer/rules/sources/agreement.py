"""Whether a certificate of residence says what the register of residents says, however both write it.

Nobody loses a certificate for a spelling: what one of them leaves out says nothing, except whole residences.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from issuer.errors import IssuerRefusal
from issuer.rules.house_numbers import HouseNumber, parse_house_number
from issuer.rules.sources.protocols import Home, Resident
from issuer.rules.street_names import street_keys
from issuer.rules.town_names import may_be_same_town
from passes.errors import PassRefusal
from passes.names import search_keys

_WORDS: Final = ("usual_given_name", "former_names", "doctoral_degree", "artistic_name")


def agrees(found: Resident, certified: Resident) -> bool:
    """Whether ``certified`` says of its person, who is that of ``found``, what the register says.

    The names by which they were found are not compared again.
    """
    said = all(_same_text(getattr(found, word), getattr(certified, word)) for word in _WORDS)
    return said and _same_homes(found.homes, certified.homes)


def _same_homes(one: Sequence[Home], other: Sequence[Home]) -> bool:
    left = list(other)
    for home in one:
        match = next((some for some in left if _same_home(home, some)), None)
        if match is None:
            return False
        left.remove(match)
    return not left


def _same_home(one: Home, other: Home) -> bool:
    return (
        one.residence is other.residence
        and not _streets(one.street).isdisjoint(_streets(other.street))
        and _number(one.house_number) == _number(other.house_number)
        and ("" in (one.postal_code, other.postal_code) or one.postal_code == other.postal_code)
        and ("" in (one.city, other.city) or may_be_same_town(one.city, other.city))
    )


def _same_text(one: str, other: str) -> bool:
    return not one or not other or not _keys(one).isdisjoint(_keys(other))


def _keys(text: str) -> frozenset[str]:
    try:
        return search_keys(text)
    except PassRefusal:
        return frozenset((text,))


def _streets(text: str) -> frozenset[str]:
    try:
        keys = street_keys(text)
    except IssuerRefusal:
        return frozenset((text,))
    return frozenset((keys.full, keys.plain))


def _number(text: str) -> tuple[HouseNumber, ...] | str:
    try:
        return parse_house_number(text)
    except IssuerRefusal:
        return text
