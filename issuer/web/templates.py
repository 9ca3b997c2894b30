"""Pages from templates: Jinja with autoescape always on, and an undefined name is a fault, not a blank."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from jinja2 import Environment, PackageLoader, PrefixLoader, StrictUndefined

from passes.display import Shown, day_text

# Whose templates there are: ``pickup/start.html`` lies in issuer/pickup/templates/start.html.
_OWNERS: Final = {
    name: f"issuer.{name}"
    for name in ("accessibility", "apply", "console", "eudi", "figures", "payments", "pickup")
}


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PrefixLoader({name: PackageLoader(package) for name, package in _OWNERS.items()}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters["day"] = day_text
    environment.filters["pair"] = _pair
    return environment


def _pair(field: Shown) -> tuple[str, str]:
    return field.label, field.text


def render(template: str, **values: object) -> str:
    """The page ``template`` (``owner/name.html``) with ``values`` filled in and escaped."""
    return _environment().get_template(template).render(**values)
