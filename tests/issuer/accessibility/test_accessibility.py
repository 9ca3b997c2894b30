"""The accessibility statement says what the settings say; feedback is taken from anybody, and does no harm."""

from __future__ import annotations

import msgspec
import pytest
from sqlalchemy import func, select

from issuer.accessibility.feedback import clean
from issuer.application import Application
from issuer.errors import IssuerRefusal
from issuer.models_feedback import AccessibilityFeedbackRow
from issuer.nightly.run import run_night
from issuer.settings import load_settings, save_settings
from issuer.staff.permissions import Role
from tests.issuer.console.people import settle
from tests.issuer.pickup.browser import browser
from tests.service import City

PATH = "/accessibility"
FEEDBACK = f"{PATH}/feedback"


def change(application: Application, **values: object) -> None:
    with application.writing() as session:
        settings = msgspec.structs.replace(load_settings(session, application.tenant), **values)
        save_settings(session, application.tenant, settings)


def stored(application: Application) -> list[AccessibilityFeedbackRow]:
    with application.reading() as session:
        return list(
            session.scalars(
                select(AccessibilityFeedbackRow)
                .where(AccessibilityFeedbackRow.tenant == application.tenant)
                .order_by(AccessibilityFeedbackRow.created_at)
            )
        )


def test_the_statement_follows_the_settings(application: Application) -> None:
    with browser(application) as client:
        draft = client.get(PATH, headers={"accept-language": "de"}).text
        assert "noch nicht geprüft" in draft
        assert "teilweise vereinbar" in draft
        assert "Ombudsstelle für barrierefreie Informationstechnik" in draft
        assert "Impressum" not in draft
        change(
            application,
            accessibility_checked="2026-11-19",
            accessibility_gaps=("Die Karte der Zonen hat <b>keine</b> Beschreibung.",),
            accessibility_office="Amt 33, Musterstadt",
            imprint_url="https://www.musterstadt.de/impressum",
            privacy_url="https://www.musterstadt.de/datenschutz",
        )
        page = client.get(PATH, headers={"accept-language": "de"}).text
        assert "noch nicht geprüft" not in page
        assert "19.11.2026" in page
        assert "&lt;b&gt;keine&lt;/b&gt;" in page
        assert "Amt 33" in page
        assert 'href="https://www.musterstadt.de/impressum"' in page
        # Linked under every page of holders.
        for path in ("/", "/p", "/p/code", "/p/new"):
            shown = client.get(path).text
            assert 'href="/accessibility"' in shown
            assert 'href="https://www.musterstadt.de/datenschutz"' in shown
        change(application, accessibility_gaps=())
        assert "comply with BITVNRW" in client.get(PATH, headers={"accept-language": "en"}).text


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"imprint_url": "javascript:alert(1)"}, "SETTING_PAGE"),
        ({"privacy_url": "http://www.musterstadt.de/"}, "SETTING_PAGE"),
        ({"accessibility_checked": "gestern"}, "SETTING_DAY"),
        ({"accessibility_gaps": ("",)}, "SETTING_TEXT"),
        ({"accessibility_gaps": ("x" * 501,)}, "SETTING_TEXT"),
        ({"accessibility_gaps": ("x",) * 51}, "SETTING_TEXT"),
        ({"accessibility_office": "a\nb"}, "SETTING_TEXT"),
    ],
)
@pytest.mark.parametrize("city", ["sqlite"], indirect=True)
def test_settings_are_checked(application: Application, values: dict[str, object], code: str) -> None:
    with pytest.raises(IssuerRefusal) as refused:
        change(application, **values)
    assert refused.value.code == code


def test_feedback_is_taken_seen_and_deleted(
    city: City, application: Application, neighbour: Application
) -> None:
    hostile = "Zeile 1\r\n<script>alert(1)</script>\u202e\x00 =cmd"
    with browser(application) as client:
        answer = client.post(FEEDBACK, data={"message": hostile, "reply_to": "a.b@example.org"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/accessibility/thanks")
        assert "183" in client.get("/accessibility/thanks").text
    [row] = stored(application)
    assert row.message == "Zeile 1\n<script>alert(1)</script> =cmd"
    assert stored(neighbour) == []
    chief = settle(application, city.clock, "chief", Role.SUPERVISOR)
    assert "Offene Meldungen: 1" in chief.client.get("/office").text
    page = chief.client.get("/office/barriers").text
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page
    assert "a.b@example.org" in page
    for identity in ("nobody", row.id, row.id):
        assert chief.send("/office/barriers/done", page="/office/barriers", id=identity).status_code == 303
    assert stored(application)[0].done_at is not None
    assert "Offene Meldungen" not in chief.client.get("/office").text
    city.clock.forward(days=application.config.retention.feedback - 1)
    run_night(application)
    assert len(stored(application)) == 1
    city.clock.forward(days=2)
    run_night(application)
    assert stored(application) == []


def test_what_is_not_taken(city: City, application: Application) -> None:
    with browser(application, **{"accept-language": "de"}) as client:
        for fields, said in (
            ({}, "Schreiben Sie, was das Hindernis ist"),
            ({"message": " \u200b\n "}, "Schreiben Sie, was das Hindernis ist"),
            ({"message": "x" * 2001}, "Schreiben Sie, was das Hindernis ist"),
            ({"message": ["a", "b"]}, "Schreiben Sie, was das Hindernis ist"),
            ({"message": "Kontrast", "reply_to": "a@b\nBcc: c@d.de"}, "E-Mail-Adresse wie"),
            ({"message": "Kontrast", "reply_to": "x" * 300 + "@a.de"}, "E-Mail-Adresse wie"),
        ):
            answer = client.post(FEEDBACK, data=fields)
            assert answer.status_code == 422, fields
            assert said in answer.text, fields
        assert client.post(FEEDBACK, data={"message": "x" * 20_000}).status_code == 413
        foreign = client.post(FEEDBACK, data={"message": "x"}, headers={"sec-fetch-site": "cross-site"})
        assert foreign.status_code == 403
        assert stored(application) == []
        told = [client.post(FEEDBACK, data={"message": f"Nummer {n}"}).status_code for n in range(4)]
        assert told == [303, 303, 303, 429]
        city.clock.forward(minutes=10)
        assert client.post(FEEDBACK, data={"message": "wieder"}).status_code == 303
    with application.reading() as session:
        assert session.scalar(select(func.count()).select_from(AccessibilityFeedbackRow)) == 4


def test_lines_stay_and_what_cannot_be_seen_goes() -> None:
    assert clean("  a\r\nb\rc\n\n") == "a\nb\nc"
    assert clean("e\u0301\u2066x\ue000") == "éx"
