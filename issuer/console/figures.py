"""Figures for the office: charts with their tables, and the tables as files. Counts only, and no way to a person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from litestar import Response, get
from markupsafe import Markup

from issuer.console.desk import Desk, desk_of
from issuer.console.moments import moment
from issuer.figures import office, words
from issuer.figures.charts import Column, Row, columns_chart, rows_chart, swatch
from issuer.figures.office import OPEN_STATES, Adoption, Carrier, OpenCases, Wave
from issuer.figures.tables import FigureTable, csv_text
from issuer.web.reader import AnyRequest
from passes.periods import berlin_day

# Spreadsheets take a file with this at its beginning for UTF-8.
_MARK: Final = "\N{ZERO WIDTH NO-BREAK SPACE}"


@get("/office/figures", sync_to_thread=True)
def show(request: AnyRequest) -> Response[Any]:
    """All figures as they are now; ``?zone=`` has the wave of one zone."""
    desk = desk_of(request)
    application, say = desk.application, desk.reader.say
    with application.reading() as session:
        adopted = office.adoption(session, application)
        wave = office.wave(session, application)
        cases = office.open_cases(session, application)
    asked = request.query_params.get("zone", "")
    zone = asked if asked in wave.zones else ""
    return desk.page(
        "figures.html",
        at=moment(application.now(), desk.reader.language),
        zone=zone,
        zones=wave.zones,
        adoption=[
            (words.type_name(say, application.pass_types, one.type_id), _adoption_chart(desk, one))
            for one in adopted
        ],
        wave=_wave_chart(desk, wave, zone),
        cases=_cases_chart(desk, cases),
        legend=[(swatch(f"legend-{place}", place), name) for place, name in enumerate(words.band_names(say))],
        tables={
            "adoption": words.adoption_table(say, application.pass_types, adopted),
            "ending": words.wave_table(say, wave),
            "cases": words.cases_table(say, cases),
        },
        number=lambda value: words.number_text(say, value),
    )


@get("/office/figures/adoption.csv", sync_to_thread=True)
def adoption_file(request: AnyRequest) -> Response[bytes]:
    """Adoption by carrier as CSV."""
    desk = desk_of(request)
    with desk.application.reading() as session:
        found = office.adoption(session, desk.application)
    return _file(desk, "adoption", words.adoption_table(desk.reader.say, desk.application.pass_types, found))


@get("/office/figures/ending.csv", sync_to_thread=True)
def wave_file(request: AnyRequest) -> Response[bytes]:
    """The wave of expiry as CSV."""
    desk = desk_of(request)
    with desk.application.reading() as session:
        found = office.wave(session, desk.application)
    return _file(desk, "ending", words.wave_table(desk.reader.say, found))


@get("/office/figures/cases.csv", sync_to_thread=True)
def cases_file(request: AnyRequest) -> Response[bytes]:
    """Open cases as CSV."""
    desk = desk_of(request)
    with desk.application.reading() as session:
        found = office.open_cases(session, desk.application)
    return _file(desk, "cases", words.cases_table(desk.reader.say, found))


def _file(desk: Desk, name: str, table: FigureTable) -> Response[bytes]:
    text = _MARK + csv_text(table.columns, table.rows, ";")
    day = berlin_day(desk.application.now()).isoformat()
    return desk.reader.file(text.encode(), "text/csv; charset=utf-8", f"{name}-{day}.csv")


def _adoption_chart(desk: Desk, found: Adoption) -> Markup:
    say = desk.reader.say
    name = words.type_name(say, desk.application.pass_types, found.type_id)
    rows = [
        Row(
            words.carrier_name(say, one),
            words.share_text(say, found.counts[one], found.total),
            [found.counts[one]],
        )
        for one in Carrier
    ]
    return rows_chart(
        f"adoption-{found.type_id}",
        say("FIGURES_ADOPTION_CHART", type=name),
        _in_words(rows),
        rows,
        found.total,
    )


def _wave_chart(desk: Desk, wave: Wave, zone: str) -> Markup:
    say = desk.reader.say
    numbers = [wave.of_week(week, zone) for week in wave.weeks]
    most = max(numbers)
    peak = wave.weeks[numbers.index(most)]
    columns = [
        Column(words.short_day(say, week), number, words.number_text(say, number))
        for week, number in zip(wave.weeks, numbers, strict=True)
    ]
    text = say(
        "FIGURES_WAVE_CHART_TEXT",
        total=words.number_text(say, sum(numbers)),
        most=words.number_text(say, most),
        week=words.week_name(say, peak),
    )
    title = say("FIGURES_WAVE_CHART_ZONE", zone=zone) if zone else say("FIGURES_WAVE_CHART")
    return columns_chart("ending-chart", title, text, columns, lambda number: words.number_text(say, number))


def _cases_chart(desk: Desk, cases: OpenCases) -> Markup:
    say = desk.reader.say
    rows = []
    for state in OPEN_STATES:
        counts = cases.of_state(state)
        rows.append(Row(say(f"FIGURES_STATE_{state.name}"), words.number_text(say, sum(counts)), counts))
    return rows_chart("cases-chart", say("FIGURES_CASES_CHART"), _in_words(rows), rows)


def _in_words(rows: Sequence[Row]) -> str:
    return "; ".join(f"{row.label}: {row.value}" for row in rows)


HANDLERS: Final = [show, adoption_file, wave_file, cases_file]
