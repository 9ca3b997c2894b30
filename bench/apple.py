"""Apple passes per second and core against openssl's RSA-2048, and the memory they take.

`run` measures in one go, on one core: openssl's own signatures, those of `cryptography`, our passes of 84 KB
with nine images (strict validation included, into memory), and py-pkpass as shipped with the same pass.
Peak memory is that of a fresh process after 1,000 and after 10,000 passes.
"""

from __future__ import annotations

import io
import os
import random
import re
import resource
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID, ObjectIdentifier
from py_pkpass import models

from keys.store import Algorithm
from keys.uri import KeyUri
from passes import base45
from passes.apple import ApplePassFactory
from passes.model import City, DisplayMode, PassContent, RegisteredPlate
from passes.pass_types import PassType, PassTypes
from passes.periods import Period
from passes.plates import Plate
from passes.zones import Zone

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
PASS_BYTES = 84_000
IDENTIFIER, TEAM = "pass.org.example.parken", "ABCDE12345"
_PNG = b"\x89PNG\r\n\x1a\n"
_SIZES = {"icon": 38, "logo": 50, "thumbnail": 90}


class MemorySigner:
    """An RSA key in memory, as the encrypted keystore hands it out: the same one call per signature."""

    algorithm = Algorithm.RS256
    uri = KeyUri.parse("file:bench")

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        self._key = key
        self._padding, self._hash = padding.PKCS1v15(), hashes.SHA256()

    def public_key(self) -> rsa.RSAPublicKey:
        return self._key.public_key()

    def sign(self, data: bytes) -> bytes:
        return self._key.sign(data, self._padding, self._hash)


def run(rounds: int = 7, passes: int = 1500) -> list[dict[str, Any]]:
    """Measure everything once and give one row per figure: name, value, unit, and what it is compared with."""
    _on_one_core()
    key, certificate, intermediate = _identity()
    pass_type = _pass_type()
    factory = ApplePassFactory(pass_type, _city(), certificate, (intermediate,), MemorySigner(key))
    contents = _contents(passes)
    sample = factory.build(contents[0], NOW)
    signer = MemorySigner(key)

    def build() -> None:
        for content in contents:
            factory.build(content, NOW)

    def sign() -> None:
        for content in contents:
            signer.sign(content.seal.encode())

    def build_all() -> None:
        for _ in factory.build_all(contents, NOW):
            pass

    def everything_but_sign() -> None:
        for _ in unsigned.build_all(contents, NOW):
            pass

    unsigned = ApplePassFactory(pass_type, _city(), certificate, (intermediate,), _NoSigner(key))
    openssl_rates: list[float] = []
    single: list[float] = []
    ours: list[float] = []
    raw: list[float] = []
    rest: list[float] = []
    # Interleaved, so that a slow moment of the machine hits all of them.
    for _ in range(rounds):
        openssl_rates.append(_openssl_rate())
        single.append(passes / _seconds(build))
        ours.append(passes / _seconds(build_all))
        raw.append(passes / _seconds(sign))
        rest.append(passes / _seconds(everything_but_sign))
    shipped = _py_pkpass_rate(key, certificate, intermediate, pass_type, 100)
    openssl, best = max(openssl_rates), max(ours)
    memory = {count: _peak_memory(count) for count in (1000, 10_000)}
    growth = memory[10_000] - memory[1000]
    return [
        _row("pass size", len(sample), "bytes", f"{len(pass_type.images)} images"),
        _row("openssl speed rsa2048", openssl, "signs/s", "best of the rounds"),
        _row("cryptography, signature only", max(raw), "signs/s", f"{max(raw) / openssl:.1%} of openssl"),
        _row("Apple passes, in bulk", best, "passes/s", f"{best / openssl:.1%} of openssl; target 90 %"),
        _row("the same, median of rounds", _median(ours), "passes/s",
             f"{_median([a / b for a, b in zip(ours, openssl_rates, strict=True)]):.1%} of openssl, same round"),
        _row("Apple passes, one by one", max(single), "passes/s", f"{max(single) / openssl:.1%} of openssl"),
        _row("all but the signature", 1e6 / max(rest), "µs/pass",
             "JSON, validation, hashes, CMS, ZIP; the RSA signature is the rest"),
        _row("py-pkpass as shipped", shipped, "passes/s",
             f"ours is {best / shipped:.0f} times as fast; it loads and checks the key for each pass"),
        _row("peak memory, 1,000 passes", memory[1000], "MB", ""),
        _row("peak memory, 10,000 passes", memory[10_000], "MB", f"growth {growth:.1f} MB; target under 96 MB"),
    ]  # fmt: skip


