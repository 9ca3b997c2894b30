"""The whole path of a permit through the running service, on SQLite and on PostgreSQL.

From the record through the pick-up page onto a phone and into Google Wallet; a change reaches both, the old code is
superseded and the new one good; a revocation is red within five seconds.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.apns_server import ApnsServer
from tests.apple_phone import Phone
from tests.e2e.commandline import main_in_process
from tests.e2e.service_rig import PERMIT, Rig, hidden_fields, wait_for
from tests.google_server import GoogleServer
from tests.service import new_database

# The promise: a change stands in the published lists within this time.
PUBLISHED_SECONDS = 5
CITY = "https://stadtpass.example"
PLATE, NEW_PLATE = "D-AB 123E", "D-XY 99"
Json = dict[str, Any]


@pytest.fixture(params=["sqlite", "postgresql"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    database = ""
    if request.param == "postgresql":
        database = new_database(request.getfixturevalue("postgresql"), f"path_{secrets.token_hex(6)}")
    with GoogleServer(limit=10_000) as google:
        made = Rig(tmp_path, google, database, permits=3)
        google.clock = made.now
        made.set_up()
        with ApnsServer(tmp_path, made.apns_root()) as apns:
            made.apns = apns
            made.start()
            yield made
            for name in list(made.processes):
                made.kill(name)


class Verifier:
    """A warden's device: it fetches the lists over HTTP and checks offline."""

    def __init__(self, rig: Rig, folder: Path) -> None:
        self.rig, self.folder = rig, folder
        (folder / "status").mkdir(parents=True)

    def fetch(self) -> None:
        with self.rig.browser() as browser:
            for name in ("root.pub", "bundle.cwt", "index.cwt"):
                (self.folder / name).write_bytes(
                    browser.get(f"{CITY}/lists/{name}").raise_for_status().content
                )
            number = 1
            while (answer := browser.get(f"{CITY}/status/{number}")).status_code == 200:
                (self.folder / "status" / f"{number}.cwt").write_bytes(answer.content)
                number += 1
            assert number > 1

    def verdict(self, seal: str) -> tuple[str, str]:
        at = self.rig.now().isoformat(timespec="seconds")
        state = ["--state", str(self.folder.parent / "state.json")]
        outcome = main_in_process("verify", seal, "--trust", str(self.folder), "--json", "--at", at, *state)
        told = json.loads(outcome.stdout)
        return told["verdict"], told["reason"]

    def becomes(self, seal: str, wanted: tuple[str, str]) -> Callable[[], bool]:
        def check() -> bool:
            self.fetch()
            return self.verdict(seal) == wanted

        return check


