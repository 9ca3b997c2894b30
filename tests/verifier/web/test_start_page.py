"""What the start page names ahead of time is what the app is made of."""

from __future__ import annotations

import re
from pathlib import Path

WEB = Path(__file__).parents[3] / "verifier" / "web"
_NAMED = re.compile(r"""^(?:import|export)\b[^;]*?["'](\.{1,2}/[^"']+)["'];""", re.MULTILINE)
_AHEAD = re.compile(r'<link rel="modulepreload" href="([^"]+)">')


def imported(module: Path, known: set[Path]) -> set[Path]:
    """``module`` and whatever it imports, directly or not."""
    if module not in known:
        known.add(module)
        for name in _NAMED.findall(module.read_text("utf-8")):
            imported((module.parent / name).resolve(), known)
    return known


def test_every_module_of_the_app_is_asked_for_at_once() -> None:
    app = WEB / "ui" / "app.js"
    modules = imported(app, set()) - {app}
    ahead = _AHEAD.findall((WEB / "index.html").read_text("utf-8"))
    assert len(modules) > 40
    assert ahead == sorted(module.relative_to(WEB).as_posix() for module in modules)
