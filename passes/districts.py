"""The district signs that German plates may begin with, from the data file ``districts.txt``."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import Final

#: Signs that only vehicles of the federation, the states, the armed forces and NATO carry, always followed
#: by digits and never by letters (FZV, annex on the signs of the federation, the states and NATO).
#: No resident's car has one, so they never count as a reading of a plate with letters.
AUTHORITY_SIGNS: Final = frozenset(
    "BBL BD BP BW BWL BYL HEL LSA LSN MVL NL NRW RPL SAL SH THL THW X Y".split()
)


@lru_cache(maxsize=1)
def district_signs() -> frozenset[str]:
    """All district signs, upper case and NFC, those of authorities included.

    Raises ValueError when the data file repeats or misspells a sign: a fault of the installation.
    """
    text = files("passes").joinpath("districts.txt").read_text("utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    signs = frozenset(lines)
    if len(signs) != len(lines) or not all(1 <= len(sign) <= 3 and sign.isupper() for sign in signs):
        raise ValueError("passes/districts.txt repeats or misspells a sign")
    return signs


@lru_cache(maxsize=1)
def civil_district_signs() -> frozenset[str]:
    """The signs that may be followed by letters, so those a resident's car can carry."""
    return district_signs() - AUTHORITY_SIGNS
