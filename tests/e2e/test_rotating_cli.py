"""Google's rotating codes, from the file for Google to a verdict; the time code is computed here anew."""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
from pathlib import Path

import pytest

from tests.e2e.clerk import Clerk
from tests.e2e.commandline import DemoCity
from tests.e2e.samples import PERMITS
from tests.trust_factory import NOW

NUMBER = PERMITS[0]["permit_id"]
SHOWN = int(NOW.timestamp())


def rfc6238(key: bytes, second: int, step: int, digits: int) -> str:
    """TOTP with HMAC-SHA-1, as RFC 6238 and RFC 4226 define it."""
    mac = hmac.new(key, struct.pack(">Q", second // step), hashlib.sha1).digest()
    offset = mac[19] & 0xF
    (number,) = struct.unpack(">I", mac[offset : offset + 4])
    return str((number & 0x7FFFFFFF) % 10**digits).zfill(digits)


def test_the_time_code_of_this_test_is_that_of_the_rfc() -> None:
    """RFC 6238, appendix B."""
    seconds = (59, 1111111109, 1234567890, 20000000000)
    codes = ["94287082", "07081804", "89005924", "65353130"]
    assert [rfc6238(b"12345678901234567890", second, 30, 8) for second in seconds] == codes


@pytest.fixture
def clerk(own_city: DemoCity) -> Clerk:
    clerk = Clerk(own_city)
    clerk.done("config", "set", "google_rotating_barcode", "true")
    clerk.done("reissue", NUMBER, "--reason", "rotierender Code", "--out", clerk.city.out)
    clerk.publish()
    return clerk


def barcode(clerk: Clerk, number: str = NUMBER) -> dict[str, object]:
    made = json.loads((clerk.city.out / f"{number}.google.json").read_text())["object"]
    assert "barcode" not in made
    return dict(made["rotatingBarcode"])


def code(clerk: Clerk, shown_at: int = SHOWN, *, wrong: bool = False) -> str:
    """What the phone shows at ``shown_at``, by Google's rules for the pattern."""
    found = barcode(clerk)
    details = found["totpDetails"]
    assert isinstance(details, dict)
    assert details["algorithm"] == "TOTP_SHA1"
    step = int(details["periodMillis"]) // 1000
    (parameter,) = details["parameters"]
    digits = rfc6238(bytes.fromhex(parameter["key"]), shown_at, step, int(parameter["valueLength"]))
    if wrong:
        digits = f"{(int(digits) + 1) % 10**8:08d}"
    pattern = str(found["valuePattern"])
    return pattern.replace("{totp_timestamp_seconds}", str(shown_at)).replace("{totp_value_0}", digits)


def test_a_code_shown_now_is_fresh(clerk: Clerk) -> None:
    text = code(clerk)
    assert text.startswith(f"SP1R:{SHOWN}:")
    verdict = clerk.device().verify(text).only
    assert (verdict["reason"], verdict["freshness"], verdict["number"]) == ("VALID", "fresh", NUMBER)


@pytest.mark.parametrize(
    ("age", "freshness"),
    [
        (0, "fresh"),
        (29, "fresh"),
        (60, "fresh"),
        (-119, "fresh"),
        (600, "stale"),
        (86_400, "stale"),
        (-600, "stale"),
    ],
)
def test_a_photograph_of_a_code_grows_old(clerk: Clerk, age: int, freshness: str) -> None:
    verdict = clerk.device().verify(code(clerk, SHOWN - age)).only
    expected = ("GREEN", "VALID") if freshness == "fresh" else ("AMBER", "NOT_FRESH")
    assert (verdict["verdict"], verdict["reason"], verdict["freshness"]) == (*expected, freshness)
    # The signature is right all the same, so the content is shown.
    assert verdict["plates"] == [PERMITS[0]["plate_1"]]


def test_wrong_digits_are_not_fresh(clerk: Clerk) -> None:
    verdict = clerk.device().verify(code(clerk, wrong=True)).only
    assert (verdict["verdict"], verdict["reason"], verdict["freshness"]) == ("AMBER", "NOT_FRESH", "stale")


def test_an_old_code_with_a_new_time_is_not_fresh(clerk: Clerk) -> None:
    old = code(clerk, SHOWN - 3600)
    verdict = clerk.device().verify(old.replace(str(SHOWN - 3600), str(SHOWN))).only
    assert verdict["reason"] == "NOT_FRESH"


def test_without_the_secret_of_the_plate_list_freshness_is_not_checked(clerk: Clerk) -> None:
    """A device that was not enrolled has no plate list: it says what it does not know."""
    text, plates = code(clerk, SHOWN - 86_400), clerk.city.published / "plates.cwt"
    content = plates.read_bytes()
    plates.unlink()
    verdict = clerk.device("not enrolled").verify(text).only
    assert (verdict["reason"], verdict["freshness"]) == ("VALID", "not_checked")
    plates.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert clerk.device("forged list").verify(text).only["freshness"] == "not_checked"
    plates.write_bytes(content)
    assert clerk.device("enrolled").verify(text).only["freshness"] == "stale"


def test_without_its_prefix_it_is_a_static_copy(clerk: Clerk) -> None:
    token = code(clerk).split(":", 3)[3]
    verdict = clerk.device().verify("SP1:" + token).only
    assert (verdict["reason"], verdict["freshness"]) == ("VALID", "none")
    assert "SP1:" + token == clerk.seal(NUMBER)


def test_status_and_signature_come_before_freshness(clerk: Clerk) -> None:
    text = code(clerk)
    shown, digits, token = text.split(":", 3)[1:]
    assert clerk.device().verify(f"SP1R:{shown}:{digits}:{token[:-3]}").only["reason"] == "MALFORMED"
    clerk.done("revoke", NUMBER, "--reason", "Umzug")
    clerk.publish()
    verdict = clerk.device().verify(text).only
    assert verdict["reason"] == "REVOKED"


def test_each_pass_has_a_secret_of_its_own(clerk: Clerk) -> None:
    other = PERMITS[2]["permit_id"]
    clerk.done("reissue", other, "--reason", "rotierender Code", "--out", clerk.city.out)
    clerk.publish()
    text = code(clerk)
    stolen = ":".join([*text.split(":", 3)[:3], clerk.seal(other).removeprefix("SP1:")])
    assert clerk.device().verify(stolen).only["reason"] == "NOT_FRESH"


def test_no_device_writes_a_secret_into_its_memory(clerk: Clerk) -> None:
    details = barcode(clerk)["totpDetails"]
    assert isinstance(details, dict)
    device = clerk.device()
    assert device.verify(code(clerk)).only["freshness"] == "fresh"
    assert details["parameters"][0]["key"].lower() not in Path(device.state).read_text().lower()


def test_a_city_that_does_not_want_it_has_static_codes(demo_city: DemoCity) -> None:
    made = json.loads((demo_city.out / f"{NUMBER}.google.json").read_text())["object"]
    assert "rotatingBarcode" not in made
    assert made["barcode"]["value"] == (demo_city.out / f"{NUMBER}.seal.txt").read_text().strip()
