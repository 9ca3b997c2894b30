"""How fast seals are written and checked, against what OpenSSL's P-256 does on the same core in the same run.

``python -m bench.seal`` prints one table. Budgets: sealing 45 % of OpenSSL's signatures, text to verdict 50 %
of its verifications, 100 pictures of 1000 x 1000 pixels a second.
"""

from __future__ import annotations

import io
import re
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from PIL import Image

from passes import base45
from passes.qr import qr_png
from passes.seal import Sealer, encode_claims, read_seal
from tests.trust_factory import NOW, City, permit
from verifier.image import codes_in
from verifier.seal_check import check_seal

SEAL_SHARE, CHECK_SHARE, PICTURES = 0.45, 0.50, 100
_ROUNDS = 5
_ES256 = ec.ECDSA(hashes.SHA256())


def rate(work: Callable[[int], object], count: int) -> float:
    """Calls a second, the best of several rounds: the rest is what else the machine did."""
    best = float("inf")
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        for number in range(count):
            work(number)
        best = min(best, time.perf_counter() - start)
    return count / best


def openssl() -> tuple[float, float]:
    """Signatures and verifications a second of ``openssl speed ecdsap256``."""
    done = subprocess.run(
        ["openssl", "speed", "-seconds", "2", "ecdsap256"], capture_output=True, text=True, check=True
    )
    found = re.search(r"nistp256\)\s+\S+\s+\S+\s+([0-9.]+)\s+([0-9.]+)", done.stdout)
    if found is None:
        raise RuntimeError("openssl speed has another form of output")
    return float(found[1]), float(found[2])


def photo_of(text: str) -> bytes:
    """A grey PNG of 1000 x 1000 pixels with the seal's code in it."""
    code = Image.open(io.BytesIO(qr_png(text, module_px=12))).convert("L")
    whole = Image.new("L", (1000, 1000), 235)
    whole.paste(code, ((1000 - code.width) // 2, (1000 - code.height) // 2))
    file = io.BytesIO()
    whole.save(file, "PNG")
    return file.getvalue()


def run() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        city = City(Path(folder)).publish()
        trust = city.trust()
        sealer = Sealer(city.seal_key, city.seal_key.kid)
        contents = [
            replace(permit(), number=f"BP-2026-{index:06d}", status_index=index) for index in range(4000)
        ]
        texts = [sealer.seal(content) for content in contents[:2000]]
        pictures = [photo_of(text) for text in texts[:20]]
        message = b"x" * 160
        signature = city.seal_key.private.sign(message, _ES256)
        token = base45.decode(texts[0][4:])

        openssl_signs, openssl_verifies = openssl()
        seals = rate(lambda number: sealer.seal(contents[number]), len(contents))
        verdicts = rate(lambda number: check_seal(texts[number], trust, NOW), len(texts))
        seen = rate(lambda number: check_seal(codes_in(pictures[number])[0], trust, NOW), len(pictures))
        raw_signs = rate(lambda _: city.seal_key.private.sign(message, _ES256), 4000)
        raw_verifies = rate(lambda _: city.seal_key.public.verify(signature, message, _ES256), 2000)

        _line("openssl speed: sign", openssl_signs)
        _line("openssl speed: verify", openssl_verifies)
        _line("seal with text", seals, seals / openssl_signs, SEAL_SHARE)
        _line("text to verdict", verdicts, verdicts / openssl_verifies, CHECK_SHARE)
        _line("picture to verdict", seen, seen / PICTURES, 1)
        parts = [
            ("  of sealing: signature in Python", 1e6 / raw_signs),
            ("  of sealing: claims", 1e6 / rate(lambda _: encode_claims(contents[0]), 4000)),
            ("  of sealing: base45", 1e6 / rate(lambda _: base45.encode(token), 4000)),
            ("  of checking: signature in Python", 1e6 / raw_verifies),
            ("  of checking: reading the text", 1e6 / rate(lambda _: read_seal(texts[0]), 4000)),
            ("  of checking: signature and text", 1e6 / rate(lambda _: _verified(texts[0], city), 2000)),
            ("  of a picture: finding and reading", 1e6 / rate(lambda _: codes_in(pictures[0]), 20)),
        ]
        for name, microseconds in parts:
            print(f"{name:38s} {microseconds:10.1f} us")
        print(f"one seal has {len(token)} bytes and {len(texts[0])} characters")


def _verified(text: str, city: City) -> None:
    read_seal(text).message.verify(city.seal_key.public)


def _line(name: str, per_second: float, share: float | None = None, wanted: float = 0) -> None:
    line = f"{name:38s} {per_second:10,.0f} /s"
    if share is not None:
        line += (
            f"   {share:6.1%} of the reference, {wanted:.0%} wanted: {'ok' if share >= wanted else 'MISSED'}"
        )
    print(line)


if __name__ == "__main__":
    run()
