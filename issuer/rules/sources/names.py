"""Whether a name that somebody typed is that of a register."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Self

from issuer.rules.sources.protocols import Person
from passes.errors import PassRefusal
from passes.names import search_keys


@dataclass(frozen=True, slots=True)
class RegisteredName:
    """A person of a register, by the spellings that fit."""

    family: frozenset[str]
    given: tuple[frozenset[str], ...]
    birth_date: date | None

    @classmethod
    def of(cls, family_name: str, given_name: str, birth_date: date | None) -> Self:
        """Raises PassRefusal FIELD_TOO_LONG."""
        return cls(search_keys(family_name), _words(given_name), birth_date)

    def fits(self, person: Person) -> bool:
        """Whether ``person`` is this one, as far as can be told.

        Umlauts and hyphens may be written either way. Of several given names some are enough, since people leave
        out those they do not use; somebody who gives none has none. A birth date that is known on both sides decides.
        """
        try:
            family, given = search_keys(person.family_name), _words(person.given_name)
        except PassRefusal:
            return False
        if not self.family & family or bool(given) is not bool(self.given):
            return False
        if not all(any(word & known for known in self.given) for word in given):
            return False
        return None in (self.birth_date, person.birth_date) or self.birth_date == person.birth_date

    def may_be(self, other: RegisteredName) -> bool:
        """Whether two entries can be of one person: as `fits`, whichever of them leaves something out."""
        fewer, more = sorted((self.given, other.given), key=len)
        return (
            bool(self.family & other.family)
            and bool(fewer) is bool(more)
            and all(any(word & known for known in more) for word in fewer)
            and (None in (self.birth_date, other.birth_date) or self.birth_date == other.birth_date)
        )


def _words(text: str) -> tuple[frozenset[str], ...]:
    return tuple(search_keys(word) for word in text.replace("-", " ").split())
