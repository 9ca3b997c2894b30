"""Passes in wallets and cases of all ages, written straight into the register."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, insert, select, update

from issuer.application import Application
from issuer.cases.states import CaseState
from issuer.models import RevisionRow
from issuer.models_cases import CaseRow
from issuer.models_delivery import AppleDeviceRow, AppleRegistrationRow, WalletPassRow
from issuer.models_eudi import EudiCredentialRow, EudiStatusListRow
from tests.service import PERMIT

STAFF = "staff:Zacharias"


def serial_of(application: Application, number: str, type_id: str = PERMIT) -> str:
    with application.reading() as session:
        return session.scalars(
            select(RevisionRow.serial).filter_by(
                tenant=application.tenant, type_id=type_id, number=number, superseded_at=None
            )
        ).one()


def put_on_apple(application: Application, number: str, *, devices: int = 1, type_id: str = PERMIT) -> None:
    tenant, now = application.tenant, application.now()
    serial = serial_of(application, number, type_id)
    with application.writing() as session:
        for _ in range(devices):
            device = secrets.token_hex(16)
            session.add(
                AppleDeviceRow(
                    tenant=tenant, device_id=device, push_token="t", created_at=now, updated_at=now,
                    failing_since=None,
                )
            )  # fmt: skip
            session.flush()
            session.add(AppleRegistrationRow(tenant=tenant, device_id=device, serial=serial, created_at=now))
            session.flush()


def put_on_google(application: Application, number: str, state: str = "", type_id: str = PERMIT) -> None:
    set_wallet(application, number, type_id, google_wanted=True, google_state=state)


def set_wallet(application: Application, number: str, type_id: str = PERMIT, **values: object) -> None:
    serial = serial_of(application, number, type_id)
    with application.writing() as session:
        session.execute(
            update(WalletPassRow).filter_by(tenant=application.tenant, serial=serial).values(**values)
        )


def put_in_eudi_wallet(
    application: Application, number: str, type_id: str = PERMIT, *, days: int = 30, **values: Any
) -> None:
    """One credential of the pass that ends in ``days``, with ``values`` of its row."""
    tenant, now = application.tenant, application.now()
    with application.writing() as session:
        taken = (
            session.scalar(select(func.count()).select_from(EudiCredentialRow).filter_by(tenant=tenant)) or 0
        )
        if session.get(EudiStatusListRow, (tenant, 1)) is None:
            session.add(
                EudiStatusListRow(
                    tenant=tenant, number=1, type_id=type_id, half_year="2027H1", capacity=1000, used=1000
                )
            )
            session.flush()
        row = {
            "tenant": tenant, "list_number": 1, "list_index": taken, "status_value": 0, "type_id": type_id,
            "number": number, "n": 1, "session_id": "s", "batch_id": "b", "generation": 0,
            "configuration": f"{type_id}.mdoc", "format": "mso_mdoc", "issued_at": now,
            "expires_at": now + timedelta(days=days), "superseded_at": None,
        }  # fmt: skip
        session.add(EudiCredentialRow(**row | values))


def clear_wallets(application: Application) -> None:
    with application.writing() as session:
        session.execute(delete(AppleRegistrationRow).filter_by(tenant=application.tenant))
        session.execute(
            update(WalletPassRow).filter_by(tenant=application.tenant).values(google_wanted=False)
        )


def add_cases(
    application: Application, state: CaseState, submitted_at: datetime | None, count: int = 1
) -> None:
    """Cases in ``state`` that came in then, each proposed and decided by somebody of the staff."""
    at = submitted_at or application.now()
    rows = [
        {
            "tenant": application.tenant, "id": secrets.token_urlsafe(16), "number": secrets.token_hex(8),
            "kind": "new", "type_id": PERMIT, "channel": "online", "state": state.value, "version": 1,
            "facts": {}, "checks": [], "fee_cents": None, "person": None, "pass_number": None, "exception": None,
            "proposed_by": STAFF, "decided_by": STAFF, "decision_reason": None, "created_at": at,
            "submitted_at": submitted_at, "decided_at": None, "state_since": at, "deadline": None,
        }
        for _ in range(count)
    ]  # fmt: skip
    with application.writing() as session:
        session.execute(insert(CaseRow), rows)
