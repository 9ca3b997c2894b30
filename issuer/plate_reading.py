"""What somebody has typed as a plate: one car, several that it may be, or a sentence that says why it is none.

Nothing is guessed. Where O and 0 or I and 1 are mixed up, or letters can be parted in several ways, the holder is
asked which car it is: a wrong plate on a permit is a fine.
"""

from __future__ import annotations

from dataclasses import dataclass

from passes.errors import PassRefusal
from passes.model import RegisteredPlate
from passes.plates import (
    Plate,
    PlateAmbiguous,
    check_season_length,
    correct_lookalikes,
    parse_with_season,
    season_behind,
)


@dataclass(frozen=True, slots=True)
class PlateReading:
    """``plate`` if there is one reading, ``choices`` if the holder has to say which, ``refusal`` if there is none."""

    plate: RegisteredPlate | None = None
    choices: tuple[RegisteredPlate, ...] = ()
    refusal: PassRefusal | None = None


def read_plate(text: str, chosen: str = "") -> PlateReading:
    """Read ``text``; ``chosen`` is the plate, as `spelled`, that the holder picked of the choices for this text."""
    try:
        plate, season = parse_with_season(text)
    except PlateAmbiguous as several:
        return _asked(text, several.suggestions, chosen)
    except PassRefusal as refusal:
        return _mended(text, chosen, refusal)
    return PlateReading(RegisteredPlate(plate, season))


def spelled(one: RegisteredPlate) -> str:
    """A plate with its season behind it, as it can be read again: ``D-AB 123 (04-10)``."""
    return one.plate.canonical + (f" ({one.season.text})" if one.season else "")


def _mended(text: str, chosen: str, refusal: PassRefusal) -> PlateReading:
    try:
        corrected, is_other = correct_lookalikes(text)
        if is_other:
            return _asked(text, (Plate.parse(corrected),), chosen)
    except PlateAmbiguous as several:
        return _asked(text, several.suggestions, chosen)
    except PassRefusal:
        pass
    return PlateReading(refusal=refusal)


def _asked(text: str, plates: tuple[Plate, ...], chosen: str) -> PlateReading:
    try:
        season = season_behind(text)
        if season is not None:
            for plate in plates:
                check_season_length(plate)
    except PassRefusal as refusal:
        return PlateReading(refusal=refusal)
    choices = tuple(RegisteredPlate(plate, season) for plate in plates)
    for one in choices:
        if spelled(one) == chosen:
            return PlateReading(one)
    return PlateReading(choices=choices)
