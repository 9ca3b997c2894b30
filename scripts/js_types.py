"""Check the types of the verifier web app's JavaScript with TypeScript, from the JSDoc comments in it.

Needs Node and npm, and the network the first time; without them it says so and checks nothing.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "tests" / "node"
CONFIGURATIONS = ("tsconfig.json", "tsconfig.worker.json")


def main() -> int:
    """0 when the types are right, or where they cannot be checked; else what the compiler said."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        sys.stdout.write("Types of the web app: skipped, because node or npm is missing (apt install npm)\n")
        return 0
    if not installed(npm):
        sys.stdout.write(
            "Types of the web app: skipped, because npm could not install TypeScript, see above\n"
        )
        return 0
    compiler = FOLDER / "node_modules" / "typescript" / "bin" / "tsc"
    worst = 0
    for configuration in CONFIGURATIONS:
        command = [node, compiler, "--project", FOLDER / configuration]
        worst = max(worst, subprocess.run(command, check=False).returncode)
    if worst == 0:
        sys.stdout.write("Types of the web app: no faults\n")
    return worst


def installed(npm: str) -> bool:
    """Whether what the lock names is there; installed anew when the lock has changed."""
    lock = (FOLDER / "package-lock.json").read_bytes()
    stamp = FOLDER / "node_modules" / ".stamp"
    if stamp.is_file() and stamp.read_bytes() == lock:
        return True
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    if subprocess.run(command, cwd=FOLDER, check=False).returncode:
        return False
    stamp.write_bytes(lock)
    return True


if __name__ == "__main__":
    sys.exit(main())
