"""The season of a seasonal plate: the months in which the car is registered, stamped on its right edge."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Self

from passes.errors import PassRefusal

_SEASON = re.compile(r"([0-9]{2})[-/]([0-9]{2})", re.ASCII)
_SHORTEST, _LONGEST = 2, 11


@dataclass(frozen=True, slots=True)
class Season:
    """First and last month (1 to 12, both inclusive) in which a seasonal plate is valid, every year.

    A season has 2 to 11 months (section 10 (3) FZV) and may run over the New Year: ``10-03`` is
    October to March. Raises PassRefusal SEASON_MONTH for a month that does not exist, SEASON_LENGTH for a
    season that is too short or lasts all year.
    """

    first_month: int
    last_month: int

    def __post_init__(self) -> None:
        for month in (self.first_month, self.last_month):
            if not 1 <= month <= 12:
                raise PassRefusal("SEASON_MONTH", month=f"{month:02d}")
        if not _SHORTEST <= self.months <= _LONGEST:
            raise PassRefusal("SEASON_LENGTH", season=self.text, months=self.months)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``04-10`` or ``04/10``, two digits a month, with nothing around it but spaces.

        Raises PassRefusal SEASON_FORMAT, SEASON_MONTH or SEASON_LENGTH.
        """
        found = _SEASON.fullmatch(text.strip(" ")) if len(text) <= 20 else None
        if found is None:
            raise PassRefusal("SEASON_FORMAT")
        return cls(int(found[1]), int(found[2]))

    @property
    def months(self) -> int:
        """The number of months of the season."""
        return (self.last_month - self.first_month) % 12 + 1

    @property
    def text(self) -> str:
        """The season as people write it: ``04-10``."""
        return f"{self.first_month:02d}-{self.last_month:02d}"

    def contains(self, day: date) -> bool:
        """Whether the plate is registered on ``day``, a day in Europe/Berlin."""
        return (day.month - self.first_month) % 12 < self.months

    def as_pair(self) -> tuple[int, int]:
        """``(first month, last month)``, as the seal carries it."""
        return self.first_month, self.last_month
