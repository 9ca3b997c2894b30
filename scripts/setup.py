"""Make the virtual environment that the Makefile uses. Needs nothing but Python itself.

A second run without network finds everything installed and changes nothing.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from importlib.util import find_spec
from pathlib import Path

OLDEST, NEWEST = (3, 11), (3, 13)
EXTRAS = "verifier,issuer,pkcs11,dev"


def main(folder: Path, stamp: Path) -> int:
    """Create ``folder``, install Stadtpass into it, editable, with everything that tests need, touch ``stamp``."""
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        found = ".".join(map(str, sys.version_info[:2]))
        sys.stderr.write(
            f"Stadtpass needs Python 3.11 to 3.13, this is {found}. Try: make PYTHON=python3.11 …\n"
        )
        return 1
    if find_spec("pip") is None:
        sys.stderr.write("This Python has no pip. On Debian: apt-get install python3-pip\n")
        return 1
    python = folder / "bin" / "python"
    if not works(python):
        sys.stdout.write(f"Making a virtual environment in {folder} …\n")
        # Without a pip of its own: Debian's Python can do that even where python3-venv is not installed.
        venv.create(folder, clear=True, symlinks=True)
    sys.stdout.write("Installing Stadtpass and what it needs (the first time takes a minute) …\n")
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    root = Path(__file__).resolve().parent.parent
    installed = subprocess.run([*pip, "install", "--quiet", "--editable", f"{root}[{EXTRAS}]"], check=False)
    if installed.returncode:
        sys.stderr.write("pip could not install Stadtpass; its message stands above.\n")
        return installed.returncode
    stamp.touch()
    return 0


def works(python: Path) -> bool:
    """Whether the environment exists and belongs to the running version of Python."""
    ask = "import sys; print(*sys.version_info[:2])"
    try:
        answer = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return answer.stdout.split() == [str(number) for number in sys.version_info[:2]]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
