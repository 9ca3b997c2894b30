"""What axe-core finds wrong with a page."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from playwright.sync_api import Page

_AXE = Path(__file__).parent / "data" / "axe" / "axe.min.js"
# Only what is wrong leaves the browser: the whole result, nearly all of it about what is right, takes longer to
# hand over than to find.
_RUN = """async () => {
  const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
  const found = await axe.run(document, {runOnly: tags});
  if (!found.passes.length) throw new Error('axe has looked at nothing');
  return found.violations.flatMap((one) => one.nodes.map((node) => `${one.id}: ${node.html.slice(0, 120)}`));
}"""


@cache
def _script() -> str:
    return _AXE.read_text("utf-8")


def faults(page: Page) -> list[str]:
    """What breaks WCAG 2.2 AA or axe's best practice on the page as it is now, by rule and place."""
    # A tool's script, put in past the page's own policy.
    if not page.evaluate("'axe' in globalThis"):
        page.evaluate(_script())
    return list(page.evaluate(_RUN))
