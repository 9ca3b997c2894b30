"""kill -9 of the service at random moments during changes, while Apple and Google fail a third of the time.

What was acknowledged is there, nothing that was rolled back got out, and in the end every phone and Google have the
newest pass.
"""

from __future__ import annotations

import os
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from issuer.application import Application
from issuer.models import RevisionRow
from passes.plates import Plate
from tests.apns_server import ApnsServer, Fault
from tests.e2e.service_rig import PERMIT, QuickPhone, Rig, wait_for
from tests.google_server import Fault as GoogleFault
from tests.google_server import GoogleServer
from tests.service import new_database

# `make crash` makes it 2,000 on each database; every run of the tests does enough to be killed several times.
CHANGES = int(os.environ.get("CRASH_CHANGES", "200"))
PERMITS, PHONES, CLERKS = 60, 40, 4
SEED = 20261120


class Clerk(threading.Thread):
    """Gives permits other plates, one after the other, whatever happens to the service meanwhile."""

    def __init__(self, rig: Rig, numbers: list[str], changes: int, seed: int) -> None:
        super().__init__(name=f"clerk-{seed}", daemon=True)
        self.rig, self.numbers, self.changes = rig, numbers, changes
        self.chance = random.Random(seed)
        self.plates: dict[str, str] = {}
        self.fault: BaseException | None = None
        self.done = 0

    def run(self) -> None:
        try:
            with self.rig.api() as client:
                for count in range(self.changes):
                    number = self.chance.choice(self.numbers)
                    letters = "".join(self.chance.choice("ABCDEFGLMNPRTUVWXY") for _ in range(2))
                    self._change(client, number, f"D-{letters} {1 + count % 9999}")
                    self.done += 1
        except BaseException as fault:
            self.fault = fault

    def _change(self, client: httpx.Client, number: str, plate: str) -> None:
        """Until it is known to be done: an answer that never came may or may not have been a change."""
        path = f"/passes/{PERMIT}/{number}"
        while True:
            try:
                seen = client.get(path)
                assert seen.status_code == 200, seen.text
                if seen.json()["attributes"]["plates"][0]["plate"] == plate:
                    break
                answer = client.patch(
                    path, json={"plates": [{"plate": plate}]}, headers={"If-Match": seen.headers["ETag"]}
                )
            except httpx.HTTPError:
                time.sleep(0.2)
                continue
            assert answer.status_code == 200, answer.text
            break
        self.plates[number] = plate


class FlakyGoogle(GoogleServer):
    """Fails a third of the requests, before or after it has worked them off."""

    chance = random.Random(SEED)

    def take_fault(self, what: str, *, after: bool) -> GoogleFault | None:
        if "genericObject" in what and self.chance.random() < 1 / 6:
            return GoogleFault(self.chance.choice(["429", "503", "500", "drop"]), after=after)
        return super().take_fault(what, after=after)


