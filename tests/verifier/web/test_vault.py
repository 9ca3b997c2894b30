"""The plate list on a device: unreadable in the storage, without the PIN, and after the lease."""

from __future__ import annotations

import base64
import json
import os
import threading
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page

from issuer.device_enrolment import check_code, enrolment_text, read_public_key
from issuer.device_requests import _PARAMETERS as SIGNATURE_INPUT
from issuer.device_requests import signature_base
from keys import es256
from tests.trust_factory import HOUR, NOW, PLATE, seconds
from tests.verifier.web.device_pages import DEVICE, LATER, PIN, SELF, START, enrol, lease, opened
from tests.verifier.web.lists_server import ListsServer
from tests.web_pages import needs_chromium

pytestmark = needs_chromium
CODE = "A" * 21 + "w"
# Puts the device's parts together under a clock that the test sets.
SETUP = """
async (now) => {
  const { openStore } = await import("/check/device/store.js");
  const { Identity } = await import("/check/device/identity.js");
  const { Vault } = await import("/check/device/vault.js");
  const { sync } = await import("/check/device/sync.js");
  const { currentTrust } = await import("/check/device/trust-source.js");
  const store = await openStore();
  const clock = () => globalThis.now;
  globalThis.now = now;
  const identity = new Identity(store, clock);
  const vault = new Vault(store, clock, async () => (await currentTrust(store)).trust.newestTime);
  globalThis.device = { store, identity, vault };
  globalThis.outcome = async (work) => {
    try { await work(); return null; } catch (fault) { return [fault.code, fault.params]; }
  };
  globalThis.refresh = () => sync({ store, now: globalThis.now, vault, sign: (path) => identity.sign(path) });
  globalThis.entries = async (key) => {
    const plates = await vault.plates();
    const { trust } = await currentTrust(store, plates ? vault : null);
    return trust.plateList ? trust.plateList.find(key).length : null;
  };
  // All that is stored, keys that can be exported included, as one string of bytes.
  globalThis.dump = async () => {
    const all = await store.read("files", "state", "keys", "counters", "log");
    const text = (value) => {
      if (value instanceof Uint8Array) return Array.from(value, (one) => String.fromCharCode(one)).join("");
      if (value instanceof CryptoKey) return value.extractable ? "EXTRACTABLE" : "";
      if (value instanceof Map) return [...value].map(([key, one]) => key + "=" + text(one)).join(";");
      if (value && typeof value === "object") return text(new Map(Object.entries(value)));
      return String(value);
    };
    return Object.values(all).map(text).join("") + JSON.stringify({ ...localStorage });
  };
}
"""


@pytest.fixture
def page(context: BrowserContext, server: ListsServer) -> Page:
    page = device_page(context, server)
    enrol(page)
    return page


def device_page(context: BrowserContext, server: ListsServer, now: int = START) -> Page:
    page = opened(context, server)
    page.evaluate(SETUP, now)
    return page


def begun(page: Page, server: ListsServer) -> bytes:
    key = os.urandom(32)
    server.answers["/check/leases"] = lease(key)
    page.evaluate("async (pin) => device.vault.begin(await device.identity.lease(), { pin })", PIN)
    assert page.evaluate("() => refresh()")["plates"] == "updated"
    assert page.evaluate("(key) => entries(key)", PLATE.key) == 1
    return key


def state(page: Page) -> str:
    return str(page.evaluate("() => device.vault.state()"))


def tried(page: Page, pin: str) -> Any:
    return page.evaluate("(pin) => outcome(() => device.vault.openWithPin(pin))", pin)


def test_storage_holds_neither_plates_nor_key(page: Page, server: ListsServer) -> None:
    key = begun(page, server)
    stored = page.evaluate("() => dump()")
    assert "plates.cwt" in stored
    assert "lease-1" in stored
    assert PLATE.key not in stored
    assert "EXTRACTABLE" not in stored
    assert key.decode("latin-1") not in stored


