"""What monitors ask."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from issuer import counters
from issuer.application import Application
from issuer.models import SigningKeyRow
from issuer.models_delivery import (
    AppleDeviceRow,
    AppleRegistrationRow,
    NightlyRunRow,
    PublicationRow,
    WalletPassRow,
    WorkerRow,
)
from issuer.web.health import notes_about, reasons_against
from issuer.web.metrics import render
from tests.issuer.web.conftest import service
from tests.service import TENANT, TODAY, City


def live(application: Application, **other: object) -> None:
    """What a worker that runs leaves in the register."""
    with application.writing() as session:
        values = {
            "tenant": TENANT,
            "executor_id": "a",
            "started_at": TODAY,
            "seen_at": TODAY,
            "stopped_at": None,
        }
        session.add(WorkerRow(**values | other))
        session.add(PublicationRow(tenant=TENANT, audit_sequence=1, published_at=TODAY, held_until=None))


def test_alive(folder: Path) -> None:
    with service(folder) as client:
        answer = client.get("/health")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_ready_when_a_worker_lives_and_lists_are_fresh(folder: Path) -> None:
    with service(folder) as client:
        answer = client.get("/ready")
        assert answer.status_code == 503
        assert [one.split(":")[0] for one in answer.json()["reasons"]] == ["worker", "publication"]
        live(client.app.state.application)
        answer = client.get("/ready")
        assert answer.status_code == 200
        assert answer.json() == {"status": "ready", "reasons": [], "notes": []}


def reasons(application: Application) -> list[str]:
    return list(reasons_against(application))


def test_reasons_against(application: Application) -> None:
    live(application)
    assert reasons(application) == []
    with application.writing() as session:
        session.query(WorkerRow).update({"seen_at": TODAY - timedelta(seconds=61)})
    assert reasons(application)[0].startswith("worker")
    with application.writing() as session:
        session.query(WorkerRow).update({"seen_at": TODAY, "stopped_at": TODAY})
    assert reasons(application)[0].startswith("worker")
    with application.writing() as session:
        session.query(WorkerRow).update({"stopped_at": None})
        session.query(PublicationRow).update({"published_at": TODAY - timedelta(hours=25)})
    assert reasons(application)[0].startswith("publication")
    with application.writing() as session:
        session.query(PublicationRow).update({"published_at": TODAY})
        keys = session.query(SigningKeyRow).filter_by(tenant=TENANT)
        keys.filter_by(purpose="apple-pass").update({"not_after": TODAY - timedelta(days=1)})
        keys.filter_by(purpose="seal").update({"state": "revoked", "revoked_at": TODAY})
    assert reasons(application) == ["key: none is active for seal", "key: expired for apple-pass"]


def night(application: Application, begun: datetime, ended: datetime | None) -> None:
    with application.writing() as session:
        session.add(
            NightlyRunRow(
                tenant=TENANT,
                day=begun.date(),
                name="nightly",
                started_at=begun,
                finished_at=ended,
                report={},
            )
        )


LATE = ["night: its work was not finished for longer than 36 hours"]


def notes(application: Application) -> list[str]:
    return list(notes_about(application))


def test_a_night_whose_work_is_late(city: City, application: Application) -> None:
    city.clock.forward(hours=37)
    now = city.clock.at
    assert notes(application) == [], "no worker runs"
    live(application, seen_at=now, started_at=now - timedelta(hours=1))
    assert notes(application) == [], "the first night is still to come"
    with application.writing() as session:
        session.query(WorkerRow).update({"started_at": TODAY})
    assert notes(application) == LATE, "the clockwork stands still"
    night(application, now - timedelta(hours=2), None)
    assert notes(application) == [], "the first one is under way"
    night(application, now + timedelta(days=1000), now + timedelta(days=1000))
    city.clock.forward(hours=35)
    now = city.clock.at
    with application.writing() as session:
        session.query(WorkerRow).update({"seen_at": now})
    assert notes(application) == LATE, "it does not end"
    night(application, now - timedelta(hours=61), now - timedelta(hours=35, minutes=59))
    assert notes(application) == []
    city.clock.forward(minutes=2)
    with application.writing() as session:
        session.query(WorkerRow).update({"seen_at": city.clock.at})
    assert notes(application) == LATE
    with application.writing() as session:
        session.query(WorkerRow).update({"stopped_at": city.clock.at})
    assert notes(application) == [], "that no worker runs is a reason already"


def test_what_ends_soon_is_a_note_and_no_reason(folder: Path) -> None:
    with service(folder) as client:
        application = client.app.state.application
        live(application)
        with application.writing() as session:
            keys = session.query(SigningKeyRow).filter_by(tenant=TENANT, purpose="seal")
            kids = [one.kid for one in keys]
            keys.update({"not_after": TODAY + timedelta(days=20)})
        answer = client.get("/ready")
        assert (answer.status_code, answer.json()["reasons"]) == (200, [])
        assert answer.json()["notes"] == ["ends: KEY_ENDS_SOON (seal), 20 days left"]
        assert not any(kid in answer.text for kid in kids)


def test_notes_that_cannot_be_made(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(_: Application) -> list[object]:
        raise PermissionError("bundle of Erika")

    monkeypatch.setattr("issuer.nightly.certificates.warnings", unreadable)
    assert notes(application) == ["notes: PermissionError"]


def test_another_schema_is_not_ready(application: Application) -> None:
    live(application)
    with application.writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert reasons(application)[0].startswith("migrations")


def test_a_database_that_is_gone(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    from sqlalchemy.exc import OperationalError

    def gone() -> None:
        raise OperationalError("SELECT 'Erika'", {}, Exception("Erika"))

    monkeypatch.setattr(application, "reading", gone)
    assert reasons(application) == ["database: OperationalError"]


def test_what_the_worker_of_this_process_complains_of(application: Application) -> None:
    class Complaining:
        def problems(self) -> list[str]:
            return ["publishing: OSError"]

    live(application)
    assert list(reasons_against(application, Complaining())) == ["worker: publishing: OSError"]


@pytest.mark.parametrize(
    ("address", "config", "headers", "status"),
    [
        ("127.0.0.1", "", {}, 200),
        ("192.0.2.1", "", {}, 404),
        ("192.0.2.1", '\n[service]\nmetrics_networks = ["192.0.2.0/24"]\n', {}, 200),
        # A proxy on this machine passes on whatever it is asked.
        ("127.0.0.1", "", {"x-forwarded-for": "127.0.0.1"}, 404),
        (
            "127.0.0.1",
            '\n[service]\ntrusted_proxies = ["127.0.0.1"]\n',
            {"x-forwarded-for": "127.0.0.1"},
            404,
        ),
    ],
)
def test_metrics_are_for_the_operator(
    folder: Path, address: str, config: str, headers: dict[str, str], status: int
) -> None:
    with service(folder, config, address) as client:
        assert client.get("/metrics", headers=headers).status_code == status


def test_metrics(application: Application) -> None:
    live(application)
    with application.writing() as session:
        wallet = session.query(WalletPassRow).filter_by(tenant=TENANT).first()
        assert wallet is not None
        wallet.update_tag, wallet.google_wanted, wallet.google_tag = 7, True, 3
        session.add(
            AppleDeviceRow(
                tenant=TENANT,
                device_id="d",
                push_token="aa",
                created_at=TODAY,
                updated_at=TODAY,
                failing_since=None,
            )
        )
        session.flush()
        for serial, tag in ((wallet.serial, 6), ("gone", 6)):
            session.add(
                AppleRegistrationRow(
                    tenant=TENANT,
                    device_id="d",
                    serial=serial,
                    created_at=TODAY,
                    pushed_tag=tag,
                    registered_tag=0,
                )
            )
    counters.PUSHES.labels("sent").inc()
    shown = render(application).decode()
    values = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(shown)
        for sample in family.samples
    }
    assert values["stadtpass_apple_registrations",] == 2
    assert values["stadtpass_apple_outstanding",] == 1
    assert values["stadtpass_google_outstanding",] == 1
    assert values["stadtpass_publication_age_seconds",] == 0
    assert values["stadtpass_queue_tasks", "delivery"] == 0
    assert values["stadtpass_apple_pushes_total", "sent"] >= 1
    assert values["stadtpass_key_days_left", "apple-pass"] > 300
    # Nothing of anybody: no serials, numbers, names.
    assert wallet.serial not in shown
    assert not re.search(r"BPA-|Muster", shown)
