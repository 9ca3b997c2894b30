"""A hand scanner that types like a keyboard, as a page sees it."""

from __future__ import annotations

from playwright.sync_api import Page

# Physical key and shift of each sign of a seal that is neither letter nor digit (ISO/IEC 9995 positions).
_SIGNS = {
    "US": {
        "$": ("Digit4", 1), "%": ("Digit5", 1), "*": ("Digit8", 1), "+": ("Equal", 1), "-": ("Minus", 0),
        ".": ("Period", 0), "/": ("Slash", 0), ":": ("Semicolon", 1), " ": ("Space", 0),
    },
    "DE": {
        "$": ("Digit4", 1), "%": ("Digit5", 1), "*": ("BracketRight", 1), "+": ("BracketRight", 0),
        "-": ("Slash", 0), ".": ("Period", 0), "/": ("Digit7", 1), ":": ("Period", 1), " ": ("Space", 0),
    },
}  # fmt: skip
# What a host shows for keys that its layout gives another sign than a seal's.
_REST = {
    "US": {("BracketRight", 1): "}", ("BracketRight", 0): "]", ("Digit7", 1): "&", ("Period", 1): ">"},
    "DE": {("Digit8", 1): "(", ("Equal", 1): "`", ("Minus", 0): "ß", ("Semicolon", 1): "Ö"},
}
_SWAP = str.maketrans("YZ", "ZY")


def _pressed(text: str, scanner: str) -> list[tuple[str, int]]:
    keys = []
    for sign in text:
        if sign.isdigit():
            keys.append((f"Digit{sign}", 0))
        elif sign.isalpha():
            keys.append((f"Key{sign.translate(_SWAP) if scanner == 'DE' else sign}", 1))
        else:
            keys.append(_SIGNS[scanner][sign])
    return keys


def _shown(key: tuple[str, int], host: str) -> str:
    code, _ = key
    by_key = {place: sign for sign, place in _SIGNS[host].items()} | _REST[host]
    if key in by_key:
        return by_key[key]
    if code.startswith("Key"):
        return code[3:].translate(_SWAP) if host == "DE" else code[3:]
    return {"Slash": "-" if host == "DE" else "/"}.get(code, code[-1])


# Dispatched in one go: a machine under load must not make a scanner look like a person.
_SCAN = """([keys, selector]) => {
  const target = document.querySelector(selector);
  target.focus();
  for (const [code, shiftKey, key] of [...keys, ['Enter', false, 'Enter']]) {
    target.dispatchEvent(new KeyboardEvent('keydown', { code, key, shiftKey, bubbles: true, cancelable: true }));
  }
}"""


def scan_by_hand(page: Page, text: str, into: str = "body", scanner: str = "US", host: str = "US") -> None:
    """Scan ``text`` and Enter while ``into`` has the focus; scanner and computer each have their layout."""
    keys = [[code, bool(shift), _shown((code, shift), host)] for code, shift in _pressed(text, scanner)]
    page.evaluate(_SCAN, [keys, into])