def test_only_the_pin_opens_it_again(context: BrowserContext, page: Page, server: ListsServer) -> None:
    begun(page, server)
    page.close()
    again = device_page(context, server)
    assert state(again) == "locked"
    assert again.evaluate("(key) => entries(key)", PLATE.key) is None
    assert tried(again, "246814") == ["PIN_WRONG", {"left": 4}]
    assert tried(again, PIN) is None
    assert again.evaluate("(key) => entries(key)", PLATE.key) == 1
    assert again.evaluate("() => device.vault.lock()")["triesLeft"] == 5


def test_five_wrong_pins_delete_the_key_across_reloads(
    context: BrowserContext, page: Page, server: ListsServer
) -> None:
    begun(page, server)
    for left in (4, 3, 2, 1):
        page.close()
        page = device_page(context, server)
        assert tried(page, "000000") == ["PIN_WRONG", {"left": left}]
    assert tried(page, "000000")[0] == "VAULT_EMPTY"
    assert state(page) == "empty"
    assert tried(page, PIN)[0] == "VAULT_EMPTY"
    stored = page.evaluate("() => dump()")
    assert "plates.cwt" not in stored
    assert "lease-1" not in stored


def test_tries_of_two_tabs_count_together(context: BrowserContext, page: Page, server: ListsServer) -> None:
    begun(page, server)
    tabs = [device_page(context, server) for _ in range(2)]
    for tab in tabs:
        tab.evaluate(
            """() => { globalThis.running = Promise.all(["1", "2", "3"].map((one) =>
              outcome(() => device.vault.openWithPin("00000" + one)))); }"""
        )
    told = [one[0] for tab in tabs for one in tab.evaluate("() => globalThis.running")]
    assert told.count("PIN_WRONG") <= 4
    assert tried(page, PIN)[0] == "VAULT_EMPTY"


def test_nothing_opens_after_the_lease_also_with_the_clock_put_back(
    context: BrowserContext, page: Page, server: ListsServer
) -> None:
    begun(page, server)
    page.evaluate("(now) => { globalThis.now = now; }", START + 12 * HOUR)
    assert page.evaluate("(key) => entries(key)", PLATE.key) is None
    page.close()
    again = device_page(context, server, START)
    # Told for as long as nobody begins another shift.
    assert [state(again), state(again)] == ["expired", "expired"]
    assert tried(again, PIN)[0] == "VAULT_EMPTY"
    stored = again.evaluate("() => dump()")
    assert "plates.cwt" not in stored
    assert "lease-1" not in stored
    begun(again, server)
    assert state(again) == "open"


def test_signed_time_ends_the_lease_where_the_clock_stands_still(page: Page, server: ListsServer) -> None:
    begun(page, server)
    server.city.publish(NOW.replace(day=21))
    page.evaluate("() => refresh()")
    assert state(page) == "expired"
    assert page.evaluate("(key) => entries(key)", PLATE.key) is None


def test_end_of_the_lease_cannot_be_written_later(page: Page, server: ListsServer) -> None:
    begun(page, server)
    page.evaluate(
        """() => { device.vault.close();
          return device.store.update("keys", "lease", (one) => ({ ...one, notAfter: one.notAfter + 86400 })); }"""
    )
    assert tried(page, PIN)[0] == "PIN_WRONG"


@pytest.mark.parametrize("code", ["DEVICE_LOCKED", "DEVICE_UNKNOWN"])
def test_locked_device_loses_its_list_and_keeps_the_lists_for_all(
    page: Page, server: ListsServer, code: str
) -> None:
    begun(page, server)
    server.plates_refused = code
    told = page.evaluate("() => refresh()")
    assert (told["outcome"], told["code"]) == ("locked", code)
    assert state(page) == "empty"
    assert page.evaluate("() => refresh()")["outcome"] == "unchanged"


