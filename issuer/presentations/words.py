"""What people read of a question to a wallet: how it stands, what is wrong with an answer, and what they can do then.

For somebody of the office and for somebody who applies it is the same outcome with other advice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from issuer.presentations.asking import Outcome
from issuer.presentations.store import State
from keys.texts import Texts

Audience = Literal["desk", "apply"]


class Group(StrEnum):
    """Refusals after which the same can be done."""

    # Nothing was shown: that is everybody's right.
    DECLINED = "declined"
    # The wallet, or the way here: the next try may do.
    AGAIN = "again"
    # Genuine, and no longer good.
    VOID = "void"
    # Genuine, and good again once somebody says so.
    PAUSED = "paused"
    # Genuine, and good from a day to come.
    EARLY = "early"
    # Not to be believed.
    UNTRUSTED = "untrusted"
    # Nobody can say now: no word against the holder.
    UNCLEAR = "unclear"


GROUPS: Final[Mapping[str, Group]] = {
    "PRESENTATION_DECLINED": Group.DECLINED,
    "PRESENTATION_WALLET": Group.AGAIN,
    "PRESENTATION_MALFORMED": Group.AGAIN,
    "PRESENTATION_INCOMPLETE": Group.AGAIN,
    "PRESENTATION_NOT_ASKED": Group.AGAIN,
    "PRESENTATION_TYPE": Group.AGAIN,
    "PRESENTATION_AUDIENCE": Group.AGAIN,
    "PRESENTATION_NONCE": Group.AGAIN,
    "PRESENTATION_OLD": Group.AGAIN,
    "PRESENTATION_NOT_YET_VALID": Group.EARLY,
    "PRESENTATION_EXPIRED": Group.VOID,
    "PRESENTATION_REVOKED": Group.VOID,
    "PRESENTATION_SUSPENDED": Group.PAUSED,
    "PRESENTATION_ALGORITHM": Group.UNTRUSTED,
    "PRESENTATION_SELF_SIGNED": Group.UNTRUSTED,
    "PRESENTATION_UNKNOWN_ISSUER": Group.UNTRUSTED,
    "PRESENTATION_FORGED": Group.UNTRUSTED,
    "PRESENTATION_DISCLOSURE": Group.UNTRUSTED,
    "PRESENTATION_NO_HOLDER": Group.UNTRUSTED,
    "PRESENTATION_HOLDER_FORGED": Group.UNTRUSTED,
    "PRESENTATION_STATUS_UNKNOWN": Group.UNCLEAR,
}
_LOOKS: Final[Mapping[Group, str]] = {
    Group.DECLINED: "info",
    Group.AGAIN: "warning",
    Group.VOID: "danger",
    Group.PAUSED: "danger",
    Group.EARLY: "danger",
    Group.UNTRUSTED: "danger",
    Group.UNCLEAR: "warning",
}


@dataclass(frozen=True, slots=True)
class Told:
    """How a question stands: ``look`` names icon and border, ``advice`` what can be done (empty: nothing)."""

    look: str
    title: str
    text: str
    advice: str = ""


def told(outcome: Outcome, audience: Audience, say: Texts) -> Told:
    """``outcome`` in the reader's language; a refusal that no group knows is one to try again after."""
    if outcome.state is State.REFUSED and outcome.refusal is not None:
        group = GROUPS.get(outcome.refusal.code, Group.AGAIN)
        return Told(
            _LOOKS[group],
            say(f"WALLET_GROUP_{group.name}"),
            outcome.refusal.sentence(say.language),
            say(f"WALLET_{audience.upper()}_DO_{group.name}"),
        )
    state = outcome.state.name
    if outcome.state is State.HOLDS and audience == "apply":
        # What holds may still be somebody else's address: it must not look as if all was done.
        return Told("info", say("WALLET_STATE_ANSWERED"), say("WALLET_APPLY_HOLDS"))
    look = {State.HOLDS: "success", State.ENDED: "warning"}.get(outcome.state, "info")
    advice = say(f"WALLET_{audience.upper()}_DO_ENDED") if outcome.state is State.ENDED else ""
    return Told(look, say(f"WALLET_STATE_{state}"), say(f"WALLET_{audience.upper()}_{state}"), advice)
