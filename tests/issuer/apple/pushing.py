"""A stand-in for Apple's push service with a city that pushes to it, and what tests ask of them."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import select

from issuer.application import Application
from issuer.delivery.apple_push import TASKS, outstanding
from issuer.models_delivery import (
    AppleDeviceRow,
    AppleRegistrationRow,
    WalletPassRow,
)
from tests.apns_server import ApnsServer
from tests.service import running_numbers

TASK = TASKS[0]
TOPIC = "pass.example.stadtpass.demo"
Start = Callable[..., tuple[ApnsServer, Application]]


def serial_of(application: Application, number: str) -> str:
    with application.reading() as session:
        return session.scalars(
            select(WalletPassRow.serial).where(
                WalletPassRow.tenant == application.tenant, WalletPassRow.number == number
            )
        ).one()


def token(device: str) -> str:
    return device.encode().hex().ljust(64, "0")


def register(application: Application, serial: str, *devices: str) -> None:
    """Phones as the web service enters them."""
    from issuer.apple_web_service import _register

    with application.writing() as session:
        for device in devices:
            assert _register(session, application, (device, token(device), serial)) is not None


def registered(application: Application) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    with application.reading() as session:
        rows = session.execute(
            select(AppleRegistrationRow.device_id, AppleRegistrationRow.serial).where(
                AppleRegistrationRow.tenant == application.tenant
            )
        )
        for device, serial in rows:
            found.setdefault(device, set()).add(serial)
    return found


def waiting(application: Application) -> list[str]:
    with application.reading() as session:
        return outstanding(session, application.tenant)


def device_row(application: Application, device: str) -> AppleDeviceRow:
    with application.reading() as session:
        row = session.get(AppleDeviceRow, (application.tenant, device))
    assert row is not None
    return row


def serials(application: Application, count: int) -> list[str]:
    return [serial_of(application, number) for number in running_numbers(application)[:count]]


def run(application: Application, *wanted: str) -> None:
    TASK.run(application, {"serials": list(wanted)})
