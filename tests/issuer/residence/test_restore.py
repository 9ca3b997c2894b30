"""A restored backup brings no certificate back that had been superseded since."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from issuer import reconciliation
from issuer.application import Application
from issuer.cli import main
from issuer.models import PassRow, RevisionRow
from issuer.models_eudi import EudiCredentialRow
from issuer.nightly import residence
from issuer.nightly.reports import Report
from issuer.reconciliation import Reconciled
from issuer.residence.issuing import issue, look_up
from issuer.restored_log import RevocationLogs, read_logs
from issuer.revocation_log import FILE_NAME
from issuer.rules.sources.protocols import Resident
from passes.model import PassStatus
from passes.periods import berlin_day
from passes.status_list import Status
from tests.eudi_issuing_wallet import new_key
from tests.issuer.eudi.conftest import MakeWallet, new_wallet, offer_of
from tests.issuer.residence.registry import (
    ASKED,
    ERIKA,
    NEW_HOME,
    RESIDENCE,
    issued,
    registry,
    write_register,
)
from tests.service import City

__all__ = ["new_wallet"]
MOVED = replace(ASKED, street="Pastorswiesenring", house_number="31")
NOTHING = RevocationLogs(b"", (), ())


@pytest.fixture
def application(city: City) -> Application:
    return registry(city)


def moved(city: City, application: Application) -> Resident:
    write_register(city.folder, ERIKA + NEW_HOME)
    resident = look_up(application, MOVED)
    assert isinstance(resident, Resident)
    return resident


def restore(
    session: Session, application: Application, logs: RevocationLogs, published: Path | None = None
) -> Reconciled:
    at = application.now()
    return reconciliation.reconcile(
        session, application.tenant, at, "test", logs.entries, published, keep_credentials=True
    )


def state(session: Session, number: str) -> tuple[str, int]:
    """The status of the certificate, and what its seal's place says."""
    session.expire_all()
    of_pass = (RevisionRow.type_id == RESIDENCE, RevisionRow.number == number)
    status = session.scalars(select(PassRow.status).where(PassRow.number == number)).one()
    return status, session.scalars(select(RevisionRow.status_value).where(*of_pass)).one()


def logged(city: City) -> list[dict[str, object]]:
    file = city.folder / FILE_NAME
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.is_file() else []


def test_by_the_log(city: City, application: Application, new_wallet: MakeWallet) -> None:
    wallet = new_wallet(application, uses_dpop=True)
    number = issued(application)
    wallet.redeem(wallet.read_offer(offer_of(application, number, type_id=RESIDENCE).link))
    assert wallet.ask(f"{RESIDENCE}.sd-jwt", [new_key(), new_key()]).status_code == 200
    resident = moved(city, application)
    with application.writing() as session:
        before = session.begin_nested()
        issue(session, application, resident, actor="test")
        assert state(session, number) == ("superseded", int(Status.SUPERSEDED))
        # As if the backup were of now.
        before.rollback()
        assert state(session, number) == ("active", int(Status.VALID))
        done = restore(session, application, read_logs([city.folder / FILE_NAME], application.tenant))
        assert state(session, number) == ("superseded", int(Status.SUPERSEDED))
        assert list(session.scalars(select(EudiCredentialRow.status_value))) == [1, 1]
        assert (done.superseded, done.reissue) == (1, {})
        again = restore(session, application, read_logs([city.folder / FILE_NAME], application.tenant))
        assert again.superseded == 0
    told = (city.folder / FILE_NAME).read_text("utf-8")
    assert [secret for secret in ("Müller", "Quirina", "Pastorswiesenring") if secret in told] == []


def test_a_number_that_came_to_another_later(city: City, application: Application) -> None:
    """Of a line that is older than the pass nothing is taken away but the place."""
    number = issued(application)
    (city.folder / FILE_NAME).write_text(
        json.dumps(
            {
                "at": (application.now() - timedelta(days=1)).isoformat(),
                "tenant": application.tenant,
                "superseded": f"{RESIDENCE}/{number}",
                "place": [900, 7],
            }
        )
        + "\n",
        "utf-8",
    )
    logs = read_logs([city.folder / FILE_NAME], application.tenant)
    with application.writing() as session:
        done = restore(session, application, logs)
        assert (done.superseded, done.places, state(session, number)) == (0, 1, ("active", int(Status.VALID)))


def test_by_the_published_lists(city: City, application: Application, tmp_path: Path) -> None:
    """Nobody is told to seal an old address anew."""
    number = issued(application)
    resident = moved(city, application)
    with application.writing() as session:
        issue(session, application, resident, actor="test")
    at = application.now().isoformat()
    published = tmp_path / "published"
    assert main(["publish", "--data", str(city.folder), "--out", str(published), "--at", at]) == 0
    with application.writing() as session:
        session.execute(
            update(PassRow).where(PassRow.number == number).values(status=PassStatus.ACTIVE.value)
        )
        session.execute(
            update(RevisionRow).where(RevisionRow.number == number).values(status_value=int(Status.VALID))
        )
        done = restore(session, application, NOTHING, published)
        assert (done.superseded, done.reissue) == (1, {})
        assert state(session, number) == ("superseded", int(Status.SUPERSEDED))


def test_what_the_night_supersedes_is_logged(city: City, application: Application) -> None:
    number = issued(application)
    moved(city, application)
    residence.run(application, Report(application, berlin_day(application.now()), residence.NAME))
    (line,) = logged(city)
    assert line["superseded"] == f"{RESIDENCE}/{number}"
    with application.reading() as session:
        revision = session.scalars(select(RevisionRow).where(RevisionRow.number == number)).one()
        assert line["place"] == [revision.list_number, revision.list_index]
