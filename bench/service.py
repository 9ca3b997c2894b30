"""The web service under load, each rate beside a bare Litestar endpoint in the same run, and the memory it takes.

The service and the bare endpoint are processes of their own with one worker each, as in operation; the client is
this process. With two cores, client and server share the machine fairly.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlalchemy import select

from bench import load
from bench.issue import TODAY, write_permits
from issuer.application import Application
from issuer.models import RevisionRow
from issuer.models_delivery import WalletPassRow

COUNT = 2_000
REQUESTS = 5_000
STADTPASS = [sys.executable, "-m", "issuer.cli"]
# No limits: here everybody comes from one address.
ENVIRONMENT = os.environ | {
    "STADTPASS_SERVICE_REQUESTS_PER_MINUTE": "0",
    "STADTPASS_SERVICE_LOG_LEVEL": "error",
}
_BARE = """
import sys, uvicorn
from litestar import Litestar, get
@get("/bare", sync_to_thread=True)
def bare() -> dict[str, str]:
    return {"status": "ok"}
uvicorn.run(Litestar([bare], openapi_config=None), port=int(sys.argv[1]), log_level="error")
"""


def run(count: int = COUNT) -> list[str]:
    """Measure; returns lines to print."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        data = _city(folder, count)
        phones = _phones(data)
        bare_port = stack.enter_context(_server([sys.executable, "-c", _BARE]))
        port = stack.enter_context(
            _server([*STADTPASS, "serve", "--data", str(data), "--no-worker", "--port"])
        )
        return _measure(bare_port, port, phones, _client(data))


def _city(folder: Path, count: int) -> Path:
    data = folder / "data"
    write_permits(folder / "permits.csv", count)
    for command in (
        ["init", "--demo", "--data", str(data)],
        ["issue", "resident-parking-permit", str(folder / "permits.csv"), "--data", str(data), "--carriers",
         "seal", "--today", TODAY],
    ):  # fmt: skip
        subprocess.run([*STADTPASS, *command], check=True, capture_output=True)
    return data


def _phones(data: Path) -> list[tuple[str, str, str]]:
    """Pass type identifier, serial and token of each pass."""
    with Application.open(data) as application, application.reading() as session:
        identifier = application.settings(session).apple_pass_type_identifier
        rows = session.execute(
            select(WalletPassRow.serial, RevisionRow.apple_token).join(
                RevisionRow,
                (RevisionRow.tenant == WalletPassRow.tenant) & (RevisionRow.serial == WalletPassRow.serial),
            )
        ).all()
    return [(identifier, serial, token) for serial, token in rows]


def _client(data: Path) -> str:
    """The credential of an API client that may read and write passes."""
    made = subprocess.run(
        [*STADTPASS, "clients", "add", "bench", "--scope", "passes:read", "--scope", "passes:write", "--json",
         "--data", str(data)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return str(json.loads(made.stdout)["secret"])


@contextmanager
def _server(command: list[str]) -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    process = subprocess.Popen([*command, str(port)], env=ENVIRONMENT, stdout=subprocess.DEVNULL)
    try:
        _wait(port, process)
        _PROCESSES[port] = process.pid
        yield port
    finally:
        process.terminate()
        process.wait(timeout=60)


_PROCESSES: dict[int, int] = {}


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError("the server does not listen")


def _resident_mb(port: int) -> float:
    status = Path(f"/proc/{_PROCESSES[port]}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))


def _measure(bare_port: int, port: int, phones: list[tuple[str, str, str]], key: str) -> list[str]:
    def rate(name: str, requests: list[bytes], *expected: int) -> str:
        bare = load.run(bare_port, [load.request("GET", "/bare")] * 2_000).only(200).per_second
        ours = load.run(port, requests).only(*expected).per_second
        return f"{name:<44} {ours:7.0f}/s, {ours / bare:5.2f} of a bare endpoint ({bare:.0f}/s)"

    def fetch(phone: tuple[str, str, str], **headers: str) -> bytes:
        identifier, serial, token = phone
        known = {"Authorization": f"ApplePass {token}"} | {
            key.replace("_", "-"): value for key, value in headers.items()
        }
        return load.request("GET", f"/apple/v1/passes/{identifier}/{serial}", known)

    def register(phone: tuple[str, str, str], device: int) -> bytes:
        identifier, serial, token = phone
        path = f"/apple/v1/devices/{device:032x}/registrations/{identifier}/{serial}"
        body = f'{{"pushToken":"{device:064x}"}}'.encode()
        known = {"Authorization": f"ApplePass {token}", "Content-Type": "application/json"}
        return load.request("POST", path, known, body)

    def repeated(made: list[bytes], count: int) -> list[bytes]:
        return (made * (count // len(made) + 1))[:count]

    later = "Fri, 01 Jan 2100 00:00:00 GMT"
    unchanged = repeated([fetch(phone, If_Modified_Since=later) for phone in phones], REQUESTS)
    whole = repeated([fetch(phone) for phone in phones], 2_000)
    fresh = [register(phone, number) for number, phone in enumerate(phones, start=1)]
    lists = [
        load.request(
            "GET", f"/apple/v1/devices/{number:032x}/registrations/{phones[0][0]}?passesUpdatedSince=1"
        )
        for number in range(1, len(phones) + 1)
    ]
    as_client = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    path = "/api/v1/passes/resident-parking-permit/B-"
    reads = [load.request("GET", f"{path}{number:06d}", as_client) for number in range(len(phones))]
    writes = [
        load.request(
            "PATCH",
            f"{path}{number:06d}",
            as_client | {"If-Match": "*"},
            f'{{"plates": [{{"plate": "D-BN {number + 1}"}}]}}'.encode(),
        )
        for number in range(500)
    ]
    lines = [
        rate("Apple: pass not modified (304)", unchanged, 304),
        rate("Apple: pass made and signed (200)", whole, 200),
        rate("Apple: device registered (201)", fresh, 201),
        rate("Apple: device registered again (200)", fresh, 200),
        rate("Apple: list of changed passes", lists, 200),
        rate("API: pass read", reads, 200),
        rate("API: plate changed (new seal, audit, queue)", writes, 200),
    ]
    before = _resident_mb(port)
    load.run(port, repeated(whole + unchanged, 10_000)).only(200, 304)
    lines.append(
        f"memory of the service {before:.0f} MB, after 10,000 more requests {_resident_mb(port):.0f} MB"
    )
    return lines


if __name__ == "__main__":
    print("\n".join(run()))