class _NoSigner(MemorySigner):
    """Signs nothing, to see what is left of a pass without its signature."""

    def sign(self, data: bytes) -> bytes:  # noqa: ARG002 - the interface of a signer
        return bytes(256)


def _row(name: str, value: float, unit: str, note: str) -> dict[str, Any]:
    return {"name": name, "value": round(value, 1), "unit": unit, "note": note}


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def _seconds(work: Callable[[], None]) -> float:
    # CPU time of this process: what a core spends, whatever else the machine does.
    start = time.process_time()
    work()
    return time.process_time() - start


def _on_one_core() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def _openssl_rate() -> float:
    made = subprocess.run(
        ["openssl", "speed", "-seconds", "3", "rsa2048"], capture_output=True, text=True, check=True
    )
    found = re.search(r"^rsa +2048 bits +\S+ +\S+ +([0-9.]+)", made.stdout, re.MULTILINE)
    if found is None:
        raise RuntimeError("openssl speed printed no RSA-2048 line")
    return float(found[1])


def _py_pkpass_rate(
    key: rsa.RSAPrivateKey,
    certificate: x509.Certificate,
    intermediate: x509.Certificate,
    pass_type: PassType,
    count: int,
) -> float:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in ("certificate.pem", "key.pem", "wwdr.pem")]
        pem = serialization.Encoding.PEM
        paths[0].write_bytes(certificate.public_bytes(pem))
        paths[1].write_bytes(
            key.private_bytes(
                pem, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
            )
        )
        paths[2].write_bytes(intermediate.public_bytes(pem))

        def build() -> None:
            for content in _contents(count):
                style = models.Generic()
                style.addHeaderField("zone_code", "MÜ", "Gebiet")
                style.addPrimaryField("vehicle", "D-AB 123E", "Kennzeichen")
                style.addSecondaryField("zone", "MÜ Münsterstraße", "Parkgebiet")
                style.addAuxiliaryField("number", content.number, "Ausweisnummer")
                for name, text in pass_type.words("de").texts.items():
                    style.addBackField(name, text, name)
                one = models.Pass(style, "", IDENTIFIER, "Musterstadt", TEAM)
                one.serialNumber = content.serial
                one.description = "Bewohnerparkausweis"
                one.barcode = models.Barcode(content.seal, models.BarcodeFormat.QR)
                for name, data in pass_type.images.items():
                    one.addFile(name, io.BytesIO(data))
                one.create(str(paths[0]), str(paths[1]), str(paths[2]), "x")

        return count / _seconds(build)


def _peak_memory(count: int) -> float:
    made = subprocess.run(
        [sys.executable, "-m", "bench.apple", "--memory", str(count)],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1],
    )  # fmt: skip
    return float(made.stdout)


def _use_memory(count: int) -> None:
    """Make ``count`` passes one after the other and print this process's peak memory in MB."""
    key, certificate, intermediate = _identity()
    factory = ApplePassFactory(_pass_type(), _city(), certificate, (intermediate,), MemorySigner(key))
    for first in range(0, count, 100):
        for content in _contents(100, first):
            factory.build(content, NOW)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(peak / (1024 * 1024 if sys.platform == "darwin" else 1024))


def _city() -> City:
    return City(
        "musterstadt", "Musterstadt", DisplayMode.PAPER_REQUIRED, "https://ausweise.stadt.example",
        "Bürgerbüro, Telefon 0211 123456, parken@stadt.example", False, IDENTIFIER, TEAM, "3388000000000000000",
        "wallet@example.org",
    )  # fmt: skip


