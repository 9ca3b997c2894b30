"""Install the Debian packages that some tests need, or say how; tests without them are skipped by name."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

# What shows that a package is there.
PROBES = {
    "softhsm2": "softhsm2-util",
    "poppler-utils": "pdftoppm",
    "chromium": "chromium",
    "chromium-headless-shell": "chromium-headless-shell",
    "firefox-esr": "firefox-esr",
}


def main(packages: list[str]) -> int:
    """Install what is missing of ``packages`` where that is possible. Never fails: tests skip instead."""
    missing = [name for name in packages if shutil.which(PROBES[name]) is None]
    if not missing:
        return 0
    line = f"apt-get install --yes --no-install-recommends {' '.join(missing)}"
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    if not is_root or not Path("/etc/debian_version").exists() or shutil.which("apt-get") is None:
        sys.stdout.write(f"Some tests will be skipped. To run them all, install: sudo {line}\n")
        return 0
    quiet = {"stdout": subprocess.DEVNULL, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
    sys.stdout.write(f"Installing for tests: {' '.join(missing)}\n")
    for command in (["apt-get", "update", "-qq"], [*line.split(), "-qq"]):
        if subprocess.run(command, check=False, **quiet).returncode:  # type: ignore[call-overload]
            sys.stdout.write(f"That did not work; some tests will be skipped. By hand: {line}\n")
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