@pytest.fixture(params=["sqlite", "postgresql"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    database = ""
    if request.param == "postgresql":
        database = new_database(request.getfixturevalue("postgresql"), f"crash_{secrets.token_hex(6)}")
    chance, lock = random.Random(SEED), threading.Lock()

    def apple_fails(_token: str, _count: int) -> Fault | None:
        with lock:
            if chance.random() >= 1 / 3:
                return None
            kinds = [Fault(503, "ServiceUnavailable"), Fault(429, "TooManyRequests"), Fault(drop=True)]
            return chance.choice(kinds)

    with FlakyGoogle(limit=10_000) as google:
        made = Rig(tmp_path, google, database, permits=PERMITS)
        google.clock = made.now
        made.set_up()
        with ApnsServer(tmp_path, made.apns_root(), fault=apple_fails) as apns:
            made.apns = apns
            yield made
            for name in list(made.processes):
                made.kill(name)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_nothing_is_lost_and_nothing_unmade_gets_out(rig: Rig) -> None:
    split = bool(rig.database)
    start, kill = _starters(rig, split)
    start("serve")
    if split:
        start("worker-1")
        start("worker-2")
    wallets = rig.wallets()
    numbers = sorted(wallets)
    rig.want_at_google([wallets[number][0] for number in numbers])
    phones = _phones(rig, wallets, numbers[:PHONES])
    share = len(numbers) // CLERKS
    clerks = [
        Clerk(rig, numbers[index * share : (index + 1) * share], CHANGES // CLERKS, SEED + index)
        for index in range(CLERKS)
    ]
    for clerk in clerks:
        clerk.start()
    chance, kills = random.Random(SEED), 0
    while any(clerk.is_alive() for clerk in clerks):
        time.sleep(chance.uniform(2, 12))
        victim = chance.choice(sorted(rig.processes))
        kill(victim)
        kills += 1
        time.sleep(chance.uniform(0, 0.5))
        start(victim)
    faults = [clerk.fault for clerk in clerks if clerk.fault is not None]
    assert not faults, faults
    assert kills >= CHANGES / 200

    wanted = {number: plate for clerk in clerks for number, plate in clerk.plates.items()}
    with Application.open(rig.data, rig.now) as application:
        current, ever = _register(application)
    assert {number: current[number][0] for number in wanted} == wanted
    # Each change once: a clerk whose answer was lost looks before trying again.
    assert sum(revision - 1 for _, _, revision in current.values()) == CHANGES

    def stale() -> list[str]:
        return [phone.number for phone in phones if phone.seals[-1] != current[phone.number][1]]

    wait_for(lambda: not stale(), 120, lambda: f"phones with an old pass: {stale()}")

    def google_stale() -> list[str]:
        held = {identity.partition(".")[2]: one for identity, one in rig.google.objects.items()}
        return [
            number
            for number in numbers
            if held.get(wallets[number][0], {}).get("barcode", {}).get("value") != current[number][1]
        ]

    # A permit that nobody changed was never told to Google: only changes were queued.
    untouched = set(numbers) - set(wanted)
    wait_for(lambda: not set(google_stale()) - untouched, 120, lambda: f"at Google: {google_stale()}")
    for phone in phones:
        phone.end()
        assert set(phone.seals) <= ever
    sent = {seen.body["barcode"]["value"] for seen in rig.google.seen if seen.body and "barcode" in seen.body}
    assert sent
    assert sent <= ever
    assert rig.apns is not None
    assert rig.apns.violations == []
    rig.stop()


def _starters(rig: Rig, split: bool) -> tuple[Callable[[str], None], Callable[[str], None]]:
    def start(name: str) -> None:
        rig.start(name, *(["--no-worker"] if split and name == "serve" else []))

    return start, rig.kill


def _phones(rig: Rig, wallets: dict[str, tuple[str, str]], numbers: list[str]) -> list[QuickPhone]:
    assert rig.apns is not None
    phones = [
        QuickPhone(rig, number, *wallets[number], device=f"{index:032x}", push_token=f"{index:064x}")
        for index, number in enumerate(numbers, start=1)
    ]
    by_token = {phone.push_token: phone for phone in phones}
    rig.apns.on_push = lambda token: by_token[token].wake()
    with httpx.Client(base_url=rig.url, timeout=30) as client:
        for phone in phones:
            phone.register(client)
    return phones


def _register(application: Application) -> tuple[dict[str, tuple[str, str, int]], set[str]]:
    """Plate, seal and revision of each permit as they are, and every seal that there ever was."""
    with application.reading() as session:
        rows = session.scalars(select(RevisionRow).where(RevisionRow.tenant == application.tenant)).all()
    current = {
        row.number: (Plate.from_key(row.attributes["plates"][0][0]).canonical, row.seal or "", row.n)
        for row in rows
        if row.superseded_at is None
    }
    return current, {row.seal for row in rows if row.seal}
