"""What to write instead of what was refused, where the check knows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from keys.texts import texts

# The param of a finding that says what belongs there, by the finding's text.
_VALUES: Final[Mapping[str, str]] = {
    "MOJIBAKE_SUSPECTED": "suggestion",
    "DATE_TERM_MISMATCH": "last",
    "DATE_FORMAT": "example",
    "FEE_MISMATCH": "expected",
    "ZONE_UNKNOWN": "known",
    "ZONE_ENDED": "known",
    "CHOICE_UNKNOWN": "known",
    "KIND_INCONSISTENT": "wanted",
}
# Findings for which the console has something to do that a command does not.
_HINTS: Final = frozenset(
    {
        "ENCODING_UTF8",
        "ENCODING_IS_UTF8",
        "ENCODING_OTHER",
        "ENCODING_UTF16",
        "DUPLICATE_ID",
        "DUPLICATE_ID_IN_FILE",
        "FEE_NOT_IN_TABLE",
        "HOLDER_DIFFERS",
        "COLUMN_MISSING",
        "COLUMN_COUNT",
    }
)


def suggestion(text: str, params: Mapping[str, Any], language: str) -> str:
    """What to write or do instead; empty where there is nothing more to say than the sentence does."""
    say = texts("issuer", language)
    if text in _HINTS:
        return say(f"IMPORT_HINT_{text}")
    value = params.get(_VALUES.get(text, ""))
    if value is None or value == "":
        return ""
    if text == "FEE_MISMATCH":
        return say("IMPORT_HINT_FEE_MISMATCH", value=value)
    if text == "KIND_INCONSISTENT":
        return say("IMPORT_HINT_KIND_INCONSISTENT", value=value)
    return str(value)
