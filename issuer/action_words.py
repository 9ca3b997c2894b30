"""What was done with a pass, as the audit trail has it, in the words of its readers."""

from __future__ import annotations

from typing import Final

from keys.texts import Texts

_CODE: Final = "PICKUP_ACTION_"
# A certificate of residence is no card that somebody carries.
_CERTIFICATE: Final = "_CERTIFICATE"


def action_text(say: Texts, action: str, kind: str = "", *, is_certificate: bool = False) -> str | None:
    """The sentence for ``action``; None where the catalogue has none.

    ``kind`` is the carrier or channel of the entry, or empty; ``is_certificate`` says that the pass tells who its
    holder is (`issuer.residence.certificates`).
    """
    code = _CODE + action.upper().replace("-", "_")
    codes = [f"{code}_{kind.upper()}", code] if kind else [code]
    if is_certificate:
        codes = [one for code in codes for one in (code + _CERTIFICATE, code)]
    return next((say(one) for one in codes if one in say), None)