def test_where_the_server_knows_no_lease_a_new_shift_may_begin(page: Page, server: ListsServer) -> None:
    begun(page, server)
    server.plates_refused = "DEVICE_LEASE"
    told = page.evaluate("() => refresh()")
    assert (told["outcome"], told["code"], told["plates"]) == ("unchanged", "DEVICE_LEASE", "refused")
    assert state(page) == "empty"
    assert "plates.cwt" not in page.evaluate("() => dump()")
    # Without a key it does not ask for plates at all.
    asked = len(server.signed)
    assert page.evaluate("() => refresh()")["plates"] is None
    assert len(server.signed) == asked
    server.plates_refused = None
    begun(page, server)


@pytest.mark.parametrize(
    ("fault", "plates", "code"),
    [
        (503, "offline", "ANSWER"),
        (403, "offline", "ANSWER"),
        ("drop", "offline", "NO_ANSWER"),
        ("cut", "refused", "UNTRUSTED"),
    ],
)
def test_plate_list_that_fails_holds_up_no_revocation(
    page: Page, server: ListsServer, fault: Any, plates: str, code: str
) -> None:
    begun(page, server)
    server.city.publish(LATER)
    server.faults = {"/lists/plates.cwt": fault}
    told = page.evaluate("() => refresh()")
    assert (told["outcome"], told["plates"], told["code"]) == ("updated", plates, code)
    lists = page.evaluate("async () => (await device.store.get('state', 'memory')).lists")
    assert lists["index"][1] == seconds(LATER)
    assert page.evaluate("(key) => entries(key)", PLATE.key) == 1
    server.faults = {}
    again = page.evaluate("() => refresh()")
    assert (again["outcome"], again["plates"], again["code"]) == ("updated", "updated", None)


def test_vault_closed_during_sync_holds_up_no_revocation(page: Page, server: ListsServer) -> None:
    begun(page, server)
    server.city.publish(LATER)
    server.faults = {"/lists/plates.cwt": (gate := threading.Event())}
    with page.expect_request("**/plates.cwt"):
        page.evaluate("() => { globalThis.running = refresh(); }")
    page.evaluate("() => device.vault.close()")
    gate.set()
    told = page.evaluate("() => running")
    assert (told["outcome"], told["plates"], told["code"]) == ("updated", "refused", "VAULT_EMPTY")


def taken(public_key: str) -> tuple[int, dict[str, str]]:
    """The service's answer to a device that enrols with the invitation `CODE`."""
    shown = check_code(CODE, public_key)
    return 201, {"device": DEVICE, "check_code": f"{shown[:3]} {shown[3:]}"}


def test_enrolment_and_signed_requests_are_what_the_service_takes(page: Page, server: ListsServer) -> None:
    keys: list[str] = []

    def verify(signature: bytes, text: bytes) -> None:
        es256.verify(read_public_key(keys[0]), es256.with_low_s(signature), text)

    def enrolled(body: bytes) -> tuple[int, object]:
        sent = json.loads(body)
        keys.append(sent["public_key"])
        verify(base64.urlsafe_b64decode(sent["signature"] + "=="), enrolment_text(CODE, keys[0]))
        return taken(keys[0])

    server.answers["/check/devices"] = enrolled
    server.answers["/check/devices/self"] = (200, {**SELF, "state": "pending"})
    link = f"#enrol={CODE}.{server.city.root.kid.hex()}"
    told = page.evaluate("(link) => device.identity.enrol(link)", link)
    assert told["device"] == DEVICE
    assert told["checkCode"].replace(" ", "") == check_code(CODE, keys[0])
    assert page.evaluate("() => device.identity.self()")["state"] == "pending"
    asked = server.signed[-1]
    params = asked["signature-input"].removeprefix("stadtpass=")
    assert SIGNATURE_INPUT.fullmatch(asked["signature-input"])
    signature = base64.b64decode(asked["signature"].removeprefix("stadtpass=:").removesuffix(":"))
    verify(signature, signature_base("GET", "/check/devices/self", {}, params))


