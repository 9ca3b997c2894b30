"""How street names are compared: by keys under which the spellings of one street are the same.

``Dr.-Übermut-Straße``, ``dr übermut str.`` and ``DR UEBERMUT STRASSE`` have one key. Only keys are folded; what is
stored and shown is the city's spelling.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from issuer.errors import IssuerRefusal
from passes.names import folded

LONGEST: Final = 100
MOST_SUGGESTIONS: Final = 5
# Names with a smaller share of common letter pairs have nothing to do with each other.
_ALIKE: Final = 0.45
# Words that are written in full or not; as the last part of a word only what cannot be the end of another.
_WORDS: Final = {
    "STR": "STRASSE",
    "PL": "PLATZ",
    "ST": "SANKT",
    "DOKTOR": "DR",
    "PROFESSOR": "PROF",
}
_ENDING: Final = ("STR", "STRASSE")


@dataclass(frozen=True, slots=True)
class StreetKeys:
    """The keys of a street: ``full`` with umlauts as AE, OE, UE, ``plain`` with them as A, O, U."""

    full: str
    plain: str


def street_keys(text: str) -> StreetKeys:
    """The keys of a street as somebody writes it; both are empty if nothing is left of it.

    Case, blanks, hyphens, dots and apostrophes do not count, ``Str.`` is ``Straße``, ``Pl.`` is ``Platz``, ``St.`` is
    ``Sankt``. Raises IssuerRefusal STREET_FORMAT beyond 100 characters.
    """
    if len(text) > LONGEST:
        raise IssuerRefusal("STREET_FORMAT", limit=LONGEST)
    return StreetKeys(*("".join(map(_word, folded(text, expand=expand).split())) for expand in (True, False)))


def _word(word: str) -> str:
    if word in _WORDS:
        return _WORDS[word]
    short, full = _ENDING
    return word.removesuffix(short) + full if word.endswith(short) else word


def suggestions(text: str, names: Iterable[str]) -> tuple[str, ...]:
    """Up to five of ``names`` that are spelled nearly like ``text``, the nearest first."""
    wanted = street_keys(text).full
    pairs = _pairs(wanted)
    if not pairs:
        return ()
    ranked: list[tuple[float, str]] = []
    for name in names:
        key = street_keys(name).full
        other = _pairs(key)
        common = 2 * len(pairs & other) / (len(pairs) + len(other))
        # Who has typed only the beginning of a name means that street.
        if len(wanted) >= 3 and key.startswith(wanted):
            common = 1.0
        if common >= _ALIKE:
            ranked.append((-common, name))
    return tuple(name for _, name in sorted(ranked)[:MOST_SUGGESTIONS])


def _pairs(key: str) -> frozenset[tuple[str, int]]:
    """The pairs of neighbouring letters, each with how often it came before; the start counts as a letter."""
    # STRASSE is the end of half of all names and says nothing about which one is meant.
    short = " " + (key.removesuffix(_ENDING[1]) or key)
    seen: dict[str, int] = {}
    found: set[tuple[str, int]] = set()
    for place in range(len(short) - 1):
        pair = short[place : place + 2]
        seen[pair] = seen.get(pair, 0) + 1
        found.add((pair, seen[pair]))
    return frozenset(found)