def test_from_the_record_to_the_phone_and_back(rig: Rig, tmp_path: Path) -> None:
    assert rig.apns is not None
    with rig.api() as api, rig.browser() as browser, httpx.Client(base_url=rig.url, timeout=30) as web:
        number = _issue(api)
        phone = Phone(web, rig.apns_root())
        link = api.post(f"/passes/{PERMIT}/{number}/pickup-links", json={"channel": "desk"}).json()["url"]

        # Scanners and browsers open the link; only the button uses it up.
        for _ in range(3):
            assert browser.get(link).status_code == 200
        form = hidden_fields(browser.get(link).text, link.removeprefix(CITY))
        page = browser.post(link, data=form, follow_redirects=True)
        assert page.status_code == 200
        assert PLATE in page.text
        assert number in page.text
        assert browser.post(link).status_code in (403, 404, 410)

        archive = browser.get(f"{CITY}/p/pass/apple.pkpass")
        assert archive.headers["content-type"] == "application/vnd.apple.pkpass"
        assert phone.add(archive.content) == 201
        (held,) = phone.passes.values()
        old_seal = held.data["barcodes"][0]["message"]
        pdf = browser.get(f"{CITY}/p/pass/permit.pdf")
        assert pdf.content.startswith(b"%PDF-")

        saved = browser.post(f"{CITY}/p/pass/google", data=hidden_fields(page.text, "/p/pass/google"))
        assert saved.status_code == 303
        assert saved.headers["location"].startswith("https://pay.google.com/gp/v/save/")
        (google_object,) = rig.google.objects.values()
        assert google_object["barcode"]["value"] == old_seal
        assert google_object["state"] == "ACTIVE"

        verifier = Verifier(rig, tmp_path / "trust")
        wait_for(verifier.becomes(old_seal, ("GREEN", "VALID")), PUBLISHED_SECONDS)

        # Registering draws a push of its own; what counts is the one after the change.
        wait_for(lambda: rig.apns is not None and bool(rig.apns.pushes), 20)
        phone.on_push()
        before = len(rig.apns.pushes)
        _change_plate(api, number)
        changed_at = time.monotonic()
        wait_for(lambda: rig.apns is not None and len(rig.apns.pushes) > before, 20)
        assert rig.apns.pushes[-1] == phone.push_token
        assert phone.on_push() == [held.serial]
        (held,) = phone.passes.values()
        new_seal = held.data["barcodes"][0]["message"]
        assert new_seal != old_seal
        assert NEW_PLATE in json.dumps(held.data, ensure_ascii=False)
        left = PUBLISHED_SECONDS - (time.monotonic() - changed_at)
        wait_for(verifier.becomes(old_seal, ("RED", "SUPERSEDED")), max(left, 0.1))
        assert verifier.verdict(new_seal) == ("GREEN", "VALID")
        wait_for(lambda: _google_seal(rig) == new_seal, 20)

        before = len(rig.apns.pushes)
        _step(api, number, "revoke")
        wait_for(verifier.becomes(new_seal, ("RED", "REVOKED")), PUBLISHED_SECONDS)
        wait_for(lambda: rig.apns is not None and len(rig.apns.pushes) > before, 20)
        assert phone.on_push() == [held.serial]
        (held,) = phone.passes.values()
        assert held.voided
        wait_for(lambda: next(iter(rig.google.objects.values()))["state"] == "INACTIVE", 20)
        assert rig.apns.violations == []
    rig.stop()
    _nothing_personal(rig)


def _issue(api: httpx.Client) -> str:
    answer = api.post(
        "/passes",
        json={
            "type": PERMIT,
            "holder": {
                "ref": "H0700000", "given_name": "Erika", "family_name": "Mustermann-Özdemir",
                "street": "Pastorswiesenring", "house_number": "31", "postal_code": "40474",
                "city": "Düsseldorf", "language": "de",
            },
            "period": {"first": "2026-11-01", "term_months": 12},
            "attributes": {"plates": [{"plate": PLATE}], "zone": "HO", "permit_kind": "standard"},
            "details": {"channel": "online", "fee_cents": 2500, "payment_status": "paid"},
        },
        headers={"Idempotency-Key": secrets.token_hex(16)},
    )  # fmt: skip
    assert answer.status_code == 201, answer.text
    number: str = answer.json()["number"]
    return number


def _change_plate(api: httpx.Client, number: str) -> None:
    path = f"/passes/{PERMIT}/{number}"
    tag = api.get(path).headers["ETag"]
    answer = api.patch(path, json={"plates": [{"plate": NEW_PLATE}]}, headers={"If-Match": tag})
    assert answer.status_code == 200, answer.text


def _step(api: httpx.Client, number: str, name: str) -> None:
    path = f"/passes/{PERMIT}/{number}"
    tag = api.get(path).headers["ETag"]
    answer = api.post(f"{path}/{name}", json={"reason": "Wegzug"}, headers={"If-Match": tag})
    assert answer.status_code == 200, answer.text


def _google_seal(rig: Rig) -> str:
    (held,) = rig.google.objects.values()
    return str(held["barcode"]["value"])


def _nothing_personal(rig: Rig) -> None:
    """The log of the whole path names no person, plate, token, serial or link."""
    log = rig.log("serve")
    assert "request" in log
    shown = [serial for serial, _ in rig.wallets().values()] + [token for _, token in rig.wallets().values()]
    for secret in ("Mustermann", "Özdemir", "Pastorswiesenring", "AB 123", "XY 99", rig.key, *shown):
        assert secret not in log