def _contents(count: int, first: int = 0) -> list[PassContent]:
    """Permits that differ in everything that differs in a city: plate, zone, days, numbers, seal."""
    chance = random.Random(first)
    start = PassContent(
        "resident-parking-permit", "", Period(date(2026, 1, 1), date(2026, 12, 31)), {}, "", "", NOW
    )
    zones = [Zone(f"Z{number}", f"Parkgebiet Münsterstraße {number}") for number in range(40)]
    made = []
    for number in range(first, first + count):
        day = date(2026, 1, 1) + timedelta(days=chance.randrange(365))
        plate = Plate(
            "D", chance.choice(("AB", "MU", "X")), str(chance.randrange(1, 9999)), chance.choice(("", "E"))
        )
        made.append(
            replace(
                start,
                number=f"BPA-2026-{number:06d}",
                period=Period.of_months(day, 12),
                attributes={
                    "plates": (RegisteredPlate(plate),),
                    "zone": chance.choice(zones),
                    "permit_kind": "standard",
                },
                seal="SP1:" + base45.encode(chance.randbytes(152)),
                serial=chance.randbytes(16).hex(),
                apple_token=chance.randbytes(32).hex(),
            )
        )
    return made


def _pass_type() -> PassType:
    """The parking permit with nine noisy PNG files that bring a pass to 84 KB."""
    permit = PassTypes.load()["resident-parking-permit"]
    overhead = 10_500
    names = [f"{name}{scale}.png" for name in _SIZES for scale in ("", "@2x", "@3x")]
    each = (PASS_BYTES - overhead) // len(names)
    return replace(permit, images={name: _noise(name, each) for name in names})


def _noise(name: str, size: int) -> bytes:
    """A PNG of the right dimensions, padded with a private chunk of noise to ``size`` bytes.

    Stands for artwork that compresses badly: hashing and copying do not look at the pixels.
    """
    found = re.fullmatch(r"([a-z]+)(?:@([23])x)?\.png", name)
    assert found is not None
    side = _SIZES[found[1]] * int(found[2] or 1)
    rows = zlib.compress((b"\x00" + bytes(side)) * side)
    image = _chunk(b"IHDR", struct.pack(">LLBBBBB", side, side, 8, 0, 0, 0, 0)) + _chunk(b"IDAT", rows)
    fixed = len(_PNG) + len(image) + 12 + 12
    padding_chunk = _chunk(b"noIs", random.Random(name).randbytes(size - fixed))
    return _PNG + image + padding_chunk + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))


def _identity() -> tuple[rsa.RSAPrivateKey, x509.Certificate, x509.Certificate]:
    """A pass certificate and the authority above it, of the size of Apple's."""
    authority_key = rsa.generate_private_key(65537, 2048)
    key = rsa.generate_private_key(65537, 2048)
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Bench Developer Relations")])
    root = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Bench Root")])
    subject = x509.Name(
        [
            x509.NameAttribute(ObjectIdentifier("0.9.2342.19200300.100.1.1"), IDENTIFIER),
            x509.NameAttribute(NameOID.COMMON_NAME, f"Pass Type ID: {IDENTIFIER}"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, TEAM),
        ]
    )

    def issue(name: x509.Name, issuer: x509.Name, public: rsa.RSAPublicKey, *, ca: bool) -> x509.Certificate:
        return (
            x509.CertificateBuilder()
            .subject_name(name).issuer_name(issuer).public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - timedelta(days=30)).not_valid_after(NOW + timedelta(days=300))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .sign(authority_key, hashes.SHA256())
        )  # fmt: skip

    intermediate = issue(authority, root, authority_key.public_key(), ca=True)
    return key, issue(subject, authority, key.public_key(), ca=False), intermediate


def main() -> None:
    """Print the rows, or with ``--memory N`` the peak memory of N passes."""
    if sys.argv[1:2] == ["--memory"]:
        _use_memory(int(sys.argv[2]))
        return
    for row in run():
        print(f"{row['name']:34} {row['value']:>10,.1f} {row['unit']:9} {row['note']}")


if __name__ == "__main__":
    main()
