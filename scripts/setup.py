"""Make the virtual environment that the Makefile uses. Needs nothing but Python itself.

A second run without network finds everything installed and changes nothing.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

OLDEST, NEWEST = (3, 11), (3, 13)
EXTRAS = "verifier,issuer,pkcs11,dev"


def main(folder: Path) -> int:
    """Create ``folder`` and install Stadtpass into it, editable, with everything that tests need."""
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        found = ".".join(map(str, sys.version_info[:2]))
        sys.stderr.write(
            f"Stadtpass needs Python 3.11 to 3.13, this is {found}. Try: make PYTHON=python3.11 …\n"
        )
        return 1
    python = folder / "bin" / "python"
    if not works(python):
        sys.stdout.write(f"Making a virtual environment in {folder} …\n")
        try:
            venv.create(folder, with_pip=True, clear=True)
        except subprocess.CalledProcessError:
            sys.stderr.write("Python lacks venv. On Debian: apt-get install python3-venv\n")
            return 1
    sys.stdout.write("Installing Stadtpass and what it needs (the first time takes a minute) …\n")
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--editable"]
    root = Path(__file__).resolve().parent.parent
    installed = subprocess.run([*command, f"{root}[{EXTRAS}]"], check=False)
    if installed.returncode:
        sys.stderr.write("pip could not install Stadtpass; its message stands above.\n")
        return installed.returncode
    (folder / ".stamp").touch()
    return 0


def works(python: Path) -> bool:
    """Whether the environment exists and belongs to the running version of Python."""
    ask = "import sys, pip; print(sys.version_info[:2] == %r)" % (tuple(sys.version_info[:2]),)  # noqa: UP031
    try:
        answer = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return answer.stdout.strip() == "True"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
