"""What the rows of a large file, which is checked in pieces, say to each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from issuer.importing.row_under_check import Member, Surroundings


class EarlierRows(Protocol):
    """What rows say to each other across the pieces of a file. Names stand here as keyed digests."""

    def first_rows(self, numbers: Sequence[str]) -> dict[str, int]:
        """In which row each of ``numbers`` stood first, as far as it did."""

    def cards(self, texts: Sequence[str]) -> dict[str, str]:
        """The number of the row that was the first to claim each of the card numbers ``texts``."""

    def spent(self, texts: Sequence[str]) -> dict[str, str]:
        """The number of the row that says it has replaced each of the card numbers ``texts``."""

    def names(self, refs: Sequence[str]) -> dict[str, str]:
        """The digest of the name that each of the holders ``refs`` had first."""

    def members(self, numbers: Sequence[str]) -> dict[str, Member]:
        """Those of ``numbers`` that are members in any row of the file, also in later ones."""

    def keep(self, first_rows: Mapping[str, int], around: Surroundings, names: Mapping[str, str], /) -> None:
        """Remember these and the card numbers of ``around`` for the pieces that follow; the first of each stays."""


class _None:
    """A file in one piece has no earlier rows."""

    def first_rows(self, _numbers: Sequence[str]) -> dict[str, int]:
        return {}

    def cards(self, _texts: Sequence[str]) -> dict[str, str]:
        return {}

    def spent(self, _texts: Sequence[str]) -> dict[str, str]:
        return {}

    def names(self, _refs: Sequence[str]) -> dict[str, str]:
        return {}

    def members(self, _numbers: Sequence[str]) -> dict[str, Member]:
        return {}

    def keep(self, *_remembered: object) -> None:
        return


NO_EARLIER_ROWS: Final[EarlierRows] = _None()
