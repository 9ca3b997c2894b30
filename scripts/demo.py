"""`make run`: the demo city set up from its CSV files, checked offline, and served on http://127.0.0.1:8000.

The first run makes the city; later ones find it and only start the service. `make clean` forgets it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from issuer.setup import demo_data
from passes.periods import BERLIN

# "Today" of the demo city's records.
TODAY = ["--today", "2026-11-20"]
# After this day most of the demo city's permits have ended; then the service lives on its first day for ever.
LAST_GOOD_DAY = datetime(2027, 3, 31, tzinfo=BERLIN)
# Marks a folder as a demo; it names the form of what is inside.
MARKER, FORM = ".stadtpass-demo", "3"
STADTPASS = [sys.executable, "-m", "issuer.cli"]
PERMIT = "BPA-2026-100001"


def main(folder: Path, port: str) -> int:
    """Set the demo up in ``folder`` unless it is there, show what it can do, and serve it on ``port``."""
    marker = folder / MARKER
    if folder.exists() and not marker.is_file():
        sys.stderr.write(f"{folder} exists and is no demo of Stadtpass. Try: make run DEMO=another-folder\n")
        return 1
    data = folder / "data"
    base_url = f"http://127.0.0.1:{port}"
    if not marker.exists() or marker.read_text().strip() != FORM:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        set_up(folder)
        marker.write_text(FORM + "\n")
    quietly("config", "set", "base_url", base_url, "--data", str(data))
    tell(folder, base_url)
    started = [] if datetime.now(BERLIN) <= LAST_GOOD_DAY else ["--at", "2026-11-20T09:00"]
    return serve([*STADTPASS, "serve", "--data", str(data), "--port", port, *started])


def serve(command: list[str]) -> NoReturn:
    """Let the service take this process's place, so that Ctrl-C and signals reach it."""
    sys.stdout.flush()
    # EUDI Wallets ask for a key with a certificate, which the demo city has; a real city decides when it begins.
    os.environ.setdefault("STADTPASS_EUDI_ENABLED", "true")
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted


def set_up(folder: Path) -> None:
    """Make the city, its passes and its lists, and check some of them offline."""
    data, out, trust = folder / "data", folder / "passes", folder / "published"
    on_data = ["--data", str(data)]
    samples = demo_data()
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
    stadtpass("verify", str(out / f"{PERMIT}.png"), *checks, expect=0)
    step("... one that was revoked, and one that was replaced")
    stadtpass("verify", str(out / "BPA-2026-100112.png"), *checks, expect=1)
    stadtpass("verify", str(out / "BPA-2025-100101.seal.txt"), *checks, expect=1)
    step("... and plates at empty cars: listed, not listed, ambiguous")
    stadtpass("check-plate", "D-NC 7682", *checks, "--zone", "BÖ", expect=0)
    stadtpass("check-plate", "D-XX 1", *checks, expect=1)
    stadtpass("check-plate", "UEMA123", *checks, expect=2)
    step("A librarian checks a card on a phone")
    stadtpass("verify", str(out / "M500001.png"), *checks, expect=0)
    sys.stdout.write(
        f"\nMade in {out}: {sum(1 for _ in out.iterdir())} files, such as {PERMIT}.pdf and .pkpass\n"
    )


def tell(folder: Path, base_url: str) -> None:
    """Print what is worth opening, with credentials made for this run."""
    on_data = ["--data", str(folder / "data")]
    link = quietly("pickup-link", PERMIT, *on_data).split()[-1]
    letter = json.loads(quietly("pickup-link", PERMIT, "--letter", "--json", *on_data))
    key = json.loads(
        quietly("clients", "add", "demo", "--scope", "passes:read", "--scope", "passes:write",
                "--scope", "checks:read", "--expires-days", "1", "--json", *on_data)
    )["secret"]  # fmt: skip
    device = json.loads(quietly("devices", "invite", "Handheld 1", "--role", "warden", "--json", *on_data))
    office = json.loads(
        quietly("staff", "invite", "clerk", "--name", "Erika Beispiel", "--role", "clerk", "--role", "supervisor",
                "--role", "registrar", "--json", *on_data)
    )  # fmt: skip
    library = json.loads(
        quietly(
            "staff", "invite", "library", "--name", "Karl Beispiel", "--role", "librarian", "--json", *on_data
        )
    )
    step("The service starts; worth opening while it runs (Ctrl-C ends it)")
    sys.stdout.write(
        f"  {base_url}/            the city's pick-up page\n"
        f"  {link}\n"
        f"                               a holder's one-time link to permit {PERMIT}, good for an hour\n"
        f"  {base_url}/p/code      the same by letter: code {letter['code']}, last day {letter['last_day']}\n"
        f"  {base_url}/apply       applying for a permit; payments are simulated\n"
        f"  {office['link']}\n"
        f"                               a clerk, supervisor and registrar's way into the office, good for a day\n"
        f"  {library['link']}\n"
        f"                               a librarian's way in\n"
        f"  {base_url}/office/wallet, /office/library/wallet, /office/residence\n"
        f"                               asking EUDI Wallets (no real one answers), certificates of residence\n"
        f"  {base_url}/api/docs    the management API; a key for today:\n"
        f"      {key}\n"
        f"      curl -H 'Authorization: Bearer {key}' \\\n"
        f"        {base_url}/api/v1/passes/resident-parking-permit/{PERMIT}\n"
        f"  {base_url}/check/      the verifier's app; enrolled as a warden's device, within ten minutes, by\n"
        f"      {device['url']}\n"
        f"      then, with the six digits that it shows:\n"
        f"      .venv/bin/stadtpass devices confirm {device['id']} DIGITS --data {folder}/data\n"
        f"  {base_url}/health, /ready, /metrics\n"
        f"  mails of the demo city land in {folder}/data/mail/\n\n"
    )


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


def quietly(*arguments: str) -> str:
    """Run one command and return what it prints; its error ends the demo."""
    done = subprocess.run([*STADTPASS, *arguments], check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "8000"))
