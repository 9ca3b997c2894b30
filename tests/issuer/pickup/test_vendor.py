"""What comes from others is there byte for byte, with its licence."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOLDERS = (ROOT / "issuer" / "web" / "static", ROOT / "tests" / "data" / "axe")
# Made for this project, or a licence text that its package lacked.
OWN = ("pickup/", "vendor.sha256", "kern/fonts/OFL.txt")


@pytest.mark.parametrize("folder", FOLDERS, ids=["static", "axe"])
def test_hashes(folder: Path) -> None:
    noted = dict(
        reversed(line.split("  ", 1)) for line in (folder / "vendor.sha256").read_text().splitlines()
    )
    there = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in (str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
        if not name.startswith(OWN)
    }
    assert {name: there.get(name) for name in noted} == noted
    for part in ("kern", "htmx"):
        if (folder / part).is_dir():
            assert {name for name in there if name.startswith(part)} == {
                name for name in noted if name.startswith(part)
            }
            assert any((folder / part).glob("LICENSE*"))
