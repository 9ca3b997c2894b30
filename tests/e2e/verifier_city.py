"""A demo city of today with its service in a process of its own, and codes to show to a camera.

The browser's clock is the machine's, so the city lives today as well.
"""

from __future__ import annotations

import csv
import io
import json
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import qrcode
import zxingcpp
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from PIL import Image

from keys.identity import kid_of
from passes.periods import BERLIN
from tests.e2e import commandline
from tests.e2e.commandline import LIBRARY, PERMIT

VALID, REVOKED, SUPERSEDED, EXPIRED, AMBIGUOUS, CARD = "B-1", "B-2", "B-3", "B-4", "B-5", "M-1"
# Without its dash the last one is also UEM-A 123.
PLATES = {
    VALID: "D-OB 123", REVOKED: "D-AB 2", SUPERSEDED: "D-AB 3", EXPIRED: "D-AB 4", AMBIGUOUS: "UE-MA 123",
}  # fmt: skip
FRAME = (1280, 720)
_FRAMES_EACH, _FRAMES_BETWEEN = 8, 5


@dataclass
class VerifierCity:
    """The city in ``folder``; `start` and `kill` its service."""

    folder: Path
    seals: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]

    @property
    def url(self) -> str:
        # Secure without TLS, as browsers see it.
        return f"http://localhost:{self.port}"

    def command(self, *arguments: object) -> str:
        done = commandline.main_in_process(*arguments, "--data", self.folder / "data")
        assert done.code == 0, done.stdout + done.stderr
        return done.stdout

    def set_up(self) -> VerifierCity:
        """Issue one pass of each kind; the codes of all of them stay as they were printed."""
        today = datetime.now(BERLIN).date()
        first, past = today - timedelta(days=30), today - timedelta(days=500)
        rows = [
            _permit(number, plate, past if number == EXPIRED else first) for number, plate in PLATES.items()
        ]
        permits, members = self.folder / "permits.csv", self.folder / "members.csv"
        _write(permits, rows)
        sample = (commandline.SAMPLES / "library_valid.csv").read_text("utf-8").splitlines()
        member = dict(zip(sample[0].split(";"), sample[2].split(";"), strict=True))
        days = {"valid_from": first.isoformat(), "valid_to": (first + timedelta(days=364)).isoformat()}
        _write(members, [member | days | {"member_id": CARD, "status": "active"}])
        out = self.folder / "out"
        self.command("init", "--demo")
        for kind, file in ((PERMIT, permits), (LIBRARY, members)):
            self.command("issue", kind, file, "--out", out, "--carriers", "seal")
        self.seals = {n: (out / f"{n}.seal.txt").read_text().strip() for n in (*PLATES, CARD)}
        self.command("revoke", REVOKED, "--reason", "Test")
        self.command("change", SUPERSEDED, "--plate", "D-AB 33", "--out", self.folder / "changed")
        return self

    def start(self, environment: dict[str, str] | None = None) -> None:
        environment = commandline.clean_environment(
            {"STADTPASS_SERVICE_REQUESTS_PER_MINUTE": "0", "STADTPASS_BACKGROUND_POLLING_SECONDS": "0.2"}
            | (environment or {})
        )
        with (self.folder / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(
                commandline.command("serve", "--port", self.port, "--data", self.folder / "data"),
                env=environment, stdout=log, stderr=log,
            )  # fmt: skip
        until = time.monotonic() + 90
        while not self._has_lists():
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < until, self.log()
            time.sleep(0.1)

    def _has_lists(self) -> bool:
        try:
            return httpx.get(f"{self.url}/lists/index.cwt", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def log(self) -> str:
        return (self.folder / "serve.log").read_text()[-3000:]

    def devices(self) -> list[dict[str, Any]]:
        return list(json.loads(self.command("devices", "list", "--json")))

    def root_kid(self) -> str:
        """What an invitation's link pins: the id of the root key."""
        root = load_pem_public_key(httpx.get(f"{self.url}/lists/root.pub", timeout=5).content)
        assert isinstance(root, EllipticCurvePublicKey)
        return kid_of(root).hex()

    def codes(self) -> list[str]:
        """Valid, revoked, superseded, expired, forged and foreign: what the camera is shown, in this order."""
        return [
            "https://example.org/menu",
            self.seals[VALID],
            self.seals[REVOKED],
            self.seals[SUPERSEDED],
            self.seals[EXPIRED],
            forged(self.seals[VALID]),
        ]


def forged(seal: str) -> str:
    """The seal with one character of its signature changed."""
    at = len(seal) - 20
    return seal[:at] + ("A" if seal[at] != "A" else "B") + seal[at + 1 :]


def bars_picture(text: str, symbology: str) -> Image.Image:
    """A frame with a bar code of this name at zxing-cpp in its middle."""
    bars = zxingcpp.create_barcode(text, getattr(zxingcpp.BarcodeFormat, symbology)).to_image(scale=4)
    frame = Image.new("RGB", FRAME, "#ffffff")
    picture = Image.fromarray(bars).convert("RGB").resize((min(FRAME[0] - 80, bars.shape[1]), 240))
    frame.paste(picture, ((FRAME[0] - picture.width) // 2, (FRAME[1] - picture.height) // 2))
    return frame


def code_picture(text: str) -> Image.Image:
    """A frame with the code in its middle."""
    code = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_M, box_size=8, border=4)
    code.add_data(text)
    picture = code.make_image().get_image().convert("RGB")
    frame = Image.new("RGB", FRAME, "#8a8a8a")
    size = min(FRAME[1] - 40, picture.width)
    picture = picture.resize((size, size))
    frame.paste(picture, ((FRAME[0] - size) // 2, (FRAME[1] - size) // 2))
    return frame


def write_clip(path: Path, shown: list[str] | list[Image.Image]) -> None:
    """JPEG frames one after another, as the browser's fake camera plays them, again and again; a text as its code."""
    empty = _jpeg(Image.new("RGB", FRAME, "#8a8a8a"))
    with path.open("wb") as clip:
        for one in shown:
            picture = code_picture(one) if isinstance(one, str) else one
            clip.write(_jpeg(picture) * _FRAMES_EACH + empty * _FRAMES_BETWEEN)


def browser_arguments(clip: Path | None) -> list[str]:
    """How Chromium is started so that it has a camera."""
    fake = [] if clip is None else [f"--use-file-for-fake-video-capture={clip}"]
    return [
        "--no-sandbox", "--disable-gpu", "--disable-background-networking",
        "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", *fake,
    ]  # fmt: skip


def _jpeg(picture: Image.Image) -> bytes:
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=85)
    return data.getvalue()


def _permit(number: str, plate: str, first: Any) -> dict[str, object]:
    last = first.replace(year=first.year + 1) - timedelta(days=1)
    return {
        "permit_id": number, "holder_ref": f"H{number}", "given_name": "Erika", "family_name": "Mustermann",
        "street": "Pastorswiesenring", "house_number": "31", "postal_code": "40474", "city": "Düsseldorf",
        "language": "de", "zone_code": "BÖ", "permit_kind": "standard", "plate_1": plate, "keeper_is_holder": "yes",
        "valid_from": first.isoformat(), "valid_to": last.isoformat(), "term_months": 12, "fee_cents": 2500,
        "channel": "online", "payment_status": "paid", "status": "expired" if number == EXPIRED else "active",
    }  # fmt: skip


def _write(path: Path, rows: list[dict[str, object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=";")
        writer.writeheader()
        writer.writerows(rows)
