"""Pushing to 10,000 phones through a stand-in of Apple's service, beside the bare HTTP/2 client in the same run.

The task is the whole of it: finding the devices, one connection, results written in short transactions. The limit is
the same client sending the same pushes and writing nothing. The stand-in is a process of its own, in Python as well;
with two cores it is what both wait for.
"""

from __future__ import annotations

import json
import os
import resource
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import insert, select

from bench.issue import TODAY, write_permits
from issuer import outgoing
from issuer.application import Application
from issuer.delivery import apple_push
from issuer.models_delivery import AppleDeviceRow, AppleRegistrationRow, WalletPassRow
from issuer.setup import DEMO_ROOT

DEVICES = 10_000
PERMITS = 2_000
STADTPASS = [sys.executable, "-m", "issuer.cli"]


def run(devices: int = DEVICES) -> list[str]:
    """Measure; returns lines to print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = folder / "data"
        write_permits(folder / "permits.csv", PERMITS)
        for command in (
            ["init", "--demo", "--data", str(data)],
            ["issue", "resident-parking-permit", str(folder / "permits.csv"), "--data", str(data),
             "--carriers", "seal", "--today", TODAY],
        ):  # fmt: skip
            subprocess.run([*STADTPASS, *command], check=True, capture_output=True)
        with _apple(folder, data) as told:
            os.environ["STADTPASS_APPLE_PUSH_URL"] = told["url"]
            os.environ["STADTPASS_APPLE_PUSH_CA_FILE"] = told["ca_file"]
            with Application.open(data) as application:
                return _measure(application, devices)


@contextmanager
def _apple(folder: Path, data: Path) -> Iterator[dict[str, str]]:
    command = [sys.executable, "-m", "tests.apns_server", "--client-root", str(data / DEMO_ROOT)]
    process = subprocess.Popen(
        [*command, "--folder", str(folder / "apple")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(timeout=30)


def _measure(application: Application, devices: int) -> list[str]:
    tenant, now = application.tenant, application.now()
    with application.writing() as session:
        wallets = session.scalars(select(WalletPassRow).where(WalletPassRow.tenant == tenant)).all()
        tokens = [secrets.token_hex(32) for _ in range(devices)]
        rows = [
            {"tenant": tenant, "device_id": f"{n:032x}", "push_token": token, "created_at": now,
             "updated_at": now}
            for n, token in enumerate(tokens)
        ]  # fmt: skip
        session.execute(insert(AppleDeviceRow), rows)
        places = [
            {"tenant": tenant, "device_id": f"{n:032x}", "serial": wallets[n % len(wallets)].serial,
             "created_at": now, "registered_tag": 1}
            for n in range(devices)
        ]  # fmt: skip
        session.execute(insert(AppleRegistrationRow), places)
        outgoing.moved(session, tenant, {one.serial: (one.type_id, one.number) for one in wallets}, now)
    serials = sorted(one.serial for one in wallets)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    started = time.perf_counter()
    for place in range(0, len(serials), outgoing.CHUNK):
        apple_push.run(application, {"serials": serials[place : place + outgoing.CHUNK]})
    seconds = time.perf_counter() - started
    with application.reading() as session:
        left = apple_push.count_outstanding(session, tenant)
    if left:
        raise RuntimeError(f"{left} devices were not pushed")
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    client = apple_push._client(application)
    assert client is not None
    started = time.perf_counter()
    for place in range(0, devices, apple_push.CHUNK):
        client.push_all(tokens[place : place + apple_push.CHUNK], now)
    bare = time.perf_counter() - started
    apple_push.close_clients()
    return [
        f"push of {devices} devices {seconds:6.1f} s, {devices / seconds:5.0f}/s, one connection",
        f"  {bare / seconds:.2f} of the bare HTTP/2 client ({devices / bare:.0f}/s against the same stand-in)",
        f"  memory {before:.0f} MB before, {after:.0f} MB at its peak",
    ]


if __name__ == "__main__":
    print("\n".join(run()))
