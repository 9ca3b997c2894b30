"""What the web app carries from others is there byte for byte, with its licences."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
VENDOR = ROOT / "verifier" / "web" / "vendor"


def test_files_are_as_released() -> None:
    done = subprocess.run([sys.executable, ROOT / "scripts" / "vendor.py", "--check"], check=False)
    assert done.returncode == 0


def test_the_binary_is_the_one_its_script_names() -> None:
    noted = dict(
        reversed(line.split("  ", 1)) for line in (VENDOR / "vendor.sha256").read_text().splitlines()
    )
    script = (VENDOR / "zxing-wasm/dist/es/reader/index.js").read_text()
    assert noted["zxing-wasm/dist/reader/zxing_reader.wasm"] in script


def test_every_package_has_its_licence_and_a_notice() -> None:
    notices = (ROOT / "THIRD-PARTY-NOTICES.md").read_text()
    for folder in (one for one in VENDOR.iterdir() if one.is_dir()):
        assert any(folder.glob("LICENSE*"))
        assert f"verifier/web/vendor/{folder.name}/" in notices
