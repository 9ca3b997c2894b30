"""The audit chain, and what tampering with it shows."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import delete, update

from issuer import audit
from issuer.audit import AuditEvent, AuditReport
from issuer.models import AuditEntryRow, AuditHeadRow
from tests.issuer.register_samples import TODAY, SampleRegister, sample_register

TENANT = "duesseldorf"
EVENTS = [
    AuditEvent("change", "t/1", {"zone": "HO", "plates": ["D-AB 1"]}, {"zone": "MÜ", "plates": []}),
    AuditEvent("suspend", "t/2", {"status": "active"}, {"status": "suspended"}, "chargeback"),
    AuditEvent("resume", "t/2", {"status": "suspended"}, {"status": "active"}, "paid"),
]


@pytest.fixture
def register(register_url: str) -> Iterator[SampleRegister]:
    with sample_register(register_url) as opened:
        with opened.writing() as session:
            audit.append(session, TENANT, EVENTS, TODAY, "clerk")
            audit.append(session, "neuss", EVENTS[:1], TODAY, "clerk")
            audit.append(session, TENANT, EVENTS[1:], TODAY + timedelta(hours=1), "clerk")
        yield opened


def verify(register: SampleRegister, noted: tuple[int, str] | None = None) -> AuditReport:
    with register.reading() as session:
        return audit.verify(session, TENANT, noted)


def test_a_whole_chain(register: SampleRegister) -> None:
    report = verify(register)
    assert (report.entries, report.fault, report.broken_at) == (5, None, None)
    with register.reading() as session:
        entries = audit.history(session, TENANT, "t/2")
        other = audit.verify(session, "neuss")
    assert [(one.action, one.reason) for one in entries] == [
        ("suspend", "chargeback"), ("resume", "paid"), ("suspend", "chargeback"), ("resume", "paid"),
    ]  # fmt: skip
    assert entries[0].before == {"status": "active"}
    assert (other.entries, other.fault) == (1, None)
    assert verify(register, (5, report.head)) == report


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("actor", "nobody"),
        ("action", "revoke"),
        ("subject", "t/3"),
        ("before", '{"status":"revoked"}'),
        ("after", "null"),
        ("reason", None),
        ("at", TODAY + timedelta(microseconds=1)),
        ("hash", "0" * 64),
    ],
)
def test_a_changed_field_is_found(register: SampleRegister, column: str, value: object) -> None:
    with register.writing() as session:
        session.execute(
            update(AuditEntryRow)
            .where(AuditEntryRow.tenant == TENANT, AuditEntryRow.sequence == 3)
            .values({column: value})
        )
    report = verify(register)
    assert (report.fault, report.broken_at, report.entries) == ("AUDIT_CHANGED", 3, 2)


@pytest.mark.parametrize(
    ("removed", "fault", "broken_at"),
    [(1, "AUDIT_MISSING", 1), (3, "AUDIT_MISSING", 3), (5, "AUDIT_CUT", 5)],
)
def test_a_removed_entry_is_found(register: SampleRegister, removed: int, fault: str, broken_at: int) -> None:
    with register.writing() as session:
        session.execute(
            delete(AuditEntryRow).where(AuditEntryRow.tenant == TENANT, AuditEntryRow.sequence == removed)
        )
    report = verify(register)
    assert (report.fault, report.broken_at) == (fault, broken_at)


def test_an_emptied_chain_is_found(register: SampleRegister) -> None:
    with register.writing() as session:
        session.execute(delete(AuditEntryRow).where(AuditEntryRow.tenant == TENANT))
    assert verify(register).fault == "AUDIT_CUT"


def test_a_chain_computed_anew_shows_against_a_noted_hash(register: SampleRegister) -> None:
    noted = verify(register)
    with register.writing() as session:
        session.execute(delete(AuditEntryRow).where(AuditEntryRow.tenant == TENANT))
        session.execute(delete(AuditHeadRow).where(AuditHeadRow.tenant == TENANT))
        session.expire_all()
        forged = [replace(one, reason="forged") for one in EVENTS]
        audit.append(session, TENANT, [*forged, *forged], TODAY, "clerk")
    assert verify(register).fault is None
    report = verify(register, (noted.entries, noted.head))
    assert (report.fault, report.broken_at) == ("AUDIT_OTHER_CHAIN", 5)
    beyond = verify(register, (7, noted.head))
    assert (beyond.fault, beyond.broken_at) == ("AUDIT_OTHER_CHAIN", 7)
