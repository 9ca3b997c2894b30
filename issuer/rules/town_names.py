"""How names of towns are compared: titles before a name, and additions behind it, may be missing.

``Frankfurt``, ``FRANKFURT A. M.`` and ``Frankfurt am Main`` may be one town, ``Frankfurt (Oder)`` is another, and
``Landeshauptstadt Düsseldorf`` is ``Duesseldorf``. Which of several towns of one name is meant, postal codes say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from passes.names import folded

LONGEST: Final = 200
# What stands before a name and is none: Hansestadt, Brüder-Grimm-Stadt, Einheitsgemeinde.
_TITLES: Final = ("STADT", "GEMEINDE", "MARKT")
_WORDS: Final = {"ST": "SANKT"}


def may_be_same_town(one: str, other: str) -> bool:
    """Whether two spellings may name one town; never where one of them has no letters or over 200 characters.

    Case, umlauts, hyphens and brackets do not count, and additions behind the name may be missing or abbreviated.
    """
    if max(len(one), len(other)) > LONGEST:
        return False
    return any(
        _agree(words, others)
        for expand in (True, False)
        for words in _names(one, expand=expand)
        for others in _names(other, expand=expand)
    )


def _names(text: str, *, expand: bool) -> Iterator[Sequence[str]]:
    """The words of a name, as it is written and without each title before it."""
    words = [_WORDS.get(word, word) for word in folded(text, expand=expand).split()]
    # A title alone is the name of no town.
    if words and words[0] not in _TITLES:
        yield words
    for place, word in enumerate(words[:-1], start=1):
        if word.endswith(_TITLES):
            yield words[place:]


def _agree(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether the names begin alike, and each addition of the shorter one stands in the longer one, in order."""
    short, long = sorted((one, other), key=len)
    if short[0] != long[0]:
        return False
    behind = iter(long[1:])
    return all(any(word.startswith(full) or full.startswith(word) for full in behind) for word in short[1:])
