"""`issue` of many permits: how the whole run scales with cores, from the CSV file to the last file written."""

from __future__ import annotations

import csv
import os
import random
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

from passes.districts import civil_district_signs
from passes.periods import Period

COUNT = 10_000
TODAY = "2026-11-20"
_COLUMNS = (
    "permit_id holder_ref given_name family_name street house_number postal_code city language zone_code "
    "permit_kind plate_1 keeper_is_holder valid_from valid_to term_months fee_cents channel payment_status status"
).split()


def write_permits(path: Path, count: int, seed: int = 1) -> None:
    """Write ``count`` made-up permits that the demo city accepts; the same seed gives the same file."""
    chance = random.Random(seed)
    signs = sorted(sign for sign in civil_district_signs() if len(sign) <= 2)
    zones = ("HO", "GP", "RP", "MÜ", "AK", "BÖ", "CH", "DK")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(_COLUMNS)
        for number in range(count):
            first = date(2026, 1, 1) + timedelta(days=chance.randrange(300))
            period = Period.of_months(first, 12)
            letters = "".join(chance.choice("ABCDEFGLMNPRTUVWXY") for _ in range(2))
            plate = f"{chance.choice(signs)}-{letters} {chance.randrange(1, 10_000)}"
            writer.writerow(
                [f"B-{number:06d}", f"H{number}", "Erika", "Mustermann", "Pastorswiesenring", "31", "40474",
                 "Düsseldorf", "de", chance.choice(zones), "standard", plate, "yes", first.isoformat(),
                 period.last.isoformat(), 12, 2500, "online", "paid",
                 "active" if period.last.isoformat() >= TODAY else "expired"]
            )  # fmt: skip


def run(count: int = COUNT) -> list[str]:
    """Issue ``count`` permits on one core and on all, and say how the two compare."""
    available = sorted(os.sched_getaffinity(0))
    rates: dict[int, float] = {}
    lines = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_permits(folder / "permits.csv", count)
        for cores in sorted({1, len(available)}):
            seconds = _issue(folder, cores, set(available[:cores]))
            rates[cores] = count / seconds
            lines.append(
                f"issue, {cores} core(s): {rates[cores]:7.0f} permits/s ({seconds:.1f} s for {count})"
            )
    most = max(rates)
    if most > 1:
        lines.append(f"  {rates[most] / rates[1]:.2f} times as fast on {most} cores")
    lines.append(
        "  limited by: the QR picture (the qrcode library, 3 ms), two RSA signatures, five files a permit;"
    )
    lines.append("  reading, checking and the database run in one process while the others make carriers")
    return lines


def _issue(folder: Path, cores: int, affinity: set[int]) -> float:
    data, out = folder / f"data{cores}", folder / f"out{cores}"
    command = [sys.executable, "-m", "issuer.cli"]
    subprocess.run([*command, "init", "--demo", "--data", data], check=True, capture_output=True)
    started = time.perf_counter()
    subprocess.run(
        [*command, "issue", "resident-parking-permit", folder / "permits.csv", "--data", data, "--out", out,
         "--carriers", "apple,google,seal", "--today", TODAY],
        check=True, capture_output=True,
        preexec_fn=lambda: os.sched_setaffinity(0, affinity),
    )  # fmt: skip
    return time.perf_counter() - started


if __name__ == "__main__":
    print("\n".join(run(int(sys.argv[1]) if len(sys.argv) > 1 else COUNT)))
