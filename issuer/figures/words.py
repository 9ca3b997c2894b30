"""The office's figures as tables, in words: the same on the page, in the CSV file and on the command line."""

from __future__ import annotations

from datetime import date, timedelta

from issuer.figures.office import AGE_BANDS, OPEN_STATES, Adoption, Carrier, OpenCases, Wave
from issuer.figures.tables import FigureTable
from keys.texts import Texts
from passes.errors import PassRefusal
from passes.pass_types import PassTypes

_SUNDAY = timedelta(days=6)


def adoption_table(say: Texts, types: PassTypes, found: list[Adoption]) -> FigureTable:
    """A row for each pass type, a column for each carrier."""
    return FigureTable(
        say("FIGURES_ADOPTION_CAPTION"),
        [say("FIGURES_TYPE"), *(carrier_name(say, one) for one in Carrier), say("FIGURES_TOTAL")],
        [
            [type_name(say, types, one.type_id), *(one.counts[carrier] for carrier in Carrier), one.total]
            for one in found
        ],
    )


def wave_table(say: Texts, found: Wave) -> FigureTable:
    """A row for each week, with the sum and a column for each zone."""
    return FigureTable(
        say("FIGURES_WAVE_CAPTION"),
        [say("FIGURES_WEEK"), say("FIGURES_TOTAL"), *found.zones],
        [
            [week_name(say, week), found.of_week(week), *(found.of_week(week, zone) for zone in found.zones)]
            for week in found.weeks
        ],
    )


def cases_table(say: Texts, found: OpenCases) -> FigureTable:
    """A row for each open state, a column for each age band."""
    return FigureTable(
        say("FIGURES_CASES_CAPTION"),
        [say("FIGURES_STATE"), *band_names(say), say("FIGURES_TOTAL")],
        [
            [say(f"FIGURES_STATE_{state.name}"), *(counts := found.of_state(state)), sum(counts)]
            for state in OPEN_STATES
        ],
    )


def carrier_name(say: Texts, carrier: Carrier) -> str:
    """What a carrier is called."""
    return say(f"FIGURES_CARRIER_{carrier.name}")


def band_names(say: Texts) -> list[str]:
    """What the age bands are called, youngest first."""
    names, first = [], 0
    for last in AGE_BANDS:
        names.append(say("FIGURES_BAND", first=first, last=last))
        first = last + 1
    return [*names, say("FIGURES_BAND_LAST", first=first)]


def type_name(say: Texts, types: PassTypes, type_id: str) -> str:
    """What a pass type is called; its id if the city has taken it away."""
    try:
        return types[type_id].words(say.language).name
    except PassRefusal:
        return type_id


def week_name(say: Texts, monday: date) -> str:
    """A week by its number (ISO 8601) and days."""
    return say(
        "FIGURES_WEEK_NAME",
        week=monday.isocalendar().week,
        first=short_day(say, monday),
        last=short_day(say, monday + _SUNDAY),
        year=(monday + _SUNDAY).year,
    )


def short_day(say: Texts, day: date) -> str:
    """A day without its year: ``30.11.`` in German, ``30/11`` in English."""
    return f"{day:%d.%m.}" if say.language == "de" else f"{day:%d/%m}"


def number_text(say: Texts, number: int) -> str:
    """A number as people write it: ``1.234`` in German, ``1,234`` in English."""
    text = f"{number:,}"
    return text.replace(",", ".") if say.language == "de" else text


def share_text(say: Texts, part: int, whole: int) -> str:
    """A number with its share of a whole: ``1.234 (38 %)``."""
    share = round(100 * part / whole) if whole else 0
    return say("FIGURES_SHARE", number=number_text(say, part), share=share)
