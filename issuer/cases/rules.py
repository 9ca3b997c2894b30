"""What the steps of a case ask of the city's rules, without knowing where those come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Protocol

from issuer.cases.facts import CaseFacts, CaseKind, Channel
from issuer.holders import Holder


class CheckOutcome(StrEnum):
    """What a check came to."""

    CONFIRMED = "confirmed"
    # Nobody but a document can say.
    EVIDENCE = "evidence"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Check:
    """One eligibility check: its name, what it came to, which evidence would do, and why (a text's code)."""

    name: str
    outcome: CheckOutcome
    evidence: tuple[str, ...] = ()
    reason: str = ""

    def stored(self) -> dict[str, Any]:
        """As it stands in the case."""
        return {
            "name": self.name, "outcome": self.outcome.value, "evidence": list(self.evidence), "reason": self.reason,
        }  # fmt: skip


class CaseRules(Protocol):
    """The city's rules as of a day, within one transaction."""

    def checks(self, facts: CaseFacts, person: Holder, day: date) -> Sequence[Check]:
        """The eligibility checks for what is asked for, in their order."""
        ...

    def change_checks(
        self, type_id: str, number: str, facts: CaseFacts, person: Holder, day: date
    ) -> Sequence[Check]:
        """What is checked when the plates of the pass ``number`` become those of ``facts``, in their order."""
        ...

    def fee_cents(self, kind: CaseKind, facts: CaseFacts, channel: Channel, day: date) -> int:
        """What it costs. Raises IssuerRefusal for a term or zone that has no price."""
        ...

    def is_exception(self, facts: CaseFacts, day: date) -> bool:
        """Whether a permit of this kind is approved by two people only."""
        ...

    def plate_changes_left(self, type_id: str, number: str, day: date) -> int:
        """How often the holder may still change the plate without a clerk."""
        ...