def test_wrong_check_code_or_link_enrols_nothing(page: Page, server: ListsServer) -> None:
    page.evaluate("() => device.store.wipe()")
    server.answers["/check/devices"] = (201, {"device": DEVICE, "check_code": "000 000"})
    for link, code in ((f"#enrol={CODE}.{'0' * 16}", "ENROL_CHECK"), ("#enrol=x.y", "ENROL_LINK")):
        assert page.evaluate("(link) => outcome(() => device.identity.enrol(link))", link)[0] == code
        assert page.evaluate("() => device.identity.device()") is None
    assert page.evaluate("() => outcome(() => device.identity.self())")[0] == "NOT_ENROLLED"


def test_another_citys_root_is_refused(page: Page, server: ListsServer) -> None:
    page.evaluate('() => device.store.put("state", "rootKid", "0000000000000000")')
    told = page.evaluate("() => refresh()")
    assert (told["outcome"], told["code"]) == ("untrusted", "OTHER_ROOT")
    page.evaluate('(kid) => device.store.put("state", "rootKid", kid)', server.city.root.kid.hex())
    assert page.evaluate("() => refresh()")["outcome"] == "updated"


def enrolled_by(page: Page, server: ListsServer, kid: str) -> Any:
    server.answers["/check/devices"] = lambda body: taken(json.loads(body)["public_key"])
    return page.evaluate("(link) => outcome(() => device.identity.enrol(link))", f"#enrol={CODE}.{kid}")


def test_invitation_names_the_root_that_is_trusted_already(page: Page, server: ListsServer) -> None:
    page.evaluate("async () => { await device.store.wipe(); await refresh(); }")
    assert enrolled_by(page, server, "0" * 16) == ["OTHER_ROOT", {}]
    assert server.posted == []
    assert page.evaluate("() => device.identity.device()") is None
    assert enrolled_by(page, server, server.city.root.kid.hex()) is None
    assert page.evaluate("() => device.identity.device()")["id"] == DEVICE


def test_invitation_decides_which_root_is_trusted_first(page: Page, server: ListsServer) -> None:
    page.evaluate("() => device.store.wipe()")
    assert enrolled_by(page, server, "0" * 16) is None
    told = page.evaluate("() => refresh()")
    assert (told["outcome"], told["code"]) == ("untrusted", "OTHER_ROOT")
    assert page.evaluate("() => device.store.get('state', 'memory')") is None


def test_passkey_opens_it_where_it_gives_a_secret(
    context: BrowserContext, page: Page, server: ListsServer
) -> None:
    # A relying party is a name, never an address of four numbers.
    page.goto(f"{server.url.replace('127.0.0.1', 'localhost')}/check/empty.html")
    page.evaluate(SETUP, START)
    control = context.new_cdp_session(page)
    control.send("WebAuthn.enable")
    control.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "ctap2Version": "ctap2_1",
                "transport": "internal",
                "hasUserVerification": True,
                "hasResidentKey": True,
                "hasPrf": True,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )
    page.evaluate(
        """async (lease) => {
          const { createPasskey } = await import("/check/device/passkey.js");
          const passkey = await createPasskey("device-1", "Gerät 1");
          const key = crypto.getRandomValues(new Uint8Array(32));
          await device.vault.begin({ ...lease, key }, { passkey });
          device.vault.close();
        }""",
        {"lease": "lease-1", "issuedAt": START, "notAfter": START + HOUR},
    )
    assert state(page) == "locked"
    assert page.evaluate("() => device.vault.lock()")["method"] == "passkey"
    assert page.evaluate("() => outcome(() => device.vault.openWithPin('246813'))")[0] == "VAULT_EMPTY"
    assert page.evaluate("() => outcome(() => device.vault.openWithPasskey())") is None
    assert state(page) == "open"
