"""Which counts of a month are told, so that a small one can neither be read nor worked out.

Small counts (below the threshold k, zero included) are hidden. One hidden count alone would follow from the total
and the counts that are told; and whoever knows this procedure knows more than the numbers: that a count was hidden
because it is small, and that others were hidden so that it cannot be worked out. So further counts are hidden, in an
order that tells nothing, until the hidden ones leave room: their sum exceeds the least that the further ones could
be, k each, by k - 1 or more. If they never do, the total is hidden as well.

Then every small count could, as far as anybody can tell, be any number from 0 to k - 2 at least. Let one be such a
number, the other small ones 0, the further ones but the last k, and the last what is left of the sum. While they were
hidden one after the other there was no room before the last one, as it was in truth; the sum, and with it the room
in the end, is the same; so the same counts are hidden and the same numbers told.
`tests/issuer/figures/test_suppression.py` goes through all the counts that a published month could come from.

The order must follow from what is public already: of what was told of earlier months the smallest first, so that the
same zones stay hidden and large ones are told. Months share no sum, and what is told of one follows from its own
counts and from what others tell; so several of them tell no more about a hidden count than its own month does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

LEAST_THRESHOLD: Final = 3


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of a month: the counts by zone and the total; None where it is not told."""

    counts: Mapping[str, int | None]
    total: int | None


def suppress(counts: Mapping[str, int], threshold: int, before: Mapping[str, int]) -> Told:
    """What may be told of ``counts`` (by zone) if counts below ``threshold`` are small.

    ``before`` is what was told of the zones last. Raises ValueError for a threshold below 3, with which nothing would
    be left to guess, and for a negative count.
    """
    if threshold < LEAST_THRESHOLD or any(count < 0 for count in counts.values()):
        raise ValueError("a threshold of 3 or more, and counts of 0 or more")
    hidden = {zone for zone, count in counts.items() if count < threshold}
    total: int | None = sum(counts.values())
    if hidden:
        hidden_sum, further, has_room = sum(counts[zone] for zone in hidden), 0, False
        for zone in _order(counts, before):
            if zone in hidden:
                continue
            hidden.add(zone)
            hidden_sum += counts[zone]
            further += 1
            has_room = hidden_sum - threshold * further >= threshold - 1
            if has_room:
                break
        if not has_room:
            total = None
    return Told({zone: None if zone in hidden else count for zone, count in counts.items()}, total)


def _order(counts: Mapping[str, int], before: Mapping[str, int]) -> list[str]:
    """The zones by what was told of them last; those of which nothing was told come last."""
    return sorted(counts, key=lambda zone: (zone not in before, before.get(zone, 0), zone))
