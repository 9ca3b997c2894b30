"""Message catalogues: every sentence that people read, in German and English, as TOML files.

A package keeps them in ``locales/<language>/<topic>.toml``, flat: ``CODE = "Sentence with {param}."``.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from importlib.resources import files
from typing import Final

LANGUAGES = ("de", "en")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class Texts:
    """The sentences of one package in one language."""

    language: str
    sentences: dict[str, str]

    def __call__(self, code: str, /, **params: object) -> str:
        """The sentence for ``code`` with ``params`` filled in.

        Raises KeyError for a code the catalogue lacks or a param the sentence needs: both are our faults.
        """
        return self.sentences[code].format(**params)

    def __contains__(self, code: str) -> bool:
        return code in self.sentences


def day_as_read(value: object, language: str) -> object:
    """``value`` as people write days in ``language`` if it is the text of a day (ISO 8601), else as it is."""
    if not isinstance(value, str) or _DAY.fullmatch(value) is None:
        return value
    try:
        day = date.fromisoformat(value)
    except ValueError:
        return value
    return texts("keys", language)("DAY", day=day)


@lru_cache(maxsize=32)
def texts(package: str, language: str = "de") -> Texts:
    """The catalogue of ``package``; a language other than ``de`` and ``en`` gets German, the official one."""
    chosen = language if language in LANGUAGES else "de"
    merged: dict[str, str] = {}
    for entry in sorted(files(package).joinpath("locales", chosen).iterdir(), key=lambda item: item.name):
        if not entry.name.endswith(".toml"):
            continue
        sentences: dict[str, str] = tomllib.loads(entry.read_text("utf-8"))
        if repeated := merged.keys() & sentences.keys():
            raise ValueError(f"{package}/{chosen}/{entry.name} repeats {sorted(repeated)}")
        merged.update(sentences)
    return Texts(chosen, merged)
