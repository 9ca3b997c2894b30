"""A warden's or librarian's device: the command line with a trust folder, a memory and a language."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tests.e2e.commandline import TODAY, main_in_process

# What the contract lists, in its order.
FIELDS = [
    "verdict", "reason", "message", "type", "number", "plates", "zone", "card_number", "organisation",
    "valid_from", "valid_until", "list_age_seconds", "list_time", "freshness", "test", "suggestions",
]  # fmt: skip
CONTENT = ["type", "number", "plates", "zone", "card_number", "organisation", "valid_from", "valid_until"]
EXIT_CODES = {"GREEN": 0, "RED": 1, "AMBER": 2, "GREY": 3}
NOON = f"{TODAY}T12:00"


class Answer(NamedTuple):
    """What a check gave: exit code, the JSON objects, and what went to standard error."""

    code: int
    verdicts: list[dict[str, Any]]
    stderr: str

    @property
    def reasons(self) -> list[str]:
        return [one["reason"] for one in self.verdicts]

    @property
    def only(self) -> dict[str, Any]:
        """The one verdict; its exit code must be its colour's."""
        (verdict,) = self.verdicts
        assert self.code == EXIT_CODES[verdict["verdict"]]
        return verdict

    @property
    def short(self) -> tuple[str, str]:
        """Colour and reason of the one verdict."""
        return self.only["verdict"], self.only["reason"]


@dataclass(frozen=True)
class Device:
    """Checks against ``trust``; keeps its memory in ``state`` so that shared folders stay as they are."""

    trust: Path
    state: Path

    def verify(self, *inputs: object, at: str = NOON, options: tuple[object, ...] = ()) -> Answer:
        return self._ask("verify", inputs, at, options)

    def plate(self, *plates: str, at: str = NOON, options: tuple[object, ...] = ()) -> Answer:
        return self._ask("check-plate", plates, at, options)

    def _ask(self, command: str, inputs: tuple[object, ...], at: str, options: tuple[object, ...]) -> Answer:
        common = ("--trust", self.trust, "--state", self.state, "--at", at, "--json", "--lang", "en")
        done = main_in_process(command, *common, *options, "--", *inputs)
        verdicts = [json.loads(line) for line in done.stdout.splitlines()]
        for one in verdicts:
            assert list(one) == FIELDS
        return Answer(done.code, verdicts, done.stderr)
