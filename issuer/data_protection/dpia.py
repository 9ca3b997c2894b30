"""The draft of a data protection impact assessment (Art. 35 GDPR): text in German, facts from this installation.

What is a judgement is left to people and marked with "zu bewerten".
"""

from __future__ import annotations

from importlib.resources import files

from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.data_protection.record import Record, make_record, period_text, recipient_texts
from keys.texts import texts
from passes.display import day_text
from passes.periods import berlin_day


def make_dpia(session: Session, application: Application) -> str:
    """The draft as Markdown, with the facts of ``session``'s state of the register."""
    record = make_record(session, application)
    say = texts("issuer", "de")
    return _template().format(
        city=record.city,
        contact=record.contact or "(nicht angegeben)",
        officer=record.officer or say("RECORD_OFFICER_MISSING"),
        day=day_text(berlin_day(record.made_at), "de"),
        activities=_activities(record),
        periods=_periods(record),
        recipients=_recipients(record),
        measures=_measures(record, is_on=True),
        gaps=_measures(record, is_on=False),
    )


def _template() -> str:
    return files("issuer.data_protection").joinpath("dpia.de.md").read_text("utf-8")


def _activities(record: Record) -> str:
    say = texts("issuer", "de")
    lines = ["| Tätigkeit | Zweck | Betroffene |", "|---|---|---|"]
    for one in record.entries:
        stem = f"RECORD_{one.activity.name}"
        lines.append(f"| {say(stem)} | {say(f'{stem}_PURPOSE')} | {say(f'{stem}_PEOPLE')} |")
    return "\n".join(lines)


def _periods(record: Record) -> str:
    say = texts("issuer", "de")
    lines = ["| Tabelle | gelöscht |", "|---|---|"]
    lines += [
        f"| `{one.name}` | {period_text(one, say)} |" for entry in record.entries for one in entry.tables
    ]
    return "\n".join(lines)


def _recipients(record: Record) -> str:
    say = texts("issuer", "de")
    return "\n".join(
        f"- {say(f'RECORD_{one.activity.name}')}: {'; '.join(recipient_texts(one, say))}"
        for one in record.entries
        if one.recipients
    )


def _measures(record: Record, *, is_on: bool) -> str:
    say = texts("issuer", "de")
    found = [f"- {say(one.text, **one.params)}" for one in record.measures if one.is_on == is_on]
    return "\n".join(found) or "- keine"
