"""`make run`: the demo city from its CSV files to signed passes, checked without network, step by step."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

from issuer.setup import demo_data

# "Today" of the demo city's records.
TODAY = ["--today", "2026-11-20"]
# Marks a folder as a demo, which the next run may replace.
MARKER = ".stadtpass-demo"
STADTPASS = [sys.executable, "-m", "issuer.cli"]


def main(folder: Path) -> int:
    """Set the demo up in ``folder`` (anew, if it is a demo already) and show what it can do."""
    if folder.exists() and not (folder / MARKER).is_file():
        sys.stderr.write(f"{folder} exists and is no demo of Stadtpass. Try: make run DEMO=another-folder\n")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / MARKER).touch()
    data, out, trust = folder / "data", folder / "passes", folder / "published"
    on_data = ["--data", str(data)]
    samples = demo_data()
    started = time.monotonic()

    step("A city is set up: register, keys, and a certificate authority shaped like Apple's")
    stadtpass("init", "--demo", *on_data)
    step("200 resident parking permits and 200 library cards are issued to every carrier")
    for kind, file in (
        ("resident-parking-permit", "permits_valid.csv"),
        ("library-card", "library_valid.csv"),
    ):
        stadtpass("issue", kind, str(samples / file), *on_data, "--out", str(out), *TODAY)
    step("Trust bundle, status lists and plate list are published")
    stadtpass("publish", *on_data, "--out", str(trust), *TODAY)

    checks = ["--trust", str(trust), *TODAY, "--lang", "en"]
    step("A warden checks the printed code of a permit, offline")
    stadtpass("verify", str(out / "BPA-2026-100001.png"), *checks, expect=0)
    step("... one that was revoked, and one that was replaced")
    stadtpass("verify", str(out / "BPA-2026-100112.png"), *checks, expect=1)
    stadtpass("verify", str(out / "BPA-2025-100101.seal.txt"), *checks, expect=1)
    step("... and plates at empty cars: listed, not listed, ambiguous")
    stadtpass("check-plate", "D-NC 7682", *checks, "--zone", "BÖ", expect=0)
    stadtpass("check-plate", "D-XX 1", *checks, expect=1)
    stadtpass("check-plate", "UEMA123", *checks, expect=2)
    step("A librarian checks a card on a phone")
    stadtpass("verify", str(out / "M500001.png"), *checks, expect=0)

    count = sum(1 for _ in out.iterdir())
    sys.stdout.write(
        f"\nDone in {time.monotonic() - started:.0f} s. Worth a look:\n"
        f"  {out}/BPA-2026-100001.pdf      windscreen card and letter\n"
        f"  {out}/BPA-2026-100001.pkpass   Apple pass (openssl verifies it against {data}/demo-root.pem)\n"
        f"  {out}/BPA-2026-100001.google.json, .save-link.txt, .seal.txt, .png\n"
        f"  {out}/report.csv               what the last file's rows had to say; {count} files in all\n"
        f"  {trust}/                       what a verifier needs\n"
        "Try: .venv/bin/stadtpass --help, and the guides in docs/.\n"
    )
    return 0


def step(title: str) -> None:
    """Announce the next step."""
    sys.stdout.write(f"\n== {title}\n")
    sys.stdout.flush()


def stadtpass(*arguments: str, expect: int = 0) -> None:
    """Show and run one command; a result other than expected ends the demo."""
    shown = " ".join(f"'{one}'" if " " in one else one for one in arguments)
    sys.stdout.write(f"$ stadtpass {shown}\n")
    sys.stdout.flush()
    code = subprocess.run([*STADTPASS, *arguments], check=False).returncode
    if code != expect:
        sys.stderr.write(f"The demo expected exit code {expect} here and got {code}.\n")
        sys.exit(1)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
